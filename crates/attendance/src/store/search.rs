//! Looks for a part of a text without regard to case, also beyond ASCII.

use super::engine::Pool;
use super::query::Query;

impl Query {
    /// Adds that one of the columns contains this text. Nothing in it is a wildcard.
    pub(super) fn push_contains(mut self, pool: &Pool, columns: &[&'static str], text: &str) -> Self {
        let (begin, end, pattern) = match pool {
            // LOWER and LIKE of SQLite know ASCII only; GLOB takes sets of letters.
            Pool::Sqlite(_) => ("", " GLOB ?", sets_of_letters(text)),
            Pool::MySql(_) => ("LOWER(", ") LIKE ? ESCAPE '!'", in_lower_case(text)),
        };
        for (column, before) in columns.iter().zip([" AND ("].into_iter().chain(std::iter::repeat(" OR "))) {
            self = self.push(before).push(begin).push(column).push(end).bind(&pattern);
        }
        self.push(")")
    }
}

/// `*[aA][dD]*`. In a set no character has a meaning of its own.
fn sets_of_letters(text: &str) -> String {
    let mut pattern = String::from("*");
    for letter in text.chars() {
        let others = one(letter.to_lowercase()).into_iter().chain(one(letter.to_uppercase()));
        let others: String = others.collect();
        match letter {
            '*' | '?' | '[' => pattern.extend(['[', letter, ']']),
            _ if others.chars().all(|other| other == letter) => pattern.push(letter),
            _ => pattern.extend(["[", &others, "]"]),
        }
    }
    pattern + "*"
}

/// A letter whose other case has several has none.
fn one(mut letters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if letters.len() == 1 { letters.next() } else { None }
}

/// Letter by letter, as the database does it.
fn in_lower_case(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars().flat_map(char::to_lowercase) {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_no_wildcards_but_at_their_ends() {
        assert_eq!(sets_of_letters("aÉ1 *?[]-^"), "*[aA][éÉ]1 [*][?][[]]-^*");
        assert_eq!(in_lower_case("aÉ1 %_!*"), "%aé1 !%!_!!*%");
        assert_eq!((sets_of_letters(""), in_lower_case("")), ("**".into(), "%%".into()));
    }

    #[test]
    fn letters_with_no_single_other_case_stand_for_themselves() {
        assert_eq!(sets_of_letters("ß"), "*ß*");
    }
}
