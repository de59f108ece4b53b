//! Reads `gema.toml` into texts with their lines, and refuses keys that are not settings.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names;
use super::registry::Webhook;

/// A value of the file as text.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Found {
    /// The value.
    pub(crate) text: String,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// The values of the file or of one of its `[[apps]]`, by dotted key.
pub(crate) type Values = BTreeMap<String, Found>;

/// A whole file.
#[derive(Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Contents {
    /// What stands outside `[[apps]]`.
    pub(crate) process: Values,
    /// Each of `[[apps]]`.
    pub(crate) apps: Vec<Values>,
}

/// Reads a file. `name` is how errors call it; each is one sentence, without values, since these may be secret.
pub(crate) fn read(name: &str, text: &str) -> Result<Contents, Vec<String>> {
    let mut reader = Reader { name, text, problems: Vec::new() };
    let contents = match DeTable::parse(text) {
        Ok(document) => reader.document(document.get_ref()),
        Err(error) => {
            let line = reader.line(error.span().map_or(0, |span| span.start));
            return Err(vec![format!("{name}:{line} is not valid TOML: {}", error.message())]);
        }
    };
    if reader.problems.is_empty() { Ok(contents) } else { Err(reader.problems) }
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    problems: Vec<String>,
}

/// A place in the file: the dotted key so far, and the keys that are settings there.
struct Place<'a> {
    path: String,
    known: &'a [String],
}

impl Place<'_> {
    fn below(&self, key: &str) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, known: self.known }
    }

    fn is_webhooks(&self) -> bool {
        let single = self.path.strip_suffix('s').map(|path| format!("{path}.url"));
        self.path.ends_with("webhooks") && self.known.contains(&single.unwrap_or_default())
    }

    fn is_section(&self) -> bool {
        self.known.iter().any(|key| key.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('.')))
    }
}

impl Reader<'_> {
    /// The endpoints of `[[app.webhooks]]` or of an app of `[[apps]]`, as `webhooks[0].url` and so on.
    fn webhooks(&mut self, place: &Place<'_>, items: &[Spanned<DeValue<'_>>], into: &mut Values) {
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", place.path);
            let known: Vec<_> =
                Webhook::TABLE.iter().map(|setting| format!("{path}.{}", setting.key)).collect();
            if let Some(table) = item.get_ref().as_table() {
                self.section(&Place { path: path.clone(), known: &known }, table, into);
            }
            if !into.contains_key(&known[0]) {
                let line = self.line(item.span().start);
                self.problems.push(format!("{}:{line}: {} must be set", self.name, known[0]));
            }
        }
    }

    fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn document(&mut self, table: &DeTable<'_>) -> Contents {
        let known: Vec<_> = names::process_keys().collect();
        let mut contents = Contents::default();
        for (key, value) in table {
            if key.get_ref() == "apps" {
                contents.apps = self.apps(key, value);
            } else {
                let place = Place { path: key.get_ref().to_string(), known: &known };
                self.entry(&place, key, value, &mut contents.process);
            }
        }
        contents
    }

    fn apps(&mut self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) -> Vec<Values> {
        let known: Vec<_> = names::app_keys().collect();
        let tables = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_table()).collect(),
            _ => None,
        };
        let Some(tables): Option<Vec<_>> = tables else {
            let line = self.line(key.span().start);
            self.problems
                .push(format!("{}:{line}: apps must be written as [[apps]], once for each app", self.name));
            return Vec::new();
        };
        let read = |table: &DeTable<'_>| {
            let mut values = Values::new();
            self.section(&Place { path: String::new(), known: &known }, table, &mut values);
            values
        };
        tables.into_iter().map(read).collect()
    }

    fn section(&mut self, place: &Place<'_>, table: &DeTable<'_>, into: &mut Values) {
        for (key, value) in table {
            self.entry(&place.below(key.get_ref()), key, value, into);
        }
    }

    fn entry(
        &mut self,
        place: &Place<'_>,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
        into: &mut Values,
    ) {
        let line = self.line(key.span().start);
        match value.get_ref() {
            DeValue::Table(table) if place.is_section() => self.section(place, table, into),
            DeValue::Array(items) if place.is_webhooks() => self.webhooks(place, items, into),
            value if place.known.contains(&place.path) => match as_text(value) {
                Some(text) => drop(into.insert(place.path.clone(), Found { text, line })),
                None => self.problems.push(format!(
                    "{}:{line}: {} must be a text in quotes, a whole number, true or false",
                    self.name, place.path
                )),
            },
            _ => {
                let nearest = names::nearest(&place.path, place.known.iter());
                self.problems.push(format!(
                    "{}:{line}: {} is not a setting; did you mean {nearest}?",
                    self.name, place.path
                ));
            }
        }
    }
}

/// The text of a value that can be one.
fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            texts.map(|texts| texts.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, line: usize) -> Found {
        Found { text: text.to_owned(), line }
    }

    #[test]
    fn values_become_texts_with_lines() {
        let text = "[server]\nhost = \"127.0.0.1\"\nport = 9000\n\n[app]\nallowed_origins = [\"a\", \"b\"]\n\
            rate_limiting.enabled = false\n[[apps]]\nid = \"1\"\n[[apps]]\nid = \"2\"\n";
        let contents = read("gema.toml", text).unwrap();
        assert_eq!(contents.process["server.host"], found("127.0.0.1", 2));
        assert_eq!(contents.process["server.port"], found("9000", 3));
        assert_eq!(contents.process["app.allowed_origins"], found("a,b", 6));
        assert_eq!(contents.process["app.rate_limiting.enabled"], found("false", 7));
        assert_eq!(contents.apps[0]["id"], found("1", 9));
        assert_eq!(contents.apps[1]["id"], found("2", 11));
    }

    #[test]
    fn what_is_not_a_setting_is_refused_with_its_line() {
        let table = [
            ("[server]\nprot = 1", "gema.toml:2: server.prot is not a setting; did you mean server.port?"),
            ("port = 1", "gema.toml:1: port is not a setting; did you mean server.port?"),
            ("server = 1", "gema.toml:1: server is not a setting; did you mean server.host?"),
            ("[sever]", "gema.toml:1: sever is not a setting; did you mean server.host?"),
            ("[[apps]]\nkye = 1", "gema.toml:2: kye is not a setting; did you mean key?"),
            ("[apps]\nid = 1", "gema.toml:1: apps must be written as [[apps]], once for each app"),
            (
                "[server]\nport = 1.5",
                "gema.toml:2: server.port must be a text in quotes, a whole number, true or false",
            ),
        ];
        for (text, sentence) in table {
            assert_eq!(read("gema.toml", text), Err(vec![sentence.to_owned()]), "{text}");
        }
    }

    #[test]
    fn a_syntax_error_names_its_line_and_shows_no_value() {
        let problems = read("gema.toml", "[server]\nport = 1\n[app]\nsecret = \"hush\n").unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("gema.toml:4 is not valid TOML: "), "{problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }
}
