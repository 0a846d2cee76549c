//! A driver's calls.

use std::time::Duration;

use till_plugin::driver::{
    Announcement, DriverDescription, EnableRequest, Health, HealthLevel, OpenDrawer, PinRequest, PrintJob,
    Sentence, ShowContent, Signal,
};
use till_plugin::proto::method;

use crate::error::HostError;
use crate::instance::Instance;

/// Calls of [`till_plugin::Driver`]. Every call waits for its turn and then runs, each at most `timeout`
/// ([`Instance::call`]).
#[derive(Clone, Debug)]
pub struct DriverClient {
    instance: Instance,
}

impl DriverClient {
    /// Over an instance of a driver.
    pub const fn new(instance: Instance) -> Self {
        Self { instance }
    }

    /// The instance.
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// What the device can do.
    pub async fn describe(&self, timeout: Duration) -> Result<DriverDescription, HostError> {
        self.instance.call(method::DESCRIBE_1, &(), timeout).await
    }

    /// Counters since the instance opened.
    pub async fn statistics(&self, timeout: Duration) -> Result<Vec<(String, u64)>, HostError> {
        self.instance.call(method::STATISTICS_1, &(), timeout).await
    }

    /// Checks itself.
    pub async fn health(&self, level: HealthLevel, timeout: Duration) -> Result<Health, HostError> {
        self.instance.call(method::HEALTH_1, &level, timeout).await
    }

    /// Arms a reader for one payment. What it reads for it is told behind `mark`
    /// ([`Answered`](crate::InstanceEvent::Answered)).
    pub async fn enable(
        &self,
        request: &EnableRequest,
        timeout: Duration,
        mark: u64,
    ) -> Result<(), HostError> {
        self.instance.call_marked(method::ENABLE_1, request, timeout, mark).await
    }

    /// Disarms a reader. What is told behind `mark` it read since.
    pub async fn disable(&self, timeout: Duration, mark: u64) -> Result<(), HostError> {
        self.instance.call_marked(method::DISABLE_1, &(), timeout, mark).await
    }

    /// Gives a print job; its result comes as an event.
    pub async fn print(&self, job: &PrintJob, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::PRINT_1, job, timeout).await
    }

    /// Gives a job up.
    pub async fn cancel_print(&self, job: u64, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::CANCEL_PRINT_1, &job, timeout).await
    }

    /// Opens the cash drawer.
    pub async fn open_drawer(&self, request: &OpenDrawer, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::OPEN_DRAWER_1, request, timeout).await
    }

    /// Shows to the customer.
    pub async fn show(&self, content: &ShowContent, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::SHOW_1, content, timeout).await
    }

    /// Light or sound.
    pub async fn signal(&self, signal: Signal, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::SIGNAL_1, &signal, timeout).await
    }

    /// Says a sentence.
    pub async fn say(&self, sentence: &Sentence, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::SAY_1, sentence, timeout).await
    }

    /// Announces what happened.
    pub async fn announce(&self, announcement: &Announcement, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::SAY_2, announcement, timeout).await
    }

    /// Asks for a PIN; the block comes as an event.
    pub async fn enter_pin(&self, request: &PinRequest, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::ENTER_PIN_1, request, timeout).await
    }

    /// Gives the request for a PIN up; its one event still comes.
    pub async fn stop_pin(&self, timeout: Duration) -> Result<(), HostError> {
        self.instance.call(method::DISABLE_1, &(), timeout).await
    }
}
