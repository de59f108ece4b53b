//! Every code we may close a WebSocket with: when it is sent, and what the browser then does.
//!
//! 4300 and above are not here on purpose: pusher-js takes them for a refusal and never comes back, so they exist
//! only inside `pusher:error` frames (see [`crate::error::ErrorCode`]).

/// Makes the enum and its tables of one list, so that no code can be forgotten in one of them.
macro_rules! close_codes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $reason:literal;)+) => {
        /// Why the server closes a connection: when each is sent, and what pusher-js 8.6 then does (observed).
        ///
        /// Several reasons share a number. A client that is refused stays `disconnected` until its page is reloaded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $($(#[$doc])+ $name,)+
        }

        impl CloseCode {
            /// All of them, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The number in the close frame.
            #[must_use]
            pub fn code(self) -> u16 {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// The text in the close frame, at most 123 bytes. Laravel Reverb's own where it has one for the case.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)+
                }
            }
        }
    };
}

close_codes! {
    /// 1002, the client broke RFC 6455. pusher-js: reconnects after 1 s and counts it against the transport.
    ProtocolViolation = 1002, "WebSocket protocol violated";
    /// 1007, a text frame was not UTF-8. pusher-js: reconnects after 1 s.
    NotUtf8 = 1007, "Text frame is not UTF-8";
    /// 1009, a message above the size limit. pusher-js: reconnects after 1 s.
    MessageTooBig = 1009, "Maximum message size exceeded";
    /// 1011, a fault of ours in this connection. pusher-js: reconnects after 1 s.
    InternalError = 1011, "Internal server error";
    /// 4000, plain `ws` where TLS is required. pusher-js: switches to `wss` and reconnects at once.
    TlsRequired = 4000, "Connection must use TLS";
    /// 4001, nobody knows the key in the URL. pusher-js: refused, never reconnects.
    UnknownApp = 4001, "Application does not exist";
    /// 4003, the app is switched off. pusher-js: refused, never reconnects.
    AppDisabled = 4003, "Application is disabled";
    /// 4004, the app has as many connections as it may. pusher-js: refused, never reconnects.
    OverQuota = 4004, "Application is over connection quota";
    /// 4006, `protocol` in the URL is no number (strict mode only). pusher-js: refused, never reconnects.
    InvalidVersion = 4006, "Invalid protocol version";
    /// 4007, `protocol` is none that we speak (strict mode only). pusher-js: refused, never reconnects.
    UnsupportedProtocol = 4007, "Unsupported protocol version";
    /// 4008, no `protocol` in the URL (strict mode only). pusher-js: refused, never reconnects.
    NoProtocol = 4008, "No protocol version supplied";
    /// 4009, the page's origin is not on the app's list. pusher-js: refused, never reconnects.
    OriginNotAllowed = 4009, "Origin not allowed";
    /// 4009, neither signed in nor on a signed channel in time (off by default). pusher-js: refused, never reconnects.
    NotAuthorizedInTime = 4009, "Connection not authorized in time";
    /// 4009, the app terminated this user's connections. pusher-js: refused, never reconnects.
    TerminatedByApp = 4009, "You got disconnected by the app.";
    /// 4100, the server stops while a handshake is under way. pusher-js: reconnects after 1 s.
    OverCapacity = 4100, "Server is over capacity";
    /// 4100, more messages than the app's rate limit allows, where the app asks for a close. pusher-js: reconnects after 1 s.
    RateLimited = 4100, "Rate limit exceeded";
    /// 4200, the app terminated this user's connections and wants them back. pusher-js: reconnects at once.
    TerminatedForNow = 4200, "You got disconnected by the app.";
    /// 4200, the server restarts. pusher-js: reconnects at once, without any delay. Not during a handshake.
    Restarting = 4200, "Server is restarting";
    /// 4201, our ping found no answer. pusher-js: reconnects at once. Not during a handshake.
    PongTimeout = 4201, "Pong reply not received in time";
}

impl CloseCode {
    /// May it end a connection before `connection_established` was sent?
    ///
    /// No for 4200 to 4299: "reconnect at once" in a handshake makes each pusher-js client try hundreds of times a
    /// second. Use [`CloseCode::OverCapacity`] there.
    #[must_use]
    pub fn allowed_in_handshake(self) -> bool {
        !(4200..4300).contains(&self.code())
    }

    /// What an unmodified pusher-js does when it is closed with this code.
    #[must_use]
    pub fn reaction(self) -> Reaction {
        match self.code() {
            4000 => Reaction::SwitchToTls,
            4001..4100 | 4300.. => Reaction::StayAway,
            4200..4300 => Reaction::ReconnectAtOnce,
            0..4000 | 4100..4200 => Reaction::ReconnectInASecond,
        }
    }
}

/// What pusher-js 8.6 does after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Connects again over `wss`, without delay.
    SwitchToTls,
    /// Stays `disconnected` for good.
    StayAway,
    /// Connects again one second later; the delay does not grow.
    ReconnectInASecond,
    /// Connects again without delay.
    ReconnectAtOnce,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_can_be_sent_and_none_is_43xx() {
        for &code in CloseCode::ALL {
            assert!(code.reason().len() <= 123, "{code:?}: a control frame holds 125 bytes");
            assert!(matches!(code.code(), 1002 | 1007 | 1009 | 1011 | 4000..4300), "{code:?}");
        }
        assert!(CloseCode::ALL.is_sorted_by_key(|c| c.code()));
        assert!(
            CloseCode::ALL.iter().enumerate().all(|(i, c)| !CloseCode::ALL[..i].contains(c)),
            "each one once"
        );
    }

    #[test]
    fn a_handshake_never_says_reconnect_at_once() {
        for &code in CloseCode::ALL {
            assert_eq!(code.allowed_in_handshake(), code.reaction() != Reaction::ReconnectAtOnce, "{code:?}");
        }
    }

    #[test]
    fn only_who_must_stay_away_is_sent_away() {
        let away: Vec<u16> =
            CloseCode::ALL.iter().filter(|c| c.reaction() == Reaction::StayAway).map(|c| c.code()).collect();
        assert_eq!(away, [4001, 4003, 4004, 4006, 4007, 4008, 4009, 4009, 4009]);
        assert_eq!(CloseCode::TlsRequired.reaction(), Reaction::SwitchToTls);
        assert_eq!(CloseCode::OverCapacity.reaction(), Reaction::ReconnectInASecond);
    }
}
