//! The machine is put to sleep while a wallet answers: it sleeps only when the answer is on disk, and the till that wakes sells on.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{PATIENCE, wallet_code};

use crate::error::{VmError, claim};
use crate::system;
use crate::till::Till;

/// Seconds until the machine is woken.
const ALARM: &str = "20";

/// How long the machine has slept since it was started.
fn slept() -> Duration {
    let of = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    of(ClockId::Boottime).saturating_sub(of(ClockId::Monotonic))
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    till.devices("").await?;
    let booked = till.wallet_booked();
    let payment = till.sale(1_510).await?;
    let fired = till.gateway.faults().fired().len();
    till.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).map_err(VmError::wrong)?;
    payment.pay_code(&wallet_code(740_001)).await?;
    claim(till.gateway.faults().wait_fired(fired + 1, PATIENCE), "the gateway was not asked")?;
    let before = slept();
    system::run("rtcwake", &["--mode", "no", "--seconds", ALARM])?;
    system::run("systemctl", &["suspend", "--no-block"])?;
    let locks = || system::said("systemd-inhibit", &["--list", "--no-pager"]);
    claim(locks()?.contains("tilld"), "nothing delays the sleep")?;
    till.gateway.faults().release();
    till.until("the machine has slept", || async { slept() > before + Duration::from_secs(1) }).await?;
    let night = slept().saturating_sub(before);
    payment.wait(&["paid"]).await?;
    claim(till.wallet_booked() == booked + 1_510, "the gateway's books are others than ours")?;
    till.wallet(1_520, 740_002).await?;
    till.cash(1_530).await?;
    Ok(format!("slept {night:.1?}, {} records", till.whole().await?))
}
