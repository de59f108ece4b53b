//! When a node may speak and judge, and that an app's connections stay near their limit however they come and go.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A lease that is renewed every 2 s from 1 s on, until `last`.
fn renewed_until(last: u32) -> Lease {
    let mut lease = Lease::new(LEASE);
    for second in (1..=last).step_by(2) {
        let (first, link) = lease.ask();
        assert_eq!(first, second == 1);
        lease.on_renewed(link, second * SECOND, second * SECOND, Some(0));
    }
    lease
}

#[test]
fn a_lease_stands_at_once_and_judges_later() {
    let lease = renewed_until(11);
    assert!(lease.stands(20 * SECOND) && !lease.stands(21 * SECOND));
    assert!(!lease.is_settled(Duration::from_millis(10_999)));
    assert!(lease.is_settled(11 * SECOND) && !lease.is_settled(21 * SECOND));
}

#[test]
fn a_break_of_the_link_takes_the_right_to_judge_for_as_long_as_the_first_time() {
    let mut lease = renewed_until(21);
    assert!(lease.is_settled(22 * SECOND));
    let (_, old) = lease.ask();
    lease.on_break();
    assert!(!lease.stands(22 * SECOND));
    assert!(!lease.on_renewed(old, 21 * SECOND, 22 * SECOND, Some(0)), "an answer over the broken link");
    assert!(!lease.stands(22 * SECOND));
    let (first, link) = lease.ask();
    assert!(!first && lease.on_renewed(link, 23 * SECOND, 24 * SECOND, Some(0)));
    assert!(!lease.on_renewed(link, 32 * SECOND, 33 * SECOND, Some(0)), "stands already");
    assert!(lease.stands(25 * SECOND) && !lease.is_settled(Duration::from_millis(33_900)));
    assert!(lease.is_settled(34 * SECOND));
}

#[test]
fn an_ended_lease_is_begun_anew_over_the_same_link() {
    let mut lease = renewed_until(21);
    lease.on_end();
    let (first, link) = lease.ask();
    assert!(first && !lease.stands(21 * SECOND));
    assert!(lease.on_renewed(link, 22 * SECOND, 22 * SECOND, Some(0)));
    assert!(lease.stands(23 * SECOND) && !lease.is_settled(23 * SECOND));
}

#[test]
fn renewals_come_in_time_and_when_there_is_news() {
    let mut lease = Lease::new(LEASE);
    assert!(lease.is_due(SECOND, 0));
    let (_, link) = lease.ask();
    lease.on_renewed(link, SECOND, SECOND, Some(5));
    assert!(!lease.is_due(2 * SECOND, 5));
    assert!(lease.is_due(2 * SECOND, 6) && lease.is_due(3 * SECOND, 5));
    lease.on_renewed(link, 2 * SECOND, 2 * SECOND, None);
    assert!(lease.is_due(2 * SECOND, 5), "some were on their way in");
    lease.on_renewed(link, 2 * SECOND, 2 * SECOND, Some(5));
    lease.on_break();
    assert!(lease.is_due(2 * SECOND, 5), "a new link proves nothing yet");
}

/// What the place keeps of a node, and what the node knows.
#[derive(Clone, Copy, Default)]
struct Kept {
    promised: u64,
    connections: u64,
    share: u64,
}

/// One node asks, as `renew.lua` answers.
fn ask(nodes: &mut [Kept], index: usize, wanted: u64, limit: u64) {
    let others: u64 =
        nodes.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, kept)| kept.promised).sum();
    let (count, node) = (nodes.len() as u64, &mut nodes[index]);
    let places = Places::of(limit.saturating_sub(node.connections + others), wanted, count);
    node.promised = node.connections + places.given;
    node.share = places.share(node.connections, limit);
}

proptest! {
    /// Clients come and go at random; nodes ask when their share is used up, or from time to time.
    #[test]
    fn connections_stay_within_a_twentieth_of_the_limit(
        limit in 1u64..3_000,
        count in 1usize..6,
        steps in prop::collection::vec((0usize..6, 0u8..10, 1u64..200), 1..300),
    ) {
        let mut nodes = vec![Kept::default(); count];
        for (index, what, many) in steps {
            let index = index % count;
            match what {
                0 => nodes[index].connections -= many.min(nodes[index].connections),
                1 => ask(&mut nodes, index, 0, limit),
                _ => {
                    let room = nodes[index].share.saturating_sub(nodes[index].connections);
                    nodes[index].connections += many.min(room);
                    let wanted = many.saturating_sub(room);
                    if wanted > 0 {
                        let free = limit.saturating_sub(nodes.iter().map(|node| node.connections.max(node.promised)).sum());
                        ask(&mut nodes, index, wanted, limit);
                        let room = nodes[index].share - nodes[index].connections;
                        prop_assert!(room >= wanted.min(free), "{room} of {free} for {wanted}");
                        nodes[index].connections += wanted.min(room);
                    }
                }
            }
            let total: u64 = nodes.iter().map(|node| node.connections).sum();
            prop_assert!(total <= limit + limit / 20, "{total} of {limit}");
        }
    }

    /// Cut off, every node takes its part of what was free: together that is not more than there is.
    #[test]
    fn nodes_that_cannot_ask_share_what_is_left(limit in 1u64..3_000, mut counts in prop::collection::vec(0u64..500, 1..6)) {
        let mut total = 0;
        counts.retain(|count| { total += count; total <= limit });
        let free = limit - counts.iter().sum::<u64>();
        let places = Places::of(free, 0, counts.len() as u64);
        prop_assert!(counts.iter().map(|count| places.share_alone(*count)).sum::<u64>() <= limit);
    }
}
