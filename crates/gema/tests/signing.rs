//! `gema sign` and `gema verify` from outside: what they print for which command line, and that no secret is among it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const APP: [(&str, &str); 3] = [
    ("REVERB_APP_ID", "3"),
    ("REVERB_APP_KEY", "278d425bdf160c739803"),
    ("REVERB_APP_SECRET", "7ad3773142a6692b25b8"),
];
const SECRET: &str = "7ad3773142a6692b25b8";

struct Said {
    status: Option<i32>,
    printed: String,
    errors: String,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gema"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(!printed.contains(SECRET) && !errors.contains(SECRET), "the secret is shown: {printed}{errors}");
    Said { status: output.status.code(), printed, errors }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Runs a command with the app of the documentation.
fn run(arguments: &[&str]) -> Said {
    said(&command(folder().path(), arguments).envs(APP).output().expect("gema starts"))
}

fn printed(arguments: &[&str]) -> String {
    let said = run(arguments);
    assert_eq!((said.status, said.errors.as_str()), (Some(0), ""), "{arguments:?}");
    said.printed
}

fn refused(arguments: &[&str]) -> String {
    let said = run(arguments);
    assert_eq!(said.status, Some(1), "{arguments:?}: {}", said.printed);
    said.errors
}

/// The line after a heading.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("{heading}:\n")).unwrap_or_else(|| panic!("{heading}: {page}"));
    rest.lines().next().unwrap_or_default()
}

const BODY: &str = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
const SIGNATURE: &str = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";

#[test]
fn a_request_is_signed_as_pusher_documents_it() {
    let page = printed(&["sign", "POST", "/apps/3/events", "--body", BODY, "--at", "1353088179"]);
    let expected = format!(
        "text to sign:\nPOST\n/apps/3/events\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&\
         body_md5=ec365a775a4cd0599faeb73354201b6f\n\nauth_signature:\n{SIGNATURE}\n\nrequest:\nPOST /apps/3/events?\
         auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&\
         body_md5=ec365a775a4cd0599faeb73354201b6f&auth_signature={SIGNATURE}\n"
    );
    assert_eq!(page, expected);
}

#[test]
fn a_body_comes_from_the_command_line_a_file_or_standard_input() {
    let folder = folder();
    fs::write(folder.path().join("body.json"), BODY).expect("a file");
    let from_file = ["sign", "post", "/apps/3/events", "--body-file", "body.json", "--at", "1353088179"];
    let page = said(&command(folder.path(), &from_file).envs(APP).output().expect("gema starts")).printed;
    assert_eq!(part(&page, "auth_signature"), SIGNATURE, "a method in lower case is meant in upper case");

    let from_input = ["sign", "POST", "/apps/3/events", "--body-file", "-", "--at", "1353088179"];
    let mut command = command(folder.path(), &from_input);
    let mut child =
        command.envs(APP).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gema starts");
    child.stdin.take().expect("a pipe").write_all(BODY.as_bytes()).expect("it reads");
    let page = said(&child.wait_with_output().expect("its end")).printed;
    assert_eq!(part(&page, "auth_signature"), SIGNATURE);
    assert!(
        refused(&["sign", "POST", "/apps/3/events", "--body-file", "nowhere"])
            .contains("nowhere cannot be read")
    );
}

#[test]
fn parameters_come_from_the_path_and_from_flags() {
    let with = |arguments: &[&str]| printed(&[&["sign", "GET", "--at", "1700000000"], arguments].concat());
    let page =
        with(&["/apps/3/channels", "--param", "info=user_count,cache", "--param", "filter_by_prefix=a b"]);
    let line = "auth_key=278d425bdf160c739803&auth_timestamp=1700000000&auth_version=1.0&filter_by_prefix=a b&\
                info=user_count,cache";
    assert!(page.contains(&format!("GET\n/apps/3/channels\n{line}\n")), "{page}");
    assert!(part(&page, "request").contains("filter_by_prefix=a+b&info=user_count%2Ccache&"), "{page}");
    for other in [
        "/apps/3/channels?Info[]=user_count&info[]=cache&filter_by_prefix=a+b",
        "/apps/3/channels?info=user_count%2Ccache&filter_by_prefix=a%20b",
    ] {
        assert_eq!(with(&[other]), page, "{other}");
    }
    assert!(refused(&["sign", "GET", "/apps/3/channels", "--param", "info"]).contains("NAME=VALUE"));
    assert!(
        refused(&["sign", "GET", "/apps/3/channels", "--param", "auth_key=x"]).contains("auth_key is added")
    );
}

