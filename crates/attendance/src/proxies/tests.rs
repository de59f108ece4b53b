use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn proxies(text: &str) -> TrustedProxies {
    TrustedProxies::parse(text).unwrap()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| ((*name).parse().unwrap(), value.parse().unwrap());
    lines.iter().map(pair).collect::<Vec<_>>().into_iter().fold(HeaderMap::new(), |mut map, (name, value)| {
        map.append::<axum::http::HeaderName>(name, value);
        map
    })
}

/// Who asks when our one connection comes from 10.0.0.1.
fn seen(trusted: &str, forwarded: &[&str]) -> String {
    let lines: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
    proxies(trusted).client(ip("10.0.0.1"), &headers(&lines)).address.to_string()
}

#[test]
fn the_first_from_the_right_that_is_no_proxy_of_ours_is_the_client() {
    for (trusted, forwarded, client) in [
        ("", &["9.9.9.9"][..], "10.0.0.1"),
        ("10.0.0.2", &["9.9.9.9"], "10.0.0.1"),
        ("10.0.0.0/8", &[], "10.0.0.1"),
        ("10.0.0.0/8", &["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.0/8", &["1.1.1.1, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.0/8", &["1.1.1.1,9.9.9.9,10.0.0.7"], "9.9.9.9"),
        ("10.0.0.0/8", &["1.1.1.1", "9.9.9.9, 10.0.0.7"], "9.9.9.9"),
        ("10.0.0.0/8", &["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        ("*", &["1.1.1.1, 9.9.9.9"], "1.1.1.1"),
        ("10.0.0.0/8", &["1.1.1.1, 9.9.9.9:4711"], "9.9.9.9"),
        ("10.0.0.0/8", &["[2001:db8::1]:80"], "2001:db8::1"),
        ("10.0.0.0/8", &["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.0/8", &["::ffff:9.9.9.9"], "9.9.9.9"),
        // Whoever hides is as good as the proxy that lets them.
        ("10.0.0.0/8", &["1.1.1.1, unknown, 10.0.0.7"], "10.0.0.7"),
        ("10.0.0.0/8", &["1.1.1.1, "], "10.0.0.1"),
    ] {
        assert_eq!(seen(trusted, forwarded), client, "{trusted} {forwarded:?}");
    }
}

#[test]
fn a_network_holds_what_begins_like_it() {
    for (network, inside, outside) in [
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("::1", "::1", "::2"),
        ("fd00::/8", "fdff::1", "fc00::1"),
        ("10.1.2.3/31", "::ffff:10.1.2.2", "::10.1.2.2"),
    ] {
        let proxies = proxies(network);
        assert!(proxies.trusts(ip(inside)) && !proxies.trusts(ip(outside)), "{network}");
    }
    for wrong in
        ["10.0.0.0/33", "::/129", "10.0.0", "nginx", "10.0.0.0/", "10.0.0.0/x", "10.0.0.1;10.0.0.2", "**"]
    {
        assert_eq!(TrustedProxies::parse(wrong), None, "{wrong}");
    }
    assert_eq!(TrustedProxies::parse(" , "), Some(TrustedProxies::default()));
}

#[test]
fn a_trusted_proxy_says_how_it_was_reached() {
    let proxies = proxies("10.0.0.1");
    for (value, is_https) in
        [("https", true), ("HTTPS, http", true), ("http", false), ("http, https", false), ("", false)]
    {
        let headers = headers(&[("x-forwarded-proto", value)]);
        assert_eq!(proxies.client(ip("10.0.0.1"), &headers).is_https, is_https, "{value:?}");
        assert!(!proxies.client(ip("10.0.0.2"), &headers).is_https, "{value:?}");
    }
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

proptest! {
    #[test]
    fn the_headers_of_a_peer_that_is_not_trusted_never_count(
        peer in any_ip(),
        networks in prop::collection::vec((any_ip(), 1_u32..=32), 0..4),
        lines in prop::collection::vec(prop_oneof![any_ip().prop_map(|ip| ip.to_string().into_bytes()), any::<Vec<u8>>()], 0..4),
        proto in any::<Vec<u8>>(),
    ) {
        let text: Vec<_> = networks.iter().map(|(ip, length)| format!("{ip}/{length}")).collect();
        let proxies = proxies(&text.join(","));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.extend(HeaderValue::from_bytes(&line).map(|value| ("x-forwarded-for".parse().unwrap(), value)).ok()
                .map(|(name, value): (axum::http::HeaderName, _)| (Some(name), value)));
        }
        headers.extend(HeaderValue::from_bytes(&proto).ok().map(|value| (axum::http::header::HeaderName::from_static("x-forwarded-proto"), value)));
        headers.extend([(axum::http::header::HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"))]);
        let client = proxies.client(peer, &headers);
        if !proxies.trusts(peer) {
            prop_assert_eq!(client, Client { address: peer.to_canonical(), is_https: false });
        }
    }
}
