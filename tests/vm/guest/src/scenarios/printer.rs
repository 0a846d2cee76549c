//! A printer of USB class 07: taken from `usblp`, printed to, out of paper, pulled out in the middle of a receipt.

use std::fs;
use std::path::Path;

use nusb::MaybeFuture;
use till_simulators::printer::{Command, PrinterConfig, Receipt, VirtualPrinter};
use till_tests::PaymentClient;

use crate::bridge::Bridge;
use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::system;
use crate::till::{Till, site_rules};

const WHOLE: usize = usize::MAX;
const ID: (u16, u16) = (0x0416, 0x5011);
const PRINTER: &str = "[device.printer]\nplugin = \"org.tilld.printer\"\ntransport = { kind = \"udev\" }\n";
const KERNELS_NODE: &str = "/dev/usb/lp0";
/// Where the cable is pulled: bytes of a receipt that came to the paper.
const CUTS: [usize; 3] = [20, 150, 300];

/// A printer and its cable.
struct Printer {
    paper: VirtualPrinter,
    gadget: Gadget,
    cable: Option<Bridge>,
}

impl Printer {
    fn new() -> Result<Self, VmError> {
        let paper = VirtualPrinter::start(PrinterConfig::default()).map_err(VmError::wrong)?;
        let gadget = Gadget::new("printer", ID, "P1", Function::Printer)?;
        Ok(Self { paper, gadget, cable: None })
    }

    fn plug(&mut self, most: usize) -> Result<(), VmError> {
        self.gadget.plug()?;
        self.cable = Some(Bridge::printer(self.paper.addr(), &self.gadget.end()?, most)?);
        Ok(())
    }

    fn unplug(&mut self) -> Result<(), VmError> {
        self.cable = None;
        self.gadget.unplug()
    }

    /// Whole receipts with this number: printed once, printed as a second try.
    fn prints(&self, number: u64) -> (usize, usize) {
        let texts: Vec<String> = self.paper.receipts().iter().map(Receipt::text).collect();
        let of = |text: &&String| {
            let line = text.lines().find(|l| l.trim_start().starts_with("单号"));
            let said = line.and_then(|l| l.split_whitespace().last()?.parse::<u64>().ok());
            // The last line of a whole receipt; a torn one has none.
            said == Some(number) && text.contains("顾客存根")
        };
        let again = texts.iter().filter(of).filter(|t| t.contains("重新打印")).count();
        (texts.iter().filter(of).count() - again, again)
    }
}

async fn paid_cash(till: &Till, minor: i64) -> Result<PaymentClient, VmError> {
    let payment = till.sale(minor).await?;
    payment.pay_cash(minor).await?;
    payment.wait(&["paid"]).await?;
    Ok(payment)
}

/// The receipt's number, once the till says that it is on paper.
async fn on_paper(till: &Till, payment: &PaymentClient) -> Result<u64, VmError> {
    let id = payment.id();
    till.until(&format!("the receipt of {id} is on paper"), || async {
        till.client.details(&id).await.is_ok_and(|d| d.receipt_printed.unwrap_or(false))
    })
    .await?;
    Ok(till.client.details(&id).await?.receipt.unwrap_or(0))
}

/// Which kernel driver has the printer's interface.
fn driver() -> Option<String> {
    let interfaces = fs::read_dir("/sys/bus/usb/devices").ok()?.flatten();
    let printer = interfaces.map(|e| e.path()).find(|path| {
        fs::read_to_string(path.join("bInterfaceClass")).is_ok_and(|class| class.trim() == "07")
    })?;
    Some(fs::read_link(printer.join("driver")).ok()?.file_name()?.to_string_lossy().into_owned())
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    till.devices("").await?;
    let mut printer = Printer::new()?;
    printer.plug(WHOLE)?;
    till.until("the kernel's usblp has the printer", || async { Path::new(KERNELS_NODE).exists() }).await?;
    claim(driver().as_deref() == Some("usblp"), format!("{:?} has the printer, not usblp", driver()))?;
    till.devices(PRINTER).await?;
    till.device("printer", "ready").await?;
    claim(driver().as_deref() == Some("usbfs"), format!("{:?} has the printer, not tilld", driver()))?;
    claim(!Path::new(KERNELS_NODE).exists(), "usblp's node is still there")?;

    let number = on_paper(till, &paid_cash(till, 4_100).await?).await?;
    claim(printer.prints(number) == (1, 0), format!("receipt {number}: {:?}", printer.prints(number)))?;
    claim(printer.paper.unknown().is_empty(), "bytes reached the printer that are no commands")?;

    printer.paper.command(&Command::Paper { lines: 7 });
    let payment = paid_cash(till, 4_200).await?;
    till.device("printer", "blocked").await?;
    let (_, why) = till.client.device("printer").await?;
    claim(why.contains("paper"), format!("out of paper is told as: {why}"))?;
    printer.paper.command(&Command::Refill { lines: None });
    let number = on_paper(till, &payment).await?;
    till.device("printer", "ready").await?;
    let (first, again) = printer.prints(number);
    claim(
        first + again >= 1 && first <= 1,
        format!("receipt {number} after paper out: {first}, {again} again"),
    )?;

    // Who stops tilld and prints from elsewhere finds the printer where it was.
    system::run("systemctl", &["stop", "tilld.service"])?;
    till.until("usblp has the printer back", || async { Path::new(KERNELS_NODE).exists() }).await?;
    Ok("2 receipts, paper out and back, usblp away and back".into())
}