#[test]
fn the_servers_prefix_is_sent_and_not_signed() {
    for path in ["/apps/3/channels", "/ws/apps/3/channels"] {
        let folder = folder();
        let mut command = command(folder.path(), &["sign", "GET", path]);
        let page =
            said(&command.envs(APP).env("REVERB_SERVER_PATH", "ws").output().expect("gema starts")).printed;
        assert!(page.contains("GET\n/apps/3/channels\n"), "{page}");
        assert!(part(&page, "request").starts_with("GET /ws/apps/3/channels?"), "{page}");
    }
}

#[test]
fn the_app_is_the_one_of_the_path_or_of_the_flag() {
    let folder = folder();
    let apps = "[[apps]]\nid = \"1\"\nkey = \"one\"\nsecret = \"s1\"\n\n[[apps]]\nid = \"2\"\nkey = \"two\"\nsecret = \"s2\"\n";
    fs::write(folder.path().join("gema.toml"), apps).expect("a file");
    let sign = |arguments: &[&str]| {
        let arguments = [&["sign"], arguments].concat();
        said(&command(folder.path(), &arguments).output().expect("gema starts"))
    };
    assert!(sign(&["GET", "/apps/2/channels"]).printed.contains("auth_key=two&"));
    assert!(sign(&["GET", "/users/1/x", "--app", "two"]).printed.contains("auth_key=two&"));
    assert!(sign(&["channel", "1.2", "private-a", "--app", "2"]).printed.contains("\ntwo:"));
    assert!(sign(&["channel", "1.2", "private-a"]).printed.contains("\none:"));
    let unknown = sign(&["GET", "/apps/9/channels"]);
    assert_eq!(unknown.errors, "gema: no app has the id or key \"9\"; the settings have the apps 1, 2\n");
    let other_file = sign(&["channel", "1.2", "private-a", "--config", "nowhere.toml"]);
    assert!(other_file.errors.contains("nowhere.toml cannot be read"), "{}", other_file.errors);
}

