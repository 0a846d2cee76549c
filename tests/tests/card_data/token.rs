//! What the journal knows a card by.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::collections::BTreeSet;
use std::fs;

use till_tests::scene::again;
use till_tests::search::{Needle, files};
use till_tests::{Rig, RigOptions};

use super::{PAN, tracks};

/// Another card of the same first six and last four digits.
const LIKE_IT: &str = "4761731001080119";
/// What the tokens' key is derived for; who has the program has this too.
const CONTEXT: &str = "org.tilld token v1";

/// Tokens of the day's attempts, each with the account beside it, oldest first.
async fn tokens(rig: &Rig) -> Vec<(String, String)> {
    let client = rig.client().await.unwrap();
    for (minor, pan) in [(1_000, PAN), (1_100, LIKE_IT), (1_200, PAN)] {
        let payment = client.ready(minor).await.unwrap();
        rig.reader.swipe(&again(&tracks(pan))).unwrap();
        payment.wait_attempt(&["approved", "declined"]).await.unwrap();
        let _paid_or_not = payment.cancel().await;
    }
    let records = client.journal().await.unwrap();
    let mut found = Vec::new();
    for record in &records {
        let attempt = &record["record"]["Tendered"];
        let text = |key: &str| attempt[key].as_str().unwrap_or_default().to_owned();
        if !text("token").is_empty() {
            found.push((text("token"), text("masked")));
        }
    }
    found
}

/// Every card number that a masked account could be of.
fn candidates(masked: &str) -> impl Iterator<Item = String> {
    let (front, back) = (masked[..6].to_owned(), masked[masked.len() - 4..].to_owned());
    (0..1_000_000).map(move |middle| format!("{front}{middle:06}{back}")).filter(|pan| {
        let digits = pan.bytes().rev().enumerate().map(|(at, digit)| {
            let digit = u32::from(digit - b'0') * if at % 2 == 0 { 1 } else { 2 };
            digit / 10 + digit % 10
        });
        digits.sum::<u32>().is_multiple_of(10)
    })
}

fn keyed(key: &[u8; 32], pan: &str) -> String {
    blake3::keyed_hash(key, pan.as_bytes()).to_hex()[..32].to_owned()
}

/// C7. Whoever has journal and program, but not the till's key, tries every number that the masked account leaves open and finds
/// none; with the key the same search finds the card. The key is not in the journal, and another till has another.
#[tokio::test(flavor = "multi_thread")]
async fn c07_a_token_names_a_card_to_this_till_and_to_nobody_without_its_key() {
    let mut all = BTreeSet::new();
    for _ in 0..2 {
        let mut rig = Rig::start(RigOptions::default()).await.unwrap();
        let found = tokens(&rig).await;
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0] == found[2], "the card is known again");
        assert_ne!(found[0].0, found[1].0, "and not taken for another one");
        let (token, masked) = &found[0];
        assert_eq!(masked, "476173******0119");
        assert!(rig.stop_till());

        let journal = rig.dir.join("state/journal");
        let key: [u8; 32] = fs::read(rig.dir.join("state/keys/journal-key")).unwrap().try_into().unwrap();
        let own = blake3::derive_key(CONTEXT, &key);
        let guesses = [[0; 32], blake3::derive_key(CONTEXT, &[]), blake3::derive_key(CONTEXT, &[0; 32])];
        let mut with_the_key = Vec::new();
        let mut tried = 0;
        for pan in candidates(masked) {
            tried += 1;
            let bare = blake3::hash(pan.as_bytes()).to_hex();
            assert!(!bare.starts_with(token.as_str()), "a digest without a key");
            assert!(guesses.iter().all(|guess| keyed(guess, &pan) != *token), "a key that everybody has");
            if keyed(&own, &pan) == *token {
                with_the_key.push(pan);
            }
        }
        assert_eq!(tried, 100_000);
        assert_eq!(with_the_key, [PAN], "the search is right: with the key it finds the card");

        let needles = [Needle::bytes("journal key", &key), Needle::bytes("token key", &own)];
        let mut found = Vec::new();
        assert!(files(&journal, &[], &needles, &mut found).unwrap() > 3);
        assert_eq!(found, []);
        all.insert(token.clone());
    }
    assert_eq!(all.len(), 2, "another till, another token");
}
