//! What a wallet channel counts, for its statistics.

use till_plugin::channel::Outcome;

/// Since the channel's process began.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Exchanges with the host.
    pub exchanges: u64,
    /// Answers whose seal was wrong.
    pub bad_seal: u64,
    approved: u64,
    declined: u64,
    not_sent: u64,
    unknown: u64,
}

impl Counts {
    /// A payment or refund came to this.
    pub const fn outcome(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Approved(_) => &mut self.approved,
            Outcome::Declined(_) => &mut self.declined,
            Outcome::NotSent(_) => &mut self.not_sent,
            Outcome::Unknown(_) => &mut self.unknown,
        };
        *counter += 1;
    }

    /// By name, as [`till_plugin::channel::Channel::statistics`] wants them.
    pub fn list(&self) -> Vec<(String, u64)> {
        [
            ("exchanges", self.exchanges),
            ("approved", self.approved),
            ("declined", self.declined),
            ("not-sent", self.not_sent),
            ("unknown", self.unknown),
            ("bad-seal", self.bad_seal),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .to_vec()
    }
}
