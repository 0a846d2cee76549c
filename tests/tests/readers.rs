//! Readers are armed before anybody is told that a card is wanted: a swipe in the next instant counts.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::time::Duration;

use till_dbus::events::{Change, Event, Events};
use till_dbus::types::PaymentDetails;
use till_dbus::{AfterSales1Proxy, Options};
use till_simulators::players::Swipe;
use till_tests::scene::{TRACKS, TRACKS_SHORT, until};
use till_tests::{Client, Rig, RigOptions};

/// Nobody draws a card twice within 300 ms, so the reader would take these swipes for one; here only the till is fast.
const EACH_SWIPE: &str = "\n[device.cardreader.settings]\nduplicate-ms = 0\n";

async fn till() -> (Rig, Client) {
    let rig =
        Rig::start(RigOptions { extra_config: EACH_SWIPE.into(), ..RigOptions::default() }).await.unwrap();
    let client = rig.client().await.unwrap();
    (rig, client)
}

fn by(key: &str) -> Options<'_> {
    [("operator", "007".into()), ("key", key.into())].into()
}

/// A card as fast as a hand can draw it.
fn swipe(rig: &Rig, tracks: &str) {
    let mut swipe = Swipe::new(tracks);
    (swipe.key_gap, swipe.hold) = (Duration::ZERO, Duration::ZERO);
    rig.reader.swipe(&swipe).unwrap();
}

/// What the till asks for in this event.
fn prompt(event: &Event) -> Option<String> {
    let Change::Properties { changed, .. } = &event.change else { return None };
    Some(till_dbus::tree::prompt(changed.get("Prompt")?).unwrap().id)
}

/// Until the till asks for this.
async fn asked(events: &mut Events, wanted: &str) {
    let asked = async { while prompt(&events.next().await.unwrap()).as_deref() != Some(wanted) {} };
    tokio::time::timeout(till_tests::scene::PATIENCE, asked).await.unwrap();
}

/// The payment once a leg of it is no longer under way.
async fn ended(client: &Client, id: &str, leg: u32) -> PaymentDetails {
    let over = || async {
        let p = client.details(id).await.ok()?;
        let a = p.attempts.iter().find(|a| a.attempt == leg)?;
        (!["created", "sent"].contains(&a.state.as_str())).then_some(p)
    };
    until(&format!("leg {leg} of {id}: its swipe was lost"), over).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_drawn_the_moment_it_is_asked_for_again_is_never_lost() {
    let (rig, client) = till().await;
    let payment = client.ready(10_000).await.unwrap();
    swipe(&rig, TRACKS);
    payment.wait(&["paid"]).await.unwrap();
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    for round in 0..40 {
        let (id, key) = (payment.id(), format!("refund-{round}"));
        // Anew: the end of an earlier slip's printing tells the prompt once more.
        let mut events = Events::subscribe(client.connection()).await.unwrap();
        let ((), leg) = tokio::join!(
            async {
                asked(&mut events, "present-card-again").await;
                swipe(&rig, TRACKS);
            },
            async { after.refund(&id, 1, by(&key)).await.unwrap() }
        );
        let p = ended(&client, &id, leg).await;
        assert_eq!(p.returned, Some(round + 1), "{p:?}");
    }
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_drawn_the_moment_after_another_was_declined_is_never_lost() {
    let (rig, client) = till().await;
    for round in 0..10 {
        let mut events = Events::subscribe(client.connection()).await.unwrap();
        let payment = client.ready(1_000 + round).await.unwrap();
        // The prompt of the confirmation.
        asked(&mut events, "present-instrument").await;
        swipe(&rig, TRACKS_SHORT);
        asked(&mut events, "present-instrument").await;
        swipe(&rig, TRACKS);
        payment.wait(&["paid"]).await.unwrap();
    }
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_reader_is_not_armed_yet_nobody_is_told_to_present_and_a_reader_that_hangs_holds_nobody_up_twice()
 {
    let (mut rig, client) = till().await;
    let payment = client.ready(10_000).await.unwrap();
    swipe(&rig, TRACKS);
    payment.wait(&["paid"]).await.unwrap();
    // A payment that has left the bus, too: it is read from the journal, where the leg is before the readers are armed.
    assert!(rig.stop_till());
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let (reader, _) = rig.hosts().into_iter().find(|(_, line)| line.contains("magstripe")).unwrap();
    let reader = rustix::process::Pid::from_raw(i32::try_from(reader).unwrap()).unwrap();
    let signal = |signal| rustix::process::kill_process(reader, signal).unwrap();

    signal(rustix::process::Signal::STOP);
    let id = payment.id();
    let (other, key) = (rig.client().await.unwrap(), id.clone());
    let told = tokio::spawn(async move {
        let wants = || async { other.details(&key).await.ok()?.attempts.get(1)?.wants_card.filter(|w| *w) };
        until("the card is wanted", wants).await.unwrap();
    });
    let refund = {
        let (after, id) = (after.clone(), id.clone());
        tokio::spawn(async move { after.refund(&id, 100, by("held")).await.unwrap() })
    };
    // On disk it is; whoever is told of it now draws the card for nothing.
    let durable = || async {
        let all = client.journal().await.ok()?;
        all.iter().any(|r| r["kind"] == "leg-created").then_some(())
    };
    until("the leg is on disk", durable).await.unwrap();
    let while_it_hangs = async {
        while !told.is_finished() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_millis(200), while_it_hangs)
        .await
        .expect_err("the card is asked for, and no reader is armed");
    signal(rustix::process::Signal::CONT);
    told.await.unwrap();
    swipe(&rig, TRACKS);
    let leg = refund.await.unwrap();
    assert_eq!(ended(&client, &id, leg).await.returned, Some(100));

    // A reader that hangs is waited for once; cash needs no reader.
    signal(rustix::process::Signal::STOP);
    let mut times = Vec::new();
    for minor in [1_100, 1_200] {
        let begun = std::time::Instant::now();
        let payment = client.ready(minor).await.unwrap();
        times.push(begun.elapsed());
        payment.pay_cash(minor).await.unwrap();
        payment.wait(&["paid"]).await.unwrap();
    }
    signal(rustix::process::Signal::CONT);
    assert!(times[0] >= Duration::from_millis(900) && times[1] < times[0], "{times:?}");
    rig.at_rest(&client).await.unwrap();
}
