//! Client events: who may send one where, and who hears it.

use gema_protocol::channel::ChannelKind;
use gema_tests::Client;
use serde_json::json;

use super::Demand::{Identity, Nothing, OwnSignIn, Signature};
use super::{Stage, channel, demand, has_members, keeps_the_last_event};

/// The refusal that a client without a place in the channel hears, or everybody where the kind takes no client events.
fn refusal(kind: ChannelKind) -> u64 {
    match demand(kind) {
        Signature | Identity => 4009,
        Nothing | OwnSignIn => 4301,
    }
}

fn takes_client_events(kind: ChannelKind) -> bool {
    refusal(kind) == 4009
}

/// Sends an event that claims to come from somebody else.
async fn send(client: &mut Client, kind: ChannelKind) {
    let channel = channel(kind);
    let event =
        json!({"event": "client-x", "channel": channel, "data": {"a": 1}, "user_id": "forged"}).to_string();
    client.send_text(&event).await;
}

async fn is_refused(client: &mut Client, kind: ChannelKind, insider: &mut Client, who: &str) {
    send(client, kind).await;
    let refused = client.frame().await;
    assert_eq!(refused.event, "pusher:error", "{who} in {}: {}", channel(kind), refused.text);
    assert_eq!(refused.inner()["code"], refusal(kind), "{who} in {}", channel(kind));
    insider.nothing_came().await;
}

#[tokio::test]
async fn only_a_member_sends_and_only_where_the_app_has_signed_who_may() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let (mut insider, mut member) = (stage.insider(kind).await, stage.insider(kind).await);
        let mut bystander = stage.gema.client().await;
        if takes_client_events(kind) {
            send(&mut member, kind).await;
            let heard: serde_json::Value = serde_json::from_str(&insider.frame().await.text).expect("JSON");
            let mut expected = json!({"event": "client-x", "channel": channel(kind), "data": {"a": 1}});
            if has_members(kind) {
                expected["user_id"] = "insider".into();
            }
            assert_eq!(heard, expected);
        } else {
            is_refused(&mut member, kind, &mut insider, "a member").await;
        }
        member.nothing_came().await;
        bystander.nothing_came().await;
        insider.nothing_came().await;
    }
}

#[tokio::test]
async fn strangers_the_refused_and_those_who_left_send_nothing() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let mut insider = stage.insider(kind).await;
        let mut stranger = stage.gema.client().await;
        is_refused(&mut stranger, kind, &mut insider, "a stranger").await;

        if demand(kind) != Nothing {
            let mut refused = stage.gema.client().await;
            refused.ask_subscribe(&channel(kind), "nonsense").await;
            refused.expect_error().await;
            is_refused(&mut refused, kind, &mut insider, "a refused subscriber").await;
        }
        let mut left = stage.insider(kind).await;
        left.leave(&channel(kind)).await;
        is_refused(&mut left, kind, &mut insider, "one who left").await;
        left.nothing_came().await;
    }
}

#[tokio::test]
async fn a_client_event_reaches_nobody_outside_and_is_not_kept() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL.iter().filter(|kind| takes_client_events(**kind)) {
        let (mut insider, mut member) = (stage.insider(kind).await, stage.insider(kind).await);
        let mut left = stage.insider(kind).await;
        left.leave(&channel(kind)).await;
        let mut refused = stage.gema.client().await;
        refused.ask_subscribe(&channel(kind), "nonsense").await;
        refused.expect_error().await;
        let mut neighbour = stage.insider_of_other(kind).await;

        send(&mut member, kind).await;
        insider.expect("client-x").await;
        for outsider in [&mut left, &mut refused, &mut neighbour] {
            outsider.nothing_came().await;
        }
        let mut newcomer = stage.gema.client().await;
        let data = has_members(kind).then_some(r#"{"user_id":"insider"}"#);
        newcomer.ask_signed(&stage.gema.app, &channel(kind), data).await;
        newcomer.expect("pusher_internal:subscription_succeeded").await;
        if keeps_the_last_event(kind) {
            newcomer.expect("pusher:cache_miss").await;
        }
        newcomer.nothing_came().await;
    }
}

const SENDERS: &str = "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM";
const ON_PUBLIC: &str = "REVERB_APP_CLIENT_EVENTS_ON_PUBLIC_CHANNELS";

/// What a member and a stranger may expect in a channel of this kind: delivery, or a refusal with this code.
fn verdicts(senders: &str, on_public: bool, kind: ChannelKind) -> [Result<(), u64>; 2] {
    let takes_them = match demand(kind) {
        Signature | Identity => true,
        Nothing => on_public,
        OwnSignIn => false,
    };
    match senders {
        "members" if takes_them => [Ok(()), Err(4009)],
        "all" if takes_them => [Ok(()), Ok(())],
        _ => [Err(4301), Err(4301)],
    }
}

#[tokio::test]
async fn each_mode_hears_the_right_senders_in_every_kind() {
    for (senders, on_public) in
        [("members", false), ("members", true), ("all", false), ("all", true), ("none", true)]
    {
        let stage = Stage::set_with(&[(SENDERS, senders), (ON_PUBLIC, &on_public.to_string())]).await;
        for &kind in ChannelKind::ALL {
            let mut insider = stage.insider(kind).await;
            let (mut member, mut stranger) = (stage.insider(kind).await, stage.gema.client().await);
            let expected = verdicts(senders, on_public, kind);
            for ((sender, is_member), verdict) in
                [(&mut member, true), (&mut stranger, false)].into_iter().zip(expected)
            {
                send(sender, kind).await;
                match verdict {
                    Ok(()) => {
                        let heard = insider.expect("client-x").await;
                        let signed = heard.text.contains(r#""user_id":"insider""#);
                        assert_eq!(signed, is_member && has_members(kind), "{senders}: {}", heard.text);
                        assert!(!heard.text.contains("forged"), "{}", heard.text);
                    }
                    Err(code) => {
                        let refused = sender.expect("pusher:error").await;
                        assert_eq!(refused.inner()["code"], code, "{senders} in {}", channel(kind));
                    }
                }
                sender.nothing_came().await;
                insider.nothing_came().await;
            }
            if expected[1].is_ok() {
                member.expect("client-x").await;
            }
            member.nothing_came().await;
        }
    }
}
