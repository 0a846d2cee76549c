//! Every signal of the till, decoded, in the order in which the daemon sent them.

use std::collections::HashMap;

use futures_util::StreamExt;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, Structure};

use crate::{Error, NAME, paths};

/// Signals that may wait unread before the connection itself waits.
const QUEUE: usize = 4096;

/// A dictionary of properties.
pub type Properties = HashMap<String, OwnedVariant>;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// The object that tells it; the till's root for what concerns the daemon itself.
    pub path: OwnedObjectPath,
    /// What.
    pub change: Change,
}

/// What happened. Fields are those of the signal in the XML.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(missing_docs)] // Each field is documented at its signal.
pub enum Change {
    /// An object is new: its interfaces with their properties.
    Added { path: OwnedObjectPath, interfaces: HashMap<String, Properties> },
    /// An object lost interfaces.
    Removed { path: OwnedObjectPath, interfaces: Vec<String> },
    /// Properties changed.
    Properties { interface: String, changed: Properties, invalidated: Vec<String> },
    /// `Payment1.StateChanged`.
    PaymentState { old: String, new: String, reason: String, seq: u64 },
    /// `Payment1.Presented`.
    Presented { device: String, family: String, masked: String },
    /// `Payment1.InputRefused`.
    InputRefused { device: String, reason: String, text: String, text_zh: String, families: Vec<String> },
    /// `Payment1.ShowCode`.
    ShowCode { code: String },
    /// `Channel1.StateChanged`.
    ChannelState { old: String, new: String, reason: String },
    /// `Device1.StateChanged`.
    DeviceState { old: String, new: String, reason: String },
    /// `Printer1.JobChanged`.
    Job { job: u64, payment: OwnedObjectPath, state: String, reason: String },
    /// `Prepaid1.CardPresented`.
    CardPresented { card: String, masked: String, device: String },
    /// `Inquiry1.CardPresented`.
    InquiryCard { card: String, masked: String, device: String },
    /// `Inquiry1.PinWanted`.
    PinWanted { device: String },
    /// `Notices1.NoticeDue`.
    NoticeDue { seq: u64, payment: String },
    /// `Terminal1.Alarm`.
    Alarm { level: String, code: String, payment: OwnedObjectPath, text: String },
    /// A signal that this version of the crate does not know.
    Other { interface: String, member: String, arguments: Vec<OwnedVariant> },
    /// The daemon left the bus: stopped, killed or crashed. Open payments go on when it is back.
    DaemonGone,
    /// The daemon is on the bus again. Read what you showed again.
    DaemonCame,
}

/// The stream of [`Event`]s.
///
/// Subscribe before the first call, then read state: nothing falls between the two. Read it until the end of what you
/// wait for: with 4096 unread messages the connection stops reading.
#[derive(Debug)]
pub struct Events {
    messages: MessageStream,
    owner: Option<OwnedUniqueName>,
}

impl Events {
    /// Listens to everything below the till's root, and to the daemon's coming and going.
    ///
    /// Only signals of the name's owner count: others on the bus may send what they like.
    pub async fn subscribe(connection: &Connection) -> Result<Self, Error> {
        // One queue for all messages, made first: signals and changes of the owner stay in order.
        let mut messages = MessageStream::from(connection);
        if let Some(queue) = std::num::NonZeroUsize::new(QUEUE) {
            messages.set_max_queued(queue);
        }
        let bus = DBusProxy::new(connection).await?;
        let till = MatchRule::builder().msg_type(Type::Signal).path_namespace(paths::ROOT).build()?;
        bus.add_match_rule(till).await?;
        let owner_rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(NAME)
            .build()?;
        bus.add_match_rule(owner_rule).await?;
        let owner = bus.get_name_owner(BusName::from_static_str(NAME)?).await.ok();
        Ok(Self { messages, owner })
    }

    /// Whether the daemon is on the bus, as far as the events read so far tell.
    pub fn is_running(&self) -> bool {
        self.owner.is_some()
    }

