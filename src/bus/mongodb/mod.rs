//! Batches over a database of a MongoDB replica set: each is a document of a capped collection, and every node
//! reads them from one change stream.
//! Does not know what is in a batch.

mod collection;
mod connection;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod world;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Collection, Database};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use self::collection::Unusable;
use self::connection::sentence;
use super::OpenError;
use super::link::{Link, LinkError, Received};

/// The collection of the batches.
const NOTICES: &str = "notices";

/// How long the stream may bring nothing before it is opened again: every node sends a batch a second.
const SILENCE: Duration = Duration::from_secs(5);

/// How long it may take to open the stream.
const OPENING: Duration = Duration::from_secs(5);

/// How long closing waits for what is under way.
const CLOSING: Duration = Duration::from_millis(500);

/// The delay before a stream is opened again; doubles with each attempt.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest such delay.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// How much longer batches are gathered per node: each costs the server about as much for every node that reads it.
const WINDOW_PER_NODE: Duration = Duration::from_millis(2);

/// The errors of a server that cannot go on from where a stream was.
const NOT_RESUMABLE: [i32; 4] = [136, 260, 280, 286];

/// One change stream and one writer on the collection of batches.
pub(super) struct Mongo {
    client: Client,
    database: Database,
    notices: Collection<RawDocumentBuf>,
    source: Mutex<Source>,
}

type Stream = ChangeStream<ChangeStreamEvent<RawDocumentBuf>>;

/// What the one reader has.
struct Source {
    stream: Option<Stream>,
    /// Where to go on in another stream; `None`: nowhere, so that something is missed.
    after: Option<ResumeToken>,
    /// The stream has brought something: what is at `after` is not what ends it.
    progressed: bool,
    /// Before the next attempt to open a stream.
    delay: Duration,
    /// It was logged that the stream cannot be opened.
    failing: bool,
}

/// The state of a stream that was opened again.
enum Reopened {
    /// It goes on where the last one ended.
    Resumed,
    Anew,
}

impl Mongo {
    /// Connects to the database that `url` names, creates the collection if it is not there, and opens the stream.
    ///
    /// # Errors
    /// One sentence, without a password.
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let connection::Connection {
            client,
            database,
            place,
        } = connection::connect(url).await?;
        let refuse = |why: String| connection::refuse(&place, &why);
        let ensured = collection::ensure(&database).await;
        ensured.map_err(|error| refuse(error.to_string()))?;
        let notices = database.collection(NOTICES);
        let stream = watch(&notices, None).await;
        let stream = stream.map_err(|error| refuse(sentence(&error)))?;
        let source = Source {
            after: stream.resume_token(),
            stream: Some(stream),
            progressed: false,
            delay: FIRST_DELAY,
            failing: false,
        };
        Ok(Self {
            client,
            database,
            notices,
            source: Mutex::new(source),
        })
    }

    /// Opens the stream again, as often as it takes.
    async fn reopen(&self, source: &mut Source) -> Reopened {
        loop {
            sleep(source.delay).await;
            source.delay = (source.delay * 2).min(MAX_DELAY);
            let resumed = source.after.is_some();
            let opening = timeout(OPENING, self.try_open(source.after.clone()));
            match opening.await {
                Ok(Ok(stream)) => {
                    source.after = stream.resume_token().or(source.after.take());
                    source.stream = Some(stream);
                    source.progressed = false;
                    source.failing = false;
                    info!(resumed, "the change stream of notices is open again");
                    return if resumed {
                        Reopened::Resumed
                    } else {
                        Reopened::Anew
                    };
                }
                Ok(Err(error)) => {
                    if error.is_final() {
                        source.after = None;
                    }
                    source.warn_once(&error);
                }
                Err(late) => source.warn_once(&late),
            }
        }
    }

    async fn try_open(&self, after: Option<ResumeToken>) -> Result<Stream, Unusable> {
        if after.is_none() {
            collection::ensure(&self.database).await?;
        }
        Ok(watch(&self.notices, after).await?)
    }
}

/// Opens a stream of all batches from now on, or of those after another.
async fn watch(
    notices: &Collection<RawDocumentBuf>,
    after: Option<ResumeToken>,
) -> Result<Stream, Error> {
    let kinds = ["insert", "drop", "rename", "dropDatabase", "invalidate"];
    let stages = [doc! { "$match": { "operationType": { "$in": kinds.as_slice() } } }];
    notices.watch().pipeline(stages).resume_after(after).await
}

/// Whether another stream cannot go on where this one ended.
fn is_final(error: &Error) -> bool {
    if error.contains_label("NonResumableChangeStreamError") {
        return true;
    }
    match &*error.kind {
        ErrorKind::Command(command) => NOT_RESUMABLE.contains(&command.code),
        ErrorKind::MissingResumeToken => true,
        _ => false,
    }
}

impl Source {
    fn warn_once(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.failing, true) {
            warn!(%error, "the change stream of notices cannot be opened");
        }
    }

    /// The next batch; `None`: the stream has ended.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let stream = self.stream.as_mut()?;
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(event))) => {
                let is_insert = matches!(event.operation_type, OperationType::Insert);
                if let Some(batch) = event.full_document.filter(|_| is_insert) {
                    self.after = stream.resume_token();
                    self.progressed = true;
                    self.delay = FIRST_DELAY;
                    return Some(batch.into_bytes());
                }
                warn!(event = ?event.operation_type, "the collection of notices is gone");
                self.after = None;
            }
            Ok(Some(Err(error))) => {
                warn!(error = %error.kind, "the change stream of notices has ended");
                if is_final(&error) || !self.progressed {
                    self.after = None;
                }
            }
            Ok(None) => {
                warn!("the change stream of notices has ended");
                self.after = None;
            }
            // The driver may be waiting for a server that will never answer.
            Err(_) => warn!("the change stream of notices brings nothing"),
        }
        self.stream = None;
        None
    }
}

#[async_trait]
impl Link for Mongo {
    async fn send(&self, batch: Vec<u8>) -> Result<(), LinkError> {
        let batch = RawDocumentBuf::from_bytes(batch);
        let batch = batch.map_err(|error| LinkError(error.to_string()))?;
        let sent = self.notices.insert_one(batch).await;
        sent.map_err(|error| LinkError(sentence(&error)))?;
        Ok(())
    }

    async fn receive(&self) -> Received {
        let mut source = self.source.lock().await;
        loop {
            if source.stream.is_none()
                && let Reopened::Anew = self.reopen(&mut source).await
            {
                return Received::Reopened;
            }
            if let Some(batch) = source.next().await {
                return Received::Batch(batch);
            }
        }
    }

    fn window(&self, nodes: usize) -> Duration {
        match u32::try_from(nodes) {
            Ok(0..=2) => Duration::ZERO,
            Ok(nodes) => WINDOW_PER_NODE * nodes,
            Err(_) => Duration::MAX,
        }
    }

    async fn close(&self) {
        self.source.lock().await.stream = None;
        let waiting = self.client.clone().shutdown();
        if timeout(CLOSING, waiting).await.is_err() {
            self.client.clone().shutdown().immediate(true).await;
        }
    }
}
