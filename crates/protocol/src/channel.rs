//! Channel names and what their prefix promises. Who is subscribed is the server's business.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The prefix of a user's own channel; what follows is the user's id. The only legal use of `#`.
const SERVER_TO_USER: &str = "#server-to-user-";
/// See [`ChannelName::control`].
const CONTROL: &str = "#control";

/// A name that was checked: 1 to `max_len` bytes of `A-Z a-z 0-9 _ - = @ , . ;`, or `#server-to-user-{id}`.
///
/// Cheap to clone (shared text) and hashed as `str`, so a map keyed by it can be asked with a `&str`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Checks `name`. The id of a server-to-user channel may hold anything but control characters, because it comes
    /// from the app's own user database (`auth0|5`) and such a name is never part of a signed string.
    ///
    /// # Errors
    /// Says which rule is broken; see [`ChannelNameError`].
    pub fn parse(name: &str, max_len: usize) -> Result<Self, ChannelNameError> {
        if name.is_empty() {
            return Err(ChannelNameError::Empty);
        }
        if name.len() > max_len {
            return Err(ChannelNameError::TooLong { actual: name.len(), allowed: max_len });
        }
        let legal = match name.strip_prefix(SERVER_TO_USER) {
            Some(id) => !id.is_empty() && !id.contains(char::is_control),
            None => name.bytes().all(is_legal),
        };
        if legal { Ok(Self(name.into())) } else { Err(ChannelNameError::IllegalCharacter) }
    }

    /// A user's own channel. The id is not checked: whoever is signed in has passed the limits of ids.
    #[must_use]
    pub fn of_user(id: &str) -> Self {
        Self(format!("{SERVER_TO_USER}{id}").into())
    }

    /// What servers tell each other beside events, as if it were a channel. Not a name that [`ChannelName::parse`] takes:
    /// nobody can subscribe or publish to it.
    #[must_use]
    pub fn control() -> Self {
        Self(CONTROL.into())
    }

    /// Is it [`ChannelName::control`]?
    #[must_use]
    pub fn is_control(&self) -> bool {
        &*self.0 == CONTROL
    }

    /// What the prefix says.
    #[must_use]
    pub fn kind(&self) -> ChannelKind {
        ChannelKind::of(&self.0)
    }

    /// The user id of a server-to-user channel.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.0.strip_prefix(SERVER_TO_USER)
    }
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte)
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for ChannelName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ChannelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a text is no channel name. Subscribers hear it as error 4009, publishers as HTTP 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelNameError {
    /// The name has no characters.
    #[error("a channel name must not be empty")]
    Empty,
    /// The name is longer than the app's limit; both in bytes, prefix included.
    #[error("a channel name may have {allowed} bytes, this one has {actual}")]
    TooLong {
        /// Bytes of the name.
        actual: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// A character outside the set; `:` above all, with which a name could imitate the user-auth string.
    #[error("a channel name may hold only A-Z a-z 0-9 _ - = @ , . ;")]
    IllegalCharacter,
}

/// Makes the enum, the list of all kinds and their prefixes of one table, so that no kind can be forgotten in one of them.
macro_rules! channel_kinds {
    ($($(#[$doc:meta])+ $name:ident = $prefix:expr;)+) => {
        /// What a channel's prefix promises. The prefix includes its dash: `privateer` and `cached` are public.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ChannelKind {
            $($(#[$doc])+ $name,)+
        }

        impl ChannelKind {
            /// All of them. A kind whose prefix begins with another's stands before that one.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What the names of this kind begin with.
            #[must_use]
            pub fn prefix(self) -> &'static str {
                match self {
                    $(Self::$name => $prefix,)+
                }
            }
        }
    };
}

channel_kinds! {
    /// Private, encrypted, and the last event is kept.
    PrivateEncryptedCache = "private-encrypted-cache-";
    /// Private, and the server sees only ciphertext.
    PrivateEncrypted = "private-encrypted-";
    /// Private, and the last event is kept.
    PrivateCache = "private-cache-";
    /// The app signs each subscription.
    Private = "private-";
    /// Members see each other, and the last event is kept.
    PresenceCache = "presence-cache-";
    /// Private, and members see each other.
    Presence = "presence-";
    /// Public, and the last event is kept for newcomers.
    Cache = "cache-";
    /// `#server-to-user-{id}`: only sockets signed in as that user.
    ServerToUser = SERVER_TO_USER;
    /// Anybody may subscribe.
    Public = "";
}

impl ChannelKind {
    /// The kind of a name by its prefix alone; the rest of the name is not checked.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let fits = |kind: &Self| name.starts_with(kind.prefix());
        Self::ALL.iter().copied().find(fits).unwrap_or(Self::Public)
    }

    /// Must a subscription carry the app's signature? (A server-to-user channel needs a sign-in instead.)
    #[must_use]
    pub fn requires_signature(self) -> bool {
        match self {
            Self::Private
            | Self::PrivateEncrypted
            | Self::Presence
            | Self::PrivateCache
            | Self::PresenceCache
            | Self::PrivateEncryptedCache => true,
            Self::Public | Self::Cache | Self::ServerToUser => false,
        }
    }

    /// Does it have members that see each other?
    #[must_use]
    pub fn is_presence(self) -> bool {
        matches!(self, Self::Presence | Self::PresenceCache)
    }

    /// Is the last published event kept for those who subscribe later?
    #[must_use]
    pub fn is_cache(self) -> bool {
        matches!(self, Self::Cache | Self::PrivateCache | Self::PresenceCache | Self::PrivateEncryptedCache)
    }

    /// Is `data` ciphertext that only app and clients can read?
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::PrivateEncrypted | Self::PrivateEncryptedCache)
    }

    /// May anybody know how many sockets subscribe? Presence channels have their list of users instead, and the
    /// channel of a single user is counted nowhere.
    #[must_use]
    pub fn has_subscription_count(self) -> bool {
        !self.is_presence() && self != Self::ServerToUser
    }

    /// May clients send `client-*` events here? Where the app signs who subscribes, yes; `on_public` adds the channels
    /// that anyone may join. A server-to-user channel belongs to the app's back end alone.
    #[must_use]
    pub fn accepts_client_events(self, on_public: bool) -> bool {
        self.requires_signature() || (on_public && matches!(self, Self::Public | Self::Cache))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_prefix_with_its_dash() {
        use ChannelKind as K;
        // name, kind, requires a signature, presence, cache, encrypted
        let table = [
            ("orders", K::Public, [false, false, false, false]),
            ("privateer", K::Public, [false, false, false, false]),
            ("cached", K::Public, [false, false, false, false]),
            ("presence", K::Public, [false, false, false, false]),
            ("my-private-x", K::Public, [false, false, false, false]),
            ("private-", K::Private, [true, false, false, false]),
            ("private-encryptedx", K::Private, [true, false, false, false]),
            ("private-cachex", K::Private, [true, false, false, false]),
            ("private-encrypted-x", K::PrivateEncrypted, [true, false, false, true]),
            ("presence-x", K::Presence, [true, true, false, false]),
            ("cache-x", K::Cache, [false, false, true, false]),
            ("private-cache-x", K::PrivateCache, [true, false, true, false]),
            ("presence-cache-x", K::PresenceCache, [true, true, true, false]),
            ("private-encrypted-cache-x", K::PrivateEncryptedCache, [true, false, true, true]),
            ("#server-to-user-1", K::ServerToUser, [false, false, false, false]),
        ];
        for (name, kind, [signed, presence, cache, encrypted]) in table {
            assert_eq!(ChannelKind::of(name), kind, "{name}");
            assert_eq!(kind.requires_signature(), signed, "{name}");
            assert_eq!(kind.has_subscription_count(), !presence && kind != K::ServerToUser, "{name}");
            assert_eq!(kind.accepts_client_events(false), signed, "{name}");
            assert_eq!(kind.accepts_client_events(true), kind != K::ServerToUser, "{name}");
            assert_eq!(kind.is_presence(), presence, "{name}");
            assert_eq!(kind.is_cache(), cache, "{name}");
            assert_eq!(kind.is_encrypted(), encrypted, "{name}");
        }
    }

    #[test]
    fn each_kind_is_found_by_its_prefix() {
        for &kind in ChannelKind::ALL {
            assert_eq!(ChannelKind::of(&format!("{}7", kind.prefix())), kind);
        }
    }

    #[test]
    fn names_are_checked() {
        for good in [
            "a",
            "presence-foo-bar_1234@=,.;",
            "#server-to-user-5",
            "#server-to-user-auth0|5",
            &"x".repeat(200),
        ] {
            assert_eq!(ChannelName::parse(good, 200).as_deref(), Ok(good));
        }
        for bad in [
            "a b",
            "a/b",
            "a:b",
            "a#",
            "#a",
            "#server-to-user-",
            "#server-to-user-a\nb",
            "ä",
            "a\0",
            "a\n",
            "a\"",
            "*",
        ] {
            assert_eq!(ChannelName::parse(bad, 200), Err(ChannelNameError::IllegalCharacter), "{bad:?}");
        }
        assert_eq!(ChannelName::parse("", 200), Err(ChannelNameError::Empty));
        assert_eq!(ChannelName::parse("abcd", 3), Err(ChannelNameError::TooLong { actual: 4, allowed: 3 }));
    }

    #[test]
    fn r_sockudo_405_comma_in_channel() {
        assert!(ChannelName::parse("private-a,b;c", 200).is_ok());
    }

    #[test]
    fn a_map_keyed_by_names_is_asked_with_str() {
        let name = ChannelName::parse("a", 200).unwrap();
        let map = std::collections::HashMap::from([(name.clone(), 1)]);
        assert_eq!(map.get("a"), Some(&1));
        assert_eq!((name.to_string().as_str(), name.as_ref(), name.user_id()), ("a", "a", None));
        assert_eq!(ChannelName::parse("#server-to-user-7", 200).unwrap().user_id(), Some("7"));
    }
}
