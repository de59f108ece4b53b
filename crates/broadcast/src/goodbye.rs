//! The last thing a client is told. Close codes are younger than the protocol's first versions: whose client cannot know
//! them hears the reason in a `pusher:error` first.

use bytes::{Bytes, BytesMut};
use gema_protocol::close::CloseCode;
use gema_protocol::error::ErrorEvent;
use gema_protocol::frame;
use gema_protocol::version::ProtocolVersion;

/// The last frames, made once for any number of connections.
pub(crate) struct Goodbye {
    close: Bytes,
    explained: Bytes,
}

impl Goodbye {
    /// We close the connection for this reason.
    pub(crate) fn of(code: CloseCode) -> Self {
        Self { close: frame::close(code), explained: explained(code) }
    }

    /// We answer the client's own close frame.
    pub(crate) fn reply(code: Option<u16>) -> Self {
        let close = frame::close_reply(code);
        Self { explained: close.clone(), close }
    }

    /// We refuse a connection whose handshake was completed for this only: every client hears the reason.
    pub(crate) fn refusal(code: CloseCode) -> Self {
        debug_assert!(code.allowed_in_handshake(), "pusher-js would come back hundreds of times a second");
        let explained = explained(code);
        Self { close: explained.clone(), explained }
    }

    /// What to send to a client of this version.
    pub(crate) fn frames(&self, version: ProtocolVersion) -> &Bytes {
        if version.wants_error_before_close() { &self.explained } else { &self.close }
    }
}

/// The error event that says why, and the close frame with the same code.
fn explained(code: CloseCode) -> Bytes {
    let mut frames = BytesMut::from(&frame::error(&ErrorEvent::closing(code), None)[..]);
    frames.extend_from_slice(&frame::close(code));
    frames.freeze()
}
