use super::*;
use crate::router::described;

/// Written anew with `GEMA_WRITE_OPENAPI=1 cargo test -p gema-attendance openapi`.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

fn document() -> String {
    complete(described().split_for_parts().1) + "\n"
}

#[test]
fn the_description_in_docs_is_the_one_that_is_served() {
    if std::env::var_os("GEMA_WRITE_OPENAPI").is_some() {
        std::fs::write(GOLDEN, document()).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(
        golden,
        document(),
        "GEMA_WRITE_OPENAPI=1 cargo test -p gema-attendance openapi writes it anew"
    );
}

#[test]
fn every_login_is_declared_and_every_operation_says_what_it_is() {
    let api: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{method} {path} repeats an operationId"
            );
            for way in operation["security"].as_array().into_iter().flatten() {
                let name = way.as_object().unwrap().keys().next().unwrap();
                assert!(api["components"]["securitySchemes"][name].is_object(), "{name}");
            }
        }
    }
}
