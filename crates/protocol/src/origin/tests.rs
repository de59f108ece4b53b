//! Origins against lists: every shape of the header × every shape of an entry.

use super::*;

fn check(table: &[(&[&str], Option<&str>, bool)]) {
    for (entries, origin, expected) in table {
        let list = AllowedOrigins::new(entries.iter().map(|e| (*e).to_owned()).collect());
        assert_eq!(list.permits(*origin), *expected, "{entries:?} and {origin:?}");
    }
}

#[test]
fn r_reverb_233_allowed_origins() {
    check(&[
        (&["*"], None, true),
        (&["*"], Some("null"), true),
        (&["*"], Some("https://any.example:8443"), true),
        (&[], Some("https://laravel.com"), false),
        (&["laravel.com"], Some("https://laravel.com"), true),
        (&["laravel.com"], Some("http://laravel.com:8000"), true),
        (&["laravel.com"], Some("https://sub.laravel.com"), false),
        (&["laravel.com"], Some("https://laravel.com.evil.example"), false),
        (&["laravel.com"], Some("https://evil.example/laravel.com"), false),
        (&["laravel.com"], Some("https://evil.example#laravel.com"), false),
        (&["laravel.com"], Some("https://x@laravel.com"), false),
        (&["laravel.com"], None, false),
        (&["laravel.com"], Some("null"), false),
        (&["laravel.com"], Some(""), false),
        (&["laravel.com"], Some("laravel.com"), false),
        (&["*.laravel.com"], Some("https://sub.laravel.com"), true),
        (&["*.laravel.com"], Some("https://a.b.laravel.com"), true),
        (&["*.laravel.com"], Some("https://laravel.com"), false),
        (&["*.laravel.com"], Some("https://evillaravel.com"), false),
        (&["*laravel.com", "other.example"], Some("https://other.example"), true),
        (&["**"], None, false),
    ]);
}

#[test]
fn r_soketi_816_case_dots_schemes_and_ports() {
    check(&[
        (&["Laravel.COM"], Some("HTTPS://LARAVEL.com"), true),
        (&["laravel.com."], Some("https://laravel.com"), true),
        (&["laravel.com"], Some("https://laravel.com.:443"), true),
        (&["https://laravel.com"], Some("https://laravel.com"), true),
        (&["https://laravel.com/"], Some("https://laravel.com:443"), true),
        (&["https://laravel.com:443"], Some("https://laravel.com"), true),
        (&["https://laravel.com"], Some("http://laravel.com"), false),
        (&["https://laravel.com"], Some("https://laravel.com:8443"), false),
        (&["https://*.laravel.com"], Some("https://a.laravel.com"), true),
        (&["http://localhost:*"], Some("http://localhost:5173"), true),
        (&["http://localhost:5173"], Some("http://localhost:5174"), false),
        (&["localhost:5173"], Some("http://localhost:5173"), true),
        (&["localhost:5173"], Some("http://localhost:5174"), false),
        (&["localhost"], Some("http://localhost:5173"), true),
        (&["[::1]"], Some("http://[::1]:5173"), true),
        (&["http://[::1]:5173"], Some("http://[::1]:5173"), true),
        (&["capacitor://localhost"], Some("capacitor://localhost"), true),
        (&["capacitor://localhost"], Some("ionic://localhost"), false),
    ]);
}

#[test]
fn patterns_do_not_explode() {
    let list = AllowedOrigins::new(vec!["*a".repeat(200) + "b"]);
    assert!(!list.permits(Some(&format!("https://{}", "a".repeat(2_000)))));
}

/// The shapes of a list, in the order of the columns of [`MATRIX`].
const LISTS: [&[&str]; 8] = [
    &["*"],
    &["app.example"],
    &["app.example:8443"],
    &["https://app.example"],
    &["*.example"],
    &["https://*.app.example:*"],
    &["xn--bcher-kva.example", "localhost"],
    &["null"],
];

/// A header and, for each list, whether it is let in.
const MATRIX: [(Option<&str>, &str); 25] = [
    (Some("https://app.example"), "yy-yy---"),
    (Some("https://app.example:443"), "yy-yy---"),
    (Some("https://app.example:8443"), "yyy-y---"),
    (Some("http://app.example"), "yy--y---"),
    (Some("http://app.example:8443"), "yyy-y---"),
    (Some("https://app.example."), "yy-yy---"),
    (Some("https://app.example.:8443"), "yyy-y---"),
    (Some("HTTPS://APP.Example"), "yy-yy---"),
    (Some("https://www.app.example"), "y---yy--"),
    (Some("https://www.app.example:8443"), "y---yy--"),
    (Some("http://www.app.example"), "y---y---"),
    (Some("https://app.example.evil.test"), "y-------"),
    (Some("https://evil.test/app.example"), "y-------"),
    (Some("https://app.example@evil.test"), "y-------"),
    (Some("https://evilapp.example"), "y---y---"),
    (Some("https://xn--bcher-kva.example"), "y---y-y-"),
    (Some("https://XN--BCHER-KVA.example"), "y---y-y-"),
    (Some("https://b\u{fc}cher.example"), "y---y---"),
    (Some("http://localhost:5173"), "y-----y-"),
    (Some("null"), "y-------"),
    (Some(""), "y-------"),
    (Some("app.example"), "y-------"),
    (Some("https://"), "y-------"),
    (Some("https://app.example:port"), "y-------"),
    (None, "y-------"),
];

#[test]
fn r_reverb_233_every_shape_of_an_origin_against_every_shape_of_a_list() {
    for (origin, expected) in MATRIX {
        let letter = |list: &&[&str]| {
            let list = AllowedOrigins::new(list.iter().map(|entry| (*entry).to_owned()).collect());
            if list.permits(origin) { 'y' } else { '-' }
        };
        assert_eq!(LISTS.iter().map(letter).collect::<String>(), expected, "{origin:?}");
    }
}
