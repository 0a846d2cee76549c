//! Response codes against the policy table.

use super::{family, text};
use till_channel_bankcard::dialect::{Action, CUP, Dialect};

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
