//! tilld under its own unit, with simulated networks, and what a scenario asks of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use till_simulators::acquirer::ledger::State;
use till_simulators::acquirer::{Acquirer, AcquirerConfig, Terminal};
use till_simulators::alipay::{Gateway, Settings};
use till_tests::scene::wallet_code;
use till_tests::{Client, PaymentClient, Watch};

use crate::error::{VmError, claim};
use crate::system;

pub(crate) const BUS: &str = "unix:path=/run/dbus/system_bus_socket";
pub(crate) const CONFIG: &str = "/etc/tilld";
const SITE_RULES: &str = "/etc/udev/rules.d/70-site.rules";
const LAST_RULES: &str = "/etc/udev/rules.d/99-com.rules";

/// Longest that a scenario waits for one thing, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);
/// A customer tries so often, and waits so long.
const TRIES: usize = 5;
const TRY: Duration = Duration::from_secs(3);

/// The till.
pub(crate) struct Till {
    pub(crate) client: Client,
    pub(crate) acquirer: Acquirer,
    pub(crate) gateway: Gateway,
}

impl Till {
    /// Starts the networks, writes the configuration, starts the unit.
    pub(crate) async fn stand() -> Result<Self, VmError> {
        let acquirer = Acquirer::start(AcquirerConfig::default()).map_err(VmError::wrong)?;
        let gateway = Gateway::start(Settings::default()).map_err(VmError::wrong)?;
        configure(&acquirer, &gateway)?;
        let client = Client::connect(BUS).await?;
        let till = Self { client, acquirer, gateway };
        till.devices("").await?;
        Ok(till)
    }

    /// Gives the till these devices and starts it anew. `systemctl` returns when it has said READY.
    pub(crate) async fn devices(&self, config: &str) -> Result<(), VmError> {
        let folder = Path::new(CONFIG).join("tilld.toml.d");
        fs::create_dir_all(&folder).map_err(VmError::file(&folder))?;
        let file = folder.join("devices.toml");
        fs::write(&file, config).map_err(VmError::file(&file))?;
        // Many starts on purpose; an error before the first one.
        let _not_loaded = system::run("systemctl", &["reset-failed", "tilld.service"]);
        system::run("systemctl", &["restart", "tilld.service"])?;
        claim(self.client.is_up().await, "the unit said READY and nobody has the name on the bus")?;
        for channel in ["cash", "bankcard", "alipay"] {
            self.until(&format!("channel {channel} is ready"), || async {
                self.client.channel(channel).await.is_ok_and(|c| c.0 == "ready")
            })
            .await?;
        }
        Ok(())
    }

    /// A front-end again, where the bus was taken away from the one there was.
    pub(crate) async fn reconnect(&mut self) -> Result<(), VmError> {
        if !self.client.is_up().await {
            self.client = Client::connect(BUS).await?;
        }
        Ok(())
    }

    /// Another front-end.
    pub(crate) async fn front_end(&self) -> Result<Client, VmError> {
        Ok(Client::connect(BUS).await?)
    }

    /// Every record of the journal is there, and follows the one before it; how many there are.
    pub(crate) async fn whole(&self) -> Result<u64, VmError> {
        let (records, problems) = self.client.verify_journal().await?;
        claim(problems.is_empty(), format!("the journal has problems: {problems:?}"))?;
        Ok(records)
    }

    /// A sale in cash, paid.
    pub(crate) async fn cash(&self, minor: i64) -> Result<PaymentClient, VmError> {
        let payment = self.sale(minor).await?;
        payment.pay_cash(minor).await?;
        payment.wait(&["paid"]).await?;
        Ok(payment)
    }

    /// A sale by a wallet's code, paid. Each number is another customer's.
    pub(crate) async fn wallet(&self, minor: i64, number: u64) -> Result<PaymentClient, VmError> {
        let payment = self.sale(minor).await?;
        payment.pay_code(&wallet_code(number)).await?;
        payment.wait(&["paid"]).await?;
        Ok(payment)
    }

    /// What the wallet's gateway has booked, minor units.
    pub(crate) fn wallet_booked(&self) -> i64 {
        self.gateway.ledger().trades.iter().map(|t| t.kept().get()).sum()
    }

    /// Somebody who hears everything.
    pub(crate) async fn watch(&self) -> Result<Watch, VmError> {
        Ok(Watch::new(BUS).await?)
    }

