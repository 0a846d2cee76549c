//! The printer on TCP: one connection at a time, as print servers do; the next one waits.

use super::{Command, Event, Machine, Observer};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The machine and how its connection behaves.
pub(super) struct Inner {
    pub(super) machine: Machine,
    pub(super) received: Vec<u8>,
    pub(super) connections: u64,
    rate: Option<u32>,
    stopped: bool,
    silent: bool,
    drop_after: Option<(u64, bool)>,
    told_receipts: usize,
    told_pulses: usize,
    told_online: bool,
}

impl Inner {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            received: Vec::new(),
            connections: 0,
            rate: None,
            stopped: false,
            silent: false,
            drop_after: None,
            told_receipts: 0,
            told_pulses: 0,
            told_online: true,
        }
    }

    /// How many bytes to read next; 0 reads none.
    fn appetite(&self) -> usize {
        if self.stopped {
            return 0;
        }
        let by_rate = self.rate.map_or(512, |rate| usize::try_from(rate / 20).unwrap_or(1).clamp(1, 512));
        let by_drop = self.drop_after.map_or(u64::MAX, |(bytes, _)| bytes);
        by_rate.min(self.machine.room()).min(usize::try_from(by_drop).unwrap_or(usize::MAX))
    }
}

/// What the connection, the control port and the handle share.
pub(super) struct Shared {
    pub(super) inner: Mutex<Inner>,
    pub(super) changed: Condvar,
    pub(super) wake: Notify,
    pub(super) observer: Option<Observer>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, then tells the observer and everybody who waits.
    pub(super) fn change<R>(&self, action: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.lock();
        let result = action(&mut inner);
        let mut events = Vec::new();
        if self.observer.is_some() {
            let (receipts, pulses) = (inner.machine.receipts().len(), inner.machine.pulses().len());
            events.extend(inner.machine.pulses().iter().skip(inner.told_pulses).map(|p| Event::Drawer(*p)));
            events.extend(
                inner.machine.receipts().iter().skip(inner.told_receipts).cloned().map(Event::Receipt),
            );
            inner.told_receipts = receipts;
            inner.told_pulses = pulses;
            let status = inner.machine.status();
            if status.online != inner.told_online {
                inner.told_online = status.online;
                events.push(Event::Status(status));
            }
        }
        drop(inner);
        self.changed.notify_all();
        if let Some(observer) = &self.observer {
            for event in events {
                observer(event);
            }
        }
        result
    }

    pub(super) fn command(&self, command: &Command) {
        self.change(|inner| {
            match command {
                Command::ReadRate { bytes_per_second } => inner.rate = *bytes_per_second,
                Command::StopReading { on } => inner.stopped = *on,
                Command::Silent { on } => inner.silent = *on,
                Command::DropAfter { bytes, reset } => inner.drop_after = Some((*bytes, *reset)),
                _ => {}
            }
            inner.machine.command(command);
        });
        self.wake.notify_one();
    }
}

pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    // A small socket buffer: a printer that stops reading must be felt by the sender soon. Without it, it is felt later.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096);
    while let Ok((stream, _)) = listener.accept().await {
        shared.change(|inner| {
            inner.connections += 1;
            inner.machine.connected();
        });
        serve(&shared, stream).await;
    }
}

async fn serve(shared: &Shared, mut stream: TcpStream) {
    let mut buffer = [0; 512];
    loop {
        let (replies, appetite, rate, ended) = {
            let mut inner = shared.lock();
            let replies = inner.machine.take_replies();
            let replies = if inner.silent { Vec::new() } else { replies };
            let ended = inner.drop_after.filter(|(bytes, _)| *bytes == 0).map(|(_, reset)| reset);
            if ended.is_some() {
                inner.drop_after = None;
            }
            (replies, inner.appetite(), inner.rate, ended)
        };
        if !replies.is_empty() && stream.write_all(&replies).await.is_err() {
            return;
        }
        if let Some(reset) = ended {
            if reset {
                // Zero linger makes the close an RST; without it, it is a FIN.
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
            return;
        }
        let space = buffer.get_mut(..appetite).unwrap_or_default();
        tokio::select! {
            () = shared.wake.notified() => {}
            read = stream.read(space), if appetite > 0 => {
                let count = match read {
                    Ok(0) | Err(_) => return,
                    Ok(count) => count,
                };
                let bytes = buffer.get(..count).unwrap_or_default();
                shared.change(|inner| {
                    if let Some((left, _)) = &mut inner.drop_after {
                        *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                    }
                    inner.received.extend_from_slice(bytes);
                    inner.machine.receive(bytes);
                });
                if let (Some(rate), Ok(count)) = (rate, u32::try_from(count)) {
                    tokio::time::sleep(Duration::from_secs(1) * count / rate.max(1)).await;
                }
            }
        }
    }
}

/// The control port: a [`Command`] a line in JSON or words, or `status`, `receipts`, `pulses`, `unknown`; one JSON line back.
pub(super) async fn control(shared: Arc<Shared>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = shared.line(&line);
                if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

impl Shared {
    /// Carries out one control line.
    pub(super) fn line(&self, line: &str) -> serde_json::Value {
        use serde_json::json;
        let machine = |ask: fn(&Machine) -> serde_json::Value| json!({"ok": ask(&self.lock().machine)});
        match line.trim() {
            "status" => machine(|m| json!(m.status())),
            "receipts" => {
                machine(|m| json!(m.receipts().iter().map(super::Receipt::text).collect::<Vec<_>>()))
            }
            "pulses" => machine(|m| json!(m.pulses())),
            "unknown" => machine(|m| json!(m.unknown().iter().map(hex::encode_upper).collect::<Vec<_>>())),
            other => match other.parse::<Command>() {
                Ok(command) => {
                    self.command(&command);
                    machine(|m| json!(m.status()))
                }
                Err(error) => json!({"error": error.to_string()}),
            },
        }
    }
}
