//! Names of everything in Redis. All that belongs to one channel lies in one partition, so that one script can see it.

use std::fmt::Write;
use std::sync::Arc;

use gema_protocol::channel::ChannelName;

use crate::entry::Origin;

/// Partitions of an app. Fixed: two nodes that count differently would not find each other's channels.
pub const PARTITIONS: u8 = 64;

/// One of an app's [`PARTITIONS`] parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

impl Partition {
    /// Where a channel lies: FNV-1a over its name.
    #[must_use]
    pub fn of(channel: &ChannelName) -> Self {
        let hash = channel.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(u8::try_from(hash % u64::from(PARTITIONS)).unwrap_or(0))
    }

    /// Counts them from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }
}

/// Which installation and which app a key belongs to. Cheap to clone.
///
/// Two installations on one Redis differ in prefix, scaling channel or database and never hear each other; the database
/// is part of the name because pub/sub does not know databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// `prefix`: `REDIS_PREFIX`; `scaling_channel`: `REVERB_SCALING_CHANNEL`; `database`: `REDIS_DB`.
    #[must_use]
    pub fn new(prefix: &str, scaling_channel: &str, database: u16, app_id: &str) -> Self {
        let [prefix, scaling_channel, app_id] = [prefix, scaling_channel, app_id].map(escaped);
        Self(format!("{prefix}:{scaling_channel}:{database}:{app_id}").into())
    }

    /// The topic on which a channel's events and changes are told.
    #[must_use]
    pub fn topic(&self, channel: &ChannelName) -> String {
        self.of_channel("topic", channel)
    }

    /// The stream of a channel's last events.
    #[must_use]
    pub fn log(&self, channel: &ChannelName) -> String {
        self.of_channel("log", channel)
    }

    /// The hash with a channel's epoch and numbers.
    #[must_use]
    pub fn counters(&self, channel: &ChannelName) -> String {
        self.of_channel("counters", channel)
    }

    /// The last event of a cache channel.
    #[must_use]
    pub fn last_event(&self, channel: &ChannelName) -> String {
        self.of_channel("last", channel)
    }

    /// What says that somebody has missed the last event of a cache channel, and that this was told.
    #[must_use]
    pub fn missed(&self, channel: &ChannelName) -> String {
        self.of_channel("missed", channel)
    }

    /// The hash with what nodes say of their clients in a channel: members, counts and the version.
    #[must_use]
    pub fn facts(&self, channel: &ChannelName) -> String {
        self.of_channel("facts", channel)
    }

    /// The hash with the distinct users of a presence channel, each with how many nodes have it.
    #[must_use]
    pub fn users(&self, channel: &ChannelName) -> String {
        self.of_channel("users", channel)
    }

    /// The hash with the occupied channels of a partition, each with its subscriptions.
    #[must_use]
    pub fn occupied(&self, partition: Partition) -> String {
        self.of_partition("occupied", partition)
    }

    /// The set of a partition's channels that a node has clients in.
    #[must_use]
    pub fn channels_of(&self, node: Origin, partition: Partition) -> String {
        format!("{}:{:032x}", self.of_partition("node", partition), node.0)
    }

    /// The hash with the last number that was taken from each node.
    #[must_use]
    pub fn taken(&self, partition: Partition) -> String {
        self.of_partition("taken", partition)
    }

    /// The hash with what nodes sealed for their channels and members, so that a webhook about them is believed.
    #[must_use]
    pub fn proofs(&self, partition: Partition) -> String {
        self.of_partition("proofs", partition)
    }

    /// The hash with the webhooks of a partition that nobody has delivered yet.
    #[must_use]
    pub fn records(&self, partition: Partition) -> String {
        self.of_partition("records", partition)
    }

    /// The sorted set that says whose these are, and when they are due.
    #[must_use]
    pub fn entries(&self, partition: Partition) -> String {
        self.of_partition("entries", partition)
    }

    /// The hash with batches of webhooks that nobody has taken yet.
    #[must_use]
    pub fn batches(&self, partition: Partition) -> String {
        self.of_partition("batches", partition)
    }

    /// Who takes over what a dead node leaves.
    #[must_use]
    pub fn successor(&self, dead: Origin) -> String {
        format!("gema:{{{}}}:successor:{:032x}", self.0, dead.0)
    }

    /// What says that a node was declared dead.
    #[must_use]
    pub fn tombstone(&self, node: Origin, partition: Partition) -> String {
        format!("{}:{:032x}", self.of_partition("dead", partition), node.0)
    }

    /// The sorted set of an app's nodes, each with the end of its lease in milliseconds of Redis' time.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("gema:{{{}}}:nodes", self.0)
    }

    /// The hash with the number of connections of each node.
    #[must_use]
    pub fn connections(&self) -> String {
        format!("gema:{{{}}}:connections", self.0)
    }

    /// The hash with the places for connections that each node was promised, those taken included.
    #[must_use]
    pub fn promised(&self) -> String {
        format!("gema:{{{}}}:promised", self.0)
    }

    /// What says that a node was declared dead and all its facts are gone.
    #[must_use]
    pub fn buried(&self, node: Origin) -> String {
        format!("gema:{{{}}}:buried:{:032x}", self.0, node.0)
    }

    /// A topic of one process alone.
    #[must_use]
    pub fn probe(&self, partition: Partition, unique: u128) -> String {
        format!("{}:{unique:032x}", self.of_partition("probe", partition))
    }

    /// `gema:{namespace:partition}:what:channel`. The braces are the hash tag: one partition, one slot of a cluster.
    fn of_channel(&self, what: &str, channel: &ChannelName) -> String {
        format!("{}:{channel}", self.of_partition(what, Partition::of(channel)))
    }

    fn of_partition(&self, what: &str, partition: Partition) -> String {
        format!("gema:{{{}:{}}}:{what}", self.0, partition.0)
    }
}

