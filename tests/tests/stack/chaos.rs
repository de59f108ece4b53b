//! Nothing that was acknowledged is lost: people come and go through nginx while everything behind it breaks, in turn and
//! two things at once. `make chaos` runs the long form.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{Dice, PATIENCE, Plan, Stack, figure};
use tokio::time::sleep;

use crate::faults::Vandal;
use crate::people::{Change, Person};
use crate::session::Session;
use crate::verdict::{Deliveries, Records};
use crate::watchers::{Place, Told, Watchers};

/// Who comes and goes.
const PEOPLE: usize = 6;
/// Watches everything.
const DASHBOARDS: usize = 4;
/// Watch themselves.
const PHONES: usize = 3;
/// The broadcast node that stands in the second part, so that some connections stand while everything else breaks.
const STANDS: [&str; 2] = ["reverb_2", "nginx-reverb_2"];

/// How long a run is.
struct Form {
    /// Of each of the two parts.
    part: Duration,
    /// Of a fault, at most.
    fault: Duration,
    /// Between two requests of one person, at most, in milliseconds.
    pace: usize,
}

fn is_long() -> bool {
    std::env::var_os("GEMA_FAULTS").is_some_and(|form| form == "long")
}

fn form() -> Form {
    if is_long() {
        Form { part: Duration::from_secs(60), fault: Duration::from_secs(12), pace: 1_000 }
    } else {
        Form { part: Duration::from_secs(6), fault: Duration::from_millis(1_500), pace: 300 }
    }
}

/// Breaks things for as long as the form says.
async fn break_things(stack: &mut Stack, seed: u64) -> Vandal {
    let Form { part, fault, .. } = form();
    let mut vandal = Vandal::new(Dice::new(seed), fault);
    for spared in [&[][..], &STANDS] {
        let start = Instant::now();
        while start.elapsed() < part {
            vandal.strike(stack, spared).await;
        }
    }
    vandal
}

/// Waits until every event is out; none was given up.
async fn quiet(stack: &Stack) {
    let start = Instant::now();
    loop {
        let left = stack.sql("SELECT COUNT(*) FROM outbox");
        if left == "0" {
            break;
        }
        assert!(start.elapsed() < 4 * PATIENCE, "{left} events are not out after {:?}", start.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stack.sql("SELECT COUNT(*) FROM failed_jobs"), "0", "an event was given up");
}

async fn watch(stack: &Stack, admin: &Person, people: &[Person]) -> Watchers {
    let all = ["attendances".to_owned()];
    let own: Vec<_> = people.iter().map(|person| vec![format!("private-user.{}", person.id)]).collect();
    let dashboards = (0..DASHBOARDS).map(|_| ("dashboard", admin, &all[..]));
    let phones = people.iter().zip(&own).take(PHONES).map(|(person, own)| ("phone", person, &own[..]));
    let mut watchers =
        Watchers::start(Place::of_stack(stack), &dashboards.chain(phones).collect::<Vec<_>>()).await;
    watchers.until("everybody watches", |told| told.is_settled()).await;
    watchers
}

/// What everybody was told once it is the truth.
async fn settled(watchers: &mut Watchers, people: &[Person], records: &Records) -> Vec<Told> {
    let own = |told: &Told| {
        people
            .iter()
            .map(|person| person.id)
            .find(|id| told.since.contains_key(&format!("private-user.{id}")))
    };
    let is_true = |told: &Told| {
        told.is_settled()?;
        let due = records.list(own(told));
        if told.list == due { Ok(()) } else { Err(format!("the list is {:?}, not {due:?}", told.list)) }
    };
    watchers.until("every list is the database's", is_true).await
}

fn report(changes: &[Change], told: &[Told]) {
    let of = |is_check_in: bool| changes.iter().filter(move |change| change.key.is_some() == is_check_in);
    let again = |is_check_in| of(is_check_in).filter(|change| change.tries > 1).count();
    figure(&format!(
        "{} check-ins acknowledged ({} asked for more than once, {} of them found done by another node), each in the \
         database exactly once; {} check-outs ({} more than once)",
        of(true).count(),
        again(true),
        of(true).filter(|change| change.done_before).count(),
        of(false).count(),
        again(false),
    ));
    let mut waits: Vec<f64> = changes.iter().map(|change| change.answered - change.begun).collect();
    waits.sort_unstable_by(f64::total_cmp);
    let (half, last) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    figure(&format!("answered after {half:.0} ms (p50), at the latest after {last:.0} ms"));
    let sum = |count: fn(&Told) -> u64| told.iter().map(count).sum::<u64>();
    figure(&format!(
        "{} Echo clients, {} connections, {} lists fetched: each holds the database's list",
        told.len(),
        sum(|one| one.connections),
        sum(|one| one.fetches),
    ));
}

async fn nothing_acknowledged_is_lost(queue: &'static str, seed: u64) {
    let mut stack = Stack::start(Plan { queue, wired: true }).await;
    let admin = Person::admin(stack.nginx.at).await;
    let people = join_all((0..PEOPLE).map(|number| admin.hire(number))).await;
    let mut watchers = watch(&stack, &admin, &people).await;

    let session = Session::begin(stack.nginx.at).await;

    let stop = Arc::new(AtomicBool::new(false));
    let session = tokio::spawn(session.live(stop.clone()));
    let dice = |number: usize| Dice::new(seed * 1_000 + number as u64 + 1);
    let lives = people
        .iter()
        .enumerate()
        .map(|(number, person)| tokio::spawn(person.clone().live(dice(number), form().pace, stop.clone())));
    let lives: Vec<_> = lives.collect();
    let start = Instant::now();
    let vandal = break_things(&mut stack, seed).await;
    let broken = start.elapsed().as_secs();
    stop.store(true, Ordering::Release);
    let changes = join_all(lives).await.into_iter();
    let changes: Vec<_> = changes.flat_map(|life| life.expect("everybody is answered")).collect();

    let told_who = session.await.expect("nobody is signed out");

    quiet(&stack).await;
    let records = Records::read(&stack);
    records.hold(&changes);
    let told = settled(&mut watchers, &people, &records).await;
    figure(&format!("chaos, seed {seed}, queue {queue}, {broken} s: {}", vandal.report()));
    report(&changes, &told);
    figure(&format!("a browser's session was told {told_who} times who it is, and never that it has ended"));
    let deliveries: Vec<_> = told.iter().map(|told| Deliveries::of(told, &changes)).collect();
    Deliveries::report(&deliveries, vandal.has_parted());
    for name in Stack::names() {
        assert!(stack.process(&name).is_alive(), "a fault has ended {name}");
    }
}

/// The seeds of a run, or the one that `GEMA_SEED` names.
async fn with_seeds(queue: &'static str) {
    let seed = std::env::var("GEMA_SEED").map(|seed| seed.parse().expect("a number"));
    let seeds = match seed {
        Ok(seed) => seed..seed + 1,
        Err(_) if is_long() => 1..4,
        Err(_) => 1..2,
    };
    for seed in seeds {
        nothing_acknowledged_is_lost(queue, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_nothing_acknowledged_is_lost_with_the_database_queue() {
    with_seeds("database").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_nothing_acknowledged_is_lost_with_the_redis_queue() {
    with_seeds("redis").await;
}
