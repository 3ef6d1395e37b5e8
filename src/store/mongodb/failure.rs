//! Classification of the driver's errors: duplicate keys, and transient failures.
//! Does not know which operation failed.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::store::StoreError;

/// The server's error code for a violated unique index.
const DUPLICATE_KEY: i32 = 11_000;

/// How the message of that error names the indexes of integer ids.
const PKS: [&str; 3] = [
    ".users index: pk ",
    ".chats index: pk ",
    ".events index: _id_ ",
];

/// The error codes of a server that starts, stops, or is not the primary.
const TRANSIENT: [i32; 14] = [
    6, 7, 89, 91, 134, 189, 262, 9001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436,
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match duplicate_key(&error) {
            Some(message) if PKS.iter().any(|index| message.contains(index)) => Self::PkTaken,
            Some(_) => Self::Duplicate,
            None => Self::Unavailable(Box::new(error)),
        }
    }
}

/// [`StoreError::Corrupt`] with this reason.
pub(super) fn corrupt(why: impl Into<String>) -> StoreError {
    StoreError::Corrupt(why.into())
}

/// Whether a retry may succeed.
pub(super) fn is_transient(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else {
        return false;
    };
    cause.downcast_ref::<Error>().is_some_and(may_succeed_later)
}

fn may_succeed_later(error: &Error) -> bool {
    if ["RetryableWriteError", "TransientTransactionError"]
        .iter()
        .any(|label| error.contains_label(label))
    {
        return true;
    }
    match &*error.kind {
        // After a write concern error the write is applied, but may not be acknowledged by enough
        // members. `ServerSelection` is not transient: the driver has waited for a server already.
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        ErrorKind::InsertMany(failed) => {
            failed.write_concern_error.is_some()
                || failed
                    .write_errors
                    .iter()
                    .flatten()
                    .any(|error| is_transient_code(error.code))
        }
        ErrorKind::Command(command) => is_transient_code(command.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => is_transient_code(error.code),
        _ => false,
    }
}

fn is_transient_code(code: i32) -> bool {
    TRANSIENT.contains(&code)
}

/// The message of a violated unique index, which alone names the index.
fn duplicate_key(error: &Error) -> Option<&str> {
    let (code, message) = match &*error.kind {
        ErrorKind::Command(command) => (command.code, &command.message),
        ErrorKind::Write(WriteFailure::WriteError(error)) => (error.code, &error.message),
        ErrorKind::InsertMany(failed) => {
            let mut errors = failed.write_errors.iter().flatten();
            let duplicate = errors.find(|error| error.code == DUPLICATE_KEY)?;
            (duplicate.code, &duplicate.message)
        }
        _ => return None,
    };
    (code == DUPLICATE_KEY).then_some(message)
}

/// The position at which an ordered insert of many has violated a unique index: the documents
/// before it are stored, the others are not. `None`: it failed otherwise, and what is stored is
/// unknown.
///
/// The error names the index only in its text: for an insert of many the driver does not pass on
/// the `keyPattern` of the server's reply.
pub(super) fn duplicate_position(error: &Error) -> Option<usize> {
    let ErrorKind::InsertMany(failed) = &*error.kind else {
        return None;
    };
    if failed.write_concern_error.is_some() {
        return None;
    }
    let first = failed.write_errors.as_ref()?.first()?;
    (first.code == DUPLICATE_KEY).then_some(first.index)
}
