//! A command under way.
//! Does not execute it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::model::{Error, Reply, Sent};

/// A command that has its place in the order; await it for the reply.
pub enum InFlight {
    /// It is finished.
    Done(Option<Box<Result<Reply, Error>>>),
    /// Its message is on the way into the store.
    Storing(oneshot::Receiver<Result<Sent, Error>>),
}

impl From<Result<Reply, Error>> for InFlight {
    fn from(reply: Result<Reply, Error>) -> Self {
        Self::Done(Some(Box::new(reply)))
    }
}

impl Future for InFlight {
    type Output = Result<Reply, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let lost = || Err(Error::unavailable("the server is shutting down"));
        match self.get_mut() {
            Self::Done(reply) => Poll::Ready(reply.take().map_or_else(lost, |reply| *reply)),
            Self::Storing(stored) => Pin::new(stored).poll(context).map(|stored| match stored {
                Ok(stored) => stored.map(Reply::Sent),
                Err(_) => lost(),
            }),
        }
    }
}
