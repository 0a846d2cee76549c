//! PIN pads: asked for one payment at a time, told to stop, and believed only while they are asked.

mod desk;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use till_core::PaymentId;
use till_hosts::{DriverClient, HostError, Instance};
use till_plugin::Sensitive;
use till_plugin::driver::{PinRequest, class};
use tokio::sync::watch;

use desk::{Desk, Turn};
pub(crate) use desk::{Entered, NoPin, Read};

/// Longest for telling a pad something.
const CALL: Duration = Duration::from_secs(5);
/// So much longer than the customer's time a pad may take to say how it ended.
const GRACE: Duration = Duration::from_secs(5);
/// Longest that the end of an earlier request is waited for.
const FREE: Duration = Duration::from_secs(3);

/// What a pad is told.
pub(crate) trait Device: Clone + Send {
    /// [`till_plugin::Driver::enter_pin`].
    fn enter(&self, request: &PinRequest) -> impl Future<Output = Result<(), HostError>> + Send;
    /// Nobody waits for it any more.
    fn stop(&self) -> impl Future<Output = Result<(), HostError>> + Send;
    /// Gives it a new process.
    fn renew(&self);
}

impl Device for DriverClient {
    fn enter(&self, request: &PinRequest) -> impl Future<Output = Result<(), HostError>> + Send {
        self.enter_pin(request, CALL)
    }

    fn stop(&self) -> impl Future<Output = Result<(), HostError>> + Send {
        self.stop_pin(CALL)
    }

    fn renew(&self) {
        self.instance().restart();
    }
}

/// The pads that take calls.
pub(crate) struct Pads<D = DriverClient> {
    desk: Mutex<Desk<D>>,
    changed: watch::Sender<()>,
}

impl<D> Default for Pads<D> {
    fn default() -> Self {
        Self { desk: Mutex::default(), changed: watch::Sender::default() }
    }
}

impl Pads {
    pub(super) fn ready(&self, instance: &Instance, classes: &[String]) {
        if classes.iter().any(|c| c == class::PINPAD) {
            self.up(instance.id(), DriverClient::new(instance.clone()));
        }
    }
}

impl<D: Device> Pads<D> {
    fn desk(&self) -> MutexGuard<'_, Desk<D>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Desk<D>) -> R) -> R {
        let result = change(&mut self.desk());
        self.changed.send_replace(());
        result
    }

    fn up(&self, id: &str, device: D) {
        self.change(|desk| desk.up(id, device));
    }

    pub(super) fn down(&self, id: &str) {
        self.change(|desk| desk.down(id));
    }

    pub(super) fn works(&self, id: &str, works: bool) {
        self.change(|desk| desk.works(id, works));
    }

    pub(super) fn said(&self, id: &str, block: Option<Sensitive<Vec<u8>>>, ksn: Vec<u8>) {
        self.change(|desk| desk.said(id, block, ksn));
    }

    pub(super) fn trouble(&self, id: &str, text: &str) {
        self.change(|desk| desk.trouble(id, text.to_owned()));
    }

    /// Something was read; unless it passes it is to be wiped (channels.md C10).
    pub(super) fn read(&self, id: &str) -> Read {
        self.change(|desk| desk.read(id))
    }

    /// Nobody wants this payment any more.
    pub(super) fn stop(&self, payment: PaymentId) {
        self.change(|desk| desk.stop(payment));
    }

    /// Whether PINs are asked for here.
    pub(super) fn any(&self) -> bool {
        self.desk().ever_had()
    }

    /// Asks a pad for a PIN and waits for its one answer. `asking` hears which pad it is; `wanted` is asked last of all
    /// whether the payment still is.
    pub(super) async fn ask(
        &self,
        payment: PaymentId,
        request: &PinRequest,
        asking: impl FnOnce(&str),
        wanted: impl Future<Output = bool>,
    ) -> Result<Entered, NoPin> {
        let Turn { number, id, device, mut end } = self.turn(payment).await?;
        asking(&id);
        if !wanted.await {
            self.change(|desk| desk.leave(number, NoPin::Cancelled));
        }
        if !self.change(|desk| desk.tell(number)) {
            return end.await.unwrap_or(Err(NoPin::Gone));
        }
        if let Err(e) = device.enter(request).await {
            let surely = e.nothing_happened() || matches!(e, HostError::Refused { .. });
            self.change(|desk| desk.refused(number, surely));
            if !surely && let Err(e) = device.stop().await {
                tracing::warn!(DEVICE = id, "the PIN pad cannot be told to stop: {e}");
            }
            let gone = matches!(e, HostError::Died { .. } | HostError::NotRunning { .. });
            let why = if gone { NoPin::Gone } else { NoPin::Fault(e.to_string()) };
            // It may have been over before.
            return Err(end.try_recv().ok().and_then(Result::err).unwrap_or(why));
        }
        let longest = Duration::from_millis(request.timeout_ms.into()) + GRACE;
        let ended = match tokio::time::timeout(longest, end).await {
            Ok(Ok(end)) => end,
            Ok(Err(_)) => Err(NoPin::Gone),
            Err(_) => {
                self.change(|desk| desk.leave(number, NoPin::Silent));
                Err(NoPin::Silent)
            }
        };
        if matches!(ended, Err(NoPin::Cancelled | NoPin::Silent | NoPin::Digits))
            && let Err(e) = device.stop().await
        {
            tracing::warn!(DEVICE = id, "the PIN pad cannot be told to stop: {e}");
        }
        ended
    }

    /// A free pad; one that still owes the end of an earlier request is waited for a moment. Who does not say it then, long told
    /// to stop, never will: it begins anew, and the next request finds it free.
    async fn turn(&self, payment: PaymentId) -> Result<Turn<D>, NoPin> {
        let mut changed = self.changed.subscribe();
        let free = async {
            loop {
                changed.borrow_and_update();
                // Not through `change`: this one is no news to itself.
                let taken = self.desk().take(payment);
                match taken {
                    Err(NoPin::Busy) => {}
                    other => return other,
                }
                if changed.changed().await.is_err() {
                    return Err(NoPin::NoPad);
                }
            }
        };
        if let Ok(turn) = tokio::time::timeout(FREE, free).await {
            return turn;
        }
        let debtors = self.desk().debtors();
        for (id, device) in debtors {
            tracing::warn!(
                DEVICE = id,
                "the PIN pad does not end a request that was given up: its driver is started anew"
            );
            device.renew();
        }
        Err(NoPin::Busy)
    }
}
