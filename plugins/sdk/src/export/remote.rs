//! [`Services`] over the frozen service function.

use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use till_plugin_abi1::HostV1;
use till_plugin_abi1::abi_stable::std_types::{RResult, RSlice};

use crate::error::{ErrorCode, PluginError};
use crate::host::{Level, LogEntry, LogError, Now, Read, Services, StoreError, TransportError, WriteError};
use crate::proto::service::{self, LogLine, LogReadRequest, ReadRequest, WriteRequest};
use crate::proto::{decode, encode};
use crate::sensitive::Sensitive;

/// The host's services, called across the boundary.
pub(super) struct Remote {
    host: HostV1,
}

impl Remote {
    pub(super) const fn new(host: HostV1) -> Self {
        Self { host }
    }

    /// `None` when the host does not know the service or refuses it.
    fn ask<Q: Serialize + ?Sized, R: DeserializeOwned>(&self, number: u32, request: &Q) -> Option<R> {
        let request = encode(request).ok()?;
        match (self.host.service)(self.host.context, number, RSlice::from_slice(&request)) {
            RResult::ROk(reply) => decode(reply.as_slice()).ok(),
            RResult::RErr(_) => None,
        }
    }

    /// A question about the log. A host that does not know it has certainly done nothing; any other doubt is doubt.
    fn log_ask<Q: Serialize + ?Sized, R: DeserializeOwned>(
        &self,
        number: u32,
        request: &Q,
    ) -> Result<R, LogError> {
        let refused = |detail: &str| Err(LogError::Refused { detail: detail.into() });
        let Ok(request) = encode(request) else { return refused("the request cannot be encoded") };
        match (self.host.service)(self.host.context, number, RSlice::from_slice(&request)) {
            RResult::ROk(reply) => decode(reply.as_slice()).unwrap_or_else(|_| {
                Err(LogError::Undecided { detail: "the host's answer is no answer".into() })
            }),
            RResult::RErr(e) => match decode::<PluginError>(e.as_slice()) {
                Ok(e) if e.code == ErrorCode::Unsupported => {
                    refused("this tilld keeps no logs for plugins; install a newer one")
                }
                _ => Err(LogError::Undecided { detail: "the host does not answer".into() }),
            },
        }
    }
}

/// Takes over a descriptor that the host duplicated for this plugin alone.
#[allow(unsafe_code)]
fn own(fd: i32) -> Result<OwnedFd, TransportError> {
    if fd < 0 {
        return Err(host_gone());
    }
    // SAFETY: the host is this process; it made the duplicate for this answer and uses it for nothing else (see the service's
    // contract), so it has exactly one owner from here on.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn host_gone() -> TransportError {
    TransportError::Gone { name: "transport".into(), detail: "the host does not answer".into() }
}

impl Services for Remote {
    fn log(&self, level: Level, message: &str) {
        let _: Option<()> = self.ask(service::LOG_1, &LogLine { level, message: message.into() });
    }

    fn now(&self) -> Now {
        self.ask(service::NOW_1, &()).unwrap_or(Now { wall_ms: 0, boot_ms: 0, trusted: false })
    }

    fn sleep(&self, time: Duration) -> bool {
        self.ask(service::SLEEP_1, &ms(time)).unwrap_or(false)
    }

    fn read(&self, max: usize, wait: Duration) -> Result<Read, TransportError> {
        let request = ReadRequest { max: u32::try_from(max).unwrap_or(u32::MAX), wait_ms: ms(wait) };
        self.ask(service::READ_1, &request).unwrap_or_else(|| Err(host_gone()))
    }

    fn write(&self, bytes: &[u8], wait: Duration) -> Result<(), WriteError> {
        let request = WriteRequest { bytes: bytes.to_vec(), wait_ms: ms(wait) };
        self.ask(service::WRITE_1, &request)
            .unwrap_or_else(|| Err(WriteError { written: 0, error: Some(host_gone()) }))
    }

    fn secret(&self, name: &str) -> Option<Sensitive<Vec<u8>>> {
        self.ask::<_, Option<Vec<u8>>>(service::SECRET_1, name).flatten().map(Sensitive::new)
    }

    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.ask::<_, Option<Vec<u8>>>(service::LOAD_1, key).flatten()
    }

    fn store(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.ask(service::STORE_1, &(key, value))
            .unwrap_or_else(|| Err(StoreError { key: key.into(), detail: "the host does not answer".into() }))
    }

    fn log_append(&self, bytes: &[u8]) -> Result<u64, LogError> {
        self.log_ask(service::LOG_APPEND_1, bytes)
    }

    fn log_read(&self, after: u64, max: u32) -> Result<Vec<LogEntry>, LogError> {
        self.log_ask(service::LOG_READ_1, &LogReadRequest { after, max })
    }

    fn log_trim(&self, through: u64) -> Result<(), LogError> {
        self.log_ask(service::LOG_TRIM_1, &through)
    }

    fn transport_fd(&self) -> Result<OwnedFd, TransportError> {
        match self.ask::<_, Result<i32, TransportError>>(service::TRANSPORT_FD_1, &()) {
            Some(Ok(fd)) => own(fd),
            Some(Err(e)) => Err(e),
            None => Err(TransportError::Gone {
                name: "transport".into(),
                detail: "this tilld hands no descriptors to plugins; install a newer one".into(),
            }),
        }
    }

    fn emit(&self, kind: u32, payload: Vec<u8>) {
        let _: Option<()> = self.ask(service::EMIT_1, &(kind, payload));
    }

    fn remaining(&self) -> Option<Duration> {
        self.ask::<_, Option<u64>>(service::REMAINING_1, &()).flatten().map(Duration::from_millis)
    }

    fn cancelled(&self) -> bool {
        self.ask(service::CANCELLED_1, &()).unwrap_or(true)
    }
}
