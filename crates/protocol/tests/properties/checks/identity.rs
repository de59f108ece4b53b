//! Who somebody is: the `channel_data` of presence channels and the `user_data` of sign-ins.

use gema_protocol::limits::{Limits, Profile};
use gema_protocol::presence::{Member, UserId, member_added, member_removed};
use gema_protocol::roster::Roster;
use gema_protocol::signin::{UserData, signin_success};
use serde_json::{Value, json};

use super::json::is_object;
use super::payload;

/// The whole input is the signed text, read both ways under the limits of both profiles.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for limits in [Profile::Reverb, Profile::Pusher].map(Limits::of) {
        if let Ok(member) = Member::parse(&text, &limits) {
            assert!(is_object(&text), "no strict reader takes {text}");
            is_passed_on(&member, &limits);
            is_listed(&member);
            keeps_its_type(&member, &text);
        }
        if let Ok(user) = UserData::parse(&text, &limits) {
            assert!(is_object(&text), "no strict reader takes {text}");
            assert!((1..=limits.user_id).contains(&user.id.chars().count()));
            assert_eq!(user.to_member().user_id, UserId::from_text(&user.id));
            is_passed_on(&user.to_member(), &limits);
        }
    }
    let confirmed = payload(&signin_success(&text));
    assert_eq!(inner(&confirmed)["user_data"], *text);
}

/// What the others are told of a member names the same member, in the same JSON type, within the limits.
fn is_passed_on(member: &Member, limits: &Limits) {
    let id = member.user_id.as_str();
    assert!((1..=limits.user_id).contains(&id.chars().count()));
    let told = serde_json::to_string(member).expect("a member is JSON");
    let again = Member::parse(&told, limits).expect("what we say of a member is valid");
    assert_eq!(again.user_id, member.user_id);
    let info = |member: &Member| member.user_info.as_ref().map(|info| info.get().to_owned());
    assert_eq!(info(&again), info(member));
    if let (Some(most), Some(info)) = (limits.presence_user_info, info(member)) {
        assert!(info.len() <= most);
    }
    let added = payload(&member_added("presence-x", member));
    assert_eq!(added["data"], told);
    let removed = payload(&member_removed("presence-x", &member.user_id));
    let removed_id = &inner(&removed)["user_id"];
    assert_eq!(removed_id.as_str().map_or_else(|| removed_id.to_string(), str::to_owned), id);
}

/// An id that was signed as a number stays one.
fn keeps_its_type(member: &Member, text: &str) {
    let told = serde_json::to_value(&member.user_id).expect("an id is JSON");
    if let Ok(signed) = serde_json::from_str::<Value>(text) {
        assert_eq!(told, signed["user_id"]);
    }
}

fn is_listed(member: &Member) {
    let mut roster = Roster::default();
    assert!(roster.join(member) && !roster.join(member));
    let welcome = payload(&roster.welcome("presence-x"));
    // An info may be valid and yet more than this reader takes: a number too large, half a surrogate pair.
    if let Ok(list) = serde_json::from_str::<Value>(welcome["data"].as_str().expect("data is text")) {
        assert_eq!(list["presence"]["count"], 1);
        let hash = list["presence"]["hash"].as_object().expect("an object, always");
        assert!(hash.contains_key(member.user_id.as_str()));
    }
    assert_eq!(roster.leave(&member.user_id), None);
    assert!(roster.leave(&member.user_id).is_some() && roster.is_empty());
    let empty = payload(&roster.welcome("presence-x"));
    assert_eq!(inner(&empty), json!({"presence": {"count": 0, "ids": [], "hash": {}}}));
}

/// The JSON inside a frame's `data`.
fn inner(frame: &Value) -> Value {
    serde_json::from_str(frame["data"].as_str().expect("data is text")).expect("data holds JSON")
}
