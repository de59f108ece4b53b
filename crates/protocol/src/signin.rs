//! Signed-in users: who a signed `user_data` says they are, and the frames of sign-ins and watchlists.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::frame;
use crate::json::{Object, Text};
use crate::limits::Limits;
use crate::presence::{Member, UserError, UserId, check_id, check_info, read};

/// What a `user_data` holds that the server uses.
#[derive(Debug)]
pub struct UserData<'a> {
    /// Who it is; never empty. Unlike in presence channels always text: pusher-js refuses anything else.
    pub id: Cow<'a, str>,
    /// Stands in for `channel_data` when this user joins a presence channel without one.
    pub user_info: Option<&'a RawValue>,
    /// Ids of users whose coming and going this one wants to hear of; as many as were sent.
    pub watchlist: Vec<Cow<'a, str>>,
}

impl<'a> UserData<'a> {
    /// Reads a `user_data` whose signature was verified.
    ///
    /// # Errors
    /// See [`UserError`].
    pub fn parse(user_data: &'a str, limits: &Limits) -> Result<Self, UserError> {
        let Object(wire): Object<Wire<'a>> = read(user_data)?;
        let id = wire.id.ok_or(UserError::NoId)?.0;
        check_id(&id, limits)?;
        let user_info = wire.user_info.map(|info| check_info(info, limits)).transpose()?;
        let watchlist = wire.watchlist.unwrap_or_default().into_iter().map(|id| id.0).collect();
        Ok(Self { id, user_info, watchlist })
    }

    /// This user as a member of presence channels that are joined without `channel_data`.
    #[must_use]
    pub fn to_member(&self) -> Member {
        Member { user_id: UserId::from_text(&self.id), user_info: self.user_info.map(ToOwned::to_owned) }
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    user_info: Option<&'a RawValue>,
    #[serde(borrow)]
    watchlist: Option<Vec<Text<'a>>>,
}

/// Confirms a sign-in with the very `user_data` that was signed.
#[must_use]
pub fn signin_success(user_data: &str) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        user_data: &'a str,
    }
    frame::event_without_channel("pusher:signin_success", &frame::json(&Data { user_data }))
}

/// Tells a watcher who came online and who went offline; a list that is empty is left out.
#[must_use]
pub fn watchlist_events(online: &[&str], offline: &[&str]) -> Bytes {
    #[derive(Serialize)]
    struct Change<'a> {
        name: &'static str,
        user_ids: &'a [&'a str],
    }
    #[derive(Serialize)]
    struct Data<'a> {
        events: Vec<Change<'a>>,
    }
    let both = [Change { name: "online", user_ids: online }, Change { name: "offline", user_ids: offline }];
    let events = both.into_iter().filter(|change| !change.user_ids.is_empty()).collect();
    frame::event_without_channel("pusher_internal:watchlist_events", &frame::json(&Data { events }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Profile;

    fn payload(frame: &Bytes) -> String {
        let start = frame.iter().position(|byte| *byte == b'{').unwrap();
        String::from_utf8(frame[start..].to_vec()).unwrap()
    }

    #[test]
    fn a_user_has_an_id_of_text() {
        let limits = Limits::of(Profile::Pusher);
        let all =
            UserData::parse(r#"{"id":"u","user_info":{"a": 1},"watchlist":["x","\u0079"],"z":0}"#, &limits)
                .unwrap();
        assert_eq!((all.id.as_ref(), all.user_info.map(RawValue::get)), ("u", Some(r#"{"a": 1}"#)));
        assert_eq!(all.watchlist, ["x", "y"]);
        for wrong in [
            "",
            "{}",
            "[\"u\"]",
            r#"{"id":5}"#,
            r#"{"id":null}"#,
            r#"{"id":""}"#,
            r#"{"id":"u","watchlist":[5]}"#,
        ] {
            assert!(UserData::parse(wrong, &limits).is_err(), "{wrong}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(129));
        assert_eq!(
            UserData::parse(&long, &limits).unwrap_err(),
            UserError::IdTooLong { actual: 129, allowed: 128 }
        );
    }

    #[test]
    fn frames_read_exactly_like_the_specification() {
        assert_eq!(
            payload(&signin_success(r#"{"id":"u"}"#)),
            r#"{"event":"pusher:signin_success","data":"{\"user_data\":\"{\\\"id\\\":\\\"u\\\"}\"}"}"#
        );
        assert_eq!(
            payload(&watchlist_events(&["2", "3"], &["4"])),
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"2\",\"3\"]},{\"name\":\"offline\",\"user_ids\":[\"4\"]}]}"}"#
        );
        assert!(!payload(&watchlist_events(&[], &["4"])).contains("online"));
    }
}
