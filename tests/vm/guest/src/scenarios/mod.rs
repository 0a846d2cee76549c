//! What a shop does with its devices, one file a kind of device.

mod card_data;
mod cash;
mod clock;
mod credentials;
mod cuts;
mod disk;
mod doctor;
mod drawer;
mod hid;
mod killed;
mod others;
mod plugging;
mod printer;
mod serial;
mod sleep;
mod soak;
mod wedge;

use std::time::Duration;

use crate::error::VmError;
use crate::till::Till;

/// Longest that a scenario may take; a round of plugging is one more of [`ROUND`], a sale of the soak one of [`SALE`].
const LONGEST: Duration = Duration::from_mins(10);
const ROUND: Duration = Duration::from_mins(1);
/// One of the soak's.
const SALE: Duration = Duration::from_secs(5);

/// Runs one by its name; a few words about it.
pub(crate) async fn run(name: &str, till: &Till) -> Result<String, VmError> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let rounds: u32 = number("TILL_VM_ROUNDS").unwrap_or(100);
    let payments: u32 = number("TILL_VM_PAYMENTS").unwrap_or(1_000);
    let longest = match name {
        "plugging" => LONGEST + ROUND * rounds,
        "soak" => LONGEST + SALE * payments,
        _ => LONGEST,
    };
    let scenario = async {
        match name {
            "cash" => cash::run(till).await,
            "card-data" => card_data::run(till).await,
            "clock" => clock::run(till).await,
            "credentials" => credentials::run(till).await,
            "cuts" => cuts::run(till, payments).await,
            "recovered" => cuts::recovered(till).await,
            "disk" => disk::run(till).await,
            "doctor" => doctor::run(till).await,
            "others" => others::run(till).await,
            "sleep" => sleep::run(till).await,
            "soak" => soak::run(till, payments).await,
            "drawer" => drawer::run(till).await,
            "wedge" => wedge::uinput(till).await,
            "wedge-usb" => wedge::usb(till).await,
            "wedge-two" => wedge::two_nodes(till).await,
            "hid-stripe" => hid::stripe(till).await,
            "hid-sealed" => hid::sealed(till).await,
            "hid-scanner" => hid::scanner(till).await,
            "hid-control" => hid::control(till).await,
            "serial" => serial::run(till).await,
            "printer" => printer::run(till).await,
            "printer-unplugged" => printer::unplugged(till).await,
            "printer-busy" => printer::busy(till).await,
            "killed" => killed::run(till).await,
            "storm" => plugging::storm(till).await,
            "plugging" => plugging::run(till, rounds).await,
            other => Err(VmError::wrong(format!("there is no scenario {other}"))),
        }
    };
    let over = VmError::wrong(format!("not over after {longest:?}"));
    tokio::time::timeout(longest, scenario).await.unwrap_or(Err(over))
}

/// A card that pays. The same amount with it twice would be asked about as a doubled sale, so amounts differ.
pub(crate) const CARD: &str = till_tests::scene::TRACKS;
