//! What the command line takes, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::{CommandFactory, Parser};
use tillctl::args::{Cli, Command, JournalCommand, ReviewCommand, Verdict};
use tillctl::{after, bill, cases, prepaid};

fn read(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split(' ')).map_err(|e| e.to_string())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn options_stand_before_and_after_the_command() {
    for line in ["tillctl --json --bus session status", "tillctl status --json --bus session"] {
        let cli = read(line).unwrap();
        assert!(cli.json && cli.bus.as_deref() == Some("session") && matches!(cli.command, Command::Status));
    }
}

#[test]
fn a_payment_is_read_whole() {
    let cli = read("tillctl pay 128.50 --currency JPY --cash 150 --key k --subject lunch --no-wait").unwrap();
    let Command::Pay(pay) = cli.command else { panic!("pay") };
    assert_eq!(
        (pay.amount.as_str(), pay.currency.code(), pay.cash.as_deref()),
        ("128.50", "JPY", Some("150"))
    );
    assert!(pay.no_wait && pay.key.as_deref() == Some("k") && pay.subject.as_deref() == Some("lunch"));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for line in [
        "tillctl pay 1 --cash 2 --code -",
        "tillctl pay 1 --family qr-alipay",
        "tillctl pay 1 --currency cny",
        "tillctl pay -1",
        "tillctl pay",
        "tillctl payments --limit 0",
        "tillctl payments --limit 501",
        "tillctl pay 1 --hold --cash 1",
        "tillctl pay 1 --more --cash 1",
        "tillctl pay 1 --cash 1 --duplicate-reason again",
        "tillctl pay 1 --show-code --duplicate-reason again",
        "tillctl refund",
        "tillctl refund p1 --attempt 0",
        "tillctl review propose p1 --attempt 1 happened",
        "tillctl review confirm p1 happened",
        "tillctl review confirm p1 --attempt 1 perhaps",
        "tillctl abandon p1",
        "tillctl bill --limit 501",
        "tillctl dispute open p1",
        "tillctl dispute close 3 drawn over",
        "tillctl prepaid topup",
        "tillctl prepaid history --limit 201",
        "tillctl notices --receivers --take",
        "tillctl journal rotate-keys --which all",
        "tillctl journal",
        "tillctl device",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn a_code_is_in_no_message_of_the_parser() {
    let code = "280000000000000003";
    for line in [format!("tillctl pay 1 --code {code} --cash 1"), format!("tillctl pay --code {code}")] {
        let e = read(&line).map(|_| ()).unwrap_err();
        assert!(!e.contains(code), "{e}");
    }
}

#[test]
fn the_journal_is_exported_whole_unless_told() {
    let cli = read("tillctl journal export out.jsonl").unwrap();
    let Command::Journal(JournalCommand::Export { from, to, .. }) = cli.command else { panic!("export") };
    assert_eq!((from, to), (1, 0));
}

#[test]
fn what_follows_a_sale_is_read_whole() {
    let cli = read("tillctl refund p1 28.50 --attempt 2 --key r1 --reason broken --operator 007").unwrap();
    assert_eq!(cli.operator.as_deref(), Some("007"));
    let Command::Refund(refund) = cli.command else { panic!("refund") };
    assert_eq!((refund.payment.as_str(), refund.amount.as_deref()), ("p1", Some("28.50")));
    assert_eq!((refund.how.attempt, refund.how.key.as_deref()), (Some(2), Some("r1")));
    assert_eq!(refund.how.reason.as_deref(), Some("broken"));
    let Command::Capture(all) = read("tillctl capture p1").unwrap().command else { panic!("capture") };
    assert_eq!(all.amount, None, "nothing typed is all that is left");
    let line = "tillctl review propose p1 --attempt 2 did-not --reason statement";
    let Command::Review(ReviewCommand::Propose { case, reason }) = read(line).unwrap().command else {
        panic!("propose")
    };
    assert_eq!((case.attempt, case.verdict, reason.as_str()), (2, Verdict::DidNot, "statement"));
    let Command::Pay(pay) = read("tillctl pay 100 --part 30 --cash 50").unwrap().command else {
        panic!("pay")
    };
    assert_eq!((pay.part.as_deref(), pay.cash.as_deref(), pay.more), (Some("30"), Some("50"), false));
    let Command::Bill(bill) = read("tillctl bill --from 2026-11-01 --min 5 --all").unwrap().command else {
        panic!("bill")
    };
    assert!(bill.all && bill.from.as_deref() == Some("2026-11-01") && bill.min.as_deref() == Some("5"));
}

#[test]
fn money_and_reviews_want_a_name_before_anything_is_asked() {
    for line in [
        "tillctl refund p1 5",
        "tillctl void p1",
        "tillctl capture p1",
        "tillctl release p1",
        "tillctl review confirm p1 --attempt 1 happened",
    ] {
        let command = read(line).unwrap().command;
        for operator in [None, Some(" ")] {
            let e = after::check(&command, operator).unwrap_err();
            assert!(e.exit == 2 && e.text.contains("--operator NAME"), "{line}: {}", e.text);
        }
        assert!(after::check(&command, Some("007")).is_ok(), "{line}");
    }
    assert!(after::check(&read("tillctl reprint p1").unwrap().command, None).is_ok());
}

#[test]
fn a_typed_amount_is_never_taken_for_all_that_is_left() {
    assert_eq!(after::minor(None, "CNY").unwrap(), 0);
    assert_eq!(after::minor(Some("28.5"), "CNY").unwrap(), 2850);
    assert_eq!(after::minor(Some("28"), "JPY").unwrap(), 28);
    for wrong in ["0", "0.00", "-5", "28.505", "five", ""] {
        assert_eq!(after::minor(Some(wrong), "CNY").unwrap_err().exit, 2, "{wrong}");
    }
    assert!(after::minor(Some("28.5"), "JPY").is_err());
}

#[test]
fn a_day_of_a_bill_is_whole_and_the_shops_own() {
    use jiff::tz::{TimeZone, offset};
    let zone = TimeZone::fixed(offset(8));
    let (from, to) = (bill::moment("2026-11-22", &zone, false), bill::moment("2026-11-22", &zone, true));
    let (from, to) = (from.unwrap(), to.unwrap());
    assert_eq!(to - from, 86_400_000 - 1);
    assert_eq!(from, bill::moment("2026-11-21T16:00", &TimeZone::UTC, false).unwrap());
    assert!(bill::moment("yesterday", &zone, false).is_err());
}

#[test]
fn a_card_number_is_no_argument_and_cases_and_cards_want_a_name() {
    let card = "8600000000000005";
    let command = read(&format!("tillctl prepaid query --number {card}")).unwrap().command;
    let e = prepaid::check(&command, Some("007")).unwrap_err();
    assert!(e.exit == 2 && !e.text.contains(card) && e.text.contains("--number -"), "{}", e.text);
    assert!(prepaid::check(&read("tillctl prepaid query --number -").unwrap().command, None).is_ok());
    for line in [
        "tillctl prepaid issue",
        "tillctl prepaid block lost",
        "tillctl prepaid unblock found",
        "tillctl prepaid reactivate",
        "tillctl prepaid redeem moving",
    ] {
        let command = read(line).unwrap().command;
        assert!(prepaid::check(&command, None).unwrap_err().text.contains("--operator NAME"), "{line}");
        assert!(prepaid::check(&command, Some("007")).is_ok(), "{line}");
    }
    for line in ["tillctl dispute open p1 why", "tillctl dispute close 3 won agreed"] {
        let command = read(line).unwrap().command;
        assert!(cases::check(&command, Some(" ")).unwrap_err().text.contains("--operator NAME"), "{line}");
        assert!(cases::check(&command, Some("007")).is_ok(), "{line}");
    }
    assert!(cases::check(&read("tillctl dispute list --state open").unwrap().command, None).is_ok());
}
