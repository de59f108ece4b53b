//! Tests of request signatures; the vectors of the official SDKs run in `tests/vectors.rs`.

use proptest::prelude::*;

use super::*;
use crate::app::Secret;

const NOW: u64 = 1_700_000_000;
const PATH: &str = "/apps/1/events";

fn app() -> Credentials {
    Credentials { id: "1".into(), key: "key".into(), secret: Secret::new("hush-hush".into()) }
}

fn verify(method: &str, path: &str, query: &str, body: &[u8]) -> Result<(), RequestAuthError> {
    verify_request(&app(), &RequestParts { method, path, query, body }, NOW, 600)
}

fn signed(extra: &[(&str, &str)], body: &[u8]) -> String {
    sign_request(&app(), "POST", PATH, extra, body, NOW)
}

#[test]
fn arrays_fold_names_are_lowered_and_the_last_one_wins() {
    for (raw, expected) in [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("info%5B0%5D=a&info%5B1%5D=b", "info=a,b"),
        ("info[]=a&info[]=b&info[]=", "info=a,b,"),
        ("info[10]=a", "info=a"),
        ("info=x&info[]=a", "info=a"),
        ("info[]=a&info=x", "info=x"),
        ("k=1&k=2", "k=2"),
        ("AbC=Def", "abc=Def"),
        ("IN[0]=x", "in=x"),
        ("k[x]=1&[0]=2", "[0]=2&k[x]=1"),
        ("a=%20+%2B%2C&b", "a=  +,&b="),
        ("a=%zz&b=%ff", "a=%zz&b=\u{fffd}"),
    ] {
        let query = Query::parse(raw);
        let shown: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown.join("&"), expected, "{raw}");
    }
    assert_eq!(Query::parse("info=a").get("info"), Some("a"));
    assert_eq!(Query::parse("info=a").get("nothing"), None);
}

#[test]
fn each_refusal_says_what_differs() {
    let good = signed(&[], b"{}");
    assert_eq!(verify("POST", PATH, &good, b"{}"), Ok(()));
    let without =
        |name: &str| good.split('&').filter(|param| !param.starts_with(name)).collect::<Vec<_>>().join("&");
    for name in ["auth_key", "auth_version", "auth_timestamp", "auth_signature"] {
        assert_eq!(verify("POST", PATH, &without(name), b"{}"), Err(RequestAuthError::Missing(name)));
    }
    let replaced = |from, to| verify("POST", PATH, &good.replace(from, to), b"{}");
    assert_eq!(replaced("auth_key=key", "auth_key=yek"), Err(RequestAuthError::OtherKey));
    assert_eq!(replaced("version=1.0", "version=1.1"), Err(RequestAuthError::Version));
    assert_eq!(replaced("timestamp=1", "timestamp=x1"), Err(RequestAuthError::TimestampFormat));
    assert_eq!(replaced("timestamp=17", "timestamp=-17"), Err(RequestAuthError::TimestampFormat));
    let clock = replaced("timestamp=17", "timestamp=16");
    assert_eq!(clock, Err(RequestAuthError::Clock { theirs: 1_600_000_000, ours: NOW, window: 600 }));
    assert_eq!(verify("POST", PATH, &without("body_md5"), b"{}"), Err(RequestAuthError::BodyMd5Missing));
    let body = |difference| Err(RequestAuthError::BodyMd5Mismatch(difference));
    assert_eq!(verify("POST", PATH, &good, b"{ }"), body(BodyDifference::Respelled));
    assert_eq!(verify("POST", PATH, &good, b""), body(BodyDifference::Lost));
    assert_eq!(replaced("auth_key=key", "auth_key=+key"), Err(RequestAuthError::PaddedKey));
    let milliseconds = good.replace("timestamp=1700000000", "timestamp=1700000000123");
    assert_eq!(verify("POST", PATH, &milliseconds, b"{}"), Err(RequestAuthError::Milliseconds));

    let (_, right) = good.rsplit_once('=').unwrap();
    let text = replaced(right, &"0".repeat(64)).unwrap_err().to_string();
    assert!(
        text.contains(
            "POST, /apps/1/events and the parameters auth_key, auth_timestamp, auth_version, body_md5"
        ),
        "{text}"
    );
    assert!(!text.contains("hush") && !text.contains(right), "neither secret nor right signature");
    let forged = verify("POST", PATH, &(good.clone() + "&a%0Ab=1"), b"{}").unwrap_err().to_string();
    assert!(!forged.contains('\n') && forged.contains(r"a\nb"), "no line of a log can be forged: {forged}");
    let long =
        verify("POST", PATH, &(good.clone() + "&" + &"x".repeat(9_000)), b"{}").unwrap_err().to_string();
    assert!(long.chars().count() < 1_000, "{long}");
}

#[test]
fn an_encoded_path_matches_its_plain_form() {
    let query = sign_request(&app(), "GET", "/apps/1/channels/a@b,c", &[], b"", NOW);
    assert_eq!(verify("GET", "/apps/1/channels/a%40b%2Cc", &query, b""), Ok(()));
    assert!(verify("GET", "/apps/1/channels/a%40b%2Cd", &query, b"").is_err());
}

#[test]
fn a_parameter_the_signature_does_not_cover_fails() {
    for extra in ["&info=user_count", "&appId=1", "&appKey=key", "&channelName=x", "&auth_signature2=1"] {
        let query = signed(&[], b"{}") + extra;
        assert!(
            matches!(verify("POST", PATH, &query, b"{}"), Err(RequestAuthError::Mismatch { .. })),
            "{extra}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn signed_verifies_and_any_change_fails(
        value in ".{0,20}", body in proptest::collection::vec(any::<u8>(), 1..30), at in any::<prop::sample::Index>()
    ) {
        let query = signed(&[("filter_by_prefix", &value), ("info", "a,b")], &body);
        prop_assert_eq!(verify("POST", PATH, &query, &body), Ok(()));
        prop_assert!(verify("PUT", PATH, &query, &body).is_err());
        prop_assert!(verify("POST", "/apps/2/events", &query, &body).is_err());

        let mut other = body.clone();
        let flipped = at.index(body.len());
        other[flipped] ^= 1;
        prop_assert!(verify("POST", PATH, &query, &other).is_err());

        let mut changed: Vec<char> = query.chars().collect();
        let at = at.index(changed.len());
        changed[at] = if changed[at] == 'z' { 'y' } else { 'z' };
        let changed: String = changed.into_iter().collect();
        prop_assert!(Query::parse(&changed) == Query::parse(&query) || verify("POST", PATH, &changed, &body).is_err());
    }

    #[test]
    fn any_query_can_be_parsed(raw in ".*", path in ".*") {
        let _ = verify("POST", &path, &raw, b"");
        let names: Vec<_> = Query::parse(&raw).iter().map(|(name, _)| name.to_owned()).collect();
        prop_assert!(names.is_sorted_by(|a, b| a < b), "sorted, each once");
    }
}
