//! Readers and scanners of HID reports: found by udev, their report descriptor asked of the kernel.

use std::path::Path;
use std::time::Duration;

use till_simulators::hid::{HidScanner, HidStripe};
use till_tests::scene::wallet_code;

use super::CARD;
use crate::bridge::Bridge;
use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::till::{Till, site_rules};

const LONG: Duration = Duration::from_secs(20);
const WHOLE: usize = usize::MAX;
const READER: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n";
const SCANNER: &str = "[device.scanner]\nplugin = \"org.tilld.scanner\"\ntransport = { kind = \"udev\" }\n";

fn marked(id: (u16, u16), class: &str) -> String {
    format!(
        "SUBSYSTEM==\"hidraw\", ATTRS{{idVendor}}==\"{:04x}\", ATTRS{{idProduct}}==\"{:04x}\", ENV{{TILLD_CLASS}}=\"{class}\"\n",
        id.0, id.1
    )
}

fn reports(name: &str, id: (u16, u16), descriptor: String, longest: usize) -> Result<Gadget, VmError> {
    Gadget::new(name, id, "H1", Function::Reports { descriptor, longest, control: false })
}

/// A reader of usage page 8Eh: three length bytes and three tracks of 112.
pub(super) async fn stripe(till: &Till) -> Result<String, VmError> {
    let id = (0xf055, 0x0035);
    site_rules(&marked(id, "magstripe"))?;
    let twin = HidStripe::pos(Path::new("/run/vm-stripe.sock")).map_err(VmError::wrong)?;
    let mut gadget = reports("stripe", id, twin.descriptor(), 339)?;
    till.devices(READER).await?;
    gadget.plug()?;
    let cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
    till.device("reader", "ready").await?;
    let booked = till.booked();
    let draw = || twin.swipe(CARD, &[]).map(drop).map_err(VmError::wrong);
    let payment = till.sale(2_100).await?;
    till.pays(&payment, draw).await?;
    drop(cable);

    // Pulled out in the moment of the swipe: it has paid, or it has not; never twice, never half.
    let mut at_once = 0;
    for n in 0..3 {
        let cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
        let payment = till.sale(2_200 + n).await?;
        if n > 0 {
            draw()?;
        }
        gadget.unplug()?;
        drop(cable);
        till.device("reader", "offline").await?;
        gadget.plug()?;
        let cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
        till.device("reader", "ready").await?;
        if payment.state().await? == "ready" {
            till.pays(&payment, draw).await?;
        } else {
            at_once += 1;
            payment.wait(&["paid"]).await?;
        }
        drop(cable);
    }
    claim(till.booked() == booked + 4, format!("4 cards and {} booked", till.booked() - booked))?;
    Ok(format!("4 cards, pulled out 3 times ({at_once} had paid by then)"))
}

/// An encrypting MagTek, known by its ids: its swipe arrives whole, and no channel of ours takes it.
pub(super) async fn sealed(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let twin = HidStripe::magtek(Path::new("/run/vm-sealed.sock")).map_err(VmError::wrong)?;
    let mut gadget = reports("magtek", (0x0801, 0x0011), twin.descriptor(), 856)?;
    till.devices(READER).await?;
    gadget.plug()?;
    let cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
    till.device("reader", "ready").await?;
    let watch = till.watch().await?;
    let payment = till.sale(2_300).await?;
    let mut said = None;
    for _ in 0..5 {
        twin.swipe(CARD, &[]).map_err(VmError::wrong)?;
        if let Ok(refusal) = watch.refusal(0).await {
            said = Some(refusal);
            break;
        }
    }
    let Some((reason, text, _)) = said else { return Err(VmError::wrong("nobody was told of the swipe")) };
    claim(reason == "no-route" && text.contains("card-encrypted"), format!("{reason}: {text}"))?;
    payment.cancel().await?;
    drop(cable);
    Ok("its ciphertext reached the routing".into())
}

/// A scanner that has no endpoint for what it is told: the kernel uses the control pipe.
pub(super) async fn control(till: &Till) -> Result<String, VmError> {
    let id = (0xf055, 0x0037);
    site_rules(&marked(id, "scanner"))?;
    let twin = HidScanner::listen(Path::new("/run/vm-control.sock")).map_err(VmError::wrong)?;
    let kind = Function::Reports { descriptor: twin.descriptor(), longest: 62, control: true };
    let mut gadget = Gadget::new("hidctl", id, "H2", kind)?;
    till.devices(SCANNER).await?;
    gadget.plug()?;
    let cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
    till.device("scanner", "ready").await?;
    let payment = till.sale(2_700).await?;
    till.until("the scanner is started", || async { twin.triggered() }).await?;
    till.pays(&payment, || twin.scan(wallet_code(270), &[]).map(drop).map_err(VmError::wrong)).await?;
    till.until("the scanner is stopped", || async { !twin.triggered() }).await?;
    drop(cable);
    Ok("started, scanned, stopped".into())
}

/// A scanner of usage page 8Ch with triggers: reports in, reports out.
pub(super) async fn scanner(till: &Till) -> Result<String, VmError> {
    let id = (0xf055, 0x0036);
    site_rules(&marked(id, "scanner"))?;
    let twin = HidScanner::listen(Path::new("/run/vm-scanner.sock")).map_err(VmError::wrong)?;
    let mut gadget = reports("hidscan", id, twin.descriptor(), 62)?;
    till.devices(SCANNER).await?;
    gadget.plug()?;
    let mut cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
    till.device("scanner", "ready").await?;
    let payment = till.sale(2_400).await?;
    claim(twin.wait_triggered(1, LONG), "the till does not start the scanner when a payment waits")?;
    till.pays(&payment, || twin.scan(wallet_code(240), &[]).map(drop).map_err(VmError::wrong)).await?;
    claim(payment.channel().await? == "alipay", "the code was not charged by the wallet's channel")?;

    // A code of 120 bytes takes three reports: pulled out behind each of them.
    let long = format!("{}{}", wallet_code(241), "0".repeat(96));
    for most in 0..3 {
        drop(cable);
        cable = Bridge::reports(&twin.node().path(), &gadget.end()?, most)?;
        let payment = till.sale(2_500 + i64::try_from(most).unwrap_or(0)).await?;
        let triggered = || async { twin.triggered() };
        till.until("the scanner is started", triggered).await?;
        twin.scan(&long, &[]).map_err(VmError::wrong)?;
        till.until("so many reports went out", || async { cable.passed() >= most }).await?;
        gadget.unplug()?;
        till.device("scanner", "offline").await?;
        claim(payment.state().await? == "ready", "half a code moved a payment")?;
        drop(cable);
        gadget.plug()?;
        cable = Bridge::reports(&twin.node().path(), &gadget.end()?, WHOLE)?;
        till.device("scanner", "ready").await?;
        till.until("the scanner is started again for the payment that waits", || async { twin.triggered() })
            .await?;
        let code = wallet_code(250 + u64::try_from(most).unwrap_or(0));
        till.pays(&payment, || twin.scan(&code, &[]).map(drop).map_err(VmError::wrong)).await?;
    }
    till.until("the scanner is stopped", || async { !twin.triggered() }).await?;
    Ok("4 codes, pulled out behind 0, 1 and 2 of 3 reports, triggers heard".into())
}
