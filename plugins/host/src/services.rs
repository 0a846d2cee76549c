//! The services behind [`HostV1::service`].

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use till_plugin::PluginError;
use till_plugin::host::{LogEntry, LogError, StoreError, TransportError, WriteError};
use till_plugin::proto::service::{self, LogLine, LogReadRequest, ReadRequest, WriteRequest};
use till_plugin::proto::{FromHost, MAX_LOG_ENTRY, MAX_READ, MAX_STORE, decode, encode};
use till_plugin_abi1::HostV1;
use till_plugin_abi1::abi_stable::std_types::{RResult, RSlice, RVec};
use zeroize::Zeroize;

use crate::clock;
use crate::shared::{Answer, Shared, lock, state};
use crate::transport::deadline;
use crate::wake::Woken;

/// Longest that the daemon may take to answer.
const DAEMON_PATIENCE: Duration = Duration::from_secs(10);

/// What is handed to the plugin.
pub(crate) const fn host() -> HostV1 {
    HostV1 { context: 0, service }
}

extern "C" fn service(_context: usize, number: u32, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
    let answer = match state() {
        Some(shared) => serve(shared, number, request.as_slice()),
        None => Err(PluginError::unsupported("services yet")),
    };
    match answer {
        Ok(reply) => RResult::ROk(reply.into()),
        Err(e) => RResult::RErr(encode(&e).unwrap_or_default().into()),
    }
}

fn serve(shared: &Shared, number: u32, request: &[u8]) -> Result<Vec<u8>, PluginError> {
    match number {
        service::LOG_1 => {
            let line: LogLine = decode(request)?;
            shared.link.log(line.level, &line.message);
            encode(&())
        }
        service::NOW_1 => encode(&clock::now(shared.clock)),
        service::SLEEP_1 => {
            let until = deadline(Duration::from_millis(decode(request)?));
            encode(&(shared.wait(None, until) == Woken::Time && Instant::now() >= until))
        }
        service::READ_1 => {
            let ReadRequest { max, wait_ms } = decode(request)?;
            let max = usize::try_from(max).unwrap_or(MAX_READ).min(MAX_READ);
            let mut result = match &shared.transport {
                Some(transport) => transport.read(shared, max, Duration::from_millis(wait_ms)),
                None => Err(TransportError::None),
            };
            let encoded = encode(&result);
            // What a reader gave may be a card.
            if let Ok(till_plugin::host::Read::Data(bytes)) = &mut result {
                bytes.zeroize();
            }
            encoded
        }
        service::WRITE_1 => {
            let WriteRequest { mut bytes, wait_ms } = decode(request)?;
            let result = match &shared.transport {
                Some(transport) => transport.write(shared, &bytes, Duration::from_millis(wait_ms)),
                None => Err(WriteError { written: 0, error: Some(TransportError::None) }),
            };
            bytes.zeroize();
            encode(&result)
        }
        service::SECRET_1 => {
            let name: String = decode(request)?;
            encode(&shared.secret(&name).as_deref())
        }
        service::LOAD_1 => {
            let key: String = decode(request)?;
            encode(&lock(&shared.store).get(&key))
        }
        service::STORE_1 => {
            let (key, value): (String, Vec<u8>) = decode(request)?;
            encode(&put(shared, key, value))
        }
        service::EMIT_1 => {
            let (kind, payload): (u32, Vec<u8>) = decode(request)?;
            send_event(shared, kind, payload);
            encode(&())
        }
        service::REMAINING_1 => {
            let left = shared.deadline().map(|d| d.saturating_duration_since(Instant::now()));
            encode(&left.map(|l| u64::try_from(l.as_millis()).unwrap_or(u64::MAX)))
        }
        service::CANCELLED_1 => encode(&shared.cancelled()),
        service::TRANSPORT_FD_1 => encode(&match &shared.transport {
            Some(transport) => {
                shared.tap.by_descriptor();
                transport.duplicate()
            }
            None => Err(TransportError::None),
        }),
        service::LOG_APPEND_1 => {
            let bytes: Vec<u8> = decode(request)?;
            encode(&append(shared, bytes))
        }
        service::LOG_READ_1 => {
            let LogReadRequest { after, max } = decode(request)?;
            encode(&read_log(shared, after, max))
        }
        service::LOG_TRIM_1 => encode(&trim_log(shared, decode(request)?)),
        _ => Err(PluginError::unsupported(&format!("service {number}"))),
    }
}

