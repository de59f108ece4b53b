//! What happens to a stack: processes are killed, Redis and MariaDB start again, ways are cut or fall silent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use gema_tests::{Dice, Stack};
use tokio::task::block_in_place;
use tokio::time::sleep;

/// How many kinds of faults there are to think of.
const KINDS: usize = 9;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Fault {
    /// SIGKILL; started again later.
    Kill(String),
    /// Killed; comes back with what it had, or with nothing.
    Redis { empty: bool },
    /// Killed; comes back with what was committed.
    MySql,
    /// Everything on this way is reset, and refused.
    Cut(String),
    /// Nothing arrives on this way and nobody is told.
    Silent(String),
    /// What is asked on this way is done, and the answers are lost.
    Deaf(String),
}

/// Somebody who breaks things, and mends them.
pub(crate) struct Vandal {
    dice: Dice,
    /// Kinds that are to come before any comes again.
    deck: Vec<usize>,
    /// How long a fault lasts, at most.
    lasting: Duration,
    /// How often each kind has happened.
    counts: BTreeMap<&'static str, usize>,
    /// Whether a broadcast node was parted from Redis.
    parted: bool,
}

impl Vandal {
    pub(crate) fn new(dice: Dice, lasting: Duration) -> Self {
        Self { dice, deck: Vec::new(), lasting, counts: BTreeMap::new(), parted: false }
    }

    /// Whether there was a time when a broadcast node could not reach Redis. What is published there then is heard there at
    /// once, and before what is published elsewhere.
    pub(crate) fn has_parted(&self) -> bool {
        self.parted
    }

    /// What has happened so far.
    pub(crate) fn report(&self) -> String {
        self.counts.iter().fold(String::new(), |mut text, (kind, count)| {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{kind} {count}");
            text
        })
    }

    /// One or two faults at once, and their end. Processes and ways that are spared stand.
    pub(crate) async fn strike(&mut self, stack: &mut Stack, spared: &[&str]) {
        let mut faults: Vec<Fault> = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let fault = self.think_of(stack);
            let hits = fault.hits();
            if !spared.contains(&hits) && faults.iter().all(|other| other.hits() != hits) {
                faults.push(fault);
            }
        }
        // Shown if the test fails.
        eprintln!("{faults:?}");
        for fault in &faults {
            *self.counts.entry(fault.kind()).or_default() += 1;
            self.parted |= fault.parts_servers();
            begin(fault, stack).await;
        }
        self.wait(self.lasting).await;
        // What others need first.
        for fault in &faults {
            mend(fault, stack).await;
        }
        for fault in &faults {
            if let Fault::Kill(name) = fault {
                stack.process(name).relaunch();
                heal(stack, &format!("nginx-{name}"));
            }
        }
        for fault in &faults {
            if let Fault::Kill(name) = fault {
                stack.process(name).ready().await;
            }
        }
        self.wait(self.lasting / 2).await;
    }

    async fn wait(&mut self, most: Duration) {
        let most = usize::try_from(most.as_millis()).expect("a short time");
        sleep(Duration::from_millis((most / 4 + self.dice.below(most)) as u64)).await;
    }

    fn think_of(&mut self, stack: &Stack) -> Fault {
        match self.deal() {
            0 => self.kill("app", stack.apps.len()),
            1 => self.kill("reverb", stack.reverbs.len()),
            2 => self.kill("queue", stack.queues.len()),
            3 => Fault::Redis { empty: self.dice.below(2) == 0 },
            4 => Fault::MySql,
            5 | 6 => Fault::Cut(self.way(stack)),
            7 => Fault::Silent(self.way(stack)),
            _ => Fault::Deaf(format!("nginx-app_{}", 1 + self.dice.below(stack.apps.len()))),
        }
    }

    /// The next kind, of all in an order of chance.
    fn deal(&mut self) -> usize {
        if self.deck.is_empty() {
            self.deck.extend(0..KINDS);
        }
        let place = self.dice.below(self.deck.len());
        self.deck.swap_remove(place)
    }

    fn kill(&mut self, kind: &str, count: usize) -> Fault {
        Fault::Kill(format!("{kind}_{}", 1 + self.dice.below(count)))
    }

    fn way(&mut self, stack: &Stack) -> String {
        stack.wires[self.dice.below(stack.wires.len())].0.clone()
    }
}

impl Fault {
    /// The process or the way.
    fn hits(&self) -> &str {
        match self {
            Self::Kill(name) | Self::Cut(name) | Self::Silent(name) | Self::Deaf(name) => name,
            Self::Redis { .. } => "redis",
            Self::MySql => "mysql",
        }
    }

    /// Whether a broadcast node cannot reach Redis.
    fn parts_servers(&self) -> bool {
        let hits = self.hits();
        hits == "redis" || (hits.starts_with("reverb_") && hits.ends_with("-redis"))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Kill(name) if name.starts_with("app") => "API nodes killed",
            Self::Kill(name) if name.starts_with("reverb") => "broadcast nodes killed",
            Self::Kill(_) => "workers killed",
            Self::Redis { empty: true } => "Redis restarted empty",
            Self::Redis { empty: false } => "Redis restarted",
            Self::MySql => "MariaDB killed",
            Self::Cut(_) => "ways cut",
            Self::Silent(_) => "ways silent",
            Self::Deaf(_) => "ways whose answers were lost",
        }
    }
}

async fn begin(fault: &Fault, stack: &mut Stack) {
    match fault {
        Fault::Kill(name) => {
            stack.process(name).kill();
            // The kernel refuses who comes to a process that is gone; a wire would first accept.
            if let Some(wire) = stack.wire(&format!("nginx-{name}")) {
                wire.cut();
            }
        }
        Fault::Redis { empty } => {
            if !empty {
                block_in_place(|| stack.redis.save());
            }
            stack.redis.kill().await;
            if *empty {
                stack.redis.forget();
            }
        }
        Fault::MySql => block_in_place(|| stack.mysql.kill()),
        Fault::Cut(name) => stack.wire(name).expect("a wire of the stack").cut(),
        Fault::Silent(name) => stack.wire(name).expect("a wire of the stack").silence(),
        Fault::Deaf(name) => stack.wire(name).expect("a wire of the stack").deafen(),
    }
}

async fn mend(fault: &Fault, stack: &mut Stack) {
    match fault {
        Fault::Kill(_) => {}
        Fault::Redis { .. } => stack.redis.start_again().await,
        Fault::MySql => block_in_place(|| stack.mysql.start_again()),
        Fault::Cut(name) | Fault::Silent(name) => heal(stack, name),
        Fault::Deaf(name) => {
            stack.wire(name).expect("a wire of the stack").cut();
            // Until it has been seen.
            sleep(Duration::from_millis(100)).await;
            heal(stack, name);
        }
    }
}

fn heal(stack: &Stack, name: &str) {
    if let Some(wire) = stack.wire(name) {
        wire.heal();
    }
}
