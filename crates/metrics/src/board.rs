//! Where the roles of a process say what they have to show, and how they are.

use std::fmt::{self, Debug, Formatter};
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::task::spawn_blocking;

use crate::page::Page;
use crate::process;

/// Work that a [`Source`] does when somebody asks.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A role that has something to show.
pub trait Source: Send + Sync + 'static {
    /// Adds its figures. No other source of the process has metrics of these names.
    fn add<'a>(&'a self, page: &'a mut Page) -> Task<'a, ()>;

    /// How it is.
    fn health(&self) -> Task<'_, Health>;
}

/// How a role is; the worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All is there.
    Well,
    /// It does without this for now, and no other process would do better.
    Degraded(&'static str),
    /// It can do nothing without this.
    Unable(&'static str),
    /// It is not there yet.
    Starting,
    /// It was told to stop.
    Ending,
}

impl Health {
    /// The HTTP status and JSON that `/ready` answers with.
    #[must_use]
    pub fn answer(self) -> (u16, String) {
        let (status, word, missing) = match self {
            Self::Well => (200, "ok", None),
            Self::Degraded(what) => (200, "degraded", Some(what)),
            Self::Unable(what) => (503, "unavailable", Some(what)),
            Self::Starting => (503, "starting", None),
            Self::Ending => (503, "draining", None),
        };
        let missing = missing.map(|what| format!(r#","{what}":"away""#)).unwrap_or_default();
        (status, format!(r#"{{"status":"{word}"{missing}}}"#))
    }
}

/// What a process shows. Clones share it.
#[derive(Clone, Default)]
pub struct Board(Arc<RwLock<Vec<Arc<dyn Source>>>>);

impl Debug for Board {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Board({})", self.0.read().len())
    }
}

/// Takes its source off the board when it is dropped.
#[must_use]
pub struct Shown {
    board: Board,
    source: Arc<dyn Source>,
}

impl Board {
    /// Shows a source, as long as the guard lives.
    pub fn show(&self, source: Arc<dyn Source>) -> Shown {
        self.0.write().push(source.clone());
        Shown { board: self.clone(), source }
    }

    /// The page as it is now.
    pub(crate) async fn page(&self) -> String {
        let mut page = Page::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.gauge("gema_build_info", "Always 1; the label says which version runs.").sample(&version, 1);
        let draining = u8::from(self.health().await == Health::Ending);
        page.gauge("gema_draining", "1 once the process has been told to stop.").sample(&[], draining);
        for source in self.sources() {
            source.add(&mut page).await;
        }
        // The kernel walks the table of open files, which takes milliseconds when there are many.
        let page = spawn_blocking(|| {
            process::add(&mut page);
            page
        });
        page.await.map(Page::into_text).unwrap_or_default()
    }

    /// How the worst of the roles is.
    pub(crate) async fn health(&self) -> Health {
        let mut worst = None;
        for source in self.sources() {
            worst = worst.max(Some(source.health().await));
        }
        worst.unwrap_or(Health::Starting)
    }

    fn sources(&self) -> Vec<Arc<dyn Source>> {
        self.0.read().clone()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.board.0.write().retain(|source| !Arc::ptr_eq(source, &self.source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Is(Health);

    impl Source for Is {
        fn add<'a>(&'a self, _page: &'a mut Page) -> Task<'a, ()> {
            Box::pin(async {})
        }

        fn health(&self) -> Task<'_, Health> {
            Box::pin(async { self.0 })
        }
    }

    #[tokio::test]
    async fn the_worst_counts_as_long_as_it_is_shown() {
        let board = Board::default();
        assert_eq!(board.health().await.answer(), (503, r#"{"status":"starting"}"#.to_owned()));
        let _well = board.show(Arc::new(Is(Health::Well)));
        assert_eq!(board.health().await.answer(), (200, r#"{"status":"ok"}"#.to_owned()));
        let _degraded = board.show(Arc::new(Is(Health::Degraded("redis"))));
        let degraded = (200, r#"{"status":"degraded","redis":"away"}"#.to_owned());
        assert_eq!(board.health().await.answer(), degraded);
        let unable = board.show(Arc::new(Is(Health::Unable("database"))));
        let status = r#"{"status":"unavailable","database":"away"}"#.to_owned();
        assert_eq!(board.health().await.answer(), (503, status));
        drop(unable);
        assert_eq!(board.health().await.answer(), degraded);
    }
}
