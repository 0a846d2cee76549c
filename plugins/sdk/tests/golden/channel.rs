//! Messages of channels.

use till_plugin::channel::{
    Account, AccountEntry, AccountOperation, AccountOutcome, AccountReport, AccountStanding, Approval,
    AttemptIds, Authorise, ChannelDescription, ChannelEvent, Decline, DeclineClass, Echo, Follow, FollowKind,
    FollowUp, LegRule, NextStep, Operation, Outcome, Prepared, QueryOutcome, QueryRule, RecordKind,
    Reference, ResolveProfile, Settle, SettleOutcome, SignIn, SignedIn, UndoOutcome, UndoReason, UndoRule,
    Unknown, UnknownReason, Upload, UploadRecord, retired,
};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::instrument::Cvm;
use till_plugin::{Family, Money, Sensitive};

use crate::Golden;
use crate::driver::{cny, extra, stripe};

fn ids() -> AttemptIds {
    AttemptIds {
        payment: [7; 16],
        attempt: 1,
        trace: 999_999,
        batch: 12,
        order: "T20260102000042".into(),
        wall_ms: 1_767_323_045_000,
    }
}

fn approval() -> Approval {
    Approval {
        amount: cny(12_850),
        echo: Echo { order: Some("T1".into()), merchant: Some("M".into()), terminal: None },
        reference: "123456789012".into(),
        authorisation_code: Some("A1B2C3".into()),
        account: Some("620000******0005".into()),
        scheme: Some("UnionPay".into()),
        host_time: Some("2026-01-02 03:04:05".into()),
        cvm: Cvm::Signature,
        change: Some(cny(7)),
        open_drawer: true,
        receipt: vec![("Batch".into(), "12".into())],
        extra: extra(),
    }
}

fn decline() -> Decline {
    Decline {
        class: DeclineClass::Customer,
        code: "51".into(),
        text: "insufficient funds".into(),
        text_zh: "余额不足".into(),
        next: NextStep::OtherMethod,
    }
}

fn unknown() -> Unknown {
    Unknown {
        reason: UnknownReason::AwaitingCustomer,
        text: "waiting".into(),
        show_code: Some("https://example.org/pay".into()),
    }
}

fn authorise() -> Authorise {
    Authorise {
        ids: ids(),
        hold: false,
        amount: cny(12_850),
        instrument: stripe(),
        subject: "tea".into(),
        operator: Some("01".into()),
        pin_block: Some(Sensitive::new(vec![1; 8])),
        extra: extra(),
    }
}

fn prepared() -> Prepared {
    Prepared { recovery: Sensitive::new(vec![1, 2, 3]), masked: "620000******0005".into() }
}

fn follow_up() -> FollowUp {
    FollowUp {
        ids: ids(),
        amount: cny(12_850),
        recovery: Sensitive::new(vec![1, 2, 3]),
        attempt: 2,
        extra: extra(),
    }
}

fn reference() -> Reference {
    Reference { ids: ids(), amount: cny(12_850), approval: approval() }
}

pub(crate) fn messages(g: &mut Golden) {
    describing(g);
    paying(g);
    resolving(g);
    retired(g);
    following(g);
    accounts(g);
    closing(g);
    vocabulary(g);
}

fn describing(g: &mut Golden) {
    let operations = vec![
        Operation::Sale,
        Operation::PreAuthorisation,
        Operation::Capture,
        Operation::Void,
        Operation::Refund,
        Operation::Query,
        Operation::Undo,
        Operation::Settle,
        Operation::SignIn,
        Operation::Balance,
        Operation::Probe,
        Operation::ShowCode,
    ];
    let resolve = ResolveProfile {
        query: Some(QueryRule { first_ms: 1, every_ms: 2, until_ms: 3, settle_ms: 4 }),
        undo: Some(UndoRule { not_before_ms: 5, pause_ms: 6, pause_max_ms: 7, tries: 8 }),
        single_slot: true,
    };
    let description = ChannelDescription {
        families: vec![Family::new(Family::CARD_STRIPE)],
        operations,
        currencies: vec!["CNY".into()],
        resolve,
        needs_clock: true,
        merchant: Some("M".into()),
        terminal: Some("T".into()),
        authorise_timeout_ms: 60_000,
        extra: extra(),
    };
    g.is("method/DESCRIBE_1/reply-channel", &description);
    let none = ResolveProfile { query: None, undo: None, single_slot: false };
    g.is("channel/resolve-none", &none);
    g.is("method/SIGN_IN_1/request", &SignIn { trace: 1, batch: 2, operator: None, wall_ms: 3 });
    g.is("method/SIGN_IN_1/reply", &SignedIn { batch: Some(3), valid_s: 86_400 });
    g.is("method/SIGN_OFF_1/request", &());
    g.is("method/SIGN_OFF_1/reply", &());
    g.is("method/PROBE_1/request", &());
    g.is("method/PROBE_1/reply", &Health { state: DeviceState::Ready, text: String::new() });
}

