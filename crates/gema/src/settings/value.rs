//! The types a setting can have: how each is read from text, and the sentence when that fails.
//!
//! A value is text in every source (a number in `gema.toml` becomes text, too), so that one parser serves the file,
//! the environment, `.env` and flags. Errors never repeat the value: `super::Problem` adds it unless it is secret.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    /// What a value of this type looks like, as it stands in the reference page and in errors.
    fn expected() -> String;

    /// Reads a value; `None` if the text is not one.
    fn parse(text: &str) -> Option<Self>;
}

/// An empty text is an unset value.
impl<T: Value> Value for Option<T> {
    fn expected() -> String {
        T::expected()
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }
}

/// The spellings of Laravel's `env()`, and 1/0.
impl Value for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "(true)" | "1" => Some(true),
            "false" | "(false)" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Value for String {
    fn expected() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Value for PathBuf {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }
}

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, saturated where the receiving type is smaller than the bounds allow.
    pub(crate) fn get<T: TryFrom<u64> + Bounded>(self) -> T {
        T::try_from(self.0).unwrap_or(T::LARGEST)
    }
}

/// The largest value of an integer type, for saturation.
pub(crate) trait Bounded {
    /// The largest value.
    const LARGEST: Self;
}

impl Bounded for u16 {
    const LARGEST: Self = Self::MAX;
}
impl Bounded for u32 {
    const LARGEST: Self = Self::MAX;
}
impl Bounded for u64 {
    const LARGEST: Self = Self::MAX;
}
impl Bounded for usize {
    const LARGEST: Self = Self::MAX;
}

impl<const MIN: u64, const MAX: u64> Value for Whole<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(text: &str) -> Option<Self> {
        let number = text.parse().ok()?;
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }
}

/// A TCP port to listen on; 0 lets the system choose a free one.
pub(crate) type Port = Whole<0, 65_535>;
/// A number of bytes, at least 1 KiB.
pub(crate) type Bytes = Whole<1_024, 1_073_741_824>;
/// A number of seconds up to a day.
pub(crate) type Seconds = Whole<1, 86_400>;
/// A count.
pub(crate) type Count = Whole<1, 1_000_000_000>;

/// A secret text: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(***)")
    }
}

impl Value for SecretText {
    fn expected() -> String {
        "a text, kept secret".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

/// Several patterns of origins, separated by commas (in `gema.toml` an array of strings does as well). Browsers name a
/// host in ASCII only: another spelling would never match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origins(pub(crate) Vec<String>);

impl Value for Origins {
    fn expected() -> String {
        "hosts or origins separated by commas, international names in their xn-- form".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let items: Vec<_> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        let plain = items.iter().all(|item| item.bytes().all(|byte| byte.is_ascii_graphic()));
        (plain && !items.is_empty()).then(|| Self(items.into_iter().map(str::to_owned).collect()))
    }
}

/// Several names, separated by commas (in `gema.toml` an array of strings does as well).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl Value for Names {
    fn expected() -> String {
        "names separated by commas".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(str::to_owned).collect();
        (!names.is_empty()).then_some(Self(names))
    }
}

/// A path prefix of all routes, normalised to "" or "/a/b".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(pub(crate) String);

impl Value for Prefix {
    fn expected() -> String {
        "a path such as /ws, of letters, digits, '-', '_', '.', '~' and '/'".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Some(Self(String::new()));
        }
        let whole = trimmed.chars().all(plain) && !trimmed.contains("//");
        whole.then(|| Self(format!("/{trimmed}")))
    }
}

/// The base address of a web server, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebUrl(pub(crate) String);

impl Value for WebUrl {
    fn expected() -> String {
        "an address that begins with http:// or https://".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
        let plausible = !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace);
        plausible.then(|| Self(text.trim_end_matches('/').to_owned()))
    }
}

/// The name or address of a machine and nothing around it; an IPv6 address gets the brackets it has in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host(pub(crate) String);

impl Value for Host {
    fn expected() -> String {
        "a host name or address, without scheme, port or path".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if bare.parse::<Ipv6Addr>().is_ok() {
            return Some(Self(format!("[{bare}]")));
        }
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        text.chars().all(plain).then(|| Self(text.to_owned()))
    }
}

/// What is logged. A word that stands alone must be a level: `warning` would be a target, and silence all the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(pub(crate) String);

impl Value for Filter {
    fn expected() -> String {
        "a level (error, warn, info, debug, trace, off) or a filter such as info,gema_broadcast=debug"
            .to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let is_clear = |part: &str| part.contains(['=', '[']) || part.trim().parse::<LevelFilter>().is_ok();
        let is_filter = text.split(',').all(is_clear) && EnvFilter::builder().parse(text).is_ok();
        is_filter.then(|| Self(text.to_owned()))
    }
}

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone(pub(crate) String);

impl Value for Zone {
    fn expected() -> String {
        "an IANA name such as Asia/Jakarta".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        gema_attendance::is_time_zone(text).then(|| Self(text.to_owned()))
    }
}

