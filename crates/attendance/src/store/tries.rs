//! SQL of `login_tries`: failed sign-ins of the last minute, one row each, while Redis does not count them.

use std::time::Duration;

use jiff::Timestamp;

use super::{Row, Store, query};
use crate::domain::Stamp;
use crate::throttle::{LIMITS, Try, WINDOW};

impl Store {
    /// Counts a try as failed. Zero: it may go on; else it was not counted and may come again after that time.
    ///
    /// The row comes before the look at the others: of tries at the same moment, on whichever nodes, the last to be
    /// written sees all of them, so that never more than the limit go on.
    pub(crate) async fn begin_try(&self, of: &Try) -> Result<Duration, sqlx::Error> {
        let own = query("INSERT INTO login_tries (account, client, tried_at) VALUES (?, ?, ?)")
            .bind(&of.account)
            .bind(&of.network)
            .bind(&Stamp::now())
            .execute(&mut self.relaxed().await?)
            .await?;
        let rows = query(
            "SELECT account, client, tried_at FROM login_tries
             WHERE tried_at > ? AND (account = ? OR client = ?) ORDER BY tried_at",
        )
        .bind(&Stamp::before(WINDOW))
        .bind(&of.account)
        .bind(&of.network)
        .all(&mut self.reader().await?)
        .await?;
        let wait = wait(of, &rows)?;
        if !wait.is_zero() {
            let taken_back = query("DELETE FROM login_tries WHERE id = ?").bind(own.id);
            taken_back.execute(&mut self.relaxed().await?).await?;
        }
        Ok(wait)
    }

    /// Forgets the tries of this account from this address.
    pub(crate) async fn forgive_tries(&self, of: &Try) -> Result<(), sqlx::Error> {
        query("DELETE FROM login_tries WHERE account = ? AND client = ?")
            .bind(&of.account)
            .bind(&of.network)
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }

    /// Removes the tries that no longer count.
    pub(crate) async fn sweep_tries(&self) -> Result<(), sqlx::Error> {
        query("DELETE FROM login_tries WHERE tried_at <= ?")
            .bind(&Stamp::before(WINDOW))
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }
}

/// How long until there is room in all of the limits. `rows`: all tries of this account or address, the oldest first.
fn wait(of: &Try, rows: &[Row]) -> Result<Duration, sqlx::Error> {
    let mut times: [Vec<Stamp>; 3] = Default::default();
    for row in rows {
        let is_of = (row.text("account")? == of.account, row.text("client")? == of.network);
        for (times, belongs) in times.iter_mut().zip([is_of.0 && is_of.1, is_of.0, is_of.1]) {
            times.extend(belongs.then(|| row.stamp("tried_at")).transpose()?);
        }
    }
    let full = times.iter().zip(LIMITS).filter(|(times, limit)| times.len() > *limit);
    // The one whose end makes room; the last is this try itself.
    let in_the_way = full.filter_map(|(times, limit)| times.get(times.len() - 1 - limit)?.timestamp()).max();
    let left =
        in_the_way.map(|since| WINDOW.saturating_sub(Timestamp::now().duration_since(since).unsigned_abs()));
    Ok(left.map_or(Duration::ZERO, |left| left.max(Duration::from_millis(1))))
}
