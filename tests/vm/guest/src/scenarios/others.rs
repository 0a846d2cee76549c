//! `kill -9` of what tilld stands on and of what stands on it: plugins' processes, udevd, and the system bus, each while a card is at the
//! bank. Each card is booked once, and its payment is paid.

use rustix::process::Signal;
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Swipe;
use till_tests::scene::PATIENCE;

use super::CARD;
use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::keyboard::swipe_usb;
use crate::system;
use crate::till::{Till, site_rules};

const DEVICES: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n";

/// Who is killed.
#[derive(Clone, Copy)]
enum Victim {
    Host(&'static str),
    Unit(&'static str),
}

impl Victim {
    fn kill(self) -> Result<(), VmError> {
        match self {
            Self::Host(library) => system::signal(system::host(library)?, Signal::KILL),
            Self::Unit(unit) => drop(system::run("systemctl", &["kill", "--signal=KILL", unit])?),
        }
        Ok(())
    }
}

const VICTIMS: [(Victim, &str); 4] = [
    (Victim::Host("libtill_driver_magstripe.so"), "the reader's process"),
    (Victim::Unit("systemd-udevd.service"), "udevd"),
    (Victim::Host("libtill_channel_bankcard.so"), "the bank card channel's process"),
    (Victim::Unit("dbus.service"), "the system bus"),
];

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let mut reader = Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?;
    reader.plug()?;
    till.devices(DEVICES).await?;
    let faults = till.acquirer.faults();
    for (n, (victim, who)) in VICTIMS.into_iter().enumerate() {
        let client = till.front_end().await?;
        let ready = |client: till_tests::Client| async move {
            client.device("reader").await.is_ok_and(|d| d.0 == "ready")
                && client.channel("bankcard").await.is_ok_and(|c| c.0 == "ready")
        };
        till.until("reader and bank are ready", || ready(client.clone())).await?;
        let standing = till.standing();
        let payment = client.ready(7_100 + i64::try_from(n).unwrap_or(0)).await?;
        let fired = faults.fired().len();
        faults.add(Rule::once("sale", Fault::HoldReply {})).map_err(VmError::wrong)?;
        let end = reader.end()?;
        let mut asked = false;
        for _ in 0..5 {
            swipe_usb(&end, &Swipe::new(CARD), usize::MAX)?;
            asked = faults.wait_fired(fired + 1, PATIENCE / 4);
            if asked {
                break;
            }
        }
        claim(asked, format!("before {who} is killed: no card came to the bank"))?;
        victim.kill()?;
        faults.release();
        let id = payment.id();
        // Its answer is either read, or lost: then the sale is reversed.
        let outcome = || async {
            let now = till.front_end().await.ok()?;
            let attempt = now.details(&id).await.ok()?.attempts.pop()?;
            ["approved", "reversed"].contains(&attempt.state.as_str()).then_some(attempt.state)
        };
        till.until(&format!("after {who} was killed it is known what became of the sale"), || async {
            outcome().await.is_some()
        })
        .await?;
        let now = till.front_end().await?;
        let paid = outcome().await.is_some_and(|o| o == "approved");
        let want = standing + usize::from(paid);
        till.until(&format!("after {who} was killed our books and the bank's are the same"), || async {
            till.standing() == want
        })
        .await?;
        // And it goes on.
        let mine = now.clone();
        till.until(&format!("after {who} was killed all is there again"), || ready(mine.clone())).await?;
        if now.details(&id).await?.state == "ready" {
            now.payment(payment.path.clone()).cancel().await?;
        }
        let next = now.ready(7_200 + i64::try_from(n).unwrap_or(0)).await?;
        till.pays(&next, || swipe_usb(&end, &Swipe::new(CARD), usize::MAX)).await?;
    }
    let (records, problems) = till.front_end().await?.verify_journal().await?;
    claim(problems.is_empty(), format!("the journal has problems: {problems:?}"))?;
    Ok(format!("{} killed, {records} records", VICTIMS.len()))
}
