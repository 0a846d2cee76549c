//! Pre-authorisations: what is held, completed, given back, and what a reversal of each puts back.

use super::super::ledger::{Entry, Kind, State};
use super::super::message::Message;
use super::super::money::Fen;
use super::super::{Acquirer, AcquirerConfig, HostConfig};
use super::acquirer;
use super::terminal::{PAN, Terminal};

const START: i64 = 100_000_000;

/// What the card has, in fen short of where it began.
fn short(acquirer: &Acquirer) -> i64 {
    START - acquirer.card_balance(PAN).unwrap().minor()
}

fn hold(terminal: &mut Terminal) -> Message {
    let hold = terminal.payment("0100", "10", "030000", "000002", "000000010000");
    let held = terminal.pay(&hold);
    assert_eq!(held.text(39), "00");
    held
}

/// A request that names a hold by its code and date.
fn of_hold(terminal: &Terminal, kind: [&str; 3], held: &Message, trace: &str, amount: &str) -> Message {
    let [mti, kind, processing] = kind;
    let mut request = terminal.payment(mti, kind, processing, trace, amount);
    request.copy(held, &[38]).set(61, format!("000000000000{}", held.text(13)));
    request
}

const COMPLETION: [&str; 3] = ["0200", "20", "000000"];
const NOTICE: [&str; 3] = ["0220", "24", "000000"];
const RELEASE: [&str; 3] = ["0100", "11", "200000"];

fn entry(acquirer: &Acquirer, trace: &str) -> Entry {
    acquirer.ledger().into_iter().find(|e| e.key.trace == trace).unwrap()
}

#[test]
fn a_completion_uses_its_hold_within_115_per_cent() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let held = hold(&mut terminal);
    let mut complete = |trace: &str, amount: &str| {
        let request = of_hold(&terminal, COMPLETION, &held, trace, amount);
        (terminal.pay(&request).text(39).to_owned(), request)
    };
    assert_eq!(complete("000003", "000000011501").0, "64");
    let (code, request) = complete("000004", "000000011500");
    assert_eq!(code, "00");
    assert_eq!(complete("000005", "000000000100").0, "12", "the hold is used up");
    assert_eq!(short(&acquirer), 11_500);
    assert_eq!(terminal.pay(&terminal.reversal_of(&request, "98")).text(39), "00");
    assert_eq!(short(&acquirer), 10_000, "the hold is back");
    assert_eq!(
        (entry(&acquirer, "000002").held, entry(&acquirer, "000002").state),
        (Fen::new(10_000), State::Approved)
    );
}

#[test]
fn a_small_completion_gives_the_rest_of_the_hold_back() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let held = hold(&mut terminal);
    let request = of_hold(&terminal, NOTICE, &held, "000003", "000000002500");
    assert_eq!(terminal.pay(&request).text(39), "00");
    assert_eq!(terminal.pay(&request).text(39), "00", "a notice is repeated and booked once");
    assert_eq!(short(&acquirer), 2_500);
    assert_eq!(
        terminal.pay(&terminal.reversal_of(&request, "98")).text(39),
        "12",
        "a notice is never reversed"
    );
    assert_eq!(
        acquirer.totals("12345678", "000001").debit,
        Fen::new(2_500),
        "the hold itself counts as nothing"
    );
}

#[test]
fn several_completions_use_a_hold_bit_by_bit_where_the_host_allows_it() {
    let host = HostConfig { several_completions: true, ..HostConfig::default() };
    let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let held = hold(&mut terminal);
    let first = of_hold(&terminal, COMPLETION, &held, "000003", "000000006000");
    let second = of_hold(&terminal, COMPLETION, &held, "000004", "000000004000");
    assert_eq!(terminal.pay(&first).text(39), "00");
    assert_eq!((short(&acquirer), entry(&acquirer, "000002").held), (10_000, Fen::new(4_000)));
    assert_eq!(terminal.pay(&terminal.reversal_of(&first, "98")).text(39), "00");
    assert_eq!(terminal.pay(&second).text(39), "00");
    // What is left goes back, and only what is left.
    let all = of_hold(&terminal, RELEASE, &held, "000005", "000000010000");
    assert_eq!(terminal.pay(&all).text(39), "64");
    let rest = of_hold(&terminal, RELEASE, &held, "000006", "000000006000");
    assert_eq!(terminal.pay(&rest).text(39), "00");
    assert_eq!((short(&acquirer), entry(&acquirer, "000002").state), (4_000, State::Voided));
}

#[test]
fn a_released_hold_is_gone_and_reversing_the_release_brings_it_back() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let held = hold(&mut terminal);
    let part = of_hold(&terminal, RELEASE, &held, "000003", "000000009999");
    assert_eq!(terminal.pay(&part).text(39), "64");
    let release = of_hold(&terminal, RELEASE, &held, "000004", "000000010000");
    assert_eq!(terminal.pay(&release).text(39), "00");
    assert_eq!(short(&acquirer), 0);
    let late = of_hold(&terminal, COMPLETION, &held, "000005", "000000010000");
    assert_eq!(terminal.pay(&late).text(39), "12");
    assert_eq!(terminal.pay(&terminal.reversal_of(&release, "98")).text(39), "00");
    assert_eq!(short(&acquirer), 10_000);
    let again = of_hold(&terminal, COMPLETION, &held, "000006", "000000010000");
    assert_eq!(terminal.pay(&again).text(39), "00");
}

#[test]
fn voiding_a_completion_brings_the_hold_back_and_reversing_the_void_uses_it_again() {
    let acquirer = acquirer();
    let mut terminal = Terminal::signed_in(acquirer.addr());
    let held = hold(&mut terminal);
    let completion = of_hold(&terminal, COMPLETION, &held, "000003", "000000008000");
    let completed = terminal.pay(&completion);
    let mut void = terminal.payment("0200", "21", "200000", "000004", "000000008000");
    void.copy(&completed, &[37, 38]).set(61, format!("{}000003{}", terminal.batch, completed.text(13)));
    assert_eq!(terminal.pay(&void).text(39), "00");
    assert_eq!((short(&acquirer), entry(&acquirer, "000002").held), (10_000, Fen::new(10_000)));
    assert_eq!(terminal.pay(&terminal.reversal_of(&void, "98")).text(39), "00");
    assert_eq!((short(&acquirer), entry(&acquirer, "000002").state), (8_000, State::Completed));
    let kinds: Vec<_> = acquirer.ledger().iter().map(|e| (e.kind, e.state)).collect();
    assert_eq!(kinds[1..], [(Kind::Completion, State::Approved), (Kind::CompletionVoid, State::Reversed)]);
}
