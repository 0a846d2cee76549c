//! Opening, presenting, waiting.

use till_core::{AttemptState, Input, PaymentId, Purpose, Refusal, Till};
use till_plugin::{Currency, Money};

use super::{Asked, Operator, Sight, cancel, presented, refused};
use crate::profile::CHANNELS;
use crate::world::{Stopped, World};

pub(super) fn open(w: &mut World) {
    let asked = match w.operator.asked.last().cloned() {
        // As a caller that lost its answer does: the same key under a fresh identity.
        Some(last) if w.rng.chance(25) => last,
        // Hours later: a key of long ago.
        Some(_) if w.rng.chance(3) => {
            let n = w.rng.index(w.operator.asked.len());
            w.operator.asked[n].clone()
        }
        _ => {
            let training = w.till().is_training();
            let key =
                if training { Operator::training_key(w) } else { format!("key-{}", w.operator.asked.len()) };
            let purpose = match w.rng.below(20) {
                0 | 1 => Purpose::Hold,
                2 if !training => Purpose::TopUp {
                    channel: "gift".into(),
                    recovery: b"card".to_vec(),
                    masked: "9900****0001".into(),
                },
                _ => Purpose::Sale,
            };
            let asked = Asked { key, minor: 1 + w.rng.minor(99_999), purpose, training };
            w.operator.asked.push(asked.clone());
            asked
        }
    };
    let by_key = if asked.training { Till::training_by_key } else { Till::by_key };
    let known = by_key(w.till(), &asked.key);
    // Training has ended, or begun, since this was asked for the first time.
    let other_mode = asked.training != w.till().is_training();
    let other = known.is_some() && w.rng.chance(20);
    let minor = if other { asked.minor + 1 } else { asked.minor };
    let payment = Operator::fresh_id(w);
    let open = Input::Open {
        payment,
        purpose: asked.purpose,
        key: asked.key,
        amount: Money::new(minor, Currency::CNY),
        subject: "goods".into(),
        operator: Some("op".into()),
        training: asked.training,
    };
    match (known, w.asked(&open)) {
        (None, Ok(told)) if other_mode => {
            let apart = matches!(told, Err(Refusal::Training(_)));
            assert!(apart, "I17: a payment was opened as what the till is not in: {told:?}");
        }
        // It may be on disk all the same.
        (_, Err(Stopped::Died)) => {
            w.operator.opened += 1;
            w.operator.known.push(payment);
        }
        (_, Err(Stopped::Journal)) => w.operator.known.push(payment),
        (Some(_), Ok(Err(Refusal::KeyReuse { .. }))) => assert!(other, "I9: the same request was refused"),
        (Some(_), Ok(Ok(done))) => {
            assert!(!other, "I9: another amount passed under a known key");
            assert!(!done.wrote && done.effects == 0, "I9: a repeat did something");
        }
        (None, Ok(Ok(done))) => {
            assert!(done.wrote, "a payment was opened without a record");
            w.operator.opened += 1;
            w.operator.known.push(payment);
        }
        // A card of a suspended channel is not topped up.
        (None, Ok(Err(Refusal::Suspended { channel, .. }))) if w.watch.is_suspended(&channel) => {
            w.tally.see("not topped up, suspended");
        }
        (_, Ok(Err(e))) => panic!("a free till refuses to open: {e}"),
    }
}

pub(super) fn draft(w: &mut World, p: Sight) {
    let payment = p.id;
    match w.rng.below(20) {
        0 => {
            let amount = Money::new(p.amount.minor() + 1, Currency::CNY);
            let told = w.asked(&Input::Confirm { payment, amount });
            refused(&told, "another amount was confirmed", |r| matches!(r, Refusal::WrongAmount { .. }));
        }
        1 => drop(cancel(w, payment)),
        _ => drop(w.asked(&Input::Confirm { payment, amount: p.amount })),
    }
}

pub(super) fn ready(w: &mut World, p: Sight) {
    let payment = p.id;
    if p.cancelled {
        // In this very moment it begins to give back what was paid.
        return;
    }
    assert_eq!(w.armed_for, Some(payment), "the readers wait for the customer of a ready payment");
    let tired = p.attempts >= 5 || w.operator.refused_in_a_row >= 6;
    match w.rng.below(20) {
        0 => drop(cancel(w, payment)),
        _ if tired => drop(cancel(w, payment)),
        1 => {
            let channel = match w.rng.below(3) {
                0 => None,
                _ => Some(w.rng.pick(&CHANNELS).0.to_owned()),
            };
            let _told = w.asked(&Input::Select { channel, operator: None });
        }
        2 => drop(w.asked(&Input::Confirm { payment, amount: p.amount })),
        4 | 5 => fail_over(w, payment),
        3 => {
            let mut more = presented("qr-alipay", String::new(), None);
            more.amount = Some(Money::new(p.remaining.minor() + 1, Currency::CNY));
            let told = w.asked(&Input::Present { payment, presented: more });
            refused(&told, "I1: more was tendered than is owed", |r| matches!(r, Refusal::TooMuch { .. }));
        }
        _ => present(w, p),
    }
}

