//! The receipt printer: one job at a time, each owed until the printer confirms it, whatever happens in between.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use till_core::PaymentId;
use till_core::input::Input;
use till_hosts::{DriverClient, HostError, Instance};
use till_plugin::driver::{PrintJob, PrintState};
use till_plugin::{ErrorCode, Extra};
use tokio::sync::mpsc;

use super::Handle;
use super::devices::print_state;
use super::view::JobView;
use crate::receipts::{Printable, Receipts};

/// Longest for handing a job over (not for printing it).
const CALL: Duration = Duration::from_secs(10);
/// Pause after a job that failed while the printer looked well, so that a sick printer is not fed in a loop.
const AGAIN: Duration = Duration::from_secs(2);

enum Command {
    Queue(u64, PaymentId),
    Print(u64, u32, Printable, bool),
    Cancel(u64),
    GiveUp(u64, String),
    Moved(u64, PrintState),
    Up(Instance),
    Down(String),
    Retry,
}

/// Talks to the printer task.
#[derive(Clone)]
pub(crate) struct PrinterHandle(mpsc::UnboundedSender<Command>);

impl PrinterHandle {
    fn send(&self, command: Command) {
        let _stopping = self.0.send(command);
    }

    /// A job waits.
    pub(super) fn queue(&self, job: u64, payment: PaymentId) {
        self.send(Command::Queue(job, payment));
    }

    /// A job that is durably on its way goes to the printer now.
    pub(super) fn print(&self, job: u64, copy: u32, receipt: Printable, restarted: bool) {
        self.send(Command::Print(job, copy, receipt, restarted));
    }

    /// A job is not wanted any more.
    pub(super) fn cancel(&self, job: u64) {
        self.send(Command::Cancel(job));
    }

    /// A job cannot be made.
    pub(super) fn give_up(&self, job: u64, why: &str) {
        self.send(Command::GiveUp(job, why.into()));
    }

    /// The printer told of a job.
    pub(super) fn moved(&self, job: u64, state: PrintState) {
        self.send(Command::Moved(job, state));
    }

    /// The printer takes calls.
    pub(super) fn up(&self, instance: &Instance) {
        self.send(Command::Up(instance.clone()));
    }

    /// A printer's process ended or its line broke.
    pub(super) fn down(&self, id: &str) {
        self.send(Command::Down(id.into()));
    }
}

/// Starts the task.
pub(super) fn start(handle: Handle, printer: Option<String>, receipts: Arc<Receipts>) -> PrinterHandle {
    let (commands, receiver) = mpsc::unbounded_channel();
    let task = Task {
        handle,
        printer,
        receipts,
        commands: commands.clone(),
        waiting: VecDeque::new(),
        current: None,
        instance: None,
        resting: false,
    };
    tokio::spawn(task.run(receiver));
    PrinterHandle(commands)
}

struct Task {
    handle: Handle,
    printer: Option<String>,
    receipts: Arc<Receipts>,
    commands: mpsc::UnboundedSender<Command>,
    waiting: VecDeque<(u64, PaymentId)>,
    current: Option<(u64, PaymentId)>,
    instance: Option<Instance>,
    resting: bool,
}

impl Task {
    async fn run(mut self, mut receiver: mpsc::UnboundedReceiver<Command>) {
        while let Some(command) = receiver.recv().await {
            match command {
                Command::Queue(job, payment) => {
                    if self.current.is_none_or(|c| c.0 != job) {
                        if !self.waiting.iter().any(|w| w.0 == job) {
                            self.waiting.push_back((job, payment));
                        }
                        self.show(job, payment, "queued", "");
                    }
                }
                Command::Print(job, copy, receipt, restarted) => {
                    self.print(job, copy, receipt, restarted).await;
                }
                Command::Cancel(job) => self.cancel(job).await,
                Command::GiveUp(job, why) => self.end(job, PrintState::Cancelled, &why).await,
                Command::Moved(job, state) => {
                    let reason = print_state(&state).1;
                    self.end(job, state, &reason).await;
                }
                Command::Up(instance) if self.is_ours(instance.id()) => self.instance = Some(instance),
                Command::Down(id) if self.is_ours(&id) => {
                    self.instance = None;
                    if let Some((job, _)) = self.current {
                        let reason = "the printer went away".to_owned();
                        self.end(job, PrintState::Failed { reason, partly: true }, "printer-gone").await;
                    }
                }
                Command::Up(_) | Command::Down(_) => {}
                Command::Retry => self.resting = false,
            }
            self.next().await;
        }
    }

