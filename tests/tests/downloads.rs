//! What the acquirer says of taps decides whether a customer types a PIN: downloaded, changed, and gone wrong.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;
use std::time::Duration;

use till_dbus::events::Change;
use till_dbus::{Channel1Proxy, Options, paths};
use till_simulators::acquirer::downloads::{Parameters, Wrong};
use till_simulators::counter::pinpad::{Hand as Fingers, Pad};
use till_simulators::counter::{Listen, Virtual};
use till_simulators::nfc::{Card, Hand, NfcReader};
use till_tests::scene::until;
use till_tests::{Client, Rig, RigOptions, Watch, staging};

const LONG: Duration = Duration::from_secs(20);

struct Stand {
    rig: Rig,
    reader: NfcReader,
    pad: Virtual<Pad>,
    client: Client,
    _dir: tempfile::TempDir,
}

/// A till with a contactless reader and a PIN pad, whose settings allow 1,000.00 without a PIN at most.
async fn stand() -> Stand {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    std::fs::create_dir_all(&run).unwrap();
    let pad = plug_in(&run.join("pad"));
    let run = run.display();
    let extra_config = format!(
        r#"
[channel.bankcard.settings.dialect.request]
pin_ksn_field = 62

[device.pad]
plugin = "org.tilld.pinpad"
transport = {{ kind = "unix", path = "{run}/pad" }}
settings = {{ simulated = true }}

[device.nfc]
plugin = "org.tilld.nfc"
transport = {{ kind = "unix", path = "{run}/nfc.sock" }}
"#
    );
    let bankcard = "no_pin_limit = 100000\ndownloads = [\"contactless-limits\", \"keys\"]".to_owned();
    let options =
        RigOptions { dir: Some(dir.path().to_path_buf()), extra_config, bankcard, ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    let plugins = dir.path().join("plugins");
    staging::counter(&plugins).unwrap();
    let manifest = staging::workspace().join("drivers/nfc/manifest.toml");
    let library = staging::built().unwrap().join("libtill_driver_nfc.so");
    staging::plugin(&plugins, "org.tilld.nfc", &manifest, &library).unwrap();
    let reader = NfcReader::on_socket(&dir.path().join("run/nfc.sock")).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    for device in ["nfc", "pad"] {
        let ready = || async { (client.device(device).await.ok()?.0 == "ready").then_some(()) };
        until("reader and pad are ready", ready).await.unwrap();
    }
    Stand { rig, reader, pad, client, _dir: dir }
}

fn plug_in(at: &Path) -> Virtual<Pad> {
    let pad = Virtual::start("pinpad", &Listen::Unix(at.to_path_buf()), Pad::default()).unwrap();
    pad.touch(|pad| pad.hand(Fingers::Types("123456".into())));
    pad
}

impl Stand {
    /// Signs in, as `tillctl sign-in` does, after the acquirer has changed its mind.
    async fn sign_in(&self, parameters: Parameters) {
        self.rig.acquirer.set_parameters(parameters);
        self.channel().await.sign_in(Options::new()).await.unwrap();
    }

    async fn channel(&self) -> Channel1Proxy<'_> {
        let builder = Channel1Proxy::builder(self.client.connection());
        builder.path(paths::channel("bankcard").unwrap()).build().await.unwrap()
    }

    /// What is in force, once the probe says this.
    async fn in_force(&self, wanted: &str) -> String {
        let channel = self.channel().await;
        let told = || async {
            let (_, text) = channel.probe(Options::new()).await.ok()?;
            text.contains(wanted).then_some(text)
        };
        until(wanted, told).await.unwrap()
    }

    /// A tap by a card that asks for its PIN; how often the pad was asked until now.
    async fn tapped(&self, amount: i64) -> usize {
        let payment = self.client.ready(amount).await.unwrap();
        assert!(self.reader.wait_looking(LONG), "the card before it has been noticed to be gone");
        assert!(self.reader.tap(Hand::with(Card::unionpay().asks_pin()), LONG), "{:?}", self.reader.seen());
        payment.wait(&["paid"]).await.unwrap();
        assert_eq!(payment.channel().await.unwrap(), "bankcard");
        self.pad.look(|pad| pad.asked().len())
    }
}

fn up_to(fen: &str) -> Parameters {
    let mut parameters = Parameters::default();
    parameters.contactless.insert("FF8058".into(), fen.into());
    parameters
}

#[tokio::test(flavor = "multi_thread")]
async fn s38_the_acquirers_limit_decides_whether_a_pin_is_asked() {
    let till = stand().await;
    let told = till.in_force("no PIN to CNY 300.00").await;
    assert!(told.contains("key"), "{told}");
    assert_eq!(till.tapped(50_000).await, 1, "500.00 is above 300.00: the pad is asked");
    till.sign_in(up_to("000000100000")).await;
    till.in_force("no PIN to CNY 1000.00").await;
    assert_eq!(till.tapped(50_100).await, 1, "501.00 is below 1,000.00: it is not");

    // A download that goes wrong is an alarm, and what was in force stays; after a restart too.
    let watch = Watch::new(till.rig.bus.address()).await.unwrap();
    till.sign_in(Parameters { wrong: Some(Wrong::Truncated), ..up_to("000000000100") }).await;
    let heard = |seen: &[till_dbus::events::Event]| {
        seen.iter().find_map(|event| match &event.change {
            Change::Alarm { code, level, text, .. } if code == "channel-health" => {
                Some((level.clone(), text.clone()))
            }
            _ => None,
        })
    };
    let (level, text) = watch.wait("the alarm", heard).await.unwrap();
    assert!(
        level == "warning" && text.contains("bankcard: the download of contactless-limits failed"),
        "{text}"
    );
    till.in_force("the last download failed").await;
    assert_eq!(till.tapped(50_200).await, 1, "the limit that was in force still counts");
    till.rig.books(&till.client).await.unwrap();
}
