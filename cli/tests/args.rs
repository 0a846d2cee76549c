//! What the command line takes, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::{CommandFactory, Parser};
use tillctl::args::{Cli, Command, JournalCommand};

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
