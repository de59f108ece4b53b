//! The settings: from flags, environment, `.env` and `gema.toml` to typed values.
//!
//! `registry.rs` declares them, `sources.rs` decides which source wins, `report.rs` prints them. A problem is one
//! sentence that names the setting, the source (with its line) and what would be right, and never shows a secret.

mod declare;
mod dotenv;
mod file;
mod names;
mod registry;
mod report;
mod sources;
#[cfg(test)]
mod tests;
mod value;
mod webhooks;

use gema_protocol::app::{Credentials, Secret};

pub(crate) use declare::{Flag, Roles, Setting};
pub(crate) use names::nearest;
pub(crate) use registry::{App, Process, Webhook};
pub(crate) use report::{print, reference};
pub(crate) use sources::{Given, Inputs, Origin};
pub(crate) use value::{
    AppProfile, ClientEventSenders, Database as DatabaseKind, LogFormat, Queue, RedisScheme, Scheme,
    TerminateCode,
};

use sources::Sources;

/// All settings of a role, valid.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The settings of the process.
    pub(crate) process: Process,
    /// The apps; the first is the one of `REVERB_APP_*` and `[app]`, if it is set.
    pub(crate) apps: Vec<(Credentials, App)>,
    /// The endpoints of webhooks, each with the id of its app.
    pub(crate) webhooks: Vec<(String, Webhook)>,
    /// What the user should hear of once logging works.
    pub(crate) warnings: Vec<String>,
    /// What the user may hear of.
    pub(crate) notices: Vec<String>,
}

/// One line of `gema config print`.
pub(crate) struct Row {
    /// The declaration.
    pub(crate) setting: &'static Setting,
    /// The full key, such as `server.port` or `apps[0].id`.
    pub(crate) key: String,
    /// The winning value.
    pub(crate) given: Given,
}

/// The outcome of reading the settings, good or bad, for `gema config`.
pub(crate) struct Outcome {
    /// Every setting with its winning text.
    pub(crate) rows: Vec<Row>,
    /// The settings, or what is wrong with them.
    pub(crate) settings: Result<Settings, Vec<String>>,
}

/// Reads the settings for a role. The error is for files that could not be read at all.
pub(crate) fn load(inputs: Inputs, role: Roles) -> Result<Outcome, Vec<String>> {
    let sources = Sources::read(inputs)?;
    let (unknown, warnings) = sources.unknown_variables();
    let notices = sources.notices();
    let mut loader = Loader { sources, role, rows: Vec::new(), webhooks: Vec::new(), problems: unknown };
    let process = loader.process();
    let apps = loader.apps();
    let Loader { rows, webhooks, problems, .. } = loader;
    let settings = match process {
        Some(process) if problems.is_empty() => {
            let warnings = warnings.into_iter().chain(doubts(&apps, role)).collect();
            Ok(Settings { process, apps, webhooks, warnings, notices })
        }
        _ => Err(problems),
    };
    Ok(Outcome { rows, settings })
}

struct Loader {
    sources: Sources,
    role: Roles,
    rows: Vec<Row>,
    webhooks: Vec<(String, Webhook)>,
    problems: Vec<String>,
}

impl Loader {
    fn process(&mut self) -> Option<Process> {
        let given = |setting: &Setting| self.sources.value(setting, setting.key, self.role);
        let row = |setting| Row::new(setting, setting.key.to_owned(), given(setting), setting.default);
        let rows: Vec<_> = Process::TABLE.iter().map(row).collect();
        let (process, refused) = read_rows(&rows, Process::read);
        self.keep(rows, &refused);
        if let Some(process) = &process {
            self.refuse(half_of_tls(process, self.role));
        }
        process
    }

    /// The app of the environment and `[app]`, then each of `[[apps]]`, which has the former's limits as defaults.
    fn apps(&mut self) -> Vec<(Credentials, App)> {
        let mut apps = Vec::new();
        let shared = |setting: &Setting| self.sources.value(setting, &names::app_key(setting), self.role);
        let shared: Vec<_> = App::TABLE.iter().map(|setting| (setting, shared(setting))).collect();
        let (identity, limits) = shared.split_at(IDENTITY);
        if identity.iter().any(|(_, given)| given.is_some()) {
            apps.extend(self.app("app", shared.clone()));
        }
        for index in 0..self.sources.file.apps.len() {
            let own =
                |setting: &Setting| self.sources.in_file(self.sources.file.apps[index].get(setting.key));
            let identity = identity.iter().map(|(setting, _)| (*setting, own(setting)));
            let limits =
                limits.iter().map(|(setting, base)| (*setting, own(setting).or_else(|| base.clone())));
            let values = identity.chain(limits).collect();
            apps.extend(self.app(&format!("apps[{index}]"), values));
        }
        self.refuse(collisions(&apps));
        if apps.is_empty() && self.problems.is_empty() && self.role.meets(APPS_NEEDED) {
            self.problems.push(NO_APP.to_owned());
        }
        apps
    }

