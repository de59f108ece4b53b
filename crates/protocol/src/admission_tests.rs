//! Every kind of channel × every way in: no kind may be forgotten.

use super::*;
use crate::app::Secret;
use crate::limits::Profile;
use crate::signature::sign_channel;
use crate::signin::UserData;

const SOCKET: &str = "1234.5678";
const DATA: &str = r#"{"user_id":"7","user_info":{"name":"A"}}"#;

/// One channel of each kind; the match makes a new kind fail to compile until it is tested here.
fn channels() -> Vec<ChannelName> {
    let names = [
        "orders",
        "cache-orders",
        "private-orders",
        "private-encrypted-orders",
        "private-cache-orders",
        "private-encrypted-cache-orders",
        "presence-orders",
        "presence-cache-orders",
        "#server-to-user-7",
    ];
    let parsed: Vec<ChannelName> = names.iter().map(|name| ChannelName::parse(name, 200).unwrap()).collect();
    let position = |kind| match kind {
        ChannelKind::Public => 0,
        ChannelKind::Cache => 1,
        ChannelKind::Private => 2,
        ChannelKind::PrivateEncrypted => 3,
        ChannelKind::PrivateCache => 4,
        ChannelKind::PrivateEncryptedCache => 5,
        ChannelKind::Presence => 6,
        ChannelKind::PresenceCache => 7,
        ChannelKind::ServerToUser => 8,
    };
    assert!(parsed.iter().enumerate().all(|(at, name)| position(name.kind()) == at));
    parsed
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

fn foreign_app() -> Credentials {
    Credentials { secret: Secret::new("other".into()), ..app() }
}

fn ways() -> Vec<Way> {
    use Admission::{Anyone, Member, OwnUser, Signed};
    let way = |name, auth, channel_data, signed_in, opens| Way { name, auth, channel_data, signed_in, opens };
    vec![
        way("nothing", |_| None, None, None, &[Anyone]),
        way("empty auth", |_| Some(String::new()), None, None, &[Anyone]),
        way("nonsense", |_| Some("key:00".into()), None, None, &[Anyone]),
        way("another app's secret", |c| sign(&foreign_app(), SOCKET, c, None), None, None, &[Anyone]),
        way("another socket's signature", |c| sign(&app(), "1.1", c, None), None, None, &[Anyone]),
        way(
            "another channel's signature",
            |_| sign(&app(), SOCKET, "private-x", None),
            None,
            None,
            &[Anyone],
        ),
        way("right, without identity", |c| sign(&app(), SOCKET, c, None), None, None, &[Anyone, Signed]),
        way(
            "right, with identity",
            |c| sign(&app(), SOCKET, c, Some(DATA)),
            Some(DATA),
            None,
            &[Anyone, Signed, Member],
        ),
        way("identity not signed", |c| sign(&app(), SOCKET, c, None), Some(DATA), None, &[Anyone]),
        way("identity dropped", |c| sign(&app(), SOCKET, c, Some(DATA)), None, None, &[Anyone]),
        way(
            "identity without id",
            |c| sign(&app(), SOCKET, c, Some("{}")),
            Some("{}"),
            None,
            &[Anyone, Signed],
        ),
        way("signed in, no signature", |_| None, None, Some("7"), &[Anyone, OwnUser]),
        way(
            "signed in and right",
            |c| sign(&app(), SOCKET, c, None),
            None,
            Some("7"),
            &[Anyone, Signed, Member, OwnUser],
        ),
        way(
            "signed in as another",
            |c| sign(&app(), SOCKET, c, None),
            None,
            Some("8"),
            &[Anyone, Signed, Member],
        ),
    ]
}

#[test]
fn every_kind_opens_to_the_right_ways_in_and_to_no_other() {
    let (app, limits) = (app(), Limits::of(Profile::Reverb));
    for channel in channels() {
        for way in ways() {
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
