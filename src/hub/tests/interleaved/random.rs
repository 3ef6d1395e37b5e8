//! Deliveries and answers in every order in which they can come.

use proptest::prelude::*;

use super::*;

/// Which messages of a chat are the connection's own, how many are delivered at once, and when
/// an answer is tried in between.
fn course() -> impl Strategy<Value = (Vec<bool>, Vec<bool>)> {
    (1_usize..40).prop_flat_map(|count| {
        let own = prop::collection::vec(any::<bool>(), count);
        let turns = prop::collection::vec(any::<bool>(), 4 * count);
        (own, turns)
    })
}

/// The frames that a connection receives on such a course.
fn run(place: AnswerPlace, own: &[bool], turns: Vec<bool>) -> Vec<String> {
    let scene = Scene::with_room_for(1000, place);
    let count = Seq::try_from(own.len()).expect("a few");
    let is_own = |seq: Seq| own[usize::try_from(seq - 1).expect("from 1 on")];
    let mut answers = (1..=count).filter(|seq| is_own(*seq)).peekable();
    let (mut delivered, mut turns) = (0, turns.into_iter());
    while delivered < count || answers.peek().is_some() {
        // At the end all others have their turn.
        let answers_now = turns.next().unwrap_or(delivered == count);
        if answers_now && let Some(seq) = answers.peek() {
            if scene.answer(*seq) {
                answers.next();
            } else {
                assert!(delivered < count, "{seq} waits for ever");
            }
        } else if delivered < count {
            delivered += 1;
            let origin = is_own(delivered).then_some(scene.sender.id);
            let notice = scene.message(delivered, origin);
            scene.hub.deliver(scene.chat, &[notice]);
        }
    }
    scene.received()
}

proptest! {
    #[test]
    fn whatever_comes_first_each_message_comes_once_and_in_order((own, turns) in course()) {
        let received = run(AnswerPlace::Instead, &own, turns);
        let expected = own.iter().zip(1..).map(|(own, seq)| match own {
            true => format!("answer {seq}"),
            false => seq.to_string(),
        });
        prop_assert_eq!(received, expected.collect::<Vec<_>>());
    }

    #[test]
    fn whatever_comes_first_each_answer_stands_beside_its_message((own, turns) in course()) {
        let received = run(AnswerPlace::Beside, &own, turns);
        let answers = own.iter().filter(|own| **own).count();
        prop_assert_eq!(received.len(), own.len() + answers);
        let seq = |frame: &String| frame.trim_start_matches("answer ").parse::<Seq>();
        let seqs: Vec<_> = received.iter().map(|frame| seq(frame).expect("a number")).collect();
        prop_assert!(seqs.is_sorted(), "{received:?}");
        let messages: Vec<_> = received.iter().filter(|frame| !frame.starts_with('a')).collect();
        prop_assert!(messages.is_sorted_by_key(|frame| seq(frame).expect("a number")));
        prop_assert_eq!(messages.len(), own.len());
    }
}
