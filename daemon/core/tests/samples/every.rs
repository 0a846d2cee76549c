//! One of every record, for the golden bytes and for whatever must know all of them.

use till_core::announce::{AnnounceEvent, Announcement, Source};
use till_core::batch::{Answer, Ask, BatchEvent, BusinessDate, Expected, Item, PartId, Payout, Totals, Why};
use till_core::breaker::Tripped;
use till_core::dispute::DisputeEvent;
use till_core::limits::{LimitHit, Scope};
use till_core::merchant::{Bar, MerchantEvent};
use till_core::routing::{
    Candidate, Decision, Exclusion, RuleWeight, ShareWeight, Verdict, Weights, WindowHit,
};
use till_core::suspension::By;
use till_core::windows::{Kind, Span, When, Window};
use till_core::{LegKind, Purpose, Record, Verdict as Found};
use till_plugin::channel::{
    Approval, Decline, DeclineClass, Echo, NextStep, QueryOutcome, UndoOutcome, UndoReason, Unknown,
    UnknownReason,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Extra, Family};

use super::{ID, approval, bank, decline, fen, ids, no_undo, wallet};

pub(crate) fn decision() -> Decision {
    let verdicts = [
        Verdict::Chosen,
        Verdict::Eligible,
        Verdict::Excluded(Exclusion::Disabled),
        Verdict::Excluded(Exclusion::Family),
        Verdict::Excluded(Exclusion::Operation),
        Verdict::Excluded(Exclusion::Currency),
        Verdict::Excluded(Exclusion::NotTheCurrentChannel),
        Verdict::Excluded(Exclusion::Starting),
        Verdict::Excluded(Exclusion::SignedOff),
        Verdict::Excluded(Exclusion::Failed("no line".into())),
        Verdict::Excluded(Exclusion::Clock),
        Verdict::Excluded(Exclusion::Unresolved),
    ];
    let candidates =
        (0..).zip(verdicts).map(|(i, verdict): (u32, _)| Candidate { channel: format!("c{i}"), verdict });
    Decision {
        family: Family::new("qr-alipay"),
        evidence: "code-prefix".into(),
        pinned: Some("c0".into()),
        candidates: candidates.collect(),
        chosen: Some("c0".into()),
        config: "7".into(),
    }
}

/// A decision with weights, and with the reasons that came after the first ones.
pub(crate) fn weighed() -> Decision {
    let best = Weights {
        degraded_until_ms: None,
        rule: Some(RuleWeight { id: "evening".into(), place: Some(0) }),
        sticky: true,
        fee: Some(38),
        by_cost: true,
        share: Some(ShareWeight { share: 1, of: 4, taken: 7, all: 30, turn: 0 }),
        priority: 10,
    };
    let next = Weights {
        degraded_until_ms: Some(1_790_000_600_000),
        fee: Some(60),
        priority: 20,
        ..Weights::default()
    };
    let window = |from_ms| WindowHit { from_ms, until_ms: 1_790_000_600_000, utc_offset_min: 480 };
    let tripped = |on_trial| Tripped { since_ms: 1_790_000_000_000, in_a_row: 3, on_trial };
    let verdicts = [
        Verdict::Best(best),
        Verdict::Fits(next),
        Verdict::Excluded(Exclusion::Limit(LimitHit { scope: Scope::Day, left: fen(5) })),
        Verdict::Excluded(Exclusion::Window(window(None))),
        Verdict::Excluded(Exclusion::Window(window(Some(1_790_000_300_000)))),
        Verdict::Excluded(Exclusion::Breaker(tripped(false))),
        Verdict::Excluded(Exclusion::Breaker(tripped(true))),
        Verdict::Excluded(Exclusion::Rule("evening".into())),
        Verdict::Excluded(Exclusion::Tried(1)),
    ];
    let candidates =
        (0..).zip(verdicts).map(|(i, verdict): (u32, _)| Candidate { channel: format!("c{i}"), verdict });
    Decision { pinned: None, candidates: candidates.collect(), ..decision() }
}