/// What was presented last goes to the next channel by itself: only where the last one surely took no money for it.
fn fail_over(w: &mut World, payment: PaymentId) {
    let Some(last) = w.till().payment(payment).and_then(|p| p.attempts.last()).cloned() else { return };
    let mut again = presented(last.family.as_str(), last.token.clone(), None);
    again.amount = Some(last.amount);
    match w.asked(&Input::FailOver { payment, presented: again }) {
        Ok(Ok(_)) => {
            let never_left = last.state == AttemptState::NotSent;
            let said_no = last.state == AttemptState::Declined && last.family.as_str() == "card-stripe";
            assert!(
                (never_left || said_no || last.family.as_str() == "prepaid") && last.unknown.is_none(),
                "S14: it went to another channel by itself after {last:?}"
            );
            w.tally.see("failed over");
        }
        Ok(Err(Refusal::NoRoute { .. })) => w.tally.see("no route"),
        Ok(Err(Refusal::Stale)) | Err(_) => {}
        Ok(Err(e)) => panic!("what a channel did not take is refused to the next one: {e}"),
    }
}

fn present(w: &mut World, p: Sight) {
    let payment = p.id;
    // A cashier whose payment found no channel a few times tries the others too; the wallet is most used.
    let family = match w.rng.below(20) {
        0..=5 => "qr-alipay",
        6..=8 => "qr-unionpay",
        9..=13 => "card-stripe",
        14 | 15 => "qr-wechat",
        16..=18 => "cash",
        _ => "prepaid",
    };
    let token = match w.rng.below(50) {
        _ if family == "cash" => String::new(),
        // Somebody who comes again and again.
        0..=2 => "token-1".into(),
        _ => format!("token-{}", w.rng.next()),
    };
    let channel = w.rng.chance(5).then(|| w.rng.pick(&CHANNELS).0.to_owned());
    let mut presented = presented(family, token, channel);
    if p.part_possible && p.remaining.minor() > 1 && w.rng.chance(25) {
        // A part by this, the rest by something else.
        presented.amount = Some(Money::new(1 + w.rng.minor(p.remaining.minor() - 1), Currency::CNY));
    }
    if w.rng.chance(50) {
        presented.duplicate_reason = "bought the same again".into();
    }
    match w.asked(&Input::Present { payment, presented }) {
        Ok(Ok(_)) => {
            w.operator.refused_in_a_row = 0;
            super::suspend::in_this_moment(w);
        }
        Ok(Err(Refusal::NoRoute { .. })) => {
            w.tally.see("no route");
            w.operator.refused_in_a_row += 1;
        }
        Ok(Err(Refusal::UsedAlready { .. })) => w.tally.see("used already"),
        Ok(Err(Refusal::PossibleDuplicate { .. })) => w.tally.see("possible duplicate"),
        // A top-up is not paid out of cards of its own channel.
        Ok(Err(Refusal::NotPayable(_))) if family == "prepaid" => w.tally.see("not payable"),
        Ok(Err(e)) => panic!("a ready payment refuses an instrument: {e}"),
        Err(_) => {}
    }
}

pub(super) fn under_way(w: &mut World, p: Sight) {
    let payment = p.id;
    let busy =
        |r: &Refusal| matches!(r, Refusal::Busy { .. } | Refusal::State { .. } | Refusal::NoLeg { .. });
    match w.rng.below(26) {
        0 | 1 => drop(cancel(w, payment)),
        2 if p.state == till_core::PaymentState::Tendering => {
            let channel = Some(w.rng.pick(&CHANNELS).0.to_owned());
            let told = w.asked(&Input::Select { channel, operator: None });
            refused(&told, "the channel was switched while a payment is under way", busy);
        }
        3 => {
            let open = Input::Open {
                payment: Operator::fresh_id(w),
                purpose: Purpose::Sale,
                key: String::new(),
                amount: Money::new(1, Currency::CNY),
                subject: String::new(),
                operator: None,
                training: w.till().is_training(),
            };
            let told = w.asked(&open);
            refused(&told, "another payment was opened while one is under way", busy);
        }
        4 => {
            let presented = presented("qr-alipay", String::new(), None);
            let told = w.asked(&Input::Present { payment, presented });
            refused(&told, "W3: a second instrument was taken", busy);
        }
        5 => stray(w, p),
        6 | 7 if p.unknown => {
            let abandon = Input::Abandon {
                payment,
                reason: "the customer pays by something else".into(),
                operator: Some("op".into()),
            };
            match w.asked(&abandon) {
                Ok(Ok(_)) => w.tally.see("abandoned"),
                Ok(Err(Refusal::NoLeg { .. })) | Err(_) => {}
                Ok(Err(e)) => panic!("an unknown attempt cannot be given up: {e}"),
            }
        }
        8 if p.open => {
            // Giving back while something is under way.
            let leg = Input::Leg {
                payment,
                kind: till_core::LegKind::Refund,
                of: 0,
                amount: None,
                key: String::new(),
                reason: "changed mind".into(),
                operator: Some("op".into()),
            };
            refused(&w.asked(&leg), "W3: a leg began while another is under way", busy);
        }
        9 => super::after::clear_up(w),
        // Nothing goes on to the next channel while nobody knows.
        11 if p.unknown => fail_over(w, payment),
        10 if w.rng.chance(30) => super::close::close_day(w),
        _ => {}
    }
}

/// Answers to attempts that are not there, and a timer that rings while an exchange is on its way.
fn stray(w: &mut World, p: Sight) {
    let (payment, attempt): (PaymentId, u32) = (p.id, p.newest);
    let stale = |r: &Refusal| matches!(r, Refusal::Stale);
    let stray = Input::Prepared { payment, attempt: attempt + 1, result: Ok((vec![], String::new())) };
    refused(&w.asked(&stray), "an answer to no attempt did something", stale);
    if p.waiting {
        let attempt =
            w.till().payment(payment).and_then(|p| p.open_attempt()).map_or(attempt, |a| a.ids.attempt);
        let told = w.asked(&Input::Resolve { payment, attempt });
        refused(&told, "a second exchange began while one is on its way", stale);
    }
}
