//! The services behind [`HostV1::service`].

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use till_plugin::PluginError;
use till_plugin::host::{StoreError, TransportError, WriteError};
use till_plugin::proto::service::{self, LogLine, ReadRequest, WriteRequest};
use till_plugin::proto::{FromHost, MAX_READ, MAX_STORE, decode, encode};
use till_plugin_abi1::HostV1;
use till_plugin_abi1::abi_stable::std_types::{RResult, RSlice, RVec};
use zeroize::Zeroize;

use crate::clock;
use crate::shared::{Shared, lock, state};
use crate::transport::deadline;
use crate::wake::Woken;

/// Longest that a durable write may take outside a call.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

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
    let (answer, answered) = sync_channel(1);
    let id = shared.expect_put(answer);
    shared.link.send(&FromHost::StorePut { id, key: key.clone(), value: value.clone() });
    let patience = shared
        .deadline()
        .map_or(STORE_PATIENCE, |d| d.saturating_duration_since(Instant::now()).min(STORE_PATIENCE));
    match answered.recv_timeout(patience) {
        Ok(None) => {
            lock(&shared.store).insert(key, value);
            Ok(())
        }
        Ok(Some(detail)) => error(detail),
        Err(_) => {
            shared.forget_put(id);
            error(format!("not durable within {patience:?}; it may be yet"))
        }
    }
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
