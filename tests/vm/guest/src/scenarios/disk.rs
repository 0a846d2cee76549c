//! The disk is full to the last byte while a wallet answers: what was begun is finished, nothing new is begun, and it is said why;
//! with room again the till sells, without anybody's doing.

use std::fs::{File, remove_file};
use std::io::Write;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{PATIENCE, refused, wallet_code};

use crate::error::{VmError, claim};
use crate::system;
use crate::till::Till;

/// On the file system of the till's state. Root may take what is kept back for root.
const FILLER: &str = "/var/lib/filler";

/// Takes all there is.
struct Full;

impl Full {
    fn make() -> Result<Self, VmError> {
        let path = Path::new(FILLER);
        let mut file = File::create(path).map_err(VmError::file(path))?;
        let mut taken = 0;
        for size in [64 << 20, 1 << 20, 4096_u64] {
            while fallocate(&file, FallocateFlags::empty(), taken, size).is_ok() {
                taken += size;
            }
        }
        // What lies in the last block of a file.
        while file.write_all(b"x").is_ok() && taken < 1 << 20 {
            taken += 1;
        }
        let full = Self;
        let left = system::run("stat", &["-f", "--format=%a", "/var/lib"])?;
        claim(left == "0", format!("{left} blocks are still free"))?;
        Ok(full)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _gone = remove_file(FILLER);
    }
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    till.devices("").await?;
    let before = till.wallet_booked();
    let first = till.wallet(1_000, 710_001).await?;
    let begun = till.sale(2_000).await?;
    let fired = till.gateway.faults().fired().len();
    till.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).map_err(VmError::wrong)?;
    begun.pay_code(&wallet_code(710_002)).await?;
    claim(till.gateway.faults().wait_fired(fired + 1, PATIENCE), "the gateway was not asked")?;
    let full = Full::make()?;
    till.gateway.faults().release();
    begun.wait(&["paid"]).await?;
    till.until("a new sale is refused for the journal's sake", || async {
        refused(till.client.open(3_000, "").await) == "JournalUnavailable"
    })
    .await?;
    let blockers = till.client.blockers().await?;
    claim(blockers.iter().any(|b| b.0 == "journal"), format!("nobody says why: {blockers:?}"))?;
    let doctor = system::said("tillctl", &["doctor"])?;
    claim(doctor.contains("disk"), format!("the doctor does not name the disk: {doctor}"))?;
    drop(full);
    till.until("with room again it sells", || async { till.client.open(3_000, "").await.is_ok() }).await?;
    till.devices("").await?;
    for (payment, what) in [(&first, "before"), (&begun, "meanwhile")] {
        let state = till.client.details(&payment.id()).await?.state;
        claim(state == "paid", format!("the sale of {what} is {state}"))?;
    }
    claim(till.wallet_booked() == before + 3_000, "the gateway's books are others than ours")?;
    till.cash(900).await?;
    Ok(format!("{} records", till.whole().await?))
}
