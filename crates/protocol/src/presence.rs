//! Members of presence channels: who a signed `channel_data` says they are, and the frames that tell the others.
//! Which members a channel has at a moment is the server's business.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::frame;
use crate::json::{self, Object};
use crate::limits::Limits;

/// How deep a `user_info` may nest.
const DEEPEST: usize = 128;

/// A user's id. `10` and `"10"` are the same user, but each is written as the app signed it.
#[derive(Debug, Clone)]
pub struct UserId {
    text: Arc<str>,
    number: Option<Number>,
}

impl UserId {
    /// An id that is written as a string.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self { text: text.into(), number: None }
    }

    /// The id as text, whatever its JSON type; the key in the list of members.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for UserId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UserId {}

impl Hash for UserId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.number {
            Some(number) => number.serialize(serializer),
            None => serializer.serialize_str(&self.text),
        }
    }
}

/// One member of a presence channel.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// Who it is.
    pub user_id: UserId,
    /// What the others may know: any JSON value, as signed. `None` when absent or `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_info: Option<Box<RawValue>>,
}

/// Why a `channel_data` or sign-in names no acceptable user. The subscription or sign-in is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Not a JSON object, or a field of the wrong type.
    #[error("it is not the expected JSON: {0}")]
    Malformed(String),
    /// The id is missing, empty, or neither text nor an integer.
    #[error("the user id is missing or neither text nor an integer")]
    NoId,
    /// The id is longer than allowed; both in characters.
    #[error("the user id has {actual} characters, {allowed} are allowed")]
    IdTooLong {
        /// Characters it has.
        actual: usize,
        /// Characters it may have.
        allowed: usize,
    },
    /// The `user_info` is longer than allowed; both in bytes.
    #[error("the user_info has {actual} bytes, {allowed} are allowed")]
    InfoTooLarge {
        /// Bytes it has.
        actual: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// The `user_info` nests too deep to be safe for those who would read it.
    #[error("the user_info is nested too deep")]
    InfoTooDeep,
}

impl Member {
    /// Reads a `channel_data` whose signature was verified.
    ///
    /// # Errors
    /// See [`UserError`].
    pub fn parse(channel_data: &str, limits: &Limits) -> Result<Self, UserError> {
        let Object(data): Object<ChannelData<'_>> = read(channel_data)?;
        let (text, number) = match data.user_id {
            Some(Id::Text(text)) => (text, None),
            Some(Id::Number(number)) if !number.is_f64() => (number.to_string(), Some(number)),
            Some(Id::Number(_)) | None => return Err(UserError::NoId),
        };
        check_id(&text, limits)?;
        let user_info = data.user_info.map(|info| check_info(info, limits)).transpose()?;
        Ok(Self {
            user_id: UserId { text: text.into(), number },
            user_info: user_info.map(ToOwned::to_owned),
        })
    }
}

impl Member {
    /// The member for another server, read there by [`Member::passed_on`].
    #[must_use]
    pub fn to_json(&self) -> String {
        frame::json(self)
    }

    /// A member that another server has let in, within limits that may differ from ours. What cannot be read, or names
    /// somebody else, is a member of whom nothing but the id is known.
    #[must_use]
    pub fn passed_on(user_id: &str, json: &str) -> Self {
        let read = || {
            let Object(data): Object<ChannelData<'_>> = read(json).ok()?;
            let number = match data.user_id? {
                Id::Text(text) if text == user_id => None,
                Id::Number(number) if number.to_string() == user_id => Some(number),
                Id::Text(_) | Id::Number(_) => return None,
            };
            let user_info = data.user_info.filter(|info| json::depth(info.get()) <= DEEPEST);
            let user_id = UserId { text: user_id.into(), number };
            Some(Self { user_id, user_info: user_info.map(ToOwned::to_owned) })
        };
        read().unwrap_or_else(|| Self { user_id: UserId::from_text(user_id), user_info: None })
    }
}

#[derive(Deserialize)]
struct ChannelData<'a> {
    user_id: Option<Id>,
    #[serde(borrow)]
    user_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(Number),
}

pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, UserError> {
    serde_json::from_str(text).map_err(|error| UserError::Malformed(json::complaint(&error)))
}

pub(crate) fn check_id(id: &str, limits: &Limits) -> Result<(), UserError> {
    let (actual, allowed) = (id.chars().count(), limits.user_id);
    match actual {
        0 => Err(UserError::NoId),
        _ if actual > allowed => Err(UserError::IdTooLong { actual, allowed }),
        _ => Ok(()),
    }
}

pub(crate) fn check_info<'a>(info: &'a RawValue, limits: &Limits) -> Result<&'a RawValue, UserError> {
    let actual = info.get().len();
    match limits.presence_user_info {
        Some(allowed) if actual > allowed => Err(UserError::InfoTooLarge { actual, allowed }),
        _ if json::depth(info.get()) > DEEPEST => Err(UserError::InfoTooDeep),
        _ => Ok(info),
    }
}

