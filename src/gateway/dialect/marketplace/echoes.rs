//! The `request_id`s of requests whose answers the hub delivers: found by the number of the request
//! in a notice, or by the message that it has stored.
//! Does not know frames.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{ChatId, RequestNumber, Seq};

/// How many of them wait for a delivery at most, and how many bytes they have. An answer that is
/// never delivered, because the chat is gone, does not keep its `request_id` for long.
const MOST: usize = 512;
const BYTES: usize = 1024 * 1024;

/// The `request_id`s that were not echoed yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    latest: RequestNumber,
    /// That of the request that was decoded last, if it has a `request_id`.
    decoded: Option<RequestNumber>,
    waiting: VecDeque<Echo>,
    bytes: usize,
}

#[derive(Debug)]
struct Echo {
    request: RequestNumber,
    /// The message that the request has stored, once that is known.
    message: Option<(ChatId, Seq)>,
    request_id: Arc<str>,
}

impl Echoes {
    /// Takes up the `request_id` of a request that is being decoded; returns its number.
    pub(super) fn begin(&mut self, request_id: Option<&Arc<str>>) -> Option<RequestNumber> {
        self.decoded = None;
        let request_id = Arc::clone(request_id?);
        self.latest += 1;
        self.bytes += request_id.len();
        self.waiting.push_back(Echo {
            request: self.latest,
            message: None,
            request_id,
        });
        while self.waiting.len() > MOST || self.waiting.len() > 1 && self.bytes > BYTES {
            self.remove(0);
        }
        self.decoded = Some(self.latest);
        self.decoded
    }

    /// The number of the request that was decoded last, if it has a `request_id`.
    pub(super) fn decoded(&self) -> Option<RequestNumber> {
        self.decoded
    }

    /// The `request_id` of this request, unless it was echoed.
    pub(super) fn take(&mut self, request: RequestNumber) -> Option<Arc<str>> {
        let is_it = |echo: &Echo| echo.request == request;
        let index = self.waiting.iter().position(is_it)?;
        self.remove(index)
    }

    /// The `request_id` of the request that has stored this message, unless it was echoed.
    pub(super) fn take_of(&mut self, chat: ChatId, seq: Seq) -> Option<Arc<str>> {
        let is_it = |echo: &Echo| echo.message == Some((chat, seq));
        let index = self.waiting.iter().position(is_it)?;
        self.remove(index)
    }

    /// Whether the `request_id` of this request was not echoed yet.
    pub(super) fn is_waiting(&self, request: RequestNumber) -> bool {
        self.waiting.iter().any(|echo| echo.request == request)
    }

    /// Records that this request has stored this message, which is to be delivered.
    pub(super) fn stored(&mut self, request: RequestNumber, chat: ChatId, seq: Seq) {
        let is_it = |echo: &&mut Echo| echo.request == request;
        if let Some(echo) = self.waiting.iter_mut().find(is_it) {
            echo.message = Some((chat, seq));
        }
    }

    fn remove(&mut self, index: usize) -> Option<Arc<str>> {
        let echo = self.waiting.remove(index)?;
        self.bytes -= echo.request_id.len();
        Some(echo.request_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_echoed_once() {
        let mut echoes = Echoes::default();
        let first = echoes.begin(Some(&"1".into())).expect("a number");
        assert_eq!(echoes.decoded(), Some(first));
        assert_eq!(echoes.begin(None), None);
        assert_eq!(echoes.decoded(), None, "that one has none");
        let second = echoes.begin(Some(&"2".into())).expect("a number");
        let chat = ChatId::from_bytes([7; 16]);
        echoes.stored(second, chat, 5);
        assert_eq!(echoes.take_of(chat, 4), None);
        assert_eq!(echoes.take_of(chat, 5).as_deref(), Some("2"));
        assert_eq!(echoes.take(second), None);
        assert_eq!(echoes.take(first).as_deref(), Some("1"));
        assert_eq!((echoes.waiting.len(), echoes.bytes), (0, 0));
    }

    #[test]
    fn those_that_are_never_delivered_are_bounded() {
        let mut echoes = Echoes::default();
        for _ in 0..2 * MOST {
            echoes.begin(Some(&"1".into()));
        }
        assert_eq!(echoes.waiting.len(), MOST);
        let long: Arc<str> = "x".repeat(BYTES - 10).into();
        for _ in 0..3 {
            echoes.begin(Some(&long));
        }
        assert_eq!(echoes.waiting.len(), 1);
        assert_eq!(echoes.bytes, long.len());
    }
}
