//! The fields of one JSON object, taken out by name; what is left was not known.
//! Does not know which fields there are.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::names::{ChatName, UserName};
use crate::gateway::dialect::timestamps::{Moment, NO_MOMENT};
use crate::gateway::dialect::whole;
use crate::model::{ChatRef, Error, UserRef};

/// The fields of an object.
pub struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The fields of this JSON.
    ///
    /// # Errors
    /// `Invalid`: it is no object. `path`: how the error calls it.
    pub fn of(json: &'a str, path: &str) -> Result<Self, Error> {
        if !json.trim_start().starts_with('{') {
            return Err(Error::invalid(path, "must be a JSON object"));
        }
        serde_json::from_str(json)
            .map(Self)
            .map_err(|error| Error::invalid(path, &format!("is not JSON: {error}")))
    }

    /// The JSON of a field; null counts as none.
    pub fn take(&mut self, name: &str) -> Option<&'a str> {
        let json = self.0.remove(name)?.get();
        (json != "null").then_some(json)
    }

    /// The names of the fields that were not taken.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The fields that were not taken.
    pub fn rest(self) -> BTreeMap<String, &'a RawValue> {
        self.0
    }

    /// A text.
    ///
    /// # Errors
    /// `Invalid`: another JSON value.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        self.of_type(name, "must be a text")
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// `Invalid`: it is missing, or another JSON value.
    pub fn needed_text(&mut self, name: &str) -> Result<String, Error> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A text, or a whole number that is read as its digits.
    ///
    /// # Errors
    /// `Invalid`: another JSON value.
    pub fn text_or_number(&mut self, name: &str) -> Result<Option<String>, Error> {
        let wrong = || Error::invalid(name, "must be a text or a whole number");
        match self.take(name).map(serde_json::from_str) {
            None => Ok(None),
            Some(Ok(Value::String(text))) => Ok(Some(text)),
            Some(Ok(Value::Number(number))) => {
                let number = whole::of_number(&number).ok_or_else(wrong)?;
                Ok(Some(number.to_string()))
            }
            Some(_) => Err(wrong()),
        }
    }

    /// A whole number, or a text of one.
    ///
    /// # Errors
    /// `Invalid`: another JSON value.
    pub fn whole(&mut self, name: &str) -> Result<Option<i64>, Error> {
        let Some(json) = self.take(name) else {
            return Ok(None);
        };
        let value: Option<Value> = serde_json::from_str(json).ok();
        let number = value.as_ref().and_then(whole::of_json);
        let wrong = || Error::invalid(name, "must be a whole number");
        number.map(Some).ok_or_else(wrong)
    }

    /// A whole number of at least 0; 0 if it is missing.
    ///
    /// # Errors
    /// `Invalid`: another JSON value.
    pub fn count(&mut self, name: &str) -> Result<i64, Error> {
        match self.whole(name)?.unwrap_or(0) {
            number @ 0.. => Ok(number),
            _ => Err(Error::invalid(name, "must be at least 0")),
        }
    }

    /// A time.
    ///
    /// # Errors
    /// `Invalid`: another JSON value, or a day.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Error> {
        let moment: Option<Moment> = self.of_type(name, NO_MOMENT)?;
        Ok(moment.map(Moment::first))
    }

    /// A value that is written as a text.
    ///
    /// # Errors
    /// `Invalid`: another JSON value, or another text.
    pub fn named<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.of_type::<String>(name, expected)? else {
            return Ok(None);
        };
        let wrong = |_| Error::invalid(name, expected);
        text.parse().map(Some).map_err(wrong)
    }

    /// A user.
    ///
    /// # Errors
    /// `Invalid`: a value that names none.
    pub fn user(&mut self, name: &str) -> Result<Option<UserRef>, Error> {
        self.take(name).map(|json| user(json, name)).transpose()
    }

    /// A chat.
    ///
    /// # Errors
    /// `Invalid`: it is missing, or a value that names none.
    pub fn needed_chat(&mut self, name: &str) -> Result<ChatRef, Error> {
        let json = self.take(name).ok_or_else(|| missing(name))?;
        if json.starts_with('{') {
            let mut fields = Fields::of(json, name)?;
            let external = fields.text_or_number("externalChatId")?;
            let external = external.ok_or_else(|| missing("externalChatId"))?;
            return Ok(ChatRef::External(external.into()));
        }
        let value: Option<Value> = serde_json::from_str(json).ok();
        let text = match value {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => whole::of_number(&number).map(|pk| pk.to_string()),
            _ => None,
        };
        let named = text.and_then(|text| text.parse().ok());
        let named = named.map(|ChatName(chat)| chat);
        let why = "must name a chat: {\"externalChatId\": …}, its pk or its id";
        named.ok_or_else(|| Error::invalid(name, why))
    }

    /// The items of a list; none if it is missing.
    ///
    /// # Errors
    /// `Invalid`: another JSON value.
    pub fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, Error> {
        let Some(json) = self.take(name) else {
            return Ok(Vec::new());
        };
        let wrong = |_| Error::invalid(name, "must be a list");
        serde_json::from_str(json).map_err(wrong)
    }

    /// A value of one type.
    ///
    /// # Errors
    /// `Invalid`: another JSON value.
    pub fn of_type<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Error> {
        let Some(json) = self.take(name) else {
            return Ok(None);
        };
        let wrong = |_| Error::invalid(name, expected);
        serde_json::from_str(json).map(Some).map_err(wrong)
    }
}

/// The user that this JSON names.
///
/// # Errors
/// `Invalid`: it names none.
pub fn user(json: &str, name: &str) -> Result<UserRef, Error> {
    if json.starts_with('{') {
        let mut fields = Fields::of(json, name)?;
        let is_other = fields.take("id").or(fields.take("pk")).is_some();
        if let Some(external_id) = fields.text_or_number("externalUserId")?
            && !is_other
        {
            return Ok(UserRef::External(external_id));
        }
    }
    let named = serde_json::from_str(json).map(|UserName(user)| user);
    let why = "must name a user: {\"externalUserId\": …}, its pk or its id";
    named.map_err(|_| Error::invalid(name, why))
}

/// The error of a field that has to be there.
pub fn missing(name: &str) -> Error {
    Error::invalid(name, "is missing")
}
