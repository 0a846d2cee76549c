//! Ordinary things to test with.

#![allow(dead_code, unused_imports, clippy::expect_used)] // each test takes what it needs

mod every;

use till_core::input::{Context, Presented};
use till_core::routing::{RouteHealth, RouteView};
use till_core::{Effect, Input, LegKind, PaymentId, Purpose, Record, Step, Till, decide};
use till_plugin::channel::{
    Approval, AttemptIds, Decline, DeclineClass, Echo, NextStep, Operation, QueryOutcome, QueryRule,
    ResolveProfile, UndoOutcome, UndoRule, Unknown, UnknownReason,
};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Extra, Family, Money};

pub(crate) use every::{decision, records};

pub(crate) const ID: PaymentId = PaymentId([7; 16]);

pub(crate) fn fen(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub(crate) fn query_rule() -> QueryRule {
    QueryRule { first_ms: 1_000, every_ms: 3_000, until_ms: 10_000, settle_ms: 6_000 }
}

pub(crate) fn undo_rule(tries: u32) -> UndoRule {
    UndoRule { not_before_ms: 0, pause_ms: 2_000, pause_max_ms: 60_000, tries }
}

pub(crate) fn wallet() -> ResolveProfile {
    ResolveProfile { query: Some(query_rule()), undo: Some(undo_rule(0)), single_slot: false }
}

pub(crate) fn bank() -> ResolveProfile {
    ResolveProfile { query: None, undo: Some(undo_rule(3)), single_slot: true }
}

pub(crate) fn no_undo() -> ResolveProfile {
    ResolveProfile { query: Some(query_rule()), undo: None, single_slot: false }
}

pub(crate) fn blind() -> ResolveProfile {
    ResolveProfile { query: None, undo: None, single_slot: false }
}

pub(crate) fn route(id: &str, family: &str, resolve: ResolveProfile) -> RouteView {
    RouteView {
        id: id.into(),
        families: vec![Family::new(family)],
        operations: vec![Operation::Sale],
        currencies: vec!["CNY".into()],
        priority: 1,
        enabled: true,
        health: RouteHealth::Ready,
        needs_clock: false,
        resolve,
        merchant: Some("MERCHANT".into()),
        terminal: Some("T0000001".into()),
        authorise_timeout_ms: 30_000,
        legs: Vec::new(),
    }
}

/// One channel `channel` for `qr-alipay`, resolving as said.
pub(crate) fn context(resolve: ResolveProfile) -> Context {
    Context {
        wall_ms: 1_790_000_000_000,
        clock_trusted: true,
        routes: vec![route("channel", "qr-alipay", resolve), route("other", "cash", wallet())],
        terminal: "T1".into(),
        config: "1".into(),
        printer: Some("printer".into()),
        reuse_window_ms: 60_000,
        duplicate_window_ms: 0,
        undo_after_ms: None,
        hold_valid_ms: 30 * 86_400_000,
        job_valid_ms: 7 * 86_400_000,
        rules: till_core::batch::Rules::default(),
    }
}

pub(crate) fn open(payment: PaymentId, key: &str, amount: Money, subject: &str) -> Input {
    Input::Open {
        payment,
        purpose: Purpose::Sale,
        key: key.into(),
        amount,
        subject: subject.into(),
        operator: None,
        training: false,
    }
}

pub(crate) fn presented() -> Presented {
    Presented {
        family: Family::new("qr-alipay"),
        evidence: "code-prefix".into(),
        masked: "28**3456".into(),
        token: String::new(),
        tendered: None,
        channel: None,
        amount: None,
        duplicate_reason: String::new(),
    }
}

pub(crate) fn decline(code: &str) -> Decline {
    Decline {
        class: DeclineClass::Customer,
        code: code.into(),
        text: "balance not enough".into(),
        text_zh: "余额不足".into(),
        next: NextStep::OtherMethod,
    }
}

pub(crate) fn approval(amount: Money) -> Approval {
    Approval {
        amount,
        echo: Echo { order: None, merchant: Some("MERCHANT".into()), terminal: None },
        reference: "2026112122001".into(),
        authorisation_code: Some("123456".into()),
        account: Some("138****8000".into()),
        scheme: Some("Alipay".into()),
        host_time: Some("2026-11-21 10:00:00".into()),
        cvm: Cvm::None,
        change: None,
        open_drawer: false,
        receipt: vec![("Store".into(), "12".into())],
        extra: Extra::from([("k".into(), "v".into())]),
    }
}

pub(crate) fn ids() -> AttemptIds {
    AttemptIds {
        payment: ID.0,
        attempt: 1,
        trace: 42,
        batch: 3,
        order: "T12026112100000001".into(),
        wall_ms: 1_790_000_000_000,
    }
}

/// A till and what it is driven with.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) till: Till,
    pub(crate) ctx: Context,
    seq: u64,
}

