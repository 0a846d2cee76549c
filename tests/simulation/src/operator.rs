//! The people at the till: sell, change their minds, press things twice.

use till_core::input::Presented;
use till_core::{Input, Payment, PaymentId, PaymentState, Refusal};
use till_plugin::{Currency, Family, Money};

use crate::profile::CHANNELS;
use crate::world::{Stopped, Told, World};

/// What the people know.
pub(crate) struct Operator {
    pub(crate) payments: u64,
    pub(crate) done: bool,
    opened: u64,
    fresh: u64,
    /// Requests to open: key, amount. The last one may not have been answered.
    asked: Vec<(String, i64)>,
    refused_in_a_row: u32,
}

/// What somebody sees of the payment before them.
#[derive(Copy, Clone)]
struct Sight {
    id: PaymentId,
    amount: Money,
    state: PaymentState,
    attempts: usize,
    waiting: bool,
}

impl Sight {
    fn of(p: &Payment) -> Self {
        Self {
            id: p.id,
            amount: p.amount,
            state: p.state,
            attempts: p.attempts.len(),
            waiting: p.attempts.last().is_some_and(|a| a.waiting),
        }
    }
}

impl Operator {
    pub(crate) const fn new(payments: u64) -> Self {
        Self { payments, done: false, opened: 0, fresh: 0, asked: Vec::new(), refused_in_a_row: 0 }
    }

    pub(crate) fn act(w: &mut World) {
        let Some(p) = w.till().foreground().map(Sight::of) else { return Self::free(w) };
        match p.state {
            PaymentState::Draft => Self::draft(w, p),
            PaymentState::Ready => Self::ready(w, p),
            _ => Self::under_way(w, p),
        }
    }

    fn free(w: &mut World) {
        if w.operator.opened >= w.operator.payments {
            w.operator.done = true;
            return;
        }
        // Somebody gives an unresolved payment of before up.
        let parked: Vec<PaymentId> = w.till().open_payments().map(|p| p.id).collect();
        if !parked.is_empty() && w.rng.chance(15) {
            let payment = w.rng.pick(&parked);
            let _told = w.asked(&Input::Cancel { payment, operator: None });
            return;
        }
        Self::open(w);
    }

    fn open(w: &mut World) {
        let (key, amount) = match w.operator.asked.last().cloned() {
            // As a caller that lost its answer does: the same key under a fresh identity.
            Some(last) if w.rng.chance(25) => last,
            _ => {
                let n = w.operator.asked.len();
                let amount = 1 + w.rng.minor(99_999);
                w.operator.asked.push((format!("key-{n}"), amount));
                (format!("key-{n}"), amount)
            }
        };
        let known = w.till().by_key(&key);
        let other = known.is_some() && w.rng.chance(20);
        let minor = if other { amount + 1 } else { amount };
        let payment = Self::fresh_id(w);
        let open = Input::Open {
            payment,
            purpose: till_core::Purpose::Sale,
            key,
            amount: Money::new(minor, Currency::CNY),
            subject: "goods".into(),
            operator: Some("op".into()),
        };
        match (known, w.asked(&open)) {
            (_, Err(Stopped::Died)) => w.operator.opened += 1,
            (_, Err(Stopped::Journal)) => {}
            (Some(_), Ok(Err(Refusal::KeyReuse { .. }))) => assert!(other, "the same request was refused"),
            (Some(_), Ok(Ok(done))) => {
                assert!(!other, "I9: another amount passed under a known key");
                assert!(!done.wrote && done.effects == 0, "I9: a repeat did something");
            }
            (None, Ok(Ok(done))) => {
                assert!(done.wrote, "a payment was opened without a record");
                w.operator.opened += 1;
            }
            (_, Ok(Err(e))) => panic!("a free till refuses to open: {e}"),
        }
    }