fn outcomes(g: &mut Golden, method: &str) {
    g.is(&format!("method/{method}/reply"), &Outcome::Approved(approval()));
    g.is(&format!("method/{method}/reply-declined"), &Outcome::Declined(decline()));
    g.is(&format!("method/{method}/reply-not-sent"), &Outcome::NotSent(decline()));
    g.is(&format!("method/{method}/reply-unknown"), &Outcome::Unknown(unknown()));
}

fn queries(g: &mut Golden, method: &str) {
    g.is(&format!("method/{method}/reply"), &QueryOutcome::Paid(approval()));
    g.is(&format!("method/{method}/reply-not-paid"), &QueryOutcome::NotPaid(decline()));
    g.is(&format!("method/{method}/reply-in-progress"), &QueryOutcome::InProgress);
    g.is(&format!("method/{method}/reply-not-found"), &QueryOutcome::NotFound);
    g.is(&format!("method/{method}/reply-unknown"), &QueryOutcome::Unknown(unknown()));
}

fn paying(g: &mut Golden) {
    g.is("method/PREPARE_1/request", &authorise());
    g.is("method/PREPARE_1/reply", &Ok::<_, Decline>(prepared()));
    g.is("method/PREPARE_1/reply-refused", &Err::<Prepared, _>(decline()));
    g.is("method/AUTHORISE_1/request", &(authorise(), prepared()));
    outcomes(g, "AUTHORISE_1");
    g.is("method/BALANCE_1/request", &authorise());
    g.is("method/BALANCE_1/reply", &Ok::<_, Decline>(cny(-1)));
    g.is("method/BALANCE_1/reply-refused", &Err::<Money, _>(decline()));
}

fn resolving(g: &mut Golden) {
    g.is("method/QUERY_1/request", &follow_up());
    queries(g, "QUERY_1");
    g.is("method/UNDO_1/request", &(follow_up(), UndoReason::NoAnswer));
    g.is("method/UNDO_1/request-bad-seal", &(follow_up(), UndoReason::BadSeal));
    g.is("method/UNDO_1/request-mismatch", &(follow_up(), UndoReason::Mismatch));
    g.is("method/UNDO_1/request-abandoned", &(follow_up(), UndoReason::Abandoned));
    g.is("method/UNDO_1/reply", &UndoOutcome::Undone { money_moved: true, reference: Some("R".into()) });
    g.is("method/UNDO_1/reply-never-existed", &UndoOutcome::NeverExisted);
    g.is("method/UNDO_1/reply-refused", &UndoOutcome::Refused(decline()));
    g.is("method/UNDO_1/reply-not-sent", &UndoOutcome::NotSent(decline()));
    g.is("method/UNDO_1/reply-unknown", &UndoOutcome::Unknown(unknown()));
}

/// Their numbers and bytes stay, although no daemon sends them any more.
fn retired(g: &mut Golden) {
    use retired::{Capture, Refund, Void};
    let (amount, instrument) = (cny(100), Some(stripe()));
    g.is("method/CAPTURE_1/request", &Capture { ids: ids(), original: reference(), amount, extra: extra() });
    outcomes(g, "CAPTURE_1");
    g.is(
        "method/VOID_1/request",
        &Void { ids: ids(), original: reference(), amount, instrument: None, extra: extra() },
    );
    outcomes(g, "VOID_1");
    let refund = Refund { ids: ids(), original: reference(), amount, instrument, extra: extra() };
    g.is("method/REFUND_1/request", &refund);
    outcomes(g, "REFUND_1");
    g.is("method/QUERY_REFUND_1/request", &refund);
    queries(g, "QUERY_REFUND_1");
    let upload =
        retired::Upload { ids: ids(), batch: 12, records: vec![reference()], count: 1, balanced: false };
    g.is("method/UPLOAD_1/request", &upload);
    outcomes(g, "UPLOAD_1");
}