    /// The next event; None when the bus itself is gone. Cancelling the wait loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let Ok(message) = self.messages.next().await? else { continue };
            if message.message_type() != Type::Signal {
                continue;
            }
            if let Some(event) = self.read(&message) {
                return Some(event);
            }
        }
    }

    fn read(&mut self, message: &Message) -> Option<Event> {
        let header = message.header();
        let sender = header.sender()?;
        let (path, interface, member) = (header.path()?, header.interface()?, header.member()?);
        if sender.as_str() == "org.freedesktop.DBus" {
            return (member.as_str() == "NameOwnerChanged").then(|| self.owner_changed(message)).flatten();
        }
        let in_tree =
            path.as_str().strip_prefix(paths::ROOT).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        if !in_tree || self.owner.as_deref() != Some(sender) {
            return None;
        }
        let change = decode(message, interface.as_str(), member.as_str())
            .unwrap_or_else(|| other(message, interface.as_str(), member.as_str()));
        Some(Event { path: path.to_owned().into(), change })
    }

    fn owner_changed(&mut self, message: &Message) -> Option<Event> {
        let body = message.body();
        let (name, _old, new): (String, String, String) = body.deserialize().ok()?;
        if name != NAME {
            return None;
        }
        let new = OwnedUniqueName::try_from(new).ok();
        if new == self.owner {
            return None;
        }
        self.owner = new;
        let change = if self.owner.is_some() { Change::DaemonCame } else { Change::DaemonGone };
        let path = OwnedObjectPath::try_from(paths::ROOT).ok()?;
        Some(Event { path, change })
    }
}

/// Decodes a signal of the contract; None: unknown, or of another shape than the contract says.
fn decode(message: &Message, interface: &str, member: &str) -> Option<Change> {
    let body = message.body();
    Some(match (interface, member) {
        ("org.freedesktop.DBus.ObjectManager", "InterfacesAdded") => {
            let (path, interfaces) = body.deserialize().ok()?;
            Change::Added { path, interfaces }
        }
        ("org.freedesktop.DBus.ObjectManager", "InterfacesRemoved") => {
            let (path, interfaces) = body.deserialize().ok()?;
            Change::Removed { path, interfaces }
        }
        ("org.freedesktop.DBus.Properties", "PropertiesChanged") => {
            let (interface, changed, invalidated) = body.deserialize().ok()?;
            Change::Properties { interface, changed, invalidated }
        }
        ("org.tilld.Payment1", "StateChanged") => {
            let (old, new, reason, seq) = body.deserialize().ok()?;
            Change::PaymentState { old, new, reason, seq }
        }
        ("org.tilld.Payment1", "Presented") => {
            let (device, family, masked) = body.deserialize().ok()?;
            Change::Presented { device, family, masked }
        }
        ("org.tilld.Payment1", "InputRefused") => {
            let (device, reason, text, text_zh, families) = body.deserialize().ok()?;
            Change::InputRefused { device, reason, text, text_zh, families }
        }
        ("org.tilld.Payment1", "ShowCode") => Change::ShowCode { code: body.deserialize().ok()? },
        ("org.tilld.Channel1", "StateChanged") => {
            let (old, new, reason) = body.deserialize().ok()?;
            Change::ChannelState { old, new, reason }
        }
        ("org.tilld.Device1", "StateChanged") => {
            let (old, new, reason) = body.deserialize().ok()?;
            Change::DeviceState { old, new, reason }
        }
        ("org.tilld.Printer1", "JobChanged") => {
            let (job, payment, state, reason) = body.deserialize().ok()?;
            Change::Job { job, payment, state, reason }
        }
        ("org.tilld.Prepaid1", "CardPresented") => {
            let (card, masked, device) = body.deserialize().ok()?;
            Change::CardPresented { card, masked, device }
        }
        ("org.tilld.Inquiry1", "CardPresented") => {
            let (card, masked, device) = body.deserialize().ok()?;
            Change::InquiryCard { card, masked, device }
        }
        ("org.tilld.Inquiry1", "PinWanted") => Change::PinWanted { device: body.deserialize().ok()? },
        ("org.tilld.Notices1", "NoticeDue") => {
            let (seq, payment) = body.deserialize().ok()?;
            Change::NoticeDue { seq, payment }
        }
        ("org.tilld.Terminal1", "Alarm") => {
            let (level, code, payment, text) = body.deserialize().ok()?;
            Change::Alarm { level, code, payment, text }
        }
        _ => return None,
    })
}

fn other(message: &Message, interface: &str, member: &str) -> Change {
    let body = message.body();
    let arguments = body.deserialize::<Structure<'_>>().map_or_else(
        |_| Vec::new(),
        |s| s.fields().iter().filter_map(|f| OwnedVariant::try_from(f).ok()).collect(),
    );
    Change::Other { interface: interface.into(), member: member.into(), arguments }
}
