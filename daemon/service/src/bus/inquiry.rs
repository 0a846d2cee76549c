//! `org.tilld.Inquiry1`: the balance of a customer's card, on a channel whose network tells it.

use std::sync::Arc;

use till_plugin::channel::{Decline, balance, pin};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::describe::{Dict, put};
use super::errors::Error;
use super::options::{self, Options};
use super::{World, present};
use crate::till::inquiry::{GivenUp, Untold, no_pin};

/// Balances of one channel.
pub(super) struct Inquiry1 {
    pub(super) world: Arc<World>,
    pub(super) id: String,
}

impl From<Untold> for Error {
    fn from(e: Untold) -> Self {
        match e {
            Untold::Another => Self::Busy(
                "another balance is being asked for: wait for its end, or stop it 正在查询另一张卡的余额，请稍后重试"
                    .into(),
            ),
            Untold::Till(e) => e.into(),
            Untold::NoCard => present::no_card(),
            Untold::AnotherKind(channel) => Self::NotPayable(format!(
                "this card is none that the channel {channel} asks about: present a card of its kind 该通道不支持查询此卡"
            )),
            Untold::NoProcess(channel) => {
                Self::PluginFailed(format!("the channel {channel} has no process: try again in a moment"))
            }
            Untold::GivenUp(GivenUp::Stopped) => {
                Self::WrongState("stopped before anything was sent 发送前已取消".into())
            }
            Untold::GivenUp(GivenUp::PaymentBegan) => Self::Busy(
                "a payment began before the PIN was entered, and comes first; nothing was sent: ask again after it \
                 有新的交易，查询已取消，请稍后重试"
                    .into(),
            ),
            Untold::NoPin(why) => Self::NoPin(no_pin(&why)),
            Untold::Declined(no) => declined(&no),
            Untold::Host(e) => e.into(),
        }
    }
}

/// A no of the channel or its network. The texts hold no balance: there is none.
fn declined(no: &Decline) -> Error {
    let text = if no.text_zh.is_empty() { no.text.clone() } else { format!("{} {}", no.text, no.text_zh) };
    match no.code.as_str() {
        balance::UNANSWERED => Error::Timeout(text),
        balance::BAD_ANSWER => Error::BadAnswer(text),
        pin::NEEDED | "pin-block" => Error::NoPin(text),
        "instrument" | "use-chip" | "card-not-read" | "chip-not-online" => Error::NotPayable(text),
        "not-signed-in" | "reversal-pending" | "settling" | "not-sent" => Error::WrongState(text),
        "unsupported" => Error::Unsupported(text),
        _ => Error::Refused(text),
    }
}

fn operator(options: &Options) -> Result<String, Error> {
    Ok(options::text(options, "operator", 32)?.unwrap_or_default())
}

#[zbus::interface(name = "org.tilld.Inquiry1")]
impl Inquiry1 {
    async fn read_card(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["timeout-s", "operator"])?;
        // Nobody presents a card for nothing.
        self.world.handle.may_inquire(&self.id, &operator(&options)?).await?;
        present::read_card(&self.world, &self.id, &options).await
    }

    #[zbus(out_args("report"))]
    async fn balance(
        &self,
        card: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let told = self.world.handle.inquire(&self.id, card, &operator(&options)?).await?;
        let mut report = Dict::new();
        put(&mut report, "account", told.account);
        put(&mut report, "balance", told.balance.minor());
        put(&mut report, "currency", told.balance.currency().code());
        Ok(report)
    }

    async fn stop(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        if self.world.handle.give_up_inquiry(GivenUp::Stopped) {
            return Ok(());
        }
        Err(Error::WrongState(
            "no balance inquiry waits for its PIN: what has left ends by its answer 没有可取消的查询".into(),
        ))
    }

    #[zbus(signal)]
    pub(super) async fn card_presented(
        emitter: &SignalEmitter<'_>,
        card: &str,
        masked: &str,
        device: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn pin_wanted(emitter: &SignalEmitter<'_>, device: &str) -> zbus::Result<()>;
}
