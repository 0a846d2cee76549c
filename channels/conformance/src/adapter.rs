//! What a channel tells the suite about itself and its simulator.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use till_plugin::channel::{Channel, Follow};
use till_plugin::testing::TestHost;
use till_plugin::{Instrument, Money};

use crate::case::Case;

/// A step at which something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The payment's request.
    Sale,
    /// The question about it.
    Query,
    /// Its undo.
    Undo,
    /// A refund.
    Refund,
    /// The question about the refund.
    RefundQuery,
    /// A void.
    Void,
}

/// How the till reaches the network.
#[derive(Clone, Debug)]
pub enum Way {
    /// There is none.
    None,
    /// Unencrypted, at this address.
    Plain(SocketAddr),
    /// TLS at `localhost`.
    Tls {
        /// Port.
        port: u16,
        /// PEM of the only authority to trust; empty: none given.
        ca_pem: String,
        /// PEM of the till's certificate and of its key.
        identity: Option<(String, String)>,
    },
}

/// One channel with a simulated network of its own. The network is well until something is scripted.
pub trait Adapter: Sized {
    /// The channel.
    type Channel: Channel;
    /// What can be scripted to go wrong.
    type Fault: Clone + Debug;

    /// Name for messages.
    const NAME: &'static str;
    /// The cases that do not apply, each with its reason.
    const WITHOUT: &'static [(Case, &'static str)];
    /// Whether the channel can show the network a certificate of the till's.
    const MUTUAL: bool = false;
    /// Whether the bytes of one answer fit the same request again, so that one recorded answer can be changed bit by bit.
    /// Otherwise each changed bit is one of a payment of its own.
    const REPLAYS: bool = true;

    /// Starts a network.
    fn start() -> Self;

    /// Where the network listens unencrypted; nothing where there is none.
    fn network(&self) -> Option<SocketAddr> {
        None
    }

    /// A host with clock and secrets. `identity` is the PEM of a key for a certificate of the till's own.
    fn bench(&self, identity: Option<&str>) -> TestHost;

    /// PEM of the key that the till's own certificate must be for, where the channel uses one that it has already.
    fn identity_key(&self) -> Option<String> {
        None
    }

    /// Settings (JSON) of a till that reaches the network this way.
    fn settings(&self, way: &Way) -> String;

    /// Brings a channel that was just opened to where it can take money. `trace` is a number not used before.
    fn ready(&mut self, _channel: &mut Self::Channel, _trace: u32) {}

    /// The batch that payments go into.
    fn batch(&self) -> u32 {
        1
    }

    /// The wall clock that attempts get their numbers by.
    fn wall_ms(&self, bench: &TestHost) -> i64 {
        bench.host().now().wall_ms
    }

    /// What a customer presents who can pay; another one for each number.
    fn instrument(&self, number: u32, amount: Money) -> Instrument;

    /// What a customer presents who cannot.
    fn poor(&self, amount: Money) -> Instrument;

    /// What belongs to another channel.
    fn foreign(&self) -> Instrument {
        Instrument::ShowCode
    }

    /// Everything that can be scripted at a step, where not every fault fits every step.
    fn faults(&self, step: Step) -> Vec<Self::Fault>;

    /// Those answers that are lies: about another amount, order, merchant or terminal, or not sealed by the network.
    fn lies(&self) -> Vec<Self::Fault> {
        Vec::new()
    }

    /// Whether the channel waits to the end of its time on such an answer, because it is none to its request.
    fn waits(_fault: &Self::Fault) -> bool {
        false
    }

    /// The fault whose request lies on the way until [`Adapter::calm`].
    fn held(&self) -> Option<Self::Fault> {
        None
    }

    /// The fault with which a step is lost on its way there, and with which its answer is lost.
    fn lost(&self) -> Option<(Self::Fault, Self::Fault)> {
        None
    }

    /// The network's refusal of an undo.
    fn undo_refused(&self) -> Option<Self::Fault> {
        None
    }

    /// Strikes the next request of that step.
    fn strike(&self, _bench: &TestHost, _step: Step, _fault: &Self::Fault) {}

    /// Nothing goes wrong any more; what is held goes on.
    fn calm(&self, _bench: &TestHost) {}

    /// What the merchant has by the network's books, minor units; nothing where nobody but the daemon keeps books.
    fn kept(&self, bench: &TestHost) -> Option<i64>;

    /// How many requests of any kind have reached the network.
    fn requests(&self) -> usize {
        0
    }

    /// So much time passes for the network; the suite moves the till's clock.
    fn pass(&self, _time: Duration) {}

    /// What must be in no log, answer or statistic: codes, card numbers, tracks, keys.
    fn secrets(&self) -> Vec<Vec<u8>>;

    /// Those of them that may not be in recovery data either, which is sealed: codes and tracks.
    fn never_kept(&self) -> Vec<Vec<u8>>;

    /// Whether these bytes are a whole request or answer.
    fn whole(_bytes: &[u8]) -> bool {
        true
    }

    /// The part of an answer that is sealed. A changed bit elsewhere may leave the answer what it was.
    fn sealed(_answer: &[u8]) -> Range<usize> {
        0..0
    }

    /// Whether an answer that differs in one bit says the same all the same.
    fn same(_answer: &[u8], _changed: &[u8]) -> bool {
        false
    }

    /// How answers begin that never end, and what they go on with.
    fn endless() -> Vec<(Vec<u8>, Vec<u8>)> {
        Vec::new()
    }

    /// Last touch to a follow-on request.
    fn follow(&self, _request: &mut Follow) {}
}
