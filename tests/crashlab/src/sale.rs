//! What happens at the till while the lab looks on: payments of every kind, one after the other, and callers in
//! parallel beside them; money that goes back; the end of a business day.

use till_dbus::{AfterSales1Proxy, Settlement1Proxy};
use till_powercut::Rng;
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{TRACKS, again, until, wallet_code};
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
    /// Cash or a wallet's code, and a part of it goes back.
    Refund,
    /// A card, taken back whole in the same batch.
    Void,
    /// The business day ends, and every channel's part of it is settled.
    Close,
}

impl Sale {
    /// One of all but the close of a day, cash more often.
    pub fn any(rng: &mut Rng) -> Self {
        match rng.below(14) {
            0 | 1 => Self::Wallet,
            2 => Self::WalletLost,
            3 => Self::Card,
            4 => Self::Cancelled,
            5 | 6 => Self::Drawers,
            7 => Self::Refund,
            8 => Self::Void,
            _ => Self::Cash,
        }
    }
}

/// Does it, up to where it ends. `number` makes codes differ.
pub async fn make(rig: &Rig, client: &Client, sale: Sale, number: u64) -> Result<(), LabError> {
    match sale {
        Sale::Drawers => return drawers(client).await,
        Sale::Close => return close(client).await,
        _ => {}
    }
    let payment = begin(rig, client, sale, number).await?;
    if sale == Sale::Cancelled {
        payment.cancel().await?;
        return Ok(());
    }
    let state = payment.wait(&["paid", "cancelled"]).await?;
    if state == "paid" && matches!(sale, Sale::Refund | Sale::Void) {
        give_back(rig, client, &payment.id(), sale).await?;
    }
    Ok(())
}

fn refused(e: &till_dbus::Error) -> LabError {
    LabError::Lab(format!("a front-end's call was refused: {e}"))
}

/// Gives money back, and waits until that has ended.
async fn give_back(rig: &Rig, client: &Client, payment: &str, sale: Sale) -> Result<(), LabError> {
    let after = AfterSales1Proxy::new(client.connection()).await?;
    let options = [("operator", "007".into()), ("reason", "crash lab".into())].into();
    let leg = match sale {
        Sale::Void => after.void(payment, options).await,
        _ => after.refund(payment, 100, options).await,
    };
    let leg = leg.map_err(|e| refused(&e))?;
    if sale == Sale::Void {
        // The network wants the card once more.
        rig.reader.swipe(&again(TRACKS)).map(drop).map_err(|e| LabError::Lab(e.to_string()))?;
    }
    let over = || async {
        let now = client.details(payment).await.ok()?;
        let state = &now.attempts.iter().find(|a| a.attempt == leg)?.state;
        (!["created", "sent", "querying", "reversing"].contains(&state.as_str())).then_some(())
    };
    Ok(until(&format!("leg {leg} of {payment}"), over).await?)
}

/// Ends the business day without waiting for its settlement; gives the batch, None when there was nothing to close.
pub async fn freeze(client: &Client) -> Result<Option<u32>, LabError> {
    let settlement = Settlement1Proxy::new(client.connection()).await?;
    let batch = settlement.close([("operator", "007".into())].into()).await.map_err(|e| refused(&e))?;
    Ok((batch > 0).then_some(batch))
}

async fn close(client: &Client) -> Result<(), LabError> {
    let Some(batch) = freeze(client).await? else { return Ok(()) };
    let settlement = Settlement1Proxy::new(client.connection()).await?;
    let closed = || async {
        let rows = settlement.list_batches(till_dbus::Options::new()).await.ok()?;
        rows.iter().any(|row| row.number == batch && row.state == "closed").then_some(())
    };
    Ok(until(&format!("batch {batch} is closed"), closed).await?)
}

/// Does it up to where the customer has paid, or nearly; its end is not waited for.
pub async fn begin(rig: &Rig, client: &Client, sale: Sale, number: u64) -> Result<PaymentClient, LabError> {
    let lab = |e: &dyn std::fmt::Display| LabError::Lab(e.to_string());
    let amount = 1_000 + i64::try_from(number % 5_000).unwrap_or(0);
    let payment = client.ready(amount).await?;
    match sale {
        Sale::Cash => payment.pay_cash(10_000).await?,
        Sale::Refund if number.is_multiple_of(2) => payment.pay_cash(10_000).await?,
        Sale::Wallet | Sale::Refund => payment.pay_code(&wallet_code(number)).await?,
        Sale::WalletLost => {
            let rule = Rule::once("alipay.trade.pay", Fault::DropAfterBooking {});
            rig.gateway.faults().add(rule).map_err(|e| lab(&e))?;
            payment.pay_code(&wallet_code(number)).await?;
        }
        Sale::Card | Sale::Void => rig.reader.swipe(&again(TRACKS)).map_err(|e| lab(&e)).map(drop)?,
        Sale::Cancelled | Sale::Drawers | Sale::Close => {}
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
