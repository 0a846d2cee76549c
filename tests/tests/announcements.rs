//! Maintenance that is announced while the till runs (S9): by a supervisor, by files, by signed messages; over restarts, lost
//! feeds, and what nobody should believe.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use till_dbus::events::Change;
use till_dbus::types::{Maintenance, MaintenanceRow};
use till_dbus::{Channel1Proxy, Error, Options, Terminal1Proxy, paths};
use till_evidence::Identity;
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{TRACKS, again, refused, until};
use till_tests::{Client, Rig, RigOptions, Watch};

/// From long ago until 2090: now, whatever the clock of the machine says.
const NOW: &str = "from = \"2020-01-01T00:00:00Z\"\nuntil = \"2090-01-01T00:00:00Z\"\n";
const UNTIL_MS: i64 = 3_786_912_000_000;

fn window(channels: &str, when: &str) -> String {
    format!("[[window]]\nchannels = [{channels}]\n{when}reason = \"core banking\"\n")
}

async fn terminal(client: &Client) -> Terminal1Proxy<'static> {
    Terminal1Proxy::new(client.connection()).await.unwrap()
}

async fn maintenance(client: &Client, channel: &str) -> Maintenance {
    let builder = Channel1Proxy::builder(client.connection()).path(paths::channel(channel).unwrap());
    let proxy = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap();
    proxy.maintenance().await.unwrap()
}

async fn wait_state(client: &Client, channel: &str, state: &str) {
    let is = || async { (maintenance(client, channel).await.state == state).then_some(()) };
    until(&format!("{channel} is {state}"), is).await.unwrap();
}

async fn list(client: &Client) -> Vec<MaintenanceRow> {
    terminal(client).await.list_maintenance(Options::new()).await.unwrap()
}

async fn alarms(watch: &Watch, code: &str, count: usize) {
    let seen = |seen: &[till_dbus::events::Event]| {
        let mine =
            |e: &&till_dbus::events::Event| matches!(&e.change, Change::Alarm { code: c, .. } if c == code);
        (seen.iter().filter(mine).count() >= count).then_some(())
    };
    watch.wait(&format!("alarm {code}"), seen).await.unwrap();
}

/// A till with a folder of announcements that is not there yet, and with a key.
fn stand() -> (Rig, tempfile::TempDir, Identity) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(&[9; 32]).unwrap();
    let key = dir.path().join("maintenance.pem");
    fs::write(&key, identity.public().to_pem()).unwrap();
    let extra_config = format!(
        "\n[maintenance]\ndir = \"{}\"\npublic-key = \"{}\"\n",
        dir.path().join("announced").display(),
        key.display()
    );
    (Rig::stand(RigOptions { extra_config, ..RigOptions::default() }).unwrap(), dir, identity)
}

