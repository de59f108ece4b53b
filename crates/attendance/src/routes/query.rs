//! Query parameters, checked with the same 422 as fields of a body.

use std::collections::HashMap;
use std::mem;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use jiff::civil::Date;

use crate::domain::Invalid;
use crate::error::Error;

/// Longest text to look for, in characters.
pub(crate) const Q_LIMIT: usize = 255;

/// The parameters of an address. As with `Fields`, [`Params::finish`] must be asked before values are used.
#[derive(Debug)]
pub(crate) struct Params {
    values: HashMap<String, String>,
    invalid: Invalid,
}

impl Params {
    /// A whole number.
    pub(crate) fn integer(&mut self, name: &'static str) -> Option<i64> {
        self.parsed(name, "must be an integer", |text| text.parse().ok())
    }

    /// A calendar date, as `YYYY-MM-DD`.
    pub(crate) fn date(&mut self, name: &'static str) -> Option<String> {
        let is_date = |text: &str| text.len() == 10 && text.parse::<Date>().is_ok();
        self.parsed(name, "must be a date such as 2026-11-22", |text| is_date(text).then(|| text.to_owned()))
    }

    /// `true`/`1` or `false`/`0`; absent is false.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let parse = |text: &str| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        self.parsed(name, "must be true or false", parse).unwrap_or(false)
    }

    /// A value out of few.
    pub(crate) fn choice<T>(&mut self, name: &'static str, parse: fn(&str) -> Option<T>) -> Option<T> {
        self.parsed(name, "is invalid", parse)
    }

    /// A text to look for, without blanks around it.
    pub(crate) fn text(&mut self, name: &'static str, limit: usize) -> Option<String> {
        let rule = format!("must not be greater than {limit} characters");
        let text =
            self.parsed(name, &rule, |text| (text.chars().count() <= limit).then(|| text.trim().to_owned()));
        text.filter(|text| !text.is_empty())
    }

    /// Refuses two dates of which the second comes first.
    pub(crate) fn ordered(&mut self, from: Option<&str>, to: Option<&str>) {
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            self.invalid.add("to", "The to field must be a date after or equal to from.");
        }
    }

    /// # Errors
    /// 422 for what was wrong so far.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        mem::take(&mut self.invalid).finish().map_err(Error::Invalid)
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.values.get(name).filter(|text| !text.is_empty())?;
        let value = parse(text);
        if value.is_none() {
            self.invalid.add(name, format!("The {} field {rule}.", name.replace('_', " ")));
        }
        value
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(values) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Error::Malformed(rejection.body_text()))?;
        Ok(Self { values, invalid: Invalid::default() })
    }
}