/// Sends an event and wipes it.
pub(crate) fn send_event(shared: &Shared, kind: u32, payload: Vec<u8>) {
    let mut frame = FromHost::Event { kind, payload };
    shared.link.send(&frame);
    if let FromHost::Event { payload, .. } = &mut frame {
        payload.zeroize();
    }
}

/// Asks the daemon to keep a value and waits until it is durable.
fn put(shared: &Shared, key: String, value: Vec<u8>) -> Result<(), StoreError> {
    let error = |detail: String| Err(StoreError { key: key.clone(), detail });
    let others: usize =
        lock(&shared.store).iter().filter(|(k, _)| **k != key).map(|(k, v)| k.len() + v.len()).sum();
    let total = others + key.len() + value.len();
    if total > MAX_STORE {
        return error(format!("all values together would have {total} bytes, the limit is {MAX_STORE}"));
    }
    let frame = |id| FromHost::StorePut { id, key: key.clone(), value: value.clone() };
    match ask(shared, frame) {
        Ok(Answer::Stored(None)) => {
            lock(&shared.store).insert(key, value);
            Ok(())
        }
        Ok(Answer::Stored(Some(detail))) => error(detail),
        Ok(_) => error("the daemon answered something else".into()),
        Err(patience) => error(format!("not durable within {patience:?}; it may be yet")),
    }
}

/// Appends to the instance's log and waits until the entry is durable.
fn append(shared: &Shared, bytes: Vec<u8>) -> Result<u64, LogError> {
    let length = bytes.len();
    if length == 0 || length > MAX_LOG_ENTRY {
        let detail = format!("an entry of {length} bytes; it must have 1 to {MAX_LOG_ENTRY}");
        return Err(LogError::Refused { detail });
    }
    match ask(shared, |id| FromHost::LogAppend { id, bytes }) {
        Ok(Answer::Appended(result)) => result,
        Ok(_) => Err(LogError::Undecided { detail: "the daemon answered something else".into() }),
        Err(patience) => Err(LogError::Undecided { detail: format!("not durable within {patience:?}") }),
    }
}

/// Reads the instance's log.
fn read_log(shared: &Shared, after: u64, max: u32) -> Result<Vec<LogEntry>, LogError> {
    match ask(shared, |id| FromHost::LogRead { id, after, max }) {
        Ok(Answer::Page(result)) => result,
        Ok(_) => Err(LogError::Refused { detail: "the daemon answered something else".into() }),
        Err(patience) => {
            Err(LogError::Refused { detail: format!("not read within {patience:?}; try again") })
        }
    }
}

/// Gives entries of the instance's log up.
fn trim_log(shared: &Shared, through: u64) -> Result<(), LogError> {
    match ask(shared, |id| FromHost::LogTrim { id, through }) {
        Ok(Answer::Trimmed(result)) => result,
        Ok(_) => Err(LogError::Undecided { detail: "the daemon answered something else".into() }),
        Err(patience) => Err(LogError::Undecided { detail: format!("not durable within {patience:?}") }),
    }
}

/// Asks the daemon and waits for its answer, as long as the running call may take; gives how long it waited in vain.
fn ask(shared: &Shared, frame: impl FnOnce(u64) -> FromHost) -> Result<Answer, Duration> {
    let (answer, answered) = sync_channel(1);
    let id = shared.expect(answer);
    shared.link.send(&frame(id));
    let patience = shared
        .deadline()
        .map_or(DAEMON_PATIENCE, |d| d.saturating_duration_since(Instant::now()).min(DAEMON_PATIENCE));
    answered.recv_timeout(patience).map_err(|_| {
        shared.forget(id);
        patience
    })
}

/// Encodes or gives an empty message: for messages that always encode.
pub(crate) fn encoded<T: Serialize>(message: &T) -> Vec<u8> {
    encode(message).unwrap_or_default()
}

/// Decodes an error that came across the boundary.
pub(crate) fn plugin_error(bytes: &[u8]) -> PluginError {
    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
        decode(bytes).ok()
    }
    read(bytes).unwrap_or_else(|| {
        PluginError::new(till_plugin::ErrorCode::Internal, "the plugin gave an error that cannot be decoded")
    })
}
