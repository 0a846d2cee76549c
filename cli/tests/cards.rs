//! tillctl against a running tilld that keeps cards: cards, cases, notices, keys.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Till, code, err, json, out};

const CARD: &str = "8600000000000005\n";

fn operated<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--operator", "007"]].concat()
}

#[test]
fn a_card_is_issued_topped_up_and_asked_and_its_number_is_nowhere() {
    let till = Till::start_with_cards();
    let on = |args: &[&str]| {
        let done = till.ctl_with(&[args, &["--number", "-"]].concat(), CARD);
        assert!(
            !out(&done).contains(CARD.trim()) && !err(&done).contains(CARD.trim()),
            "its number is shown"
        );
        done
    };
    let unknown = on(&["prepaid", "query"]);
    assert_eq!(code(&unknown), 5, "{}", err(&unknown));
    let issued = on(&operated(&["prepaid", "issue"]));
    assert!(code(&issued) == 0 && out(&issued).contains("****0005: CNY 0.00, active"), "{}", err(&issued));
    let loaded = on(&operated(&["prepaid", "topup", "100", "--cash", "120", "--key", "t1"]));
    let text = out(&loaded);
    assert!(
        code(&loaded) == 0 && text.contains("\npaid\n") && text.contains("CNY 20.00"),
        "{text}{}",
        err(&loaded)
    );
    // A script in doubt asks again: it is the same top-up.
    assert_eq!(code(&on(&operated(&["prepaid", "topup", "100", "--cash", "120", "--key", "t1"]))), 0);
    let report = json(&on(&["prepaid", "query", "--json"]));
    assert_eq!((report["balance"].as_i64(), report["account"].as_str()), (Some(10_000), Some("****0005")));
    let history = json(&on(&["prepaid", "history", "--json"]));
    assert_eq!(history["entries"][0]["operation"], "load");
    assert_eq!(history["entries"].as_array().unwrap().len(), 2, "{history}");
    let blocked = on(&operated(&["prepaid", "block", "lost"]));
    assert!(out(&blocked).contains("blocked"), "{}{}", out(&blocked), err(&blocked));
    let refused = on(&operated(&["prepaid", "topup", "1", "--cash", "1"]));
    assert_eq!(code(&refused), 5, "{}{}", out(&refused), err(&refused));
}

#[test]
fn a_sale_is_told_disputed_answered_and_read_back_and_keys_are_replaced() {
    let till = Till::start_with_cards();
    assert_eq!(code(&till.ctl(&["pay", "80", "--cash", "80", "--key", "k1"])), 0);
    let receipt = json(&till.ctl(&["receipt", "k1", "--json"]));
    assert_eq!((receipt["amount"].as_i64(), receipt["kind"].as_str()), (Some(8_000), Some("sale")));
    assert!(out(&till.ctl(&["receipt", "k1"])).contains("¥80.00"));

    // Told until it is taken.
    let notices = || json(&till.ctl(&["notices", "--json"]))["notices"].as_array().unwrap().len();
    assert_eq!((notices(), notices()), (1, 1));
    let told = out(&till.ctl(&["notices", "--take"]));
    assert!(told.contains("cash CNY 80.00 received"), "{told}");
    assert_eq!(notices(), 0);
    assert!(out(&till.ctl(&["notices", "--receivers"])).contains("tillctl"));

    let opened =
        json(&till.ctl(&operated(&["dispute", "open", "k1", "not received", "--amount", "30", "--json"])));
    assert_eq!(opened["dispute"], 1, "{opened}");
    let file = till.dir.path().join("evidence.json");
    let answered = till.ctl(&operated(&["dispute", "answer", "1", file.to_str().unwrap()]));
    assert_eq!(code(&answered), 0, "{}", err(&answered));
    let verified = till.ctl(&["evidence", "verify", file.to_str().unwrap()]);
    assert_eq!(
        code(&verified),
        7,
        "it holds, and nobody says whose it is: {}{}",
        out(&verified),
        err(&verified)
    );
    assert_eq!(code(&till.ctl(&operated(&["dispute", "close", "1", "won", "agreed"]))), 0);
    let shown = out(&till.ctl(&["dispute", "show", "1"]));
    assert!(
        shown.contains("CNY 30.00") && shown.contains("won") && shown.contains("not received"),
        "{shown}"
    );
    assert_eq!(json(&till.ctl(&["dispute", "list", "--json"]))["disputes"][0]["state"], "won");
    assert_eq!(json(&till.ctl(&["show", "k1", "--json"]))["returned"], 0);
    let history = out(&till.ctl(&["history", "k1"]));
    assert!(
        history.contains("opened") && history.contains("dispute-closed") && history.contains("007"),
        "{history}"
    );

    let rotated = json(&till.ctl(&operated(&["journal", "rotate-keys", "--json"])));
    assert_eq!(rotated["epoch"], 2, "{rotated}");
    assert_eq!(code(&till.ctl(&["journal", "verify"])), 0);
}
