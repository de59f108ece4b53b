//! A client that only listens and forgets nothing: every event with the moment in which it came. And the comparison of
//! what came with what was published.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{Client, Frame, Heard, PATIENCE};

/// What came, in order.
pub type Came = Vec<(Instant, Frame)>;

/// A client whose frames are read as they come. It stays until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    /// Of its connection.
    pub socket_id: String,
    came: watch::Receiver<Came>,
    /// The test drops its recorders before it ends its servers.
    reading: JoinHandle<()>,
}

impl Recorder {
    /// Begins to listen.
    pub fn of(client: Client) -> Self {
        let (keep, came) = watch::channel(Came::new());
        let socket_id = client.socket_id.clone();
        Self { socket_id, came, reading: tokio::spawn(read(client, keep)) }
    }

    /// What has come of this event, as the text of its data.
    #[must_use]
    pub fn texts(&self, event: &str) -> Vec<(Instant, String)> {
        let came = self.came.borrow();
        let wanted = came.iter().filter(|(_, frame)| frame.event == event);
        wanted.map(|(at, frame)| (*at, frame.data.as_str().unwrap_or_default().to_owned())).collect()
    }

    /// What has come of this event, where the data is a number.
    #[must_use]
    pub fn numbers(&self, event: &str) -> Vec<(Instant, usize)> {
        let number = |(at, text): (Instant, String)| (at, text.parse().expect("a number"));
        self.texts(event).into_iter().map(number).collect()
    }

    /// Waits until what has come is as it should be.
    ///
    /// # Panics
    /// When it is not, after `deadline`; says what it waited for, and the last that came.
    pub async fn until(&self, what: &str, deadline: Duration, mut is_so: impl FnMut(&Came) -> bool) {
        let mut came = self.came.clone();
        let waited = timeout(deadline, came.wait_for(|came| is_so(came))).await;
        if !matches!(waited, Ok(Ok(_))) {
            let last = self.came.borrow().last().map(|(at, frame)| (at.elapsed(), frame.text.clone()));
            panic!("{what}: not within {deadline:?}; the last that came, and how long ago: {last:?}");
        }
    }

    /// Waits until this event has come with this data.
    pub async fn until_text(&self, event: &str, data: &str) {
        let wanted = |frame: &Frame| frame.event == event && frame.data == data;
        self.until(&format!("{event} with {data}"), PATIENCE, |came| {
            came.iter().any(|(_, frame)| wanted(frame))
        })
        .await;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut client: Client, keep: watch::Sender<Came>) {
    loop {
        match client.next().await {
            Heard::Frame(frame) if frame.event == "pusher:ping" => {
                client.send("pusher:pong", json!({}), None).await;
            }
            Heard::Frame(frame) => keep.send_modify(|came| came.push((Instant::now(), frame))),
            Heard::Ping(_) | Heard::Pong(_) => {}
            Heard::Closed(..) | Heard::Gone(_) => return,
        }
    }
}

/// One published number.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The number.
    pub number: usize,
    /// When the publisher began.
    pub from: Instant,
    /// When it had its answer.
    pub to: Instant,
}

/// How what came differs from what was published in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Numbers published.
    pub published: usize,
    /// Never came.
    pub lost: usize,
    /// Came once more.
    pub twice: usize,
    /// Came after a higher number.
    pub swapped: usize,
    /// Published before the healing, and came after it.
    pub replayed: usize,
}

impl Tally {
    /// `healed`: when the fault was over.
    #[must_use]
    pub fn of(said: &[Said], came: &[(Instant, usize)], healed: Instant) -> Self {
        let mut tally = Self { published: said.len(), ..Self::default() };
        let mut seen = BTreeSet::new();
        for (at, number) in came {
            tally.swapped += usize::from(seen.last().is_some_and(|highest| highest > number));
            if !seen.insert(*number) {
                tally.twice += 1;
            }
            let before = said.iter().any(|said| said.number == *number && said.to < healed);
            tally.replayed += usize::from(before && *at >= healed);
        }
        tally.lost = said.iter().filter(|said| !seen.contains(&said.number)).count();
        tally
    }

    /// Nothing lost, nothing twice, nothing out of order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        (self.lost, self.twice, self.swapped) == (0, 0, 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { published, lost, twice, swapped, replayed } = self;
        write!(
            f,
            "{published} published, {lost} lost, {twice} duplicated, {swapped} reordered, {replayed} replayed"
        )
    }
}
