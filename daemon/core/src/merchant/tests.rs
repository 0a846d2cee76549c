#![allow(clippy::unwrap_used)]
use super::*;
use crate::batch::Rules;
use crate::input::{Context, Input};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routing::RouteView;
use crate::shell::{Durable, Next, NotDone, Shell};

const TERMS: Terms = Terms { tries: 3, valid_ms: 10_000 };

/// A shell and its passes, as the daemon's actor has them.
struct World {
    shell: Shell,
    passes: Passes,
    now_ms: u64,
    seq: u64,
    written: Vec<(Durable, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let shell = Shell::default();
        let asked = BTreeMap::from([("bank".to_owned(), TERMS)]);
        let passes = Passes::new(asked, shell.till().merchants(), 0);
        Self { shell, passes, now_ms: 0, seq: 0, written: Vec::new() }
    }

    /// All memory is gone; what is on disk is replayed. Boot time begins again too.
    fn restart(&mut self) {
        self.shell = Shell::default();
        for (at, payload) in &self.written {
            self.shell.replay(*at, payload).unwrap();
        }
        let asked = self.passes.asked.clone();
        self.now_ms = 7;
        self.passes = Passes::new(asked, self.shell.till().merchants(), self.now_ms);
    }

    fn input(&mut self, input: &Input) -> Result<(), Refusal> {
        self.passes.at(self.now_ms);
        let mut rules = Rules::default();
        rules.routing.merchants = self.passes.clone().into();
        let route = |id: &str| RouteView {
            id: id.into(),
            ..crate::training::route(till_plugin::Family::new("cash"), "CNY")
        };
        let ctx = Context {
            wall_ms: 5,
            clock_trusted: false,
            routes: vec![route("bank"), route("cash")],
            terminal: "T1".into(),
            config: "1".into(),
            printer: None,
            reuse_window_ms: 0,
            duplicate_window_ms: 0,
            undo_after_ms: None,
            hold_valid_ms: 0,
            job_valid_ms: 0,
            rules,
        };
        match self.shell.decide(input, &ctx) {
            Ok(Next::Act(_)) => Ok(()),
            Ok(Next::Write(mut pending)) => {
                self.seq += 1;
                let record = pending.record().clone();
                let at = Durable::new(self.seq, 5);
                self.written.push((at, pending.take_payload()));
                self.shell.durable(pending, at);
                if let Record::Merchant { channel, event, operator } = record {
                    let merchants = self.shell.till().merchants();
                    self.passes.event(&channel, event, operator.as_deref(), merchants);
                }
                Ok(())
            }
            Err(NotDone::Refused(refusal)) => Err(refusal),
            Err(NotDone::Record(e)) => panic!("{e}"),
        }
    }

    fn attempt(&mut self) -> Result<(), Refusal> {
        self.input(&Input::TryMerchant { channel: "bank".into(), operator: Some("li".into()) })
    }

    fn pass(&mut self) -> Result<(), Refusal> {
        self.input(&Input::MerchantPassed { channel: "bank".into(), operator: Some("li".into()) })
    }

    fn bar(&mut self, operator: &str) -> Option<Bar> {
        self.passes.at(self.now_ms);
        self.passes.bar("bank", operator)
    }
}

fn too_soon(result: Result<(), Refusal>) -> u64 {
    match result {
        Err(Refusal::Merchant(MerchantRefusal::TooSoon { seconds, .. })) => seconds,
        other => panic!("{other:?}"),
    }
}

fn locked(result: &Result<(), Refusal>) -> bool {
    matches!(result, Err(Refusal::Merchant(MerchantRefusal::Locked(_))))
}

#[test]
fn a_pass_is_for_one_operator_and_ends_by_time_sign_out_and_restart() {
    let mut w = World::new();
    assert_eq!(w.bar("li"), Some(Bar::Required));
    assert_eq!(w.passes.bar("cash", "li"), None, "who asks for nothing is free");
    w.attempt().unwrap();
    assert_eq!(w.bar("li"), Some(Bar::Required), "a try is no pass");
    w.pass().unwrap();
    assert_eq!(
        (w.bar("li"), w.bar("wang"), w.bar("")),
        (None, Some(Bar::OtherOperator), Some(Bar::OtherOperator))
    );
    w.now_ms += TERMS.valid_ms - 1;
    assert_eq!(w.bar("li"), None);
    w.now_ms += 1;
    assert_eq!(w.bar("li"), Some(Bar::Required), "its time is over");

    w.attempt().unwrap();
    w.pass().unwrap();
    w.input(&Input::SignOutMerchant { channel: "bank".into(), operator: None }).unwrap();
    assert_eq!(w.bar("li"), Some(Bar::Required));
    w.attempt().unwrap();
    w.pass().unwrap();
    w.restart();
    assert_eq!(w.bar("li"), Some(Bar::Required), "nobody knows who stands at a till that was restarted");
}

