//! In and out, over and over: what is held at the end is what was held at the beginning.

use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::system::{Held, held};
use crate::till::{Till, site_rules};

/// Rounds before the first look: caches fill.
const WARM: u32 = 5;
/// KiB that the daemon may have grown by, whatever the number of rounds.
const GROWTH: u64 = 4096;

const DEVICES: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n\
                       [device.scanner]\nplugin = \"org.tilld.scanner\"\ntransport = { kind = \"udev\" }\n\
                       [device.printer]\nplugin = \"org.tilld.printer\"\ntransport = { kind = \"udev\" }\n";
const IDS: [&str; 3] = ["reader", "scanner", "printer"];

async fn round(till: &Till, gadgets: &mut [Gadget]) -> Result<(), VmError> {
    for gadget in &mut *gadgets {
        gadget.plug()?;
    }
    for id in IDS {
        till.device(id, "ready").await?;
    }
    for gadget in &mut *gadgets {
        gadget.unplug()?;
    }
    for id in IDS {
        till.device(id, "offline").await?;
    }
    Ok(())
}

async fn quiet(till: &Till, wanted: impl Fn(Held) -> bool) -> Result<Held, VmError> {
    let _waited = till.until("what was held is let go", || async { held().is_ok_and(&wanted) }).await;
    held()
}

pub(super) async fn run(till: &Till, rounds: u32) -> Result<String, VmError> {
    site_rules("")?;
    till.devices(DEVICES).await?;
    let mut gadgets = [
        Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?,
        Gadget::new("acm", (0x1eab, 0x0006), "N1", Function::Serial)?,
        Gadget::new("printer", (0x0416, 0x5011), "P1", Function::Printer)?,
    ];
    for _ in 0..WARM {
        round(till, &mut gadgets).await?;
    }
    let before = quiet(till, |_| true).await?;
    for n in 0..rounds {
        round(till, &mut gadgets).await.map_err(|e| VmError::wrong(format!("round {n}: {e}")))?;
    }
    let after = quiet(till, |now| now.files <= before.files && now.processes <= before.processes).await?;
    let told = format!("{rounds} rounds of 3 devices, before {before:?}, after {after:?}");
    claim(after.files <= before.files, format!("files are left open: {told}"))?;
    claim(after.processes <= before.processes, format!("processes are left: {told}"))?;
    claim(after.memory <= before.memory + GROWTH, format!("memory grows: {told}"))?;
    let payment = till.sale(5_100).await?;
    payment.pay_cash(5_100).await?;
    payment.wait(&["paid"]).await?;
    Ok(told)
}
