//! The contract of every channel, run by cash. Nobody keeps books of it but the daemon.

use std::convert::Infallible;

use till_channel_cash::plugin::Cash;
use till_conformance::{Adapter, Case, Step, Way, conformance};
use till_plugin::testing::TestHost;
use till_plugin::{Instrument, Money};

const NO_NETWORK: &str = "there is no network, and nothing of the channel's own that could be lost";
const NO_BOOKS: &str = "an approval counts when it is in the daemon's journal; the channel remembers nothing";

struct Kit;

impl Adapter for Kit {
    type Channel = Cash;
    type Fault = Infallible;

    const NAME: &'static str = "cash";
    const WITHOUT: &'static [(Case, &'static str)] = &[
        (Case::Twice, NO_BOOKS),
        (Case::Clock, "nothing is signed with the time"),
        (Case::OneFault, NO_NETWORK),
        (Case::TwoFaults, NO_NETWORK),
        (Case::Lies, NO_NETWORK),
        (Case::AnotherAnswer, NO_NETWORK),
        (Case::EveryBit, NO_NETWORK),
        (Case::Unreachable, NO_NETWORK),
        (Case::Stages, NO_NETWORK),
        (Case::Slow, NO_NETWORK),
        (Case::Doubled, NO_NETWORK),
        (Case::CutShort, NO_NETWORK),
        (Case::Endless, NO_NETWORK),
        (Case::Silent, NO_NETWORK),
        (Case::FoundLater, NO_NETWORK),
        (Case::Undone, NO_BOOKS),
        (Case::UndoneNothing, NO_BOOKS),
        (Case::UndoRefused, NO_NETWORK),
        (Case::RefundFaults, NO_NETWORK),
        (Case::Tls, NO_NETWORK),
        (Case::MutualTls, NO_NETWORK),
    ];

    fn start() -> Self {
        Self
    }

    fn bench(&self, _identity: Option<&str>) -> TestHost {
        TestHost::new()
    }

    fn settings(&self, _way: &Way) -> String {
        "{}".into()
    }

    fn instrument(&self, _number: u32, amount: Money) -> Instrument {
        Instrument::Cash { tendered: amount }
    }

    fn poor(&self, amount: Money) -> Instrument {
        Instrument::Cash { tendered: Money::new(amount.minor() - 1, amount.currency()) }
    }

    fn faults(&self, _step: Step) -> Vec<Infallible> {
        Vec::new()
    }

    fn kept(&self, _bench: &TestHost) -> Option<i64> {
        None
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn never_kept(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

conformance!(Kit);
