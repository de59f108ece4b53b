//! Several endpoints of which some are dead: the others hear everything in time, also when a node dies, and nothing is lost
//! for those that come back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{Gema, Receiver, Recorder, Redis, Setup, figure};

use super::{BackEnd, member};
use crate::stage::linked;

const ROOMS: usize = 30;
/// An event that nothing holds back is there after a fifth of a second, or that and the grace of 3 s. Behind a dead endpoint
/// it would wait for five minutes.
const IN_TIME: Duration = Duration::from_secs(60);

fn room(number: usize) -> String {
    format!("presence-{number}")
}

/// Three endpoints: one that takes everything, one that does not listen, one that never answers.
async fn two_nodes(redis: &Redis, urls: [&str; 3]) -> Vec<Gema> {
    let toml: String = urls.iter().map(|url| format!("[[app.webhooks]]\nurl = \"{url}\"\n")).collect();
    let setup = Setup::broadcast().file("gema.toml", &toml).node(&redis.url());
    let nodes = join_all((0..2).map(|_| setup.clone().start())).await;
    join_all(nodes.iter().map(linked)).await;
    nodes
}

/// Ann comes at one node and bob at the other, into every room.
async fn come(nodes: &[Gema]) -> (Vec<Recorder>, Vec<Recorder>) {
    let rooms: Vec<String> = (0..ROOMS).map(room).collect();
    let anns = join_all(rooms.iter().map(|room| member(&nodes[0], room, "ann")));
    let bobs = join_all(rooms.iter().map(|room| member(&nodes[1], room, "bob")));
    tokio::join!(anns, bobs)
}

/// Each of these once in every room.
async fn hears_of_each(back_end: &mut BackEnd, news: &[&str]) {
    let all: Vec<String> = (0..ROOMS)
        .flat_map(|number| news.iter().map(move |one| one.replacen('@', &room(number), 1)))
        .collect();
    back_end.hears(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_endpoints_hold_back_no_other_of_the_cluster() {
    let (redis, alive) = (Redis::start().await, Receiver::start().await);
    let ((late_url, socket), silent) = (Receiver::refusing(), Receiver::answering(|_, _| None).await);
    let mut nodes = two_nodes(&redis, [&alive.url(), &late_url, &silent.url()]).await;
    let mut alive = BackEnd::new(alive, &nodes[0].app);

    let start = Instant::now();
    let (anns, bobs) = come(&nodes).await;
    hears_of_each(&mut alive, &["channel_occupied @", "member_added @ ann", "member_added @ bob"]).await;
    let came = start.elapsed();
    drop(bobs);
    let start = Instant::now();
    hears_of_each(&mut alive, &["member_removed @ bob"]).await;
    let went = start.elapsed();
    figure(&format!(
        "an endpoint beside two dead ones in a cluster: {ROOMS} rooms heard of within {:.2} s, of who left within {:.1} s (grace 3 s)",
        came.as_secs_f64(),
        went.as_secs_f64()
    ));
    assert!(came < IN_TIME && went < IN_TIME, "{came:?}, {went:?}");

    // The other goes on where the dead one stood with each endpoint.
    nodes[0].kill();
    let last = ["member_removed @ ann", "channel_vacated @"];
    hears_of_each(&mut alive, &last).await;
    let mut late = BackEnd::new(Receiver::listen(socket), &nodes[1].app);
    hears_of_each(&mut late, &last).await;
    for number in 0..ROOMS {
        let heard = alive.of(&room(number));
        assert_eq!(heard.len(), 6, "{heard:?}");
        assert_eq!(late.of(&room(number)), heard);
    }
    drop(anns);
}
