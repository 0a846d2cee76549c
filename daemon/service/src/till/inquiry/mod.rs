//! Balance inquiries: one at a time, never beside a payment, told to whoever asked and to nobody else (decision 0053).
//!
//! Nothing of one is journalled but the trace number that it takes, and nothing is ever undone: no money moves. While its
//! request is on its way nothing else begins on its channel ([`Inquiries::asked`]); while its PIN is typed a payment that
//! begins comes first.

mod book;
mod untold;

use std::time::Duration;

use till_core::input::Input;
use till_core::recognise::Recognised;
use till_hosts::ChannelClient;
use till_plugin::channel::{AttemptIds, Authorise, ChannelDescription, pin};
use till_plugin::{Currency, Extra, Instrument, Money};

use super::pads::{Entered, NoPin};
use super::pin as pins;
use super::{Change, Handle, TillError};
use book::Turn;
pub(crate) use book::{GivenUp, Inquiries};
pub(crate) use untold::{Untold, no_pin};

/// Beside what the channel itself may take: its turn, and the way back.
const MARGIN: Duration = Duration::from_secs(2);

/// What an inquiry told. No `Debug`: what it tells is for its caller only.
pub(crate) struct Told {
    /// The card, masked.
    pub account: String,
    /// Below zero where it is owed.
    pub balance: Money,
}

impl Handle {
    /// Whether a channel would be asked now, and if not, why.
    pub(crate) async fn may_inquire(&self, channel: &str, operator: &str) -> Result<(), Untold> {
        if self.inquiries.is_open() {
            return Err(Untold::Another);
        }
        let input = Input::Inquire { channel: channel.into(), number: 0, operator: operator.into() };
        let answer = self.weigh(move |till, ctx| till_core::decide(till, &input, ctx).map(drop)).await?;
        answer.map_err(|refusal| TillError::from(refusal).into())
    }

    /// Asks a channel for the balance of a card that is held.
    pub(crate) async fn inquire(&self, channel: &str, card: &str, operator: &str) -> Result<Told, Untold> {
        let turn = self.inquiries.begin(channel).ok_or(Untold::Another)?;
        let inquiry =
            Inquiry { handle: self.clone(), turn, channel: channel.into(), operator: operator.into() };
        let card = card.to_owned();
        // A caller that leaves leaves nothing half done: what has left is answered, and then it is over.
        let task = tokio::spawn(async move { inquiry.run(&card).await });
        task.await.unwrap_or(Err(Untold::Till(TillError::Stopping)))
    }

    /// Stops what waits for its PIN. False: there is nothing that could be stopped.
    pub(crate) fn give_up_inquiry(&self, why: GivenUp) -> bool {
        let Some(owner) = self.inquiries.give_up(why) else { return false };
        self.pads.stop(owner);
        true
    }
}

/// One inquiry, from its card to its answer.
struct Inquiry {
    handle: Handle,
    turn: Turn,
    channel: String,
    operator: String,
}

impl Inquiry {
    async fn run(self, card: &str) -> Result<Told, Untold> {
        // Looked at first, so that a refusal leaves it where it is: it need not be presented again.
        self.is_its_own(&self.handle.cards.get(card).ok_or(Untold::NoCard)?)?;
        let mut request = self.request(card).await?;
        let (client, description) = self.client()?;
        let timeout = Duration::from_millis(description.authorise_timeout_ms.into()) + MARGIN;
        let key = pins::key(&description.extra).filter(|_| self.handle.pads.any());
        if key.is_some() {
            request.extra.insert(pin::PAD.into(), "ready".into());
        }
        let mut answer = client.balance(&request, timeout).await;
        if let (Ok(Err(no)), Some(key)) = (&answer, key)
            && no.code == pin::NEEDED
        {
            // Nothing has left. Its numbers are given up, so that what begins meanwhile goes out in their order.
            self.turn.rest();
            let entered = self.enter(&request, key).await?;
            pins::put(&mut request, entered);
            request.ids = self.ids().await?;
            answer = client.balance(&request, timeout).await;
        }
        let trace = request.ids.trace;
        let told = |what: &str| tracing::info!(CHANNEL = self.channel, trace, "balance inquiry: {what}");
        match answer {
            Ok(Ok(balance)) => {
                told("told");
                Ok(Told { account: request.instrument.masked(), balance })
            }
            Ok(Err(decline)) => {
                told(&decline.code);
                Err(Untold::Declined(decline))
            }
            Err(e) => {
                told(e.code());
                Err(Untold::Host(e))
            }
        }
    }

