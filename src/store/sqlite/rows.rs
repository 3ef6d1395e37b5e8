//! How ids, times and lists stand in columns.
//! Does not know tables.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, Row};
use serde_json::{Map, Value};

use crate::model::{
    Access, AuditAct, AuditId, ChatId, Fingerprint, MemberRole, MessageId, Metadata, Policy,
    Sanction, UserId,
};
use crate::store::StoreError;
use crate::store::times::millisecond;

/// An id as the 16 bytes of its UUID.
macro_rules! id_column {
    ($name:ident) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(Self::from_bytes)
            }
        }
    };
}

id_column!(UserId);
id_column!(ChatId);
id_column!(MessageId);
id_column!(Fingerprint);
id_column!(AuditId);

/// A time as milliseconds since 1970.
pub(super) struct Millisecond(pub Timestamp);

impl ToSql for Millisecond {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(millisecond(self.0).into())
    }
}

impl FromSql for Millisecond {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let time = Timestamp::from_millisecond(value.as_i64()?);
        time.map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for Metadata {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.json().into())
    }
}

impl FromSql for Metadata {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let json = value.as_str()?.to_owned();
        let wrong = || FromSqlError::other(NoMetadata);
        Self::of_json(json).ok_or_else(wrong)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the metadata of a message is no JSON")]
struct NoMetadata;

/// Texts as a JSON list.
pub(super) struct Texts(pub Vec<String>);

impl ToSql for Texts {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0);
        let json = json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(json.into())
    }
}

impl FromSql for Texts {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let texts = serde_json::from_str(value.as_str()?);
        texts.map(Self).map_err(FromSqlError::other)
    }
}

/// The particulars of an act as a JSON object.
pub(super) struct Details(pub Map<String, Value>);

impl ToSql for Details {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0);
        let json = json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(json.into())
    }
}

impl FromSql for Details {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let details = serde_json::from_str(value.as_str()?);
        details.map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for AuditAct {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for AuditAct {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::of_name(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// By rank, from 0 on.
impl ToSql for MemberRole {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let rank = Self::ALL.iter().take_while(|role| *role < self).count();
        let rank = i64::try_from(rank);
        let rank = rank.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(rank.into())
    }
}

impl FromSql for MemberRole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let rank = value.as_i64()?;
        let role = usize::try_from(rank)
            .ok()
            .and_then(|rank| Self::ALL.get(rank));
        role.copied().ok_or(FromSqlError::OutOfRange(rank))
    }
}

impl ToSql for Access {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Unasked => "unasked".into(),
            Self::Asked => "asked".into(),
            Self::Granted => "granted".into(),
        })
    }
}

impl FromSql for Access {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "unasked" => Ok(Self::Unasked),
            "asked" => Ok(Self::Asked),
            "granted" => Ok(Self::Granted),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

impl ToSql for Policy {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Policy {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "closed" => Ok(Self::Closed),
            "open" => Ok(Self::Open),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// A mute, from its two columns.
pub(super) fn mute(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Sanction>> {
    if !row.get(first)? {
        return Ok(None);
    }
    let until = row.get::<_, Option<Millisecond>>(first + 1)?;
    Ok(Some(Sanction {
        until: until.map(|until| until.0),
    }))
}

/// The result of an insertion; a violated constraint is a duplicate.
pub(super) fn taken<T>(inserted: rusqlite::Result<T>) -> Result<T, StoreError> {
    match inserted {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StoreError::Duplicate)
        }
        inserted => Ok(inserted?),
    }
}
