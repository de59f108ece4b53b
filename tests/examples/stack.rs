//! The whole stack for tests in other languages: `tests/node/stack.mjs` starts it, reads one line of JSON that says where
//! everything is, and then commands it, a line each: `stop NAME` (SIGTERM), `kill NAME`, `start NAME`, `log NAME`,
//! `sql STATEMENTS`. Each is answered by one line of JSON. It ends with its standard input.

use gema_tests::{Plan, Stack};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

#[tokio::main]
async fn main() {
    let queue = if std::env::args().nth(1).as_deref() == Some("database") { "database" } else { "redis" };
    let mut stack = Stack::start(Plan { queue, wired: false }).await;
    let nodes: Vec<_> = stack.apps.iter().map(|node| node.web.to_string()).collect();
    println!("{}", json!({"web": stack.nginx.at.port(), "nodes": nodes}));
    let mut commands = BufReader::new(stdin()).lines();
    while let Ok(Some(command)) = commands.next_line().await {
        println!("{}", obey(&mut stack, &command).await);
    }
}

async fn obey(stack: &mut Stack, command: &str) -> Value {
    let (verb, rest) = command.split_once(' ').expect("a verb and a name");
    match (verb, rest) {
        ("log", "nginx") => return json!(stack.nginx.log()),
        ("log", name) => return json!(stack.process(name).log()),
        ("sql", statements) => return json!(stack.sql(statements)),
        ("stop", name) => {
            let process = stack.process(name);
            process.terminate();
            process.ended().await;
            process.keep_ports();
        }
        ("kill", name) => stack.process(name).kill(),
        ("start", name) => {
            stack.process(name).relaunch();
            stack.process(name).ready().await;
        }
        _ => panic!("{command:?} is no command"),
    }
    Value::Null
}
