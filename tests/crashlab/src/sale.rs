//! What happens at the till while the lab looks on: payments of every kind, one after the other, and callers in
//! parallel beside them.

use till_powercut::Rng;
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{TRACKS, again, wallet_code};
use till_tests::{Client, PaymentClient, Rig};

use crate::LabError;

/// Something a customer and a cashier do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sale {
    /// Cash, with change.
    Cash,
    /// A wallet's code.
    Wallet,
    /// A wallet's code whose answer is lost: asked for.
    WalletLost,
    /// A card.
    Card,
    /// Opened, confirmed, and given up.
    Cancelled,
    /// The drawer, by four callers at once: commits in groups.
    Drawers,
}

impl Sale {
    /// One of all, cash more often.
    pub fn any(rng: &mut Rng) -> Self {
        match rng.below(12) {
            0 | 1 => Self::Wallet,
            2 => Self::WalletLost,
            3 => Self::Card,
            4 => Self::Cancelled,
            5 | 6 => Self::Drawers,
            _ => Self::Cash,
        }
    }
}

/// Does it, up to where it ends. `number` makes codes differ.
pub async fn make(rig: &Rig, client: &Client, sale: Sale, number: u64) -> Result<(), LabError> {
    if sale == Sale::Drawers {
        return drawers(client).await;
    }
    let payment = begin(rig, client, sale, number).await?;
    match sale {
        Sale::Cancelled => payment.cancel().await?,
        _ => drop(payment.wait(&["paid", "cancelled"]).await?),
    }
    Ok(())
}

/// Does it up to where the customer has paid, or nearly; its end is not waited for.
pub async fn begin(rig: &Rig, client: &Client, sale: Sale, number: u64) -> Result<PaymentClient, LabError> {
    let lab = |e: &dyn std::fmt::Display| LabError::Lab(e.to_string());
    let amount = 1_000 + i64::try_from(number % 5_000).unwrap_or(0);
    let payment = client.ready(amount).await?;
    match sale {
        Sale::Cash => payment.pay_cash(10_000).await?,
        Sale::Wallet => payment.pay_code(&wallet_code(number)).await?,
        Sale::WalletLost => {
            let rule = Rule::once("alipay.trade.pay", Fault::DropAfterBooking {});
            rig.gateway.faults().add(rule).map_err(|e| lab(&e))?;
            payment.pay_code(&wallet_code(number)).await?;
        }
        Sale::Card => rig.reader.swipe(&again(TRACKS)).map_err(|e| lab(&e)).map(drop)?,
        Sale::Cancelled | Sale::Drawers => {}
    }
    Ok(payment)
}

async fn drawers(client: &Client) -> Result<(), LabError> {
    let callers = (0..4).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { open_drawer(&client).await })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.map_err(|e| LabError::Lab(e.to_string()))??;
    }
    Ok(())
}

async fn open_drawer(client: &Client) -> Result<(), LabError> {
    let options: std::collections::HashMap<&str, zbus::Variant<'_>> = std::collections::HashMap::new();
    client.terminal().await?.call::<_, _, ()>("OpenDrawer", &("crash-lab", options)).await?;
    Ok(())
}
