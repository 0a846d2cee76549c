//! What systemd is told.

/// Everything is served.
pub(super) fn ready(status: &str) {
    send(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(status)]);
}

/// On the way down.
pub(super) fn stopping() {
    send(&[sd_notify::NotifyState::Stopping]);
}

/// The till answers.
pub(super) fn alive() {
    send(&[sd_notify::NotifyState::Watchdog]);
}

fn send(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::debug!("sd_notify: {e}");
    }
}
