//! The shared vectors: the simulator's signing agrees with signatures that neither it nor the till made.

use std::path::Path;

use serde_json::Value;
use till_simulators::wallet::form::Parameters;
use till_simulators::wallet::keys::{SigningKey, VerifyingKey};

use crate::client::encode;

fn vectors() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/channels-alipay.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} of {}", case["id"]))
}

fn family<'a>(all: &'a Value, family: &'a str) -> impl Iterator<Item = &'a Value> {
    all["vectors"].as_array().unwrap().iter().filter(move |case| case["family"] == family)
}

fn key_of(all: &Value, named: &str) -> VerifyingKey {
    let pem =
        named.strip_prefix("platform:").map_or(named, |key| text(&all["about"]["keys"][key], "public_pem"));
    VerifyingKey::from_pem("vector", pem).unwrap()
}

#[test]
fn requests_sign_and_verify_as_in_the_vectors() {
    let Some(all) = vectors() else { return };
    let mut count = 0;
    for case in family(&all, "alipay-request") {
        let keys = &all["about"]["keys"][text(case, "key")];
        let params: Vec<_> = case["params"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let form = Parameters::read(b"", encode(&params).as_bytes()).unwrap();
        assert_eq!(form.sign_string("sign"), text(case, "sign_string"), "{}", case["id"]);
        let signature = text(case, "sign");
        let public = VerifyingKey::from_pem("vector", text(keys, "public_pem")).unwrap();
        assert!(public.verifies(form.sign_string("sign").as_bytes(), signature), "{}", case["id"]);
        let private = SigningKey::from_pem("vector", text(keys, "private_pem")).unwrap();
        assert_eq!(private.sign(form.sign_string("sign").as_bytes()).unwrap(), signature, "{}", case["id"]);
        count += 1;
    }
    assert!(count >= 6, "only {count} request vectors");
}

#[test]
fn replies_verify_over_their_raw_bytes_as_in_the_vectors() {
    let Some(all) = vectors() else { return };
    let (mut good, mut bad) = (0, 0);
    for case in family(&all, "alipay-response") {
        let body: Value = serde_json::from_str(text(case, "body")).unwrap();
        let key = key_of(&all, text(case, "public_key"));
        let verified = key.verifies(text(case, "signed_bytes").as_bytes(), text(&body, "sign"));
        let expected = case["valid"].as_bool().unwrap();
        assert_eq!(verified, expected, "{}", case["id"]);
        if expected { good += 1 } else { bad += 1 }
    }
    assert!(good >= 5 && bad >= 2, "{good} good, {bad} bad");
}
