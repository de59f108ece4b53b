//! Allowed origins against a naive reading of the same rules.

use gema_protocol::origin::AllowedOrigins;
use proptest::prelude::*;

/// Does the text fit, where each `*` is any run of characters? By trying everything.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if fits(rest, text) => true,
        (Some((b'*', _)), Some((_, later))) => fits(pattern, later),
        (Some((expected, rest)), Some((found, later))) => expected == found && fits(rest, later),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn permits(entries: &[&str], origin: &str) -> bool {
    AllowedOrigins::new(entries.iter().map(|entry| (*entry).to_owned()).collect()).permits(Some(origin))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_host_fits_its_pattern_and_no_other(pattern in "[ab.*]{1,7}[ab*]", host in "[ab.]{1,7}[ab]", port in prop::option::of(1_u16..)) {
        prop_assume!(!pattern.trim_matches('*').is_empty());
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let expected = fits(pattern.as_bytes(), host.as_bytes());
        prop_assert_eq!(permits(&[&pattern], &format!("https://{host}{port}")), expected);
        prop_assert_eq!(permits(&["x", &pattern.to_uppercase()], &format!("HTTP://{}{port}", host.to_uppercase())), expected);
    }

    #[test]
    fn a_full_origin_fits_itself_only(host in "[a-z]{1,8}", scheme in "https?", port in 1_u16..) {
        let entry = format!("{scheme}://{host}:{port}");
        let usual = (scheme == "http" && port == 80) || (scheme == "https" && port == 443);
        let other_scheme = if scheme == "http" { "https" } else { "http" };
        for (origin, expected) in [
            (entry.clone(), true),
            (format!("{other_scheme}://{host}:{port}"), false),
            (format!("{scheme}://{host}x:{port}"), false),
            (format!("{scheme}://{host}:{}", port ^ 1), false),
            (format!("{scheme}://{host}"), usual),
        ] {
            prop_assert_eq!(permits(&[&entry], &origin), expected, "{} and {}", entry, origin);
        }
    }

    #[test]
    fn any_list_has_an_answer_for_any_header(entries in prop::collection::vec(".{0,12}", 0..4), origin in prop::option::of(".{0,20}")) {
        let list = AllowedOrigins::new(entries.clone());
        let everything = entries.iter().any(|entry| entry.trim() == "*");
        prop_assert!(!everything || list.permits(origin.as_deref()));
        prop_assert!(everything || !list.permits(None), "without a header only `*` admits");
    }
}
