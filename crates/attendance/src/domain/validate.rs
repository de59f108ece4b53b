//! Checks of input fields, with the messages a Laravel front end shows next to them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest name and e-mail address in characters, as Laravel's `string` columns have it.
const TEXT_LIMIT: usize = 255;

/// Which fields are wrong and why: the `errors` of a 422.
#[derive(Debug, Default)]
pub(crate) struct Invalid(Vec<(Cow<'static, str>, String)>);

impl Invalid {
    /// One field with one message.
    pub(crate) fn one(field: &'static str, message: impl Into<String>) -> Self {
        Self(vec![(field.into(), message.into())])
    }

    /// Adds a message.
    pub(crate) fn add(&mut self, field: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        self.0.push((field.into(), message.into()));
    }

    /// # Errors
    /// Itself, unless it is empty.
    pub(crate) fn finish(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The first message, and how many there are beside it.
    pub(crate) fn message(&self) -> String {
        let first = self.0.first().map_or("The given data was invalid.", |(_, message)| message.as_str());
        match self.0.len() {
            0 | 1 => first.to_owned(),
            2 => format!("{first} (and 1 more error)"),
            n => format!("{first} (and {} more errors)", n - 1),
        }
    }

    /// The messages of each field.
    pub(crate) fn errors(&self) -> BTreeMap<String, Vec<String>> {
        let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (field, message) in &self.0 {
            errors.entry(field.clone().into_owned()).or_default().push(message.clone());
        }
        errors
    }
}

/// Reads fields and collects what is wrong with them. A getter that failed gives an empty value; [`Fields::finish`]
/// must be asked before any of them is used.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    input: &'a Map<String, Value>,
    invalid: Invalid,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(input: &'a Map<String, Value>) -> Self {
        Self { input, invalid: Invalid::default() }
    }

    /// A required text of 1 to `limit` characters, without blanks around it.
    pub(crate) fn text(&mut self, field: &'static str, limit: usize) -> String {
        match self.optional_text(field, limit) {
            Some(text) => text,
            None => {
                if !self.has_error(field) {
                    self.error(field, format!("The {} field is required.", label(field)));
                }
                String::new()
            }
        }
    }

    /// A text of at most `limit` characters, without blanks around it; blank and null count as absent.
    pub(crate) fn optional_text(&mut self, field: &'static str, limit: usize) -> Option<String> {
        let text = self.raw_text(field)?.trim();
        // Lines and tabs are what people type; the rest nobody sees, and NUL ends texts elsewhere.
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.error(field, unprintable(field));
            return None;
        }
        self.limited(field, text, limit)
    }

    /// A required name, on one line.
    pub(crate) fn name(&mut self, field: &'static str) -> String {
        let name = self.text(field, TEXT_LIMIT);
        if name.contains(char::is_control) {
            self.error(field, unprintable(field));
        }
        name
    }

    /// A required e-mail address, in lower case.
    pub(crate) fn email(&mut self, field: &'static str) -> String {
        let email = self.text(field, TEXT_LIMIT).to_lowercase();
        if !self.has_error(field) && !looks_like_email(&email) {
            self.error(field, format!("The {field} field must be a valid email address."));
        }
        email
    }

    /// A required password of at least `least` characters, exactly as typed.
    pub(crate) fn password(&mut self, field: &'static str, least: usize) -> String {
        let text = self.raw_text(field).unwrap_or_default();
        if text.is_empty() && !self.has_error(field) {
            self.error(field, format!("The {field} field is required."));
        } else if text.chars().count() < least && !self.has_error(field) {
            self.error(field, format!("The {field} field must be at least {least} characters."));
        }
        self.limited(field, text, TEXT_LIMIT).unwrap_or_default()
    }

    /// A required value out of few.
    pub(crate) fn choice<T>(&mut self, field: &'static str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(field, TEXT_LIMIT);
        if self.has_error(field) {
            return None;
        }
        let value = parse(&text);
        if value.is_none() {
            self.error(field, format!("The selected {field} is invalid."));
        }
        value
    }

    /// A required point in time, ISO 8601 with an offset or `Z`, from 1970 to `now`.
    pub(crate) fn moment(&mut self, field: &'static str, now: Timestamp) -> Option<Timestamp> {
        let parsed = self.raw_text(field).and_then(|text| text.trim().parse::<Timestamp>().ok());
        let rule = match parsed {
            None => "valid date: ISO 8601 with an offset, such as 2026-11-22T08:00:00+07:00",
            Some(at) if at > now => "date before or equal to now",
            Some(at) if at < Timestamp::UNIX_EPOCH => "date after or equal to 1970-01-01",
            Some(at) => return Some(at),
        };
        if !self.has_error(field) {
            self.error(field, format!("The {} field must be a {rule}.", label(field)));
        }
        None
    }

    /// A whole number, also as a form sends it; null counts as absent.
    pub(crate) fn integer(&mut self, field: &'static str) -> Option<i64> {
        let value = self.input.get(field).filter(|value| !value.is_null())?;
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        if number.is_none() {
            self.error(field, format!("The {} field must be an integer.", label(field)));
        }
        number
    }

    /// Whether the field was sent, be it null.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.input.contains_key(field)
    }

    /// Whether the field was sent as null.
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.input.get(field).is_some_and(Value::is_null)
    }

    /// For changes: refuses a body that has none of the fields that can be `changed`, and one that has fields neither
    /// among these nor among those `beside` them. A misspelled name must not pass for done.
    pub(crate) fn only(&mut self, changed: &[&'static str], beside: &[&str]) {
        // A form carries the CSRF token among its fields.
        let is_known = |name: &str| name == "_token" || changed.contains(&name) || beside.contains(&name);
        if let Some(name) = self.input.keys().find(|name| !is_known(name)) {
            self.error(name.clone(), format!("The {} field cannot be changed.", label(name)));
        } else if let [first, others @ ..] = changed
            && !changed.iter().any(|name| self.has(name))
        {
            let others = label(&others.join(" / "));
            let when = format!("when none of {others} are present");
            self.error(*first, format!("The {} field is required {when}.", label(first)));
        }
    }

    /// Adds a message of the caller's own.
    pub(crate) fn error(&mut self, field: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        self.invalid.add(field, message);
    }

    /// # Errors
    /// What was found wrong so far.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        self.invalid.finish()
    }

    fn has_error(&self, field: &str) -> bool {
        self.invalid.0.iter().any(|(name, _)| *name == field)
    }

    fn raw_text(&mut self, field: &'static str) -> Option<&'a str> {
        match self.input.get(field)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.error(field, format!("The {} field must be a string.", label(field)));
                None
            }
        }
    }

    fn limited(&mut self, field: &'static str, text: &str, limit: usize) -> Option<String> {
        if text.chars().count() > limit {
            let label = label(field);
            self.error(field, format!("The {label} field must not be greater than {limit} characters."));
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }
}

