//! The bus's own connections to the database that a URL names, and the error messages if that fails.
//! Does not let a password into any text.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria,
    WriteConcern,
};
use mongodb::{Client, Database};

use crate::bus::OpenError;

/// The name of the database if the URL has none: as for the store.
const NAME: &str = "polychat";

/// How long the driver looks for a primary: less than a batch may take, so that the reason is logged.
const SELECTION: Duration = Duration::from_millis(4_500);

/// How long it may take to connect.
const CONNECTING: Duration = Duration::from_secs(5);

/// The number of connections, whatever the URL says: one waits for batches, one sends them, and two are there when
/// the stream is opened again or the collection is created.
const CONNECTIONS: u32 = 4;

/// Own connections to a database.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) database: Database,
    /// Hosts and database, without credentials and options.
    pub(super) place: String,
}

/// Connects to the database that `url` names.
///
/// # Errors
/// The URL cannot be read.
pub(super) async fn connect(url: &str) -> Result<Connection, OpenError> {
    // The driver quotes what it does not understand, which may be a part of a password.
    let options = ClientOptions::parse(url).await;
    let mut options = options.map_err(|_| {
        let why = "the URL of the bus mongodb:// cannot be read, or its hosts are not found";
        OpenError(why.into())
    })?;
    let hosts: Vec<_> = options.hosts.iter().map(ToString::to_string).collect();
    let name = options.default_database.clone();
    let name = name.unwrap_or_else(|| NAME.into());
    let place = format!("mongodb://{}/{name}", hosts.join(","));
    // The store finds its transactions by the name of its own connections.
    let app_name = format!("polychat-bus/{name}");
    options.app_name.get_or_insert(app_name);
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(CONNECTING);
    options.min_pool_size = None;
    options.max_pool_size = Some(CONNECTIONS);
    let client =
        Client::with_options(options).map_err(|error| refuse(&place, &sentence(&error)))?;
    // A stream brings what a majority has in its journal: sooner than if the writer does not wait for it.
    let write_concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    let promises = DatabaseOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(write_concern)
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    let database = client.database_with_options(&name, promises);
    Ok(Connection {
        client,
        database,
        place,
    })
}

/// The error of a bus that cannot be opened, in one sentence.
pub(super) fn refuse(place: &str, why: &str) -> OpenError {
    OpenError(format!("the bus {place} cannot be used: {why}"))
}

/// An error of the driver as a sentence for operators.
pub(super) fn sentence(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => {
            format!("no primary of a replica set answers there ({message})")
        }
        ErrorKind::Authentication { message, .. } => {
            format!("its user name or its password is not accepted ({message})")
        }
        kind => kind.to_string(),
    }
}
