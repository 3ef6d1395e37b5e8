//! How ids and times stand in columns.
//! It refuses to know tables.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::model::{ChatId, MessageId, Policy, UserId};

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

/// A time as milliseconds since 1970.
pub(super) struct Millisecond(pub Timestamp);

impl ToSql for Millisecond {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_millisecond().into())
    }
}

impl FromSql for Millisecond {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let time = Timestamp::from_millisecond(value.as_i64()?);
        time.map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for Policy {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Closed => "closed".into(),
            Self::Open => "open".into(),
        })
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
