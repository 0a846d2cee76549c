//! A disk that somebody takes away (S71, S79): the till's whole state folder, searched byte for byte after real payments.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy knows tests by their attribute only

use std::collections::BTreeSet;
use std::fs;

use till_tests::scene::{again, wallet_code};
use till_tests::search::{self, Found, Needle};
use till_tests::{Client, PaymentClient, Rig, RigOptions};
use zbus::OwnedObjectPath;

const PAN: &str = "4761739001010119";
const CARD: i64 = 76_543_219;
const CASH: i64 = 87_654_321;
const WALLET: i64 = 65_432_198;
const SUBJECT: &str = "dinner for table Nine-Seven";
const OPERATOR: &str = "cashier-Zhang-4711";

/// As the records' encoding writes an amount.
fn varint(minor: i64) -> Vec<u8> {
    let mut rest = minor.unsigned_abs() << 1;
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
    out
}

fn amounts() -> Vec<Needle> {
    let one = |minor: i64| {
        let (yuan, fen) = (minor / 100, minor % 100);
        [
            Needle::bytes("amount in fen", minor.to_string().as_bytes()),
            Needle::bytes("amount in yuan", format!("{yuan}.{fen:02}").as_bytes()),
            Needle::bytes("amount, little endian", &minor.to_le_bytes()),
            Needle::bytes("amount, big endian", &minor.to_be_bytes()),
            Needle::bytes("amount, varint", &varint(minor)),
        ]
    };
    [CARD, CASH, WALLET].into_iter().flat_map(one).collect()
}

async fn ready(client: &Client, minor: i64, key: &str) -> PaymentClient {
    let options: till_dbus::Options<'_> =
        [("subject", SUBJECT.into()), ("operator", OPERATOR.into()), ("key", key.into())].into();
    let terminal = client.terminal().await.unwrap();
    let path: OwnedObjectPath = terminal.call("OpenPayment", &(minor, "CNY", options)).await.unwrap();
    let payment = client.payment(path);
    payment.confirm(minor).await.unwrap();
    payment
}

fn search(rig: &Rig, needles: &[Needle]) -> Vec<Found> {
    let mut found = Vec::new();
    let files = search::files(&rig.dir.join("state"), &[], needles, &mut found).unwrap();
    assert!(files > 8, "{files} files");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn s79_a_stolen_state_folder_says_nothing_of_the_payments_and_with_its_keys_everything() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let by_card = ready(&client, CARD, "order-key-88231").await;
    rig.reader
        .swipe(&again(&format!("%B{PAN}^TEST/CARD^30121010000000000?;{PAN}=30121010000000000?")))
        .unwrap();
    by_card.wait(&["paid"]).await.unwrap();
    let by_cash = ready(&client, CASH, "order-key-88232").await;
    by_cash.pay_cash(CASH).await.unwrap();
    by_cash.wait(&["paid"]).await.unwrap();
    let by_code = ready(&client, WALLET, "order-key-88233").await;
    by_code.pay_code(&wallet_code(7)).await.unwrap();
    by_code.wait(&["paid"]).await.unwrap();

    let mut needles = amounts();
    for text in [SUBJECT, OPERATOR, "order-key-8823", "476173******0119"] {
        needles.push(Needle::bytes(text, text.as_bytes()));
    }
    for payment in [&by_card, &by_cash, &by_code] {
        let details = client.details(&payment.id()).await.unwrap();
        for attempt in details.attempts {
            let facts = [attempt.account, attempt.order, attempt.reference];
            for fact in facts.into_iter().flatten().filter(|fact| fact.len() >= 8) {
                needles.push(Needle::bytes(&format!("fact {fact}"), fact.as_bytes()));
            }
        }
        let receipt = payment.receipt().await.unwrap();
        // Lines with a space more or less are the printer's; the longest word of each is the receipt's.
        let words = receipt.lines().filter_map(|line| line.split_whitespace().max_by_key(|word| word.len()));
        // Not what says nothing: dates, and receipt number 1, which files are named like.
        let plain = |word: &&str| word.contains(':') || word.starts_with("20") || word.starts_with("0000");
        for word in words.filter(|word| word.len() >= 8 && !plain(word)).collect::<BTreeSet<_>>() {
            needles.push(Needle::bytes(&format!("receipt: {word}"), word.as_bytes()));
        }
    }
    assert!(needles.len() > 30, "{}", needles.len());
    let backup = rig.dir.join("state/backup.tar");
    let export = rig.dir.join("export.jsonl");
    client.export_journal(fs::File::create(&export).unwrap()).await.unwrap();
    assert!(rig.stop_till());
    let mut command = rig.till_command().unwrap();
    let done = command.args(["journal", "backup"]).arg(&backup).stderr(std::process::Stdio::null()).status();
    assert!(done.unwrap().success());
    assert_eq!(search(&rig, &needles), [], "before a restart");

    // Who has the keys reads all of it: the next start, and the export that was made with them.
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(client.details(&by_card.id()).await.unwrap().paid, CARD);
    assert_eq!(client.details(&by_cash.id()).await.unwrap().operator.as_deref(), Some(OPERATOR));
    let (records, findings) = client.verify_journal().await.unwrap();
    assert!(records > 10 && findings.is_empty(), "{findings:?}");
    assert!(rig.stop_till());
    assert_eq!(search(&rig, &needles), [], "after a restart");
    let shown = search::bytes("export", &fs::read(&export).unwrap(), &needles);
    for what in [SUBJECT, OPERATOR, "476173******0119", "amount in fen"] {
        assert!(shown.iter().any(|f| f.what == what), "{what} is not found where it is");
    }

    // Without the keys the till does not begin another journal's life: it says which key it wants.
    fs::rename(rig.dir.join("state/keys/keyring"), rig.dir.join("keyring")).unwrap();
    rig.start_till().unwrap();
    assert_ne!(rig.wait_end(), Some(0));
    let log = rig.log_lines().join("\n");
    assert!(log.contains("record-1") && log.contains("put the folder of keys back"), "{log}");
    fs::remove_dir_all(rig.dir.join("state/keys/keyring")).unwrap();
    fs::rename(rig.dir.join("keyring"), rig.dir.join("state/keys/keyring")).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(client.details(&by_card.id()).await.unwrap().paid, CARD);
}