impl Bench {
    pub(crate) fn new(ctx: Context) -> Self {
        Self { till: Till::new(), ctx, seq: 0 }
    }

    /// Decides and takes the record in.
    pub(crate) fn take(&mut self, input: &Input) -> Step {
        let step = decide(&self.till, input, &self.ctx).unwrap_or_else(|e| panic!("{input:?}: {e}"));
        self.apply(&step);
        step
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        if let Some(record) = &step.record {
            let bytes = record.encode().expect("it encodes");
            assert!(bytes.len() <= till_core::MAX_RECORD, "{}: {} bytes", record.name(), bytes.len());
            self.seq += 1;
            let record = Record::decode(&bytes).expect("it reads back");
            self.till.apply(self.seq, self.ctx.wall_ms, &record);
        }
    }

    pub(crate) fn open_and_confirm(&mut self) {
        self.take(&open(ID, "key", fen(100), "tea"));
        self.take(&Input::Confirm { payment: ID, amount: fen(100) });
    }

    pub(crate) fn present(&mut self) -> Step {
        self.take(&Input::Present { payment: ID, presented: presented() })
    }

    pub(crate) fn send(&mut self) -> Step {
        self.open_and_confirm();
        self.present();
        self.prepared()
    }

    pub(crate) fn prepared(&mut self) -> Step {
        let result = Ok((vec![9; 60], "28**3456".into()));
        self.take(&Input::Prepared { payment: ID, attempt: 1, result })
    }

    pub(crate) fn answer(&mut self, outcome: till_plugin::channel::Outcome) -> Step {
        self.take(&Input::Answered { payment: ID, attempt: 1, outcome })
    }

    pub(crate) fn lost(&mut self) -> Step {
        let unknown = Unknown::new(UnknownReason::NoAnswer, "no answer");
        self.answer(till_plugin::channel::Outcome::Unknown(unknown))
    }

    pub(crate) fn resolve(&mut self) -> Step {
        self.take(&Input::Resolve { payment: ID, attempt: 1 })
    }

    pub(crate) fn queried(&mut self, outcome: QueryOutcome) -> Step {
        self.take(&Input::Queried { payment: ID, attempt: 1, outcome })
    }

    pub(crate) fn undone(&mut self, outcome: UndoOutcome) -> Step {
        self.take(&Input::Undone { payment: ID, attempt: 1, outcome })
    }

    pub(crate) fn cancel(&mut self) -> Step {
        self.take(&Input::Cancel { payment: ID, operator: None })
    }

    pub(crate) fn restart(&mut self) -> Vec<Step> {
        let steps = till_core::recover(&self.till);
        for step in &steps {
            self.apply(step);
        }
        steps
    }

    pub(crate) fn attempt(&self) -> &till_core::Attempt {
        self.till.payment(ID).and_then(|p| p.attempts.last()).expect("an attempt")
    }

    pub(crate) fn payment(&self) -> Option<&till_core::Payment> {
        self.till.payment(ID)
    }

    pub(crate) fn state(&self) -> till_core::PaymentState {
        self.till.payment(ID).expect("the payment").state
    }
}

/// When the resolver is to go on.
pub(crate) fn after(step: &Step) -> Option<u64> {
    step.effects.iter().find_map(|e| match e {
        Effect::ResolveAfter { after_ms, .. } => Some(*after_ms),
        _ => None,
    })
}
