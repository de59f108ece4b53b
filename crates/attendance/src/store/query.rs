//! A statement with its values, and the rows that come back: the same for both databases.
//!
//! Statements stay within the SQL that SQLite and MySQL 8 share; where they differ, `engine.rs` has the words.

use sqlx::mysql::MySqlRow;
use sqlx::query::Query as Bound;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Database, Decode, Encode, Row as _, Type, TypeInfo as _, ValueRef as _};

use super::engine::{Link, bounded, counted};
use super::mysql;
use crate::domain::Stamp;

/// A statement in the making. Its text is made of literals only, so whatever comes from outside is a value.
#[derive(Debug)]
pub(super) struct Query {
    text: String,
    values: Vec<Value>,
}

/// What can stand for a `?`.
#[derive(Debug)]
pub(super) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
}

/// What a statement did that answers no rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// How many rows it changed.
    pub rows: u64,
    /// The id of the row that it inserted.
    pub id: i64,
}

/// A row of an answer.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
}

/// Begins a statement.
pub(super) fn query(text: &'static str) -> Query {
    Query { text: text.to_owned(), values: Vec::new() }
}

impl Query {
    /// Adds to the text.
    pub(super) fn push(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        self
    }

    /// The value of the next `?`.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds `(?, ?, …)` with these values; of none is made a list that nothing is in.
    pub(super) fn push_list(mut self, ids: &[i64]) -> Self {
        self.text.push_str("(NULL");
        for id in ids {
            self.text.push_str(", ?");
            self.values.push((*id).into());
        }
        self.push(")")
    }

    /// The same statement as a question: how would you go about it?
    #[cfg(test)]
    pub(super) fn explained(mut self, explain: &str) -> Self {
        self.text.insert_str(0, explain);
        self
    }

    pub(super) async fn execute(self, on: impl Into<Link<'_>>) -> Result<Done, sqlx::Error> {
        match on.into() {
            Link::Sqlite(connection) => {
                let done = self.bound().execute(connection).await.map_err(counted)?;
                Ok(Done { rows: done.rows_affected(), id: done.last_insert_rowid() })
            }
            Link::MySql(connection) => {
                let done = bounded(self.bound().execute(connection)).await.map_err(counted)?;
                let id = i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX);
                Ok(Done { rows: done.rows_affected(), id })
            }
        }
    }

    pub(super) async fn all(self, on: impl Into<Link<'_>>) -> Result<Vec<Row>, sqlx::Error> {
        match on.into() {
            Link::Sqlite(connection) => {
                let rows = self.bound().fetch_all(connection).await.map_err(counted)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Link::MySql(connection) => {
                let rows = bounded(self.bound().fetch_all(connection)).await.map_err(counted)?;
                Ok(rows.into_iter().map(Row::MySql).collect())
            }
        }
    }

    /// The first row, if there is any.
    pub(super) async fn first(self, on: impl Into<Link<'_>>) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// The first row of a statement that always has one.
    pub(super) async fn one(self, on: impl Into<Link<'_>>) -> Result<Row, sqlx::Error> {
        self.first(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn bound<DB: Database>(self) -> Bound<'static, DB, DB::Arguments>
    where
        Option<i64>: Encode<'static, DB> + Type<DB>,
        Option<String>: Encode<'static, DB> + Type<DB>,
    {
        // Safe: `query` and `push` take literals only.
        let query = sqlx::query(AssertSqlSafe(self.text));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
        })
    }
}

impl Row {
    /// A column of whole numbers.
    pub(super) fn integer(&self, column: &str) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::MySql(row) => row.try_get(column),
        }
    }

    /// A column of texts, dates or points in time that may be NULL.
    pub(super) fn maybe(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::MySql(row) => mysql_text(row, column).map_err(|source| undecodable(column, source)),
        }
    }

    /// A column of texts, dates or points in time.
    pub(super) fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        self.maybe(column)?.ok_or_else(|| undecodable(column, "unexpected NULL".into()))
    }

    /// A point in time.
    pub(super) fn stamp(&self, column: &str) -> Result<Stamp, sqlx::Error> {
        self.text(column).map(Stamp::from_stored)
    }

    /// A column of texts of which only some are permitted.
    pub(super) fn choice<T>(&self, column: &str, parse: fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| undecodable(column, format!("unexpected `{text}`").into()))
    }
}

/// MySQL sends points in time as numbers; everywhere else they are text.
fn mysql_text(row: &MySqlRow, column: &str) -> Result<Option<String>, sqlx::error::BoxDynError> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = <&[u8] as Decode<sqlx::MySql>>::decode(value.clone())?;
    let text = match value.type_info().name() {
        kind @ ("DATE" | "DATETIME") => mysql::written(bytes, kind == "DATE"),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    };
    text.map(Some).ok_or_else(|| "neither text nor a point in time".into())
}

fn undecodable(column: &str, source: sqlx::error::BoxDynError) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&Option<Stamp>> for Value {
    fn from(value: &Option<Stamp>) -> Self {
        Self::Text(value.as_ref().map(|stamp| stamp.as_str().to_owned()))
    }
}

impl From<&Stamp> for Value {
    fn from(value: &Stamp) -> Self {
        Self::from(value.as_str())
    }
}
