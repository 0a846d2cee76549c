//! The guest's part of `tests/vm/cuts`: payments while the disk of the till's state is recorded, each told thing said to the host; and,
//! after a cut, a till that must know all of it.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write;

use till_dbus::events::{Change, Event};
use till_tests::Watch;

use super::soak::sell;
use crate::error::{VmError, claim};
use crate::system;
use crate::till::Till;

/// To the host: a line for each thing that a front-end was told.
const PORT: &str = "/dev/virtio-ports/org.tilld.acks";
/// Payments and the states that were told, one a line.
const EXPECTED: &str = "/payload/expected";
/// A day is closed, and the daemon killed, after so many sales.
const DAY: u32 = 20;
const KILL: u32 = 33;

/// Says to the host what a front-end was told.
struct Teller {
    watch: Watch,
    read: usize,
    port: File,
}

impl Teller {
    fn tell(&mut self) -> Result<(), VmError> {
        let line = |event: &Event| match &event.change {
            Change::PaymentState { new, seq, .. } => {
                let payment = event.path.as_str().rsplit("/p").next().unwrap_or_default();
                Some(format!("{seq} {payment} {new}\n"))
            }
            _ => None,
        };
        let read = self.read;
        let (lines, count) =
            self.watch.look(|seen| (seen.iter().skip(read).filter_map(line).collect::<String>(), seen.len()));
        self.read = count;
        self.port.write_all(lines.as_bytes()).and_then(|()| self.port.flush()).map_err(VmError::file(PORT))
    }
}

pub(super) async fn run(till: &Till, payments: u32) -> Result<String, VmError> {
    let port = OpenOptions::new().write(true).open(PORT).map_err(VmError::file(PORT))?;
    let mut teller = Teller { watch: till.watch().await?, read: 0, port };
    for number in 1..=payments {
        sell(till, number).await?;
        teller.tell()?;
        if number % DAY == 0 {
            super::soak::close_day(&till.client).await?;
        }
        if number % KILL == 0 {
            system::run("systemctl", &["reset-failed", "tilld.service"])?;
            let before = system::pid()?;
            system::run("systemctl", &["kill", "--kill-whom=main", "--signal=KILL", "tilld.service"])?;
            till.until("the unit starts tilld again", || async {
                system::pid().is_ok_and(|pid| pid != 0 && pid != before)
                    && till.client.channel("alipay").await.is_ok_and(|c| c.0 == "ready")
            })
            .await?;
        }
    }
    Ok(format!("{payments} sales, {} told", teller.read))
}

/// Of a till that stands on a disk which a cut left: each payment is what was told, and it sells.
pub(super) async fn recovered(till: &Till) -> Result<String, VmError> {
    let expected = read_to_string(EXPECTED).map_err(VmError::file(EXPECTED))?;
    let mut count = 0;
    for line in expected.lines() {
        let (payment, state) = line.split_once(' ').unwrap_or_default();
        let now = till
            .client
            .details(payment)
            .await
            .map_err(|e| VmError::wrong(format!("LOST: {payment}, {state}: {e}")))?;
        // What was under way is resolved, or given up by the restart, when nothing was on its way yet.
        let settled = ["paid", "cancelled"].contains(&state);
        claim(
            !settled || now.state == state,
            format!("LOST: {payment} was told to be {state} and is {}", now.state),
        )?;
        count += 1;
    }
    till.cash(990).await?;
    Ok(format!("{count} payments as they were told, {} records", till.whole().await?))
}
