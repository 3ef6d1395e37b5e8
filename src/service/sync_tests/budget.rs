//! The distribution of a budget.
//! Does not read any message: here they are generated.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_is_left_is_never_overdrawn(
        gaps in proptest::collection::vec((0..50_i64, 0..50_i64), 0..20),
        lengths in proptest::collection::vec(0..400_usize, 50),
        of_chat in 1..40_i64,
        messages in 1..200_i64,
        bytes in 1..3000_usize,
    ) {
        let budget = PageBudget { of_chat, messages, bytes };
        let mut left = Remaining::of(budget);
        let chat = ChatId::new(NOW);
        let (mut total, mut weight) = (0, 0);
        for (after, head) in gaps {
            let reset = false;
            let gap = Gap { chat, after, head, reset };
            let granted = left.reserve(&gap);
            prop_assert!(granted <= of_chat && granted <= (head - after).max(0));
            let run = (0..granted).map(|n| Arc::new(message(chat, after + n + 1, lengths[usize::try_from(n).expect("small")])));
            let missed = gap.filled(left.cut(run.collect()));
            let expected: Vec<_> = (after + 1..).take(missed.messages.len()).collect();
            prop_assert_eq!(numbers(&missed), expected);
            let latest = missed.messages.last().map_or(after, |message| message.seq);
            prop_assert_eq!(missed.has_more, latest < head);
            total += missed.messages.len();
            weight += missed.messages.iter().map(|message| message.weight()).sum::<usize>();
        }
        prop_assert!(i64::try_from(total).expect("few") <= messages);
        prop_assert!(weight <= bytes.max(400));
    }
}

fn message(chat: ChatId, seq: Seq, length: usize) -> Message {
    Message {
        chat,
        seq,
        text: "x".repeat(length),
        ..Message::example()
    }
}