fn unprintable(field: &str) -> String {
    format!("The {} field must not contain control characters.", label(field))
}

/// `socket_id` reads "socket id" in messages.
fn label(field: &str) -> String {
    field.replace('_', " ")
}

/// One `@` with something sensible on both sides. Whether mail arrives there, only mail can tell.
fn looks_like_email(email: &str) -> bool {
    let plain = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let Some((local, domain)) = email.split_once('@') else { return false };
    plain && !local.is_empty() && !domain.contains('@') && !domain.split('.').any(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(input: Value, read: impl FnOnce(&mut Fields<'_>)) -> Result<(), Value> {
        let Value::Object(map) = input else { panic!("no object") };
        let mut fields = Fields::new(&map);
        read(&mut fields);
        fields.finish().map_err(|invalid| json!(invalid.errors()))
    }

    #[test]
    fn emails() {
        for good in ["a@b.c", "first.last+tag@example.com", "x@localhost", "A@B.C "] {
            assert_eq!(check(json!({ "email": good }), |f| drop(f.email("email"))), Ok(()), "{good}");
        }
        for bad in ["a", "@b.c", "a@", "a@b@c", "a b@c.d", "a@.c", "a@b..c", "a@b\u{0}.c"] {
            assert!(check(json!({ "email": bad }), |f| drop(f.email("email"))).is_err(), "{bad}");
        }
    }

    #[test]
    fn required_types_and_lengths() {
        let required = json!({ "name": ["The name field is required."] });
        assert_eq!(check(json!({}), |f| drop(f.name("name"))), Err(required.clone()));
        assert_eq!(check(json!({ "name": null }), |f| drop(f.name("name"))), Err(required.clone()));
        assert_eq!(check(json!({ "name": "  " }), |f| drop(f.name("name"))), Err(required));
        let kind = json!({ "name": ["The name field must be a string."] });
        assert_eq!(check(json!({ "name": 5 }), |f| drop(f.name("name"))), Err(kind));
        let long = json!({ "notes": ["The notes field must not be greater than 3 characters."] });
        assert_eq!(check(json!({ "notes": "abcd" }), |f| drop(f.optional_text("notes", 3))), Err(long));
        assert_eq!(check(json!({ "notes": "äöü" }), |f| drop(f.optional_text("notes", 3))), Ok(()));
    }

    #[test]
    fn control_characters_are_refused_but_lines_in_notes() {
        let wrong = json!({ "name": ["The name field must not contain control characters."] });
        for name in ["a\u{0}b", "a\nb", "a\u{7f}", "\u{9b}31m"] {
            assert_eq!(
                check(json!({ "name": name }), |f| drop(f.name("name"))),
                Err(wrong.clone()),
                "{name:?}"
            );
        }
        for (notes, fine) in [("a\r\n\tb", true), ("a\u{0}", false), ("a\u{1b}[2J", false)] {
            let outcome = check(json!({ "notes": notes }), |f| drop(f.optional_text("notes", 99)));
            assert_eq!(outcome.is_ok(), fine, "{notes:?}");
        }
    }

    #[test]
    fn the_message_counts_the_rest() {
        let mut invalid = Invalid::one("a", "First.");
        assert_eq!(invalid.message(), "First.");
        invalid.add("b", "Second.");
        assert_eq!(invalid.message(), "First. (and 1 more error)");
        invalid.add("b", "Third.");
        assert_eq!(invalid.message(), "First. (and 2 more errors)");
        assert_eq!(json!(invalid.errors()), json!({ "a": ["First."], "b": ["Second.", "Third."] }));
    }
}