/// Every record, and every case of what stands inside one, under a name that stays.
pub(crate) fn records() -> Vec<(String, Record)> {
    let payment = ID;
    let mut all = Vec::new();
    let mut add = |case: &str, r: Record| {
        let name = if case.is_empty() { r.name().to_owned() } else { format!("{}/{case}", r.name()) };
        all.push((name, r));
    };
    let op = || Some("op".to_owned());
    add(
        "",
        Record::Opened {
            payment,
            key: "key".into(),
            amount: fen(12_850),
            subject: "茶".into(),
            operator: op(),
        },
    );
    add("", Record::AmountConfirmed { payment });
    add(
        "",
        Record::AttemptCreated {
            payment,
            ids: ids(),
            decision: decision(),
            family: Family::new("qr-alipay"),
            masked: "28**3456".into(),
            token: "0123456789abcdef".into(),
            resolve: wallet(),
        },
    );
    add(
        "bank",
        Record::AttemptCreated {
            payment,
            ids: ids(),
            decision: Decision { pinned: None, candidates: Vec::new(), ..decision() },
            family: Family::new("card-stripe"),
            masked: String::new(),
            token: String::new(),
            resolve: bank(),
        },
    );
    let classes =
        [DeclineClass::Customer, DeclineClass::Channel, DeclineClass::Merchant, DeclineClass::Device];
    let steps = [
        NextStep::PresentAgain,
        NextStep::UseChip,
        NextStep::OtherMethod,
        NextStep::SignIn,
        NextStep::Later,
        NextStep::CallSupport,
        NextStep::KeepCard,
    ];
    for (i, next) in steps.into_iter().enumerate() {
        let decline = Decline { class: classes[i % 4], next, ..decline("51") };
        add(&i.to_string(), Record::NotSent { payment, decline });
    }
    add("", Record::Sent { payment, recovery: vec![1, 2, 3, 0xff], masked: "28**3456".into() });
    for (i, cvm) in [Cvm::None, Cvm::OnDevice, Cvm::OnlinePin, Cvm::Signature].into_iter().enumerate() {
        let approval = Approval { cvm, ..approval(fen(12_850)) };
        add(&i.to_string(), Record::Approved { payment, approval, receipt_number: 9, print: true });
    }
    add(
        "cash",
        Record::Approved {
            payment,
            approval: Approval {
                echo: Echo { order: Some("o".into()), merchant: None, terminal: Some("t".into()) },
                authorisation_code: None,
                account: None,
                scheme: None,
                host_time: None,
                change: Some(fen(150)),
                open_drawer: true,
                receipt: Vec::new(),
                extra: Extra::new(),
                ..approval(fen(-1))
            },
            receipt_number: 300,
            print: false,
        },
    );
    add("", Record::Declined { payment, decline: decline("ACQ.BUYER_BALANCE_NOT_ENOUGH") });
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
        add(reason.as_str(), Record::BecameUnknown { payment, reason, text: "t".into(), undo: None });
    }
    let undo = Some(UndoReason::BadSeal);
    add("undo", Record::BecameUnknown { payment, reason: UnknownReason::BadSeal, text: String::new(), undo });
    add("", Record::QueryStarted { payment });
    let unknown = || Unknown::new(UnknownReason::NoAnswer, "no answer");
    add("in-progress", Record::QueryOpen { payment, outcome: QueryOutcome::InProgress });
    add("not-found", Record::QueryOpen { payment, outcome: QueryOutcome::NotFound });
    add("unknown", Record::QueryOpen { payment, outcome: QueryOutcome::Unknown(unknown()) });
    let reasons = [UndoReason::NoAnswer, UndoReason::BadSeal, UndoReason::Mismatch, UndoReason::Abandoned];
    for (i, reason) in reasons.into_iter().enumerate() {
        add(&i.to_string(), Record::UndoDecided { payment, reason, approval: None });
    }
    let found = Some(approval(fen(1)));
    add("paid", Record::UndoDecided { payment, reason: UndoReason::Abandoned, approval: found });
    add("", Record::UndoStarted { payment });
    let outcomes = [
        ("undone", UndoOutcome::Undone { money_moved: true, reference: Some("r".into()) }),
        ("never", UndoOutcome::NeverExisted),
        ("refused", UndoOutcome::Refused(decline("settled"))),
        ("not-sent", UndoOutcome::NotSent(decline("no-line"))),
        ("unknown", UndoOutcome::Unknown(unknown())),
    ];
    for (case, outcome) in outcomes {
        add(case, Record::UndoAnswered { payment, outcome });
    }
    add("", Record::WentToReview { payment, text: "no answer".into() });
    add("", Record::CancelRequested { payment, operator: op() });
    add("", Record::Cancelled { payment, reason: "cancelled".into(), operator: None });
    add("", Record::LateAnswer { payment, attempt: 1, text: "late".into(), money: true });
    add("", Record::ChannelSelected { channel: Some("alipay".into()), operator: op() });
    add("", Record::TraceTaken { channel: "bank".into(), trace: 999_999 });
    add("", Record::SignedIn { channel: "bank".into(), batch: Some(2) });
    add("", Record::JobSent { job: 9, printer: "printer".into() });
    add("", Record::JobEnded { job: 9, how: "done".into() });
    add("", Record::DrawerOpened { reason: "change".into(), operator: op() });
    let top_up =
        Purpose::TopUp { channel: "prepaid".into(), recovery: vec![9, 8], masked: "**** 0005".into() };
    for (case, purpose) in [("hold", Purpose::Hold), ("top-up", top_up), ("sale", Purpose::Sale)] {
        add(
            case,
            Record::OpenedFor {
                payment,
                key: "k".into(),
                amount: fen(1),
                subject: "s".into(),
                operator: op(),
                purpose,
            },
        );
    }
    for kind in [LegKind::Sale, LegKind::Hold] {
        add(
            kind.as_str(),
            Record::Tendered {
                payment,
                ids: ids(),
                kind,
                amount: fen(60),
                batch: 2,
                decision: decision(),
                family: Family::new("qr-alipay"),
                masked: "28**3456".into(),
                token: "t".into(),
                resolve: wallet(),
                duplicate_reason: "two teas".into(),
            },
        );
    }
    for kind in [LegKind::Void, LegKind::Refund, LegKind::Capture, LegKind::Release, LegKind::Load] {
        add(
            kind.as_str(),
            Record::LegCreated {
                payment,
                ids: ids(),
                kind,
                of: 1,
                amount: fen(60),
                batch: 2,
                channel: "bank".into(),
                resolve: bank(),
                key: "k".into(),
                reason: "wrong tea".into(),
                operator: op(),
                wants_instrument: true,
            },
        );
    }
    add("", Record::LegPresented { payment, masked: "620000******0005".into(), token: "t".into() });
    add("", Record::ReturnDecided { payment, reason: "cancelled".into(), operator: op() });
    add("", Record::PaymentToReview { payment, text: "by hand".into() });
    add("", Record::HoldExpired { payment, attempt: 1 });
    add("", Record::Abandoned { payment, attempt: 1, reason: "no answer".into(), operator: op() });
    add("", Record::Reopened { payment, attempt: 1, approval: approval(fen(1)) });
    for (case, verdict) in [("yes", Found::Happened), ("no", Found::DidNot)] {
        let (reason, operator) = ("the bank says so".to_owned(), "li".to_owned());
        add(case, Record::ReviewProposed { payment, attempt: 1, verdict, reason, operator });
        let operator = "wang".to_owned();
        let (receipt_number, print) = (3, true);
        add(case, Record::ReviewDecided { payment, attempt: 1, verdict, operator, receipt_number, print });
    }
    add("", Record::AcknowledgementAsked { payment });
    add("", Record::Acknowledged { payment, operator: op() });
    add("", Record::Resumed { payment, operator: op() });
    add("", Record::Parked { payment });
    add("", Record::CopyRequested { job: 1 << 33, payment, receipt: 9, copy: 2, operator: op() });
    add("", Record::Resealed { payment, attempt: 2, batch: 3, recovery: vec![1, 2, 3] });
    for (case, purpose) in [("", Purpose::Sale), ("hold", Purpose::Hold)] {
        let (key, subject) = ("k".to_owned(), "s".to_owned());
        add(case, Record::OpenedTraining { payment, key, amount: fen(1), subject, operator: op(), purpose });
    }
    add("", Record::TrainingSet { on: true, operator: "li".into() });
    for (case, event) in [
        ("", MerchantEvent::Tried { locks: false }),
        ("locks", MerchantEvent::Tried { locks: true }),
        ("", MerchantEvent::Passed),
        ("", MerchantEvent::SignedOut),
        ("", MerchantEvent::Unlocked),
        ("again", MerchantEvent::Tried { locks: false }),
    ] {
        add(case, Record::Merchant { channel: "c".into(), event, operator: op() });
    }
    let whens = [
        When::Once(Span { from_ms: 1_790_000_000_000, until_ms: 1_790_000_360_000 }),
        When::Daily { at_min: 30, length_min: 60 },
        When::Weekly { day: 6, at_min: 1_410, length_min: 90 },
    ];
    for (n, source) in [Source::Supervisor, Source::File, Source::Signed].into_iter().enumerate() {
        let window = |when| Window {
            channel: "c".into(),
            when,
            kind: if n == 1 { Kind::Degraded } else { Kind::Down },
            lead_ms: (n == 0).then_some(600_000),
            reason: "core banking".into(),
        };
        let announcement = Announcement { source, issue: 0, windows: whens.map(window).to_vec() };
        let announcement = Announcement { issue: if n == 2 { 7 } else { 0 }, ..announcement };
        let event = AnnounceEvent::Announced { announcement, over: vec!["old".into()] };
        add(source.as_str(), Record::Maintenance { id: format!("a{n}"), event, operator: op() });
    }
    add("", Record::Maintenance { id: "a0".into(), event: AnnounceEvent::Withdrawn, operator: None });
    let bars = [Bar::Required, Bar::OtherOperator, Bar::Locked]
        .map(|bar| (format!("barred-{bar:?}").to_lowercase(), Exclusion::Merchant(bar)));
    let profile = ("barred-profile".to_owned(), Exclusion::Profile("fair".into()));
    for (case, exclusion) in bars.into_iter().chain([profile]) {
        let barred = Candidate { channel: "c9".into(), verdict: Verdict::Excluded(exclusion) };
        let mut decision = decision();
        decision.candidates.push(barred);
        add(
            &case,
            Record::Tendered {
                payment,
                ids: ids(),
                kind: LegKind::Sale,
                amount: fen(60),
                batch: 2,
                decision,
                family: Family::new("card-stripe"),
                masked: "620000******0005".into(),
                token: "t".into(),
                resolve: bank(),
                duplicate_reason: String::new(),
            },
        );
    }
    for (channel, resumed) in [("bank", true), ("wallet", false)] {
        let (reason, operator) = ("合同到期".to_owned(), "li".to_owned());
        let channel = channel.to_owned();
        let (name, other) = (channel.clone(), operator.clone());
        add(&name, Record::ChannelSuspended { channel: channel.clone(), reason: reason.clone(), operator });
        if resumed {
            add("", Record::ChannelResumed { channel, reason, operator: other });
        }
    }
    let suspended = Candidate {
        channel: "c".into(),
        verdict: Verdict::Excluded(Exclusion::Suspended(By::Pinning, "mcc 5411 ≠ 6012".into())),
    };
    add(
        "suspended",
        Record::Tendered {
            payment,
            ids: ids(),
            kind: LegKind::Sale,
            amount: fen(60),
            batch: 2,
            decision: Decision { candidates: vec![suspended], chosen: None, ..decision() },
            family: Family::new("card-stripe"),
            masked: String::new(),
            token: String::new(),
            resolve: bank(),
            duplicate_reason: String::new(),
        },
    );
    add("", Record::NoticesTaken { sink: "back-office".into(), seq: 77 });
    add("", Record::On { attempt: 1, event: Box::new(Record::UndoStarted { payment }) });
    let hit = |scope| Candidate {
        channel: "c".into(),
        verdict: Verdict::Excluded(Exclusion::Limit(LimitHit { scope, left: fen(7) })),
    };
    let scopes = [
        Scope::Payment(None),
        Scope::Payment(Some("c".into())),
        Scope::Day,
        Scope::Channel("c".into()),
        Scope::Operator,
        Scope::Instrument,
    ];
    add(
        "weighed",
        Record::Tendered {
            payment,
            ids: ids(),
            kind: LegKind::Sale,
            amount: fen(60),
            batch: 2,
            decision: weighed(),
            family: Family::new("card-stripe"),
            masked: "620000******0005".into(),
            token: "t".into(),
            resolve: bank(),
            duplicate_reason: String::new(),
        },
    );
    add(
        "full-batch",
        Record::Tendered {
            payment,
            ids: ids(),
            kind: LegKind::Sale,
            amount: fen(60),
            batch: 2,
            decision: Decision { candidates: vec![hit(Scope::Batch)], chosen: None, ..decision() },
            family: Family::new("card-stripe"),
            masked: String::new(),
            token: String::new(),
            resolve: bank(),
            duplicate_reason: String::new(),
        },
    );
    add(
        "limits",
        Record::AttemptCreated {
            payment,
            ids: ids(),
            decision: Decision { candidates: scopes.map(hit).to_vec(), ..decision() },
            family: Family::new("cash"),
            masked: String::new(),
            token: String::new(),
            resolve: no_undo(),
        },
    );
    for (case, event) in batch_events() {
        add(case, Record::Batch(event));
    }
    for event in [
        DisputeEvent::Opened {
            attempt: 1,
            amount: fen(12_850),
            reason: "not received".into(),
            reference: "CB-4711".into(),
            answer_by_ms: 1_767_323_045_000,
        },
        DisputeEvent::Noted { text: "receipt found".into() },
        DisputeEvent::Answered { evidence: [7; 32], text: "sent by mail".into() },
        DisputeEvent::Closed { won: true, text: "the bank agrees".into() },
    ] {
        add("", Record::Dispute { payment: ID, number: 3, event, operator: "li".into() });
    }
    all
}

