//! What follows a payment: refund, void, capture, release, copies, reviews.

use std::time::Duration;

use serde_json::json;
use till_dbus::events::{Change, Events};
use till_dbus::types::{AttemptDetails, PaymentDetails};
use till_dbus::{AfterSales1Proxy, Error, Options, paths};
use till_plugin::{Currency, Money};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Case, Command, LegOptions, ReviewCommand};
use crate::exit::{DONE, Failure, NO_MONEY, UNKNOWN};
use crate::look::{Look, clean};
use crate::session::{Session, write_out};

/// A payment that has left the bus tells nothing: it is read again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long to wait for a daemon that left; its unit restarts it within seconds.
const COME_BACK: Duration = Duration::from_mins(2);

/// Money does not move, and no review is decided, without a name.
pub fn check(command: &Command, operator: Option<&str>) -> Result<(), Failure> {
    let what = match command {
        Command::Refund(_) => "a refund",
        Command::Void(_) => "a void",
        Command::Capture(_) => "a capture",
        Command::Release(_) => "a release",
        Command::Review(_) => "a review",
        _ => return Ok(()),
    };
    if operator.is_some_and(|o| !o.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{what} wants a name: give --operator NAME, who does it; it stands in the journal"
    )))
}

/// What is asked of a leg.
struct Ask<'a> {
    kind: &'static str,
    payment: &'a str,
    amount: Option<&'a str>,
    how: &'a LegOptions,
}

/// Runs one of these commands; None: it is none of them.
pub(crate) async fn run(s: &Session, command: &Command) -> Result<Option<u8>, Failure> {
    let ask = match command {
        Command::Refund(l) => Ask::new("refund", &l.payment, l.amount.as_deref(), &l.how),
        Command::Void(l) => Ask::new("void", &l.payment, None, &l.how),
        Command::Capture(l) => Ask::new("capture", &l.payment, l.amount.as_deref(), &l.how),
        Command::Release(l) => Ask::new("release", &l.payment, None, &l.how),
        Command::Reprint { payment, receipt } => return reprint(s, payment, *receipt).await.map(Some),
        Command::Review(review) => return decide(s, review).await.map(Some),
        Command::Ack { payment } => return acknowledge(s, payment).await.map(Some),
        Command::Abandon { payment, reason } => return abandon(s, payment, reason).await.map(Some),
        Command::Resume { payment } => return resume(s, payment).await.map(Some),
        _ => return Ok(None),
    };
    leg(s, &ask).await.map(Some)
}

impl<'a> Ask<'a> {
    fn new(kind: &'static str, payment: &'a str, amount: Option<&'a str>, how: &'a LegOptions) -> Self {
        Self { kind, payment, amount, how }
    }
}

/// An amount as typed, in the payment's currency; nothing typed is all that is left, which is 0 on the bus.
pub fn minor(text: Option<&str>, currency: &str) -> Result<i64, Failure> {
    let Some(text) = text else { return Ok(0) };
    let currency: Currency = currency.parse().map_err(|_| {
        Failure::usage(format!(
            "tillctl does not know the currency {}: leave the amount away for all that is left",
            clean(currency)
        ))
    })?;
    let amount = Money::from_decimal(text, currency).map_err(|e| Failure::usage(e.to_string()))?;
    if !amount.is_positive() {
        return Err(Failure::usage("an amount is more than nothing; leave it away for all that is left"));
    }
    Ok(amount.minor())
}