/// A part of a name, without the characters that have a meaning in it.
fn escaped(part: &str) -> String {
    part.chars().fold(String::with_capacity(part.len()), |mut out, letter| {
        match letter {
            '{' | '}' | ':' | '%' => drop(write!(out, "%{:02X}", u32::from(letter))),
            plain => out.push(plain),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    #[test]
    fn everything_of_a_channel_shares_one_hash_tag() {
        let namespace = Namespace::new("", "reverb", 0, "123456");
        let names = [
            namespace.topic(&channel("presence-a")),
            namespace.log(&channel("presence-a")),
            namespace.counters(&channel("presence-a")),
            namespace.last_event(&channel("presence-a")),
            namespace.missed(&channel("presence-a")),
            namespace.facts(&channel("presence-a")),
            namespace.users(&channel("presence-a")),
            namespace.occupied(Partition::of(&channel("presence-a"))),
            namespace.taken(Partition::of(&channel("presence-a"))),
            namespace.proofs(Partition::of(&channel("presence-a"))),
            namespace.records(Partition::of(&channel("presence-a"))),
            namespace.entries(Partition::of(&channel("presence-a"))),
            namespace.batches(Partition::of(&channel("presence-a"))),
            namespace.channels_of(Origin(1), Partition::of(&channel("presence-a"))),
            namespace.tombstone(Origin(1), Partition::of(&channel("presence-a"))),
        ];
        let tag = |name: &String| name[..=name.find('}').unwrap()].to_owned();
        assert_eq!(names.iter().map(tag).collect::<HashSet<_>>().len(), 1);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn installations_never_share_a_name() {
        let table = [
            ("", "reverb", 0, "1"),
            ("a", "reverb", 0, "1"),
            ("", "other", 0, "1"),
            ("", "reverb", 1, "1"),
            ("", "reverb", 0, "2"),
            ("", "reverb:0", 0, "1"),
            (":", "reverb", 0, "1"),
            ("}", "reverb", 0, "1"),
            ("%7D", "reverb", 0, "1"),
        ];
        let names = table.map(|(prefix, scaling, database, app)| {
            Namespace::new(prefix, scaling, database, app).topic(&channel("c"))
        });
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), table.len());
        assert!(names.iter().all(|name| name.matches(['{', '}']).count() == 2), "{names:?}");
    }

    #[test]
    fn partitions_are_fixed_and_all_of_them_used() {
        assert_eq!(
            [Partition::of(&channel("a")), Partition::of(&channel("presence-a"))],
            [Partition(12), Partition(30)]
        );
        let used: HashSet<_> = (0..2_000).map(|i| Partition::of(&channel(&format!("c-{i}")))).collect();
        assert_eq!(used, Partition::all().collect());
    }
}
