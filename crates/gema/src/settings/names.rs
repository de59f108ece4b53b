//! Which names are settings, which belong to somebody else, and which known name an unknown one resembles.

use super::declare::Setting;
use super::registry::{App, NEEDLESS, Process, Webhook};

/// What a variable of the environment or `.env` is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A setting, or a name that is known and changes nothing.
    Known,
    /// Somebody else's: most variables, and those Kubernetes makes for its Services.
    Foreign,
    /// `GEMA_*` and not a setting: an error.
    UnknownGema,
    /// `REVERB_*` and not a setting: a warning, for a Laravel application may read it.
    UnknownReverb,
}

/// Judges a variable by its name (and value: `GEMA_PORT` is Kubernetes' only if it holds an address).
pub(crate) fn standing(name: &str, value: &str) -> Standing {
    if is_from_kubernetes(name, value) {
        Standing::Foreign
    } else if variables().any(|known| known == name) {
        Standing::Known
    } else if name.starts_with("GEMA_") {
        Standing::UnknownGema
    } else if name.starts_with("REVERB_") {
        Standing::UnknownReverb
    } else {
        Standing::Foreign
    }
}

/// True for the variables that Kubernetes gives every container for a Service: a Service named `redis` or `reverb`
/// would otherwise set REDIS_PORT or REVERB_PORT to something like `tcp://10.0.0.1:6379`.
pub(crate) fn is_from_kubernetes(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let is_service =
        name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_");
    is_service || (name.ends_with("_PORT") && is_address) || is_exposed_port(name)
}

/// True for `*_PORT_<n>_<protocol>` with or without `_PROTO`, `_PORT` or `_ADDR`.
fn is_exposed_port(name: &str) -> bool {
    name.match_indices("_PORT_").any(|(at, found)| {
        let mut parts = name[at + found.len()..].split('_');
        let number =
            parts.next().is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
        let protocol = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
        let detail = matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"));
        number && protocol && detail && parts.next().is_none()
    })
}

/// Every variable that is known.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    let settings = Process::TABLE.iter().chain(App::TABLE).chain(Webhook::TABLE).map(|setting| setting.env);
    settings.chain(NEEDLESS.iter().map(|needless| needless.env))
}

/// The key of an app's setting in `gema.toml`, within `[app]`.
pub(crate) fn app_key(setting: &Setting) -> String {
    format!("app.{}", setting.key)
}

/// The key of a setting in an app's `webhook`.
pub(crate) fn webhook_key(setting: &Setting) -> String {
    format!("webhook.{}", setting.key)
}

/// Every dotted key of `gema.toml` outside `[[apps]]`.
pub(crate) fn process_keys() -> impl Iterator<Item = String> {
    let process = Process::TABLE.iter().map(|setting| setting.key.to_owned());
    process.chain(app_keys().map(|key| format!("app.{key}")))
}

/// Every dotted key within one of `[[apps]]`.
pub(crate) fn app_keys() -> impl Iterator<Item = String> {
    App::TABLE.iter().map(|setting| setting.key.to_owned()).chain(Webhook::TABLE.iter().map(webhook_key))
}

/// The candidate that looks most like `name`. Dotted names also count as alike when their last parts are, so that
/// `port` finds `server.port`.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = impl AsRef<str>>) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let likeness = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
        whole.max(0.9 * strsim::normalized_damerau_levenshtein(&last(name), &last(candidate)))
    };
    let better = |best: (f64, String), candidate: String| {
        let score = likeness(&candidate);
        if score > best.0 { (score, candidate) } else { best }
    };
    candidates.map(|candidate| candidate.as_ref().to_owned()).fold((-1.0, String::new()), better).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_variables_of_kubernetes_are_foreign() {
        let table = [
            ("GEMA_SERVICE_HOST", "10.0.0.1"),
            ("GEMA_SERVICE_PORT", "8080"),
            ("GEMA_SERVICE_PORT_HTTP", "8080"),
            ("GEMA_PORT", "tcp://10.0.0.1:8080"),
            ("GEMA_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("GEMA_PORT_8080_TCP_PROTO", "tcp"),
            ("GEMA_PORT_8080_TCP_PORT", "8080"),
            ("GEMA_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("GEMA_BROADCAST_PORT_53_UDP_ADDR", "10.0.0.1"),
            ("REVERB_PORT", "tcp://10.0.0.1:8080"),
            ("REVERB_SERVICE_HOST", "10.0.0.1"),
            ("REVERB_SERVER_PORT", "tcp://10.0.0.1:8080"),
        ];
        for (name, value) in table {
            assert_eq!(standing(name, value), Standing::Foreign, "{name}");
        }
    }

    #[test]
    fn names_that_only_resemble_those_of_kubernetes_are_judged() {
        assert_eq!(standing("GEMA_PORT", "8080"), Standing::UnknownGema);
        assert_eq!(standing("GEMA_PORT_X_TCP", ""), Standing::UnknownGema);
        assert_eq!(standing("GEMA_PORT_80_TCP_X", ""), Standing::UnknownGema);
        assert_eq!(standing("REVERB_PORT", "443"), Standing::Known);
        assert_eq!(standing("REVERB_PROT", "443"), Standing::UnknownReverb);
        assert_eq!(standing("VITE_REVERB_PORT", "443"), Standing::Foreign);
    }

    #[test]
    fn every_name_of_reverb_is_known() {
        let names = "REVERB_SERVER REVERB_SERVER_HOST REVERB_SERVER_PORT REVERB_SERVER_PATH REVERB_HOST \
            REVERB_MAX_REQUEST_SIZE REVERB_SCALING_ENABLED REVERB_SCALING_CHANNEL REDIS_URL REDIS_HOST REDIS_PORT \
            REDIS_USERNAME REDIS_PASSWORD REDIS_DB REDIS_TIMEOUT REVERB_PULSE_INGEST_INTERVAL \
            REVERB_TELESCOPE_INGEST_INTERVAL REVERB_APP_ID REVERB_APP_KEY REVERB_APP_SECRET REVERB_PORT \
            REVERB_SCHEME REVERB_APP_PING_INTERVAL REVERB_APP_ACTIVITY_TIMEOUT REVERB_APP_MAX_CONNECTIONS \
            REVERB_APP_MAX_MESSAGE_SIZE REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM REVERB_APP_RATE_LIMITING_ENABLED \
            REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS REVERB_APP_RATE_LIMIT_DECAY_SECONDS REVERB_APP_RATE_LIMIT_TERMINATE";
        for name in names.split_whitespace() {
            assert_eq!(standing(name, ""), Standing::Known, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_by_its_last_part_too() {
        assert_eq!(nearest("port", process_keys()), "server.port");
        assert_eq!(nearest("sever.prot", process_keys()), "server.port");
        assert_eq!(nearest("GEMA_SERVER_PORT", variables()), "REVERB_SERVER_PORT");
        assert_eq!(nearest("GEMA_LOGFORMAT", variables()), "GEMA_LOG_FORMAT");
    }
}