async fn leg(s: &Session, ask: &Ask<'_>) -> Result<u8, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Listen first: nothing that happens from here on is missed.
    let mut events = Events::subscribe(&s.connection).await?;
    let id = s.payment_id(ask.payment).await?;
    let before = s.terminal().await?.find_payment(&id, Options::new()).await?;
    let amount = minor(ask.amount, &before.currency)?;
    let till = AfterSales1Proxy::new(&s.connection).await?;
    let mut options = s.options();
    for (name, value) in [("key", &ask.how.key), ("reason", &ask.how.reason)] {
        if let Some(value) = value {
            options.insert(name, value.as_str().into());
        }
    }
    if let Some(attempt) = ask.how.attempt {
        options.insert("attempt", attempt.into());
    }
    let number = match ask.kind {
        "refund" => till.refund(&id, amount, options).await,
        "void" => till.void(&id, options).await,
        "capture" => till.capture(&id, amount, options).await,
        _ => till.release(&id, options).await,
    }?;
    if ask.how.no_wait {
        let line = format!("{} {number}: `tillctl show {id}`", s.look.kind(ask.kind));
        s.did(&line, &json!({ "id": id, "leg": number }))?;
        return Ok(DONE);
    }
    let path = paths::payment(&id)?;
    let mut told = String::new();
    let mut gone_since: Option<tokio::time::Instant> = None;
    loop {
        match s.terminal().await?.find_payment(&id, Options::new()).await {
            Ok(p) => {
                gone_since = None;
                if let Some(a) = p.attempts.iter().find(|a| a.attempt == number) {
                    let line = doing(&s.look, &p, a);
                    if line != told {
                        say(s, &line)?;
                        told = line;
                    }
                    if let Some(exit) = ended(&a.state) {
                        return finish(s, &p, a, exit);
                    }
                }
            }
            // It comes back, and goes on with the leg by itself.
            Err(Error::NotRunning { .. } | Error::NoAnswer | Error::Stopping(_)) => {
                let since = *gone_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() > COME_BACK {
                    return Err(left(&id, ask.kind, "tilld did not come back in time"));
                }
            }
            Err(e) => return Err(e.into()),
        }
        let news = async {
            while let Some(event) = events.next().await {
                if event.path == path || matches!(event.change, Change::DaemonCame | Change::DaemonGone) {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Err(left(&id, ask.kind, "it goes on without tillctl")),
            () = news => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

fn left(id: &str, kind: &str, why: &str) -> Failure {
    Failure {
        exit: UNKNOWN,
        code: "Unknown".into(),
        text: format!("the {kind} of payment {id} is not at its end: {why}"),
        hint: Some(format!("`tillctl show {id}` tells how it ended")),
    }
}

/// The exit code of a leg that is over.
fn ended(state: &str) -> Option<u8> {
    match state {
        "approved" => Some(DONE),
        "declined" | "not-sent" | "reversed" => Some(NO_MONEY),
        "review" => Some(UNKNOWN),
        _ => None,
    }
}

/// What becomes of a leg, for people.
pub fn doing(look: &Look, p: &PaymentDetails, a: &AttemptDetails) -> String {
    let kind = look.kind(a.kind.as_deref().unwrap_or_default());
    let amount = look.money(a.amount.unwrap_or_default(), &p.currency);
    let what = match a.state.as_str() {
        _ if a.wants_card == Some(true) => {
            look.say("present the card that paid once more", "请再次出示付款的原卡")
        }
        "created" => look.say("preparing", "准备中"),
        "sent" => look.say("sent, waiting for the answer", "已发送，等待应答"),
        "approved" => look.say("done", "已完成"),
        "declined" => look.say("declined: no money moved", "已拒绝：资金未变动"),
        "not-sent" => look.say("not sent: nothing left the till", "未发送"),
        "querying" => look.say("no sure answer: asking the network", "结果未知：正在查询"),
        "reversing" => look.say("undoing it at the network", "正在冲正"),
        "reversed" => look.say("undone: no money moved", "已冲正：资金未变动"),
        "review" => look.say("not resolved: people decide (`tillctl review`)", "未决：待人工处理"),
        other => return format!("{} {kind} {amount}: {}", clean(&a.channel), clean(other)),
    };
    let text = look.say(a.text.as_deref().unwrap_or_default(), a.text_zh.as_deref().unwrap_or_default());
    let why = if text.is_empty() { String::new() } else { format!(" ({})", clean(text)) };
    format!("{} {kind} {amount}: {what}{why}", clean(&a.channel))
}

fn finish(s: &Session, p: &PaymentDetails, a: &AttemptDetails, exit: u8) -> Result<u8, Failure> {
    if s.json {
        let mut json = serde_json::to_value(p).map_err(std::io::Error::other)?;
        json["leg"] = json!(a.attempt);
        s.did("", &json)?;
        return Ok(exit);
    }
    let look = &s.look;
    let mut line = format!(
        "{}: {}; {} {}",
        look.say("payment", "交易"),
        look.state(&p.state),
        look.say("paid", "已付"),
        look.money(p.paid, &p.currency)
    );
    for (name, minor) in [
        (look.say("returned", "已退"), p.returned.unwrap_or_default()),
        (look.say("held", "预授权"), p.held.unwrap_or_default()),
    ] {
        if minor != 0 {
            line = format!("{line}, {name} {}", look.money(minor, &p.currency));
        }
    }
    write_out(&format!("{line}\n"))?;
    Ok(exit)
}

/// A line for people: on standard error when standard output is JSON.
fn say(s: &Session, line: &str) -> Result<(), Failure> {
    if s.json {
        eprintln!("{line}");
        return Ok(());
    }
    write_out(&format!("{line}\n"))
}

async fn reprint(s: &Session, payment: &str, receipt: Option<u64>) -> Result<u8, Failure> {
    let id = s.payment_id(payment).await?;
    let mut options = s.options();
    if let Some(receipt) = receipt {
        options.insert("receipt", receipt.into());
    }
    AfterSales1Proxy::new(&s.connection).await?.reprint(&id, options).await?;
    let line = s.look.say("a copy is being printed; `tillctl devices` shows the printer", "正在打印副本");
    s.did(line, &json!({ "id": id, "printing": true }))?;
    Ok(DONE)
}

async fn decide(s: &Session, review: &ReviewCommand) -> Result<u8, Failure> {
    let (ReviewCommand::Propose { case, .. } | ReviewCommand::Confirm { case }) = review;
    let Case { payment, attempt, verdict } = case;
    let id = s.payment_id(payment).await?;
    let till = AfterSales1Proxy::new(&s.connection).await?;
    let (attempt, verdict) = (*attempt, verdict.as_str());
    let line = match review {
        ReviewCommand::Propose { reason, .. } => {
            till.propose_review(&id, attempt, verdict, reason, s.options()).await?;
            s.look.say(
                "proposed; another person says the same with `tillctl review confirm`",
                "已提出；请另一人用 `tillctl review confirm` 确认",
            )
        }
        ReviewCommand::Confirm { .. } => {
            till.confirm_review(&id, attempt, verdict, s.options()).await?;
            s.look.say("decided", "已裁定")
        }
    };
    told(s, &id, line).await
}

async fn acknowledge(s: &Session, payment: &str) -> Result<u8, Failure> {
    let id = s.payment_id(payment).await?;
    AfterSales1Proxy::new(&s.connection).await?.acknowledge(&id, s.options()).await?;
    told(s, &id, s.look.say("the sale stands", "交易成立")).await
}

async fn abandon(s: &Session, payment: &str, reason: &str) -> Result<u8, Failure> {
    let id = s.payment_id(payment).await?;
    let path = paths::payment(&id)?;
    s.payment(&path).await?.abandon(reason, s.options()).await?;
    let line = s.look.say(
        "given up: it is undone in the background, another way to pay may begin",
        "已放弃：将在后台撤销，可改用其他方式支付",
    );
    told(s, &id, line).await
}

async fn resume(s: &Session, payment: &str) -> Result<u8, Failure> {
    let id = s.payment_id(payment).await?;
    let path = paths::payment(&id)?;
    s.payment(&path).await?.resume(s.options()).await?;
    told(s, &id, s.look.say("it goes on at this till", "已在本机继续")).await
}

/// Says what was done and how the payment stands now.
async fn told(s: &Session, id: &str, line: &str) -> Result<u8, Failure> {
    let p = s.terminal().await?.find_payment(id, Options::new()).await?;
    let look = &s.look;
    let mut text = format!("{line}; {}: {}", look.say("payment", "交易"), look.state(&p.state));
    if p.state == "part-paid" {
        let remains = look.money(p.remaining.unwrap_or_default(), &p.currency);
        text = format!("{text}, {} {remains}", look.say("remaining", "待付"));
    }
    s.did(&text, &json!({ "id": id, "state": p.state, "remaining": p.remaining }))?;
    Ok(DONE)
}