    /// Counted into the first half, so that checks find what belongs to it at once.
    fn fresh_id(w: &mut World) -> PaymentId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&w.operator.fresh.to_be_bytes());
        id[8..].copy_from_slice(&w.rng.next().to_be_bytes());
        w.operator.fresh += 1;
        PaymentId(id)
    }

    fn draft(w: &mut World, p: Sight) {
        let payment = p.id;
        match w.rng.below(20) {
            0 => {
                let amount = Money::new(p.amount.minor() + 1, Currency::CNY);
                let told = w.asked(&Input::Confirm { payment, amount });
                refused(&told, "another amount was confirmed", |r| matches!(r, Refusal::WrongAmount { .. }));
            }
            1 => drop(w.asked(&Input::Cancel { payment, operator: None })),
            _ => drop(w.asked(&Input::Confirm { payment, amount: p.amount })),
        }
    }

    fn ready(w: &mut World, p: Sight) {
        let payment = p.id;
        assert_eq!(w.armed_for, Some(payment), "the readers wait for the customer of a ready payment");
        let tired = p.attempts >= 4 || w.operator.refused_in_a_row >= 6;
        match w.rng.below(20) {
            0 | 1 => drop(w.asked(&Input::Cancel { payment, operator: Some("op".into()) })),
            _ if tired => drop(w.asked(&Input::Cancel { payment, operator: None })),
            2 => {
                let channel = match w.rng.below(3) {
                    0 => None,
                    _ => Some(w.rng.pick(&CHANNELS).0.to_owned()),
                };
                let _told = w.asked(&Input::Select { channel, operator: None });
            }
            3 => drop(w.asked(&Input::Confirm { payment, amount: p.amount })),
            _ => Self::present(w, payment),
        }
    }

    fn present(w: &mut World, payment: PaymentId) {
        // A cashier whose payment found no channel a few times tries the others too; the wallet is most used.
        let family = match w.rng.below(10) {
            0..=3 => "qr-alipay",
            4 => "qr-unionpay",
            5..=7 => "card-stripe",
            8 => "qr-wechat",
            _ => "prepaid",
        };
        let token = if w.rng.chance(3) { "token-1".into() } else { format!("token-{}", w.rng.next()) };
        let channel = w.rng.chance(5).then(|| w.rng.pick(&CHANNELS).0.to_owned());
        let presented = presented(family, token, channel);
        match w.asked(&Input::Present { payment, presented }) {
            Ok(Ok(_)) => w.operator.refused_in_a_row = 0,
            Ok(Err(Refusal::NoRoute { .. })) => {
                w.tally.see("no route");
                w.operator.refused_in_a_row += 1;
            }
            Ok(Err(Refusal::UsedAlready { .. })) => w.tally.see("used already"),
            Ok(Err(e)) => panic!("a ready payment refuses an instrument: {e}"),
            Err(_) => {}
        }
    }

    fn under_way(w: &mut World, p: Sight) {
        let payment = p.id;
        let busy = |r: &Refusal| matches!(r, Refusal::Busy { .. });
        match w.rng.below(24) {
            0 | 1 => drop(w.asked(&Input::Cancel { payment, operator: Some("op".into()) })),
            2 => {
                let channel = Some(w.rng.pick(&CHANNELS).0.to_owned());
                let told = w.asked(&Input::Select { channel, operator: None });
                refused(&told, "the channel was switched while a payment is under way", busy);
            }
            3 => {
                let open = Input::Open {
                    payment: Self::fresh_id(w),
                    purpose: till_core::Purpose::Sale,
                    key: String::new(),
                    amount: Money::new(1, Currency::CNY),
                    subject: String::new(),
                    operator: None,
                };
                let told = w.asked(&open);
                refused(&told, "another payment was opened while one is under way", busy);
            }
            4 => {
                let presented = presented("qr-alipay", String::new(), None);
                let told = w.asked(&Input::Present { payment, presented });
                refused(&told, "a second instrument was taken", |r| matches!(r, Refusal::State { .. }));
            }
            5 => {
                // Answers to attempts that are not there, and a timer that rings while an exchange is on its way.
                let attempt = u32::try_from(p.attempts).unwrap_or(0);
                let stale = |r: &Refusal| matches!(r, Refusal::Stale);
                let stray =
                    Input::Prepared { payment, attempt: attempt + 1, result: Ok((vec![], String::new())) };
                refused(&w.asked(&stray), "an answer to no attempt did something", stale);
                if p.waiting {
                    let told = w.asked(&Input::Resolve { payment, attempt });
                    refused(&told, "a second exchange began while one is on its way", stale);
                }
            }
            _ => {}
        }
    }
}

/// It must be refused in this way.
fn refused(told: &Told, wrong: &str, right: impl Fn(&Refusal) -> bool) {
    assert!(matches!(told, Ok(Err(r)) if right(r)), "{wrong}: {told:?}");
}

fn presented(family: &str, token: String, channel: Option<String>) -> Presented {
    Presented {
        family: Family::new(family),
        evidence: "test".into(),
        masked: "620000******0005".into(),
        token,
        tendered: None,
        channel,
        amount: None,
        duplicate_reason: String::new(),
    }
}
