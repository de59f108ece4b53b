//! The command line. What a command does is in `commands/`; flags that stand for settings come from the settings' table.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::settings::{App, Flag, Inputs, Process, Roles, Setting, nearest};

mod signing;

pub(crate) use signing::{Request, Signing, Subject};

/// What the user asked for.
pub(crate) struct Invocation {
    /// The command.
    pub(crate) action: Action,
    /// What the settings are read from.
    pub(crate) inputs: Inputs,
}

/// One of the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// `gema serve`
    Serve,
    /// `gema broadcast`
    Broadcast,
    /// `gema attendance`
    Attendance,
    /// `gema worker`
    Worker,
    /// `gema migrate`
    Migrate {
        /// `--seed`
        seed: bool,
    },
    /// `gema queue`
    Queue(Queue),
    /// `gema user add`
    UserAdd(NewUser),
    /// `gema init`
    Init,
    /// `gema health`: the URL to ask.
    Health(String),
    /// `gema config check` for a role.
    ConfigCheck(Roles),
    /// `gema config print` for a role.
    ConfigPrint(Roles),
    /// `gema config reference`
    ConfigReference,
    /// `gema sign`
    Sign(Signing),
    /// `gema verify`
    Verify(Signing),
}

/// What to do with the events that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Queue {
    /// `gema queue failed`
    Failed,
    /// `gema queue retry`: ids of events, or `all`.
    Retry(Vec<String>),
    /// `gema queue flush`
    Flush,
}

/// Whose account to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewUser {
    /// The address to sign in with.
    pub(crate) email: String,
    /// `--name`
    pub(crate) name: Option<String>,
    /// `--admin`
    pub(crate) is_admin: bool,
}

/// The server roles by the name of their command.
const ROLES: [(&str, Roles, &str); 5] = [
    ("serve", Roles::SERVE, "Run everything in one process: broadcast server, attendance API and worker"),
    ("broadcast", Roles::BROADCAST, "Run the Pusher and Laravel Reverb compatible server"),
    ("attendance", Roles::ATTENDANCE, "Run the attendance API"),
    ("worker", Roles::WORKER, "Run a worker that publishes attendance events"),
    ("migrate", Roles::MIGRATE, "Bring the database up to date"),
];

/// Reads the command line; on a mistake says so and exits with status 2.
pub(crate) fn parse() -> Invocation {
    let arguments: Vec<_> = std::env::args_os().collect();
    let matches = command().try_get_matches_from(&arguments);
    let matches = matches.unwrap_or_else(|error| with_nearest(error, &arguments).exit());
    let (action, role, matches) = chosen(&matches);
    Invocation { action, inputs: inputs(matches, role) }
}

/// Names the nearest flag in the error for an unknown one, also where clap finds none that is similar enough.
fn with_nearest(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let unknown = match (error.get(ContextKind::InvalidArg), error.get(ContextKind::SuggestedArg)) {
        (Some(ContextValue::String(unknown)), None) if unknown.starts_with("--") => unknown.clone(),
        _ => return error,
    };
    let root = command();
    let words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let command = words.fold(&root, |command, word| command.find_subcommand(word).unwrap_or(command));
    let flags = command.get_arguments().filter_map(Arg::get_long).map(|flag| format!("--{flag}"));
    let flag = nearest(&unknown, flags);
    if !flag.is_empty() {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(flag));
    }
    error
}

/// The whole command line as clap sees it.
fn command() -> Command {
    let roles = ROLES.map(|(name, role, about)| {
        let command = with_settings(Command::new(name).about(about), role);
        if role == Roles::MIGRATE { command.arg(seed()) } else { command }
    });
    let init = "Write a .env with a fresh app id, key and secret; never overwrites one";
    Command::new("gema")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Real-time broadcasting for Laravel Echo and pusher-js, and an attendance API")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("init").about(init))
        .subcommands(roles)
        .subcommand(config())
        .subcommand(queue())
        .subcommand(user())
        .subcommand(health())
        .subcommand(signing::sign())
        .subcommand(signing::verify())
}

