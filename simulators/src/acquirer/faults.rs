//! What this host can be scripted to get wrong, in the words of [`crate::faults`].
//!
//! `on` is one of [`OPERATIONS`]; `reference` is the trace number (field 11). A reversal carries the trace number of what
//! it reverses. `answer` puts its `code` in field 39: with `booked` the ledger moves as if the request were approved.

use super::downloads::CODES;
use super::host::Field60;
use super::ledger::Kind;
use super::message::Message;
use crate::faults::Abilities;

/// The operations a rule can name, as the host tells requests apart.
pub const OPERATIONS: &[&str] = &[
    "sign-in",
    "sign-off",
    "echo",
    "balance",
    "sale",
    "void",
    "refund",
    "pre-auth",
    "pre-auth-void",
    "completion",
    "completion-void",
    "completion-notice",
    "reversal",
    "settlement",
    "batch-upload",
    "batch-end",
    "contactless-limits",
    "contactless-end",
    "key-list",
    "key",
    "key-end",
    "application-list",
    "application",
    "application-end",
    "other",
];

pub(super) const ABILITIES: Abilities = Abilities {
    simulator: "the acquirer",
    operations: OPERATIONS,
    kinds: &[
        "drop-before-booking",
        "drop-after-booking",
        "delay-reply",
        "delay-booking",
        "hold-reply",
        "hold-booking",
        "wrong-signature",
        "unsigned",
        "wrong-amount",
        "wrong-reference",
        "half-reply",
        "garbage",
        "slow",
        "reset",
        "duplicate-reply",
        "merged-replies",
        "answer",
    ],
};

/// The name of what a request asks for.
pub(super) fn operation(request: &Message) -> &'static str {
    let field60 = Field60::of(request);
    match (request.mti(), field60.net()) {
        ("0800", "001" | "003" | "004" | "005") => return "sign-in",
        ("0820", "002") => return "sign-off",
        ("0820", "301") => return "echo",
        ("0400", _) => return "reversal",
        ("0500", _) => return "settlement",
        ("0320", "202" | "207") => return "batch-end",
        ("0320", _) => return "batch-upload",
        _ => {}
    }
    let download = CODES.iter().find(|(mti, code, _)| (*mti, *code) == (request.mti(), field60.net()));
    if let Some((_, _, name)) = download {
        return name;
    }
    match Kind::of(request.mti(), field60.kind()) {
        Some(Kind::Sale) => "sale",
        Some(Kind::Void) => "void",
        Some(Kind::Refund) => "refund",
        Some(Kind::PreAuth) => "pre-auth",
        Some(Kind::PreAuthVoid) => "pre-auth-void",
        Some(Kind::Completion) => "completion",
        Some(Kind::CompletionVoid) => "completion-void",
        Some(Kind::CompletionNotice) => "completion-notice",
        None if (request.mti(), field60.kind()) == ("0200", "01") => "balance",
        None => "other",
    }
}
