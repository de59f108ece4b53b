//! What a `pusher:error` frame says. After the handshake it never makes pusher-js reconnect; the connection stays open.

use std::borrow::Cow;

use crate::channel::ChannelNameError;
use crate::close::CloseCode;
use crate::presence::UserError;

/// The number in a `pusher:error` frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The frame before a close, with the same number. As the *first* frame pusher-js acts on it as on the close.
    Closing(CloseCode),
    /// 4009, a signature, a sign-in or a member was refused. pusher-js: emits `error`.
    Unauthorized,
    /// 4009, a channel name breaks a rule. pusher-js: emits `error`.
    InvalidChannel,
    /// 4100, a presence channel is full. pusher-js: emits `error`.
    OverCapacity,
    /// 4200, the message was not understood. pusher-js: emits `error`.
    InvalidMessage,
    /// 4301, a client event was refused. pusher-js: emits `error`. Never a close code.
    ClientEventRefused,
    /// 4302, a watchlist was cut to its limit. pusher-js: emits `error`. Never a close code.
    WatchlistTooLong,
}

impl ErrorCode {
    /// The number itself.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Closing(close) => close.code(),
            Self::Unauthorized | Self::InvalidChannel => 4009,
            Self::OverCapacity => 4100,
            Self::InvalidMessage => 4200,
            Self::ClientEventRefused => 4301,
            Self::WatchlistTooLong => 4302,
        }
    }
}

/// The content of one `pusher:error` frame. Texts are those of Laravel Reverb where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEvent {
    /// What kind of error; selects the number on the wire.
    pub code: ErrorCode,
    /// For the developer who reads the browser's console. Holds no secret and no signature.
    pub message: Cow<'static, str>,
}

impl ErrorEvent {
    fn fixed(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message) }
    }

    /// Sent right before the connection is closed with `code`, with the same number and text.
    #[must_use]
    pub fn closing(code: CloseCode) -> Self {
        Self::fixed(ErrorCode::Closing(code), code.reason())
    }

    /// 4200: invalid JSON, a field missing or of the wrong type, an unknown `pusher:` event.
    #[must_use]
    pub fn invalid_message() -> Self {
        Self::fixed(ErrorCode::InvalidMessage, "Invalid message format")
    }

    /// 4009: the signature of a subscription or sign-in is missing or wrong.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::fixed(ErrorCode::Unauthorized, "Connection is unauthorized")
    }

    /// 4009: the channel name of a subscription breaks a rule, which the text names.
    #[must_use]
    pub fn invalid_channel(error: ChannelNameError) -> Self {
        Self { code: ErrorCode::InvalidChannel, message: error.to_string().into() }
    }

    /// 4009: a signed `channel_data` or `user_data` that names no acceptable user.
    #[must_use]
    pub fn invalid_member(error: &UserError) -> Self {
        Self {
            code: ErrorCode::Unauthorized,
            message: format!("The signed user data is refused: {error}").into(),
        }
    }

    /// 4009: a sign-in as somebody else than before.
    #[must_use]
    pub fn signed_in_already() -> Self {
        Self::fixed(ErrorCode::Unauthorized, "The connection is signed in as another user.")
    }

    /// 4009: a client event on a channel that its sender has not subscribed to.
    #[must_use]
    pub fn not_a_member() -> Self {
        Self::fixed(ErrorCode::Unauthorized, "The client is not a member of the specified channel.")
    }

    /// 4301: the app takes no client events.
    #[must_use]
    pub fn client_events_off() -> Self {
        Self::fixed(ErrorCode::ClientEventRefused, "The app does not have client messaging enabled.")
    }

    /// 4301: client events are for private and presence channels only.
    #[must_use]
    pub fn client_event_on_public_channel() -> Self {
        Self::fixed(
            ErrorCode::ClientEventRefused,
            "Client events are only supported on private and presence channels.",
        )
    }

    /// 4301: a client event's name or data is above its limit; `what` is "name" or "data", sizes in its limit's unit.
    #[must_use]
    pub fn client_event_too_large(what: &'static str, actual: usize, allowed: usize) -> Self {
        let message =
            format!("The {what} of a client event may have a size of {allowed}, this one has {actual}.");
        Self { code: ErrorCode::ClientEventRefused, message: message.into() }
    }

    /// 4301: more client events per second than the app allows.
    #[must_use]
    pub fn rate_limited() -> Self {
        Self::fixed(ErrorCode::ClientEventRefused, "Rate limit exceeded")
    }

    /// 4100: a presence channel has as many members as it may.
    #[must_use]
    pub fn too_many_members(allowed: usize) -> Self {
        let message = format!("The presence channel already has {allowed} members, the most it may have.");
        Self { code: ErrorCode::OverCapacity, message: message.into() }
    }

    /// 4302: only the first ids of a watchlist, `accepted`, are watched.
    #[must_use]
    pub fn watchlist_cut(accepted: &[&str]) -> Self {
        let message =
            format!("Watchlist limit exceeded. Only these users are watched: {}", accepted.join(", "));
        Self { code: ErrorCode::WatchlistTooLong, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_says_what_the_close_frame_says() {
        for &close in CloseCode::ALL {
            let error = ErrorEvent::closing(close);
            assert_eq!((error.code.code(), error.message.as_ref()), (close.code(), close.reason()));
        }
    }

    #[test]
    fn each_error_has_the_documented_number() {
        let table = [
            (ErrorEvent::invalid_message(), 4200),
            (ErrorEvent::unauthorized(), 4009),
            (ErrorEvent::invalid_channel(ChannelNameError::Empty), 4009),
            (ErrorEvent::not_a_member(), 4009),
            (ErrorEvent::client_events_off(), 4301),
            (ErrorEvent::client_event_on_public_channel(), 4301),
            (ErrorEvent::client_event_too_large("data", 2, 1), 4301),
            (ErrorEvent::rate_limited(), 4301),
            (ErrorEvent::too_many_members(100), 4100),
            (ErrorEvent::watchlist_cut(&["1", "2"]), 4302),
        ];
        for (error, code) in table {
            assert_eq!(error.code.code(), code, "{error:?}");
            assert!(!error.message.is_empty());
        }
    }
}
