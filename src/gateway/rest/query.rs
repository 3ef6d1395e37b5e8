//! The parameters of a query, read strictly: an unknown or a repeated one is an error.
//! Does not know the lists that use them.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::model::Error;

/// The default length of a page.
pub const PAGE: usize = 100;

/// The maximum length of a page.
const LONGEST_PAGE: usize = 1000;

/// Where tokens may stand (docs/AUTHENTICATION.md); not a parameter of any list.
const TOKEN: &str = "token";

/// A query that decodes to a `T`.
pub struct Query<T>(pub T);

/// A type that a query decodes to.
pub trait FromQuery: Sized {
    /// Takes the parameters that it knows.
    ///
    /// # Errors
    /// `Invalid`, with the parameter at fault.
    fn read(parameters: &mut Parameters) -> Result<Self, Error>;
}

/// No parameters at all.
impl FromQuery for () {
    fn read(_: &mut Parameters) -> Result<Self, Error> {
        Ok(())
    }
}

impl<T: FromQuery, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(read(&parts.uri)?))
    }
}

pub(super) fn read<T: FromQuery>(uri: &Uri) -> Result<T, Error> {
    let mut parameters = Parameters::of(uri)?;
    let query = T::read(&mut parameters)?;
    parameters.end()?;
    Ok(query)
}

/// The parameters that have not been decoded yet.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let pairs = axum::extract::Query::try_from_uri(uri);
        let pairs = pairs.map_err(|_| Error::invalid("query", "cannot be read"))?;
        let mut parameters = Self(pairs.0);
        parameters.take(TOKEN)?;
        Ok(parameters)
    }

    /// A text.
    ///
    /// # Errors
    /// `Invalid`: it is there twice.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Error> {
        let mut found = self.0.extract_if(.., |(key, _)| key == name);
        let first = found.next().map(|(_, value)| value);
        match found.next() {
            Some(_) => Err(Error::invalid(name, "is given twice")),
            None => Ok(first),
        }
    }

    /// A text that stands for something: an id, a time.
    ///
    /// # Errors
    /// `Invalid`: it is there twice, or stands for nothing: `why`.
    pub fn parsed<T: FromStr>(&mut self, name: &str, why: &str) -> Result<Option<T>, Error> {
        let text = self.take(name)?;
        let parsed = text.map(|text| text.parse());
        parsed.transpose().map_err(|_| Error::invalid(name, why))
    }

    /// A whole number of at least `least`, which is not negative. One that is too large for
    /// this machine is as large as they get.
    ///
    /// # Errors
    /// `Invalid`: it is something else, or there twice.
    pub fn whole(&mut self, name: &str, least: i64) -> Result<Option<i64>, Error> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().unwrap_or(i64::MAX));
        let why = || format!("must be a whole number of at least {least}");
        let number = number.filter(|number| *number >= least);
        number.map(Some).ok_or_else(|| Error::invalid(name, &why()))
    }

    /// How many things are wanted at most.
    ///
    /// # Errors
    /// `Invalid`: the `limit` is no number, or less than 1.
    pub fn limit(&mut self) -> Result<usize, Error> {
        let limit = self.whole("limit", 1)?;
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(limit.unwrap_or(PAGE).min(LONGEST_PAGE))
    }

    /// Where the page before ended.
    ///
    /// # Errors
    /// `Invalid`: it is there twice.
    pub fn cursor(&mut self) -> Result<Option<String>, Error> {
        self.take("cursor")
    }

    fn end(self) -> Result<(), Error> {
        /// How much of an unknown name an error repeats.
        const SHOWN: usize = 64;
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().take(SHOWN).collect();
                Err(Error::invalid(&shown, "is not a parameter here"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Page(usize, Option<String>);

    impl FromQuery for Page {
        fn read(parameters: &mut Parameters) -> Result<Self, Error> {
            Ok(Self(parameters.limit()?, parameters.cursor()?))
        }
    }

    fn page(query: &str) -> Result<Page, String> {
        let uri = format!("/users?{query}").parse().expect("an address");
        read(&uri).map_err(|error| error.message)
    }

    #[test]
    fn a_page_has_a_length_and_a_place() {
        assert_eq!(page(""), Ok(Page(PAGE, None)));
        assert_eq!(page("limit=7&cursor=u3"), Ok(Page(7, Some("u3".into()))));
        assert_eq!(page("limit=%37"), Ok(Page(7, None)));
    }

    #[test]
    fn a_limit_over_the_most_is_the_most() {
        for limit in ["1001", "9223372036854775808", "1000000000000000000000000"] {
            let limited = page(&format!("limit={limit}"));
            assert_eq!(limited, Ok(Page(LONGEST_PAGE, None)), "{limit}");
        }
    }

    #[test]
    fn a_token_is_no_parameter() {
        assert_eq!(page("token=anna"), Ok(Page(PAGE, None)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("limit=0", "limit: must be a whole number of at least 1"),
            ("limit=-1", "limit: must be a whole number of at least 1"),
            ("limit=", "limit: must be a whole number of at least 1"),
            ("limit=1&limit=2", "limit: is given twice"),
            ("Limit=1", "Limit: is not a parameter here"),
            ("page=1", "page: is not a parameter here"),
            ("%FF=1", "\u{FFFD}: is not a parameter here"),
        ];
        for (query, why) in cases {
            assert_eq!(page(query), Err(why.to_owned()), "{query}");
        }
    }
}
