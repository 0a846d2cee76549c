//! What goes wrong during a tap, and whose hand holds what.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::card::Card;

/// What goes wrong. Commands to the card count from 0 (0 is the directory); commands to the reader are its codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The card is gone when this command comes.
    RemovedAt {
        /// Which command.
        apdu: u32,
    },
    /// The card answers with this status word alone.
    Status {
        /// Which command.
        apdu: u32,
        /// Status word.
        sw: u16,
    },
    /// The card answers with these bytes.
    Answer {
        /// Which command.
        apdu: u32,
        /// Hex, status word included.
        hex: String,
    },
    /// The card never answers, and asks for more time for ever.
    Mute {
        /// Which command.
        apdu: u32,
    },
    /// The card takes this long for each command.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// The reader hands the card's answers out in parts of this many bytes (status bit 40h).
    Parts {
        /// Bytes a part.
        bytes: usize,
    },
    /// The reader is reset before this command: it knows no card any more.
    Reset {
        /// Which command.
        apdu: u32,
    },
    /// The line is cut between acknowledgement and reply.
    Unplug {
        /// Which command.
        apdu: u32,
    },
    /// The reader does not acknowledge.
    NoAck {
        /// How often.
        times: u32,
    },
    /// The reader asks for the command again.
    Nak {
        /// How often.
        times: u32,
    },
    /// On a bus the chip is not there for so many transactions: it does not acknowledge its address, or drive its line.
    Deaf {
        /// How often.
        times: u32,
    },
    /// An ACR122U asks for more time before its answer.
    MoreTime {
        /// How often.
        times: u32,
    },
    /// An ACR122U answers an older command first.
    OlderBlock {
        /// How often.
        times: u32,
    },
    /// An ACR122U's message ends before it should.
    CutBlock {
        /// How often.
        times: u32,
    },
    /// An ACR122U's message is longer than it says.
    LongBlock {
        /// How often.
        times: u32,
    },
    /// A reader that finds cards by itself is busy with something else.
    Busy {
        /// How often.
        times: u32,
    },
    /// It sees a card and cannot activate it.
    NotActivated {
        /// How often.
        times: u32,
    },
    /// The reader acknowledges three times.
    RepeatAck {},
    /// Replies have a wrong checksum.
    WrongChecksum {
        /// How often.
        times: u32,
    },
    /// Bytes before each reply.
    Garbage {
        /// Hex.
        hex: String,
    },
    /// A reply to an older command comes before each reply.
    Older {},
}

/// What somebody holds before the reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hand {
    /// Cards; the reader sees two at most.
    pub cards: Vec<Card>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Hand {
    /// One card.
    pub fn with(card: Card) -> Self {
        Self { cards: vec![card], faults: Vec::new() }
    }

    /// Another card beside it.
    #[must_use]
    pub fn and(mut self, card: Card) -> Self {
        self.cards.push(card);
        self
    }

    /// Something goes wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// How long the card takes for each command.
    pub(super) fn slow(&self) -> Duration {
        let ms = self.faults.iter().map(|f| if let Fault::Slow { ms } = f { *ms } else { 0 }).max();
        Duration::from_millis(ms.unwrap_or(0))
    }

    /// Reads an order: names of cards, or JSON `{"cards":["unionpay"],"faults":[{"kind":"removed-at","apdu":2}]}`.
    pub fn parse(line: &str) -> Result<Self, NotAHand> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Order {
            cards: Vec<String>,
            #[serde(default)]
            faults: Vec<Fault>,
        }
        let order = if line.trim_start().starts_with('{') {
            serde_json::from_str(line).map_err(|e| NotAHand(e.to_string()))?
        } else {
            let cards = line.split_whitespace().map(str::to_owned).collect();
            Order { cards, faults: Vec::new() }
        };
        let cards = order
            .cards
            .iter()
            .map(|name| Card::named(name).ok_or_else(|| NotAHand(format!("no card is called {name:?}"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { cards, faults: order.faults })
    }
}

/// A line that is no order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; cards are unionpay, phone, visa, mastercard, foreign, mifare, plain")]
pub struct NotAHand(String);
