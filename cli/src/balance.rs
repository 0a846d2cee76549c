//! `balance`: a customer's bank card is asked for its balance. Shown once, here, and kept nowhere.

use std::time::Duration;

use till_dbus::events::{Change, Events};
use till_dbus::tree::Tree;
use till_dbus::types::BalanceReport;
use till_dbus::{Inquiry1Proxy, Options, paths};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Balance;
use crate::exit::{Failure, REFUSED};
use crate::look::{Look, Tone, clean, line};
use crate::session::Session;

/// How long a card is waited for at the reader.
const SWIPE: Duration = Duration::from_mins(1);
/// Longest for the PIN and the network's answer together.
pub(crate) const ANSWER: Duration = Duration::from_secs(200);

/// Runs it.
pub(crate) async fn run(s: &Session, args: &Balance) -> Result<(), Failure> {
    let channel = channel(s, args).await?;
    let till = Inquiry1Proxy::builder(&s.connection).path(paths::channel(&channel)?).build().await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Listen first: the card may be there at once.
    let mut events = Events::subscribe(&s.connection).await?;
    let mut options = s.options();
    options.insert("timeout-s", u32::try_from(SWIPE.as_secs()).unwrap_or(60).into());
    till.read_card(options).await?;
    eprintln!("{}", s.look.say("present the card at the reader", "请在读卡器上出示卡"));
    let card = presented(&mut events, &mut interrupt).await.ok_or_else(|| Failure {
        exit: REFUSED,
        code: "Timeout".into(),
        text: s.look.say("no card was read", "未读到卡").into(),
        hint: Some("run it again and present the card".into()),
    })?;
    let asked = till.balance(&card, s.options());
    tokio::pin!(asked);
    let report = loop {
        tokio::select! {
            told = &mut asked => break told?,
            event = events.next() => match event.map(|e| e.change) {
                Some(Change::PinWanted { .. }) => {
                    let say = s.look.say("the customer enters the PIN", "请持卡人在密码键盘上输入密码");
                    eprintln!("{say}");
                }
                Some(_) => {}
                // The answer says what became of the bus.
                None => break (&mut asked).await?,
            },
            // What has left ends by its answer, which is then waited for.
            _ = interrupt.recv() => drop(till.stop(Options::new()).await),
        }
    };
    s.show(&report, |look| balance_line(look, &report))
}

async fn presented(events: &mut Events, interrupt: &mut Signal) -> Option<String> {
    let read = async {
        while let Some(event) = events.next().await {
            if let Change::InquiryCard { card, .. } = event.change {
                return Some(card);
            }
        }
        None
    };
    tokio::select! {
        read = tokio::time::timeout(SWIPE, read) => read.ok().flatten(),
        _ = interrupt.recv() => None,
    }
}

/// The channel whose network tells balances.
async fn channel(s: &Session, args: &Balance) -> Result<String, Failure> {
    if let Some(channel) = &args.channel {
        return Ok(channel.clone());
    }
    let tree = Tree::read(&s.connection).await?;
    // Who keeps the accounts himself is asked by `prepaid query`.
    let tells = |o: &Vec<String>| o.iter().any(|o| o == "balance") && !o.iter().any(|o| o == "account");
    let mut all = tree.channels.iter().filter(|c| tells(&c.operations)).map(|c| c.id.clone());
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Failure {
            exit: REFUSED,
            code: "NotFound".into(),
            text: s
                .look
                .say(
                    "no channel of this till tells balances, or its process is not ready",
                    "没有支持余额查询的通道，或该通道尚未就绪",
                )
                .into(),
            hint: Some("`tillctl channels` shows them; see channels/bankcard".into()),
        }),
        _ => Err(Failure::usage("several channels tell balances: say which with --channel")),
    }
}

/// One line: what is on a card, or owed on it.
pub fn balance_line(look: &Look, r: &BalanceReport) -> String {
    let amount = look.money(r.balance, &r.currency);
    let what = if r.balance < 0 {
        look.say("balance (owed)", "余额（欠款）")
    } else {
        look.say("balance", "可用余额")
    };
    let mut out = String::new();
    let text = format!("{} {}: {what} {amount}", look.say("card", "卡"), clean(&r.account));
    line(&mut out, &look.paint(&text, Tone::Strong));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_shown_with_its_sign_in_both_languages() {
        let report =
            |balance| BalanceReport { account: "620000******0005".into(), balance, currency: "CNY".into() };
        let en = Look::plain();
        assert_eq!(balance_line(&en, &report(567_890)), "card 620000******0005: balance CNY 5678.90\n");
        let owed = balance_line(&en, &report(-50));
        assert!(owed.contains("owed") && owed.contains("-0.50"), "{owed}");
        let chinese = Look { chinese: true, ..Look::plain() };
        let zh = balance_line(&chinese, &report(567_890));
        assert!(zh.contains("可用余额") && zh.contains("5678.90"), "{zh}");
        assert!(!format!("{:?}", report(567_890)).contains("5678"), "its Debug shows no amount");
    }
}
