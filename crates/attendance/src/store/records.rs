//! SQL that reads `attendances`: one record, pages of a list, and the figures of days and people.
//!
//! Lists are read in the order of `id`, newest first, each page from where the one before ended: an index leads there,
//! however far back that is. What changes records is in `attendances.rs` and `corrections.rs`.

use serde::Serialize;
use utoipa::ToSchema;

use super::engine::{Link, Pool};
use super::query::Query;
use super::{Row, Store, query};
use crate::domain::{Attendance, Person, Stamp, Status};

/// The outer join keeps both databases from beginning with the people: then they would have to sort.
const SELECT: &str = "SELECT attendances.*, users.name AS user_name, users.email AS user_email
    FROM attendances LEFT JOIN users ON users.id = attendances.user_id WHERE ";

const COUNTS: &str = "COUNT(CASE WHEN status = 'present' THEN 1 END) AS present,
    COUNT(CASE WHEN status = 'late' THEN 1 END) AS late,
    COUNT(check_out) AS checked_out,
    COUNT(*) - COUNT(check_out) AS still_open";

/// Which records a list shows; what is `None` does not restrict it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub user_id: Option<i64>,
    pub date: Option<String>,
    /// First working day.
    pub from: Option<String>,
    /// Last working day.
    pub to: Option<String>,
    pub node_id: Option<i64>,
    pub status: Option<Status>,
    /// Part of a name, an e-mail address or of notes.
    pub q: Option<String>,
    pub open: bool,
    /// Only ids below this one.
    pub before: Option<i64>,
}

/// How many records there are of which kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    pub present: i64,
    pub late: i64,
    pub checked_out: i64,
    pub open: i64,
}

/// Figures of one day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// Local working day, `YYYY-MM-DD`.
    pub date: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Figures of one day or one person out of several.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Totals {
    #[serde(flatten)]
    pub subject: Subject,
    #[serde(flatten)]
    pub counts: Counts,
    /// Time worked in closed records, in whole seconds.
    pub seconds: i64,
}

/// What [`Totals`] are the figures of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    Date(String),
    User(Person),
}

/// What [`Store::totals`] groups by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    Day,
    User,
}

impl Store {
    /// One record.
    pub(crate) async fn attendance(&self, id: i64) -> Result<Option<Attendance>, sqlx::Error> {
        find(&mut self.reader().await?, id).await
    }

    /// Newest first.
    pub(crate) async fn attendances(
        &self,
        filter: &Filter,
        limit: i64,
    ) -> Result<Vec<Attendance>, sqlx::Error> {
        let rows = list(&self.read, filter, limit).all(&mut self.reader().await?).await?;
        rows.iter().map(Attendance::from_row).collect()
    }

    /// Counts of one local day, of one person or of all.
    pub(crate) async fn summary(&self, date: &str, user_id: Option<i64>) -> Result<Summary, sqlx::Error> {
        let figures = query("SELECT ").push(COUNTS).push(" FROM attendances WHERE date = ?").bind(date);
        let row = only(figures, user_id).one(&mut self.reader().await?).await?;
        Ok(Summary { date: date.to_owned(), counts: Counts::from_row(&row)? })
    }

    /// Figures of the working days from `from` to `to` that have records, or of the people who have, in their order.
    pub(crate) async fn totals(
        &self,
        by: By,
        (from, to): (&str, &str),
        user_id: Option<i64>,
    ) -> Result<Vec<Totals>, sqlx::Error> {
        let (key, group) = match by {
            By::Day => ("date", " GROUP BY date ORDER BY date"),
            By::User => (
                "user_id, users.name AS user_name, users.email AS user_email",
                " GROUP BY user_id, users.name, users.email ORDER BY users.name, user_id",
            ),
        };
        let figures = query("SELECT ").push(key).push(", ").push(COUNTS).push(", ");
        let figures = figures
            .push(self.read.microseconds_worked())
            .push(" AS worked FROM attendances LEFT JOIN users ON users.id = attendances.user_id")
            .push(" WHERE date >= ? AND date <= ?")
            .bind(from)
            .bind(to);
        let rows = only(figures, user_id).push(group).all(&mut self.reader().await?).await?;
        rows.iter().map(|row| Totals::from_row(row, by)).collect()
    }
}

