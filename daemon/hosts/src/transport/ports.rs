//! The ports of one supervisor: opened for one instance each, and watched for what is plugged in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use till_plugin::manifest::DriverManifest;
use tokio::sync::watch;

use super::replay::{self, Positions};
use super::udev::Search;
use super::{OpenError, OpenTransport, TransportSpec, appear};

type Taken = Arc<Mutex<BTreeMap<PathBuf, String>>>;

/// Opens transports for instances.
#[derive(Debug)]
pub(crate) struct Ports {
    root: PathBuf,
    taken: Taken,
    watching: Once,
    news: watch::Sender<u64>,
    replays: Positions,
}

impl Ports {
    /// Ports of the machine whose `/dev`, `/sys` and `/run` are below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            taken: Taken::default(),
            watching: Once::new(),
            news: watch::Sender::new(0),
            replays: Positions::default(),
        }
    }

    /// What tells that something was plugged in. Watching begins with the first call; needs a tokio runtime.
    pub(crate) fn appeared(&self) -> Appeared {
        self.watching.call_once(|| appear::start(self.root.clone(), self.news.clone()));
        Appeared(self.news.subscribe())
    }

    /// Opens a transport for an instance; nobody else gets its nodes until it is dropped.
    pub(crate) async fn open(
        &self,
        instance: &str,
        spec: &TransportSpec,
        driver: Option<&DriverManifest>,
        timeout: Duration,
    ) -> Result<OpenTransport, OpenError> {
        let found = match spec {
            TransportSpec::Udev(wish) => {
                let search = Search {
                    root: &self.root,
                    rules: driver.map_or(&[], |d| &d.matches),
                    usable: driver.map(|d| d.transports.as_slice()),
                };
                Some(search.find(wish).await?)
            }
            _ => None,
        };
        let spec = found.as_ref().map_or(spec, |f| &f.spec);
        let claim = self.claim(instance, spec)?;
        let mut transport = match spec {
            TransportSpec::Replay { path } => replay::open(path, &self.replays)?,
            spec => spec.open(timeout).await?,
        };
        transport.claim = Some(claim);
        if let Some(found) = found {
            transport.label = found.label;
        }
        Ok(transport)
    }

    fn claim(&self, instance: &str, spec: &TransportSpec) -> Result<Claim, OpenError> {
        // A link in /dev/serial/by-id and the node it leads to are one port.
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let mut nodes: Vec<PathBuf> = spec.nodes().into_iter().map(real).collect();
        if let TransportSpec::I2c { path, address } = spec {
            // The bus is shared; an address of it is not.
            nodes.push(real(path).join(format!("{address:#04x}")));
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((node, by)) = nodes.iter().find_map(|n| Some((n, taken.get(n)?))) {
            return Err(OpenError::Taken { path: node.clone(), device: by.clone() });
        }
        taken.extend(nodes.iter().map(|n| (n.clone(), instance.to_owned())));
        Ok(Claim { nodes, taken: self.taken.clone() })
    }
}

impl TransportSpec {
    /// Nodes that two devices cannot share.
    fn nodes(&self) -> Vec<&PathBuf> {
        match self {
            Self::Serial { path, .. } | Self::Device { path, .. } | Self::Spi { path, .. } => vec![path],
            Self::Usb(printer) => printer.path.iter().collect(),
            Self::Evdev { path, also } => [path].into_iter().chain(also).collect(),
            // Drawer and lamps share a GPIO chip; the kernel gives no line to two.
            Self::Tcp { .. }
            | Self::Unix { .. }
            | Self::Replay { .. }
            | Self::Udev(_)
            | Self::I2c { .. }
            | Self::Gpio { .. } => Vec::new(),
        }
    }

    /// Whether plugging something in may help.
    pub(crate) const fn is_plugged(&self) -> bool {
        matches!(
            self,
            Self::Serial { .. }
                | Self::Device { .. }
                | Self::Evdev { .. }
                | Self::Udev(_)
                | Self::Usb(_)
                | Self::I2c { .. }
                | Self::Spi { .. }
                | Self::Gpio { .. }
        )
    }
}

/// Nodes that are an instance's, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    nodes: Vec<PathBuf>,
    taken: Taken,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for node in &self.nodes {
            taken.remove::<Path>(node);
        }
    }
}

/// Tells that something was plugged in. What came between two looks is not lost.
#[derive(Clone, Debug)]
pub(crate) struct Appeared(watch::Receiver<u64>);

impl Appeared {
    /// From here on: what came before is in what is looked at next.
    pub(crate) fn mark(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits for news since the mark.
    pub(crate) async fn wait(mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
