//! The state of the whole till in a few calls: what a screen shows when it starts.

use std::collections::HashMap;

use serde::Serialize;
use zbus::fdo::{ObjectManagerProxy, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use crate::types::{
    Blocker, BreakerRow, Head, Job, LocalText, Maintenance, MerchantState, ProfileState, Prompt, SandboxLayer,
};
use crate::{Error, NAME, paths};

/// Properties of one interface.
type Properties = HashMap<String, OwnedVariant>;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// The till itself.
    pub terminal: Terminal,
    /// The journal.
    pub journal: JournalState,
    /// Channels, by priority, then id.
    pub channels: Vec<Channel>,
    /// Devices, by id.
    pub devices: Vec<Device>,
    /// Payments that have an object, newest change first.
    pub payments: Vec<Payment>,
}

/// Properties of `org.tilld.Terminal1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Terminal {
    /// Version of the daemon.
    pub version: String,
    /// Terminal id.
    pub terminal: String,
    /// Channel that the operator chose; empty: automatic.
    pub current_channel: String,
    /// Path of the payment that holds the till, or `/`.
    pub active_payment: String,
    /// The till is in training: no money moves by what is sold now.
    pub training: bool,
    /// Which profile decides what is offered.
    pub profile: ProfileState,
    /// ready, degraded, blocked.
    pub state: String,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
}

/// Properties of `org.tilld.Journal1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JournalState {
    /// Sequence number of the newest durable record.
    pub head_seq: u64,
    /// Its hash, hexadecimal.
    pub head_hash: String,
    /// `well`, or what is wrong.
    pub state: String,
}

/// Properties of `org.tilld.Channel1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Channel {
    /// Id.
    pub id: String,
    /// Name for people.
    pub name: LocalText,
    /// Plugin id.
    pub plugin: String,
    /// Families it takes.
    pub families: Vec<String>,
    /// Operations it does.
    pub operations: Vec<String>,
    /// ready, starting, signed-off, failed, suspended, disabled.
    pub state: String,
    /// One line when it is not ready.
    pub reason: String,
    /// Payments on it whose outcome is not known.
    pub unresolved: u32,
    /// Smaller is preferred.
    pub priority: u32,
    /// Announced maintenance.
    pub maintenance: Maintenance,
    /// Breakers that are not closed.
    pub breakers: Vec<BreakerRow>,
    /// Merchant authentication.
    pub merchant: MerchantState,
}

/// Properties of `org.tilld.Device1`, and of `org.tilld.Printer1` where the device has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// Id.
    pub id: String,
    /// Name for people.
    pub name: LocalText,
    /// Plugin id.
    pub plugin: String,
    /// magstripe, scanner, printer …
    pub classes: Vec<String>,
    /// Where it is attached.
    pub transport: String,
    /// starting, ready, attention, blocked, offline, failed, quarantined, unknown.
    pub state: String,
    /// One line when it is not ready.
    pub reason: String,
    /// Confinement of its process.
    pub sandbox: Vec<SandboxLayer>,
    /// Receipts that are not certainly printed; None: it does not print.
    pub jobs: Option<Vec<Job>>,
}

/// Properties of `org.tilld.Payment1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Payment {
    /// Object path.
    pub path: String,
    /// 32 hexadecimal digits.
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// draft, ready, tendering, paid, cancelled, review.
    pub state: String,
    /// Why it is so.
    pub reason: String,
    /// Paid so far, minor units.
    pub paid: i64,
    /// Channel of the newest attempt.
    pub channel: String,
    /// State of the newest attempt.
    pub attempt_state: String,
    /// What the person at the till is to do now.
    pub prompt: Prompt,
    /// Receipt number; 0 until paid.
    pub receipt: u64,
    /// Grows with every change.
    pub seq: u64,
}

impl Tree {
    /// Reads it. Subscribe to [`crate::events::Events`] first.
    pub async fn read(connection: &Connection) -> Result<Self, Error> {
        let manager = ObjectManagerProxy::new(connection, NAME, paths::ROOT).await?;
        let objects = manager.get_managed_objects().await?;
        let mut tree = Self {
            terminal: terminal(connection).await?,
            journal: journal(connection).await?,
            ..Self::default()
        };
        for (path, interfaces) in objects {
            let of = |name: &str| interfaces.iter().find(|(n, _)| n.as_str() == name).map(|(_, p)| p);
            if let Some(p) = of("org.tilld.Channel1") {
                tree.channels.push(Channel::read(p)?);
            }
            if let Some(p) = of("org.tilld.Device1") {
                tree.devices.push(Device::read(p, of("org.tilld.Printer1"))?);
            }
            if let Some(p) = of("org.tilld.Payment1") {
                tree.payments.push(Payment::read(&path, p)?);
            }
        }
        tree.channels.sort_by(|a, b| (a.priority, &a.id).cmp(&(b.priority, &b.id)));
        tree.devices.sort_by(|a, b| a.id.cmp(&b.id));
        tree.payments.sort_by_key(|p| std::cmp::Reverse(p.seq));
        Ok(tree)
    }

