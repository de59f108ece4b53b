//! The built dashboard: its page, its assets, and the policy that keeps foreign scripts out of it.

use std::path::Path;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use tower_http::services::{ServeDir, ServeFile};

use crate::config::FrontEnd;
use crate::error::Error;
use crate::state::App;

/// Shown at `/` as long as nobody has built the pages. It needs no script and no style.
const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Gema</title>
<h1>Gema is running</h1>
<p>The attendance API works. Its web pages are not built yet: run <code>make dashboard</code> in the source folder
(it needs Node 20), then reload this page.</p>
</html>
";

/// `/` and the other addresses of the single-page dashboard.
pub(crate) async fn page(State(app): State<App>, request: Request) -> Response {
    let policy = content_security_policy(&app.config.front_end, request.headers());
    let mut response = match app.config.dashboard_dir.as_deref().map(|folder| folder.join("index.html")) {
        Some(index) if index.is_file() => file(&index, request).await,
        _ => Html(NOT_BUILT).into_response(),
    };
    let headers = response.headers_mut();
    // Asked for anew each time, so that a new version of the pages is seen; a 304 is cheap.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// Every address without a route. A browser gets the pages, which have one for this case; everybody else gets JSON.
pub(crate) async fn missing(app: State<App>, request: Request) -> Response {
    if !is_visit(&request) {
        return Error::NotFound.into_response();
    }
    let mut response = page(app, request).await;
    if response.status().is_success() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// Whether somebody opens an address in a browser, rather than a program that asks for data.
fn is_visit(request: &Request) -> bool {
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    let is_for_programs = ["/api/", "/broadcasting/", "/sanctum/", "/assets/"];
    *request.method() == Method::GET
        && accepts.contains("text/html")
        && !is_for_programs.iter().any(|prefix| path.starts_with(prefix))
}

/// Files whose names carry a hash of their content, and the icon.
pub(crate) async fn asset(State(app): State<App>, request: Request) -> Response {
    let Some(folder) = app.config.dashboard_dir.as_deref() else { return Error::NotFound.into_response() };
    let hashed = request.uri().path().starts_with("/assets/");
    let served = ServeDir::new(folder).append_index_html_on_directories(false).try_call(request).await;
    // Whatever cannot be read does not exist for a visitor: names that are too long, folders, other people's files.
    let Ok(mut response) = served.map(IntoResponse::into_response) else {
        return Error::NotFound.into_response();
    };
    if !(response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED) {
        return Error::NotFound.into_response();
    }
    let caching = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

async fn file(path: &Path, request: Request) -> Response {
    match ServeFile::new(path).try_call(request).await {
        Ok(response) => response.into_response(),
        Err(error) => Error::Internal(format!("dashboard: {error}")).into_response(),
    }
}

/// Only our own scripts and styles, no frames, and no connection but to us and to the broadcast server.
fn content_security_policy(front_end: &FrontEnd, headers: &HeaderMap) -> HeaderValue {
    let host = if front_end.host.is_empty() { request_host(headers) } else { Some(front_end.host.clone()) };
    let sockets = host.filter(|host| is_host(host)).map(|host| sockets(&host, front_end)).unwrap_or_default();
    let text = format!(
        "default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}

/// A page on plain HTTP may be configured with either transport; one with TLS never goes without.
fn sockets(host: &str, front_end: &FrontEnd) -> String {
    let port = front_end.port;
    let plain = if front_end.scheme == "https" { String::new() } else { format!(" ws://{host}:{port}") };
    format!("{plain} wss://{host}:{port}")
}

/// The host name the browser used, without its port.
fn request_host(headers: &HeaderMap) -> Option<String> {
    let authority = headers.get(HOST)?.to_str().ok()?;
    authority.parse::<Uri>().ok()?.host().map(str::to_owned)
}

/// Whether a text is a host name or address and nothing else: it goes into a header, next to keywords.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_ipv6 = inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    !host.is_empty() && host.len() <= 253 && (is_ipv6 || is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(host: &str, scheme: &str, request_host: &str) -> String {
        let front_end = FrontEnd { key: "k".into(), host: host.into(), port: 8080, scheme: scheme.into() };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, request_host.parse().unwrap());
        content_security_policy(&front_end, &headers).to_str().unwrap().to_owned()
    }

    #[test]
    fn the_socket_is_on_the_host_of_the_page_by_default() {
        assert!(
            policy("", "http", "10.0.0.5:8000").contains("'self' ws://10.0.0.5:8080 wss://10.0.0.5:8080;")
        );
        assert!(policy("", "http", "[::1]:8000").contains("'self' ws://[::1]:8080 wss://[::1]:8080;"));
    }

    #[test]
    fn a_configured_host_wins_and_tls_stays_tls() {
        let text = policy("ws.example.com", "https", "evil.example");
        assert!(text.contains("connect-src 'self' wss://ws.example.com:8080;"), "{text}");
    }

    #[test]
    fn a_forged_host_never_enters_the_policy() {
        for host in ["*", "a;script-src *", "a b", "x,y", "[::1", "a_b", "user@host:1", ""] {
            let text = policy("", "http", host);
            assert!(
                text.contains("connect-src 'self';") || text.contains("ws://host:8080"),
                "{host}: {text}"
            );
        }
    }
}
