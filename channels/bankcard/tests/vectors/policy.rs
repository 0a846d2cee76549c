//! Response codes against the policy table.

use super::{bytes, cases, family, text};
use till_channel_bankcard::answers::{self, Verdict};
use till_channel_bankcard::closing;
use till_channel_bankcard::codec;
use till_channel_bankcard::dialect::{Action, CUP, Dialect};
use till_plugin::channel::SettleOutcome;

#[test]
fn every_code_of_the_table_asks_for_the_action_it_should() {
    let dialect = Dialect::parse(CUP).unwrap();
    for case in family("channels-policy.json", "cup-39") {
        let rule = dialect.answer(text(&case, "code"));
        let action = match rule.action {
            Action::Approved => "approved",
            Action::Partial => "partial",
            Action::Decline => "decline",
            Action::RetainCard => "retain-card",
            Action::PinWrong => "pin-again",
            Action::PinTriesExceeded => "pin-exceeded",
            Action::SignInAgain => "sign-in-again",
            Action::RetryLater => "retry-later",
            Action::NewTrace => "new-trace-number",
            Action::OperatorFault => "operator-fault",
            Action::UploadOfflineAgain => "upload-offline-again",
        };
        assert_eq!(action, text(&case, "action"), "{}", case["id"]);
        assert_eq!(rule.action == Action::Approved, case["approved"] == true, "{}", case["id"]);
    }
}

/// The constructed answer to the constructed settlement.
#[test]
fn the_unbalanced_answer_is_unbalanced() {
    let Some(all) = cases("channels-iso8583.json") else { return };
    let dialect = Dialect::parse(CUP).unwrap();
    let payload = |id: &str| bytes(all.iter().find(|case| case["id"] == id).unwrap(), "hex")[2..].to_vec();
    let request = codec::decode(&dialect, &payload("settle-req")).unwrap().message;
    let Verdict::Answer(answer) = answers::judge(&dialect, None, &request, &payload("settle-unbalanced-rsp"))
    else {
        panic!("no answer")
    };
    assert_eq!(closing::of_settlement(&request, &answer), SettleOutcome::Unbalanced);
}
