//! A scanner on CDC-ACM: `/dev/ttyACM0` at the till's side, known by its USB ids.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use till_simulators::players::{Scan, ScanFault};
use till_tests::scene::wallet_code;

use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::till::{Till, site_rules};

const SCANNER: &str =
    "[device.scanner]\nplugin = \"org.tilld.scanner\"\ntransport = { kind = \"udev\", baud = 115200 }\n";
/// Where the cable is pulled, in bytes of the code of 18.
const CUTS: [usize; 4] = [0, 1, 9, 18];

/// The scanner's end of the line.
fn line(gadget: &Gadget) -> Result<File, VmError> {
    let end = gadget.end()?;
    let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(&end)
        .map_err(VmError::file(&end))?;
    let raw = || -> rustix::io::Result<()> {
        let mut termios = tcgetattr(&file)?;
        termios.make_raw();
        tcsetattr(&file, OptionalActions::Now, &termios)
    };
    raw().map_err(|e| VmError::file(&end)(e.into()))?;
    Ok(file)
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let mut gadget = Gadget::new("acm", (0x1eab, 0x0006), "N1", Function::Serial)?;
    till.devices(SCANNER).await?;
    gadget.plug()?;
    till.device("scanner", "ready").await?;
    let payment = till.sale(3_100).await?;
    let mut end = line(&gadget)?;
    let code = Scan::new(wallet_code(310));
    till.pays(&payment, || code.play(&mut end).map_err(VmError::wrong)).await?;
    claim(payment.channel().await? == "alipay", "the code was not charged by the wallet's channel")?;
    for (n, bytes) in CUTS.into_iter().enumerate() {
        let payment = till.sale(3_200 + i64::try_from(n).unwrap_or(0)).await?;
        let code = Scan::new(wallet_code(320 + u64::try_from(n).unwrap_or(0)));
        code.clone().with(ScanFault::Half { bytes }).play(&mut end).map_err(VmError::wrong)?;
        gadget.unplug()?;
        drop(end);
        till.device("scanner", "offline").await?;
        claim(payment.state().await? == "ready", format!("a code cut after {bytes} bytes moved a payment"))?;
        gadget.plug()?;
        till.device("scanner", "ready").await?;
        end = line(&gadget)?;
        till.pays(&payment, || code.play(&mut end).map_err(VmError::wrong)).await?;
    }
    Ok(format!("{} codes, pulled out after {CUTS:?} bytes", CUTS.len() + 1))
}
