//! Reads `.env` files the way phpdotenv does, so that a Laravel application's file works as it is.
//!
//! Covered: comments, `export`, bare, single-quoted (literal) and double-quoted values (escapes, several lines),
//! and `${NAME}` in bare and double-quoted values, looked up in the environment first and then in the lines above.
//! What phpdotenv refuses (a bare value with spaces, an unknown escape) is refused here, with the line; the sentence
//! never repeats the value, which may be a secret. The last of several lines with one name wins.

use std::collections::BTreeMap;

/// One variable of a `.env` file.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Entry {
    /// Its value; a name without `=` has an empty one.
    pub(crate) value: String,
    /// The line it begins on, from 1.
    pub(crate) line: usize,
}

/// What is wrong with a `.env` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong there, as the end of a sentence.
    pub(crate) what: &'static str,
}

/// Parses a whole file. `environment` looks up variables of the process for `${NAME}`.
pub(crate) fn parse(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Entry>, Fault> {
    let mut entries = BTreeMap::<String, Entry>::new();
    let mut scanner = Scanner { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    while scanner.skip_to_entry() {
        let line = scanner.line;
        let name = scanner.name()?;
        let lookup =
            |name: &str| environment(name).or_else(|| entries.get(name).map(|entry| entry.value.clone()));
        let value = if scanner.eat('=') { scanner.value(&lookup)? } else { String::new() };
        scanner.end_of_line()?;
        entries.insert(name, Entry { value, line });
    }
    Ok(entries)
}

/// The part of the file that is still to be read, and where it begins.
struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { line: self.line, what })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn blanks(&mut self) {
        self.take_while(|c| c.is_whitespace() && c != '\n');
    }

    /// Passes empty lines and comments; false at the end of the file.
    fn skip_to_entry(&mut self) -> bool {
        loop {
            self.take_while(char::is_whitespace);
            if self.peek() != Some('#') {
                return !self.rest.is_empty();
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn name(&mut self) -> Result<String, Fault> {
        if let Some(rest) = self.rest.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])) {
            self.rest = rest;
            self.blanks();
        }
        let quote = self.peek().filter(|c| matches!(c, '"' | '\''));
        if quote.is_some() {
            self.next();
        }
        let name = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '.').to_owned();
        if name.is_empty() || quote.is_some_and(|quote| !self.eat(quote)) {
            return self.fault("has no variable name of letters, digits and underscores");
        }
        self.blanks();
        Ok(name)
    }

    fn value(&mut self, lookup: &impl Fn(&str) -> Option<String>) -> Result<String, Fault> {
        self.blanks();
        let line = self.line;
        if self.eat('\'') {
            let literal = self.take_while(|c| c != '\'').to_owned();
            let unclosed = Fault { line, what: "has a single quote that is never closed" };
            return if self.eat('\'') { Ok(literal) } else { Err(unclosed) };
        }
        if self.eat('"') {
            return self.double_quoted(lookup);
        }
        let mut value = String::new();
        while let Some(next) = self.peek().filter(|c| !c.is_whitespace() && *c != '#') {
            self.next();
            self.push(&mut value, next, lookup);
        }
        Ok(value)
    }

    fn double_quoted(&mut self, lookup: &impl Fn(&str) -> Option<String>) -> Result<String, Fault> {
        let begin = self.line;
        let mut value = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(value),
                Some('\\') => value.push(self.escape()?),
                Some(next) => self.push(&mut value, next, lookup),
                None => return Err(Fault { line: begin, what: "has a double quote that is never closed" }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        match self.next() {
            Some(same @ ('"' | '\\' | '$')) => Ok(same),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('f') => Ok('\u{c}'),
            Some('v') => Ok('\u{b}'),
            _ => self.fault("has an unknown escape; write \\\\ for a backslash or use single quotes"),
        }
    }

    /// Appends a character, or what a `${NAME}` that begins with it stands for; an unknown name stays as it is.
    fn push(&mut self, value: &mut String, next: char, lookup: &impl Fn(&str) -> Option<String>) {
        let name = (next == '$').then(|| self.rest.strip_prefix('{')?.split_once('}')).flatten();
        match name.and_then(|(name, rest)| Some((lookup(name)?, rest))) {
            Some((found, rest)) => {
                value.push_str(&found);
                self.rest = rest;
            }
            None => value.push(next),
        }
    }

    fn end_of_line(&mut self) -> Result<(), Fault> {
        self.blanks();
        match self.peek() {
            None | Some('\n') => Ok(()),
            Some('#') => {
                self.take_while(|c| c != '\n');
                Ok(())
            }
            Some(_) => self.fault("has a value with spaces and no quotes; put it in double quotes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of_a(text: &str) -> Result<String, Fault> {
        let environment = |name: &str| (name == "OUTER").then(|| "outer".to_owned());
        parse(text, environment).map(|entries| entries["A"].value.clone())
    }

    #[test]
    fn values_are_read_as_phpdotenv_reads_them() {
        let table = [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("  export A=b", "b"),
            ("'A'=b", "b"),
            ("A=", ""),
            ("A", ""),
            ("A=b # c", "b"),
            ("A=b#c", "b"),
            ("A=#c", ""),
            ("A='b # c'", "b # c"),
            ("A='b\\n$OUTER ${OUTER}'", "b\\n$OUTER ${OUTER}"),
            ("A=\"b c\" # d", "b c"),
            (r#"A="b\"c\\\n\t\$d""#, "b\"c\\\n\t$d"),
            ("A=\"b\nc\"", "b\nc"),
            ("A=b=c==", "b=c=="),
            ("A=b\"c", "b\"c"),
            ("A=${OUTER}/x", "outer/x"),
            ("A=\"${OUTER} x\"", "outer x"),
            ("B=1\nA=${B}2", "12"),
            ("OUTER=inner\nA=${OUTER}", "outer"),
            ("A=${MISSING}", "${MISSING}"),
            ("A=$OUTER", "$OUTER"),
            ("A=1\r\nB=2\r\n", "1"),
            ("A=1\nA=2", "2"),
            ("\u{feff}A=1", "1"),
            ("# A=0\n\n   # x\nA=1", "1"),
        ];
        for (text, expected) in table {
            assert_eq!(value_of_a(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_fault_names_its_line() {
        let table = [
            ("A=1\nB=my app", 2),
            ("A=\"b\" c", 1),
            ("\nA='b\nc", 2),
            ("A=\"b\nc", 1),
            ("A=\"\\q\"", 1),
            ("A=1\n=b", 2),
            ("A B=c", 1),
        ];
        for (text, line) in table {
            assert_eq!(value_of_a(text).map_err(|fault| fault.line), Err(line), "{text:?}");
        }
    }

    #[test]
    fn lines_count_through_quotes_of_several_lines() {
        let entries = parse("A=\"1\n2\"\nB='3\n4'\nC=5", |_| None).unwrap();
        assert_eq!([entries["A"].line, entries["B"].line, entries["C"].line], [1, 3, 5]);
    }
}