pub(super) async fn find(on: impl Into<Link<'_>>, id: i64) -> Result<Option<Attendance>, sqlx::Error> {
    let row = query(SELECT).push("attendances.id = ?").bind(id).first(on).await?;
    row.as_ref().map(Attendance::from_row).transpose()
}

fn list(pool: &Pool, filter: &Filter, limit: i64) -> Query {
    // Of open records there are few: the sum makes SQLite sort them rather than look for them among all others.
    let (before, order) = match filter.open {
        true => (" AND attendances.id + 0 < ?", " ORDER BY attendances.id + 0 DESC"),
        false => (" AND attendances.id < ?", " ORDER BY attendances.id DESC"),
    };
    let mut list = query(SELECT).push("1 = 1");
    let numbers = [
        (" AND attendances.user_id = ?", filter.user_id),
        (" AND attendances.node_id = ?", filter.node_id),
        (before, filter.before),
    ];
    for (condition, number) in numbers {
        list = number.into_iter().fold(list, |list, number| list.push(condition).bind(number));
    }
    let texts = [
        (" AND attendances.date = ?", filter.date.as_deref()),
        (" AND attendances.date >= ?", filter.from.as_deref()),
        (" AND attendances.date <= ?", filter.to.as_deref()),
        (" AND attendances.status = ?", filter.status.map(Status::as_str)),
    ];
    for (condition, text) in texts {
        list = text.into_iter().fold(list, |list, text| list.push(condition).bind(text));
    }
    if filter.open {
        // Not IS NOT NULL: for that SQLite does not use the index.
        list = list.push(" AND attendances.open_key > ''");
    }
    if let Some(q) = &filter.q {
        list = list.push_contains(pool, &["users.name", "users.email", "attendances.notes"], q);
    }
    list.push(order).push(" LIMIT ?").bind(limit)
}

fn only(figures: Query, user_id: Option<i64>) -> Query {
    match user_id {
        Some(user_id) => figures.push(" AND user_id = ?").bind(user_id),
        None => figures,
    }
}

fn person(row: &Row) -> Result<Person, sqlx::Error> {
    let (id, name, email) = (row.integer("user_id")?, row.text("user_name")?, row.text("user_email")?);
    Ok(Person { id, name, email: Some(email) })
}

impl Counts {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            present: row.integer("present")?,
            late: row.integer("late")?,
            checked_out: row.integer("checked_out")?,
            open: row.integer("still_open")?,
        })
    }
}

impl Totals {
    fn from_row(row: &Row, by: By) -> Result<Self, sqlx::Error> {
        let subject = match by {
            By::Day => Subject::Date(row.text("date")?),
            By::User => Subject::User(person(row)?),
        };
        let seconds = row.integer("worked")? / 1_000_000;
        Ok(Self { subject, counts: Counts::from_row(row)?, seconds })
    }
}

impl By {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "day" => Some(Self::Day),
            "user" => Some(Self::User),
            _ => None,
        }
    }
}

impl Attendance {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.integer("id")?,
            user_id: row.integer("user_id")?,
            user: person(row)?,
            node_id: row.integer("node_id")?,
            date: row.text("date")?,
            check_in: row.stamp("check_in")?,
            check_out: row.maybe("check_out")?.map(Stamp::from_stored),
            status: row.choice("status", Status::parse)?,
            notes: row.maybe("notes")?,
            version: row.integer("version")?,
            created_at: row.stamp("created_at")?,
            updated_at: row.stamp("updated_at")?,
        })
    }
}

#[cfg(test)]
mod tests;
