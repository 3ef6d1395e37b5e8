//! The capped collection of batches: created by whichever node comes first, and by none twice.
//! Does not keep what the server drops from it.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::results::CollectionType;
use tokio::time::sleep;

use super::connection::sentence;
use super::{NOTICES, is_final};

/// How large it is: at its fullest some seconds of batches, which is longer than a stream is ever behind.
const SIZE: u64 = 64 << 20;

/// How often its creation is tried while other nodes create, convert or drop it.
const ATTEMPTS: u32 = 20;

/// The delay between two attempts.
const DELAY: Duration = Duration::from_millis(100);

/// Why the collection cannot be used, in one sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// Something else has its name.
    #[error(
        "its collection \"{NOTICES}\" holds something else than the notices of polychat nodes; move that elsewhere, or \
         give polychat a database of its own"
    )]
    Foreign,
    /// The server or the driver failed.
    #[error("{}", sentence(.0))]
    Failed(#[from] Error),
}

impl Unusable {
    /// Whether a stream cannot go on where another ended.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Foreign => true,
            Self::Failed(error) => is_final(error),
        }
    }
}

/// What has the name of the collection.
enum Found {
    Nothing,
    Capped,
    /// A collection that is not capped: an insert into none has created it.
    Uncapped,
    /// A view, or a collection with documents that are not batches.
    Foreign,
}

/// Makes sure that there is the collection and that it is capped. One that is not is converted if it holds batches
/// only, and refused otherwise.
pub(super) async fn ensure(database: &Database) -> Result<(), Unusable> {
    let mut attempt = 1;
    loop {
        let changed = match find(database).await? {
            Found::Capped => return Ok(()),
            Found::Foreign => return Err(Unusable::Foreign),
            Found::Nothing => create(database).await,
            Found::Uncapped => convert(database).await,
        };
        // Another node may have been first: what counts is what is there.
        match changed {
            Err(error) if attempt >= ATTEMPTS => return Err(error.into()),
            Err(_) => sleep(DELAY).await,
            Ok(()) => {}
        }
        attempt += 1;
    }
}

async fn create(database: &Database) -> Result<(), Error> {
    let create = database.create_collection(NOTICES);
    create.capped(true).size(SIZE).await
}

async fn convert(database: &Database) -> Result<(), Error> {
    let size = i64::try_from(SIZE).unwrap_or(i64::MAX);
    let convert = doc! { "convertToCapped": NOTICES, "size": size };
    database.run_command(convert).await.map(|_| ())
}

async fn find(database: &Database) -> Result<Found, Error> {
    let named = database.list_collections().filter(doc! { "name": NOTICES });
    let found = named.await?.try_next().await?;
    let Some(found) = found else {
        return Ok(Found::Nothing);
    };
    if !matches!(found.collection_type, CollectionType::Collection) {
        return Ok(Found::Foreign);
    }
    let capped = found.options.capped == Some(true);
    Ok(match holds_others(database, capped).await? {
        true => Found::Foreign,
        false if capped => Found::Capped,
        false => Found::Uncapped,
    })
}

/// Whether the oldest document, or without a cap any, is no batch.
async fn holds_others(database: &Database, capped: bool) -> Result<bool, Error> {
    let is_batch = doc! { "node": { "$type": "binData" }, "n": { "$type": "number" } };
    let mut stages = vec![
        doc! { "$match": { "$nor": [is_batch] } },
        doc! { "$limit": 1 },
    ];
    if capped {
        stages.reverse();
    }
    let notices = database.collection::<Document>(NOTICES);
    let found = notices.aggregate(stages).await?.try_next().await?;
    Ok(found.is_some())
}
