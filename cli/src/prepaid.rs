//! `prepaid`: the shop's own cards.

use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::json;
use till_dbus::events::{Change, Events};
use till_dbus::tree::Tree;
use till_dbus::types::{CardEntry, CardReport};
use till_dbus::{Options, Prepaid1Proxy, paths};
use till_plugin::Currency;
use tokio::signal::unix::{SignalKind, signal};
use zbus::Fd;

use crate::args::{CardArgs, Command, Pay, PrepaidCommand};
use crate::exit::{DONE, Failure, REFUSED};
use crate::look::{Look, Tone, clean, line};
use crate::pay::{self, Open, Order};
use crate::session::Session;
use crate::table::{Cell, render};

/// How long a card is waited for at the reader.
const SWIPE: Duration = Duration::from_mins(1);

/// What changes a card wants a name; a number is no argument.
pub fn check(command: &Command, operator: Option<&str>) -> Result<(), Failure> {
    let Command::Prepaid(command) = command else { return Ok(()) };
    if let Some(number) = &command.card().number
        && number.expose() != "-"
    {
        return Err(Failure::usage(
            "a card's number on the command line can be read by every user of this machine, and stays in the shell's \
             history: write --number - and give the number on standard input",
        ));
    }
    let what = match command {
        PrepaidCommand::Issue { .. } => "issuing a card",
        PrepaidCommand::Block { .. } => "blocking a card",
        PrepaidCommand::Unblock { .. } => "lifting a block",
        PrepaidCommand::Reactivate { .. } => "reactivating a card",
        PrepaidCommand::Redeem { .. } => "paying a card out",
        _ => return Ok(()),
    };
    if operator.is_some_and(|o| !o.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{what} wants a name: give --operator NAME, who does it; it stands in the ledger"
    )))
}

/// A top-up as a payment's command line, in the currency of the card.
fn order(command: &PrepaidCommand, currency: &str) -> Result<Option<(Pay, Order)>, Failure> {
    let PrepaidCommand::Topup { amount, cash, key, no_wait, .. } = command else { return Ok(None) };
    let currency = currency.parse::<Currency>().map_err(|e| Failure::usage(e.to_string()))?;
    let pay = Pay {
        amount: amount.clone(),
        currency,
        subject: None,
        cash: cash.clone(),
        code: None,
        show_code: false,
        family: None,
        channel: None,
        key: key.clone(),
        training: false,
        hold: false,
        part: None,
        more: false,
        duplicate_reason: None,
        no_wait: *no_wait,
    };
    let order = pay::order(&pay)?;
    Ok(Some((pay, order)))
}

/// Runs one of these commands.
pub(crate) async fn run(s: &Session, command: &PrepaidCommand) -> Result<u8, Failure> {
    let path = paths::channel(&channel(s, command.card()).await?)?;
    let till = Prepaid1Proxy::builder(&s.connection).path(path).build().await?;
    let card = card(s, &till, command.card()).await?;
    if let PrepaidCommand::Topup { .. } = command
        && let Some((pay, order)) = order(command, &till.query(&card, Options::new()).await?.currency)?
    {
        return pay::run(s, &pay, order, Open::TopUp { cards: &till, card: &card }).await;
    }
    let mut options = s.options();
    if let PrepaidCommand::Issue { key: Some(key), .. }
    | PrepaidCommand::Reactivate { key: Some(key), .. }
    | PrepaidCommand::Redeem { key: Some(key), .. } = command
    {
        options.insert("key", key.as_str().into());
    }
    match command {
        PrepaidCommand::Issue { registered, .. } => {
            options.insert("registered", (*registered).into());
            stands(s, &till.issue(&card, options).await?)?;
        }
        PrepaidCommand::Reactivate { .. } => stands(s, &till.reactivate(&card, options).await?)?,
        PrepaidCommand::Redeem { reason, .. } => {
            let report = till.redeem(&card, reason, options).await?;
            s.show(&report, |look| paid_out(look, &report))?;
        }
        PrepaidCommand::Query { .. } => stands(s, &till.query(&card, Options::new()).await?)?,
        PrepaidCommand::Block { reason, .. } => stands(s, &till.block(&card, reason, options).await?)?,
        PrepaidCommand::Unblock { reason, .. } => stands(s, &till.unblock(&card, reason, options).await?)?,
        PrepaidCommand::History { limit, before, .. } => {
            let report = till.query(&card, Options::new()).await?;
            let asked = [("limit", (*limit).into())].into();
            let (entries, next) = till.history(&card, *before, asked).await?;
            let data = json!({ "card": report, "entries": entries, "next": next });
            s.show(&data, |look| history(look, &report, &entries, next))?;
        }
        PrepaidCommand::Topup { .. } => {}
    }
    Ok(DONE)
}

/// The channel that keeps cards.
async fn channel(s: &Session, card: &CardArgs) -> Result<String, Failure> {
    if let Some(channel) = &card.channel {
        return Ok(channel.clone());
    }
    let tree = Tree::read(&s.connection).await?;
    let keeps = |o: &Vec<String>| o.iter().any(|o| o == "account");
    let mut all = tree.channels.iter().filter(|c| keeps(&c.operations)).map(|c| c.id.clone());
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Failure {
            exit: REFUSED,
            code: "NotFound".into(),
            text: "no channel of this till keeps cards, or its process is not ready".into(),
            hint: Some("`tillctl channels` shows them; see channels/prepaid".into()),
        }),
        _ => Err(Failure::usage("several channels keep cards: say which with --channel")),
    }
}

