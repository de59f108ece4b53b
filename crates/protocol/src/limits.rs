//! How much of everything an app may use, in the two flavours people move here from.

use std::time::Duration;

use crate::rate_limit::Rate;

/// Above this many subscribers, changes of a channel's count are summed up.
pub const COUNTED_AT_ONCE: usize = 100;
/// How long they are summed up.
pub const COUNT_PAUSE: Duration = Duration::from_secs(5);

/// Whose behaviour an app expects where Pusher and Laravel Reverb differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// What an app that used Laravel Reverb notices no change from.
    #[default]
    Reverb,
    /// What Pusher documents.
    Pusher,
}

/// What to do with an `info` attribute that does not fit the channel's kind (`user_count` of a public channel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MisplacedInfo {
    /// Leave it out of the answer.
    Omit,
    /// Answer 400.
    Refuse,
}

/// The limits of one app. `None` means: no limit of its own (the size of a frame or request still bounds it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a channel name, prefix included.
    pub channel_name: usize,
    /// Characters of an event name.
    pub event_name: usize,
    /// Bytes (UTF-8) of the `data` string of one published event.
    pub event_data: usize,
    /// Bytes of an HTTP request body.
    pub request_body: usize,
    /// Channels that one published event may name.
    pub channels_per_event: usize,
    /// Events in one `batch_events` request.
    pub batch: Option<usize>,
    /// Bytes of one message from a client; a longer one closes the connection with 1009.
    pub client_message: usize,
    /// Bytes of the JSON in a client event's `data`.
    pub client_event_data: usize,
    /// Client events per second and connection.
    pub client_events_per_second: Option<u32>,
    /// Users in one presence channel.
    pub presence_members: Option<usize>,
    /// Bytes of the JSON in a member's `user_info`.
    pub presence_user_info: Option<usize>,
    /// Characters of a user id.
    pub user_id: usize,
    /// User ids in one watchlist.
    pub watchlist: usize,
    /// How long a cache channel keeps its last event.
    pub cache_ttl: Duration,
    /// Seconds of silence after which the client is told to ping (`activity_timeout` of the handshake).
    pub activity_timeout_s: u32,
    /// Seconds of silence after which the server pings.
    pub ping_interval_s: u32,
    /// Seconds the server then waits for any sign of life before it closes with 4201.
    pub pong_grace_s: u32,
    /// Seconds that a signed request's clock may differ from ours, in either direction.
    pub signature_window_s: u64,
    /// What happens to an `info` attribute of the wrong kind of channel.
    pub misplaced_info: MisplacedInfo,
}

impl Limits {
    /// The limit on client events as a rate.
    #[must_use]
    pub fn client_event_rate(&self) -> Option<Rate> {
        self.client_events_per_second.map(|times| Rate { times, window: Duration::from_secs(1) })
    }

    /// The defaults of a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Reverb => Self::reverb(),
            Profile::Pusher => Self::pusher(),
        }
    }

    fn reverb() -> Self {
        Self {
            channel_name: 200,
            event_name: 200,
            event_data: 10_240,
            request_body: 1_572_864,
            channels_per_event: 100,
            batch: None,
            client_message: 10_000,
            client_event_data: 10_240,
            client_events_per_second: None,
            presence_members: None,
            presence_user_info: None,
            user_id: 128,
            watchlist: 100,
            cache_ttl: Duration::from_secs(30 * 60),
            activity_timeout_s: 30,
            ping_interval_s: 60,
            pong_grace_s: 30,
            signature_window_s: 600,
            misplaced_info: MisplacedInfo::Omit,
        }
    }

    fn pusher() -> Self {
        Self {
            channel_name: 164,
            batch: Some(10),
            // The documented 10,240 bytes of data plus room for the names and the envelope around them.
            client_message: 10_240 + 1_024,
            client_events_per_second: Some(10),
            presence_members: Some(100),
            presence_user_info: Some(1_024),
            activity_timeout_s: 120,
            ping_interval_s: 120,
            misplaced_info: MisplacedInfo::Refuse,
            ..Self::reverb()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverb_is_the_default_and_lenient() {
        let (reverb, pusher) = (Limits::of(Profile::default()), Limits::of(Profile::Pusher));
        assert_eq!((reverb.channel_name, pusher.channel_name), (200, 164));
        assert_eq!((reverb.batch, pusher.batch), (None, Some(10)));
        assert_eq!((reverb.client_message, reverb.event_data, pusher.event_data), (10_000, 10_240, 10_240));
        assert_eq!((reverb.activity_timeout_s, reverb.ping_interval_s), (30, 60));
        assert_eq!((pusher.activity_timeout_s, pusher.ping_interval_s, pusher.pong_grace_s), (120, 120, 30));
        assert_eq!(reverb.request_body, 3 * 1024 * 1024 / 2);
        assert!(reverb.request_body > reverb.channels_per_event * reverb.event_data, "a full request fits");
    }
}