/// The cable in the middle of a receipt.
pub(super) async fn unplugged(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    till.devices(PRINTER).await?;
    let mut printer = Printer::new()?;
    printer.plug(WHOLE)?;
    till.device("printer", "ready").await?;
    for (n, most) in CUTS.into_iter().enumerate() {
        printer.unplug()?;
        till.device("printer", "offline").await?;
        // Status questions of the start are bytes too: counted from the receipt's begin.
        printer.plug(WHOLE)?;
        till.device("printer", "ready").await?;
        let asked = printer.cable.as_ref().map_or(0, Bridge::passed);
        printer.cable = None;
        printer.cable = Some(Bridge::printer(printer.paper.addr(), &printer.gadget.end()?, most)?);
        let payment = paid_cash(till, 4_300 + i64::try_from(n).unwrap_or(0)).await?;
        let came = || async { printer.cable.as_ref().is_some_and(|c| c.passed() >= most) };
        till.until(&format!("{most} bytes on paper ({asked} before)"), came).await?;
        printer.unplug()?;
        till.device("printer", "offline").await?;
        claim(payment.state().await? == "paid", "a printer's cable moved a payment")?;
        printer.plug(WHOLE)?;
        let number = on_paper(till, &payment).await?;
        let (first, again) = printer.prints(number);
        claim(
            first + again == 1,
            format!("receipt {number}, cut after {most}: {first} whole, {again} whole again"),
        )?;
        let papers: Vec<String> = printer.paper.receipts().iter().map(Receipt::text).collect();
        claim(papers.iter().all(|p| p.matches("单号").count() <= 1), "two receipts on one piece of paper")?;
    }
    Ok(format!("pulled out after {CUTS:?} bytes: each receipt whole once"))
}

/// Another program has the printer: said, and taken as soon as it is let go.
pub(super) async fn busy(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    till.devices("").await?;
    let mut printer = Printer::new()?;
    printer.plug(WHOLE)?;
    till.until("the kernel's usblp has the printer", || async { Path::new(KERNELS_NODE).exists() }).await?;
    let node = node()?;
    let claimed = || -> Result<nusb::Interface, Box<dyn std::error::Error>> {
        let file = fs::File::options().read(true).write(true).open(&node)?;
        Ok(nusb::Device::from_fd(file.into()).wait()?.detach_and_claim_interface(0).wait()?)
    };
    let other = claimed().map_err(VmError::wrong)?;
    till.devices(PRINTER).await?;
    till.until("it is said that another program has the printer", || async {
        till.client
            .device("printer")
            .await
            .is_ok_and(|(state, why)| state != "ready" && why.contains("in use by another"))
    })
    .await?;
    let payment = paid_cash(till, 4_400).await?;
    drop(other);
    till.device("printer", "ready").await?;
    let number = on_paper(till, &payment).await?;
    claim(printer.prints(number) == (1, 0), format!("receipt {number}: {:?}", printer.prints(number)))?;
    Ok("told, and taken when it was free".into())
}

/// The printer's node below `/dev/bus/usb`.
fn node() -> Result<String, VmError> {
    let devices = fs::read_dir("/sys/bus/usb/devices").map_err(VmError::file("/sys/bus/usb/devices"))?;
    let vendor = format!("{:04x}", ID.0);
    let say =
        |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap_or_default().trim().to_owned();
    let mut paths = devices.flatten().map(|e| e.path());
    let device =
        paths.find(|path| say(path, "idVendor") == vendor).ok_or_else(|| VmError::wrong("no printer"))?;
    Ok(format!("/dev/bus/usb/{:0>3}/{:0>3}", say(&device, "busnum"), say(&device, "devnum")))
}
