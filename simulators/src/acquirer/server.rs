//! The acquirer on TCP: frames in, scripted faults, frames out.

use super::faults::operation;
use super::framing::{Frame, announced};
use super::host::{Field60, Host, Now};
use super::message::Message;
use super::reply::{Step, lay_out};
use super::{Observer, Stats};
use crate::faults::{Fault, Hold, Plan};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Everything behind the lock.
pub(super) struct Inner {
    pub(super) host: Host,
    pub(super) stats: Stats,
    pub(super) listening: bool,
}

/// What the connections, the control port and the handle share.
pub(super) struct Shared {
    pub(super) inner: Mutex<Inner>,
    pub(super) changed: Condvar,
    pub(super) plan: Plan,
    pub(super) observer: Option<Observer>,
    pub(super) frame_timeout: Duration,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, line: &str) {
        if let Some(observer) = &self.observer {
            observer(line);
        }
    }

    fn refused(&self, why: String) {
        self.tell(&format!("frame refused: {why}"));
        self.lock().stats.refused.push(why);
        self.changed.notify_all();
    }
}

/// Accepts while `up` is true; while it is false nothing listens on the port.
pub(super) async fn accept(
    shared: Arc<Shared>,
    first: TcpListener,
    addr: SocketAddr,
    mut up: watch::Receiver<bool>,
) {
    let mut listener = Some(first);
    loop {
        shared.lock().listening = listener.is_some();
        shared.changed.notify_all();
        let changed = async {
            if up.changed().await.is_err() {
                // Nobody can switch any more; stay as it is.
                std::future::pending::<()>().await;
            }
        };
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            connection = accepted => match connection {
                Ok((stream, _)) => {
                    shared.lock().stats.connections += 1;
                    tokio::spawn(serve(Arc::clone(&shared), stream));
                }
                Err(error) => shared.tell(&format!("accept: {error}")),
            },
            () = changed => {
                let wanted = *up.borrow_and_update();
                if !wanted {
                    listener = None;
                } else if listener.is_none() {
                    match TcpListener::bind(addr).await {
                        Ok(again) => listener = Some(again),
                        Err(error) => shared.tell(&format!("cannot listen on {addr} again: {error}")),
                    }
                }
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    // Every write is a segment of its own, so that scripted halves really arrive as halves.
    if let Err(error) = stream.set_nodelay(true) {
        shared.tell(&format!("nodelay: {error}"));
    }
    loop {
        let mut prefix = [0; 2];
        if stream.read_exact(&mut prefix).await.is_err() {
            return;
        }
        let length = match announced(prefix) {
            Ok(0) => {
                shared.lock().stats.keep_alives += 1;
                continue;
            }
            Ok(length) => length,
            Err(error) => return shared.refused(error.to_string()),
        };
        let mut payload = vec![0; length];
        match tokio::time::timeout(shared.frame_timeout, stream.read_exact(&mut payload)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return shared.refused("connection ended inside a frame".into()),
            Err(_) => return shared.refused("the rest of a frame did not come in time".into()),
        }
        let asked = match Frame::parse(&payload).map_err(|e| e.to_string()).and_then(|f| decode(&shared, f)) {
            Ok(asked) => asked,
            Err(error) => return shared.refused(error),
        };
        let (fault, hold) = shared.plan.take_held(operation(&asked.request), asked.reference()).unzip();
        let hold = match (&fault, hold) {
            // Slow on the way here: booked even if the terminal has gone meanwhile.
            (Some(Fault::DelayBooking { ms }), _) => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                None
            }
            (Some(Fault::HoldBooking {}), Some(hold)) => {
                hold.released().await;
                None
            }
            (_, hold) => hold,
        };
        let steps = match answer(&shared, &asked, fault.as_ref(), hold) {
            Ok(steps) => steps,
            Err(error) => return shared.refused(error),
        };
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Hold(hold) => hold.released().await,
                Step::Close => return,
                Step::Reset => {
                    // Zero linger makes the close an RST, which is what a dying host sends.
                    if let Err(error) = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
                    {
                        shared.tell(&format!("linger: {error}"));
                    }
                    return;
                }
            }
        }
    }
}

/// A request with the frame it came in.
struct Asked {
    frame: Frame,
    request: Message,
}

impl Asked {
    fn reference(&self) -> Option<&str> {
        Some(self.request.text(11)).filter(|trace| !trace.is_empty())
    }
}

/// The error text carries no field contents.
fn decode(shared: &Shared, frame: Frame) -> Result<Asked, String> {
    let request = Message::decode(&shared.lock().host.table, &frame.body).map_err(|e| e.to_string())?;
    Ok(Asked { frame, request })
}

/// Books, and lays out what is done to the connection.
fn answer(
    shared: &Shared,
    asked: &Asked,
    fault: Option<&Fault>,
    hold: Option<Hold>,
) -> Result<Vec<Step>, String> {
    let Asked { frame, request } = asked;
    let mut inner = shared.lock();
    inner.stats.received += 1;
    let now = Now::read();
    let steps = match fault {
        Some(Fault::DropBeforeBooking {}) => vec![Step::Close],
        Some(Fault::Reset { booked: false }) => vec![Step::Reset],
        _ => {
            inner.stats.answered += 1;
            let answer = match fault {
                Some(Fault::Answer { code, booked: false, .. }) => {
                    inner.host.forced(request, &frame.body, &now, code)
                }
                _ => inner.host.handle(request, &frame.body, &now),
            };
            lay_out(&inner.host, frame, answer, fault, hold)?
        }
    };
    let line = describe(request, &inner.host, fault);
    drop(inner);
    shared.changed.notify_all();
    shared.tell(&line);
    Ok(steps)
}

/// One line for the person watching; no card number in it.
fn describe(request: &Message, host: &Host, fault: Option<&Fault>) -> String {
    let key = super::ledger::Key {
        tid: request.text(41).into(),
        batch: Field60::of(request).batch().into(),
        trace: request.text(11).into(),
    };
    let mut parts = vec![
        request.mti().to_owned(),
        operation(request).to_owned(),
        format!("{}/{}/{}", key.tid, key.batch, key.trace),
    ];
    if let Some(entry) = host.ledger.get(&key) {
        let (amount, card) = (entry.amount, entry.instrument.masked());
        parts.push(format!("{:?} {amount} {card} {:?} {}", entry.kind, entry.state, entry.code));
    }
    if let Some(fault) = fault {
        parts.push(format!("[fault: {}]", fault.kind()));
    }
    parts.join(" ")
}
