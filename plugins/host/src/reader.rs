//! The thread that reads frames: answers pings while the plugin works, hands on calls, and ends the process with the
//! daemon.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use till_plugin::proto::{FrameBuffer, FromHost, ToHost};
use till_plugin::{ErrorCode, PluginError};
use zeroize::{Zeroize, Zeroizing};

use crate::shared::{Answer, Call, Shared, Work};
use crate::{end, exit};

/// Reads until the daemon ends.
pub(crate) fn read(shared: &'static Shared, mut input: UnixStream) -> ! {
    let mut frames = FrameBuffer::new();
    let mut bytes = [0_u8; 8 * 1024];
    loop {
        let n = match input.read(&mut bytes) {
            Ok(0) => end(exit::LINK),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => end(exit::LINK),
        };
        frames.push(&bytes[..n]);
        bytes[..n].zeroize();
        loop {
            match frames.take::<ToHost>() {
                Ok(Some(message)) => handle(shared, message),
                Ok(None) => break,
                Err(e) => {
                    eprintln!("till-plugin-host: {e}");
                    end(exit::LINK);
                }
            }
        }
    }
}

fn handle(shared: &'static Shared, message: ToHost) {
    match message {
        ToHost::Create(create) => shared.push(Work::Create(create)),
        ToHost::Call { id, method, timeout_ms, payload } => shared.push(Work::Call(Call {
            id,
            method,
            deadline: Instant::now() + Duration::from_millis(timeout_ms.into()),
            payload: Zeroizing::new(payload),
        })),
        ToHost::Cancel { id } => {
            if shared.cancel(id) {
                let error = PluginError::new(ErrorCode::Cancelled, "cancelled before it began");
                shared.link.send(&FromHost::Reply { id, result: Err(error) });
            }
        }
        ToHost::Ping { nonce } => shared.link.send(&FromHost::Pong { nonce, busy_ms: shared.busy_ms() }),
        ToHost::StoreDone { id, error } => shared.answered(id, Answer::Stored(error)),
        ToHost::LogAppended { id, result } => shared.answered(id, Answer::Appended(result)),
        ToHost::LogTrimmed { id, result } => shared.answered(id, Answer::Trimmed(result)),
        ToHost::LogPage { id, result } => shared.answered(id, Answer::Page(result)),
        ToHost::Record { masking } => shared.tap.set(masking),
        ToHost::Stop => shared.push(Work::Stop),
    }
}
