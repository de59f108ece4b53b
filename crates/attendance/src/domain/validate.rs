//! Checks of input fields, with the messages a Laravel front end shows next to them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Longest name and e-mail address in characters, as Laravel's `string` columns have it.
const TEXT_LIMIT: usize = 255;

/// Which fields are wrong and why: the `errors` of a 422.
#[derive(Debug, Default)]
pub(crate) struct Invalid(Vec<(&'static str, String)>);

impl Invalid {
    /// One field with one message.
    pub(crate) fn one(field: &'static str, message: impl Into<String>) -> Self {
        Self(vec![(field, message.into())])
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
            errors.entry((*field).to_owned()).or_default().push(message.clone());
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

    /// Adds a message of the caller's own.
    pub(crate) fn error(&mut self, field: &'static str, message: impl Into<String>) {
        self.invalid.0.push((field, message.into()));
    }

    /// # Errors
    /// What was found wrong so far.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        if self.invalid.0.is_empty() { Ok(()) } else { Err(self.invalid) }
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
        invalid.0.push(("b", "Second.".into()));
        assert_eq!(invalid.message(), "First. (and 1 more error)");
        invalid.0.push(("b", "Third.".into()));
        assert_eq!(invalid.message(), "First. (and 2 more errors)");
        assert_eq!(json!(invalid.errors()), json!({ "a": ["First."], "b": ["Second.", "Third."] }));
    }
}
