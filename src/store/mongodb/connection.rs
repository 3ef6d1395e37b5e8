//! From a URL to a database of a replica set, and what is said when there is none.
//! It refuses to let a password into any text.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria,
    WriteConcern,
};
use mongodb::{Client, Database};
use tokio::time::timeout;

use super::retry::DEADLINE;
use crate::store::OpenError;

/// The database when the URL names none.
const DATABASE: &str = "polychat";

/// How long the driver looks for a primary: less than a call may take, so that the one who
/// calls is told why there is none.
const SELECTION: Duration = Duration::from_millis(4_500);

/// How many connections one store keeps at most, unless the URL says otherwise.
const CONNECTIONS: u32 = 32;

/// How long opening may take: names are looked up, connections made.
const OPENING: Duration = Duration::from_secs(15);

/// A database that answers, and what it is called for people.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) database: Database,
    /// Hosts and database, without credentials and options.
    pub(super) place: String,
}

/// Connects to the database that `url` names.
///
/// # Errors
/// One sentence: the URL cannot be read, nobody answers, the credentials are wrong, or it is no
/// replica set.
pub(super) async fn connect(url: &str) -> Result<Connection, OpenError> {
    let options = options(url).await?;
    let hosts: Vec<_> = options.hosts.iter().map(ToString::to_string).collect();
    let name = options.default_database.clone();
    let name = name.unwrap_or_else(|| DATABASE.into());
    let place = format!("mongodb://{}/{name}", hosts.join(","));
    let client =
        Client::with_options(options).map_err(|error| refuse(&place, &sentence(&error)))?;
    // Whatever the URL says of it: these make the promises of the traits true.
    let promises = DatabaseOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(write_concern())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    let database = client.database_with_options(&name, promises);
    let hello = database.run_command(doc! { "hello": 1 }).await;
    let hello = hello.map_err(|error| refuse(&place, &sentence(&error)))?;
    if !is_cluster(&hello) {
        let why = "it is a single mongod without a replica set, which has no majority and no \
                   transactions; start it with --replSet rs0 and run rs.initiate() on it once";
        return Err(refuse(&place, why));
    }
    Ok(Connection {
        client,
        database,
        place,
    })
}

/// On most members, in their journals.
pub(super) fn write_concern() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// Why a store cannot be opened, in one sentence.
pub(super) fn refuse(place: &str, why: &str) -> OpenError {
    OpenError(format!("the store {place} cannot be used: {why}"))
}

/// What this error means to an operator.
pub(super) fn sentence(error: &Error) -> String {
    const NOT_AUTHENTICATED: [i32; 2] = [13, 18];
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => format!(
            "no primary of a replica set answers there; is it running, and was its replica set \
             initiated with rs.initiate()? ({message})"
        ),
        ErrorKind::Authentication { message, .. } => {
            format!("its user name or its password is not accepted ({message})")
        }
        ErrorKind::Command(command) if NOT_AUTHENTICATED.contains(&command.code) => {
            format!(
                "its user name or its password is not accepted ({})",
                command.message
            )
        }
        kind => kind.to_string(),
    }
}

async fn options(url: &str) -> Result<ClientOptions, OpenError> {
    let mut options = match timeout(OPENING, ClientOptions::parse(url)).await {
        Ok(Ok(options)) => options,
        Ok(Err(error)) => return Err(unreadable(url, &error).await),
        Err(_) => {
            return Err(OpenError(
                "the hosts of the store mongodb+srv:// are not found in time".into(),
            ));
        }
    };
    options.app_name.get_or_insert_with(|| DATABASE.into());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(DEADLINE);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    Ok(options)
}

/// Why a URL cannot be read. The driver quotes what it does not understand, and that may be a
/// piece of a password: so it is asked about the same URL with other credentials.
async fn unreadable(url: &str, error: &Error) -> OpenError {
    let Some((scheme, rest)) = url.split_once("://") else {
        return OpenError("the store has no URL; write mongodb://HOST/DATABASE".into());
    };
    let why = match rest.rsplit_once('@') {
        None => Some(error.kind.to_string()),
        Some((_, hosts)) => {
            let masked = format!("{scheme}://user:password@{hosts}");
            let parsed = timeout(OPENING, ClientOptions::parse(masked)).await;
            let error = parsed.ok().and_then(Result::err);
            error.map(|error| error.kind.to_string())
        }
    };
    let why = why.unwrap_or_else(|| {
        "special characters in its user name or its password must be written as in %40 for @".into()
    });
    OpenError(format!(
        "the URL of the store {scheme}:// cannot be read: {why}"
    ))
}

/// Whether it is a member of a replica set, or the door of a sharded cluster.
fn is_cluster(hello: &Document) -> bool {
    hello.contains_key("setName")
        || hello
            .get_str("msg")
            .is_ok_and(|message| message == "isdbgrid")
}
