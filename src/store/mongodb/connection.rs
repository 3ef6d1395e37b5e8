//! Connecting to the database that a URL names, and the error messages if that fails.
//! Does not let a password into any text.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, DriverInfo, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use tokio::time::timeout;

use super::database::{Database, app_name, mark};
use super::retry::DEADLINE;
use crate::model::NodeId;
use crate::store::OpenError;

/// The name of the database if the URL has none.
const NAME: &str = "polychat";

/// How long the driver looks for a primary: less than the deadline of a call, so that the call
/// returns the reason why there is none.
const SELECTION: Duration = Duration::from_millis(4_500);

/// The maximum number of connections, unless the URL has one.
const CONNECTIONS: u32 = 32;

/// How long it may take to resolve names and to connect.
const OPENING: Duration = Duration::from_secs(15);

/// Connects this node to the database that `url` names.
///
/// # Errors
/// One sentence: the URL cannot be parsed, no server answers, the credentials are wrong, or it is
/// no replica set.
pub(super) async fn connect(url: &str, node: NodeId) -> Result<Database, OpenError> {
    let options = options(url, node).await?;
    let hosts: Vec<_> = options.hosts.iter().map(ToString::to_string).collect();
    let name = options.default_database.clone();
    let name = name.unwrap_or_else(|| NAME.into());
    let app_name = options.app_name.clone().unwrap_or_default();
    let place = format!("mongodb://{}/{name}", hosts.join(","));
    let client =
        Client::with_options(options).map_err(|error| refuse(&place, &sentence(&error)))?;
    // Regardless of the URL: the contract in `store` depends on these.
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
    Ok(Database::new(client, database, app_name, place))
}

/// Acknowledged by a majority, journaled.
pub(super) fn write_concern() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// The error of a store that cannot be opened, in one sentence.
pub(super) fn refuse(place: &str, why: &str) -> OpenError {
    OpenError(format!("the store {place} cannot be used: {why}"))
}

/// An error of the driver as a sentence for operators.
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

/// How this node connects.
///
/// # Errors
/// One sentence: the URL cannot be parsed.
pub(super) async fn options(url: &str, node: NodeId) -> Result<ClientOptions, OpenError> {
    let mut options = match timeout(OPENING, ClientOptions::parse(url)).await {
        Ok(Ok(options)) => options,
        Ok(Err(error)) => return Err(unreadable(url, &error).await),
        Err(_) => {
            return Err(OpenError(
                "the hosts of the store mongodb+srv:// are not found in time".into(),
            ));
        }
    };
    let database = options.default_database.as_deref().unwrap_or(NAME);
    let (app_name, mark) = (app_name(database), mark(database, node));
    options.app_name.get_or_insert(app_name);
    options.driver_info = Some(DriverInfo::builder().name(mark).build());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(DEADLINE);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    Ok(options)
}

/// Why a URL cannot be parsed. The driver quotes what it does not understand, which may be a part
/// of a password: so the reason is that for the same URL with other credentials.
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

/// Whether this is a member of a replica set, or a router of a sharded cluster.
fn is_cluster(hello: &Document) -> bool {
    hello.contains_key("setName")
        || hello
            .get_str("msg")
            .is_ok_and(|message| message == "isdbgrid")
}
