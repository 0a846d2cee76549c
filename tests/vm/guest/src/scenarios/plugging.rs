//! In and out, over and over: what is held at the end is what was held at the beginning.

use std::time::Duration;

use till_tests::scene::again;

use super::CARD;
use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::keyboard::swipe_usb;
use crate::system::{Held, held};
use crate::till::{Till, site_rules};

/// Rounds before the first look: caches fill.
const WARM: u32 = 5;
/// KiB that the daemon may have grown by, whatever the number of rounds.
const GROWTH: u64 = 4096;

const DEVICES: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n\
                       [device.scanner]\nplugin = \"org.tilld.scanner\"\ntransport = { kind = \"udev\" }\n\
                       [device.printer]\nplugin = \"org.tilld.printer\"\ntransport = { kind = \"udev\" }\n";
/// Times in or out.
const STORM: usize = 90;
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
    let mut gadgets = gadgets()?;
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

/// Nobody waits for anything: in and out at any moment of what the kernel, udev and tilld do about it.
pub(super) async fn storm(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    till.devices(DEVICES).await?;
    let mut gadgets = gadgets()?;
    // Pauses from 0 to 0.8 s, always the same ones: about the time from a plug to READY, and all that is less.
    let (mut random, mut pulls) = (1_u64, 0);
    for n in 0..STORM {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let gadget = &mut gadgets[n % IDS.len()];
        if gadget.plugged() {
            gadget.unplug()?;
            pulls += 1;
        } else {
            gadget.attach()?;
        }
        tokio::time::sleep(Duration::from_millis((random >> 33) % 800)).await;
    }
    for gadget in &mut gadgets {
        gadget.unplug()?;
    }
    for gadget in &mut gadgets {
        gadget.plug()?;
    }
    for id in IDS {
        till.device(id, "ready").await?;
    }
    let booked = till.booked();
    let payment = till.sale(5_200).await?;
    let end = gadgets[0].end()?;
    till.pays(&payment, || swipe_usb(&end, &again(CARD), usize::MAX)).await?;
    claim(till.booked() == booked + 1, "a card was booked twice")?;
    Ok(format!("{STORM} times in or out, {pulls} pulled at any moment: all devices back, and a card pays"))
}

fn gadgets() -> Result<[Gadget; 3], VmError> {
    Ok([
        Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?,
        Gadget::new("acm", (0x1eab, 0x0006), "N1", Function::Serial)?,
        Gadget::new("printer", (0x0416, 0x5011), "P1", Function::Printer)?,
    ])
}
