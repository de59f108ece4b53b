//! `gema queue failed|retry|flush`: looks after events that failed for good.

use gema_attendance::{FailedJob, FailedJobs};

use crate::cli::Queue;
use crate::database::database;
use crate::failure::{Ended, Failure};
use crate::settings::{Inputs, Roles};
use crate::{start, wiring};

/// Does what was asked for.
pub(crate) fn run(inputs: Inputs, asked: Queue) -> Ended {
    let settings = start::settings(inputs, Roles::MIGRATE)?;
    let process = &settings.process;
    let (database, redis) = (database(process)?, wiring::attendance_redis(process)?);
    start::tls();
    start::runtime()?.block_on(async {
        let jobs = FailedJobs::open(&database, wiring::queue(process), redis.as_ref()).await;
        let jobs = jobs.map_err(|error| error.to_string())?;
        let done = act(&jobs, asked).await;
        jobs.close().await;
        done
    })
}

async fn act(jobs: &FailedJobs, asked: Queue) -> Ended {
    match asked {
        Queue::Failed => super::config::write(&list(&all(jobs).await?)),
        Queue::Retry(ids) => retry(jobs, &ids).await,
        Queue::Flush => {
            let gone = jobs.flush().await.map_err(|error| error.to_string())?;
            super::config::write(&format!("failed events forgotten: {gone}\n"))
        }
    }
}

/// One line each: id, time, event, record, reason. A reason may hold whatever a server said.
fn list(jobs: &[FailedJob]) -> String {
    let line = |job: &FailedJob| {
        let reason: String =
            job.error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        let FailedJob { id, failed_at, event, attendance_id, event_id, .. } = job;
        format!("{id}\t{failed_at}\t{event}\tattendance {attendance_id}\t{event_id}\t{reason}\n")
    };
    if jobs.is_empty() { "no event has failed\n".to_owned() } else { jobs.iter().map(line).collect() }
}

async fn retry(jobs: &FailedJobs, ids: &[String]) -> Ended {
    let ids = match ids {
        [all_of_them] if all_of_them == "all" => all(jobs).await?.iter().map(|job| job.id).collect(),
        ids => ids.iter().map(|id| parse(id)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut unknown = Vec::new();
    for id in &ids {
        if !jobs.retry(*id).await.map_err(|error| error.to_string())? {
            unknown.push(id.to_string());
        }
    }
    super::config::write(&format!("failed events put back: {}\n", ids.len() - unknown.len()))?;
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("no failed event has the id {}: `gema queue failed` lists them", unknown.join(", ")).into())
}

async fn all(jobs: &FailedJobs) -> Result<Vec<FailedJob>, Failure> {
    jobs.list().await.map_err(|error| error.to_string().into())
}

fn parse(id: &str) -> Result<i64, Failure> {
    id.parse()
        .map_err(|_| format!("`{id}` is no id of a failed event: it is a whole number, or `all`").into())
}
