//! Which shard of a Redis Cluster has which partition. Without a Cluster there is one shard. Pure.

use fred::types::Value;
use fred::util::redis_keyslot;

/// The owner of each topic's slot, in the order of the topics. Two answers of one Cluster are equal as long as none of
/// these slots has moved to another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout(Vec<String>);

impl Layout {
    /// A Redis that is no Cluster has everything.
    pub(super) fn of_one(topics: &[String]) -> Self {
        Self(vec![String::new(); topics.len()])
    }

    /// What `CLUSTER SLOTS` says; `None` when it makes no sense or a slot has no owner.
    pub(super) fn read(slots: &Value, topics: &[String]) -> Option<Self> {
        let Value::Array(ranges) = slots else { return None };
        let ranges: Vec<_> = ranges.iter().map(range).collect::<Option<_>>()?;
        let owner = |topic: &String| {
            let slot = redis_keyslot(topic.as_bytes()).into();
            ranges
                .iter()
                .find(|(first, last, _)| (*first..=*last).contains(&slot))
                .map(|found| found.2.clone())
        };
        topics.iter().map(owner).collect::<Option<_>>().map(Self)
    }

    /// One topic of each shard.
    pub(super) fn one_each(&self, topics: &[String]) -> Vec<String> {
        let mut seen: Vec<&String> = Vec::new();
        let mut chosen = Vec::new();
        for (owner, topic) in self.0.iter().zip(topics) {
            if !seen.contains(&owner) {
                seen.push(owner);
                chosen.push(topic.clone());
            }
        }
        chosen
    }
}

/// `[first, last, [host, port, ...], replicas...]`.
fn range(value: &Value) -> Option<(u64, u64, String)> {
    let Value::Array(fields) = value else { return None };
    let [first, last, Value::Array(primary), ..] = &fields[..] else { return None };
    let [host, port, ..] = &primary[..] else { return None };
    // A server that does not know its own name says so with nothing.
    let host = host.as_string().unwrap_or_default();
    Some((first.as_u64()?, last.as_u64()?, format!("{host}:{}", port.as_u64()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(ranges: &[(i64, i64, &str, i64)]) -> Value {
        let server = |host: &str, port: i64| Value::Array(vec![host.into(), port.into(), "id".into()]);
        let range = |(first, last, host, port): &(i64, i64, &str, i64)| {
            Value::Array(vec![(*first).into(), (*last).into(), server(host, *port), server("replica", 1)])
        };
        Value::Array(ranges.iter().map(range).collect())
    }

    #[test]
    fn each_shard_has_one_topic_and_a_moved_slot_is_another_layout() {
        // Slots 15495, 3300 and 7365.
        let topics = ["a", "b", "c"].map(str::to_owned);
        let three = slots(&[(0, 5460, "h", 1), (5461, 10922, "h", 2), (10923, 16383, "h", 3)]);
        let two = slots(&[(0, 10922, "h", 1), (10923, 16383, "h", 3)]);
        let layout = Layout::read(&three, &topics).unwrap();
        assert_eq!(layout.one_each(&topics).len(), 3);
        assert_eq!(Layout::read(&two, &topics).unwrap().one_each(&topics), ["a", "b"]);
        assert_ne!(Layout::read(&two, &topics), Some(layout));
        assert_eq!(Layout::of_one(&topics).one_each(&topics), ["a"]);
    }

    #[test]
    fn a_slot_without_owner_and_nonsense_are_no_layout() {
        let topics = ["a".to_owned()];
        for nonsense in [Value::Null, slots(&[(0, 5, "h", 1)]), Value::Array(vec![Value::Null])] {
            assert_eq!(Layout::read(&nonsense, &topics), None);
        }
    }
}
