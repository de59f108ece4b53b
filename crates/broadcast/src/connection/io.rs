//! What tungstenite sees as its stream: it reads from the socket, and what it writes itself (pong, the answer to a
//! close) joins the outbound queue behind everything else.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::outbound::Outbound;

/// The stream below tungstenite.
pub(super) struct Io {
    outbound: Arc<Outbound>,
    /// Bytes have come in since [`Io::take_heard`]: the peer lives.
    heard: bool,
}

impl Io {
    pub(super) fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, heard: false }
    }

    /// Whether the peer has sent anything since the last call, be it part of a frame.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(taken) = self.outbound.take_decrypted(buf.initialize_unfilled()) {
            buf.advance(taken?);
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.outbound.socket().poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ready) => ready?,
            }
            match self.outbound.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    self.heard |= read > 0;
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outbound.send(&Bytes::copy_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
