//! What was received and waits to be read.
//! Does not hold more than fits: then the reader gets to know that something was missed.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::link::Received;

/// A queue with one reader.
pub(super) struct Inbox {
    /// How many bytes of batches fit.
    room: usize,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Received>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Appends a batch. If there is no room for it everything that waits is dropped, as after a break.
    pub(super) fn push(&self, batch: Vec<u8>) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += batch.len();
        if waiting.bytes > self.room {
            *waiting = Waiting::default();
            waiting.queue.push_back(Received::Reopened);
        } else {
            waiting.queue.push_back(Received::Batch(batch));
        }
        self.filled.notify_one();
    }

    /// Appends that the link was opened anew.
    pub(super) fn reopened(&self) {
        self.waiting.lock().queue.push_back(Received::Reopened);
        self.filled.notify_one();
    }

    /// What is next. Nothing is lost if this is not waited for.
    pub(super) async fn next(&self) -> Received {
        loop {
            if let Some(next) = self.pop() {
                return next;
            }
            self.filled.notified().await;
        }
    }

    fn pop(&self) -> Option<Received> {
        let mut waiting = self.waiting.lock();
        let next = waiting.queue.pop_front()?;
        if let Received::Batch(batch) = &next {
            waiting.bytes -= batch.len();
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// What can be read at once: batches by their first byte, a reopening as zero.
    fn read(inbox: &Inbox) -> Vec<u8> {
        std::iter::from_fn(|| inbox.next().now_or_never())
            .map(|next| match next {
                Received::Batch(batch) => batch[0],
                Received::Reopened => 0,
            })
            .collect()
    }

    #[test]
    fn what_waits_is_read_in_order() {
        let inbox = Inbox::new(10);
        inbox.push(vec![1]);
        inbox.reopened();
        inbox.push(vec![2]);
        assert_eq!(read(&inbox), [1, 0, 2]);
        assert!(read(&inbox).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_a_break() {
        let inbox = Inbox::new(10);
        inbox.push(vec![1; 6]);
        inbox.push(vec![2; 4]);
        assert_eq!(read(&inbox), [1, 2]);
        inbox.push(vec![3; 6]);
        inbox.push(vec![4; 5]);
        inbox.push(vec![5; 10]);
        assert_eq!(read(&inbox), [0, 5]);
        inbox.push(vec![6; 11]);
        inbox.push(vec![7]);
        assert_eq!(read(&inbox), [0, 7]);
    }

    #[tokio::test]
    async fn a_reader_that_waits_gets_what_comes() {
        let inbox = Inbox::new(10);
        let (next, ()) = tokio::join!(inbox.next(), async { inbox.push(vec![1]) });
        assert!(matches!(next, Received::Batch(batch) if batch == [1]));
    }
}
