//! The channel as the daemon meets it, over the SDK's host in memory.
#![allow(clippy::unwrap_used)]

mod till;

use till::*;
use till_channel_prepaid::plugin::Prepaid;
use till_plugin::channel::*;
use till_plugin::manifest::Manifest;
use till_plugin::testing::{LogFault, TestHost};
use till_plugin::{Channel, Currency, Money, Settings};

#[test]
fn s34_short_of_funds_declines_before_anything_is_written() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 5_000);
    let entries = bench.log_entries().len();
    let no = till.prepare(&sale("SALE0001", CARD, 5_001)).unwrap_err();
    assert_eq!((no.code.as_str(), no.class), ("insufficient", DeclineClass::Customer));
    assert!(no.text.contains("CNY 50.00") && no.text_zh.contains("CNY 0.01"), "{no:?}");
    assert_eq!(bench.log_entries().len(), entries, "a debit was sent");
    assert_eq!(pay(&mut till, "SALE0002", CARD, 5_000).unwrap().amount, cny(5_000));
    assert_eq!(balance(&mut till, CARD), 0);
}

#[test]
fn a_sale_is_booked_once_and_says_what_is_left() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 5_000);
    let first = pay(&mut till, "SALE0001", CARD, 1_250).unwrap();
    assert_eq!(first.echo.order.as_deref(), Some("SALE0001"));
    assert_eq!(first.account.as_deref(), Some("****0005"));
    assert!(first.receipt.iter().any(|(_, v)| v == "CNY 37.50"), "{:?}", first.receipt);
    pay(&mut till, "SALE0002", CARD, 1_000).unwrap();
    // Delivered twice, also after a restart: the same words, and no second debit.
    assert_eq!(authorise(&mut till, "SALE0001", CARD, 1_250), Outcome::Approved(first.clone()));
    let mut till = open(&bench);
    assert_eq!(authorise(&mut till, "SALE0001", CARD, 1_250), Outcome::Approved(first.clone()));
    assert_eq!(till.query(&asked("SALE0001", 1_250)), QueryOutcome::Paid(first));
    assert_eq!(balance(&mut till, CARD), 2_750);
    let other = authorise(&mut till, "SALE0001", CARD, 1_251);
    assert!(matches!(other, Outcome::Declined(no) if no.code == "key-reused"));
}

#[test]
fn killed_between_the_entry_and_its_answer_the_question_finds_it_paid() {
    for fault in [LogFault::UndecidedWritten, LogFault::UndecidedLost] {
        let bench = bench();
        let mut till = issued(&bench, CARD, 5_000);
        bench.fail_log(fault);
        let outcome = authorise(&mut till, "SALE0001", CARD, 1_250);
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
        drop(till);
        let mut till = open(&bench);
        let answer = till.query(&asked("SALE0001", 1_250));
        let left = if fault == LogFault::UndecidedWritten {
            assert!(matches!(answer, QueryOutcome::Paid(a) if a.amount == cny(1_250)));
            3_750
        } else {
            assert!(matches!(answer, QueryOutcome::NotPaid(no) if no.code == "never-arrived"));
            // And it cannot come in late.
            assert!(matches!(authorise(&mut till, "SALE0001", CARD, 1_250), Outcome::Declined(_)));
            5_000
        };
        assert_eq!(balance(&mut till, CARD), left, "{fault:?}");
    }
}

#[test]
fn what_was_certainly_not_written_is_not_sent_and_another_way_to_pay_is_open() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 5_000);
    bench.fail_log(LogFault::Refused);
    let outcome = authorise(&mut till, "SALE0001", CARD, 1_250);
    assert!(matches!(outcome, Outcome::NotSent(no) if no.class == DeclineClass::Channel));
    // The log cannot say it either: nobody is told that it is closed.
    bench.fail_log(LogFault::UndecidedLost);
    assert!(matches!(till.query(&asked("SALE0002", 1)), QueryOutcome::Unknown(_)));
    assert!(matches!(till.query(&asked("SALE0002", 1)), QueryOutcome::NotPaid(_)));
    assert_eq!(balance(&mut till, CARD), 5_000);
}

