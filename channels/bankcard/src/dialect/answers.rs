//! What a response code asks of the terminal.

use serde::Deserialize;

/// What field 39 asks for. Two say money moved; all others are a definite no, with a hint what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Money moved as asked.
    Approved,
    /// Money moved, but only the amount the reply names.
    Partial,
    /// Definite no.
    Decline,
    /// Definite no; keep the card or call the issuer.
    RetainCard,
    /// Definite no; the PIN was wrong, ask again under a new trace.
    PinWrong,
    /// Definite no; no further PIN try.
    PinTriesExceeded,
    /// Definite no; working keys are out of step.
    SignInAgain,
    /// Definite no; the host or network is busy, the same card may work later or elsewhere.
    RetryLater,
    /// Definite no; the trace was used before, take the next one.
    NewTrace,
    /// Definite no; the terminal or merchant is set up wrongly.
    OperatorFault,
    /// Definite no; offline transactions must be uploaded again.
    UploadOfflineAgain,
}

/// One line of the response-code table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// What to do.
    pub action: Action,
    /// What to tell the operator, beside the raw code.
    pub text: String,
    /// The same in Chinese; empty: [`AnswerRule::text`] stands for both.
    #[serde(default)]
    pub zh: String,
}

impl AnswerRule {
    /// For a code that the table does not list.
    pub fn unlisted() -> Self {
        Self {
            action: Action::Decline,
            text: "declined with a code this terminal does not know".into(),
            zh: "交易失败，未知应答码".into(),
        }
    }
}
