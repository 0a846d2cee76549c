//! The socket beside a simulated device over which `till-sim scan` and `till-sim swipe` reach it.
//!
//! One line in, one line back (`ok …` or `error …`). A line is the code or the tracks themselves, or JSON with faults:
//! `{"data":"6212…","faults":[{"kind":"half","bytes":9}]}`.

use super::scanner::{Scan, ScanFault};
use super::swipe::{Swipe, SwipeFault};
use super::{DeviceError, LinkGuard};
use crate::hid::{HidScanFault, StripeFault};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// A line that orders nothing. Its text is not repeated: it may hold card data.
#[derive(Debug, Error)]
#[error("not an order: {what}; write the code or tracks alone, or JSON with \"data\" and \"faults\"")]
pub struct NotAnOrder {
    what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order<F> {
    data: String,
    #[serde(default)]
    gap_us: Option<u64>,
    /// Behind a scan; CR LF where absent.
    #[serde(default)]
    suffix: Option<String>,
    #[serde(default = "Vec::new")]
    faults: Vec<F>,
}

fn order<F: DeserializeOwned>(line: &str) -> Result<Order<F>, NotAnOrder> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(NotAnOrder { what: "the line is empty".into() });
    }
    if !line.starts_with('{') {
        return Ok(Order { data: line.into(), gap_us: None, suffix: None, faults: Vec::new() });
    }
    // serde's own text may quote the line; only the place is passed on.
    serde_json::from_str(line)
        .map_err(|e| NotAnOrder { what: ["the JSON is wrong at column ", &e.column().to_string()].concat() })
}

/// Reads a scan order.
pub fn scan_order(line: &str) -> Result<Scan, NotAnOrder> {
    let order = order::<ScanFault>(line)?;
    let mut scan = Scan::new(order.data);
    scan.gap = order.gap_us.map_or(scan.gap, Duration::from_micros);
    scan.suffix = order.suffix.map_or(scan.suffix, String::into_bytes);
    scan.faults = order.faults;
    Ok(scan)
}

/// Reads a swipe order.
pub fn swipe_order(line: &str) -> Result<Swipe, NotAnOrder> {
    let order = order::<SwipeFault>(line)?;
    let mut swipe = Swipe::new(order.data);
    swipe.key_gap = order.gap_us.map_or(swipe.key_gap, Duration::from_micros);
    swipe.faults = order.faults;
    Ok(swipe)
}

/// Reads a swipe order for a HID reader.
pub fn hid_swipe_order(line: &str) -> Result<(String, Vec<StripeFault>), NotAnOrder> {
    order::<StripeFault>(line).map(|order| (order.data, order.faults))
}

/// Reads a scan order for a HID scanner.
pub fn hid_scan_order(line: &str) -> Result<(String, Vec<HidScanFault>), NotAnOrder> {
    order::<HidScanFault>(line).map(|order| (order.data, order.faults))
}

/// Where the control socket of a device stands: the device's path with `.ctl` behind it.
pub fn path_for(device: &Path) -> PathBuf {
    let mut name = device.as_os_str().to_owned();
    name.push(".ctl");
    name.into()
}

/// Serves orders on a thread until the process ends. The guard removes the socket.
pub fn serve<F>(device: &Path, carry_out: F) -> Result<LinkGuard, DeviceError>
where
    F: Fn(&str) -> Result<String, String> + Send + 'static,
{
    let path = path_for(device);
    let guard = LinkGuard::replace(&path)?;
    let failed = |source| DeviceError::Open { path: path.clone(), source };
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let Ok(read) = stream.try_clone() else { continue };
            for line in BufReader::new(read).lines().map_while(Result::ok) {
                let answer = match carry_out(&line) {
                    Ok(text) => ["ok ", &text, "\n"].concat(),
                    Err(text) => ["error ", &text, "\n"].concat(),
                };
                if (&stream).write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    };
    std::thread::Builder::new().name("orders".into()).spawn(serve).map_err(failed)?;
    Ok(guard)
}

/// Sends one order to a running device and waits until it is carried out.
pub fn send(device: &Path, line: &str) -> Result<String, DeviceError> {
    let path = path_for(device);
    let failed = |source| DeviceError::Open { path: path.clone(), source };
    let stream = UnixStream::connect(&path).map_err(failed)?;
    (&stream).write_all([line, "\n"].concat().as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).map_err(failed)?;
    match answer.trim_end().split_once(' ') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some((_, text)) => Err(DeviceError::Refused { text: text.to_owned() }),
        None => Err(DeviceError::Refused { text: "no answer".into() }),
    }
}
