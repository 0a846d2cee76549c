//! What front-ends, customers and readers get wrong: each is refused by name or with a reason, nothing changes, and the
//! payment can still be paid.

use std::collections::HashMap;

use till_simulators::players::{Scan, Swipe, SwipeFault};
use till_tests::scene::{TRACKS, again, refused, wallet_code};
use till_tests::{Client, Rig, RigOptions, Watch};
use zbus::{OwnedObjectPath, Variant};

/// `OpenPayment` with any options at all.
async fn open(
    client: &Client,
    amount: i64,
    currency: &str,
    options: &[(&str, Variant<'_>)],
) -> zbus::Result<OwnedObjectPath> {
    let options: HashMap<&str, &Variant<'_>> = options.iter().map(|(k, v)| (*k, v)).collect();
    client.terminal().await?.call("OpenPayment", &(amount, currency, options)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_that_asks_for_nonsense_is_told_so_and_changes_nothing() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    for amount in [0, -1, i64::MIN, i64::MAX, 1_000_000_000_000] {
        assert_eq!(refused(open(&client, amount, "CNY", &[]).await), "InvalidArgs", "{amount}");
    }
    for currency in ["USD", "XXX", "cny", "", "CNYY", "人民币"] {
        assert_eq!(refused(open(&client, 100, currency, &[]).await), "InvalidArgs", "{currency:?}");
    }
    let long = "长".repeat(65);
    let options: &[(&str, Variant<'_>)] = &[
        ("color", "red".into()),
        ("key", "x".repeat(65).into()),
        ("subject", long.as_str().into()),
        ("operator", "0".repeat(33).into()),
        ("subject", "a\nb".into()),
        ("subject", "a\u{1b}@b".into()),
        ("key", "a\u{7f}b".into()),
        ("subject", 5_u32.into()),
        ("key", vec!["a", "b"].into()),
    ];
    for option in options {
        let answer = refused(open(&client, 100, "CNY", std::slice::from_ref(option)).await);
        assert_eq!(answer, "InvalidArgs", "{option:?}");
    }
    assert!(client.all_payments().await.unwrap().is_empty(), "none of it opened a payment");

    // Another amount than is owed; a second payment beside the first; a payment nobody knows.
    let payment = client.open(1_000, "order-1").await.unwrap();
    assert_eq!(refused(payment.confirm(999).await), "WrongAmount");
    assert_eq!(refused(payment.confirm(-1_000).await), "WrongAmount");
    assert_eq!(refused(payment.pay_cash(1_000).await), "WrongState", "the amount is not confirmed yet");
    assert_eq!(refused(client.open(100, "").await), "Busy");
    assert_eq!(refused(client.find("00000000000000000000000000000000").await), "NotFound");
    assert_eq!(refused(client.find("no such key").await), "NotFound");
    assert_eq!(payment.state().await.unwrap(), "draft");

    // The same request again is the same payment; the same key with another body is refused; also after a crash.
    assert_eq!(client.open(1_000, "order-1").await.unwrap().path, payment.path);
    assert_eq!(refused(client.open(1_001, "order-1").await), "KeyReuse");
    payment.confirm(1_000).await.unwrap();
    for little in [0, 1, 999, -5] {
        assert_eq!(refused(payment.pay_cash(little).await), "TooLittle", "{little}");
    }
    assert_eq!(payment.state().await.unwrap(), "ready");
    payment.pay_cash(1_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(client.open(1_000, "order-1").await.unwrap().path, payment.path, "also when it is paid");
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(client.open(1_000, "order-1").await.unwrap().path, payment.path);
    assert_eq!(refused(client.open(2_000, "order-1").await), "KeyReuse");
    assert_eq!(client.all_payments().await.unwrap().len(), 1);
    assert_eq!(client.details("order-1").await.unwrap().state, "paid");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_no_payment_is_refused_with_a_reason_and_the_next_one_pays() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(1_000).await.unwrap();

    // From the scanner: what was scanned, the reason, and whether the operator is offered families to choose from.
    let scans: [(Vec<u8>, &str, bool); 7] = [
        (vec![b'1'; 10_000], "too-long", false),
        (vec![0xff, 0xfe, 0x80, 0x41], "not-text", false),
        ("２８１２３４５６７８９０１２３４５６".into(), "not-payable", true),
        (b"991234567890123456".to_vec(), "not-payable", true),
        (b"6901234567892".to_vec(), "not-payable", false),
        (b"https://qr.alipay.com/fkx12345".to_vec(), "not-payable", false),
        (b"00020101021126330012cn.example0113".to_vec(), "not-payable", false),
    ];
    for (code, expected, offered) in scans {
        let before = watch.refusals();
        let mut scan = Scan::new(code.clone());
        scan.gap = std::time::Duration::from_micros(20);
        rig.scanner.scan(&scan).unwrap();
        let (reason, text, families) = watch.refusal(before).await.unwrap();
        assert_eq!(reason, expected, "{} bytes: {text}", code.len());
        assert_eq!(!families.is_empty(), offered, "{text}: {families:?}");
        assert!(!text.is_empty() && !String::from_utf8(code).is_ok_and(|c| text.contains(&c)));
        assert_eq!(payment.state().await.unwrap(), "ready");
    }

    // The same from a front-end.
    for code in [
        "",
        "1",
        &"1".repeat(10_000),
        "6901234567892",
        "https://qr.example/pay",
        "00020101021126330012cn",
        "２８１２３４５６７８９０１２３４５６",
    ] {
        assert_eq!(refused(payment.pay_code(code).await), "NotPayable", "{} bytes", code.len());
    }
    assert_eq!(
        refused(payment.pay_code("131234567890123456").await),
        "NoRoute",
        "no channel for that wallet here"
    );

    // A code pays once: the next payment does not take it within the minute.
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let second = client.ready(500).await.unwrap();
    assert_eq!(refused(second.pay_code(&wallet_code(1)).await), "UsedAlready");
    let before = watch.refusals();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    assert_eq!(watch.refusal(before).await.unwrap().0, "used-already");
    assert_eq!(second.state().await.unwrap(), "ready");
    rig.scanner.scan(&Scan::new(wallet_code(2))).unwrap();
    second.wait(&["paid"]).await.unwrap();
    let books = rig.books(&client).await.unwrap();
    assert_eq!(books.wallet, 1_500);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_cannot_be_read_is_swiped_again_and_a_chip_card_is_sent_to_its_chip() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    let track2 = ";6200000000000005=301210100000?";
    let chars = TRACKS.chars().count();
    let swipes = [
        // Drawn half-way: the start of track 1 only.
        (again(TRACKS).with(SwipeFault::Half { chars: 20 }), &["truncated", "no-track"][..]),
        // The end of track 2 is missing.
        (again(TRACKS).with(SwipeFault::Half { chars: chars - 3 }), &["truncated"]),
        (again(track2).with(SwipeFault::SynDropped { at: 4, lost: 3 }), &["events-lost"]),
        // What readers send for a track with bad LRC or parity.
        (again(";E?"), &["reader-error"]),
        (again("%E?;E?"), &["reader-error"]),
        (again(";?"), &["empty-track", "no-track"]),
        (again(";6200000000000005?"), &["truncated", "not-a-payment-card"]),
        (again(";62000005=301210100000?"), &["bad-account-number", "not-a-payment-card"]),
        (
            again("%B6200000000000005^TEST/CARD^3012101000000000?;4111111111111111=301210100000?"),
            &["two-cards"],
        ),
        (again(";6200000000000005=301210100000?;6200000000000005=301210100000?"), &["doubled"]),
        (again("hello"), &["no-track"]),
    ];
    for (swipe, expected) in swipes {
        let before = watch.refusals();
        rig.reader.swipe(&swipe).unwrap();
        let (reason, text, _) = watch.refusal(before).await.unwrap();
        assert!(expected.contains(&reason.as_str()), "{reason} ({text}), expected {expected:?}");
        assert!(!text.is_empty() && !text.contains("6200000000000005"), "{text}");
        assert_eq!(payment.state().await.unwrap(), "ready");
    }
    // A chip card is sent to its chip: nothing left for the network, and the customer is told what to do.
    rig.reader
        .swipe(&again("%B6200000000000005^TEST/CARD^3012201000000000?;6200000000000005=301220100000?"))
        .unwrap();
    payment.wait_attempt(&["not-sent"]).await.unwrap();
    let details = client.details(&payment.id()).await.unwrap();
    assert_eq!(details.state, "ready");
    assert_eq!(details.attempts[0].next.as_deref(), Some("use-chip"), "{:?}", details.attempts[0]);
    assert!(rig.acquirer.ledger().is_empty(), "nothing unread ever reached the acquirer");

    // Half a swipe and at once the whole one; the card pays, once, though drawn twice.
    payment.confirm(1_000).await.unwrap();
    let before = watch.refusals();
    rig.reader.swipe(&again(TRACKS).with(SwipeFault::Half { chars: 30 })).unwrap();
    watch.refusal(before).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS).with(SwipeFault::Double { gap_ms: 40 })).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!((books.card, books.payments[0].attempts.len()), (1_000, 2));
}
