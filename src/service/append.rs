//! Group commit: many senders, one durable write. While one batch is being written the next one
//! gathers, so that many share one sync of the disk and a lone sender does not wait.
//! Does not check rights: the callers do.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::heads::Heads;
use super::memberships::Memberships;
use super::origins::Origins;
use super::store_error;
use crate::bus::Bus;
use crate::model::{ChatId, ChatRef, Error, Fact, Notice, Origin, PendingMessage, Sent};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Queued};

use super::access::{self, Actor, MemberList, no_chat};

/// How many messages may wait for the batch after this one; then senders wait to get in.
const QUEUE: usize = 4096;

/// How many messages go into one batch at most.
const BATCH: usize = 1024;

/// The queue of messages to store.
pub(super) struct Append {
    queue: mpsc::Sender<PendingAppend>,
    metrics: Metrics,
}

struct PendingAppend {
    entry: PendingMessage,
    /// `None`: it is moved in, and was written elsewhere.
    request: Option<SendRequest>,
    answer: oneshot::Sender<Result<Sent, Error>>,
    queued: Queued,
}

/// For whom a message is sent, and how the request names the chat.
#[derive(Debug, Clone)]
pub(super) struct SendRequest {
    pub(super) actor: Actor,
    pub(super) chat: ChatRef,
}

/// Writes the queue, batch after batch.
pub(super) struct Committer {
    queue: mpsc::Receiver<PendingAppend>,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    heads: Arc<Heads>,
    memberships: Arc<Memberships>,
    origins: Arc<Origins>,
    metrics: Metrics,
}

/// A queue, and the task that empties it.
pub(super) fn new(
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    heads: Arc<Heads>,
    (memberships, origins): (Arc<Memberships>, Arc<Origins>),
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
        memberships,
        origins,
        metrics,
    };
    (append, committer)
}

impl Append {
    /// Queues an entry: entries are stored in the order in which this returned. The receiver
    /// answers once the message is durable and was published. Without a `request` the sender's right to write
    /// there is not checked.
    ///
    /// # Errors
    /// `Unavailable`: the committer has stopped.
    pub(super) async fn enqueue(
        &self,
        entry: PendingMessage,
        request: Option<SendRequest>,
    ) -> Result<oneshot::Receiver<Result<Sent, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let waiting = PendingAppend {
            entry,
            request,
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
    /// Runs until `stop`, then writes the rest of the queue.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut written = None;
        let mut waiting = Vec::new();
        loop {
            if self.queue.is_empty()
                && let Some(written) = written.take()
            {
                self.publish(written).await;
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
            self.publish(written).await;
        }
    }

    /// Writes a batch; meanwhile publishes the one before.
    async fn commit(&self, batch: Vec<PendingAppend>, before: Option<Written>) -> Written {
        let publish = async {
            if let Some(before) = before {
                self.publish(before).await;
            }
        };
        let append = async {
            let _steady = self.memberships.steady().await;
            let confirmed = self.memberships.confirm(&chats_of(&batch)).await;
            let (senders, entries) = self.judge(batch).await;
            let sent = match (confirmed, entries.len()) {
                (Err(error), _) => Err(error),
                (Ok(()), 0) => Ok(Vec::new()),
                (Ok(()), _) => self.store.append(entries).await,
            };
            Written {
                senders,
                sent,
                durable: Instant::now(),
            }
        };
        join(append, publish).await.0
    }

    /// Refuses messages whose senders may no longer write there, each judged by its own time. Called
    /// while no membership can change by this node until the others are stored, and after the member lists were compared
    /// with the store: so a removal that another node has acknowledged is counted.
    async fn judge(&self, batch: Vec<PendingAppend>) -> (Vec<Sender>, Vec<PendingMessage>) {
        let mut entries = Vec::with_capacity(batch.len());
        let mut senders = Vec::with_capacity(batch.len());
        let mut latest: Option<Arc<MemberList>> = None;
        // Only with other nodes the relay reads a message before its sender is answered.
        let is_alone = self.bus.is_alone();
        for pending in batch {
            let PendingAppend {
                entry,
                request,
                answer,
                queued,
            } = pending;
            if let Some(request) = request {
                let known = latest.take().filter(|known| known.chat() == entry.chat);
                let members = match known {
                    Some(members) => Ok(members),
                    None => self.memberships.of(entry.chat).await,
                };
                let judged = members.and_then(|members| {
                    access::may_post(request.actor, entry.sender, &members, entry.at)?;
                    latest = Some(members);
                    Ok(())
                });
                if let Err(refusal) = judged {
                    // The sender may have gone.
                    let _ = answer.send(Err(access::as_requested(refusal, &request.chat)));
                    continue;
                }
            }
            if let Some(origin) = entry.origin.filter(|_| !is_alone) {
                self.origins.note(entry.id, origin);
            }
            senders.push(Sender {
                chat: entry.chat,
                origin: entry.origin,
                answer,
                _queued: queued,
            });
            entries.push(entry);
        }
        (senders, entries)
    }

    /// Publishes the stored messages to every node, and answers each sender.
    async fn publish(&self, written: Written) {
        let Written {
            senders,
            sent,
            durable,
        } = written;
        let sent = match sent {
            Ok(sent) if sent.len() == senders.len() => sent,
            Ok(_) => {
                let error = StoreError::Corrupt(
                    "the number of results differs from that of entries".into(),
                );
                return self.refuse_all(senders, &store_error(error));
            }
            Err(error) => return self.refuse_all(senders, &store_error(error)),
        };
        self.metrics.batch(senders.len());
        let mut notices = Vec::with_capacity(sent.len());
        for (sender, sent) in senders.iter().zip(&sent) {
            match sent {
                Some(Sent::Stored(message)) => {
                    self.heads.stored(message.chat, message.seq);
                    self.metrics.stored();
                }
                // The first attempt may have been stored and not published.
                Some(Sent::Repeated(_)) => self.heads.unknown(sender.chat),
                None => {}
            }
            // A repetition is published, too: the first attempt may have been stored and not
            // published, and its sender now relies on it. The hub drops a message that was
            // delivered already.
            notices.extend(sent.as_ref().map(|sent| Notice {
                origin: sender.origin,
                fact: Fact::MessageSent(Arc::clone(sent.message())),
                durable: Some(durable),
            }));
        }
        if let Err(error) = self.bus.publish(notices).await {
            error!(%error, "messages were stored but not published");
        }
        for (sender, sent) in senders.into_iter().zip(sent) {
            // The sender may have disconnected.
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

/// The chats whose members decide about these messages, each once.
fn chats_of(batch: &[PendingAppend]) -> Vec<ChatId> {
    let judged = batch.iter().filter(|pending| pending.request.is_some());
    let chats: HashSet<_> = judged.map(|pending| pending.entry.chat).collect();
    chats.into_iter().collect()
}

/// A batch that the store has written, or failed to.
struct Written {
    senders: Vec<Sender>,
    sent: Result<Vec<Option<Sent>>, StoreError>,
    /// Since when it is durable.
    durable: Instant,
}

/// The sender of an entry while the store writes it.
struct Sender {
    chat: ChatId,
    origin: Option<Origin>,
    answer: oneshot::Sender<Result<Sent, Error>>,
    _queued: Queued,
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