#[test]
fn subscriptions_and_sign_ins_are_signed_as_documented() {
    let page = printed(&["sign", "channel", "1234.1234", "private-foobar"]);
    assert_eq!(part(&page, "text to sign"), "1234.1234:private-foobar");
    let auth = "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
    assert_eq!(part(&page, "auth"), auth);
    let data = r#"{"user_id":10,"user_info":{"name":"Mr. Pusher"}}"#;
    let page = printed(&["sign", "channel", "1234.1234", "presence-foobar", "--data", data]);
    assert_eq!(part(&page, "text to sign"), format!("1234.1234:presence-foobar:{data}"));
    let page = printed(&["sign", "user", "1234.1234", r#"{"id":"12345"}"#]);
    assert_eq!(part(&page, "text to sign"), r#"1234.1234::user::{"id":"12345"}"#);
    let auth = "278d425bdf160c739803:4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba";
    assert_eq!(part(&page, "auth"), auth);
}

/// The address of a signed POST, made by `gema sign` itself.
fn signed(at: &str) -> String {
    let page = printed(&["sign", "POST", "/apps/3/events", "--body", BODY, "--at", at]);
    format!("https://ws.example.com:8443{}", part(&page, "request").trim_start_matches("POST "))
}

#[test]
fn verify_accepts_what_sign_made() {
    let url = signed("1353088179");
    let target = url.trim_start_matches("https://ws.example.com:8443");
    for address in [url.as_str(), target, &format!("{url}#fragment")] {
        let page = printed(&["verify", "POST", address, "--body", BODY, "--at", "1353088200"]);
        assert!(page.starts_with("text to sign:\nPOST\n/apps/3/events\nauth_key="), "{page}");
        assert!(page.ends_with("\n\nthe signature is right\n"), "{page}");
    }
    let page = printed(&["sign", "POST", "/users/1/terminate_connections", "--body", "{}"]);
    let target = part(&page, "request").trim_start_matches("POST ");
    printed(&["verify", "POST", target, "--body", "{}"]);
}

#[test]
fn verify_says_what_is_wrong() {
    let url = signed("1353088179");
    let verify = |method: &str, url: &str, body: &str| {
        refused(&["verify", method, url, "--body", body, "--at", "1353088179"])
    };
    for (errors, words) in [
        (verify("GET", &url, BODY), "signed the method POST, but GET arrived"),
        (verify("POST", &url, "{}"), "the client hashed other bytes than the 2 that arrived"),
        (verify("POST", &format!("{url}&fbclid=1"), BODY), "did not sign the parameter fbclid"),
        (verify("POST", &url.replace("auth_key=2", "auth_key=+2"), BODY), "white space around it"),
        (verify("POST", &url.replace(SIGNATURE, &"0".repeat(64)), BODY), "another secret"),
        (verify("POST", "/apps/3/events", BODY), "auth_key is missing"),
        (verify("POST", &url.replace("/apps/3/", "/apps/9/"), BODY), "no app has the id or key \"9\""),
    ] {
        assert!(errors.starts_with("gema: ") && errors.contains(words), "{words}: {errors}");
        assert!(!errors.contains(SIGNATURE), "{errors}");
    }
}

#[test]
fn an_old_request_is_judged_but_for_its_age() {
    let url = signed("1353088179");
    let errors = refused(&["verify", "POST", &url, "--body", BODY]);
    assert!(errors.contains("auth_timestamp is 1353088179"), "{errors}");
    assert!(errors.contains("gema: at that time the signature was right\n"), "{errors}");
    let errors = refused(&["verify", "GET", &url, "--body", BODY]);
    assert!(
        errors.contains("auth_timestamp is 1353088179") && errors.contains("the method POST"),
        "{errors}"
    );
}

#[test]
fn the_clock_may_differ_as_much_as_the_settings_say() {
    let url = signed("1353088179");
    let arguments = ["verify", "POST", &url, "--body", BODY, "--at", "1353089180"];
    let with = |window: &str| {
        let folder = folder();
        let mut command = command(folder.path(), &arguments);
        said(&command.envs(APP).env("REVERB_APP_SIGNATURE_WINDOW", window).output().expect("gema starts"))
    };
    assert_eq!(with("1001").status, Some(0));
    let errors = with("1000").errors;
    assert!(errors.contains("they may differ by 1000 s"), "{errors}");
}

#[test]
fn an_auth_is_verified_and_explained() {
    let auth_of = |arguments: &[&str]| part(&printed(&[&["sign"], arguments].concat()), "auth").to_owned();
    let private = auth_of(&["channel", "1.2", "private-a"]);
    let presence = auth_of(&["channel", "1.2", "presence-a", "--data", "{}"]);
    let user = auth_of(&["user", "1.2", "{}"]);
    let (key, digits) = private.split_once(':').expect("key and signature");
    let verify = |arguments: &[&str]| run(&[&["verify"], arguments].concat());
    for good in [
        verify(&["channel", "1.2", "private-a", &private]),
        verify(&["channel", "1.2", "presence-a", &presence, "--data", "{}"]),
        verify(&["user", "1.2", "{}", &user]),
    ] {
        assert!(
            good.status == Some(0) && good.printed.ends_with("the signature is right\n"),
            "{}",
            good.errors
        );
    }
    let upper = format!("{key}:{}", digits.to_ascii_uppercase());
    for (bad, words) in [
        (verify(&["channel", "1.2", "private-a", &private, "--data", "{}"]), "without channel_data"),
        (verify(&["channel", "1.2", "private-a", &upper]), "upper case"),
        (verify(&["channel", "private-a", "1.2", &private]), "in reverse order"),
        (verify(&["channel", "1.2", "private-b", &private]), "another secret, or another text"),
        (verify(&["channel", "1.2", "presence-a", &user, "--data", "{}"]), "a signature of a sign-in"),
        (verify(&["channel", "1.2", "private-a", digits]), "not of the form key:signature"),
        (verify(&["channel", "1.2", "private-a", &format!("other:{digits}")]), "not the key of this app"),
        (verify(&["user", "1.2", "{ }", &user]), "another secret, or another text"),
    ] {
        assert_eq!(bad.status, Some(1), "{words}");
        assert!(
            bad.printed.starts_with("text to sign:\n") && bad.errors.contains(words),
            "{words}: {}",
            bad.errors
        );
    }
    let single = auth_of(&["channel", "1.2", "user", "--data", "{}"]);
    let bad = verify(&["user", "1.2", "{}", &single]);
    assert!(bad.errors.contains("must be doubled"), "{}", bad.errors);
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &["sign"][..],
        &["sign", "GET"],
        &["sign", "channel", "1.2"],
        &["sign", "user", "1.2"],
        &["verify", "channel", "1.2", "private-a"],
        &["sign", "POST", "/x", "--body", "a", "--body-file", "b"],
        &["sign", "GET", "/x", "--secret", "s"],
        &["sign", "GET", "/x", "--at", "now"],
    ] {
        assert_eq!(run(arguments).status, Some(2), "{arguments:?}");
    }
    let none =
        said(&command(folder().path(), &["sign", "GET", "/apps/1/channels"]).output().expect("gema starts"));
    assert!(none.status == Some(1) && none.errors.contains("gema init"), "{}", none.errors);
}
