//! Where values come from, and which of them wins: flags > environment > `.env` > `gema.toml` > defaults.
//!
//! In the environment and `.env` the words that Laravel's `env()` knows count: `null`, `empty` and an empty text are
//! unset, outer quotes go. An unset value lets the next source speak.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::declare::{Roles, Setting};
use super::dotenv;
use super::file::{self, Found};
use super::names::{self, Standing};
use super::registry::NEEDLESS;

/// All that a process is given from outside; tests make it up. No `Debug` here and below: texts may be secret.
#[derive(Default)]
pub(crate) struct Inputs {
    /// The environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where `.env` and `gema.toml` are looked for.
    pub(crate) directory: PathBuf,
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--env-file`.
    pub(crate) env_file: Option<PathBuf>,
    /// The flags that stand for settings: name without dashes, value.
    pub(crate) flags: BTreeMap<&'static str, String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No source has it.
    Default,
    /// A line of `gema.toml`.
    File(String, usize),
    /// A line of `.env`.
    DotEnv(String, usize),
    /// The environment.
    Variable,
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(file, line) | Self::DotEnv(file, line) => write!(formatter, "{file}:{line}"),
            Self::Variable => formatter.write_str("environment"),
            Self::Flag(name) => write!(formatter, "--{name}"),
        }
    }
}

/// A value as text, and its origin.
#[derive(Clone)]
pub(crate) struct Given {
    /// The value; never empty, but for a default.
    pub(crate) text: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// All sources, read.
pub(crate) struct Sources {
    flags: BTreeMap<&'static str, String>,
    environment: BTreeMap<String, String>,
    dotenv: BTreeMap<String, dotenv::Entry>,
    dotenv_name: String,
    file_name: String,
    /// `gema.toml`.
    pub(crate) file: file::Contents,
}

impl Sources {
    /// Reads `.env` and `gema.toml`. A file that was asked for must exist; the others may be missing.
    pub(crate) fn read(inputs: Inputs) -> Result<Self, Vec<String>> {
        let Inputs { environment, directory, config, env_file, flags } = inputs;
        let file_name = shown(config.as_deref(), "gema.toml");
        let dotenv_name = shown(env_file.as_deref(), ".env");
        let text = read_file(&directory, config.as_deref(), "gema.toml");
        let file = text.and_then(|text| file::read(&file_name, &text));
        let text = read_file(&directory, env_file.as_deref(), ".env");
        let dotenv = text.and_then(|text| {
            let lookup = |name: &str| environment.get(name).cloned();
            let fault = |fault: dotenv::Fault| vec![format!("{dotenv_name}:{} {}", fault.line, fault.what)];
            dotenv::parse(&text, lookup).map_err(fault)
        });
        match (file, dotenv) {
            (Ok(file), Ok(dotenv)) => Ok(Self { flags, environment, dotenv, dotenv_name, file_name, file }),
            (file, dotenv) => Err([file.err(), dotenv.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// The winning value of a setting; `key` is its full key in `gema.toml`.
    pub(crate) fn value(&self, setting: &Setting, key: &str, role: Roles) -> Option<Given> {
        let flag = setting.flag(role).and_then(|flag| {
            let text = self.flags.get(flag.name)?.clone();
            (!text.is_empty()).then_some(Given { text, origin: Origin::Flag(flag.name) })
        });
        flag.or_else(|| self.variable(setting.env)).or_else(|| self.in_file(self.file.process.get(key)))
    }

    /// A value of `gema.toml`, unless it is unset.
    pub(crate) fn in_file(&self, found: Option<&Found>) -> Option<Given> {
        let found = found.filter(|found| !found.text.is_empty())?;
        Some(Given { text: found.text.clone(), origin: Origin::File(self.file_name.clone(), found.line) })
    }

    fn variable(&self, name: &str) -> Option<Given> {
        let meant = |text: &str| if names::is_from_kubernetes(name, text) { None } else { meaning(text) };
        let environment = self.environment.get(name).and_then(|text| meant(text));
        let environment = environment.map(|text| Given { text, origin: Origin::Variable });
        environment.or_else(|| {
            let entry = self.dotenv.get(name)?;
            Some(Given {
                text: meant(&entry.value)?,
                origin: Origin::DotEnv(self.dotenv_name.clone(), entry.line),
            })
        })
    }

    /// The variables that are not settings though they look like it: (errors, warnings).
    pub(crate) fn unknown_variables(&self) -> (Vec<String>, Vec<String>) {
        let from_environment = self.environment.iter().map(|(name, value)| (name, value, Origin::Variable));
        let from_dotenv = self
            .dotenv
            .iter()
            .map(|(name, entry)| (name, &entry.value, Origin::DotEnv(self.dotenv_name.clone(), entry.line)));
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for (name, value, origin) in from_environment.chain(from_dotenv) {
            let sentence = || {
                let nearest = names::nearest(name, names::variables());
                format!("{name} ({origin}) is not a setting; did you mean {nearest}?")
            };
            match names::standing(name, value) {
                Standing::UnknownGema => errors.push(sentence()),
                Standing::UnknownReverb => warnings.push(sentence()),
                Standing::Known | Standing::Foreign => {}
            }
        }
        (errors, warnings)
    }

    /// What to say about variables that are set and change nothing.
    pub(crate) fn notices(&self) -> Vec<String> {
        let told = NEEDLESS.iter().filter(|needless| needless.notice);
        let set = told.filter_map(|needless| Some((needless, self.variable(needless.env)?)));
        set.map(|(needless, given)| {
            format!("{} ({}) changes nothing: {}", needless.env, given.origin, needless.why)
        })
        .collect()
    }
}

/// What a variable's text means to Laravel's `env()`: `None` if it is unset.
fn meaning(text: &str) -> Option<String> {
    if matches!(text.to_ascii_lowercase().as_str(), "" | "null" | "(null)" | "empty" | "(empty)") {
        return None;
    }
    let unquoted = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(unquoted.unwrap_or(text).to_owned()).filter(|text| !text.is_empty())
}

/// How a file is called in sentences.
fn shown(asked: Option<&Path>, usual: &str) -> String {
    asked.map_or_else(|| usual.to_owned(), |path| path.display().to_string())
}

/// Reads the file that was asked for, or the usual one, which may be missing (then it is empty).
fn read_file(directory: &Path, asked: Option<&Path>, usual: &str) -> Result<String, Vec<String>> {
    let path = asked.map_or_else(|| directory.join(usual), |asked| directory.join(asked));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if asked.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(vec![format!("{} cannot be read: {error}", shown(asked, usual))]),
    }
}