/// Every batch event, and every case of what stands inside one.
fn batch_events() -> Vec<(&'static str, BatchEvent)> {
    let date: Option<BusinessDate> = "2026-05-01".parse().ok();
    let (batch, item) = (7, Item { payment: ID, attempt: 2 });
    let part = || PartId { channel: "bank".into(), network: 12 };
    let mut totals = Totals::default();
    for kind in [LegKind::Sale, LegKind::Refund] {
        totals.add(kind, fen(12_850)).expect("it fits");
    }
    let mut all = vec![
        ("", BatchEvent::Dated { batch, from: date, to: date.expect("a date").plus(1) }),
        (
            "",
            BatchEvent::Frozen {
                batch,
                date,
                next_date: date.map(|d| d.plus(1)),
                moved: vec![("bank".into(), 13)],
                automatic: true,
                operator: Some("op".into()),
            },
        ),
        ("", BatchEvent::Waited { batch, part: part() }),
        ("", BatchEvent::GaveUp { batch, part: part(), text: "no answer".into() }),
        ("", BatchEvent::Resumed { batch, part: part(), operator: Some("op".into()) }),
        (
            "",
            BatchEvent::PartClosed {
                batch,
                part: part(),
                totals: totals.clone(),
                count: 2,
                exceptions: 1,
                agreed: Some(false),
                payout: Payout { date, expected: vec![Expected { fee: fen(77), net: fen(-77) }] },
                by_hand: Some(("op".into(), "line gone".into())),
            },
        ),
        ("", BatchEvent::Closed { batch, date, totals, count: 2, exceptions: 1, print: true }),
        (
            "",
            BatchEvent::CloseProposed {
                batch,
                part: part(),
                reason: "line gone".into(),
                operator: "op".into(),
            },
        ),
        ("", BatchEvent::SlipRequested { batch, job: (1 << 32) + 3, copy: 1, operator: Some("op".into()) }),
    ];
    let whys = [
        Why::Review,
        Why::Unfinished,
        Why::Refused("30".into()),
        Why::TotalsDiffer,
        Why::NotClosed("12".into()),
        Why::NoAnswer,
        Why::Overflow,
        Why::ChannelGone,
    ];
    for why in whys {
        all.push((why.code(), BatchEvent::Excepted { batch, part: part(), item: Some(item), why }));
    }
    let asks = [
        ("compare", Ask::Compare),
        ("upload", Ask::Upload { from: 16, count: 8 }),
        ("again", Ask::CompareAgain),
        ("end", Ask::End),
    ];
    for (case, ask) in asks {
        all.push((case, BatchEvent::Started { batch, part: part(), ask, ids: ids() }));
        all.push((case, BatchEvent::Answered { batch, part: part(), ask, answer: Answer::Taken }));
    }
    let answers = [
        ("balanced", Answer::Balanced),
        ("unbalanced", Answer::Unbalanced),
        ("refused", Answer::Refused(decline("30"))),
        ("not-sent", Answer::NotSent(decline("no-line"))),
        ("unsupported", Answer::Unsupported),
        ("unknown", Answer::Unknown { reason: UnknownReason::Restarted, text: "t".into() }),
    ];
    for (case, answer) in answers {
        all.push((case, BatchEvent::Answered { batch, part: part(), ask: Ask::Compare, answer }));
    }
    all
}
