//! What effects do in this world: calls to the hosts and their answers, the printer, the readers.

use till_core::{Effect, Input, LegKind, PaymentId, training};
use till_plugin::Money;
use till_plugin::channel::{AttemptIds, Outcome, QueryOutcome, UndoOutcome, UnknownReason};
use till_plugin::driver::PrintState;

use crate::check;
use crate::clock::{Event, Timer};
use crate::faults::{Faults, Pay, PayFate, QueryFate, UndoFate};
use crate::host::{Message, What, doubt, no, wrong};
use crate::profile;
use crate::world::{World, log};

/// Which attempt an exchange is about.
struct Call {
    payment: PaymentId,
    attempt: u32,
    channel: usize,
    kind: LegKind,
    ids: AttemptIds,
    original: Option<String>,
    amount: Money,
}

impl World {
    pub(crate) fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Arm { payment, .. } => self.armed_for = Some(payment),
            Effect::Disarm => self.armed_for = None,
            Effect::Prepare { payment, kind, channel, ids, .. } => {
                if kind == LegKind::Load {
                    let opened = self.watch.opened_in(payment);
                    assert!(!self.watch.is_shredded(opened), "S66: the card of a top-up was shredded");
                }
                let result = if !self.faults.calm && self.rng.chance(5) {
                    Err(no("not-prepared"))
                } else {
                    Ok((self.watch.recovery(profile::index(&channel), &ids), "6200****0005".into()))
                };
                let ms = if self.rng.chance(10) { self.rng.range(500, 4_000) } else { self.rng.range(1, 50) };
                self.clock.inside(ms, Input::Prepared { payment, attempt: ids.attempt, result });
            }
            Effect::Authorise { payment, attempt, channel, timeout_ms, .. } => {
                check::before_sending(self, payment, attempt, profile::index(&channel));
                let call = self.call(payment, attempt, profile::index(&channel));
                self.authorise(call, timeout_ms.into());
            }
            Effect::ForgetInstrument { payment, attempt } => {
                self.vault.remove(&(payment, attempt));
            }
            Effect::ResolveAfter { payment, attempt, after_ms } => {
                self.clock.timer(after_ms, Timer::Resolve(payment, attempt));
            }
            Effect::Query { payment, attempt, channel, ids, recovery, .. } => {
                let channel = profile::index(&channel);
                self.watch.i22_follow_up_goes_where_its_original_went(channel, &ids, &recovery);
                let fate = self.faults.query(&mut self.rng);
                log!(self, "query {} {fate:?}", ids.order);
                if let QueryFate::Lost = fate {
                    let outcome = QueryOutcome::Unknown(doubt(UnknownReason::NoAnswer));
                    self.clock.inside(5_000, Input::Queried { payment, attempt, outcome });
                } else {
                    let call = self.call(payment, attempt, channel);
                    self.send(call, What::Query(fate), None);
                }
            }
            Effect::Undo { payment, attempt, channel, ids, recovery, .. } => {
                let channel = profile::index(&channel);
                self.watch.i22_follow_up_goes_where_its_original_went(channel, &ids, &recovery);
                let batch =
                    self.till().payment(payment).and_then(|p| p.attempt(attempt)).map_or(0, |a| a.batch);
                if self.watch.is_shredded(batch) {
                    // A late approval of a closed batch: what the undo needs is destroyed, people must (as the daemon
                    // answers when a seal cannot be opened any more).
                    self.tally.see("late for what was shredded");
                    let outcome = UndoOutcome::Refused(no("seal"));
                    return self.clock.inside(1, Input::Undone { payment, attempt, outcome });
                }
                let call = self.call(payment, attempt, channel);
                self.undo(call);
            }
            Effect::GoOn { payment, after_ms } => self.clock.inside(after_ms, Input::GoOn { payment }),
            Effect::AskAcknowledgement { payment, after_ms } => {
                self.clock.inside(after_ms, Input::NotAcknowledged { payment });
            }
            Effect::QueueJob { job } => {
                let ms = self.rng.range(1, 2_000);
                self.clock.inside(ms, Input::SendJob { job });
            }
            Effect::Print { job, payment, copy, restarted, .. } => {
                check::s64_what_is_over_is_not_printed(self, job);
                check::w05_on_disk_before_anybody_hears(self, payment, "a receipt is printed");
                check::w06_the_job_is_on_disk_before_the_paper(self, job);
                self.i20_printed(job, payment, copy, restarted);
                let state = match self.rng.below(4) {
                    0 if !self.faults.calm => PrintState::Failed { reason: "paper".into(), partly: true },
                    1 => PrintState::Unconfirmed,
                    _ => PrintState::Done,
                };
                self.clock.inside(500, Input::Printed { job, state });
            }
            Effect::PrintSlip { job, batch, copy, restarted, .. } => {
                check::s64_what_is_over_is_not_printed(self, job);
                check::w05_closed_before_its_slip(self, batch);
                self.i20_printed(job, check::nobody(batch), copy, restarted);
                check::w06_the_job_is_on_disk_before_the_paper(self, job);
                let state = if self.rng.chance(20) && !self.faults.calm {
                    PrintState::Failed { reason: "paper".into(), partly: true }
                } else {
                    PrintState::Done
                };
                self.clock.inside(500, Input::Printed { job, state });
            }
            Effect::OpenDrawer { reason } => {
                if let Ok(payment) = reason.parse() {
                    check::w05_on_disk_before_anybody_hears(self, payment, "the drawer opens");
                } else {
                    check::s23_the_drawer_leaves_a_record(self, &reason);
                }
            }
            Effect::Alarm { code, payment, .. } => {
                *self.tally.alarm.entry(code).or_default() += 1;
                if let Some(payment) = payment {
                    self.watch.alarmed(payment, code);
                }
            }
            Effect::PaymentChanged(id) => {
                let known = self.till().payment(id).is_some() || self.disk.of(id).next().is_some();
                assert!(known, "W5: clients are told of a payment that is not there");
            }
            Effect::SignIn { channel, batch, .. } => {
                let at = profile::index(&channel);
                let batch = self.hosts[at].wants(&mut self.rng, batch);
                let ms = self.rng.range(50, 800);
                self.clock.inside(ms, Input::SignedIn { channel, batch });
            }
            Effect::Train(train) => {
                check::i17_only_training_goes_to_the_training_host(self, &train);
                let ms = self.rng.range(1, 400);
                self.clock.inside(ms, training::answer(&train));
            }
            Effect::ChannelChanged
            | Effect::TrainingChanged
            | Effect::SuspensionChanged { .. }
            | Effect::ShowCode { .. }
            | Effect::CancelPrint { .. }
            | Effect::StopWaiting { .. }
            | Effect::Inquire { .. }
            | Effect::BatchChanged { .. } => {}
            Effect::SettleAfter { .. }
            | Effect::Settle { .. }
            | Effect::UploadRecords { .. }
            | Effect::Shred { .. } => self.settlement(effect),
        }
    }

    fn call(&self, payment: PaymentId, attempt: u32, channel: usize) -> Call {
        let found = self.till().payment(payment).and_then(|p| Some((p, p.attempt(attempt)?)));
        let Some((p, a)) = found else { panic!("an exchange about a payment that is not there") };
        let original = p.attempt(a.of).map(|o| o.ids.order.clone());
        Call { payment, attempt, channel, kind: a.kind, ids: a.ids.clone(), original, amount: a.amount }
    }

    fn authorise(&mut self, call: Call, timeout_ms: u64) {
        let (payment, attempt, channel) = (call.payment, call.attempt, call.channel);
        let customer = Faults::customer(&mut self.rng, channel, call.kind);
        let may_come_late = call.kind.is_tender() && profile::undoes_again(channel);
        let fate = self.faults.pay(&mut self.rng, may_come_late);
        let away = self.standing.as_ref().is_some_and(|s| s.away(channel, self.clock.now));
        let fate = match away {
            true if call.ids.trace.is_multiple_of(3) => PayFate::NotSent,
            true => PayFate::LostRequest,
            false => fate,
        };
        log!(self, "{} {} {customer:?} {fate:?}", call.kind.as_str(), call.ids.order);
        let unknown = |reason| Outcome::Unknown(doubt(reason));
        let gave_up = match fate {
            PayFate::NotSent => Some((20, Outcome::NotSent(no("no-line")))),
            PayFate::LostRequest | PayFate::LostAnswer | PayFate::LateAnswer => {
                Some((timeout_ms, unknown(UnknownReason::NoAnswer)))
            }
            PayFate::Slow(_) | PayFate::VeryLate(_) => Some((100, unknown(UnknownReason::Broken))),
            PayFate::PluginDied => Some((300, unknown(UnknownReason::PluginDied))),
            PayFate::BadSeal => Some((350, unknown(UnknownReason::BadSeal))),
            PayFate::Well | PayFate::AnsweredTwice | PayFate::Wrong(_) => None,
        };
        if let Some((ms, outcome)) = gave_up {
            self.clock.inside(ms, Input::Answered { payment, attempt, outcome });
        }
        if matches!(fate, PayFate::NotSent | PayFate::LostRequest) {
            return;
        }
        let delay = if let PayFate::Slow(ms) | PayFate::VeryLate(ms) = fate { Some(ms) } else { None };
        if let Pay::Pending(_) = customer
            && self.rng.chance(40)
        {
            let ms = self.rng.range(1_000, 30_000);
            self.clock.after(ms, Event::Customer(channel, call.ids.order.clone()));
        }
        self.send(call, What::Pay(customer, fate), delay);
    }

    fn undo(&mut self, call: Call) {
        let (payment, attempt) = (call.payment, call.attempt);
        let fate = self.faults.undo(&mut self.rng);
        log!(self, "undo {} {fate:?}", call.ids.order);
        let outcome = match fate {
            UndoFate::NotSent => Some((50, UndoOutcome::NotSent(no("no-line")))),
            UndoFate::LostRequest | UndoFate::LostAnswer => {
                Some((5_000, UndoOutcome::Unknown(doubt(UnknownReason::NoAnswer))))
            }
            _ => None,
        };
        if let Some((ms, outcome)) = outcome {
            self.clock.inside(ms, Input::Undone { payment, attempt, outcome });
        }
        if !matches!(fate, UndoFate::NotSent | UndoFate::LostRequest) {
            self.send(call, What::Undo(fate), None);
        }
    }

    fn send(&mut self, call: Call, what: What, delay: Option<u64>) {
        let mut at = self.clock.now + delay.unwrap_or_else(|| self.rng.range(5, 200));
        if profile::keeps_order(call.channel) {
            at = at.max(self.line_free[call.channel]);
            self.line_free[call.channel] = at;
        }
        let Call { channel, kind, ids, original, amount, .. } = call;
        let message = Message { channel, kind, ids, original, amount, what, life: self.clock.life() };
        self.clock.after(at - self.clock.now, Event::Arrive(Box::new(message)));
    }

    /// Bytes reach a host, whatever became of the till meanwhile.
    pub(crate) fn arrive(&mut self, m: &Message) {
        let now = self.clock.now;
        let lag = match m.what {
            What::Pay(_, PayFate::Slow(_) | PayFate::VeryLate(_)) => 0,
            _ => self.faults.lag(&mut self.rng),
        };
        if matches!(m.what, What::Pay(..)) {
            check::i12_its_network_can_count_it(self, m);
        }
        let host = &mut self.hosts[m.channel];
        let (payment, attempt) = (PaymentId(m.ids.payment), m.ids.attempt);
        let (first, second) = match m.what {
            What::Pay(customer, fate) => {
                let outcome = match (host.pay(m, customer, lag, now), fate) {
                    (Outcome::Approved(a), PayFate::Wrong(w)) => Outcome::Approved(wrong(a, w)),
                    (outcome, _) => outcome,
                };
                let answer = Input::Answered { payment, attempt, outcome };
                match fate {
                    PayFate::VeryLate(_) => {
                        self.clock.after(50, Event::Notice(Box::new(answer)));
                        (None, None)
                    }
                    PayFate::Well | PayFate::Wrong(_) => (Some((50, answer)), None),
                    PayFate::AnsweredTwice => (Some((50, answer.clone())), Some((90, answer))),
                    PayFate::LateAnswer => (Some((11_000, answer)), None),
                    _ => (None, None),
                }
            }
            What::Query(fate) => {
                let answer = Input::Queried { payment, attempt, outcome: host.query(m, fate, now) };
                let twice = matches!(fate, QueryFate::AnsweredTwice).then(|| (90, answer.clone()));
                (Some((50, answer)), twice)
            }
            What::Undo(fate) => {
                let answer = Input::Undone { payment, attempt, outcome: host.undo(m, fate, now) };
                match fate {
                    UndoFate::LostAnswer => (None, None),
                    UndoFate::AnsweredTwice => (Some((50, answer.clone())), Some((90, answer))),
                    _ => (Some((50, answer)), None),
                }
            }
        };
        // Whoever asked may be dead by now: then the answer reaches nobody.
        if self.up && m.life == self.clock.life() {
            for (ms, input) in [first, second].into_iter().flatten() {
                self.clock.inside(ms, input);
            }
        }
    }
}
