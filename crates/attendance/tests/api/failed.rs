//! Events that failed for good, and what `gema queue` does with them.

use gema_attendance::{FailedJobs, Queue};

use crate::kit::{Answer, Kit};

#[tokio::test]
async fn a_failed_event_can_be_tried_again_or_forgotten() {
    let Kit { stage, node } = Kit::start_with(|config| config.worker.tries = 1).await;
    stage.broadcast.answer([Answer::Status(400), Answer::Status(413)]);
    let (_, token) = node.employee("Sari").await;
    let id = node.check_in(&token).await["id"].as_i64().unwrap();
    stage.wait_for("SELECT COUNT(*) FROM failed_jobs").await;
    node.check_out(&token).await;
    stage.wait_for("SELECT COUNT(*) - 1 FROM failed_jobs").await;

    let queue = FailedJobs::open(&stage.database, Queue::Database, None).await.unwrap();
    let failed = queue.list().await.unwrap();
    assert_eq!(failed.len(), 2);
    assert_eq!((failed[0].attendance_id, failed[0].event.as_str()), (id, "attendance.created"));
    assert!(failed[0].error.contains("400"), "{}", failed[0].error);

    assert!(queue.retry(failed[0].id).await.unwrap());
    assert!(!queue.retry(failed[0].id).await.unwrap(), "it is not there any more");
    let published = stage.broadcast.wait(3).await;
    assert_eq!(published[0].raw, published[2].raw, "the same event, byte for byte");
    stage.drained().await;
    assert_eq!(queue.flush().await.unwrap(), 1);
    assert!(queue.list().await.unwrap().is_empty());
    queue.close().await;
}