    /// A card of the shop's own, or of another network, is none of this one's business (pos.md S34).
    fn is_its_own(&self, card: &Instrument) -> Result<(), Untold> {
        let families = self.handle.routes.get(&self.channel).map(|view| view.families()).unwrap_or_default();
        match self.handle.readers.claims.recognise(card) {
            Recognised::Instrument { family, .. } if families.contains(&family) => Ok(()),
            _ => Err(Untold::AnotherKind(self.channel.clone())),
        }
    }

    fn client(&self) -> Result<(ChannelClient, ChannelDescription), Untold> {
        let view = self.handle.routes.get(&self.channel);
        let found = view.and_then(|view| Some((ChannelClient::new(view.instance?), view.description?)));
        found.ok_or_else(|| Untold::NoProcess(self.channel.clone()))
    }

    /// The request, with the card taken out of where it was held.
    async fn request(&self, card: &str) -> Result<Authorise, Untold> {
        let ids = self.ids().await?;
        let instrument = self.handle.cards.take(card).ok_or(Untold::NoCard)?;
        let (_, description) = self.client()?;
        let currency = description.currencies.first().and_then(|code| code.parse::<Currency>().ok());
        Ok(Authorise {
            ids,
            hold: false,
            amount: Money::zero(currency.ok_or_else(|| Untold::NoProcess(self.channel.clone()))?),
            instrument,
            subject: String::new(),
            operator: Some(self.operator.clone()).filter(|operator| !operator.is_empty()),
            pin_block: None,
            extra: Extra::new(),
        })
    }

    /// The till lets it go out, now: its trace number is in the journal, and the channel is its own until it is over.
    async fn ids(&self) -> Result<AttemptIds, Untold> {
        let (channel, operator) = (self.channel.clone(), self.operator.clone());
        self.handle.input(Input::Inquire { channel, number: self.turn.number, operator }).await?;
        if let Some(why) = self.turn.given_up() {
            return Err(Untold::GivenUp(why));
        }
        let (trace, batch) = self.turn.numbers().ok_or(TillError::Stopping)?;
        Ok(AttemptIds {
            payment: self.turn.owner.0,
            attempt: 1,
            trace,
            batch,
            order: format!("INQ{}", uuid::Uuid::now_v7().simple()).to_ascii_uppercase(),
            wall_ms: jiff::Timestamp::now().as_millisecond(),
        })
    }

    async fn enter(&self, request: &Authorise, key: pins::Key) -> Result<Entered, Untold> {
        let Some(pan) = pins::account(&request.instrument) else {
            return Err(Untold::NoPin(NoPin::Fault("the card's number is not known".into())));
        };
        let wish = pins::wish(pan, request.amount, key);
        let handle = &self.handle;
        // A pad may be a reader too: what disarms it must not reach it after this.
        handle.readers.settled().await;
        let asking = |pad: &str| {
            let (channel, device) = (self.channel.clone(), pad.to_owned());
            handle.published.tell(Change::PinWanted { channel, device });
        };
        let wanted = async { self.turn.given_up().is_none() };
        let entered = handle.pads.ask(self.turn.owner, &wish, asking, wanted).await;
        match (self.turn.given_up(), entered) {
            (Some(why), _) => Err(Untold::GivenUp(why)),
            (None, Ok(entered)) => Ok(entered),
            (None, Err(why)) => Err(Untold::NoPin(why)),
        }
    }
}
