//! Batches: counted, compared, told detail by detail, closed.

use super::super::ledger::Key;
use super::super::message::Message;
use super::super::{Acquirer, AcquirerConfig, HostConfig};
use super::acquirer;
use super::terminal::{PAN, Terminal};
use crate::faults::{Fault, Rule};
use std::collections::BTreeMap;

const TID: &str = "12345678";

/// Digits 31 and 62 of the answer to a 0500 with these debits and credits (fen and how many), or the answer code.
fn settle(terminal: &mut Terminal, batch: &str, debit: (u64, u32), credit: (u64, u32)) -> String {
    let f48 = format!("{:012}{:03}{:012}{:03}0{:031}", debit.0, debit.1, credit.0, credit.1, 0);
    let f60 = format!("00{batch}201");
    let ask = terminal.message("0500", &[(11, "000030"), (48, &f48), (49, "156"), (60, &f60), (63, "01 ")]);
    let answer = terminal.ask(&ask);
    match answer.text(39) {
        "00" => format!("{}{}", &answer.text(48)[30..31], &answer.text(48)[61..62]),
        code => code.to_owned(),
    }
}

fn upload(terminal: &mut Terminal, batch: &str, net: &str, f48: &str) -> String {
    let f60 = format!("00{batch}{net}");
    let ask = terminal.message("0320", &[(11, "000031"), (48, f48), (60, &f60)]);
    terminal.ask(&ask).text(39).to_owned()
}

fn records(of: &[(&str, u64)]) -> String {
    of.iter().fold(format!("{:02}", of.len()), |text, (trace, fen)| {
        text + &format!("00{trace}{PAN:0>20}{fen:012}")
    })
}

fn sold(terminal: &mut Terminal, trace: &str, fen: u64) -> Message {
    let sale = terminal.sale(trace, &format!("{fen:012}"));
    let answer = terminal.pay(&sale);
    assert_eq!(answer.text(39), "00");
    answer
}

fn key(trace: &str) -> Key {
    Key { tid: TID.into(), batch: "000001".into(), trace: trace.into() }
}

#[test]
fn settlement_compares_takes_records_and_opens_the_next_batch() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let sale = terminal.sale("000002", "000000012850");
    sold(&mut terminal, "000002", 12_850);
    assert_eq!(upload(&mut terminal, "000001", "202", "0001"), "12", "no settlement is open");
    assert_eq!(settle(&mut terminal, "000001", (12_849, 1), (0, 0)), "21");
    let late = terminal.sale("000003", "000000000100");
    assert_eq!(terminal.pay(&late).text(39), "90", "no payment of a batch while it is counted");
    assert_eq!(upload(&mut terminal, "000001", "201", &records(&[("000002", 12_850)])), "00");
    assert_eq!(upload(&mut terminal, "000001", "207", "0001"), "00");
    assert_eq!(upload(&mut terminal, "000001", "207", "0001"), "00", "the end record may be repeated");
    let closed = acquirer.closed().remove(0);
    assert_eq!((closed.balanced, closed.uploaded, closed.differences.len()), (false, 1, 0));
    assert_eq!(acquirer.batch(TID), Some(2));
    assert_eq!(terminal.pay(&late).text(39), "77", "the old batch is over");
    let reversal = terminal.reversal_of(&sale, "98");
    assert_eq!(terminal.pay(&reversal).text(39), "12", "a settled sale is not reversed");
    terminal.batch = "000002".into();
    let old = terminal.pay(&{
        let mut void = terminal.payment("0200", "23", "200000", "000009", "000000012850");
        void.set(61, "000001000002");
        void
    });
    assert_eq!(old.text(39), "12", "nor voided from the next batch");
    sold(&mut terminal, "000004", 777);
    assert_eq!(settle(&mut terminal, "000002", (777, 1), (0, 0)), "11");
    assert_eq!(upload(&mut terminal, "000002", "202", "0000"), "00");
    assert!(acquirer.closed()[1].balanced);
}

#[test]
fn the_next_batch_sells_while_the_last_is_settled_and_each_counts_its_own() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    sold(&mut terminal, "000002", 1_000);
    terminal.batch = "000002".into();
    sold(&mut terminal, "000003", 70);
    assert_eq!(
        settle(&mut terminal, "000001", (1_070, 2), (0, 0)),
        "21",
        "booked by field 60.2, not by the hour"
    );
    sold(&mut terminal, "000004", 7);
    assert_eq!(upload(&mut terminal, "000001", "201", &records(&[("000002", 1_000)])), "00");
    sold(&mut terminal, "000005", 700);
    assert_eq!(settle(&mut terminal, "000001", (1_000, 1), (0, 0)), "11");
    assert_eq!(upload(&mut terminal, "000001", "202", "0000"), "00");
    assert_eq!(acquirer.batch(TID), Some(2));
    assert_eq!(settle(&mut terminal, "000002", (777, 3), (0, 0)), "11");
    // A settled batch can be compared again; nothing opens or closes by it.
    assert_eq!(settle(&mut terminal, "000001", (1_000, 1), (0, 0)), "11");
    assert_eq!(acquirer.closed().len(), 1);
}

