//! Where a driver gets its device's report descriptor: from the kernel, through the transport's descriptor
//! (`TRANSPORT_FD_1`), or from a setting where the transport is no hidraw node (a simulated device, a recording).
#![allow(unsafe_code)]

use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Updater, ioctl, opcode};
use till_plugin::{Host, PluginError};

use crate::descriptor::{Descriptor, MAX_DESCRIPTOR};

/// `struct hidraw_report_descriptor` (linux/hidraw.h).
#[repr(C)]
struct RawDescriptor {
    size: u32,
    value: [u8; MAX_DESCRIPTOR],
}

/// `struct hidraw_devinfo` (linux/hidraw.h).
#[repr(C)]
struct RawInfo {
    bus: u32,
    vendor: u16,
    product: u16,
}

const GET_SIZE: rustix::ioctl::Opcode = opcode::read::<i32>(b'H', 1);
const GET_DESCRIPTOR: rustix::ioctl::Opcode = opcode::read::<RawDescriptor>(b'H', 2);
const GET_INFO: rustix::ioctl::Opcode = opcode::read::<RawInfo>(b'H', 3);

/// What is known of a HID device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its report descriptor.
    pub descriptor: Descriptor,
    /// USB vendor, where the kernel tells.
    pub vendor: Option<u16>,
}

/// The device behind the transport. `setting` is the descriptor in hex, or `auto` to ask the kernel.
pub fn device(host: &Host, setting: &str) -> Result<Device, PluginError> {
    let (bytes, vendor) = if setting == "auto" {
        let fd = host.transport_fd()?;
        let bytes = from_kernel(&fd).map_err(|e| {
            PluginError::settings(format!(
                "the kernel does not tell this device's report descriptor ({e}): it is no hidraw node; set \
                 `report-descriptor` to the descriptor in hex"
            ))
        })?;
        (bytes, vendor_of(&fd))
    } else {
        let digits: String = setting.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = hex::decode(digits).map_err(|_| {
            PluginError::settings("`report-descriptor`: give auto, or the descriptor's bytes in hex")
        })?;
        (bytes, None)
    };
    let descriptor = Descriptor::parse(&bytes).map_err(|fault| {
        PluginError::settings(format!("the device's report descriptor is unusable: {fault}"))
    })?;
    Ok(Device { descriptor, vendor })
}

/// Asks the kernel (`HIDIOCGRDESCSIZE`, `HIDIOCGRDESC`).
fn from_kernel(fd: impl AsFd) -> rustix::io::Result<Vec<u8>> {
    // SAFETY: HIDIOCGRDESCSIZE writes one int.
    let size = unsafe { ioctl(&fd, Getter::<GET_SIZE, i32>::new())? };
    let size = usize::try_from(size).unwrap_or(0).min(MAX_DESCRIPTOR);
    let mut raw =
        Box::new(RawDescriptor { size: u32::try_from(size).unwrap_or(0), value: [0; MAX_DESCRIPTOR] });
    // SAFETY: HIDIOCGRDESC reads `size` and writes at most that many bytes into `value`, which is the kernel's own limit long.
    unsafe { ioctl(&fd, Updater::<GET_DESCRIPTOR, RawDescriptor>::new(&mut raw))? };
    Ok(raw.value[..size].to_vec())
}

/// Asks the kernel (`HIDIOCGRAWINFO`).
fn vendor_of(fd: impl AsFd) -> Option<u16> {
    // SAFETY: HIDIOCGRAWINFO writes one `struct hidraw_devinfo`.
    let info = unsafe { ioctl(&fd, Getter::<GET_INFO, RawInfo>::new()) }.ok()?;
    let RawInfo { bus: _, vendor, product: _ } = info;
    Some(vendor)
}
