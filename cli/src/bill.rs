//! `bill` and `find`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::json;
use till_dbus::types::PaymentRow;
use till_dbus::{AfterSales1Proxy, Options};
use till_plugin::{Currency, Money};

use crate::args::Bill;
use crate::exit::Failure;
use crate::look::{Look, clean};
use crate::session::{Session, write_out};
use crate::view;

/// A bill as the command line asks for it, checked.
pub(crate) struct Asked {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    min: Option<i64>,
    max: Option<i64>,
}

/// Checks the command line.
pub(crate) fn asked(args: &Bill, zone: &TimeZone) -> Result<Asked, Failure> {
    let currency = args.currency.map_or_else(|| "CNY".parse::<Currency>(), Ok);
    let currency = currency.map_err(|e| Failure::usage(e.to_string()))?;
    let money = |text: &Option<String>| -> Result<Option<i64>, Failure> {
        let read = |t: &String| Money::from_decimal(t, currency).map_err(|e| Failure::usage(e.to_string()));
        Ok(text.as_ref().map(read).transpose()?.map(Money::minor))
    };
    Ok(Asked {
        from_ms: args.from.as_deref().map(|t| moment(t, zone, false)).transpose()?,
        to_ms: args.to.as_deref().map(|t| moment(t, zone, true)).transpose()?,
        min: money(&args.min)?,
        max: money(&args.max)?,
    })
}

/// A day or a time of the shop as Unix ms; a day's `end` is its last millisecond.
pub fn moment(text: &str, zone: &TimeZone, end: bool) -> Result<i64, Failure> {
    let wrong = |e: jiff::Error| {
        let shown = clean(text);
        Failure::usage(format!("{shown:?} is no day or time ({e}): write 2026-11-22 or 2026-11-22T08:00"))
    };
    if text.contains(['T', ' ']) {
        let at: DateTime = text.parse().map_err(wrong)?;
        return Ok(at.to_zoned(zone.clone()).map_err(wrong)?.timestamp().as_millisecond());
    }
    let day: Date = text.parse().map_err(wrong)?;
    let day = if end { day.tomorrow().map_err(wrong)? } else { day };
    let at = day.to_zoned(zone.clone()).map_err(wrong)?.timestamp().as_millisecond();
    Ok(if end { at.saturating_sub(1) } else { at })
}

/// Shows a bill.
pub(crate) async fn run(s: &Session, args: &Bill, asked: &Asked) -> Result<(), Failure> {
    let till = AfterSales1Proxy::new(&s.connection).await?;
    let wanted = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (mut rows, mut next) = (Vec::new(), args.after);
    loop {
        let limit = if args.all { 500 } else { u32::try_from(wanted - rows.len()).unwrap_or(1) };
        let (page, on) = till.bill(next, options(s, args, asked, limit)).await?;
        rows.extend(page);
        next = on;
        // A page may be empty and still not be the last one: the till looks at so many records a call.
        if next == 0 || (!args.all && rows.len() >= wanted) {
            break;
        }
    }
    s.show(&json!({ "payments": rows, "next": next }), |look| view::bill(look, &rows, next))
}

fn options<'a>(s: &'a Session, args: &'a Bill, asked: &Asked, limit: u32) -> Options<'a> {
    // With --operator: those that this person opened.
    let mut options = s.options();
    options.insert("limit", limit.into());
    for (name, value) in [("channel", &args.channel), ("state", &args.state)] {
        if let Some(value) = value {
            options.insert(name, value.as_str().into());
        }
    }
    let numbers =
        [("from-ms", asked.from_ms), ("to-ms", asked.to_ms), ("min", asked.min), ("max", asked.max)];
    for (name, value) in numbers {
        if let Some(value) = value {
            options.insert(name, value.into());
        }
    }
    options
}

/// Shows a receipt.
pub(crate) async fn receipt(s: &Session, payment: &str, number: Option<u64>) -> Result<(), Failure> {
    let id = s.payment_id(payment).await?;
    let mut options = Options::new();
    if let Some(number) = number {
        options.insert("receipt", number.into());
    }
    let receipt = AfterSales1Proxy::new(&s.connection).await?.receipt(&id, options).await?;
    s.show(&receipt, |_| {
        let lines = receipt.text.lines().map(clean).collect::<Vec<_>>().join("\n");
        format!("{lines}\n")
    })
}

/// Shows everything that happened to a payment.
pub(crate) async fn history(s: &Session, payment: &str) -> Result<(), Failure> {
    let id = s.payment_id(payment).await?;
    let steps = AfterSales1Proxy::new(&s.connection).await?.history(&id, Options::new()).await?;
    s.show(&json!({ "steps": steps }), |look| view::history(look, &steps))
}

/// Finds payments by a number.
pub(crate) async fn find(s: &Session, number: &str) -> Result<(), Failure> {
    let ids = AfterSales1Proxy::new(&s.connection).await?.find(number, Options::new()).await?;
    let till = s.terminal().await?;
    let mut rows = Vec::new();
    for id in &ids {
        let p = till.find_payment(id, Options::new()).await?;
        rows.push(PaymentRow {
            id: p.id,
            state: p.state,
            amount: p.amount,
            currency: p.currency,
            channel: p.attempts.last().map(|a| a.channel.clone()).unwrap_or_default(),
            opened_ms: p.opened_ms,
        });
    }
    if rows.is_empty() && !s.json {
        let none = |look: &Look| look.say("no payment carries this number", "没有此编号的交易").to_owned();
        return write_out(&format!("{}: {}\n", none(&s.look), clean(number)));
    }
    s.show(&json!({ "payments": rows }), |look| view::payments(look, &rows))
}