#[test]
fn a_reversal_still_works_while_its_batch_is_counted_and_changes_the_count() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    sold(&mut terminal, "000002", 1_000);
    sold(&mut terminal, "000003", 500);
    assert_eq!(settle(&mut terminal, "000001", (1_500, 2), (0, 0)), "11");
    let reversal = terminal.reversal_of(&terminal.sale("000003", "000000000500"), "98");
    assert_eq!(terminal.pay(&reversal).text(39), "00");
    assert_eq!(settle(&mut terminal, "000001", (1_500, 2), (0, 0)), "21");
    assert_eq!(settle(&mut terminal, "000001", (1_000, 1), (0, 0)), "11");
}

#[test]
fn a_host_that_takes_nothing_meanwhile_says_so() {
    let host = HostConfig { settle_blocks_sales: true, ..HostConfig::default() };
    let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    sold(&mut terminal, "000002", 1_000);
    terminal.batch = "000002".into();
    let early = terminal.sale("000003", "000000000100");
    assert_eq!(terminal.pay(&early).text(39), "77");
    assert_eq!(settle(&mut terminal, "000001", (1_000, 1), (0, 0)), "11");
    assert_eq!(terminal.pay(&early).text(39), "90");
    assert_eq!(upload(&mut terminal, "000001", "202", "0000"), "00");
    assert_eq!(terminal.pay(&early).text(39), "00");
}

#[test]
fn a_lost_notice_and_a_lost_sale_are_booked_from_their_details_and_then_the_counts_agree() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let first = sold(&mut terminal, "000002", 1_000);
    sold(&mut terminal, "000003", 500);
    assert!(acquirer.lose(&key("000003")) && !acquirer.lose(&key("000003")));
    // The refund is approved and not booked: the classical lost notice.
    let lost = Fault::Answer { code: "00".into(), sub_code: None, fields: BTreeMap::new(), booked: false };
    acquirer.faults().add(Rule::once("refund", lost)).unwrap();
    let mut refund = terminal.payment("0220", "25", "200000", "000004", "000000000400");
    refund.copy(&first, &[37]).set(61, format!("000000000000{}", first.text(13))).set(63, "000");
    assert_eq!(terminal.pay(&refund).text(39), "00");
    assert_eq!(settle(&mut terminal, "000001", (1_500, 2), (400, 1)), "21");
    assert_eq!(upload(&mut terminal, "000001", "201", &records(&[("000002", 1_000), ("000003", 500)])), "00");
    assert_eq!(upload(&mut terminal, "000001", "207", "0003"), "95", "one detail is still missing");
    assert_eq!(upload(&mut terminal, "000001", "202", "0000"), "95", "the totals did not agree");
    let mut notice = Message::new("0320").unwrap();
    notice.copy(&refund, &[2, 3, 4, 11, 14, 22, 25, 37, 41, 42, 49, 61]).set(60, "25000001201");
    assert_eq!(terminal.ask(&notice).text(39), "00");
    assert_eq!(terminal.ask(&notice).text(39), "00", "sent again, counted once");
    assert_eq!(settle(&mut terminal, "000001", (1_500, 2), (400, 1)), "11", "compared once more");
    assert_eq!(upload(&mut terminal, "000001", "207", "0003"), "00");
    let closed = acquirer.closed().remove(0);
    assert_eq!((closed.uploaded, closed.booked), (3, vec!["000003".into(), "000004".into()]));
    assert!(closed.differences.is_empty() && closed.surplus.is_empty() && closed.host == closed.terminal);
    assert_eq!(acquirer.card_balance(PAN).unwrap().minor(), 100_000_000 - 1_100);
}

#[test]
fn a_refund_that_is_lost_can_be_given_again() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let first = sold(&mut terminal, "000002", 1_000);
    let mut refund = |trace: &str| {
        let mut refund = terminal.payment("0220", "25", "200000", trace, "000000001000");
        refund.copy(&first, &[37]).set(61, format!("000000000000{}", first.text(13))).set(63, "000");
        terminal.pay(&refund).text(39).to_owned()
    };
    assert_eq!((refund("000003"), refund("000004")), ("00".into(), "64".into()));
    assert!(acquirer.lose(&key("000003")));
    assert_eq!(acquirer.card_balance(PAN).unwrap().minor(), 100_000_000 - 1_000);
    assert_eq!(refund("000005"), "00");
}

#[test]
fn what_the_host_has_otherwise_or_alone_is_named_and_left_alone() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    sold(&mut terminal, "000002", 1_000);
    sold(&mut terminal, "000003", 500);
    assert_eq!(settle(&mut terminal, "000001", (999, 1), (0, 0)), "21");
    assert_eq!(upload(&mut terminal, "000001", "201", &records(&[("000002", 999)])), "00");
    assert_eq!(upload(&mut terminal, "000001", "207", "0001"), "00");
    let closed = acquirer.closed().remove(0);
    assert_eq!((closed.differences, closed.surplus), (vec!["000002".into()], vec!["000003".to_owned()]));
    assert_eq!(settle(&mut terminal, "000001", (999, 1), (0, 0)), "21");
    assert_eq!(acquirer.totals(TID, "000001").debit.minor(), 1_500);
}

#[test]
fn a_refund_told_late_is_checked_like_any_other() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let first = sold(&mut terminal, "000002", 1_000);
    assert_eq!(settle(&mut terminal, "000001", (1_000, 1), (1_001, 1)), "21");
    let mut notice = terminal.payment("0320", "25", "200000", "000004", "000000001001");
    notice.copy(&first, &[37]).set(61, format!("000000000000{}", first.text(13))).set(60, "25000001201");
    assert_eq!(terminal.ask(&notice).text(39), "64");
}
