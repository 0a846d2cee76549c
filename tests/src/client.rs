//! A front-end: what any till screen does over D-Bus, with waiting that ends.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// Longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Signals that may wait unread.
const QUEUE: Option<std::num::NonZeroUsize> = std::num::NonZeroUsize::new(256);

const NAME: &str = "org.tilld.Till1";
const ROOT: &str = "/org/tilld/Till1";

type Options<'a> = HashMap<&'a str, Variant<'a>>;

/// A connected front-end.
#[derive(Clone)]
pub struct Client {
    connection: zbus::Connection,
}

impl Client {
    /// Connects.
    pub async fn connect(address: &str) -> zbus::Result<Self> {
        // The embedded bus does not answer calls to names nobody owns.
        let connection = zbus::connection::Builder::address(address).method_timeout(PATIENCE).build().await?;
        Ok(Self { connection })
    }

    /// The connection.
    pub fn connection(&self) -> &zbus::Connection {
        &self.connection
    }

    /// Whether `tilld` has its name.
    pub async fn is_up(&self) -> bool {
        let Ok(bus) = zbus::fdo::DBusProxy::new(&self.connection).await else { return false };
        match zbus::names::BusName::try_from(NAME) {
            Ok(name) => bus.name_has_owner(name).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Any object's interface.
    pub async fn proxy(&self, path: &str, interface: &'static str) -> zbus::Result<zbus::Proxy<'static>> {
        zbus::proxy::Builder::new(&self.connection)
            .destination(NAME)
            .path(path.to_owned())
            .interface(interface)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
    }

    /// The till's own interface.
    pub async fn terminal(&self) -> zbus::Result<zbus::Proxy<'static>> {
        self.proxy(ROOT, "org.tilld.Terminal1").await
    }

    /// `ready`, `degraded`, `blocked`.
    pub async fn state(&self) -> zbus::Result<String> {
        self.terminal().await?.get_property("State").await
    }

    /// What stands in the way.
    pub async fn blockers(&self) -> zbus::Result<Vec<(String, String, String, String)>> {
        self.terminal().await?.get_property("Blockers").await
    }

    /// The current channel.
    pub async fn current_channel(&self) -> zbus::Result<String> {
        self.terminal().await?.get_property("CurrentChannel").await
    }

    /// Switches.
    pub async fn select(&self, channel: &str) -> zbus::Result<()> {
        self.terminal().await?.call("SelectChannel", &(channel, Options::new())).await
    }

    /// Opens a payment.
    pub async fn open(&self, minor: i64, key: &str) -> zbus::Result<PaymentClient> {
        self.open_in(minor, "CNY", key).await
    }

    /// Opens a payment in a currency.
    pub async fn open_in(&self, minor: i64, currency: &str, key: &str) -> zbus::Result<PaymentClient> {
        let mut options = Options::new();
        if !key.is_empty() {
            options.insert("key", key.into());
        }
        options.insert("subject", "午餐套餐".into());
        options.insert("operator", "001".into());
        let path: OwnedObjectPath =
            self.terminal().await?.call("OpenPayment", &(minor, currency, options)).await?;
        Ok(PaymentClient { client: self.clone(), path })
    }

    /// Opens and confirms.
    pub async fn ready(&self, minor: i64) -> zbus::Result<PaymentClient> {
        let payment = self.open(minor, "").await?;
        payment.confirm(minor).await?;
        Ok(payment)
    }

    /// A payment by its id, from anywhere.
    pub async fn find(&self, id: &str) -> zbus::Result<HashMap<String, OwnedVariant>> {
        self.terminal().await?.call("FindPayment", &(id, Options::new())).await
    }

    /// What has been paid by each channel, minor units: the fold of all payments that the till lists.
    pub async fn paid_by_channel(&self) -> zbus::Result<HashMap<String, i64>> {
        type Row = (String, String, i64, String, String, i64);
        let terminal = self.terminal().await?;
        let rows: Vec<Row> = terminal.call("ListPayments", &(500_u32, Options::new())).await?;
        let mut sums = HashMap::new();
        for (_, state, minor, _, channel, _) in rows {
            if state == "paid" {
                *sums.entry(channel).or_insert(0) += minor;
            }
        }
        Ok(sums)
    }

    /// A payment by its object path.
    pub fn payment(&self, path: OwnedObjectPath) -> PaymentClient {
        PaymentClient { client: self.clone(), path }
    }

    /// A device's state and reason.
    pub async fn device(&self, id: &str) -> zbus::Result<(String, String)> {
        let device = self.proxy(&format!("{ROOT}/device/{id}"), "org.tilld.Device1").await?;
        Ok((device.get_property("State").await?, device.get_property("StateReason").await?))
    }

    /// A channel's state and reason.
    pub async fn channel(&self, id: &str) -> zbus::Result<(String, String)> {
        let channel = self.proxy(&format!("{ROOT}/channel/{id}"), "org.tilld.Channel1").await?;
        Ok((channel.get_property("State").await?, channel.get_property("StateReason").await?))
    }

    /// Checks the journal: records, problems.
    pub async fn verify_journal(&self) -> zbus::Result<(u64, Vec<String>)> {
        self.proxy(ROOT, "org.tilld.Journal1").await?.call("Verify", &(Options::new(),)).await
    }

    /// Writes the whole journal into a file.
    pub async fn export_journal(&self, file: std::fs::File) -> zbus::Result<u64> {
        let fd = zbus::OwnedFd::from(std::os::fd::OwnedFd::from(file));
        self.proxy(ROOT, "org.tilld.Journal1")
            .await?
            .call("Export", &(1_u64, 0_u64, fd, Options::new()))
            .await
    }

    /// Counts signals of a kind on an object until [`SignalCount::stop`].
    pub async fn count_signals(
        &self,
        path: &str,
        interface: &str,
        member: &str,
    ) -> zbus::Result<SignalCount> {
        let rule = zbus::MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path(path.to_owned())
            .interface(interface.to_owned())
            .member(member.to_owned())
            .build()?;
        let mut stream = zbus::MessageStream::for_match_rule(rule, &self.connection, QUEUE).await?;
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    message = stream.next() => match message {
                        Some(Ok(message)) => seen.push(message),
                        _ => return seen,
                    },
                    _ = &mut stopped => return seen,
                }
            }
        });
        Ok(SignalCount { client: self.clone(), stop, task })
    }
}