#[test]
fn an_undo_gives_the_money_back_once_and_closes_what_never_came() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 5_000);
    pay(&mut till, "SALE0001", CARD, 1_250).unwrap();
    for _ in 0..2 {
        let undone = till.undo(&asked("SALE0001", 1_250), UndoReason::Abandoned);
        assert!(matches!(undone, UndoOutcome::Undone { money_moved: true, .. }), "{undone:?}");
        assert_eq!(balance(&mut till, CARD), 5_000);
    }
    assert!(
        matches!(till.query(&asked("SALE0001", 1_250)), QueryOutcome::NotPaid(no) if no.code == "undone")
    );
    assert_eq!(till.undo(&asked("SALE0002", 9), UndoReason::NoAnswer), UndoOutcome::NeverExisted);
    assert!(matches!(authorise(&mut till, "SALE0002", CARD, 9), Outcome::Declined(_)));
    bench.fail_log(LogFault::UndecidedLost);
    assert!(matches!(till.undo(&asked("SALE0003", 9), UndoReason::NoAnswer), UndoOutcome::Unknown(_)));
}

#[test]
fn refunds_of_a_sale_stay_within_it_and_need_no_card() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 5_000);
    let sold = pay(&mut till, "SALE0001", CARD, 3_000).unwrap();
    let part = |order, amount| follow(order, FollowKind::Refund, &sold, amount);
    let entries = bench.log_entries().len();
    till.prepare_follow(&part("RFND0001", 2_000)).unwrap();
    assert_eq!(till.prepare_follow(&part("RFND0009", 3_001)).unwrap_err().code, "over-refund");
    assert_eq!(bench.log_entries().len(), entries, "preparing wrote");
    let first = approved(return_it(&mut till, &part("RFND0001", 2_000)));
    assert_eq!((first.amount, first.echo.order.as_deref()), (cny(2_000), Some("RFND0001")));
    assert_eq!(approved(return_it(&mut till, &part("RFND0001", 2_000))), first);
    assert!(
        matches!(return_it(&mut till, &part("RFND0002", 2_000)), Outcome::Declined(no) if no.code == "over-refund")
    );
    assert!(matches!(
        return_it(&mut till, &follow("VOID0001", FollowKind::Void, &sold, 3_000)),
        Outcome::Declined(_)
    ));
    assert_eq!(balance(&mut till, CARD), 4_000);
    // Asked about after a crash: one that was booked, one that was lost.
    let mut till = open(&bench);
    let own = |order| asked(order, 2_000);
    assert_eq!(till.query_follow(&part("RFND0001", 2_000), &own("RFND0001")), QueryOutcome::Paid(first));
    assert!(matches!(till.query_follow(&part("RFND0003", 500), &own("RFND0003")), QueryOutcome::NotPaid(_)));
    assert!(matches!(return_it(&mut till, &part("RFND0003", 500)), Outcome::Declined(_)), "it came late");
    approved(return_it(&mut till, &part("RFND0004", 1_000)));
    assert_eq!(balance(&mut till, CARD), 5_000);
}

#[test]
fn a_void_is_for_the_whole_sale_and_may_be_taken_back() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 5_000);
    let sold = pay(&mut till, "SALE0001", CARD, 3_000).unwrap();
    let part = follow("VOID0001", FollowKind::Void, &sold, 2_999);
    assert_eq!(till.prepare_follow(&part).unwrap_err().code, "void-amount");
    let void = follow("VOID0002", FollowKind::Void, &sold, 3_000);
    assert_eq!(approved(return_it(&mut till, &void)).amount, cny(3_000));
    assert_eq!(balance(&mut till, CARD), 5_000);
    // An undo names the void by its own order number.
    let undone = till.undo(&asked("VOID0002", 3_000), UndoReason::NoAnswer);
    assert!(matches!(undone, UndoOutcome::Undone { .. }));
    assert_eq!(balance(&mut till, CARD), 2_000);
    let capture = follow("CAPT0001", FollowKind::Capture, &sold, 3_000);
    assert!(matches!(return_it(&mut till, &capture), Outcome::NotSent(_)));
}

