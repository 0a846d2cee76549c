//! Packets to transactions and back, until one end is gone.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use till_plugin::bus::{Cause, Fault, PACKET, Reply, Request};
use zeroize::{Zeroize, Zeroizing};

use super::{Wire, WireError};

/// Runs. `Ok`: the plugin's end was closed.
pub(super) fn run(line: &OwnedFd, mut wire: impl Wire) -> Result<(), String> {
    // One byte more than any packet: a longer one is seen to be longer.
    let mut buffer = Zeroizing::new(vec![0; PACKET + 1]);
    loop {
        let count = match recv(line, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(()),
            Ok((count, _)) => count,
            Err(Errno::INTR) => continue,
            Err(e) => return Err(format!("the plugin's end of the line failed: {e}")),
        };
        let Some(packet) = buffer.get_mut(..count) else { return Ok(()) };
        let reply = answer(packet, &mut wire);
        packet.zeroize();
        let reply = reply?.encode();
        match send(line, &reply, SendFlags::NOSIGNAL) {
            Ok(_) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
            Err(e) => return Err(format!("the plugin's end of the line failed: {e}")),
        }
    }
}

/// What a packet comes to. An error: the bus is gone.
pub(super) fn answer(packet: &[u8], wire: &mut impl Wire) -> Result<Reply, String> {
    let number = packet.first().copied().unwrap_or_default();
    let result = match Request::decode(packet) {
        Err(e) => Err(Fault { cause: Cause::Refused, text: e.to_string() }),
        Ok(request) => match wire.run(&request) {
            Ok(read) => Ok(read),
            Err(WireError::Fault(fault)) => Err(fault),
            Err(WireError::Gone(reason)) => return Err(reason),
        },
    };
    Ok(Reply { number, result })
}