fn config() -> Command {
    let check = "Say whether a role could start with these settings, or all that is wrong with them";
    let print = "Print the settings in effect, each with its origin; secrets are masked";
    let for_role = |name, about| {
        let names = ROLES.map(|(name, ..)| name);
        let role =
            Arg::new("role").long("role").value_name("ROLE").value_parser(names).default_value("serve");
        with_settings(Command::new(name).about(about), Roles::SERVE)
            .arg(role.help("The command whose settings are meant"))
    };
    Command::new("config")
        .about("Help with settings")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(for_role("check", check))
        .subcommand(for_role("print", print))
        .subcommand(Command::new("reference").about("Print the reference page of all settings, in Markdown"))
}

fn queue() -> Command {
    let command = |name, about| with_settings(Command::new(name).about(about), Roles::MIGRATE);
    let ids = Arg::new("id").value_name("ID").required(true).num_args(1..).help("Ids of events, or `all`");
    Command::new("queue")
        .about("Look after events that failed for good")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(command("failed", "List them"))
        .subcommand(command("retry", "Put some of them back, with all of their tries").arg(ids))
        .subcommand(command("flush", "Forget all of them"))
}

fn user() -> Command {
    let about = "Make an account; the password is asked for, or is the first line of standard input";
    let email = Arg::new("email").value_name("EMAIL").required(true).help("Address to sign in with");
    let name = Arg::new("name").long("name").value_name("NAME").help("Unset: what stands before the @");
    let admin = Arg::new("admin").long("admin").action(ArgAction::SetTrue);
    let add = with_settings(Command::new("add").about(about), Roles::MIGRATE).arg(email).arg(name);
    Command::new("user")
        .about("Look after accounts")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(add.arg(admin.help("May see and manage everything")))
}

fn health() -> Command {
    let url = Arg::new("url").value_name("URL").required(true).help("Such as http://127.0.0.1:8000/up");
    Command::new("health").about("Ask a server whether it is well: succeeds if the URL answers 200").arg(url)
}

fn seed() -> Arg {
    Arg::new("seed").long("seed").action(ArgAction::SetTrue).help(
        "Also make the demo account admin@example.com with the password `password`, for trying things out",
    )
}

/// Adds `--config`, `--env-file` and the flags of the role's settings. Two settings with one flag share it.
fn with_settings(command: Command, role: Roles) -> Command {
    let command = with_files(command);
    let mut known = Vec::new();
    flags(role).fold(command, |command, (setting, flag)| {
        if known.contains(&flag.name) {
            return command.mut_arg(flag.name, |arg| arg.help("Address that both servers listen on"));
        }
        known.push(flag.name);
        command.arg(argument(setting, flag))
    })
}

/// Adds `--config` and `--env-file`.
fn with_files(command: Command) -> Command {
    let file = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    command
        .arg(file("config", "Read this file instead of ./gema.toml"))
        .arg(file("env-file", "Read this file instead of ./.env"))
}

fn argument(setting: &Setting, flag: &Flag) -> Arg {
    let doc: Vec<_> = setting.doc.iter().map(|line| line.trim()).collect();
    let argument = Arg::new(flag.name).long(flag.name);
    match flag.stands_for {
        Some(value) => {
            let help = format!("Set {} to {value}", setting.env);
            argument.action(ArgAction::SetTrue).help(help)
        }
        None => argument.value_name(setting.env).help(doc.join(" ").trim_end_matches('.').to_owned()),
    }
}

fn flags(role: Roles) -> impl Iterator<Item = (&'static Setting, &'static Flag)> {
    let settings = Process::TABLE.iter().chain(App::TABLE);
    settings.filter_map(move |setting| Some((setting, setting.flag(role)?)))
}

