//! How long an event takes, and how many check-ins a machine takes. `make figures` runs it on release builds; nothing is
//! asserted but that everything arrives, since speed is the machine's.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{Dice, Gema, MariaDb, Plan, Setup, Stack, figure};
use tokio::time::sleep;

use crate::people::{Change, LIMIT, Person};
use crate::watchers::{Place, Watchers};

/// Check-ins whose events are timed, one after the other.
const TIMED: usize = 200;
/// Between two of them.
const PACE: Duration = Duration::from_millis(20);
/// Who comes and goes without a pause when it is about how many.
const CROWD: usize = 32;
const MEASURED: Duration = Duration::from_secs(10);

/// How busy all processors were between two looks.
struct Load(Vec<u64>);

impl Load {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").expect("Linux");
        let first = stat.lines().next().expect("a line for all processors");
        Self(first.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect())
    }

    /// In per cent.
    fn since(&self) -> u64 {
        let spent: Vec<u64> = Self::now().0.iter().zip(&self.0).map(|(now, then)| now - then).collect();
        // The fourth and the fifth are idle times.
        100 - 100 * (spent[3] + spent[4]) / spent.iter().sum::<u64>().max(1)
    }
}

fn waiting() -> String {
    let text = fs::read_to_string("/proc/loadavg").expect("Linux");
    text.split(' ').next().unwrap_or_default().to_owned()
}

async fn event_after_answer(form: &str, at: Place<'_>) {
    let admin = Person::admin(at.web).await;
    let ani = admin.hire(0).await;
    let all = ["attendances".to_owned()];
    let mut watchers = Watchers::start(at, &[("dashboard", &admin, &all)]).await;
    watchers.until("it watches", |told| told.is_settled()).await;
    let (load, mut changes) = (waiting(), Vec::new());
    for number in 0..TIMED {
        let came = ani.check_in(&number.to_string(), LIMIT).await;
        changes.extend(ani.check_out(came.attendance, &mut false).await);
        changes.push(came);
        sleep(PACE).await;
    }
    let came = |told: &crate::watchers::Told| match told.list.len() {
        TIMED if told.list.values().all(|(version, _)| *version == 2) => Ok(()),
        other => Err(format!("{other} of {TIMED}")),
    };
    let told = watchers.until("every event comes", came).await;
    let delay = |change: &Change| {
        let heard = told[0].heard.iter();
        let heard =
            heard.filter(|heard| (heard.attendance, heard.version) == (change.attendance, change.version));
        heard.map(|heard| heard.at - change.answered).next().expect("every event came")
    };
    let mut delays: Vec<f64> = changes.iter().map(delay).collect();
    delays.sort_unstable_by(f64::total_cmp);
    let [p50, p99] = [50, 99].map(|part| delays[delays.len() * part / 100]);
    figure(&format!(
        "{form}: from the answer to Echo's handler: p50 {p50:.1} ms, p99 {p99:.1} ms ({} events; load {load})",
        delays.len()
    ));
}

async fn changes_per_second(form: &str, web: SocketAddr) {
    let admin = Person::admin(web).await;
    let people = join_all((1..=CROWD).map(|number| admin.hire(number))).await;
    let stop = Arc::new(AtomicBool::new(false));
    let live = |person: Person| tokio::spawn(person.live(Dice::new(1), 1, stop.clone()));
    let (before, load, start) = (waiting(), Load::now(), Instant::now());
    let lives: Vec<_> = people.into_iter().map(live).collect();
    sleep(MEASURED).await;
    let busy = load.since();
    stop.store(true, Ordering::Release);
    let lives = join_all(lives).await;
    let seconds = start.elapsed().as_secs_f64();
    let changes: Vec<Change> =
        lives.into_iter().flat_map(|life| life.expect("everybody is answered")).collect();
    let check_ins = changes.iter().filter(|change| change.key.is_some()).count();
    figure(&format!(
        "{form}: {:.0} check-ins and {:.0} check-outs per second by {CROWD} people at once, a connection each; \
         processors {busy} % busy (load before: {before})",
        check_ins as f64 / seconds,
        (changes.len() - check_ins) as f64 / seconds,
    ));
}

async fn embedded(form: &str, gema: Gema) {
    event_after_answer(form, Place::of(&gema)).await;
    changes_per_second(form, gema.web).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: make figures"]
async fn figures_of_one_process_on_sqlite() {
    embedded("one process, SQLite", Setup::serve().start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: make figures"]
async fn figures_of_one_process_on_mariadb() {
    let mysql = MariaDb::start(&[]);
    let setup = Setup::serve().env("DB_CONNECTION", "mysql").env("DB_PORT", &mysql.port().to_string());
    embedded("one process, MariaDB", setup.env("DB_DATABASE", &mysql.fresh()).start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: make figures"]
async fn figures_of_three_nodes() {
    let stack = Stack::start(Plan { queue: "redis", wired: false }).await;
    event_after_answer("three nodes, MariaDB, Redis", Place::of_stack(&stack)).await;
    changes_per_second("three nodes, MariaDB, Redis", stack.nginx.at).await;
}
