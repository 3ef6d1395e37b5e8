//! Fuzz target for batches of other nodes.
//! Does not run the target: `crate::fuzz` does.

use super::{Batch, Content, RemoteNotice};
use crate::fuzz::Target;
use crate::model::Fact;

/// Every target of this module.
pub const TARGETS: &[Target] = &[BATCH];

const BATCH: Target = Target {
    name: "batch",
    check: |input| {
        let Ok(batch) = Batch::decode(input) else {
            return;
        };
        let encoded = batch.encode();
        let most: usize = batch.notices.iter().map(RemoteNotice::len).sum();
        assert!(encoded.len() <= Batch::ENVELOPE + most);
        assert_eq!(Batch::decode(&encoded).expect("it was decoded"), batch);
        for notice in &batch.notices {
            let Ok(content) = notice.content() else {
                continue;
            };
            let Content::Notice(whole) = &content else {
                continue;
            };
            let again = RemoteNotice::of(whole);
            assert_eq!(again.header.kind, notice.header.kind);
            match again.content().expect("it is encoded") {
                // The body was larger than any that is sent.
                Content::Hint(_) => assert!(matches!(whole.fact, Fact::MessageSent(_))),
                again @ Content::Notice(_) => assert_eq!(again, content),
            }
        }
    },
};

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::bus::wire::tests::version_1;
    use crate::fuzz::run;

    #[test]
    fn batches() {
        let samples: Vec<_> = version_1().map(|(_, bytes)| bytes).collect();
        let edits = vec((any::<Index>(), any::<u8>()), 0..4);
        let cut = prop::option::weighted(0.2, (any::<Index>(), vec(any::<u8>(), 0..9)));
        let inputs = (select(samples), edits, cut).prop_map(|(mut input, edits, cut)| {
            for (at, byte) in edits {
                let at = at.index(input.len());
                input[at] = byte;
            }
            if let Some((at, inserted)) = cut {
                let at = at.index(input.len());
                let end = input.len().min(at + inserted.len());
                input.splice(at..end, inserted);
                let length = u32::try_from(input.len()).expect("a length");
                input[..4].copy_from_slice(&length.to_le_bytes());
            }
            input
        });
        run(&BATCH, &inputs);
    }
}
