//! `kill -9` of the daemon while a reader is grabbed and a printer claimed: the kernel lets both go, the unit starts again, and
//! the sale that waited is paid.

use till_simulators::players::Swipe;

use super::CARD;
use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::keyboard::swipe_usb;
use crate::system;
use crate::till::{Till, site_rules};

const DEVICES: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n\
                       [device.printer]\nplugin = \"org.tilld.printer\"\ntransport = { kind = \"udev\" }\n";
const TIMES: i64 = 3;

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let mut reader = Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?;
    // Nobody prints with it: claimed is what counts.
    let mut printer = Gadget::new("printer", (0x0416, 0x5011), "P1", Function::Printer)?;
    reader.plug()?;
    printer.plug()?;
    till.devices(DEVICES).await?;
    let ids = ["reader", "printer"];
    for id in ids {
        till.device(id, "ready").await?;
    }
    let booked = till.booked();
    for n in 0..TIMES {
        let before = system::pid()?;
        system::run("systemctl", &["kill", "--kill-whom=main", "--signal=KILL", "tilld.service"])?;
        till.until("the unit starts tilld again", || async {
            system::pid().is_ok_and(|pid| pid != 0 && pid != before) && till.client.is_up().await
        })
        .await?;
        for id in ids {
            till.device(id, "ready").await?;
        }
        let channel = || async { till.client.channel("bankcard").await.is_ok_and(|c| c.0 == "ready") };
        till.until("the bank's channel is there", channel).await?;
        let payment = till.sale(6_100 + n).await?;
        let end = reader.end()?;
        till.pays(&payment, || swipe_usb(&end, &Swipe::new(CARD), usize::MAX)).await?;
        let count = usize::try_from(n).unwrap_or(0) + 1;
        claim(till.booked() == booked + count, "a card was booked twice, or not at all")?;
    }
    let (records, problems) = till.client.verify_journal().await?;
    claim(problems.is_empty(), format!("the journal has problems: {problems:?}"))?;
    Ok(format!("{TIMES} times, {records} records"))
}