    /// The payment that holds the till.
    pub fn active(&self) -> Option<&Payment> {
        self.payments.iter().find(|p| p.path == self.terminal.active_payment)
    }
}

async fn all(connection: &Connection, interface: &'static str) -> Result<Properties, Error> {
    let properties = PropertiesProxy::new(connection, NAME, paths::ROOT).await?;
    Ok(properties.get_all(InterfaceName::from_static_str(interface)?).await?)
}

/// Reads the till's own properties.
pub async fn terminal(connection: &Connection) -> Result<Terminal, Error> {
    let p = all(connection, "org.tilld.Terminal1").await?;
    Ok(Terminal {
        version: get(&p, "Version")?,
        terminal: get(&p, "Terminal")?,
        current_channel: get(&p, "CurrentChannel")?,
        active_payment: get::<OwnedObjectPath>(&p, "ActivePayment")?.to_string(),
        training: get(&p, "Training")?,
        profile: get(&p, "Profile")?,
        state: get(&p, "State")?,
        blockers: get(&p, "Blockers")?,
    })
}

/// Reads the journal's properties.
pub async fn journal(connection: &Connection) -> Result<JournalState, Error> {
    let p = all(connection, "org.tilld.Journal1").await?;
    let head: Head = get(&p, "Head")?;
    Ok(JournalState { head_seq: head.seq, head_hash: head.hash, state: get(&p, "State")? })
}

impl Channel {
    fn read(p: &Properties) -> Result<Self, Error> {
        Ok(Self {
            id: get(p, "Id")?,
            name: get(p, "Name")?,
            plugin: get(p, "Plugin")?,
            families: get(p, "Families")?,
            operations: get(p, "Operations")?,
            state: get(p, "State")?,
            reason: get(p, "StateReason")?,
            unresolved: get(p, "Unresolved")?,
            priority: get(p, "Priority")?,
            maintenance: get(p, "Maintenance")?,
            breakers: get(p, "Breakers")?,
            merchant: get(p, "Merchant")?,
        })
    }
}

impl Device {
    fn read(p: &Properties, printer: Option<&Properties>) -> Result<Self, Error> {
        Ok(Self {
            id: get(p, "Id")?,
            name: get(p, "Name")?,
            plugin: get(p, "Plugin")?,
            classes: get(p, "Classes")?,
            transport: get(p, "Transport")?,
            state: get(p, "State")?,
            reason: get(p, "StateReason")?,
            sandbox: get(p, "Sandbox")?,
            jobs: printer.map(|p| get(p, "Jobs")).transpose()?,
        })
    }
}

impl Payment {
    fn read(path: &OwnedObjectPath, p: &Properties) -> Result<Self, Error> {
        Ok(Self {
            path: path.to_string(),
            id: get(p, "Id")?,
            amount: get(p, "Amount")?,
            currency: get(p, "Currency")?,
            state: get(p, "State")?,
            reason: get(p, "StateReason")?,
            paid: get(p, "Paid")?,
            channel: get(p, "Channel")?,
            attempt_state: get(p, "AttemptState")?,
            prompt: p.get("Prompt").map(prompt).transpose()?.unwrap_or_default(),
            receipt: get(p, "Receipt")?,
            seq: get(p, "Seq")?,
        })
    }
}

/// Reads a `Prompt` property.
pub fn prompt(value: &OwnedVariant) -> Result<Prompt, Error> {
    decode(value).map_err(|e| shape("Prompt", &e))
}

fn get<T>(properties: &Properties, name: &str) -> Result<T, Error>
where
    T: for<'d> serde::Deserialize<'d> + zbus::Type,
{
    let value = properties.get(name).ok_or_else(|| {
        Error::Bus(zbus::Error::Failure(format!("the daemon does not serve property {name}")))
    })?;
    decode(value).map_err(|e| shape(name, &e))
}

fn shape(name: &str, e: &zbus::Error) -> Error {
    Error::Bus(zbus::Error::Failure(format!("property {name} has another type than the contract says: {e}")))
}

/// Reads a value of a dictionary as the type that the contract gives it.
pub fn decode<T>(value: &OwnedVariant) -> Result<T, zbus::Error>
where
    T: for<'d> serde::Deserialize<'d> + zbus::Type,
{
    use zbus::wire::{LE, serialized::Context, to_bytes};
    // Typed structures inside variants are read from their wire form, where the signature is checked first.
    if value.value_signature() != T::SIGNATURE {
        return Err(zbus::Error::SignatureMismatch(
            value.value_signature().clone(),
            T::SIGNATURE.to_string(),
        ));
    }
    let bytes = to_bytes(Context::new(LE, 0), &**value)?;
    let holder: zbus::as_variant::Deserialize<'_, T> = bytes.deserialize()?.0;
    Ok(holder.0)
}
