//! What is told of batches, their settlement and their fees.

use serde::{Deserialize, Serialize};
use zbus::Type;

/// A row of `ListBatches`: `(ussbs)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct BatchRow {
    /// Number.
    pub number: u32,
    /// Business date, `YYYY-MM-DD`; empty: not known.
    pub date: String,
    /// open, frozen, closed.
    pub state: String,
    /// Closed by the clock.
    pub automatic: bool,
    /// Who closed it.
    pub operator: String,
}

/// A row of `ListParts`: `(sussxuxus)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PartRow {
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// open, frozen, totals-sent, matched, mismatched, uploading …
    pub state: String,
    /// ISO 4217; empty: no money.
    pub currency: String,
    /// Taken, minor units.
    pub debits: i64,
    /// How many.
    #[serde(rename = "debit-count")]
    pub debit_count: u32,
    /// Given back, minor units.
    pub credits: i64,
    /// How many.
    #[serde(rename = "credit-count")]
    pub credit_count: u32,
    /// Why the settlement stopped; empty: it did not.
    pub reason: String,
}

/// A row of `ListPayouts`: `(susxxs)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PayoutRow {
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// ISO 4217.
    pub currency: String,
    /// What the channel takes, minor units.
    pub fee: i64,
    /// What is paid out, minor units; below zero: the shop owes it.
    pub net: i64,
    /// Day on which it comes, `YYYY-MM-DD`; empty: no cycle is configured.
    pub date: String,
}

/// A row of sums of `FeeReport`: `(susuxuxxuxxuxuu)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FeeRow {
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// ISO 4217.
    pub currency: String,
    /// Sales and completions; without those that were voided in the same batch.
    pub sales: u32,
    /// Their amount, minor units.
    pub amount: i64,
    /// Those whose fee was forecast.
    #[serde(rename = "forecast-sales")]
    pub forecast_sales: u32,
    /// Their amount, minor units.
    #[serde(rename = "forecast-amount")]
    pub forecast_amount: i64,
    /// Sum of the forecasts, minor units.
    pub forecast: i64,
    /// Those whose fee the network told.
    #[serde(rename = "charged-sales")]
    pub charged_sales: u32,
    /// Their amount, minor units.
    #[serde(rename = "charged-amount")]
    pub charged_amount: i64,
    /// Sum of the charges, minor units.
    pub charged: i64,
    /// Those of which both are known.
    pub compared: u32,
    /// How much more was charged for these than was forecast, minor units; below zero: less.
    pub difference: i64,
    /// How many of these differ by more than a rounding.
    pub unlike: u32,
    /// Voids.
    pub voids: u32,
}

/// A sale whose fee is not the forecast, a row of `FeeReport`: `(sususxxx)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FeeDifferenceRow {
    /// Payment, 32 hexadecimal digits.
    pub payment: String,
    /// Its attempt.
    pub attempt: u32,
    /// Channel.
    pub channel: String,
    /// Batch number of its network; 0: money carried over.
    pub network: u32,
    /// ISO 4217.
    pub currency: String,
    /// What was taken, minor units.
    pub amount: i64,
    /// Its fee as forecast, minor units.
    pub forecast: i64,
    /// Its fee as charged, minor units.
    pub charged: i64,
}

/// A row of `ListOperators`: `(ssxuxu)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct OperatorRow {
    /// Operator; empty: not said.
    pub operator: String,
    /// ISO 4217.
    pub currency: String,
    /// Taken, minor units.
    pub debits: i64,
    /// How many.
    #[serde(rename = "debit-count")]
    pub debit_count: u32,
    /// Given back, minor units.
    pub credits: i64,
    /// How many.
    #[serde(rename = "credit-count")]
    pub credit_count: u32,
}

/// A row of `ListExceptions`: `(ssusss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ExceptionRow {
    /// Channel.
    pub channel: String,
    /// Payment id; empty: the part as a whole.
    pub payment: String,
    /// Attempt; 0: none.
    pub attempt: u32,
    /// Lower-kebab.
    pub code: String,
    /// English.
    pub text: String,
    /// Chinese.
    #[serde(rename = "text-zh")]
    pub text_zh: String,
}