#[test]
fn wrong_tries_wait_longer_and_lock_and_no_restart_takes_one_back() {
    let mut w = World::new();
    w.attempt().unwrap();
    assert_eq!(too_soon(w.attempt()), 1);
    w.now_ms += 999;
    assert_eq!(too_soon(w.attempt()), 1);
    // The plug is pulled between the try and its answer: it counts, and the wait begins again.
    w.restart();
    assert_eq!(w.shell.till().merchants().of("bank"), Tries { wrong: 1, locked: false });
    assert_eq!(too_soon(w.attempt()), 1);
    w.now_ms += 1_000;
    w.attempt().unwrap();
    w.now_ms += 1_000;
    assert_eq!(too_soon(w.attempt()), 1, "two seconds after the second one");
    w.restart();
    assert_eq!(too_soon(w.attempt()), 2);
    w.now_ms += 2_000;
    w.attempt().unwrap();
    w.now_ms += 1_000_000_000;
    assert!(locked(&w.attempt()), "three are all there are, however long one waits");
    w.restart();
    assert!(locked(&w.attempt()));
    assert_eq!(w.bar("li"), Some(Bar::Locked));

    let nobody = w.input(&Input::UnlockMerchant { channel: "bank".into(), operator: " ".into() });
    assert!(matches!(nobody, Err(Refusal::Merchant(MerchantRefusal::Nobody))));
    w.input(&Input::UnlockMerchant { channel: "bank".into(), operator: "chen".into() }).unwrap();
    assert_eq!(w.bar("li"), Some(Bar::Required));
    w.attempt().unwrap();
    w.pass().unwrap();
    assert_eq!(w.bar("li"), None);
}

#[test]
fn the_last_try_may_still_be_right_and_then_all_is_forgotten() {
    let mut w = World::new();
    for wait in [0, 1_000, 2_000] {
        w.now_ms += wait;
        w.attempt().unwrap();
    }
    assert!(locked(&w.attempt()));
    w.pass().unwrap();
    assert_eq!(w.shell.till().merchants(), &Merchants::default());
    assert_eq!(w.bar("li"), None);
    assert_eq!(w.pass().unwrap_err(), Refusal::Stale, "a pass without a try is none");
}

#[test]
fn a_lock_does_not_end_what_was_passed_before() {
    let mut w = World::new();
    w.attempt().unwrap();
    w.pass().unwrap();
    for wait in [0, 1_000, 2_000] {
        w.now_ms += wait;
        w.attempt().unwrap();
    }
    assert!(locked(&w.attempt()));
    assert_eq!(w.bar("li"), None, "somebody who guesses must not stop the one who sells");
}

#[test]
fn what_asks_for_nobody_says_so_and_repeats_write_nothing() {
    let mut w = World::new();
    let cash = w.input(&Input::TryMerchant { channel: "cash".into(), operator: None });
    assert!(matches!(cash, Err(Refusal::Merchant(MerchantRefusal::NotAsked(_)))));
    let none = w.input(&Input::TryMerchant { channel: "none".into(), operator: None });
    assert!(matches!(none, Err(Refusal::NoChannel { .. })));
    w.input(&Input::SignOutMerchant { channel: "bank".into(), operator: None }).unwrap();
    w.input(&Input::UnlockMerchant { channel: "bank".into(), operator: "chen".into() }).unwrap();
    assert_eq!(w.seq, 0);
}

#[test]
fn waits_grow_to_five_minutes_and_no_further() {
    let waits: Vec<u64> = (0..12).map(wait_after_ms).collect();
    assert_eq!(waits[..6], [0, 1_000, 2_000, 4_000, 8_000, 16_000]);
    assert_eq!((waits[11], wait_after_ms(u32::MAX)), (300_000, 300_000));
}
