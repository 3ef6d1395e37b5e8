//! Group commit: many senders, one durable write. While one batch is being written the next
//! one gathers, so that many share one sync of the disk and one alone waits for nobody.
//! It refuses to judge what is sent: that has been done before.

use std::sync::Arc;

use futures_util::future::join;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::heads::Heads;
use super::store_error;
use crate::bus::Bus;
use crate::model::{ChatId, ConnectionId, Entry, Error, Fact, Notice, Sent};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Queued};

use super::access::no_chat;

/// How many messages may wait for the batch after this one; then senders wait to get in.
const QUEUE: usize = 4096;

/// How many messages go into one batch at most.
const BATCH: usize = 1024;

/// Where senders queue up.
pub(super) struct Append {
    queue: mpsc::Sender<Waiting>,
    metrics: Metrics,
}

struct Waiting {
    entry: Entry,
    answer: oneshot::Sender<Result<Sent, Error>>,
    queued: Queued,
}

/// Writes what gathers in the queue, batch after batch.
pub(super) struct Committer {
    queue: mpsc::Receiver<Waiting>,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    heads: Arc<Heads>,
    metrics: Metrics,
}

/// A queue and the one who empties it.
pub(super) fn new(
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    heads: Arc<Heads>,
    metrics: Metrics,
) -> (Append, Committer) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let append = Append {
        queue: sender,
        metrics: metrics.clone(),
    };
    let committer = Committer {
        queue: receiver,
        store,
        bus,
        heads,
        metrics,
    };
    (append, committer)
}

impl Append {
    /// Takes a place in the queue: entries are stored in the order in which this returned.
    /// The receiver answers once the message is durable and was published.
    ///
    /// # Errors
    /// `Unavailable`: the committer has stopped.
    pub(super) async fn enter(
        &self,
        entry: Entry,
    ) -> Result<oneshot::Receiver<Result<Sent, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            entry,
            answer,
            queued: self.metrics.queued(),
        };
        match self.queue.send(waiting).await {
            Ok(()) => Ok(answered),
            Err(_) => Err(Error::unavailable("the server is shutting down")),
        }
    }
}

impl Committer {
    /// Runs until `stop`; what is in the queue by then is still written.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut written = None;
        let mut waiting = Vec::new();
        loop {
            if self.queue.is_empty()
                && let Some(written) = written.take()
            {
                self.tell(written).await;
            }
            tokio::select! {
                biased;
                taken = self.queue.recv_many(&mut waiting, BATCH) => match taken {
                    0 => break,
                    _ => written = Some(self.commit(std::mem::take(&mut waiting), written.take()).await),
                },
                () = stop.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
        if let Some(written) = written {
            self.tell(written).await;
        }
    }

    /// Writes a batch; while the store has it, tells of the one before.
    async fn commit(&self, batch: Vec<Waiting>, before: Option<Written>) -> Written {
        let mut entries = Vec::with_capacity(batch.len());
        let mut senders = Vec::with_capacity(batch.len());
        for Waiting {
            entry,
            answer,
            queued,
        } in batch
        {
            senders.push(Sender {
                chat: entry.chat,
                origin: entry.origin,
                answer,
                _queued: queued,
            });
            entries.push(entry);
        }
        let tell = async {
            if let Some(before) = before {
                self.tell(before).await;
            }
        };
        let append = async { (self.store.append(entries).await, Instant::now()) };
        let ((sent, durable), ()) = join(append, tell).await;
        Written {
            senders,
            sent,
            durable,
        }
    }

    /// Tells every node of what was stored, and each sender what became of the message.
    async fn tell(&self, written: Written) {
        let Written {
            senders,
            sent,
            durable,
        } = written;
        let sent = match sent {
            Ok(sent) if sent.len() == senders.len() => sent,
            Ok(_) => {
                let error = StoreError::Corrupt("another number of answers than entries".into());
                return self.refuse_all(senders, &store_error(error));
            }
            Err(error) => return self.refuse_all(senders, &store_error(error)),
        };
        self.metrics.batch(senders.len());
        for (sender, sent) in senders.into_iter().zip(sent) {
            match &sent {
                Some(Sent::Stored(message)) => {
                    self.heads.stored(message.chat, message.seq);
                    self.metrics.stored();
                }
                // The first attempt may have been stored without anybody learning of it.
                Some(Sent::Repeated(_)) => self.heads.unknown(sender.chat),
                None => {}
            }
            // A repetition, too: when the first attempt was stored nobody may have learned of
            // it, and now its sender relies on it. Who was told already is not told again.
            if let Some(sent) = &sent {
                let notice = Notice {
                    origin: sender.origin,
                    fact: Fact::MessageSent(Arc::clone(sent.message())),
                    durable: Some(durable),
                };
                if let Err(error) = self.bus.publish(notice).await {
                    error!(%error, "a message was stored but not published");
                }
            }
            // A sender that has gone needs no answer.
            let _ = sender.answer.send(sent.ok_or_else(|| no_chat(sender.chat)));
        }
    }

    fn refuse_all(&self, senders: Vec<Sender>, error: &Error) {
        for sender in senders {
            // Some of them may have been stored all the same.
            self.heads.unknown(sender.chat);
            let _ = sender.answer.send(Err(error.clone()));
        }
    }
}

/// A batch that the store has answered.
struct Written {
    senders: Vec<Sender>,
    sent: Result<Vec<Option<Sent>>, StoreError>,
    /// Since when it is durable.
    durable: Instant,
}

/// What is kept of an entry while the store has it.
struct Sender {
    chat: ChatId,
    origin: Option<ConnectionId>,
    answer: oneshot::Sender<Result<Sent, Error>>,
    _queued: Queued,
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
