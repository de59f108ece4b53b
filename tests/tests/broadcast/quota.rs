//! A limit of connections under a rush: as many as it says, and as many again when those are gone.

use std::time::Instant;

use futures_util::future::join_all;
use gema_tests::wire::{CLOSE, FIN, Seen, Wire, frame};
use gema_tests::{Gema, PATIENCE, Setup};
use serde_json::json;

const LIMIT: usize = 100;
const RUSH: usize = 2_000;
const SMALLER_RUSH: usize = 500;

/// How those who are in leave.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Closing,
    HangingUp,
    Resetting,
}

/// Connects; the connection if it was let in. A refusal must be one, to its last frame.
async fn try_in(gema: &Gema) -> Option<Wire> {
    let mut wire = Wire::open(gema.broadcast, &gema.target(), "", b"").await;
    let Seen::Text(first) = wire.next().await else { panic!("an event was due") };
    if first.contains("pusher:connection_established") {
        return Some(wire);
    }
    assert!(first.contains("pusher:error") && first.contains("4004"), "{first}");
    let quota = "Application is over connection quota".to_owned();
    assert_eq!(wire.next().await, Seen::Close(Some(4004), quota));
    None
}

async fn leave(mut wire: Wire, how: Leaving) {
    match how {
        Leaving::Closing => {
            wire.send(&frame(FIN | CLOSE, &1000_u16.to_be_bytes())).await;
            assert_eq!(wire.next().await, Seen::Close(Some(1000), String::new()));
        }
        Leaving::HangingUp => drop(wire),
        Leaving::Resetting => wire.reset(),
    }
}

/// The end of a socket reaches the server when the kernel says so: ask until it has.
async fn nobody_is_left(gema: &Gema) {
    let start = Instant::now();
    while gema.api().get("/connections", &[]).await.ok()["connections"] != json!(0) {
        assert!(start.elapsed() < PATIENCE, "somebody is still counted");
    }
}

#[tokio::test]
async fn r_sockudo_51_a_rush_fills_the_app_exactly_and_again_when_it_is_empty() {
    gema_tests::many_files();
    let gema = Setup::broadcast().env("REVERB_APP_MAX_CONNECTIONS", &LIMIT.to_string()).start().await;
    for (rush, how) in [
        (RUSH, Leaving::Closing),
        (SMALLER_RUSH, Leaving::HangingUp),
        (SMALLER_RUSH, Leaving::Resetting),
        (SMALLER_RUSH, Leaving::Closing),
    ] {
        let inside: Vec<Wire> =
            join_all((0..rush).map(|_| try_in(&gema))).await.into_iter().flatten().collect();
        assert_eq!(inside.len(), LIMIT, "before {how:?}");
        let counted = gema.api().get("/connections", &[]).await.ok();
        assert_eq!(counted, json!({"connections": LIMIT}), "before {how:?}");
        join_all(inside.into_iter().map(|wire| leave(wire, how))).await;
        nobody_is_left(&gema).await;
    }
}

#[tokio::test]
async fn r_sockudo_54_places_change_hands_without_one_being_lost() {
    let gema = Setup::broadcast().env("REVERB_APP_MAX_CONNECTIONS", "5").start().await;
    let come_and_go = async |turn: usize| {
        let how = [Leaving::Closing, Leaving::HangingUp, Leaving::Resetting][turn % 3];
        for _ in 0..20 {
            if let Some(wire) = try_in(&gema).await {
                leave(wire, how).await;
            }
        }
    };
    join_all((0..20).map(come_and_go)).await;
    nobody_is_left(&gema).await;
    let inside: Vec<Wire> = join_all((0..20).map(|_| try_in(&gema))).await.into_iter().flatten().collect();
    assert_eq!(inside.len(), 5);
}
