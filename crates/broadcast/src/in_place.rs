//! Polling a future again in place when it wakes itself, instead of through the scheduler.
//!
//! hyper wakes its own connection task once per request body. The scheduler would queue the task again and wake a second
//! worker thread, which finds nothing left to do: with few subscribers per event that costs more than the request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How often in a row; then the scheduler gets its turn.
const MOST: usize = 8;

/// A future that is polled again in place when it wakes itself.
pub(crate) struct InPlace<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Default)]
struct Wakes {
    polling: AtomicBool,
    again: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Sequential order throughout: either the poller sees `again` after it has stopped, or this sees that it has.
        self.again.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl<F> InPlace<F> {
    pub(crate) fn new(future: F) -> Self {
        let wakes = Arc::new(Wakes::default());
        Self { future: Box::pin(future), waker: wakes.clone().into(), wakes }
    }

    /// The future, to be told something between polls.
    pub(crate) fn inner(&mut self) -> Pin<&mut F> {
        self.future.as_mut()
    }
}

impl<F: Future> Future for InPlace<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.wakes.task.register(cx.waker());
        for _ in 0..MOST {
            this.wakes.polling.store(true, Ordering::SeqCst);
            this.wakes.again.store(false, Ordering::SeqCst);
            let polled = this.future.as_mut().poll(&mut Context::from_waker(&this.waker));
            this.wakes.polling.store(false, Ordering::SeqCst);
            if polled.is_ready() {
                return polled;
            }
            if !this.wakes.again.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test]
    async fn a_future_that_wakes_itself_needs_one_poll_of_its_task() {
        let (mut inner, mut outer) = (0, 0);
        let mut future = InPlace::new(poll_fn(|cx| {
            inner += 1;
            cx.waker().wake_by_ref();
            if inner == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        poll_fn(|cx| {
            outer += 1;
            Pin::new(&mut future).poll(cx)
        })
        .await;
        drop(future);
        assert_eq!((inner, outer), (3, 1));
    }

    #[tokio::test]
    async fn a_future_that_never_rests_leaves_room_for_others() {
        let busy = InPlace::new(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        tokio::select! {
            () = busy => unreachable!("it never ends"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }

    #[tokio::test]
    async fn wakes_from_elsewhere_reach_the_task() {
        let (done, end) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(InPlace::new(end));
        tokio::task::yield_now().await;
        done.send(7).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(7));
    }
}
