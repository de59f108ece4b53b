//! Every code we may close a WebSocket with: when it is sent, and what the browser then does.
//!
//! 4300 and above are not here on purpose: pusher-js takes them for a refusal and never comes back, so they exist
//! only inside `pusher:error` frames (see [`crate::error::ErrorCode`]).

/// Why the server closes a connection. Several reasons share a code; the reason is the text of the close frame.
///
/// "What pusher-js does" is observed with 8.6. A refused client stays `disconnected` until the page is reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1000, the answer to a client's own close. pusher-js: it had asked, nothing follows.
    Normal,
    /// 1002, the client broke RFC 6455. pusher-js: reconnects after 1 s and counts it against the transport.
    ProtocolViolation,
    /// 1007, a text frame was not UTF-8. pusher-js: reconnects after 1 s.
    NotUtf8,
    /// 1009, a message above the size limit. pusher-js: reconnects after 1 s.
    MessageTooBig,
    /// 1011, a fault of ours in this connection. pusher-js: reconnects after 1 s.
    InternalError,
    /// 4000, plain `ws` where TLS is required. pusher-js: switches to `wss` and reconnects at once.
    TlsRequired,
    /// 4001, nobody knows the key in the URL. pusher-js: refused, never reconnects.
    UnknownApp,
    /// 4003, the app is switched off. pusher-js: refused, never reconnects.
    AppDisabled,
    /// 4004, the app has as many connections as it may. pusher-js: refused, never reconnects.
    OverQuota,
    /// 4006, `protocol` in the URL is no number (strict mode only). pusher-js: refused, never reconnects.
    InvalidVersion,
    /// 4007, `protocol` is none that we speak (strict mode only). pusher-js: refused, never reconnects.
    UnsupportedProtocol,
    /// 4008, no `protocol` in the URL (strict mode only). pusher-js: refused, never reconnects.
    NoProtocol,
    /// 4009, the page's origin is not on the app's list. pusher-js: refused, never reconnects.
    OriginNotAllowed,
    /// 4009, neither signed in nor on a signed channel in time (off by default). pusher-js: refused, never reconnects.
    NotAuthorizedInTime,
    /// 4009, the app terminated this user's connections. pusher-js: refused, never reconnects.
    TerminatedByApp,
    /// 4100, the server is full, or draining while a handshake is under way. pusher-js: reconnects after 1 s.
    OverCapacity,
    /// 4100, the client reads too slowly for what is sent to it. pusher-js: reconnects after 1 s.
    TooSlow,
    /// 4200, the server restarts. pusher-js: reconnects at once, without any delay. Not during a handshake.
    Restarting,
    /// 4201, our ping found no answer. pusher-js: reconnects at once. Not during a handshake.
    PongTimeout,
    /// 4202, a client too old to answer pings was silent for a day. pusher-js: reconnects at once. Not during a handshake.
    Inactive,
}

impl CloseCode {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 20] = [
        Self::Normal,
        Self::ProtocolViolation,
        Self::NotUtf8,
        Self::MessageTooBig,
        Self::InternalError,
        Self::TlsRequired,
        Self::UnknownApp,
        Self::AppDisabled,
        Self::OverQuota,
        Self::InvalidVersion,
        Self::UnsupportedProtocol,
        Self::NoProtocol,
        Self::OriginNotAllowed,
        Self::NotAuthorizedInTime,
        Self::TerminatedByApp,
        Self::OverCapacity,
        Self::TooSlow,
        Self::Restarting,
        Self::PongTimeout,
        Self::Inactive,
    ];

    /// The number in the close frame.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::ProtocolViolation => 1002,
            Self::NotUtf8 => 1007,
            Self::MessageTooBig => 1009,
            Self::InternalError => 1011,
            Self::TlsRequired => 4000,
            Self::UnknownApp => 4001,
            Self::AppDisabled => 4003,
            Self::OverQuota => 4004,
            Self::InvalidVersion => 4006,
            Self::UnsupportedProtocol => 4007,
            Self::NoProtocol => 4008,
            Self::OriginNotAllowed | Self::NotAuthorizedInTime | Self::TerminatedByApp => 4009,
            Self::OverCapacity | Self::TooSlow => 4100,
            Self::Restarting => 4200,
            Self::PongTimeout => 4201,
            Self::Inactive => 4202,
        }
    }

    /// The text in the close frame, at most 123 bytes. Where Laravel Reverb has a text for the case, it is that one.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::ProtocolViolation => "WebSocket protocol violated",
            Self::NotUtf8 => "Text frame is not UTF-8",
            Self::MessageTooBig => "Maximum message size exceeded",
            Self::InternalError => "Internal server error",
            Self::TlsRequired => "Connection must use TLS",
            Self::UnknownApp => "Application does not exist",
            Self::AppDisabled => "Application is disabled",
            Self::OverQuota => "Application is over connection quota",
            Self::InvalidVersion => "Invalid protocol version",
            Self::UnsupportedProtocol => "Unsupported protocol version",
            Self::NoProtocol => "No protocol version supplied",
            Self::OriginNotAllowed => "Origin not allowed",
            Self::NotAuthorizedInTime => "Connection not authorized in time",
            Self::TerminatedByApp => "You got disconnected by the app.",
            Self::OverCapacity => "Server is over capacity",
            Self::TooSlow => "Connection does not keep up with its messages",
            Self::Restarting => "Server is restarting",
            Self::PongTimeout => "Pong reply not received in time",
            Self::Inactive => "Closed after inactivity",
        }
    }

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
            4001..4100 => Reaction::StayAway,
            4200..4300 => Reaction::ReconnectAtOnce,
            0..4000 | 4100..4200 => Reaction::ReconnectInASecond,
            4300.. => Reaction::StayAway,
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
        for code in CloseCode::ALL {
            assert!(code.reason().len() <= 123, "{code:?}: a control frame holds 125 bytes");
            assert!(matches!(code.code(), 1000 | 1002 | 1007 | 1009 | 1011 | 4000..4300), "{code:?}");
        }
        assert!(CloseCode::ALL.is_sorted_by_key(|c| c.code()));
        assert!(
            CloseCode::ALL.iter().enumerate().all(|(i, c)| !CloseCode::ALL[..i].contains(c)),
            "each one once"
        );
    }

    #[test]
    fn a_handshake_never_says_reconnect_at_once() {
        for code in CloseCode::ALL {
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
