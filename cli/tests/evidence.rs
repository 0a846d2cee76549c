//! Evidence from a till to somebody who has none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Till, code, err, json, out};

#[test]
fn s49_evidence_of_one_payment_is_verified_without_the_till() {
    let mut till = Till::start();
    for (key, amount) in [("before", "11.11"), ("ours", "128.50"), ("after", "22.22")] {
        let paid = till.ctl(&["pay", amount, "--cash", "150", "--subject", key, "--key", key]);
        assert_eq!(code(&paid), 0, "{}", err(&paid));
    }
    let dir = till.dir.path().to_owned();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (file, key) = (path("evidence.jsonl"), path("till.pem"));
    let made = till.ctl(&["evidence", "key", &key]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    assert!(std::fs::read_to_string(&key).unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n"));
    let made = till.ctl(&["evidence", "export", "ours", &file]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    assert_eq!(code(&till.ctl(&["evidence", "export", "ours", &file])), 5, "evidence was written over");
    let id = json(&till.ctl(&["show", "ours", "--json"]))["id"].as_str().unwrap().to_owned();
    let nobody = till.ctl(&["evidence", "export", &"0".repeat(32), &path("none")]);
    assert_eq!(code(&nobody), 5, "{}", err(&nobody));
    assert!(!till.dir.path().join("none").exists());

    // From here on there is no till.
    till.kill();
    let verified = till.ctl(&["evidence", "verify", &file, "--key", &key]);
    let text = out(&verified);
    assert_eq!(code(&verified), 0, "{}", err(&verified));
    assert!(text.starts_with("holds: signed by this till"), "{text}");
    assert!(text.contains(&id) && text.contains("opened") && text.contains("approved"), "{text}");
    assert!(text.contains("128.50") && text.contains("好味小馆"), "no receipt: {text}");
    for other in ["before", "after", "11.11", "22.22", "1111", "2222"] {
        assert!(!std::fs::read_to_string(&file).unwrap().contains(&format!("\"{other}\"")), "{other} shows");
    }
    let report = json(&till.ctl(&["evidence", "verify", &file, "--key", &key, "--json"]));
    assert_eq!((&report["holds"], &report["evidence"]["payment"]), (&true.into(), &id.clone().into()));
    let says = report["evidence"]["records"][0]["says"].to_string();
    assert!(says.contains("12850"), "{says}");

    let piped =
        till.ctl_with(&["evidence", "verify", "-", "--key", &key], &std::fs::read_to_string(&file).unwrap());
    assert_eq!((code(&piped), out(&piped)), (0, text), "{}", err(&piped));
    // Without a key nobody says whose it is.
    let unknown = till.ctl(&["evidence", "verify", &file]);
    assert_eq!(code(&unknown), 7, "{}", out(&unknown));
    assert!(out(&unknown).contains("whose it is nobody says"));
    // Altered, it names the line.
    let altered = path("altered.jsonl");
    std::fs::write(&altered, std::fs::read_to_string(&file).unwrap().replace("12850", "92850")).unwrap();
    let refused = till.ctl(&["evidence", "verify", &altered, "--key", &key]);
    assert_eq!(code(&refused), 1);
    assert!(err(&refused).contains("(record ") && err(&refused).contains("altered"), "{}", err(&refused));
    assert_eq!(code(&till.ctl(&["evidence", "verify", &file, "--key", &file])), 2);
    assert_eq!(code(&till.ctl(&["evidence", "verify", &path("absent")])), 1);
}
