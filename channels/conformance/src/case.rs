//! The cases, and to which channels each applies.

use till_plugin::channel::{ChannelDescription, LegRule, Operation};

/// What a channel is, as far as the suite must know to choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Talks to a network.
    pub(crate) network: bool,
    /// Its network asks for a certificate of the till's.
    pub(crate) mutual: bool,
    /// Something of it can go wrong by script, in a network or in its own store.
    pub(crate) faults: bool,
    pub(crate) query: bool,
    pub(crate) undo: bool,
    pub(crate) refund: bool,
    pub(crate) void: bool,
    pub(crate) clock: bool,
}

impl Facts {
    pub(crate) fn of(said: &ChannelDescription, rules: &[LegRule]) -> Self {
        let has = |operation| rules.iter().any(|rule| rule.operation == operation);
        Self {
            network: false,
            mutual: false,
            faults: false,
            query: said.resolve.query.is_some(),
            undo: said.resolve.undo.is_some(),
            refund: has(Operation::Refund),
            void: has(Operation::Void),
            clock: said.needs_clock,
        }
    }
}

macro_rules! cases {
    ($($(#[$doc:meta])* $case:ident if $applies:expr;)*) => {
        /// A line of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Case {
            $($(#[$doc])* $case,)*
        }

        impl Case {
            /// All of them, in the order they are told.
            pub const ALL: &'static [Self] = &[$(Self::$case),*];

            /// Whether it applies to a channel of that kind.
            pub(crate) fn applies(self, facts: Facts) -> bool {
                let asked: fn(Facts) -> bool = match self {
                    $(Self::$case => $applies,)*
                };
                asked(facts)
            }
        }
    };
}

cases! {
    /// An approval names amount and order as asked, and the network's books have it.
    Taken if |_| true;
    /// A customer who cannot pay: a definite no, nothing booked.
    Refused if |_| true;
    /// Amounts, currencies and instruments that are not this channel's are refused before anything leaves.
    NotSendable if |_| true;
    /// The same numbers again move no money, and are never called a decline or not sent.
    Twice if |f| f.network || f.faults;
    /// The plugin's process ends between each pair of steps.
    Restarted if |_| true;
    /// A probe books nothing and says whether the network is there.
    Probe if |_| true;
    /// C23.
    Clock if |f| f.clock;
    /// Each fault at each step: what is said in the end is what the books say.
    OneFault if |f| f.faults;
    /// Each fault of a sale with each fault of what resolves it.
    TwoFaults if |f| f.faults;
    /// Answers, rightly sealed, with another amount, order, merchant or terminal; answers wrongly sealed.
    Lies if |f| f.network;
    /// A true answer of the network, to another request.
    AnotherAnswer if |f| f.network;
    /// C12: each single bit of an approved answer.
    EveryBit if |f| f.network;
    /// Nobody listens.
    Unreachable if |f| f.network;
    /// Closed and reset, before, in and after the request.
    Stages if |f| f.network;
    /// Byte by byte, in time.
    Slow if |f| f.network;
    /// The answer's bytes twice in one connection.
    Doubled if |f| f.network;
    /// The answer ends after any byte, closed and reset.
    CutShort if |f| f.network;
    /// Ten megabytes.
    Endless if |f| f.network;
    /// No answer: told within the deadline.
    Silent if |f| f.network;
    /// The request lies on the way while the network is asked about it.
    FoundLater if |f| f.network && f.query;
    /// An undo takes it back once, however often it is sent.
    Undone if |f| f.undo && f.faults;
    /// An undo of what never arrived.
    UndoneNothing if |f| f.undo && f.faults;
    /// The network refuses the undo.
    UndoRefused if |f| f.undo && f.network;
    /// Parts, repeats, more than was paid.
    Refunds if |f| f.refund;
    /// Each fault at a refund and at the question about it.
    RefundFaults if |f| f.refund && f.faults;
    /// A void gives all back, once.
    Voids if |f| f.void;
    /// C13: expired, for another host, self-signed, of another authority, TLS 1.1, without a root.
    Tls if |f| f.network;
    /// C13: mutual TLS.
    MutualTls if |f| f.mutual;
}