#[test]
fn s57_a_load_is_booked_once_without_the_card_or_never() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 0);
    let entries = bench.log_entries().len();
    let load = account("LOAD0001", AccountOperation::Load, Some(CARD), Some(2_000));
    let prepared = till.prepare_account(&load).unwrap();
    assert_eq!((prepared.masked.as_str(), bench.log_entries().len()), ("****0005", entries));
    // The card is gone while the money is paid; the till restarts; the answer to the load is lost.
    let mut till = open(&bench);
    let without = Account { instrument: None, recovery: prepared.recovery.clone(), ..load.clone() };
    bench.fail_log(LogFault::UndecidedWritten);
    assert!(matches!(till.account(&without), AccountOutcome::Unknown(_)));
    let mut till = open(&bench);
    let QueryOutcome::Paid(paid) = till.query_account(&asked("LOAD0001", 2_000)) else { panic!() };
    assert_eq!(paid.amount, cny(2_000));
    let report = done(till.account(&without));
    assert_eq!((report.approval, report.balance), (Some(paid), cny(2_000)));
    // One that never arrived is closed by the question: whoever then gives the money back has lost nothing.
    assert!(matches!(till.query_account(&asked("LOAD0002", 2_000)), QueryOutcome::NotPaid(_)));
    let late = Account { ids: ids("LOAD0002"), ..without.clone() };
    assert!(matches!(till.account(&late), AccountOutcome::Declined(_)));
    // A load whose payment was given back after all is taken back, if it is not spent.
    let undone = till.undo(&asked("LOAD0001", 2_000), UndoReason::Abandoned);
    assert!(matches!(undone, UndoOutcome::Undone { money_moved: true, .. }));
    assert_eq!(balance(&mut till, CARD), 0);
    let again = Account { ids: ids("LOAD0003"), ..without };
    done(till.account(&again));
    pay(&mut till, "SALE0001", CARD, 1).unwrap();
    let spent = till.undo(&asked("LOAD0003", 2_000), UndoReason::Abandoned);
    assert!(matches!(spent, UndoOutcome::Refused(no) if no.code == "insufficient"));
    let other = Account {
        recovery: prepared.recovery,
        ..account("LOAD0004", AccountOperation::Load, Some("8600000000000013"), Some(1))
    };
    assert!(matches!(till.account(&other), AccountOutcome::NotSent(no) if no.code == "other-card"));
}

#[test]
fn a_load_that_cannot_be_is_said_before_its_payment_is_taken() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 90_000);
    let over = account("LOAD0001", AccountOperation::Load, Some(CARD), Some(10_001));
    let no = till.prepare_account(&over).unwrap_err();
    assert!(no.code == "limit" && no.text.contains("CNY 100.00"), "{no:?}");
    let unknown = account("LOAD0002", AccountOperation::Load, Some("8600000000000013"), Some(1));
    assert_eq!(till.prepare_account(&unknown).unwrap_err().code, "unknown-card");
    let nothing = account("LOAD0003", AccountOperation::Load, Some(CARD), None);
    assert_eq!(till.prepare_account(&nothing).unwrap_err().code, "amount");
    let absent = account("LOAD0004", AccountOperation::Load, None, Some(1));
    assert_eq!(till.prepare_account(&absent).unwrap_err().code, "no-card");
}

#[test]
fn s56_s58_a_cards_life_is_listed_and_its_balance_is_the_sum() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 1_000);
    let act = |till: &mut Prepaid, order, operation| {
        till.account(&Account { reason: "lost".into(), ..account(order, operation, Some(CARD), None) })
    };
    let second = account("ISSU0002", AccountOperation::Issue, Some(CARD), None);
    assert_eq!(till.prepare_account(&second).unwrap_err().code, "issued-already");
    let nameless =
        Account { operator: None, ..account("BLCK0009", AccountOperation::Block, Some(CARD), None) };
    assert!(matches!(till.account(&nameless), AccountOutcome::Declined(no) if no.code == "no-operator"));
    pay(&mut till, "SALE0001", CARD, 300).unwrap();
    let blocked = done(act(&mut till, "BLCK0001", AccountOperation::Block));
    assert_eq!((blocked.standing, blocked.approval), (AccountStanding::Blocked, None));
    assert_eq!(till.prepare(&sale("SALE0002", CARD, 1)).unwrap_err().code, "blocked");
    done(act(&mut till, "UBLK0001", AccountOperation::Unblock));
    let report = done(act(&mut till, "HIST0001", AccountOperation::History));
    let told: Vec<_> =
        report.entries.iter().map(|e| (e.operation.as_str(), e.amount.minor(), e.order.as_str())).collect();
    assert_eq!(
        told,
        [
            ("unblock", 0, "UBLK0001"),
            ("block", 0, "BLCK0001"),
            ("debit", -300, "SALE0001"),
            ("issue", 1_000, "ISSUE000")
        ]
    );
    assert_eq!(report.entries.iter().map(|e| e.amount.minor()).sum::<i64>(), report.balance.minor());
    assert_eq!((report.balance, report.account.as_str()), (cny(700), "****0005"));
    assert_eq!(report.expires.as_deref(), Some("2029-01-02"));
    let page = Account {
        before: report.entries[1].number,
        limit: 1,
        ..account("HIST0002", AccountOperation::History, Some(CARD), None)
    };
    assert_eq!(done(till.account(&page)).entries, report.entries[2..3]);
    assert!(
        matches!(act(&mut till, "PAYO0001", AccountOperation::Redeem), AccountOutcome::Declined(no) if no.code == "not-redeemable")
    );
}

