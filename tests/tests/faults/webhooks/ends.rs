//! What a back end hears of a node that dies: what is really over, once.

use gema_tests::{Receiver, Redis};
use tokio::time::sleep;

use super::{BackEnd, SETTLED, member, nodes};
use crate::stage::listener;

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_with_a_node_is_told_once() {
    let (redis, hooks) = (Redis::start().await, Receiver::start().await);
    let mut nodes = nodes(&redis, &hooks.url(), 3).await;
    let mut back_end = BackEnd::new(hooks, &nodes[0].app);

    let alone = (listener(&nodes[1], "alone").await, member(&nodes[1], "presence-alone", "ann").await);
    let shared = (
        member(&nodes[1], "presence-shared", "ann").await,
        member(&nodes[2], "presence-shared", "ann").await,
    );
    let mut expected = vec![
        "channel_occupied alone",
        "channel_occupied presence-alone",
        "channel_occupied presence-shared",
        "member_added presence-alone ann",
        "member_added presence-shared ann",
    ];
    back_end.hears(&expected).await;
    sleep(SETTLED).await;
    nodes[1].kill();
    expected.extend([
        "channel_vacated alone",
        "channel_vacated presence-alone",
        "member_removed presence-alone ann",
    ]);
    back_end.hears(&expected).await;
    // Comes behind whatever else there would be.
    drop(shared.1);
    expected.extend(["channel_vacated presence-shared", "member_removed presence-shared ann"]);
    back_end.hears(&expected).await;
    let mut heard = back_end.named();
    heard.sort_unstable();
    expected.sort_unstable();
    assert_eq!(heard, expected);
    drop((alone, shared.0));
}
