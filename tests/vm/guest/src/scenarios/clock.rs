//! The wall clock is set back ten years, and forward again, while the till sells: nothing waits for years, the order of the
//! payments stays that in which they were made, and the journal stays whole over a restart in the past.

use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{PATIENCE, wallet_code};

use crate::error::{VmError, claim};
use crate::system;
use crate::till::Till;

/// Seconds of ten years.
const YEARS: &str = "315576000";

/// So many seconds on or back.
fn step(sign: &str) -> Result<(), VmError> {
    system::run("sh", &["-c", &format!("date -s @$(($(date +%s) {sign} {YEARS}))")]).map(drop)
}

/// Back where it was, whatever happened.
struct Past;

impl Past {
    fn begin() -> Result<Self, VmError> {
        step("-")?;
        Ok(Self)
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        let _said = step("+");
    }
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    till.devices("").await?;
    let booked = till.wallet_booked();
    let mut order = vec![till.cash(1_010).await?];
    let asked = till.sale(1_020).await?;
    let fired = till.gateway.faults().fired().len();
    till.gateway
        .faults()
        .add(Rule::once("alipay.trade.pay", Fault::DropAfterBooking {}))
        .map_err(VmError::wrong)?;
    asked.pay_code(&wallet_code(720_001)).await?;
    claim(till.gateway.faults().wait_fired(fired + 1, PATIENCE), "the gateway was not asked")?;
    let past = Past::begin()?;
    // Its questions come after seconds, not after ten years.
    asked.wait(&["paid"]).await?;
    order.push(asked);
    order.push(till.wallet(1_030, 720_002).await?);
    till.devices("").await?;
    order.push(till.cash(1_040).await?);
    drop(past);
    order.push(till.wallet(1_050, 720_003).await?);
    claim(
        till.wallet_booked() == booked + 1_020 + 1_030 + 1_050,
        "the gateway's books are others than ours",
    )?;
    type Row = (String, String, i64, String, String, i64);
    let terminal = till.client.terminal().await?;
    let rows: Vec<Row> = terminal.call("ListPayments", &(5_u32, till_dbus::Options::new())).await?;
    let listed: Vec<&str> = rows.iter().map(|r| r.0.as_str()).collect();
    let made: Vec<String> = order.iter().rev().map(till_tests::PaymentClient::id).collect();
    claim(
        listed.len() == made.len() && listed.iter().zip(&made).all(|(l, m)| l.ends_with(m.as_str())),
        format!("the till lists {listed:?}, they were made as {made:?}, newest first"),
    )?;
    Ok(format!("{} records", till.whole().await?))
}
