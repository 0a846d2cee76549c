//! Claims: a front-end has a scanner for itself between payments (goods, members, coupons).
//!
//! Payments come first: while one has the readers, a claim waits; what is read then is the payment's. A payment code never
//! goes to a claim, and only scanners can be claimed: what other readers read is a card.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use till_core::recognise::{Recognised, Table, recognise};
use till_plugin::Instrument;
use till_plugin::driver::class;
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

/// Longest line of a code: a pipe takes it whole or not at all (`PIPE_BUF`).
const MAX_LINE: usize = 4096;

/// Why a claim does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    /// Somebody else has it.
    #[error(
        "the device {device} is claimed by {who}; it is free when that client releases it or leaves the bus"
    )]
    Held {
        /// Which.
        device: String,
        /// Unique name and user.
        who: String,
    },
    /// It is not for front-ends.
    #[error("the device {device} is no scanner: what it reads or does is the till's business alone")]
    NoScanner {
        /// Which.
        device: String,
    },
    /// Not claimed by the caller.
    #[error("claim the device {device} first")]
    NotClaimed {
        /// Which.
        device: String,
    },
    /// No pipe.
    #[error("no pipe for the codes of {device}: {detail}")]
    Pipe {
        /// Which.
        device: String,
        /// Why.
        detail: String,
    },
}

struct Claim {
    owner: String,
    who: String,
    /// Where codes go; None: claimed, not enabled.
    codes: Option<PipeWriter>,
    /// Dropped with the claim: whoever watches over its owner is let go.
    _ends: oneshot::Sender<()>,
}

/// All claims.
pub(crate) struct Claims {
    held: Mutex<BTreeMap<String, Claim>>,
    changed: watch::Sender<u64>,
    table: Table,
}

impl Claims {
    pub(super) fn new(table: Table) -> Self {
        Self { held: Mutex::default(), changed: watch::Sender::new(0), table }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Claim>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// Tells that some claim changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Claims a device; what is given ends with the claim. None: the caller has it already.
    pub(crate) fn take(
        &self,
        device: &str,
        classes: &[String],
        owner: &str,
        who: &str,
    ) -> Result<Option<oneshot::Receiver<()>>, ClaimError> {
        // A device that also reads cards is none that anybody gets.
        if classes.is_empty() || classes.iter().any(|c| c != class::SCANNER) {
            return Err(ClaimError::NoScanner { device: device.into() });
        }
        let mut held = self.lock();
        match held.get(device) {
            Some(claim) if claim.owner == owner => Ok(None),
            Some(claim) => Err(ClaimError::Held { device: device.into(), who: claim.who.clone() }),
            None => {
                let (ends, ended) = oneshot::channel();
                let claim = Claim { owner: owner.into(), who: who.into(), codes: None, _ends: ends };
                held.insert(device.into(), claim);
                Ok(Some(ended))
            }
        }
    }

    fn with<T>(&self, device: &str, owner: &str, f: impl FnOnce(&mut Claim) -> T) -> Result<T, ClaimError> {
        owned(&mut self.lock(), device, owner).map(f)
    }

    /// Gives a device back; its pipe ends.
    pub(crate) fn release(&self, device: &str, owner: &str) -> Result<(), ClaimError> {
        let mut held = self.lock();
        owned(&mut held, device, owner)?;
        held.remove(device);
        drop(held);
        self.tell();
        Ok(())
    }

    /// Codes come out of this pipe from now on, one JSON line each; an earlier pipe ends.
    pub(crate) fn enable(&self, device: &str, owner: &str) -> Result<OwnedFd, ClaimError> {
        let made = io::pipe().and_then(|(reader, writer)| {
            fcntl_setfl(&writer, fcntl_getfl(&writer)? | OFlags::NONBLOCK)?;
            Ok((reader, writer))
        });
        let (reader, writer) =
            made.map_err(|e| ClaimError::Pipe { device: device.into(), detail: e.to_string() })?;
        self.with(device, owner, |claim| claim.codes = Some(writer))?;
        self.tell();
        Ok(reader.into())
    }

    /// No codes any more; the claim stays.
    pub(crate) fn disable(&self, device: &str, owner: &str) -> Result<(), ClaimError> {
        self.with(device, owner, |claim| claim.codes = None)?;
        self.tell();
        Ok(())
    }

    /// Unique name of who has a device; empty: nobody.
    pub(crate) fn owner(&self, device: &str) -> String {
        self.lock().get(device).map(|c| c.owner.clone()).unwrap_or_default()
    }

    /// Whether the device is to read for its claim.
    pub(super) fn wants(&self, device: &str) -> bool {
        self.lock().get(device).is_some_and(|c| c.codes.is_some())
    }

    /// What something presented is, by this till's table.
    pub(crate) fn recognise(&self, instrument: &Instrument) -> Recognised {
        recognise(instrument, &self.table)
    }

    /// Something was read while no payment had the readers.
    pub(super) fn deliver(&self, device: &str, instrument: &Instrument) {
        let Instrument::Code(code) = instrument else { return };
        let goes = match recognise(instrument, &self.table) {
            Recognised::Goods | Recognised::Unknown { .. } => true,
            // A credential that pays: it is presented again when there is a payment.
            Recognised::Instrument { .. } | Recognised::Ambiguous { .. } | Recognised::Refused { .. } => {
                false
            }
        };
        if !goes {
            tracing::info!(DEVICE = device, "a payment code was scanned with no payment open: not passed on");
            return;
        }
        let json = serde_json::json!({ "text": code.text.expose(), "symbology": code.symbology });
        let line = Zeroizing::new(format!("{json}\n"));
        let mut held = self.lock();
        let Some(claim) = held.get_mut(device) else { return };
        let Some(pipe) = claim.codes.as_mut() else { return };
        if line.len() > MAX_LINE {
            tracing::warn!(DEVICE = device, "a code of {} bytes is too long for its claim", line.len());
            return;
        }
        match pipe.write_all(line.as_bytes()) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                tracing::warn!(DEVICE = device, "{} does not read its codes; one is dropped", claim.who);
            }
            // It closed its end: as good as disabled.
            Err(_) => {
                claim.codes = None;
                drop(held);
                self.tell();
            }
        }
    }
}

fn owned<'a>(
    held: &'a mut BTreeMap<String, Claim>,
    device: &str,
    owner: &str,
) -> Result<&'a mut Claim, ClaimError> {
    match held.get_mut(device) {
        Some(claim) if claim.owner == owner => Ok(claim),
        Some(claim) => Err(ClaimError::Held { device: device.into(), who: claim.who.clone() }),
        None => Err(ClaimError::NotClaimed { device: device.into() }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[test]
    fn a_claim_that_is_given_back_is_watched_no_more_and_a_late_release_takes_nobodys() {
        let claims = Claims::new(Table::default());
        let scanner = [class::SCANNER.to_owned()];
        let take = |owner: &str| claims.take("s", &scanner, owner, owner).unwrap();
        let mut first = take(":1.1").unwrap();
        assert!(take(":1.1").is_none(), "one claim, one watch");
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        claims.release("s", ":1.1").unwrap();
        assert_eq!(first.try_recv(), Err(TryRecvError::Closed), "a watch a claim would pile up");
        let second = take(":1.2");
        assert!(matches!(claims.release("s", ":1.1"), Err(ClaimError::Held { .. })));
        assert_eq!((claims.owner("s"), second.is_some()), (":1.2".to_owned(), true));
    }
}
