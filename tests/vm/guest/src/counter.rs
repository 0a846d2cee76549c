//! The counter with a drawer on a simulated chip: what its line does, and what the till says of it.

use std::collections::HashMap;
use std::time::Duration;

use till_dbus::events::Change;
use till_tests::{PaymentClient, Watch};

use crate::chip::{Chip, pull};
use crate::error::{VmError, claim};
use crate::scope::{Pulse, Scope};
use crate::till::Till;

/// The relay's line, and that of the switch.
pub(crate) const RELAY: &str = "till-relay";
pub(crate) const SWITCH: &str = "till-switch";
/// So much later than told a process may come to its turn here.
const LATE: Duration = Duration::from_millis(150);

/// The counter, and what is to be seen of it.
pub(crate) struct Counter<'a> {
    pub(crate) till: &'a Till,
    pub(crate) chip: Chip,
    pub(crate) relay: Scope,
    watch: Watch,
    /// Pulses that there should have been.
    pub(crate) wanted: usize,
}

impl<'a> Counter<'a> {
    /// With this chip.
    pub(crate) async fn new(till: &'a Till, chip: Chip) -> Result<Self, VmError> {
        let relay = Scope::on(&chip.file(RELAY, "value")?)?;
        Ok(Self { till, chip, relay, watch: till.watch().await?, wanted: 0 })
    }

    /// The drawer springs open when the line rises, as one does that is not locked.
    pub(crate) fn springs(&self) -> Result<(), VmError> {
        let switch = self.chip.file(SWITCH, "pull")?;
        self.relay.at_rise(move || drop(pull(&switch, true)));
        Ok(())
    }

    /// Somebody shuts it.
    pub(crate) fn shut(&self) -> Result<(), VmError> {
        pull(&self.chip.file(SWITCH, "pull")?, false)
    }

    /// One pulse more than before, and no other; the newest.
    pub(crate) async fn pulse(&mut self) -> Result<Pulse, VmError> {
        self.wanted += 1;
        let wanted = self.wanted;
        self.till
            .until(&format!("pulse {wanted}"), || async {
                self.relay.pulses().is_ok_and(|p| p.len() >= wanted)
            })
            .await?;
        let pulses = self.relay.pulses()?;
        claim(pulses.len() == wanted, format!("{} pulses, and {wanted} openings", pulses.len()))?;
        claim(!self.chip.level(RELAY)?, "the relay's line is still high")?;
        pulses.last().copied().ok_or_else(|| VmError::wrong("no pulse"))
    }

    /// A pulse of this length.
    pub(crate) async fn pulse_of(&mut self, wanted: Duration) -> Result<Pulse, VmError> {
        let pulse = self.pulse().await?;
        let (least, most) = (pulse.least(), pulse.most());
        claim(most >= wanted, format!("the pulse was {most:.0?} at most, {wanted:?} is configured"))?;
        claim(
            least <= wanted + LATE,
            format!("the pulse was {least:.0?} at least, {wanted:?} is configured"),
        )?;
        Ok(pulse)
    }

    /// How often the till says that the drawer was opened.
    pub(crate) async fn opened(&self) -> Result<u64, VmError> {
        let path = "/org/tilld/Till1/device/drawer";
        let device = self.till.client.proxy(path, "org.tilld.Device1").await?;
        let (counters, _): (HashMap<String, u64>, i64) =
            device.call("Statistics", &(till_dbus::Options::new(),)).await?;
        Ok(counters.get("opened").copied().unwrap_or(0))
    }

    /// It says this count, and no more.
    pub(crate) async fn opened_is(&self, count: u64) -> Result<(), VmError> {
        let what = format!("the till says that the drawer was opened {count} times");
        self.till.until(&what, || async { self.opened().await.is_ok_and(|n| n >= count) }).await?;
        let now = self.opened().await?;
        claim(now == count, format!("{what}: it says {now}"))
    }

    /// Alarms about the drawer that say this.
    pub(crate) fn alarms(&self, part: &str) -> usize {
        self.watch.look(|seen| {
            let says = |change: &Change| {
                matches!(change, Change::Alarm { code, text, .. } if code == "drawer" && text.contains(part))
            };
            seen.iter().filter(|event| says(&event.change)).count()
        })
    }

    /// Waits for one.
    pub(crate) async fn alarm(&self, part: &str) -> Result<(), VmError> {
        self.till.until(&format!("an alarm says {part:?}"), || async { self.alarms(part) > 0 }).await
    }

    /// A sale.
    pub(crate) async fn paid_cash(&self, minor: i64) -> Result<PaymentClient, VmError> {
        let payment = self.till.sale(minor).await?;
        payment.pay_cash(minor).await?;
        payment.wait(&["paid"]).await?;
        Ok(payment)
    }
}
