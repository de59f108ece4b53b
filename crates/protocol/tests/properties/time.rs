//! What counts and waits, against naive models: presence rosters, rate limits, the idle timer.

use std::collections::BTreeMap;
use std::time::Duration;

use gema_protocol::limits::{Limits, Profile};
use gema_protocol::liveness::{Beat, Liveness};
use gema_protocol::presence::Member;
use gema_protocol::rate_limit::{Rate, RateLimiter};
use gema_protocol::roster::Roster;
use proptest::prelude::*;

use super::checks::payload;

/// A connection of a user: the id may be a number or its text, and each brings an info of its own.
fn member(user: u8, as_number: bool, info: usize) -> Member {
    let id = if as_number { user.to_string() } else { format!("\"{user}\"") };
    let data = format!(r#"{{"user_id":{id},"user_info":{info}}}"#);
    Member::parse(&data, &Limits::of(Profile::Reverb)).expect("a valid member")
}

const MILLIS: fn(u64) -> Duration = Duration::from_millis;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Members are users; the first connection decides what is known of one; each is announced and taken back once.
    #[test]
    fn a_roster_is_a_count_per_user(steps in prop::collection::vec((any::<bool>(), 0_u8..4, any::<bool>()), 0..60)) {
        let mut roster = Roster::default();
        let mut model: BTreeMap<String, (usize, Member)> = BTreeMap::new();
        for (info, (joins, user, as_number)) in steps.into_iter().enumerate() {
            let member = member(user, as_number, info);
            let key = user.to_string();
            if joins {
                prop_assert_eq!(roster.join(&member), !model.contains_key(&key));
                model.entry(key).or_insert((0, member.clone())).0 += 1;
            } else {
                let was_last = model.get(&key).is_some_and(|(count, _)| *count == 1);
                prop_assert_eq!(roster.leave(&member.user_id).is_some(), was_last);
                model.get_mut(&key).into_iter().for_each(|(count, _)| *count -= 1);
                model.retain(|_, (count, _)| *count > 0);
            }
            prop_assert_eq!(roster.contains(&member.user_id), model.contains_key(&user.to_string()));
        }
        prop_assert_eq!((roster.len(), roster.is_empty()), (model.len(), model.is_empty()));
        prop_assert!(roster.user_ids().eq(model.keys()));
        let members: Vec<&Member> = model.values().map(|(_, member)| member).collect();
        let infos: BTreeMap<&str, _> = members.iter().map(|member| (member.user_id.as_str(), &member.user_info)).collect();
        let ids: Vec<_> = members.iter().map(|member| &member.user_id).collect();
        let list = serde_json::json!({"presence": {"count": members.len(), "ids": ids, "hash": infos}});
        let welcome = payload(&roster.welcome("presence-a"));
        let said: serde_json::Value = serde_json::from_str(welcome["data"].as_str().expect("data is text")).expect("JSON");
        prop_assert_eq!(said, list);
    }

    /// In no window that begins with an allowed event after a pause are there more than allowed, and what is refused is
    /// refused for a reason.
    #[test]
    fn a_rate_limit_allows_so_many_in_each_window(times in 0_u32..5, window in 1_u64..50, pauses in prop::collection::vec(0_u64..30, 0..60)) {
        let mut limiter = RateLimiter::new(Rate { times, window: MILLIS(window) });
        let (mut now, mut begun, mut used) = (0, None, 0);
        for pause in pauses {
            now += pause;
            if begun.is_none_or(|begun| now >= begun + window) {
                (begun, used) = (Some(now), 0);
            }
            used += 1;
            prop_assert_eq!(limiter.allows(MILLIS(now)), used <= times);
        }
    }

    /// One ping per silence, death only after the whole grace, and a sign of life undoes both.
    #[test]
    fn silence_is_pinged_once_and_then_ends(idle in 1_u64..40, grace in 1_u64..40, steps in prop::collection::vec((0_u64..30, any::<bool>()), 0..80)) {
        let mut timer = Liveness::new(MILLIS(0), MILLIS(idle), MILLIS(grace));
        let (mut now, mut heard, mut pinged): (u64, u64, Option<u64>) = (0, 0, None);
        for (pause, speaks) in steps {
            now += pause;
            if speaks {
                timer.on_activity(MILLIS(now));
                (heard, pinged) = (now, None);
            }
            let expected = match pinged {
                None if now >= heard + idle => Beat::Ping,
                Some(at) if now >= at + grace => Beat::Dead,
                None | Some(_) => Beat::Wait,
            };
            prop_assert_eq!(timer.poll(MILLIS(now)), expected);
            if expected == Beat::Ping {
                pinged = Some(now);
            }
            if expected != Beat::Dead {
                prop_assert_eq!(timer.next_deadline(), MILLIS(pinged.map_or(heard + idle, |at| at + grace)));
            }
        }
    }
}