#[test]
fn a_registered_card_does_not_expire_and_is_paid_out_once() {
    let bench = bench();
    let mut till = open(&bench);
    let mut issue = account("ISSU0001", AccountOperation::Issue, Some(CARD), Some(300_000));
    assert!(matches!(till.account(&issue), AccountOutcome::Declined(no) if no.code == "limit"));
    issue.ids = ids("ISSU0002");
    issue.extra.insert("registered".into(), "true".into());
    let report = done(till.account(&issue));
    assert_eq!((report.expires, report.extra["class"].as_str()), (None, "registered"));
    bench.advance(std::time::Duration::from_hours(24 * 3_650));
    pay(&mut till, "SALE0001", CARD, 100_000).unwrap();
    let redeem = account("PAYO0001", AccountOperation::Redeem, Some(CARD), None);
    let paid = done(till.account(&redeem));
    assert_eq!(paid.approval.as_ref().map(|a| a.amount), Some(cny(200_000)));
    assert_eq!((paid.standing, paid.balance), (AccountStanding::Closed, cny(0)));
    assert_eq!(done(till.account(&redeem)), paid);
    assert_eq!(till.prepare(&sale("SALE0002", CARD, 1)).unwrap_err().code, "card-closed");
}

#[test]
fn an_expired_card_keeps_its_money_and_is_reactivated() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 1_000);
    bench.advance(std::time::Duration::from_hours(24 * 365 * 4));
    let no = till.prepare(&sale("SALE0001", CARD, 1)).unwrap_err();
    assert!(no.code == "reactivate" && no.text.contains("CNY 10.00"), "{no:?}");
    // A clock that nobody keeps expires no card.
    bench.trust_clock(false);
    till.prepare(&sale("SALE0002", CARD, 1)).unwrap();
    bench.trust_clock(true);
    let report = done(till.account(&account("REAC0001", AccountOperation::Reactivate, Some(CARD), None)));
    assert_eq!((report.standing, report.expires.as_deref()), (AccountStanding::Active, Some("2033-01-01")));
    pay(&mut till, "SALE0003", CARD, 1_000).unwrap();
}

#[test]
fn cards_of_others_and_what_is_no_card_are_refused_with_words() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 1_000);
    let mut refused = |instrument| {
        let no = till.prepare(&Authorise { instrument, ..sale("SALE0001", CARD, 1) }).unwrap_err();
        assert!(no.text != no.text_zh, "no Chinese for {}", no.code);
        no.code
    };
    assert_eq!(refused(stripe("6200000000000005")), "not-ours");
    assert_eq!(refused(code("281234567890123456")), "not-ours");
    assert_eq!(refused(code("8600-0000")), "unreadable");
    assert_eq!(refused(till_plugin::Instrument::Cash { tendered: cny(1) }), "wrong-instrument");
    assert_eq!(refused(tapped(&[4, 1, 2, 3, 4, 5, 6])), "unknown-card");
    let hold = Authorise { hold: true, ..sale("SALE0001", CARD, 1) };
    assert_eq!(till.prepare(&hold).unwrap_err().code, "unsupported");
    let foreign = Authorise { amount: Money::new(1, "JPY".parse().unwrap()), ..sale("SALE0001", CARD, 1) };
    assert_eq!(till.prepare(&foreign).unwrap_err().code, "currency");
    // The stripe, the printed code and the typed number are one card.
    for same in [stripe(CARD), code(CARD), tapped(CARD.as_bytes())] {
        till.prepare(&Authorise { instrument: same, ..sale("SALE0001", CARD, 1) }).unwrap();
    }
}

#[test]
fn a_card_known_by_its_uid_holds_little() {
    let bench = bench();
    let mut till = open(&bench);
    let tap = Some(tapped(&[4, 1, 2, 3, 4, 5, 6]));
    let issue =
        Account { instrument: tap, ..account("ISSU0001", AccountOperation::Issue, None, Some(20_001)) };
    assert_eq!(till.prepare_account(&issue).unwrap_err().code, "limit");
    done(till.account(&Account { amount: Some(cny(20_000)), ..issue }));
}