/// Confirms a subscription to a presence channel with the list of its members, the new one included.
#[must_use]
pub fn subscription_succeeded(channel: &str, members: &[&Member]) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        presence: Presence<'a>,
    }
    #[derive(Serialize)]
    struct Presence<'a> {
        count: usize,
        ids: Vec<&'a UserId>,
        hash: Infos<'a>,
    }
    /// Written as an object even when empty; who has no info is there with `null`.
    struct Infos<'a>(&'a [&'a Member]);
    impl Serialize for Infos<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|member| (member.user_id.as_str(), &member.user_info)))
        }
    }
    let ids = members.iter().map(|member| &member.user_id).collect();
    let data = Data { presence: Presence { count: members.len(), ids, hash: Infos(members) } };
    frame::event("pusher_internal:subscription_succeeded", channel, &frame::json(&data))
}

/// Tells the others that a user's first connection joined.
#[must_use]
pub fn member_added(channel: &str, member: &Member) -> Bytes {
    frame::event("pusher_internal:member_added", channel, &frame::json(member))
}

/// Tells the others that a user's last connection left.
#[must_use]
pub fn member_removed(channel: &str, user_id: &UserId) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        user_id: &'a UserId,
    }
    frame::event("pusher_internal:member_removed", channel, &frame::json(&Data { user_id }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Profile;

    fn member(channel_data: &str) -> Result<Member, UserError> {
        Member::parse(channel_data, &Limits::of(Profile::Pusher))
    }

    fn payload(frame: &Bytes) -> String {
        let start = frame.iter().position(|byte| *byte == b'{').unwrap();
        String::from_utf8(frame[start..].to_vec()).unwrap()
    }

    #[test]
    fn ids_keep_their_type_and_are_equal_as_text() {
        let (number, text) = (member(r#"{"user_id":10}"#).unwrap(), member(r#"{"user_id":"10"}"#).unwrap());
        assert_eq!(number.user_id, text.user_id);
        assert_eq!(frame::json(&number), r#"{"user_id":10}"#);
        assert_eq!(frame::json(&text), r#"{"user_id":"10"}"#);
        let all = r#"{"user_id":-7,"user_info":{"n": 1.0,"é":"\u00e9"}}"#;
        assert_eq!(frame::json(&member(all).unwrap()), all, "info is passed on as it came");
    }

    #[test]
    fn a_member_comes_as_it_was_passed_on_or_without_info() {
        let deep = format!(r#"{{"user_id":"7","user_info":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for whole in [r#"{"user_id":7,"user_info":{"n": 1.0}}"#, r#"{"user_id":"7"}"#] {
            assert_eq!(Member::passed_on("7", whole).to_json(), whole);
        }
        for broken in ["", "null", "{", r#"{"user_id":8,"user_info":1}"#, r#"{"user_info":1}"#, &deep] {
            assert_eq!(Member::passed_on("7", broken).to_json(), r#"{"user_id":"7"}"#, "{broken}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for wrong in
            ["", "null", "[\"10\"]", "{", r#"{"user_id":true}"#, r#"{"user_id":{}}"#, r#"{"user_id":[1]}"#]
        {
            assert!(matches!(member(wrong), Err(UserError::Malformed(_))), "{wrong}");
        }
        for wrong in ["{}", r#"{"user_id":null}"#, r#"{"user_id":""}"#, r#"{"user_id":1.5}"#] {
            assert_eq!(member(wrong).unwrap_err(), UserError::NoId, "{wrong}");
        }
    }

    #[test]
    fn limits_hold_on_both_sides_of_their_border() {
        let id = |n| member(&format!(r#"{{"user_id":"{}"}}"#, "é".repeat(n))).map(|_| ());
        assert_eq!((id(128), id(129)), (Ok(()), Err(UserError::IdTooLong { actual: 129, allowed: 128 })));
        let info =
            |n: usize| member(&format!(r#"{{"user_id":1,"user_info":"{}"}}"#, "x".repeat(n - 2))).map(|_| ());
        assert_eq!(
            (info(1024), info(1025)),
            (Ok(()), Err(UserError::InfoTooLarge { actual: 1025, allowed: 1024 }))
        );
        let nested = |n| {
            member(&format!(r#"{{"user_id":1,"user_info":{}{}}}"#, "[".repeat(n), "]".repeat(n))).map(|_| ())
        };
        assert_eq!((nested(DEEPEST), nested(DEEPEST + 1)), (Ok(()), Err(UserError::InfoTooDeep)));
    }

    #[test]
    fn frames_read_exactly_like_the_specification() {
        let a = member(r#"{"user_id":"10","user_info":{"name":"A"}}"#).unwrap();
        let b = member(r#"{"user_id":11,"user_info":null}"#).unwrap();
        assert_eq!(
            payload(&subscription_succeeded("presence-a", &[&a, &b])),
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-a","data":"{\"presence\":{\"count\":2,\"ids\":[\"10\",11],\"hash\":{\"10\":{\"name\":\"A\"},\"11\":null}}}"}"#
        );
        assert!(payload(&subscription_succeeded("presence-a", &[])).contains(r#"\"hash\":{}"#));
        assert_eq!(
            payload(&member_added("presence-a", &a)),
            r#"{"event":"pusher_internal:member_added","channel":"presence-a","data":"{\"user_id\":\"10\",\"user_info\":{\"name\":\"A\"}}"}"#
        );
        assert_eq!(
            payload(&member_removed("presence-a", &b.user_id)),
            r#"{"event":"pusher_internal:member_removed","channel":"presence-a","data":"{\"user_id\":11}"}"#
        );
    }
}