    /// Waits until this is so, with a patience for a machine that is emulated beside others.
    pub(crate) async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut ask: impl FnMut() -> F,
    ) -> Result<(), VmError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !ask().await {
            claim(tokio::time::Instant::now() < deadline, format!("not within {PATIENCE:?}: {what}"))?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until a device is in this state.
    pub(crate) async fn device(&self, id: &str, state: &str) -> Result<(), VmError> {
        let said = self
            .until(&format!("device {id} is {state}"), || async {
                self.client.device(id).await.is_ok_and(|d| d.0 == state)
            })
            .await;
        match (said, self.client.device(id).await) {
            (Err(e), Ok((now, why))) => Err(VmError::wrong(format!("{e}; it is {now}: {why}"))),
            (said, _) => said,
        }
    }

    /// A payment that waits for the customer.
    pub(crate) async fn sale(&self, minor: i64) -> Result<PaymentClient, VmError> {
        Ok(self.client.ready(minor).await?)
    }

    /// Presents something until the payment is paid: a reader is armed a moment after the payment waits, and a customer
    /// to whom nothing happens tries again.
    pub(crate) async fn pays(
        &self,
        payment: &PaymentClient,
        mut present: impl FnMut() -> Result<(), VmError>,
    ) -> Result<(), VmError> {
        for _ in 0..TRIES {
            present()?;
            let deadline = tokio::time::Instant::now() + TRY;
            while tokio::time::Instant::now() < deadline {
                match payment.state().await?.as_str() {
                    "paid" => return Ok(()),
                    "ready" => tokio::time::sleep(LOOK).await,
                    _ => return Ok(payment.wait(&["paid"]).await.map(drop)?),
                }
            }
        }
        Err(VmError::wrong("what was presented, again and again, did not pay"))
    }

    /// Bookings of the bank that stand: neither voided nor reversed.
    pub(crate) fn standing(&self) -> usize {
        self.acquirer.ledger().iter().filter(|e| e.state == State::Approved).count()
    }

    /// Amounts that the bank has booked, in order.
    pub(crate) fn booked(&self) -> usize {
        self.acquirer.ledger().len()
    }
}

/// A rule of the site's own, and udev's news of it.
pub(crate) fn site_rules(text: &str) -> Result<(), VmError> {
    rules(SITE_RULES, text)
}

/// Rules behind those of the package, as Raspberry Pi OS brings them.
pub(crate) fn last_rules(text: &str) -> Result<(), VmError> {
    rules(LAST_RULES, text)
}

fn rules(file: &str, text: &str) -> Result<(), VmError> {
    fs::write(file, text).map_err(VmError::file(file))?;
    system::run("udevadm", &["control", "--reload"])?;
    Ok(())
}

fn configure(acquirer: &Acquirer, gateway: &Gateway) -> Result<(), VmError> {
    let terminal = Terminal::default();
    let folder = Path::new(CONFIG).join("secrets");
    fs::create_dir_all(&folder).map_err(VmError::file(&folder))?;
    let user: u32 = system::run("id", &["-u", "tilld"])?.parse().map_err(VmError::wrong)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(VmError::file(&folder))?;
    chown(&folder, Some(user), None).map_err(VmError::file(&folder))?;
    let secret = |name: &str, value: &str| -> Result<(), VmError> {
        let path = folder.join(name);
        fs::write(&path, value).map_err(VmError::file(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(VmError::file(&path))?;
        chown(&path, Some(user), None).map_err(VmError::file(&path))
    };
    secret("alipay-key", gateway.app_private_pem())?;
    secret("tmk", &hex::encode_upper(&terminal.tmk))?;
    let file = Path::new(CONFIG).join("tilld.toml");
    fs::write(&file, config(&terminal, acquirer, gateway)).map_err(VmError::file(&file))
}

fn config(terminal: &Terminal, acquirer: &Acquirer, gateway: &Gateway) -> String {
    format!(
        r#"[terminal]
id = "{tid}"

[shop]
name = "好味小馆"

[secrets]
dir = "{CONFIG}/secrets"

[clock]
trust = "always"

[channel.alipay]
plugin = "org.tilld.alipay"
priority = 10
secrets = {{ app_private_key = "alipay-key" }}
[channel.alipay.settings]
app_id = "{app}"
gateway = "{url}"
insecure_http_for_tests = true
alipay_public_key = """{public}"""
exchange_timeout_ms = 8000

[channel.bankcard]
plugin = "org.tilld.bankcard"
priority = 20
secrets = {{ tmk = "tmk" }}
[channel.bankcard.settings]
address = "{acquirer}"
terminal = "{tid}"
merchant = "{mid}"
no_pin = "accept"
tls = false
[channel.bankcard.settings.dialect.timing]
answer = 8000

[channel.cash]
plugin = "org.tilld.cash"
priority = 30
"#,
        tid = terminal.tid,
        mid = terminal.mid,
        app = gateway.app_id(),
        url = gateway.url(),
        public = gateway.public_pem(),
        acquirer = acquirer.addr(),
    )
}
