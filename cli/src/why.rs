//! `explain` and `what-if`: why a channel was chosen, and which one would be.

use serde_json::json;
use till_dbus::Options;
use till_plugin::Money;

use crate::args::WhatIf;
use crate::exit::Failure;
use crate::look::{Tone, clean, line};
use crate::session::Session;
use crate::{bill, view};

/// Why each attempt of a payment went to its channel.
pub(crate) async fn explain(s: &Session, payment: &str) -> Result<(), Failure> {
    let id = s.payment_id(payment).await?;
    let rows = s.terminal().await?.explain(&id, Options::new()).await?;
    s.show(&json!({ "id": id, "decisions": rows }), |look| view::decisions(look, &rows))
}

/// Which channel would take it.
pub(crate) async fn what_if(s: &Session, args: &WhatIf) -> Result<(), Failure> {
    let amount =
        Money::from_decimal(&args.amount, args.currency).map_err(|e| Failure::usage(e.to_string()))?;
    let mut options = Options::new();
    if let Some(at) = &args.at {
        options.insert("at", bill::moment(at, &s.look.zone, false)?.into());
    }
    options.insert("purpose", args.purpose.as_str().into());
    for (name, value) in [("account", &args.account), ("channel", &args.channel), ("operator", &s.operator)] {
        if let Some(value) = value {
            options.insert(name, value.as_str().into());
        }
    }
    let till = s.terminal().await?;
    let code = args.currency.code();
    let (channel, text, text_zh, decision, instead) =
        till.what_if(amount.minor(), code, &args.family, options).await?;
    let record: serde_json::Value = serde_json::from_str(&decision).unwrap_or_default();
    let json = json!({
        "channel": channel, "text": text, "text-zh": text_zh, "decision": record, "instead": instead,
    });
    s.show(&json, |look| {
        let mut out = view::lines(look, look.say(&text, &text_zh));
        if !instead.is_empty() {
            let title = look.say("this till would take too", "也可用");
            line(&mut out, &look.paint(title, Tone::Strong));
        }
        for other in &instead {
            let fee = match other.fee {
                fee if fee < 0 => String::new(),
                fee => format!("  {} {}", look.say("fee", "费用"), look.money(fee, code)),
            };
            line(&mut out, &format!("  {}  {}{fee}", clean(&other.family), clean(&other.channel)));
        }
        out
    })
}