async fn restart(rig: &mut Rig) -> Client {
    rig.kill_till();
    rig.start_till().unwrap();
    rig.wait_up().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_a_supervisor_announces_and_what_is_under_way_is_finished() {
    let (mut rig, _dir, _) = stand();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let till = terminal(&client).await;

    // Booked at the acquirer, the answer lost; before it is known what became of it, maintenance begins.
    rig.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
    let fired = rig.acquirer.faults().fired().len();
    let payment = client.ready(2_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    assert!(rig.acquirer.faults().wait_fired(fired + 1, till_tests::scene::PATIENCE));
    let text = format!("id = \"bank\"\n{}", window("\"bankcard\"", NOW));
    assert_eq!(till.announce_maintenance(&text, Options::new()).await.unwrap(), "bank");
    payment.wait_attempt(&["reversed"]).await.unwrap();
    payment.cancel().await.unwrap();
    let bank = maintenance(&client, "bankcard").await;
    assert_eq!((bank.state.as_str(), bank.until_ms), ("closed", UNTIL_MS));
    let (chosen, why, ..) = till.what_if(2_000, "CNY", "card-stripe", Options::new()).await.unwrap();
    assert!(chosen.is_empty() && why.contains("closed for maintenance until 2090-01-01"), "{why}");
    let rows = list(&client).await;
    assert_eq!(
        (rows.len(), rows[0].source.as_str(), rows[0].reason.as_str()),
        (1, "supervisor", "core banking")
    );

    // Said again: nothing new. Nonsense: nothing at all.
    till.announce_maintenance(&text, Options::new()).await.unwrap();
    let nowhere = format!("id = \"x\"\n{}", window("\"nowhere\"", NOW));
    for bad in ["", "id = \"x\"", nowhere.as_str(), &window("\"cash\"", NOW)] {
        let said = till.announce_maintenance(bad, Options::new()).await;
        assert!(matches!(said, Err(Error::InvalidArgs(_))), "{bad}: {said:?}");
    }
    let told = |seen: &[till_dbus::events::Event]| {
        let mine = |e: &&till_dbus::events::Event| {
            matches!(&e.change, Change::Properties { changed, .. }
                if e.path.as_str().ends_with("/bankcard") && changed.contains_key("Maintenance"))
        };
        let last = |e: &till_dbus::events::Event| match &e.change {
            Change::Properties { changed, .. } => format!("{:?}", changed.get("Maintenance")),
            _ => String::new(),
        };
        let mut values: Vec<String> = seen.iter().filter(mine).map(last).collect();
        values.dedup();
        values.into_iter().filter(|v| v.contains("closed")).count()
    };
    assert_eq!(watch.look(told), 1, "one change, told once");

    let client = restart(&mut rig).await;
    wait_state(&client, "bankcard", "closed").await;
    assert_eq!(list(&client).await, rows);
    let till = terminal(&client).await;
    assert!(matches!(till.withdraw_maintenance("else", Options::new()).await, Err(Error::NotFound(_))));
    till.withdraw_maintenance("bank", Options::new()).await.unwrap();
    wait_state(&client, "bankcard", "open").await;
    let client = restart(&mut rig).await;
    assert_eq!(
        (list(&client).await.len(), maintenance(&client, "bankcard").await.state.as_str()),
        (0, "open")
    );
    assert!(rig.stop_till());
}

fn put(folder: &Path, file: &str, text: &[u8]) {
    fs::write(folder.join(file), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_files_announce_and_nonsense_or_a_lost_folder_takes_nothing_back() {
    let (mut rig, dir, _) = stand();
    let folder = dir.path().join("announced");
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    fs::create_dir(&folder).unwrap();
    put(&folder, "wallet.toml", window("\"alipay\"", NOW).as_bytes());
    wait_state(&client, "alipay", "closed").await;
    assert_eq!(list(&client).await[0].id, "file:wallet.toml");

    // Half a file, nonsense, ten megabytes, a channel that is not there: each is said, and the last good plan stays.
    let whole = window("\"cash\"", NOW);
    for (n, bad) in [
        whole.as_bytes()[..whole.len() / 2].to_vec(),
        vec![0xff; 100],
        vec![b'#'; 10 << 20],
        window("\"nowhere\"", NOW).into_bytes(),
    ]
    .into_iter()
    .enumerate()
    {
        put(&folder, "wallet.toml", &bad);
        alarms(&watch, "maintenance-file", n + 1).await;
        assert_eq!(list(&client).await.len(), 1);
        assert_eq!(maintenance(&client, "alipay").await.state, "closed");
    }

    // The folder is lost: also over a restart the plan stays.
    fs::remove_dir_all(&folder).unwrap();
    alarms(&watch, "maintenance-feed", 1).await;
    let client = restart(&mut rig).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    wait_state(&client, "alipay", "closed").await;
    let file = terminal(&client).await.withdraw_maintenance("file:wallet.toml", Options::new()).await;
    assert!(matches!(file, Err(Error::WrongState(_))), "{file:?}");

    // It comes back with another file: that one holds, and the one that is gone does not.
    fs::create_dir(&folder).unwrap();
    put(&folder, "money.toml", window("\"cash\"", NOW).as_bytes());
    wait_state(&client, "cash", "closed").await;
    wait_state(&client, "alipay", "open").await;
    let payment = client.ready(500).await.unwrap();
    assert_eq!(refused(payment.pay_cash(500).await), "NoRoute");
    payment.cancel().await.unwrap();
    assert_eq!(list(&client).await.len(), 1);
    drop(watch);
    assert!(rig.stop_till());
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_c22_a_signed_message_is_believed_and_an_older_one_never_again() {
    let (mut rig, _dir, identity) = stand();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let till = terminal(&client).await;
    let message = |issue: u64, channels: &str| format!("issue = {issue}\n{}", window(channels, NOW));
    let sign = |text: &str| STANDARD.encode(identity.sign(text.as_bytes()));
    let old = message(7, "\"bankcard\", \"of-another-shop\"");
    assert_eq!(till.deliver_maintenance(&old, &sign(&old), Options::new()).await.unwrap(), 7);
    wait_state(&client, "bankcard", "closed").await;
    let rows = list(&client).await;
    assert_eq!((rows.len(), rows[0].id.as_str(), rows[0].issue), (1, "signed", 7));

    // Somebody else's, changed, without a signature, without a number, for others.
    let new = message(8, "\"cash\"");
    let stranger = Identity::new(&[8; 32]).unwrap();
    let strangers = STANDARD.encode(stranger.sign(new.as_bytes()));
    for (text, signature) in
        [(&new, strangers.as_str()), (&new.replace('8', "9"), &sign(&new)), (&new, ""), (&new, "no base64!")]
    {
        let said = till.deliver_maintenance(text, signature, Options::new()).await;
        assert!(matches!(said, Err(Error::NotGenuine(_))), "{said:?}");
    }
    alarms(&watch, "maintenance-message", 4).await;
    let unnumbered = window("\"cash\"", NOW);
    let others = format!("tills = [\"T2\"]\n{}", message(9, "\"cash\""));
    for text in [&unnumbered, &others] {
        let said = till.deliver_maintenance(text, &sign(text), Options::new()).await;
        assert!(matches!(said, Err(Error::InvalidArgs(_))), "{said:?}");
    }
    alarms(&watch, "maintenance-message", 5).await;
    // Past its time: signed and numbered as it should be.
    let late = format!("valid-until = \"2020-01-02T00:00:00Z\"\n{}", message(9, "\"cash\""));
    let said = till.deliver_maintenance(&late, &sign(&late), Options::new()).await;
    assert!(matches!(said, Err(Error::Outdated(_))), "{said:?}");
    alarms(&watch, "maintenance-message", 6).await;
    assert_eq!(list(&client).await, rows, "nothing of it counts");

    // The newer one, still in its time, takes the place of the older, which is refused from then on, also after a restart and a
    // withdrawal.
    let new = format!("valid-until = \"2090-01-01T00:00:00Z\"\n{new}");
    assert_eq!(till.deliver_maintenance(&new, &sign(&new), Options::new()).await.unwrap(), 8);
    wait_state(&client, "cash", "closed").await;
    wait_state(&client, "bankcard", "open").await;
    let client = restart(&mut rig).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let till = terminal(&client).await;
    let replayed = till.deliver_maintenance(&old, &sign(&old), Options::new()).await;
    assert!(matches!(replayed, Err(Error::Outdated(_))), "{replayed:?}");
    till.withdraw_maintenance("signed", Options::new()).await.unwrap();
    wait_state(&client, "cash", "open").await;
    let replayed = till.deliver_maintenance(&new, &sign(&new), Options::new()).await;
    assert!(matches!(replayed, Err(Error::Outdated(_))), "{replayed:?}");
    alarms(&watch, "maintenance-message", 2).await;
    assert!(rig.stop_till());
}