/// The command, the role whose settings it reads, and its own arguments.
fn chosen(matches: &ArgMatches) -> (Action, Roles, &ArgMatches) {
    let role_of =
        |name: &str| ROLES.iter().find(|(known, ..)| *known == name).map_or(Roles::SERVE, |role| role.1);
    match matches.subcommand() {
        Some(("config", matches)) => match matches.subcommand() {
            Some((name @ ("check" | "print"), matches)) => {
                let role = role_of(matches.get_one::<String>("role").map_or("serve", String::as_str));
                let action =
                    if name == "check" { Action::ConfigCheck(role) } else { Action::ConfigPrint(role) };
                (action, Roles::SERVE, matches)
            }
            _ => (Action::ConfigReference, Roles::SERVE, matches),
        },
        Some(("sign", matches)) => {
            let (signing, matches) = signing::chosen(matches);
            (Action::Sign(signing), Roles::BROADCAST, matches)
        }
        Some(("verify", matches)) => {
            let (signing, matches) = signing::chosen(matches);
            (Action::Verify(signing), Roles::BROADCAST, matches)
        }
        Some(("broadcast", matches)) => (Action::Broadcast, Roles::BROADCAST, matches),
        Some(("attendance", matches)) => (Action::Attendance, Roles::ATTENDANCE, matches),
        Some(("worker", matches)) => (Action::Worker, Roles::WORKER, matches),
        Some(("migrate", matches)) => {
            (Action::Migrate { seed: matches.get_flag("seed") }, Roles::MIGRATE, matches)
        }
        Some(("queue", matches)) => match matches.subcommand() {
            Some(("retry", matches)) => {
                let ids = matches.get_many::<String>("id").unwrap_or_default().cloned().collect();
                (Action::Queue(Queue::Retry(ids)), Roles::MIGRATE, matches)
            }
            Some(("flush", matches)) => (Action::Queue(Queue::Flush), Roles::MIGRATE, matches),
            other => (Action::Queue(Queue::Failed), Roles::MIGRATE, other.map_or(matches, |(_, own)| own)),
        },
        Some(("user", matches)) => {
            let matches = matches.subcommand().map_or(matches, |(_, own)| own);
            let text = |id| matches.get_one::<String>(id).cloned();
            let (email, name) = (text("email").unwrap_or_default(), text("name"));
            let new = NewUser { email, name, is_admin: matches.get_flag("admin") };
            (Action::UserAdd(new), Roles::MIGRATE, matches)
        }
        Some(("health", matches)) => (Action::Health(url(matches)), Roles::SERVE, matches),
        Some(("init", matches)) => (Action::Init, Roles::SERVE, matches),
        // clap lets nothing else through: a command is required, and only these exist.
        Some((_, matches)) => (Action::Serve, Roles::SERVE, matches),
        None => (Action::Serve, Roles::SERVE, matches),
    }
}

/// The URL that a command is about; clap demands it.
fn url(matches: &ArgMatches) -> String {
    matches.get_one::<String>("url").cloned().unwrap_or_default()
}

/// Gathers what the settings are read from. Commands without settings have none of these arguments.
fn inputs(matches: &ArgMatches, role: Roles) -> Inputs {
    let file = |id| matches.try_get_one::<PathBuf>(id).ok().flatten().cloned();
    let text = |(_, flag): (&Setting, &'static Flag)| {
        let value = match flag.stands_for {
            Some(value) => {
                matches.try_get_one::<bool>(flag.name).ok()?.filter(|given| **given).map(|_| value.to_owned())
            }
            None => matches.try_get_one::<String>(flag.name).ok()?.cloned(),
        };
        Some((flag.name, value?))
    };
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    Inputs {
        environment: std::env::vars_os().filter_map(utf8).collect::<BTreeMap<_, _>>(),
        directory: PathBuf::new(),
        config: file("config"),
        env_file: file("env-file"),
        flags: flags(role).filter_map(text).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_names(command: &Command, path: &[&str]) -> Vec<String> {
        let command = path.iter().fold(command, |command, name| command.find_subcommand(name).unwrap());
        let mut names: Vec<_> =
            command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
        names.sort();
        names
    }

    #[test]
    fn clap_accepts_the_definition() {
        command().debug_assert();
    }

    #[test]
    fn broadcast_has_the_flags_of_reverb_start() {
        let names = long_names(&command(), &["broadcast"]);
        assert_eq!(names, ["config", "debug", "env-file", "host", "hostname", "path", "port"]);
    }

    #[test]
    fn a_flag_of_serve_can_be_tried_with_config_print() {
        let serve = long_names(&command(), &["serve"]);
        let print = long_names(&command(), &["config", "print"]);
        assert!(serve.iter().all(|name| print.contains(name)), "{serve:?} {print:?}");
    }
}
