//! What one call writes.
//! Does not test waiting for a client: the tests of the connection do.

use std::task::Waker;

use super::*;

fn frame(length: usize) -> Frame {
    Frame::from_encoded(vec![b'x'; length].into())
}

/// Writes a batch to a stream that takes everything. Returns how much each call has written.
fn written(frames: &[usize]) -> Vec<usize> {
    let mut batch = Batch::default();
    for length in frames {
        batch.push(frame(*length));
    }
    let (mut stream, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
    let mut calls = Vec::new();
    loop {
        let before = stream.len();
        let Poll::Ready(Ok(done)) = batch.poll_write(&mut stream, &mut context) else {
            panic!("it takes everything")
        };
        calls.push(stream.len() - before);
        if done {
            assert_eq!(stream.len(), frames.iter().sum::<usize>());
            assert!(batch.is_empty());
            return calls;
        }
    }
}

#[test]
fn long_frames_are_written_in_turns() {
    assert_eq!(written(&[TURN]), [TURN]);
    assert_eq!(written(&[2 * TURN + 1]), [TURN, TURN, 1]);
    assert_eq!(written(&[10, 2 * TURN, 10]), [TURN, TURN, 20]);
    assert_eq!(written(&[TURN - 1, 1, 5]), [TURN, 5]);
    assert_eq!(written(&[10, 20]), [30]);
}