#[test]
fn c7_the_number_is_nowhere_in_the_ledger_the_recovery_data_or_the_log() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 1_000);
    let prepared = till.prepare(&sale("SALE0001", CARD, 100)).unwrap();
    let outcome = till.authorise(&sale("SALE0001", CARD, 100), &prepared);
    let refusal = till.prepare(&sale("SALE0002", CARD, 9_999)).unwrap_err();
    let mut places: Vec<Vec<u8>> = bench.log_entries().into_iter().map(|e| e.bytes).collect();
    places.push(prepared.recovery.expose().clone());
    places.push(format!("{till:?}{outcome:?}{refusal:?}{:?}", bench.log_lines()).into_bytes());
    let packed: Vec<u8> = CARD.as_bytes().chunks(2).map(|p| (p[0] - b'0') << 4 | (p[1] - b'0')).collect();
    for (n, place) in places.iter().enumerate() {
        // All but what may be shown: the first eleven digits, in text and packed.
        for hidden in [&CARD.as_bytes()[..11], &packed[..5], &KEY[..8]] {
            assert!(!place.windows(hidden.len()).any(|w| w == hidden), "place {n} tells");
        }
    }
}

#[test]
fn wrong_settings_and_secrets_are_named_and_a_damaged_ledger_does_not_open() {
    let bench = bench();
    drop(issued(&bench, CARD, 1_000));
    let fails = |bench: &TestHost, settings: &str| {
        Prepaid::open(bench.host(), Settings::from_json(settings)).unwrap_err().message
    };
    for (settings, named) in [
        (r#"{"prefixs":["86"]}"#, "prefixs"),
        (r#"{"prefixes":["8"]}"#, "prefixes"),
        (r#"{"prefixes":["86-0"]}"#, "prefixes"),
        (r#"{"uid_cap":-1}"#, "uid_cap"),
        (r#"{"validity_years":2}"#, "validity_years"),
        (r#"{"currency":"HKD"}"#, "CNY"),
    ] {
        assert!(fails(&bench, settings).contains(named), "{settings}: {}", fails(&bench, settings));
    }
    assert!(fails(&TestHost::new(), "").contains("card_key"));
    assert!(fails(&TestHost::new().with_secret("card_key", b"too short"), "").contains("card_key"));
    let other_key = bench.clone().with_secret("card_key", &[1; 32]);
    assert!(fails(&other_key, SETTINGS).contains("card_key"));
    let bench = other_key.with_secret("card_key", KEY);
    drop(open(&bench));
    // The newest entry lost: the log is as it was before it, which a chain alone cannot tell; the daemon's journal does.
    bench.cut_log(1);
    assert_eq!(open(&bench).statistics()[2], ("cards".into(), 0));
    bench.host().log_append(b"not an entry").unwrap();
    let text = fails(&bench, SETTINGS);
    assert!(text.contains("damaged") && text.contains("tillctl journal check"), "{text}");
}

#[test]
fn a_ledger_damaged_while_open_is_a_failed_channel() {
    let bench = bench();
    let mut till = issued(&bench, CARD, 1_000);
    assert_eq!(till.probe().unwrap().state, till_plugin::driver::DeviceState::Ready);
    bench.host().log_append(b"not an entry").unwrap();
    assert_eq!(till.prepare(&sale("SALE0001", CARD, 1)).unwrap_err().code, "ledger-damaged");
    assert!(matches!(till.query(&asked("SALE0001", 1)), QueryOutcome::Unknown(_)));
    assert_eq!(till.probe().unwrap().state, till_plugin::driver::DeviceState::Failed);
}

#[test]
fn the_manifest_says_what_the_channel_says() {
    let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
    let channel = manifest.channel.clone().unwrap();
    let till = open(&bench());
    let described = till.describe();
    assert_eq!((channel.families, channel.operations), (described.families, described.operations.clone()));
    assert_eq!(manifest.plugin.library, concat!("lib", env!("CARGO_PKG_NAME"), ".so").replace('-', "_"));
    assert_eq!(manifest.needs.secrets, [till_channel_prepaid::plugin::SECRET]);
    // Cash and stored value go on while the clock is not trusted.
    assert!(!described.needs_clock);
    for rule in till.leg_rules() {
        assert!(described.operations.contains(&rule.operation), "{rule:?}");
    }
    // Every default a person reads in the manifest is the one that is applied.
    let mut table = toml::Table::new();
    for (name, setting) in &manifest.settings {
        table.insert(name.clone(), setting.default.clone().unwrap());
    }
    manifest.check_settings(&table).unwrap();
    let json = serde_json::to_string(&table).unwrap();
    let read = till_channel_prepaid::settings::Config::read(&Settings::from_json(json)).unwrap();
    assert_eq!(read, till_channel_prepaid::settings::Config::default());
    assert_eq!(read.currency, Currency::CNY);
}
