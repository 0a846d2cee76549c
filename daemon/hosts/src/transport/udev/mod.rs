//! Finds a device by what udev says of it, instead of by a path that changes with the socket it is plugged into.

mod database;
mod matching;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use till_plugin::host::TransportKind;

use super::{OpenError, TransportSpec, UsbClass, UsbSpec};
use matching::{Choice, Table, Wish};

/// Which device to look for, beyond what the plugin's manifest says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdevSpec {
    /// Further udev properties that must be equal: to tell two equal devices apart, or to name a device that the plugin
    /// does not know by itself. `TAG` stands for one of the device's tags.
    pub properties: BTreeMap<String, String>,
    /// Bits per second, where the device turns out to be a serial port; 0 stands for 9600.
    pub baud: u32,
}

impl UdevSpec {
    /// `udev`, with the properties where there are any.
    pub fn name(&self) -> String {
        match matching::words(&self.properties) {
            none if none.is_empty() => "udev".into(),
            words => format!("udev ({words})"),
        }
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// A transport that can be opened.
    pub(super) spec: TransportSpec,
    /// `udev: /dev/input/event3 (ID_SERIAL=…)`.
    pub(super) label: String,
}

/// Where to look, and for what.
#[derive(Copy, Clone, Debug)]
pub(super) struct Search<'a> {
    /// `/`, but in tests.
    pub(super) root: &'a Path,
    /// The plugin's match tables.
    pub(super) rules: &'a [Table],
    /// Transports that the plugin can use; `None`: any.
    pub(super) usable: Option<&'a [TransportKind]>,
}

impl Search<'_> {
    /// Looks, and again as long as udev is at work on what fits.
    pub(super) async fn find(self, spec: &UdevSpec) -> Result<Found, OpenError> {
        loop {
            let root = self.root.to_path_buf();
            let nodes = tokio::task::spawn_blocking(move || database::read(&root));
            let nodes = nodes.await.map_err(|e| OpenError::Other {
                path: self.root.join("run/udev/data"),
                detail: e.to_string(),
            })?;
            let nodes = nodes.ok_or_else(|| OpenError::NoUdev { path: self.root.join("run/udev/data") })?;
            match self.judge(spec, &nodes, now())? {
                Ok(found) => return Ok(found),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Judges what there is; the inner error is a time to wait.
    fn judge(
        self,
        spec: &UdevSpec,
        nodes: &[database::Node],
        now: u64,
    ) -> Result<Result<Found, Duration>, OpenError> {
        let wish = Wish { rules: self.rules, properties: &spec.properties, usable: self.usable };
        let one = match matching::choose(nodes, wish, now) {
            Choice::One(one) => one,
            Choice::Unsettled(wait) => return Ok(Err(wait)),
            Choice::Several(all) => return Err(several(&all)),
            Choice::None { ignored, unusable } => return Err(self.none(spec, &ignored, &unusable)),
        };
        let label = format!("udev: {}", matching::described(one.node, None));
        let (path, also) = matching::nodes_of(&one);
        let spec = match one.kind {
            TransportKind::Evdev => TransportSpec::Evdev { path, also },
            TransportKind::Serial => {
                TransportSpec::Serial { path, baud: if spec.baud == 0 { 9600 } else { spec.baud } }
            }
            TransportKind::Usb => TransportSpec::Usb(UsbSpec { path: Some(path), ..UsbSpec::default() }),
            TransportKind::Ccid => TransportSpec::Usb(UsbSpec {
                what: UsbClass::CardReader,
                path: Some(path),
                ..UsbSpec::default()
            }),
            kind => TransportSpec::Device { path, kind },
        };
        Ok(Ok(Found { spec, label }))
    }

    fn none(self, spec: &UdevSpec, ignored: &[&Path], unusable: &[(&Path, TransportKind)]) -> OpenError {
        if let Some(node) = ignored.first() {
            return OpenError::Ignored { path: node.into() };
        }
        if let Some((node, kind)) = unusable.first() {
            return OpenError::Unusable { path: node.into(), kind: kind.as_str() };
        }
        /// Tables that are written out; a line of text has an end.
        const SHOWN: usize = 4;
        let mut known: Vec<String> = self.rules.iter().take(SHOWN).map(matching::words).collect();
        if self.rules.len() > SHOWN {
            known.push(format!("and {} more", self.rules.len() - SHOWN));
        }
        let wanted = match matching::words(&spec.properties) {
            none if none.is_empty() => "the plugin's rules".into(),
            words if self.rules.is_empty() => words,
            words => format!("{words} and the plugin's rules"),
        };
        let known = if known.is_empty() { "none by itself".into() } else { known.join("; ") };
        OpenError::NoDevice { wanted, known }
    }
}

fn several(all: &[matching::Candidate<'_>]) -> OpenError {
    const SHOWN: usize = 4;
    let key = matching::told_apart_by(all);
    let mut nodes: Vec<String> = all.iter().take(SHOWN).map(|c| matching::described(c.node, key)).collect();
    if all.len() > SHOWN {
        nodes.push(format!("and {} more", all.len() - SHOWN));
    }
    let first = all.first().zip(key).and_then(|(c, key)| Some((key, matching::text(c.node, key)?)));
    let fix = match first {
        Some((key, value)) => {
            format!("say which one in tilld.toml, such as properties = {{ {key} = {value:?} }}")
        }
        None => "udev knows nothing that differs between them: mark one with a udev rule of your own and name that \
                 mark in `properties`, or unplug the others"
            .into(),
    };
    OpenError::Several { nodes: nodes.join(", "), fix }
}

/// udev's clock, microseconds.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let part = |n: i64| u64::try_from(n).unwrap_or_default();
    part(now.tv_sec).saturating_mul(1_000_000).saturating_add(part(now.tv_nsec) / 1_000)
}