fn follow(kind: FollowKind) -> Follow {
    Follow {
        ids: ids(),
        kind,
        original: reference(),
        original_recovery: Sensitive::new(vec![1, 2, 3]),
        amount: cny(100),
        instrument: Some(stripe()),
        operator: Some("01".into()),
        reason: "torn bag".into(),
        extra: extra(),
    }
}

fn following(g: &mut Golden) {
    g.is("method/LEG_RULES_1/request", &());
    let resolve = ResolveProfile {
        query: None,
        undo: Some(UndoRule { not_before_ms: 5, pause_ms: 6, pause_max_ms: 7, tries: 8 }),
        single_slot: true,
    };
    let rule = |operation| LegRule { operation, resolve: resolve.clone(), instrument: true, partial: false };
    let rules =
        [Operation::Void, Operation::Refund, Operation::Capture, Operation::Release, Operation::Account];
    g.is("method/LEG_RULES_1/reply", &rules.map(rule).to_vec());
    g.is("method/LEG_RULES_1/reply-none", &Vec::<LegRule>::new());
    let kinds = [FollowKind::Void, FollowKind::Refund, FollowKind::Capture, FollowKind::Release];
    for kind in kinds {
        g.is(&format!("follow-kind/{}", kind.as_str()), &kind);
    }
    g.is("method/PREPARE_FOLLOW_1/request", &follow(FollowKind::Refund));
    g.is("method/PREPARE_FOLLOW_1/reply", &Ok::<_, Decline>(prepared()));
    g.is("method/PREPARE_FOLLOW_1/reply-refused", &Err::<Prepared, _>(decline()));
    g.is("method/FOLLOW_1/request", &(follow(FollowKind::Void), prepared()));
    outcomes(g, "FOLLOW_1");
    let asked = Follow {
        original_recovery: Sensitive::new(Vec::new()),
        instrument: None,
        operator: None,
        ..follow(FollowKind::Capture)
    };
    g.is("method/QUERY_FOLLOW_1/request", &(asked, follow_up()));
    queries(g, "QUERY_FOLLOW_1");
}

fn accounts(g: &mut Golden) {
    let account = Account {
        ids: ids(),
        operation: AccountOperation::Load,
        amount: Some(cny(10_000)),
        instrument: Some(stripe()),
        recovery: Sensitive::new(vec![1, 2, 3]),
        operator: Some("01".into()),
        reason: "gift".into(),
        before: 300,
        limit: 20,
        extra: extra(),
    };
    g.is("method/PREPARE_ACCOUNT_1/request", &account);
    g.is("method/PREPARE_ACCOUNT_1/reply", &Ok::<_, Decline>(prepared()));
    g.is("method/PREPARE_ACCOUNT_1/reply-refused", &Err::<Prepared, _>(decline()));
    let bare = Account { amount: None, instrument: None, operator: None, before: 0, limit: 0, ..account };
    g.is("method/ACCOUNT_1/request", &bare);
    let entry = AccountEntry {
        number: 299,
        wall_ms: 1_767_323_045_000,
        operation: "debit".into(),
        amount: cny(-250),
        balance: cny(9_750),
        order: "T1".into(),
    };
    let report = AccountReport {
        approval: Some(approval()),
        account: "8801****0042".into(),
        standing: AccountStanding::Active,
        balance: cny(9_750),
        expires: Some("2028-12-31".into()),
        entries: vec![entry],
        extra: extra(),
    };
    g.is("method/ACCOUNT_1/reply", &AccountOutcome::Done(report.clone()));
    let bare = AccountReport { approval: None, expires: None, entries: Vec::new(), ..report };
    g.is("method/ACCOUNT_1/reply-bare", &AccountOutcome::Done(bare));
    g.is("method/ACCOUNT_1/reply-declined", &AccountOutcome::Declined(decline()));
    g.is("method/ACCOUNT_1/reply-not-sent", &AccountOutcome::NotSent(decline()));
    g.is("method/ACCOUNT_1/reply-unknown", &AccountOutcome::Unknown(unknown()));
    g.is("method/QUERY_ACCOUNT_1/request", &follow_up());
    queries(g, "QUERY_ACCOUNT_1");
    let operations = [
        AccountOperation::Issue,
        AccountOperation::Load,
        AccountOperation::Block,
        AccountOperation::Unblock,
        AccountOperation::Reactivate,
        AccountOperation::Redeem,
        AccountOperation::History,
    ];
    for operation in operations {
        g.is(&format!("account-operation/{}", operation.as_str()), &operation);
    }
    let standings = [
        ("active", AccountStanding::Active),
        ("blocked", AccountStanding::Blocked),
        ("expired", AccountStanding::Expired),
        ("closed", AccountStanding::Closed),
    ];
    for (name, standing) in standings {
        g.is(&format!("account-standing/{name}"), &standing);
    }
}