/// The ticket of the card that the command is about.
async fn card(s: &Session, till: &Prepaid1Proxy<'_>, card: &CardArgs) -> Result<String, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    if card.number.is_some() {
        let prompt = s.look.say("card number: ", "卡号：");
        let number = tokio::select! {
            number = crate::secret_line::read(prompt) => number?,
            _ = interrupt.recv() => return Err(Failure::usage("no number was given")),
        };
        let pipe = till_dbus::code_pipe(number.expose())?;
        return Ok(till.present_card(Fd::from(pipe.as_fd()), Options::new()).await?.0);
    }
    // Listen first: the card may be there at once.
    let mut events = Events::subscribe(&s.connection).await?;
    let seconds = u32::try_from(SWIPE.as_secs()).unwrap_or(60);
    till.read_card([("timeout-s", seconds.into())].into()).await?;
    eprintln!("{}", s.look.say("present the card at the reader", "请在读卡器上出示卡"));
    let read = async {
        while let Some(event) = events.next().await {
            if let Change::CardPresented { card, .. } = event.change {
                return Some(card);
            }
        }
        None
    };
    let read = tokio::select! {
        read = tokio::time::timeout(SWIPE, read) => read.ok().flatten(),
        _ = interrupt.recv() => None,
    };
    read.ok_or_else(|| Failure {
        exit: REFUSED,
        code: "Timeout".into(),
        text: "no card was read".into(),
        hint: Some("present it again, or give its number: --number -".into()),
    })
}

fn stands(s: &Session, report: &CardReport) -> Result<(), Failure> {
    s.show(report, |look| card_line(look, report))
}

/// One line: how a card stands.
pub fn card_line(look: &Look, r: &CardReport) -> String {
    let standing = match r.standing.as_str() {
        "active" => look.say("active", "正常"),
        "blocked" => look.say("blocked", "已冻结"),
        "expired" => look.say("expired: reactivate it, its balance is kept", "已过有效期，余额保留"),
        "closed" => look.say("closed", "已退卡"),
        other => other,
    };
    let until = r
        .expires
        .as_deref()
        .filter(|e| !e.is_empty())
        .map_or_else(String::new, |day| format!(", {} {}", look.say("until", "有效期至"), clean(day)));
    let balance = look.money(r.balance, &r.currency);
    let mut out = String::new();
    let text =
        format!("{} {}: {balance}, {}{until}", look.say("card", "卡"), clean(&r.account), clean(standing));
    line(&mut out, &look.paint(&text, Tone::Strong));
    out
}

/// What the holder gets, and that the card is closed.
pub fn paid_out(look: &Look, r: &CardReport) -> String {
    let mut out = String::new();
    let amount = look.money(r.paid_out.unwrap_or(0), &r.currency);
    let text = format!("{}: {amount}", look.say("hand over in cash", "请退还现金"));
    line(&mut out, &look.paint(&text, Tone::Strong));
    out + &card_line(look, r)
}

/// A card and its entries.
pub fn history(look: &Look, report: &CardReport, entries: &[CardEntry], next: u64) -> String {
    let mut out = card_line(look, report);
    let head = if look.chinese {
        ["编号", "时间", "业务", "变动", "余额", "订单号"]
    } else {
        ["number", "time", "what", "change", "balance", "order"]
    };
    let money = |minor| Cell::right(look.money(minor, &report.currency));
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|e| {
            vec![
                Cell::right(e.number.to_string()),
                Cell::new(look.time(e.wall_ms)),
                Cell::new(&e.operation),
                money(e.change),
                money(e.balance),
                Cell::new(&e.order).tone(Tone::Faint),
            ]
        })
        .collect();
    out += &render(look, &head, &rows);
    if next != 0 {
        line(&mut out, &format!("{}: --before {next}", look.say("older ones", "更早记录")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_shows_its_balance_and_where_its_money_came_from() {
        let report = CardReport {
            account: "****0005".into(),
            standing: "active".into(),
            balance: 7_000,
            currency: "CNY".into(),
            expires: Some("2029-11-22".into()),
            class: Some("bearer".into()),
            paid_out: None,
        };
        let entry = CardEntry {
            number: 9,
            wall_ms: 0,
            operation: "debit".into(),
            change: -3_000,
            balance: 7_000,
            order: "T00120261122".into(),
        };
        let out = history(&Look::plain(), &report, &[entry], 9);
        for says in ["****0005", "70.00", "-", "30.00", "debit", "2029-11-22", "--before 9"] {
            assert!(out.contains(says), "{says} is missing:\n{out}");
        }
    }

    #[test]
    fn a_card_that_is_paid_out_says_how_much_to_hand_over() {
        let report = CardReport {
            account: "****0005".into(),
            standing: "closed".into(),
            currency: "CNY".into(),
            paid_out: Some(7_000),
            ..CardReport::default()
        };
        let out = paid_out(&Look::plain(), &report);
        assert!(out.contains("70.00") && out.contains("****0005") && out.contains("closed"), "{out}");
    }
}
