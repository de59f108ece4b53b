//! Why a command ended with status 1: sentences for the user, each with a cause and a way out.

use std::fmt;

/// One or more sentences.
#[derive(Debug)]
pub(crate) struct Failure(Vec<String>);

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self(vec![sentence])
    }
}

impl From<Vec<String>> for Failure {
    fn from(sentences: Vec<String>) -> Self {
        Self(sentences)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|sentence| writeln!(formatter, "gema: {sentence}"))
    }
}

/// How a command ends.
pub(crate) type Ended = Result<(), Failure>;
