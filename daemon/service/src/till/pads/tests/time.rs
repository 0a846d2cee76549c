//! Pads that hang, with time that only passes when everybody waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use till_core::PaymentId;
use till_hosts::HostError;
use till_plugin::driver::PinRequest;
use till_plugin::{Currency, Money, PluginError, Sensitive};

use super::super::{Device, Entered, NoPin, Pads};

const HERS: PaymentId = PaymentId([1; 16]);
const HIS: PaymentId = PaymentId([2; 16]);

/// Takes note of what it is told, and says nothing.
#[derive(Clone, Default)]
struct Mute {
    told: Arc<Mutex<Vec<String>>>,
    refuses: bool,
}

impl Mute {
    fn note(&self, what: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Device for Mute {
    async fn enter(&self, request: &PinRequest) -> Result<(), HostError> {
        self.note(format!("enter {}", request.amount));
        let error = PluginError::unsupported("enter-pin");
        if self.refuses { Err(HostError::Refused { instance: "pad".into(), error }) } else { Ok(()) }
    }

    async fn stop(&self) -> Result<(), HostError> {
        self.note("stop".into());
        Ok(())
    }

    fn renew(&self) {
        self.note("renew".into());
    }
}

fn request() -> PinRequest {
    PinRequest {
        pan: String::from("6200000000000005").into(),
        amount: Money::new(8_800, Currency::CNY),
        format: 0,
        key: "pin".into(),
        timeout_ms: 60_000,
    }
}

fn counter(refuses: bool) -> (Arc<Pads<Mute>>, Mute) {
    let (pads, pad) = (Arc::new(Pads::default()), Mute { refuses, ..Mute::default() });
    pads.up("pad", pad.clone());
    (pads, pad)
}

async fn ask(pads: &Pads<Mute>, payment: PaymentId) -> Result<Entered, NoPin> {
    pads.ask(payment, &request(), |_| (), async { true }).await
}

#[tokio::test(start_paused = true)]
async fn a_pad_that_says_nothing_is_given_up_told_to_stop_and_asked_again_once_it_has_answered() {
    let (pads, pad) = counter(false);
    let begun = tokio::time::Instant::now();
    assert_eq!(ask(&pads, HERS).await.unwrap_err(), NoPin::Silent);
    assert_eq!(
        begun.elapsed(),
        Duration::from_secs(65),
        "the customer's minute, and what a pad needs to say so"
    );
    assert_eq!(pad.told(), ["enter CNY 88.00", "stop"]);
    assert_eq!(ask(&pads, HIS).await.unwrap_err(), NoPin::Busy);
    assert_eq!(pad.told(), ["renew"], "its answer to her would be taken for his, and it had its time");
    pads.said("pad", Some(Sensitive::new(vec![1; 8])), Vec::new());
    let his = tokio::spawn({
        let pads = pads.clone();
        async move { ask(&pads, HIS).await }
    });
    while pad.told().is_empty() {
        tokio::task::yield_now().await;
    }
    pads.said("pad", Some(Sensitive::new(vec![2; 8])), Vec::new());
    assert_eq!(his.await.unwrap().unwrap().block.expose()[0], 2);
}

#[tokio::test(start_paused = true)]
async fn the_next_payment_waits_a_moment_for_the_end_of_the_one_before() {
    let (pads, pad) = counter(false);
    let hers = tokio::spawn({
        let pads = pads.clone();
        async move { ask(&pads, HERS).await }
    });
    while pad.told().is_empty() {
        tokio::task::yield_now().await;
    }
    pads.stop(HERS);
    assert_eq!(hers.await.unwrap().unwrap_err(), NoPin::Cancelled);
    assert_eq!(pad.told(), ["stop"]);
    let his = tokio::spawn({
        let pads = pads.clone();
        async move { ask(&pads, HIS).await }
    });
    tokio::time::advance(Duration::from_secs(1)).await;
    pads.said("pad", None, Vec::new());
    while pad.told().is_empty() {
        tokio::task::yield_now().await;
    }
    pads.said("pad", None, Vec::new());
    assert_eq!(his.await.unwrap().unwrap_err(), NoPin::NotEntered);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_nobody_wants_any_more_is_not_asked_for() {
    let (pads, pad) = counter(false);
    let ended = pads.ask(HERS, &request(), |_| (), async { false }).await;
    assert_eq!(ended.unwrap_err(), NoPin::Cancelled);
    // Cancelled in the very moment.
    let stopped = async {
        pads.stop(HERS);
        true
    };
    assert_eq!(pads.ask(HERS, &request(), |_| (), stopped).await.unwrap_err(), NoPin::Cancelled);
    assert!(pad.told().is_empty(), "{:?}", pad.told());
    assert!(pads.desk().take(HIS).is_ok(), "and it owes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_refuses_is_a_fault_and_owes_nothing() {
    let (pads, pad) = counter(true);
    for _ in 0..2 {
        assert!(matches!(ask(&pads, HERS).await.unwrap_err(), NoPin::Fault(_)));
    }
    assert_eq!(pad.told().len(), 2);
    pads.down("pad");
    assert_eq!(ask(&pads, HERS).await.unwrap_err(), NoPin::NoPad);
}
