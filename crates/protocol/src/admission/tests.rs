//! Every kind of channel × every way in: no kind may be forgotten.

use super::*;
use crate::app::Secret;
use crate::limits::Profile;
use crate::signature::{sign_channel, sign_user};
use crate::signin::UserData;

const SOCKET: &str = "1234.5678";
const DATA: &str = r#"{"user_id":"7","user_info":{"name":"A"}}"#;

/// One channel of each kind.
fn channels() -> Vec<ChannelName> {
    let name = |kind: &ChannelKind| ChannelName::parse(&format!("{}7", kind.prefix()), 200).unwrap();
    ChannelKind::ALL.iter().map(name).collect()
}

fn app() -> Credentials {
    Credentials { id: "1".into(), key: "key".into(), secret: Secret::new("secret".into()) }
}

fn user(id: &str) -> Member {
    let text = format!(r#"{{"id":"{id}"}}"#);
    UserData::parse(&text, &Limits::of(Profile::Reverb)).unwrap().to_member()
}

struct Way {
    name: &'static str,
    auth: fn(&ChannelName) -> Option<String>,
    channel_data: Option<&'static str>,
    signed_in: Option<&'static str>,
    opens: &'static [Admission],
}

fn sign(app: &Credentials, socket: &str, channel: &str, data: Option<&str>) -> Option<String> {
    Some(sign_channel(app, socket, channel, data))
}

fn foreign_secret() -> Credentials {
    Credentials { secret: Secret::new("other".into()), ..app() }
}

fn foreign_key() -> Credentials {
    Credentials { key: "other".into(), ..app() }
}

/// Ways that open nothing but what is open to anybody.
fn wrong_ways() -> Vec<Way> {
    let way = |name, auth, channel_data| Way {
        name,
        auth,
        channel_data,
        signed_in: None,
        opens: &[Admission::Anyone],
    };
    vec![
        way("nothing", |_| None, None),
        way("empty auth", |_| Some(String::new()), None),
        way("nonsense", |_| Some("key:00".into()), None),
        way("the key alone", |_| Some("key:".into()), None),
        way("the digest alone", |c| Some(sign_channel(&app(), SOCKET, c, None).split_off(4)), None),
        way("upper case", |c| Some(sign_channel(&app(), SOCKET, c, None).to_uppercase()), None),
        way("another app's secret", |c| sign(&foreign_secret(), SOCKET, c, None), None),
        way("another app's key", |c| sign(&foreign_key(), SOCKET, c, None), None),
        way("another socket's signature", |c| sign(&app(), "1.1", c, None), None),
        way("another channel's signature", |_| sign(&app(), SOCKET, "private-x", None), None),
        way("a sign-in's signature", |_| Some(sign_user(&app(), SOCKET, r#"{"id":"7"}"#)), None),
        way("identity not signed", |c| sign(&app(), SOCKET, c, None), Some(DATA)),
        way("identity dropped", |c| sign(&app(), SOCKET, c, Some(DATA)), None),
        way("identity changed", |c| sign(&app(), SOCKET, c, Some(r#"{"user_id":"8"}"#)), Some(DATA)),
        way("identity signed for another socket", |c| sign(&app(), "1.1", c, Some(DATA)), Some(DATA)),
        way("identity signed for another channel", |_| sign(&app(), SOCKET, "x", Some(DATA)), Some(DATA)),
        way("identity by another app", |c| sign(&foreign_secret(), SOCKET, c, Some(DATA)), Some(DATA)),
    ]
}

fn right_ways() -> Vec<Way> {
    use Admission::{Anyone, Member, OwnUser, Signed};
    let way = |name, auth, channel_data, signed_in, opens| Way { name, auth, channel_data, signed_in, opens };
    let signed = |c: &ChannelName| sign(&app(), SOCKET, c, None);
    let with_identity = |c: &ChannelName| sign(&app(), SOCKET, c, Some(DATA));
    vec![
        way("right, without identity", signed, None, None, &[Anyone, Signed]),
        way("right, with identity", with_identity, Some(DATA), None, &[Anyone, Signed, Member]),
        way(
            "identity without id",
            |c| sign(&app(), SOCKET, c, Some("{}")),
            Some("{}"),
            None,
            &[Anyone, Signed],
        ),
        way("signed in, no signature", |_| None, None, Some("7"), &[Anyone, OwnUser]),
        way("signed in and right", signed, None, Some("7"), &[Anyone, Signed, Member, OwnUser]),
        way("signed in as another", signed, None, Some("8"), &[Anyone, Signed, Member]),
        way("signed in, wrong signature", |_| Some("key:00".into()), None, Some("7"), &[Anyone, OwnUser]),
        way("signed in, identity not signed", signed, Some(DATA), Some("7"), &[Anyone, OwnUser]),
    ]
}

#[test]
fn the_table_is_that_of_the_protocol() {
    for &kind in ChannelKind::ALL {
        let expected = match kind.prefix() {
            "" | "cache-" => Admission::Anyone,
            "private-" | "private-encrypted-" | "private-cache-" | "private-encrypted-cache-" => {
                Admission::Signed
            }
            "presence-" | "presence-cache-" => Admission::Member,
            "#server-to-user-" => Admission::OwnUser,
            unknown => panic!("who may subscribe to {unknown}?"),
        };
        assert_eq!(Admission::of(kind), expected, "{kind:?}");
        assert_eq!(kind.requires_signature(), matches!(expected, Admission::Signed | Admission::Member));
    }
}

#[test]
fn every_kind_opens_to_the_right_ways_in_and_to_no_other() {
    let (app, limits) = (app(), Limits::of(Profile::Reverb));
    for channel in channels() {
        for way in wrong_ways().into_iter().chain(right_ways()) {
            let auth = (way.auth)(&channel);
            let request = Subscribe {
                channel: channel.to_string().into(),
                auth: auth.map(Into::into),
                channel_data: way.channel_data.map(Into::into),
            };
            let signed_in = way.signed_in.map(user);
            let applicant = Applicant { socket_id: SOCKET, signed_in: signed_in.as_ref() };
            let admitted = admit(&app, &limits, applicant, &channel, &request);
            let expected = way.opens.contains(&Admission::of(channel.kind()));
            assert_eq!(admitted.is_ok(), expected, "{} by {}", channel, way.name);
            let is_member = admitted.is_ok_and(|member| member.is_some());
            assert_eq!(is_member, expected && channel.kind().is_presence(), "{} by {}", channel, way.name);
        }
    }
}

#[test]
fn signed_channel_data_wins_over_the_sign_in() {
    let (app, limits, user) = (app(), Limits::of(Profile::Reverb), user("8"));
    let channel = ChannelName::parse("presence-a", 200).unwrap();
    let auth = sign_channel(&app, SOCKET, &channel, Some(DATA));
    let request =
        Subscribe { channel: "presence-a".into(), auth: Some(auth.into()), channel_data: Some(DATA.into()) };
    let applicant = Applicant { socket_id: SOCKET, signed_in: Some(&user) };
    let member = admit(&app, &limits, applicant, &channel, &request).unwrap().unwrap();
    assert_eq!(member.user_id.as_str(), "7");
}
