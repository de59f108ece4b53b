//! `gema user add`: where the password comes from, and what is said when there is nothing to make.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PASSWORD: &str = "correct horse";

fn gema(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gema"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

/// A folder with a database of before the migration that this program knows best: none has been applied.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("gema.sqlite"), "").expect("an empty database");
    folder
}

/// Runs `gema user add` with this standard input: status, standard output, standard error.
fn add(folder: &Path, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut command = gema(folder, &[&["user", "add"], arguments].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gema starts");
    // It may have refused already.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("gema ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_first_line_of_standard_input_is_the_password() {
    let folder = folder();
    let (status, out, log) = add(folder.path(), &["Ani@example.com", "--admin"], b"correct horse\r\nmore\n");
    assert_eq!(
        (status, out.trim()),
        (Some(0), "made the account ani@example.com, admin, in the database gema.sqlite")
    );
    assert!(!log.contains(PASSWORD), "{log}");
    let (status, out, _) = add(folder.path(), &["budi@example.com", "--name", "Budi"], PASSWORD.as_bytes());
    assert_eq!((status, out.contains("budi@example.com, employee")), (Some(0), true), "{out}");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = folder();
    assert_eq!(add(folder.path(), &["ani@example.com"], PASSWORD.as_bytes()).0, Some(0));
    for (arguments, input, sentence) in [
        (&["ani@example.com"][..], PASSWORD.as_bytes(), "there is an account ani@example.com already"),
        (&["budi@example.com"], b"short\n", "must be at least 8 characters"),
        (&["budi"], PASSWORD.as_bytes(), "must be a valid email address"),
        (&["budi@example.com", "--name", " "], PASSWORD.as_bytes(), "The name field is required."),
        (&["budi@example.com"], b"\n", "no password was given"),
        (&["budi@example.com"], b"", "no password was given"),
        (&["budi@example.com"], b"\xff\xfe123456\n", "no password can be read"),
    ] {
        let (status, out, error) = add(folder.path(), arguments, input);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{error}");
        assert!(error.contains(sentence), "{error}");
    }
    let (status, _, error) = add(folder.path(), &["budi@example.com", "--password", "x"], b"");
    assert_eq!(status, Some(2), "{error}");
    let nowhere = tempfile::tempdir().expect("a temporary folder");
    let (status, _, error) = add(nowhere.path(), &["ani@example.com"], PASSWORD.as_bytes());
    assert!(status == Some(1) && error.contains("`gema migrate`"), "{error}");
}

/// Answers each question on a terminal: all that the terminal showed, and whether it went well.
fn at_a_terminal(folder: &Path, answers: [&str; 2]) -> (String, bool) {
    let line = format!("{} user add ani@example.com", env!("CARGO_BIN_EXE_gema"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder).env_clear();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script is installed");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    for (answer, question) in answers.into_iter().zip(["Password: ", "again: "]) {
        while !shown.ends_with(question) {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).expect("bytes"), 1, "{question} was not asked: {shown}");
            shown.push(char::from(byte[0]));
        }
        writeln!(keys, "{answer}").expect("it waits for an answer");
    }
    screen.read_to_string(&mut shown).expect("text");
    (shown, child.wait().expect("script ends").success())
}

#[test]
fn a_terminal_is_asked_twice_and_shows_nothing_of_it() {
    let folder = folder();
    let (shown, is_well) = at_a_terminal(folder.path(), [PASSWORD, "correct mule"]);
    assert!(!is_well && shown.contains("the two passwords differ") && !shown.contains("correct"), "{shown}");
    let (shown, is_well) = at_a_terminal(folder.path(), [PASSWORD, PASSWORD]);
    assert!(is_well && shown.contains("made the account") && !shown.contains(PASSWORD), "{shown}");
}
