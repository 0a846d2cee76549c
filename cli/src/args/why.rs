//! What can be asked about the choice of a channel.

use clap::{Args, ValueEnum};
use till_plugin::Currency;

use super::currency;

/// Options of `what-if`; --operator: who would sell.
#[derive(Args)]
pub struct WhatIf {
    /// How much: digits with a point, such as 128.50.
    pub amount: String,
    /// What would be presented: card-stripe, card-contactless, qr-alipay, qr-wechat, cash …
    pub family: String,
    /// ISO 4217 code.
    #[arg(long, default_value = "CNY", value_parser = currency)]
    pub currency: Currency,
    /// At this time (the shop's own): 2026-12-01T01:00 [default: now].
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// How the card begins, at most six digits.
    #[arg(long, value_name = "DIGITS")]
    pub account: Option<String>,
    /// As if this channel had been chosen.
    #[arg(long)]
    pub channel: Option<String>,
    /// A sale or a pre-authorisation.
    #[arg(long, default_value = "sale")]
    pub purpose: Purpose,
}

/// What a payment is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// A sale.
    Sale,
    /// A pre-authorisation.
    Hold,
}

impl Purpose {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Hold => "hold",
        }
    }
}
