//! Webhooks from fact to request, on a clock that stands still unless everybody waits, with a post that only remembers.

use std::collections::BTreeSet;

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::channel::ChannelName;
use gema_protocol::presence::Member;
use gema_protocol::webhook::Kinds;
use gema_protocol::webhook::decide::Fact;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::post::Request;
use super::*;
use crate::app::Apps;
use crate::channel::Joiner;
use crate::channels::Channels;
use crate::config::AppConfig;
use crate::outbound::Outbound;
use crate::registration::random_id;

/// One try: when, where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Try {
    at: Duration,
    host: String,
    delivery: String,
    body: String,
}

impl Try {
    /// `name channel` of its events.
    fn events(&self) -> Vec<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
        let events = body["events"].as_array().unwrap().iter();
        events.map(|event| format!("{} {}", text(event, "name"), text(event, "channel"))).collect()
    }
}

/// How long the host `later` is down.
const DOWN: Duration = Duration::from_secs(290);

/// Remembers all tries. A host named `dead` never takes anything, `slow` takes a second, `later` is down at first.
struct Memory {
    start: Instant,
    tries: Mutex<Vec<Try>>,
}

impl Post for Memory {
    async fn post(&self, request: &Request) -> Result<(), String> {
        let url = request.url.to_string();
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let (at, delivery) = (self.start.elapsed(), request.delivery.clone());
        self.tries.lock().push(Try { at, host: host.clone(), delivery, body });
        match host.as_str() {
            "dead" => Err("it answered 500".to_owned()),
            "later" if at < DOWN => Err("connection refused".to_owned()),
            "slow" => {
                sleep(Duration::from_secs(1)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A server's webhooks.
struct Case {
    facts: Arc<Facts>,
    post: Arc<Memory>,
    running: Running,
}

impl Case {
    fn new(hosts: &[&str], batching: bool) -> Self {
        let credentials =
            Credentials { id: "1".into(), key: "k".into(), secret: Secret::new("s".to_owned()) };
        let mut app = AppConfig::new(credentials);
        app.webhooks = hosts.iter().map(|host| webhook(host, batching)).collect();
        let config = Config::new(vec![app]);
        let apps = Apps::new(&config).unwrap();
        let post = Arc::new(Memory { start: Instant::now(), tries: Mutex::default() });
        let running = Running::start(apps.all(), &config, Some(&post));
        let facts = apps.by_id("1").unwrap().facts.clone().unwrap();
        Self { facts, post, running }
    }

    fn tries(&self, host: &str) -> Vec<Try> {
        self.post.tries.lock().iter().filter(|t| t.host == host).cloned().collect()
    }

    fn occupied(&self, name: &str) {
        self.facts.push(Fact::Occupied(channel(name)));
    }

    fn vacated(&self, name: &str) {
        self.facts.push(Fact::Vacated(channel(name)));
    }
}

fn webhook(host: &str, batching: bool) -> Webhook {
    let filter = Filter { kinds: Kinds::ALL, channel_prefix: String::new() };
    Webhook { url: WebhookUrl::parse(&format!("http://{host}/")).unwrap(), filter, batching }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).unwrap()
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn an_app_without_endpoints_has_no_facts() {
    assert!(Facts::wanted_by(&[], 1000, false).is_none());
}

#[tokio::test]
async fn facts_that_nobody_wants_or_that_have_no_room_are_not_kept() {
    let mut only_gone = webhook("a", true);
    only_gone.filter.kinds = Kinds::from_iter([gema_protocol::webhook::Kind::ChannelVacated]);
    let facts = Facts::wanted_by(&[only_gone], 2 * Fact::Missed(channel("a")).size(), false).unwrap();
    facts.push(Fact::Missed(channel("a")));
    facts.push(Fact::Occupied(channel("a")));
    facts.push(Fact::Vacated(channel("a")));
    facts.push(Fact::Occupied(channel("a")));
    let (kept, lost) = facts.take();
    assert_eq!((kept.len(), lost), (2, 1), "a return takes a going back, so it is kept although not wanted");
    facts.push(Fact::Vacated(channel("a")));
    assert_eq!((facts.take().0.len(), facts.take().1), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn events_within_the_window_share_a_request() {
    let (together, alone) = (Case::new(&["a"], true), Case::new(&["a"], false));
    for case in [&together, &alone] {
        case.occupied("x");
        sleep(Duration::from_millis(20)).await;
        case.occupied("y");
        sleep(Duration::from_millis(20)).await;
        case.occupied("x2");
        sleep(Duration::from_millis(100)).await;
        case.occupied("z");
        sleep(Duration::from_millis(100)).await;
    }
    let events = |case: &Case| case.tries("a").iter().map(Try::events).collect::<Vec<_>>();
    let three = ["channel_occupied x", "channel_occupied y", "channel_occupied x2"].map(str::to_owned);
    assert_eq!(events(&together), [three.to_vec(), vec!["channel_occupied z".to_owned()]]);
    assert_eq!(events(&alone).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert!(alone.tries("a")[0].at < Duration::from_millis(250), "{:?}", alone.tries("a"));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_tried_for_five_minutes_and_holds_back_its_channel_only() {
    let case = Case::new(&["dead"], true);
    case.occupied("x");
    sleep(seconds(10)).await;
    case.vacated("x");
    case.occupied("y");
    sleep(seconds(700)).await;
    let tries = case.tries("dead");
    let of = |what: &str| tries.iter().filter(|t| t.events() == [what]).cloned().collect::<Vec<_>>();
    let first = of("channel_occupied x");
    let took = |tries: &[Try]| tries.last().unwrap().at - tries[0].at;
    assert_eq!(took(&first), seconds(300));
    assert!((14..30).contains(&first.len()), "{} tries", first.len());
    assert!(first.iter().all(|t| (&t.body, &t.delivery) == (&first[0].body, &first[0].delivery)));
    let (other, next) = (of("channel_occupied y"), of("channel_vacated x"));
    assert!(other[0].at < seconds(11), "{:?}", other[0]);
    assert!(next[0].at >= first.last().unwrap().at, "{next:?}");
    assert_eq!(took(&next), seconds(300));
    let deliveries: BTreeSet<_> = tries.iter().map(|t| t.delivery.clone()).collect();
    assert_eq!(deliveries.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_was_down_for_almost_five_minutes_misses_nothing() {
    let case = Case::new(&["later"], true);
    let mut expected = Vec::new();
    for number in 0..60 {
        // Longer than the grace, so that each coming and going is told.
        let name = ["x", "y", "z"][number % 3];
        expected.push(format!("channel_occupied {name}"));
        case.occupied(name);
        sleep(Duration::from_millis(500)).await;
        expected.push(format!("channel_vacated {name}"));
        case.vacated(name);
        sleep(seconds(4)).await;
    }
    sleep(seconds(60)).await;
    let taken: Vec<_> = case.tries("later").into_iter().filter(|t| t.at >= DOWN).collect();
    let once: BTreeSet<_> = taken.iter().map(|t| &t.delivery).collect();
    assert_eq!(once.len(), taken.len(), "nothing is taken twice");
    let events: Vec<_> = taken.iter().flat_map(Try::events).collect();
    for channel in ["x", "y", "z"] {
        let of_channel = |all: &[String]| -> Vec<String> {
            all.iter().filter(|event| event.ends_with(channel)).cloned().collect()
        };
        assert_eq!(of_channel(&events), of_channel(&expected));
    }
    assert_eq!(events.len(), expected.len());
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_has_a_few_requests_at_once_and_delays_no_other() {
    let case = Case::new(&["slow", "a"], false);
    for number in 0..20 {
        case.occupied(&number.to_string());
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!((case.tries("slow").len(), case.tries("a").len()), (8, 20));
    sleep(seconds(1)).await;
    assert_eq!(case.tries("slow").len(), 16);
    sleep(seconds(1)).await;
    assert_eq!(case.tries("slow").len(), 20);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_neither_grace_nor_pause_nor_window_is_waited_for() {
    let case = Case::new(&["a", "dead"], true);
    case.occupied("x");
    sleep(seconds(20)).await;
    case.vacated("x");
    sleep(Duration::from_millis(200)).await;
    let before = case.tries("dead").len();
    case.running.hurry();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(case.tries("a")[1].events(), ["channel_vacated x"]);
    assert_eq!(case.tries("dead").len(), before + 1, "the long pause was cut short");
    case.vacated("y");
    let (post, start) = (case.post, Instant::now());
    case.running.end(Instant::now() + seconds(5)).await;
    assert_eq!(start.elapsed(), seconds(5), "the dead one is tried until time is up");
    let tries = post.tries.lock();
    let last = tries.iter().rfind(|t| t.host == "a").unwrap();
    assert_eq!(last.events(), ["channel_vacated y"]);
    assert!(tries.iter().filter(|t| t.host == "dead").count() > before + 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_as_soon_as_everything_was_taken() {
    let case = Case::new(&["slow"], true);
    case.vacated("x");
    let start = Instant::now();
    case.running.end(start + seconds(100)).await;
    assert_eq!(start.elapsed(), seconds(1));
    assert_eq!(case.post.tries.lock()[0].events(), ["channel_vacated x"]);
}

/// Joins and leaves a presence channel many times, as one of two users.
async fn come_and_go(channels: Arc<Channels>, listener: Arc<TcpListener>, user: usize) {
    let (client, server) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (_client, server) = (client.unwrap(), server.unwrap().0);
    let outbound = Arc::new(Outbound::new(random_id(), server, 1 << 20));
    let limits = gema_protocol::limits::Limits::of(gema_protocol::limits::Profile::Reverb);
    let member = Member::parse(&format!(r#"{{"user_id":{user}}}"#), &limits).unwrap();
    let joiner =
        Joiner { outbound: &outbound, member: Some(&member), most_members: None, then: None, now_ms: 0 };
    for _ in 0..200 {
        let (room, joined) = channels.join(&channel("presence-a"), &joiner).unwrap();
        tokio::task::yield_now().await;
        channels.leave(&room, &joined);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn facts_are_in_the_order_in_which_they_came_true() {
    let facts = Facts::wanted_by(&[webhook("a", true)], usize::MAX, false).unwrap();
    let channels = Arc::new(Channels::new(Some(facts.clone()), Arc::default(), false));
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let people = (0..6).map(|number| come_and_go(channels.clone(), listener.clone(), number % 2));
    people.collect::<JoinSet<_>>().join_all().await;
    let (mut occupied, mut present) = (false, BTreeSet::new());
    for (_, fact) in facts.take().0 {
        let changes = match &fact {
            Fact::Occupied(_) => !std::mem::replace(&mut occupied, true) && present.is_empty(),
            Fact::Vacated(_) => std::mem::replace(&mut occupied, false) && present.is_empty(),
            Fact::Joined(_, user) => occupied && present.insert(user.as_str().to_owned()),
            Fact::Left(_, user) => occupied && present.remove(user.as_str()),
            _ => false,
        };
        assert!(changes, "{fact:?} is not news: {occupied} {present:?}");
    }
    assert!(!occupied && present.is_empty());
}
