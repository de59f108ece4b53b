//! Which web pages may connect. A page's `Origin` header is written by its browser, so this is no login: it keeps
//! other sites' pages away, not other programs.

/// An app's list of allowed origins. Compiled once, asked once per connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigins {
    entries: Vec<String>,
    patterns: Vec<Pattern>,
}

impl AllowedOrigins {
    /// Takes the entries of the configuration. `*` stands for any run of characters.
    ///
    /// `*` alone allows everything, also clients without an `Origin`. `app.example` is compared with the host and
    /// `localhost:3000` with host and port, both for any scheme; an entry with `://` names scheme, host and port, where
    /// no port means the scheme's own. An empty list allows nobody.
    #[must_use]
    pub fn new(entries: Vec<String>) -> Self {
        let patterns = entries.iter().map(|entry| Pattern::new(&entry.to_ascii_lowercase())).collect();
        Self { entries, patterns }
    }

    /// The entries as they were given, for the log.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// May a page of this `Origin` connect? `None` when the header is absent.
    #[must_use]
    pub fn permits(&self, origin: Option<&str>) -> bool {
        let origin = origin.map(str::to_ascii_lowercase);
        let origin = origin.as_deref().and_then(Origin::parse);
        self.patterns.iter().any(|pattern| match (pattern, &origin) {
            (Pattern::Anything, _) => true,
            (Pattern::Origin { .. }, None) => false,
            (Pattern::Origin { scheme, host, port }, Some(origin)) => {
                scheme.as_ref().is_none_or(|scheme| matches(scheme, origin.scheme))
                    && matches(host, origin.host)
                    && port.as_ref().is_none_or(|port| matches(port, origin.port))
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Anything,
    /// All in lower case; `None` matches any.
    Origin {
        scheme: Option<String>,
        host: String,
        port: Option<String>,
    },
}

impl Pattern {
    fn new(entry: &str) -> Self {
        let entry = entry.trim();
        if entry == "*" {
            return Self::Anything;
        }
        match entry.split_once("://") {
            None => {
                let (host, port) = split_port(entry);
                Self::Origin { scheme: None, host: host.into(), port: port.map(Into::into) }
            }
            Some((scheme, rest)) => {
                let (host, port) = split_port(rest.trim_end_matches('/'));
                let port = port.unwrap_or(default_port(scheme));
                Self::Origin { scheme: Some(scheme.into()), host: host.into(), port: Some(port.into()) }
            }
        }
    }
}

struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
}

impl<'a> Origin<'a> {
    /// Reads `scheme://host[:port]` in lower case; `null` and everything else is no origin.
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = split_port(rest);
        let host_is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', '*', ' ', ',']);
        let port_is_plain = port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()));
        (!scheme.is_empty() && host_is_plain && port_is_plain).then(|| Self {
            scheme,
            host,
            port: port.unwrap_or(default_port(scheme)),
        })
    }
}

/// Splits `host[:port]`; a dot that ends the host is dropped, and an IPv6 address keeps its brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    (host.strip_suffix('.').unwrap_or(host), port)
}

fn default_port(scheme: &str) -> &'static str {
    match scheme {
        "https" => "443",
        "http" => "80",
        _ => "",
    }
}

/// Does `text` fit `pattern`, where each `*` is any run of characters? Linear in both but for the last `*`, to which it
/// falls back: no pattern makes it explode.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
