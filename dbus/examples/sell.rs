//! Sells something for cash: what a till screen does in its core. `cargo run -p till-dbus --example sell`.
//!
//! `TILLD_BUS` names the bus, as for tillctl.

use till_dbus::events::{Change, Events};
use till_dbus::{Bus, Error, Options, Payment1Proxy, Terminal1Proxy, connect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // Amounts are whole minor units: 12850 is CNY 128.50. Money is never a floating-point number.
    let (amount, tendered) = (12_850, 15_000);

    let connection = connect::connect(&Bus::from_env(), connect::TIMEOUT).await?;
    let mut events = Events::subscribe(&connection).await?; // listen first, act second

    let till = Terminal1Proxy::new(&connection).await?;
    // The key makes a repeat safe: after a crash the same call gives the same payment.
    let key = format!("example-{}", std::process::id());
    let options = Options::from([("key", key.as_str().into()), ("subject", "2 coffee".into())]);
    let path = till.open_payment(amount, "CNY", options).await?;
    let payment = Payment1Proxy::new(&connection, &path).await?;
    payment.confirm_amount(amount, "CNY", Options::new()).await?;
    if let Err(refused) = payment.pay_cash(tendered, Options::new()).await {
        println!("{}: {refused}", refused.code());
        payment.cancel(Options::new()).await?;
    }
    while let Some(event) = events.next().await {
        match event.change {
            Change::PaymentState { old, new, reason, .. } if event.path == path => {
                println!("{old} -> {new} {reason}");
                match new.as_str() {
                    "paid" => break,
                    "cancelled" | "review" => return Ok(()),
                    _ => {}
                }
            }
            Change::DaemonGone => println!("tilld stopped; the payment goes on when it is back"),
            _ => {}
        }
    }
    println!("{}", payment.receipt_text(Options::new()).await?);
    Ok(())
}
