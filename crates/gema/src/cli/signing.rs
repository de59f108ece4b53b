//! The command lines of `gema sign` and `gema verify`. The secret comes from the settings, never from a flag: others can
//! read the command lines of a machine.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};

use super::with_files;

/// What is to be signed or verified, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signing {
    /// `--app`: the id or key of the app that signs.
    pub(crate) app: Option<String>,
    /// What is signed.
    pub(crate) subject: Subject,
    /// The `auth` to verify.
    pub(crate) auth: Option<String>,
}

/// What a signature is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A request to the HTTP API.
    Request(Request),
    /// A subscription.
    Channel {
        /// The connection.
        socket_id: String,
        /// The channel's name.
        channel: String,
        /// `channel_data`, if there is any.
        data: Option<String>,
    },
    /// A sign-in.
    User {
        /// The connection.
        socket_id: String,
        /// `user_data`.
        data: String,
    },
}

/// A request to the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// In upper case.
    pub(crate) method: String,
    /// A path for `sign`, an address for `verify`.
    pub(crate) target: String,
    /// `--body`
    pub(crate) body: Option<String>,
    /// `--body-file`
    pub(crate) body_file: Option<PathBuf>,
    /// `--param`, as given.
    pub(crate) params: Vec<String>,
    /// `--at`: seconds since 1970 in place of the clock.
    pub(crate) at: Option<u64>,
}

/// `gema sign`
pub(super) fn sign() -> Command {
    let param = Arg::new("param").long("param").value_name("NAME=VALUE").action(ArgAction::Append);
    let request =
        request("sign", "Sign a request to the HTTP API, a subscription or a sign-in, and show each step")
            .mut_arg("target", |arg| arg.value_name("PATH").help("Path from /apps/ on"))
            .arg(param.help("Add a query parameter; may be repeated"));
    let (channel, user) = (channel("Sign a subscription"), user("Sign a sign-in"));
    request.subcommand(channel).subcommand(user)
}

/// `gema verify`
pub(super) fn verify() -> Command {
    let auth = || text("auth", "AUTH", "What the application answered: key:signature").required(true);
    let request = request("verify", "Say whether a signature is right, and if not, which part differs")
        .mut_arg("target", |arg| arg.value_name("URL").help("The whole address, query included"));
    let (channel, user) = (channel("Verify a subscription"), user("Verify a sign-in"));
    request.subcommand(channel.arg(auth())).subcommand(user.arg(auth()))
}

fn request(name: &'static str, about: &'static str) -> Command {
    let body_file =
        Arg::new("body-file").long("body-file").value_name("FILE").value_parser(value_parser!(PathBuf));
    let at = Arg::new("at").long("at").value_name("SECONDS").value_parser(value_parser!(u64));
    let body = Arg::new("body").long("body").value_name("TEXT").help("The body");
    let command = Command::new(name)
        .about(about)
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .arg(text("method", "METHOD", "GET or POST").required(true))
        .arg(Arg::new("target").required(true))
        .arg(body)
        .arg(body_file.help("Read the body from this file, byte for byte; - reads standard input"))
        .group(ArgGroup::new("bodies").args(["body", "body-file"]))
        .arg(at.help("Seconds since 1970 to take for the present time"));
    for_app(command)
}

fn channel(about: &'static str) -> Command {
    let data = Arg::new("data").long("data").value_name("JSON").help("channel_data, of a presence channel");
    let command = Command::new("channel").about(about);
    for_app(
        command
            .arg(socket_id())
            .arg(text("channel", "CHANNEL", "The channel's name").required(true))
            .arg(data),
    )
}

fn user(about: &'static str) -> Command {
    let data = text("data", "JSON", "user_data, such as {\"id\":\"1\"}").required(true);
    for_app(Command::new("user").about(about).arg(socket_id()).arg(data))
}

fn socket_id() -> Arg {
    text("socket-id", "SOCKET_ID", "The connection's id, such as 123.456").required(true)
}

fn text(id: &'static str, shown: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(shown).help(help)
}

fn for_app(command: Command) -> Command {
    let app = Arg::new("app").long("app").value_name("ID").help("Id or key of the app, if there are several");
    with_files(command.arg(app))
}

/// What was asked for, and the arguments that name files of settings.
pub(super) fn chosen(matches: &ArgMatches) -> (Signing, &ArgMatches) {
    let (kind, matches) = matches.subcommand().unwrap_or(("request", matches));
    let optional = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
    let text = |id: &str| optional(id).unwrap_or_default();
    let subject = match kind {
        "channel" => Subject::Channel {
            socket_id: text("socket-id"),
            channel: text("channel"),
            data: optional("data"),
        },
        "user" => Subject::User { socket_id: text("socket-id"), data: text("data") },
        _ => Subject::Request(Request {
            method: text("method").to_ascii_uppercase(),
            target: text("target"),
            body: optional("body"),
            body_file: matches.get_one("body-file").cloned(),
            params: matches
                .try_get_many::<String>("param")
                .ok()
                .flatten()
                .map_or_else(Vec::new, |given| given.cloned().collect()),
            at: matches.get_one("at").copied(),
        }),
    };
    (Signing { app: optional("app"), subject, auth: optional("auth") }, matches)
}