/// Signals being collected.
pub struct SignalCount {
    client: Client,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Vec<zbus::Message>>,
}

impl SignalCount {
    /// Everything that `tilld` had sent before now.
    pub async fn stop(self) -> Vec<zbus::Message> {
        // A round trip to tilld: its signals come before its reply, in order.
        let _there = self.client.state().await;
        let _ended = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

/// One payment.
#[derive(Clone)]
pub struct PaymentClient {
    client: Client,
    /// Its object.
    pub path: OwnedObjectPath,
}

impl PaymentClient {
    async fn proxy(&self) -> zbus::Result<zbus::Proxy<'static>> {
        self.client.proxy(self.path.as_str(), "org.tilld.Payment1").await
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.path.as_str().rsplit("/p").next().unwrap_or_default().to_owned()
    }

    /// Confirms the amount.
    pub async fn confirm(&self, minor: i64) -> zbus::Result<()> {
        self.proxy().await?.call("ConfirmAmount", &(minor, "CNY", Options::new())).await
    }

    /// Pays cash.
    pub async fn pay_cash(&self, tendered: i64) -> zbus::Result<()> {
        self.proxy().await?.call("PayCash", &(tendered, Options::new())).await
    }

    /// What a reader reads next pays this much, and is no duplicate because of this.
    pub async fn another_purchase(&self, amount: i64, why: &str) -> zbus::Result<()> {
        let options = Options::from([("duplicate-reason", why.into())]);
        self.proxy().await?.call("NextTender", &(amount, options)).await
    }

    /// Shows a code of a channel; waits until it is there to be scanned, and gives the order that it is for.
    pub async fn show_code(&self, channel: &str) -> zbus::Result<String> {
        let options = Options::from([("channel", channel.into())]);
        self.proxy().await?.call::<_, _, ()>("PayShownCode", &options).await?;
        self.wait_attempt(&["querying"]).await?;
        let typed = till_dbus::Payment1Proxy::builder(&self.client.connection)
            .path(self.path.clone())
            .build()
            .await?;
        let told = typed.describe(Options::new()).await.map_err(|e| zbus::Error::Failure(e.to_string()))?;
        let order = told.attempts.last().and_then(|a| a.order.clone());
        order.ok_or_else(|| zbus::Error::Failure("the attempt has no order".into()))
    }

    /// Pays with a code that the front-end has.
    pub async fn pay_code(&self, code: &str) -> zbus::Result<()> {
        self.pay_code_with(code, Options::new()).await
    }

    /// The same, and the operator says what it is.
    pub async fn pay_code_as(&self, code: &str, family: &str) -> zbus::Result<()> {
        self.pay_code_with(code, [("family", family.into())].into()).await
    }

    async fn pay_code_with(&self, code: &str, options: Options<'_>) -> zbus::Result<()> {
        let (reader, mut writer) = std::io::pipe()?;
        std::io::Write::write_all(&mut writer, code.as_bytes())?;
        drop(writer);
        let fd = zbus::OwnedFd::from(std::os::fd::OwnedFd::from(reader));
        self.proxy().await?.call("PayCode", &(fd, options)).await
    }

    /// Cancels.
    pub async fn cancel(&self) -> zbus::Result<()> {
        self.proxy().await?.call("Cancel", &(Options::new(),)).await
    }

    /// `State`.
    pub async fn state(&self) -> zbus::Result<String> {
        self.proxy().await?.get_property("State").await
    }

    /// `AttemptState`.
    pub async fn attempt_state(&self) -> zbus::Result<String> {
        self.proxy().await?.get_property("AttemptState").await
    }

    /// `Channel`.
    pub async fn channel(&self) -> zbus::Result<String> {
        self.proxy().await?.get_property("Channel").await
    }

    /// Receipt as text.
    pub async fn receipt(&self) -> zbus::Result<String> {
        self.proxy().await?.call("ReceiptText", &(Options::new(),)).await
    }

    /// Everything.
    pub async fn describe(&self) -> zbus::Result<HashMap<String, OwnedVariant>> {
        self.proxy().await?.call("Describe", &(Options::new(),)).await
    }

    /// Waits until the payment is in one of these states; an error names where it stood when patience ended.
    pub async fn wait(&self, states: &[&str]) -> zbus::Result<String> {
        self.wait_for("State", states).await
    }

    /// Waits until its newest attempt is in one of these states.
    pub async fn wait_attempt(&self, states: &[&str]) -> zbus::Result<String> {
        self.wait_for("AttemptState", states).await
    }

    async fn wait_for(&self, property: &str, wanted: &[&str]) -> zbus::Result<String> {
        // Subscribed first, asked second: nothing in between is missed.
        let rule = zbus::MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path(self.path.clone())
            .interface("org.freedesktop.DBus.Properties")
            .build()?;
        let mut changes = zbus::MessageStream::for_match_rule(rule, &self.client.connection, QUEUE).await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now: String = self.proxy().await?.get_property(property).await?;
            if wanted.contains(&now.as_str()) {
                return Ok(now);
            }
            if tokio::time::timeout_at(deadline, changes.next()).await.is_err() {
                return Err(zbus::Error::Failure(format!(
                    "{} of payment {} is {now:?} after {PATIENCE:?}, waited for {wanted:?}",
                    property,
                    self.id()
                )));
            }
        }
    }
}