    fn is_ours(&self, id: &str) -> bool {
        self.printer.as_deref() == Some(id)
    }

    /// Starts the next job, when the printer is free and well.
    async fn next(&mut self) {
        if self.current.is_some() || self.instance.is_none() || self.resting {
            return;
        }
        if let Some((job, payment)) = self.waiting.pop_front() {
            self.current = Some((job, payment));
            // First durable that it goes, then it goes (`Print` comes back as the effect).
            if let Err(e) = self.handle.input(Input::SendJob { job }).await {
                tracing::warn!(job, "print job: {e}");
                self.current = None;
            }
        }
    }

    /// Takes a job back; one that is being printed may still come out.
    async fn cancel(&mut self, job: u64) {
        if let Some(at) = self.waiting.iter().position(|w| w.0 == job)
            && let Some((_, payment)) = self.waiting.remove(at)
        {
            self.show(job, payment, "cancelled", "");
        } else if let Some((_, payment)) = self.current.filter(|c| c.0 == job) {
            if let Some(instance) = self.instance.clone()
                && let Err(e) = DriverClient::new(instance).cancel_print(job, CALL).await
            {
                tracing::info!(job, "cannot be taken back from the printer: {e}");
            }
            self.current = None;
            self.show(job, payment, "cancelled", "");
        }
    }

    async fn print(&mut self, job: u64, copy: u32, receipt: Printable, restarted: bool) {
        let mut request = PrintJob { job, document: receipt.document, copy, restarted, extra: Extra::new() };
        let result = match self.instance.clone().map(DriverClient::new) {
            Some(printer) => {
                let mut result = printer.print(&request, CALL).await;
                // What this printer cannot print must not keep the customer from a receipt.
                if let (Err(HostError::Refused { error, .. }), Some(plain)) = (&result, receipt.plain)
                    && error.code == ErrorCode::BadRequest
                {
                    self.receipts
                        .failed(format!("receipt template: the printer refused its receipt: {error}"));
                    request.document = plain;
                    result = printer.print(&request, CALL).await;
                }
                result.map_err(|e| (e.nothing_happened(), e.to_string()))
            }
            None => Err((true, "the printer went away".into())),
        };
        if let Err((nothing_happened, reason)) = result {
            self.end(job, PrintState::Failed { reason: reason.clone(), partly: !nothing_happened }, &reason)
                .await;
        }
    }

    /// A job moved; a final state frees the printer for the next one.
    async fn end(&mut self, job: u64, state: PrintState, reason: &str) {
        let Some((_, payment)) = self.current.filter(|c| c.0 == job) else { return };
        self.show(job, payment, print_state(&state).0, reason);
        if state.is_final() {
            self.current = None;
            if matches!(state, PrintState::Failed { .. }) {
                tracing::warn!(job, "printing failed: {reason}; it is printed again");
                // Before all others: half of it may hang out of the printer, and only its own second try voids that.
                self.waiting.push_front((job, payment));
                self.rest();
            }
            self.handle.tell(Input::Printed { job, state }).await;
        }
    }

    fn rest(&mut self) {
        self.resting = true;
        let commands = self.commands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AGAIN).await;
            let _stopping = commands.send(Command::Retry);
        });
    }

    fn show(&self, job: u64, payment: PaymentId, state: &str, reason: &str) {
        let device = self.printer.clone().unwrap_or_default();
        self.handle.published.job(&device, JobView { job, payment, state: state.into() }, reason);
    }
}
