//! What tungstenite sees as its stream: it reads from the socket, and what it writes itself (pongs) joins the outbound
//! queue behind everything else.
//!
//! On the way in the headers of frames are judged, because tungstenite takes lengths that are not in their shortest form,
//! and waits for the payload of a frame that it will refuse.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use gema_protocol::frame_headers::{FrameHeaders, HeaderFault};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::outbound::Outbound;

/// The stream below tungstenite.
pub(super) struct Io {
    outbound: Arc<Outbound>,
    /// Bytes have come in since [`Io::take_heard`]: the peer lives.
    heard: bool,
    headers: FrameHeaders,
    fault: Option<HeaderFault>,
    /// What came with the upgrade request and has not been read yet. Nearly always nothing, hence the box.
    early: Option<Box<Bytes>>,
}

impl Io {
    /// `early`: bytes that came with the upgrade request.
    pub(super) fn new(outbound: Arc<Outbound>, early: Bytes) -> Self {
        let early = (!early.is_empty()).then(|| Box::new(early));
        Self { outbound, heard: false, headers: FrameHeaders::default(), fault: None, early }
    }

    /// Whether the peer has sent anything since the last call, be it part of a frame.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Puts the next bytes into `buf`, as many as there are; an end is nothing.
    fn poll_next(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut early) = self.early.take() {
            buf.put_slice(&early.split_to(early.len().min(buf.remaining())));
            self.early = early.has_remaining().then_some(early);
            return Poll::Ready(Ok(()));
        }
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
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncRead for Io {
    /// The bytes before a faulty header are still read: they hold messages that came in order.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(fault) = self.fault {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, fault)));
        }
        let before = buf.filled().len();
        if self.poll_next(cx, buf)?.is_pending() {
            return Poll::Pending;
        }
        self.heard |= buf.filled().len() > before;
        if let Err(broken) = self.headers.feed(&buf.filled()[before..]) {
            self.fault = Some(broken.fault);
            buf.set_filled(before + broken.good);
            if broken.good == 0 {
                return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, broken.fault)));
            }
        }
        Poll::Ready(Ok(()))
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
