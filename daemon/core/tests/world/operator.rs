//! The people at the till: sell, change their minds, press things twice.

use till_core::input::Presented;
use till_core::{Input, Payment, PaymentId, PaymentState, Refusal};
use till_plugin::{Currency, Family, Money};

use crate::profile::CHANNELS;
use crate::world::World;

pub(crate) struct Operator {
    pub(crate) payments: u64,
    pub(crate) done: bool,
    opened: u64,
    fresh: u64,
    /// Requests to open: key, amount. The last one may not have been answered.
    asked: Vec<(String, i64)>,
    refused_in_a_row: u32,
}

impl Operator {
    pub(crate) const fn new(payments: u64) -> Self {
        Self { payments, done: false, opened: 0, fresh: 0, asked: Vec::new(), refused_in_a_row: 0 }
    }

    pub(crate) fn act(w: &mut World) {
        let Some(p) = w.till.foreground().cloned() else { return Self::open(w) };
        match p.state {
            PaymentState::Draft => Self::draft(w, &p),
            PaymentState::Ready => Self::ready(w, &p),
            _ => Self::under_way(w, &p),
        }
    }

    fn open(w: &mut World) {
        if w.operator.opened >= w.operator.payments {
            w.operator.done = true;
            return;
        }
        // Somebody gives an unresolved payment of before up.
        let parked: Vec<PaymentId> = w.till.open_payments().map(|p| p.id).collect();
        if !parked.is_empty() && w.rng.chance(15) {
            let payment = w.rng.pick(&parked);
            let _died = w.input(&Input::Cancel { payment, operator: None });
            return;
        }
        let (key, amount) = match w.operator.asked.last().cloned() {
            // As a caller that lost its answer does: the same key under a fresh identity.
            Some(last) if w.rng.chance(25) => last,
            _ => {
                let n = w.operator.asked.len();
                let amount = i64::try_from(w.rng.range(1, 99_999)).unwrap_or(1);
                w.operator.asked.push((format!("key-{n}"), amount));
                (format!("key-{n}"), amount)
            }
        };
        let known = w.till.by_key(&key);
        let other = known.is_some() && w.rng.chance(20);
        let minor = if other { amount + 1 } else { amount };
        let payment = Self::fresh_id(w);
        let open = Input::Open {
            purpose: till_core::Purpose::Sale,
            payment,
            key: key.clone(),
            amount: Money::new(minor, Currency::CNY),
            subject: "goods".into(),
            operator: Some("op".into()),
        };
        let Ok(result) = w.input(&open) else {
            w.operator.opened += 1;
            return;
        };
        match (known, result) {
            (Some(_), Err(Refusal::KeyReuse { .. })) => assert!(other, "the same request was refused"),
            (Some(_), Ok(step)) => {
                assert!(!other, "another amount passed under a known key (I9)");
                assert!(step.record.is_none() && step.effects.is_empty(), "a repeat did something");
            }
            (None, Ok(step)) => {
                assert!(step.record.is_some());
                w.operator.opened += 1;
            }
            (_, Err(e)) => panic!("a free till refuses to open: {e}"),
        }
    }

    fn fresh_id(w: &mut World) -> PaymentId {
        w.operator.fresh += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&w.operator.fresh.to_be_bytes());
        id[8..].copy_from_slice(&w.rng.next().to_be_bytes());
        PaymentId(id)
    }

    fn draft(w: &mut World, p: &Payment) {
        let payment = p.id;
        match w.rng.below(20) {
            0 => {
                let amount = Money::new(p.amount.minor() + 1, Currency::CNY);
                let result = w.input(&Input::Confirm { payment, amount });
                assert!(
                    matches!(result, Ok(Err(Refusal::WrongAmount { .. }))),
                    "another amount was confirmed"
                );
            }
            1 => drop(w.input(&Input::Cancel { payment, operator: None })),
            _ => drop(w.input(&Input::Confirm { payment, amount: p.amount })),
        }
    }

    fn ready(w: &mut World, p: &Payment) {
        let payment = p.id;
        assert_eq!(w.armed_for, Some(payment), "the readers wait for the customer of a ready payment");
        let tired = p.attempts.len() >= 4 || w.operator.refused_in_a_row >= 6;
        match w.rng.below(20) {
            0 | 1 => drop(w.input(&Input::Cancel { payment, operator: Some("op".into()) })),
            _ if tired => drop(w.input(&Input::Cancel { payment, operator: None })),
            2 => {
                let channel = match w.rng.below(3) {
                    0 => None,
                    _ => Some(w.rng.pick(&CHANNELS).0.to_owned()),
                };
                let _died = w.input(&Input::Select { channel, operator: None });
            }
            3 => drop(w.input(&Input::Confirm { payment, amount: p.amount })),
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
        let presented = Presented {
            family: Family::new(family),
            evidence: "test".into(),
            masked: "620000******0005".into(),
            token,
            tendered: None,
            amount: None,
            duplicate_reason: String::new(),
            channel,
        };
        match w.input(&Input::Present { payment, presented }) {
            Ok(Ok(_)) => w.operator.refused_in_a_row = 0,
            Ok(Err(Refusal::NoRoute { .. })) => {
                w.tally.add("no route");
                w.operator.refused_in_a_row += 1;
            }
            Ok(Err(Refusal::UsedAlready { .. })) => w.tally.add("used already"),
            Ok(Err(e)) => panic!("a ready payment refuses an instrument: {e}"),
            Err(_) => {}
        }
    }

    fn under_way(w: &mut World, p: &Payment) {
        let payment = p.id;
        let busy = |r: Result<Result<_, Refusal>, _>, what: &str| {
            assert!(matches!(r, Ok(Err(Refusal::Busy { .. }))), "{what} while a payment is under way");
        };
        match w.rng.below(24) {
            0 | 1 => drop(w.input(&Input::Cancel { payment, operator: Some("op".into()) })),
            2 => {
                let channel = Some(w.rng.pick(&CHANNELS).0.to_owned());
                let result = w.input(&Input::Select { channel, operator: None });
                busy(result, "the channel was switched");
            }
            3 => {
                let open = Input::Open {
                    purpose: till_core::Purpose::Sale,
                    payment: Self::fresh_id(w),
                    key: String::new(),
                    amount: Money::new(1, Currency::CNY),
                    subject: String::new(),
                    operator: None,
                };
                let result = w.input(&open);
                busy(result, "another payment was opened");
            }
            4 => {
                let presented = Presented {
                    family: Family::new("qr-alipay"),
                    evidence: "test".into(),
                    masked: String::new(),
                    token: String::new(),
                    tendered: None,
                    amount: None,
                    duplicate_reason: String::new(),
                    channel: None,
                };
                let result = w.input(&Input::Present { payment, presented });
                assert!(matches!(result, Ok(Err(Refusal::State { .. }))), "a second instrument was taken");
            }
            5 => {
                // Answers to attempts that are not there, and a timer that rings while an exchange is on its way.
                let attempt = u32::try_from(p.attempts.len()).unwrap_or(0);
                let stray =
                    Input::Prepared { payment, attempt: attempt + 1, result: Ok((vec![], String::new())) };
                assert!(matches!(w.input(&stray), Ok(Err(Refusal::Stale))));
                if p.attempts.last().is_some_and(|a| a.waiting) {
                    assert!(matches!(w.input(&Input::Resolve { payment, attempt }), Ok(Err(Refusal::Stale))));
                }
            }
            _ => {}
        }
    }
}
