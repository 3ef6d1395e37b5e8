//! Reading the fields of a JSON request, with errors that name the field by its path.
//! It refuses to know any request: the dialects do.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::model::Error;

/// A JSON object and the path to it. A field that is null counts as missing.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of a request's body.
    ///
    /// # Errors
    /// `Invalid`: it is no object.
    pub fn of_body(body: &'a Value) -> Result<Self, Error> {
        let map = body
            .as_object()
            .ok_or_else(|| Error::invalid("body", "must be an object"))?;
        let path = String::new();
        Ok(Self { path, map })
    }

    /// An error about the field `key`.
    pub fn invalid(&self, key: &str, why: &str) -> Error {
        Error::invalid(&self.name(key), why)
    }

    /// An object.
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn object(&self, key: &str) -> Result<Option<Self>, Error> {
        self.typed(key, "must be an object", |value| {
            value.as_object().map(|map| Fields {
                path: self.name(key),
                map,
            })
        })
    }

    /// A string.
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.typed(key, "must be a string", Value::as_str)
    }

    /// A list of strings.
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, Error> {
        self.typed(key, "must be a list of strings", |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// A whole number of at least `least`.
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn whole(&self, key: &str, least: i64) -> Result<Option<i64>, Error> {
        let why = format!("must be a whole number of at least {least}");
        self.typed(key, &why, |value| {
            value.as_i64().filter(|number| *number >= least)
        })
    }

    /// A whole number of at least `least`, or the same as a string: front ends send back what
    /// they read from an address (PROTOCOL §1.1).
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn number(&self, key: &str, least: i64) -> Result<Option<i64>, Error> {
        let why = format!("must be a whole number of at least {least}");
        self.typed(key, &why, |value| {
            let number = match value {
                Value::String(text) => text.parse().ok(),
                value => value.as_i64(),
            };
            number.filter(|number| *number >= least)
        })
    }

    /// True or false.
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "must be true or false", Value::as_bool)
    }

    /// A string that stands for something: an id, a time.
    ///
    /// # Errors
    /// `Invalid`: no string, or `why` where it does not stand for a `T`.
    pub fn parsed<T: FromStr>(&self, key: &str, why: &str) -> Result<Option<T>, Error> {
        let parse = |text: &str| text.parse().map_err(|_| self.invalid(key, why));
        self.text(key)?.map(parse).transpose()
    }

    /// The id of the `noun` in the field `key`. A string that is no id at all is the id of
    /// nothing: it was never given out (PROTOCOL §1.4).
    ///
    /// # Errors
    /// `Invalid`: no string. `NotFound`: no id.
    pub fn id<T: FromStr>(&self, key: &str, noun: &str) -> Result<Option<T>, Error> {
        self.text(key)?.map(|text| id(text, noun)).transpose()
    }

    /// The error for a field that has to be there.
    pub fn missing(&self, key: &str) -> Error {
        self.invalid(key, "is missing")
    }

    fn typed<T>(
        &self,
        key: &str,
        why: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.invalid(key, why)),
            },
        }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// The id that a text stands for.
///
/// # Errors
/// `NotFound`: it stands for none.
pub fn id<T: FromStr>(text: &str, noun: &str) -> Result<T, Error> {
    /// As much of a wrong id as an error repeats.
    const SHOWN: usize = 64;
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SHOWN).collect();
        Error::not_found(format_args!("{noun} {shown}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_names_the_whole_path() {
        let body = json!({"chat": {"id": 7}});
        let chat = Fields::of_body(&body).and_then(|body| body.object("chat"));
        let chat = chat.expect("an object").expect("a chat");
        let error = chat.text("id").expect_err("a number is no string");
        assert_eq!(error.message, "chat.id: must be a string");
    }

    #[test]
    fn null_is_missing() {
        let body = json!({"msg": null});
        let fields = Fields::of_body(&body).expect("an object");
        assert_eq!(fields.text("msg").expect("null is no error"), None);
    }

    #[test]
    fn numbers_are_whole_and_large_enough() {
        let body = json!({"a": 0, "b": 1.5, "c": "1", "d": 1e300, "e": 3});
        let fields = Fields::of_body(&body).expect("an object");
        for key in ["a", "b", "c", "d"] {
            assert!(fields.whole(key, 1).is_err(), "{key}");
        }
        assert_eq!(fields.whole("e", 1).expect("three"), Some(3));
    }

    #[test]
    fn a_number_may_be_a_text() {
        let body = json!({
            "a": 0, "b": "0", "c": 7, "d": "7", "e": i64::MAX, "f": i64::MAX.to_string(),
        });
        let fields = Fields::of_body(&body).expect("an object");
        let expected = [
            ("a", 0),
            ("b", 0),
            ("c", 7),
            ("d", 7),
            ("e", i64::MAX),
            ("f", i64::MAX),
        ];
        for (key, number) in expected {
            assert_eq!(fields.number(key, 0).expect(key), Some(number), "{key}");
        }
        for key in ["a", "b"] {
            let error = fields.number(key, 1).expect_err("too small");
            assert_eq!(
                error.message,
                format!("{key}: must be a whole number of at least 1")
            );
        }
        assert_eq!(fields.number("z", 0).expect("missing is no error"), None);
    }

    #[test]
    fn what_is_no_whole_number_is_refused_as_a_text_too() {
        let wrong = json!([
            -1, 1.5, 1e300, u64::MAX, true, [1], {"a": 1},
            "-1", "1.5", "1e300", "9223372036854775808", "", " 1", "1 ", "0x1", "one",
        ]);
        for value in wrong.as_array().expect("a list") {
            let body = json!({"a": {"b": value}});
            let fields = Fields::of_body(&body).and_then(|body| body.object("a"));
            let fields = fields.expect("an object").expect("there");
            let error = fields.number("b", 0).expect_err("no number");
            let why = "a.b: must be a whole number of at least 0";
            assert_eq!(error.message, why, "{value}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false_and_nothing_like_it() {
        let body = json!({"a": true, "b": false, "c": null});
        let fields = Fields::of_body(&body).expect("an object");
        for (key, flag) in [
            ("a", Some(true)),
            ("b", Some(false)),
            ("c", None),
            ("d", None),
        ] {
            assert_eq!(fields.flag(key).expect(key), flag, "{key}");
        }
        for value in [
            json!(1),
            json!(0),
            json!("true"),
            json!(""),
            json!([]),
            json!({}),
        ] {
            let body = json!({"a": value});
            let fields = Fields::of_body(&body).expect("an object");
            let error = fields.flag("a").expect_err("no flag");
            assert_eq!(error.message, "a: must be true or false", "{value}");
        }
    }
}