    fn app(
        &mut self,
        path: &str,
        values: Vec<(&'static Setting, Option<Given>)>,
    ) -> Option<(Credentials, App)> {
        let wants_pusher = |(setting, given): &(&Setting, Option<Given>)| {
            let text = given.as_ref().map(|given| given.text.to_ascii_lowercase());
            setting.field == "profile" && text.as_deref() == Some("pusher")
        };
        let pusher = values.iter().any(wants_pusher);
        let row = |(setting, given): (&'static Setting, Option<Given>)| {
            let default = setting.pusher_default.filter(|_| pusher).unwrap_or(setting.default);
            Row::new(setting, format!("{path}.{}", setting.key), given, default)
        };
        let rows: Vec<_> = values.into_iter().map(row).collect();
        let (app, refused) = read_rows(&rows, App::read);
        let missing = rows[..IDENTITY].iter().filter(|row| row.given.text.is_empty());
        let missing: Vec<_> = missing
            .map(|row| if path == "app" { row.setting.env.to_owned() } else { row.key.clone() })
            .collect();
        self.keep(rows, &refused);
        if !missing.is_empty() {
            self.refuse([format!("{} must be set, too, for the app to work", missing.join(" and "))]);
        }
        self.webhooks(path, app.as_ref().and_then(|app| app.id.as_deref()));
        let app = app?;
        let (id, key, secret) = (app.id.clone()?, app.key.clone()?, app.secret.as_ref()?);
        Some((Credentials { id, key, secret: Secret::new(secret.expose().to_owned()) }, app))
    }

    /// Keeps the rows for `config print`, and says what was wrong with those this role needs.
    fn keep(&mut self, rows: Vec<Row>, refused: &[&'static Setting]) {
        let is_bad = |row: &&Row| refused.iter().any(|setting| setting.field == row.setting.field);
        let bad = rows.iter().filter(is_bad).filter(|row| row.setting.roles.meets(self.role));
        let sentences: Vec<_> = bad.map(Row::refusal).collect();
        self.refuse(sentences);
        self.rows.extend(rows);
    }

    /// Adds problems, each once: apps share the values of `[app]`.
    fn refuse(&mut self, sentences: impl IntoIterator<Item = String>) {
        for sentence in sentences {
            if !self.problems.contains(&sentence) {
                self.problems.push(sentence);
            }
        }
    }
}

/// The id, key and secret are the first settings of an app; they are never shared.
const IDENTITY: usize = 3;
/// The roles that cannot work without an app.
const APPS_NEEDED: Roles = Roles::BROADCAST.or(Roles::ATTENDANCE).or(Roles::WORKER).or(Roles::SERVE);
const NO_APP: &str = "there is no app yet: run `gema init`, which writes a .env with a fresh id, key and secret, or \
    set REVERB_APP_ID, REVERB_APP_KEY and REVERB_APP_SECRET";

impl Row {
    fn new(setting: &'static Setting, key: String, given: Option<Given>, default: &str) -> Self {
        let unset = || Given { text: default.to_owned(), origin: Origin::Default };
        Self { setting, key, given: given.unwrap_or_else(unset) }
    }

    /// Why this value cannot be used.
    fn refusal(&self) -> String {
        let text = &self.given.text;
        let shown = if self.setting.secret { "is not valid".to_owned() } else { format!("is {text:?}") };
        format!("{} {shown}; it must be {}", self.name(), (self.setting.expected)())
    }

    /// The setting as its user calls it, and where the value stands.
    fn name(&self) -> String {
        let origin = &self.given.origin;
        match origin {
            Origin::Flag(_) => origin.to_string(),
            Origin::File(..) => format!("{} ({origin})", self.key),
            Origin::Default | Origin::Variable | Origin::DotEnv(..) => {
                format!("{} ({origin})", self.setting.env)
            }
        }
    }
}

/// Runs a struct's `read` on its rows: what came out, and the settings that were bad.
fn read_rows<T>(
    rows: &[Row],
    read: impl FnOnce(&dyn Fn(&'static Setting) -> String, &mut dyn FnMut(&'static Setting)) -> T,
) -> (T, Vec<&'static Setting>) {
    let mut refused = Vec::new();
    let text_of = |setting: &'static Setting| {
        let row = rows.iter().find(|row| row.setting.field == setting.field);
        row.map(|row| row.given.text.clone()).unwrap_or_default()
    };
    let read = read(&text_of, &mut |setting| refused.push(setting));
    (read, refused)
}

/// A certificate without its key, or the other way round.
fn half_of_tls(process: &Process, role: Roles) -> Option<String> {
    let (set, missing) = match (&process.tls_cert, &process.tls_key) {
        (Some(_), None) => ("GEMA_TLS_CERT", "GEMA_TLS_KEY"),
        (None, Some(_)) => ("GEMA_TLS_KEY", "GEMA_TLS_CERT"),
        _ => return None,
    };
    let sentence = || format!("{set} is set and {missing} is not: set both to speak TLS, or neither");
    role.meets(Roles::LISTENERS).then(sentence)
}

/// What the user of these apps should know about a setting that works as asked.
fn doubts(apps: &[(Credentials, App)], role: Roles) -> Vec<String> {
    let serves = role.meets(Roles::BROADCAST.or(Roles::SERVE));
    let open = apps.iter().filter(|(_, app)| app.accept_client_events_from == ClientEventSenders::All);
    let sentence = |(app, _): &(Credentials, App)| {
        format!(
            "app {}: accept_client_events_from is all, so whoever knows the app's key can send client events into \
             private and presence channels without having joined them; members is safer",
            app.id
        )
    };
    if serves { open.map(sentence).collect() } else { Vec::new() }
}

/// A sentence for each id or key that two apps share.
fn collisions(apps: &[(Credentials, App)]) -> Vec<String> {
    let mut sentences = Vec::new();
    for (index, (app, _)) in apps.iter().enumerate() {
        let others = &apps[..index];
        if others.iter().any(|(other, _)| other.id == app.id) {
            sentences.push(format!("two apps have the id {:?}: give each app its own", app.id));
        }
        if others.iter().any(|(other, _)| other.key == app.key) {
            sentences.push(format!("two apps have the key {:?}: give each app its own", app.key));
        }
    }
    sentences
}