fn closing(g: &mut Golden) {
    let settle = Settle {
        ids: ids(),
        batch: 12,
        debits: (cny(12_850), 1),
        credits: (cny(0), 0),
        operator: Some("01".into()),
        extra: extra(),
    };
    g.is("method/SETTLE_1/request", &settle);
    g.is("method/SETTLE_1/reply", &SettleOutcome::Balanced);
    g.is("method/SETTLE_1/reply-unbalanced", &SettleOutcome::Unbalanced);
    g.is("method/SETTLE_1/reply-refused", &SettleOutcome::Refused(decline()));
    g.is("method/SETTLE_1/reply-unknown", &SettleOutcome::Unknown(unknown()));
    let record = UploadRecord {
        reference: reference(),
        kind: RecordKind::Refund,
        recovery: Sensitive::new(vec![1, 2, 3]),
        original: Some(reference()),
    };
    let upload = Upload { ids: ids(), batch: 12, records: vec![record], count: 1, balanced: false };
    g.is("method/UPLOAD_2/request", &upload);
    outcomes(g, "UPLOAD_2");
    let kinds = [
        ("sale", RecordKind::Sale),
        ("hold", RecordKind::Hold),
        ("void", RecordKind::Void),
        ("refund", RecordKind::Refund),
        ("capture", RecordKind::Capture),
        ("release", RecordKind::Release),
        ("load", RecordKind::Load),
    ];
    for (name, kind) in kinds {
        g.is(&format!("record-kind/{name}"), &kind);
    }
    g.is("event/CHANNEL_1/signed-in", &ChannelEvent::SignedIn(true));
    let health = Health { state: DeviceState::Failed, text: "no answer".into() };
    g.is("event/CHANNEL_1/health", &ChannelEvent::Health(health));
    g.is("event/CHANNEL_1/notice", &ChannelEvent::Notice { order: "T1".into() });
}

fn vocabulary(g: &mut Golden) {
    let classes = [
        ("customer", DeclineClass::Customer),
        ("channel", DeclineClass::Channel),
        ("merchant", DeclineClass::Merchant),
        ("device", DeclineClass::Device),
    ];
    for (name, class) in classes {
        g.is(&format!("decline-class/{name}"), &class);
    }
    let steps = [
        ("present-again", NextStep::PresentAgain),
        ("use-chip", NextStep::UseChip),
        ("other-method", NextStep::OtherMethod),
        ("sign-in", NextStep::SignIn),
        ("later", NextStep::Later),
        ("call-support", NextStep::CallSupport),
        ("keep-card", NextStep::KeepCard),
    ];
    for (name, step) in steps {
        g.is(&format!("next-step/{name}"), &step);
    }
    let reasons = [
        UnknownReason::NoAnswer,
        UnknownReason::Broken,
        UnknownReason::BadSeal,
        UnknownReason::Mismatch,
        UnknownReason::Garbage,
        UnknownReason::InProgress,
        UnknownReason::HostFault,
        UnknownReason::AwaitingCustomer,
        UnknownReason::Unsupported,
        UnknownReason::PluginDied,
        UnknownReason::Restarted,
    ];
    for reason in reasons {
        g.is(&format!("unknown-reason/{}", reason.as_str()), &reason);
    }
}