impl Value for gema_attendance::TrustedProxies {
    fn expected() -> String {
        "networks or addresses separated by commas, or *".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Value for gema_broadcast::WebhookUrl {
    fn expected() -> String {
        WebUrl::expected()
    }

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// A time of day, "HH:MM", as minutes since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOfDay {
    /// 0 to 23.
    pub(crate) hour: u8,
    /// 0 to 59.
    pub(crate) minute: u8,
}

impl Value for TimeOfDay {
    fn expected() -> String {
        "a time of day such as 08:30".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let digits = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hour) || minute.len() != 2 || !digits(minute) {
            return None;
        }
        let time = Self { hour: hour.parse().ok()?, minute: minute.parse().ok()? };
        (time.hour < 24 && time.minute < 60).then_some(time)
    }
}

/// Declares an enum whose values are written as fixed words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal $(| $also:literal)*),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[doc = $variant_doc])+ $variant),+ }

        impl Value for $name {
            fn expected() -> String {
                [$($word),+].join(" or ")
            }

            fn parse(text: &str) -> Option<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($word $(| $also)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// How clients reach the server.
    Scheme {
        /// Plain.
        Http = "http",
        /// Encrypted.
        Https = "https",
    }
}

impl Scheme {
    /// The word itself.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

words! {
    /// Whose defaults an app has where nothing else is set.
    AppProfile {
        /// As Laravel Reverb.
        Reverb = "reverb",
        /// As Pusher Channels.
        Pusher = "pusher",
    }
}

words! {
    /// Who may send client events.
    ClientEventSenders {
        /// Subscribers of the channel.
        Members = "members",
        /// Nobody.
        None = "none",
        /// Any connection.
        All = "all",
    }
}

words! {
    /// The close code of terminated connections.
    TerminateCode {
        /// Clients stay away.
        StayAway = "4009",
        /// Clients come back at once.
        ComeBack = "4200",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

words! {
    /// The kind of database.
    Database {
        /// One file, nothing to install.
        Sqlite = "sqlite",
        /// A MySQL server, shared by several nodes.
        MySql = "mysql" | "mariadb",
    }
}

words! {
    /// How Redis is spoken to.
    RedisScheme {
        /// In plain text.
        Tcp = "tcp" | "redis",
        /// Through TLS.
        Tls = "tls" | "rediss",
    }
}

words! {
    /// How events travel from the record to the publisher.
    Queue {
        /// The outbox table is the queue.
        Database = "database",
        /// In the request; for development.
        Sync = "sync",
        /// A list in Redis that wakes workers.
        Redis = "redis",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_spelt_as_in_laravel() {
        for text in ["true", "(true)", "TRUE", "1"] {
            assert_eq!(bool::parse(text), Some(true), "{text}");
        }
        for text in ["false", "(false)", "False", "0"] {
            assert_eq!(bool::parse(text), Some(false), "{text}");
        }
        for text in ["yes", "on", "2", "tru"] {
            assert_eq!(bool::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_keeps_to_its_bounds() {
        assert_eq!(Port::parse("65535").map(Whole::get::<u16>), Some(65_535));
        assert_eq!(Port::parse("65536"), None);
        assert_eq!(Port::parse("-1"), None);
        assert_eq!(Seconds::parse("0"), None);
    }

    #[test]
    fn a_prefix_is_normalised() {
        for (text, expected) in [("", ""), ("/", ""), ("ws", "/ws"), ("/ws/", "/ws"), ("a/b", "/a/b")] {
            assert_eq!(Prefix::parse(text), Some(Prefix(expected.to_owned())), "{text}");
        }
        for text in ["w s", "a//b", "ws?x", "../é"] {
            assert_eq!(Prefix::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_needs_a_scheme_and_a_host() {
        assert_eq!(WebUrl::parse("http://a:1/"), Some(WebUrl("http://a:1".to_owned())));
        for text in ["a:1", "ftp://a", "http://", "https:///x", "http://a b"] {
            assert_eq!(WebUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_stands_alone() {
        for (text, expected) in [
            ("ws.example.com", "ws.example.com"),
            ("reverb_1", "reverb_1"),
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(Host::parse(text), Some(Host(expected.to_owned())), "{text}");
        }
        for text in ["http://a", "a:80", "a/b", "a b", "u@a", "[a]", "[::1]:80", "a,b"] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_filter_never_silences_by_a_slip() {
        for text in ["info", "WARN", "off", "info,gema_broadcast=debug", "gema=trace", "[request]=debug"] {
            assert_eq!(Filter::parse(text), Some(Filter(text.to_owned())), "{text}");
        }
        for text in ["warning", "inof", "in fo", "info,gema_broadcast", "gema=loud"] {
            assert_eq!(Filter::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_zone_exists() {
        assert_eq!(Zone::parse("Asia/Jakarta"), Some(Zone("Asia/Jakarta".to_owned())));
        for text in ["Asia/Jakata", "", "+07:00"] {
            assert_eq!(Zone::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_within_the_day() {
        assert_eq!(TimeOfDay::parse("8:05"), Some(TimeOfDay { hour: 8, minute: 5 }));
        for text in ["24:00", "08:60", "8", "8:5", "+8:05", "08:30:00"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_of_origins_forgets_empty_items_and_takes_no_name_that_no_browser_sends() {
        assert_eq!(Origins::parse("a, b,,"), Some(Origins(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(
            Origins::parse("https://xn--bcher-kva.example"),
            Some(Origins(vec!["https://xn--bcher-kva.example".to_owned()]))
        );
        for text in [" , ", "bücher.example", "a b", "a\u{7}"] {
            assert_eq!(Origins::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = SecretText::parse("hush").unwrap();
        assert_eq!(format!("{secret:?}"), "SecretText(***)");
        assert_eq!(secret.expose(), "hush");
    }
}
