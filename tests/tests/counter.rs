//! The counter: what the customer reads and hears is the payment, the drawer opens once, and none of it is waited for.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;
use std::time::{Duration, Instant};

use till_simulators::counter::display::{Commands, Display};
use till_simulators::counter::gpio::Chip;
use till_simulators::counter::voice::Listener;
use till_simulators::counter::{Listen, Virtual};
use till_tests::scene::until;
use till_tests::{Client, PaymentClient, Rig, RigOptions, staging};

const LONG: Duration = Duration::from_secs(20);
const RECEIPT: &str = "请取走小票";

struct Counter {
    display: Virtual<Display>,
    voice: Virtual<Listener>,
    drawer: Virtual<Chip>,
    lamps: Virtual<Chip>,
}

impl Counter {
    fn set_up(run: &Path) -> Self {
        let at = |name: &str| Listen::Unix(run.join(name));
        Self {
            display: Virtual::start("display", &at("display"), Display::new(Commands::Cd5220, true)).unwrap(),
            voice: Virtual::start("voice", &at("voice"), Listener::default()).unwrap(),
            drawer: Virtual::start("drawer", &at("drawer"), Chip::new(["RELAY", "SWITCH"])).unwrap(),
            lamps: Virtual::start("lamps", &at("lamps"), Chip::new(["GREEN", "BLUE", "RED", "BEEP"]))
                .unwrap(),
        }
    }

    fn shows(&self, amount: &str) -> bool {
        self.display.wait(LONG, |d| d.amount().as_deref() == Some(amount))
    }

    /// Amounts and results as heard, without the word about the receipt, which comes when the printer is done.
    fn heard(&self) -> Vec<String> {
        self.voice.look(|ear| ear.lines().iter().filter(|l| *l != RECEIPT).cloned().collect())
    }

    fn hears(&self, sentences: &[&str]) -> bool {
        let money = |ear: &Listener| ear.lines().iter().filter(|l| *l != RECEIPT).count();
        self.voice.wait(LONG, |ear| money(ear) >= sentences.len()) && self.heard() == sentences
    }

    fn pulses(&self) -> usize {
        self.drawer.look(|chip| chip.pulses("RELAY").len())
    }
}

/// A standing till with a whole counter, started.
async fn stand() -> (tempfile::TempDir, Rig, Counter, Client) {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    std::fs::create_dir_all(&run).unwrap();
    let counter = Counter::set_up(&run);
    let run = run.display();
    let extra_config = format!(
        r#"
[device.display]
plugin = "org.tilld.display"
transport = {{ kind = "unix", path = "{run}/display" }}
settings = {{ profile = "cd5220-gb", idle = ["欢迎光临"] }}

[device.voice]
plugin = "org.tilld.voice"
transport = {{ kind = "unix", path = "{run}/voice" }}
settings = {{ char-ms = 50 }}

[device.drawer]
plugin = "org.tilld.drawer"
transport = {{ kind = "unix", path = "{run}/drawer" }}
settings = {{ line = "RELAY", switch = "SWITCH" }}

[device.lamps]
plugin = "org.tilld.signal"
transport = {{ kind = "unix", path = "{run}/lamps" }}
settings = {{ ready = "GREEN", success = "BLUE", failure = "RED", beeper = "BEEP" }}

[payment]
drawer = "drawer"
"#
    );
    let options = RigOptions { dir: Some(dir.path().to_path_buf()), extra_config, ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    staging::counter(&dir.path().join("plugins")).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    (dir, rig, counter, client)
}

/// Stops the process of a plugin, as a hang does.
fn stop(rig: &Rig, library: &str) {
    let (pid, _) = rig.hosts().into_iter().find(|(_, line)| line.contains(library)).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
}

async fn ready(client: &Client, amount: i64) -> PaymentClient {
    client.ready(amount).await.unwrap_or_else(|e| panic!("{e}"))
}

async fn paid(payment: &PaymentClient, tendered: i64) {
    payment.pay_cash(tendered).await.unwrap_or_else(|e| panic!("{e}"));
    payment.wait(&["paid"]).await.unwrap_or_else(|e| panic!("{e}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_customer_reads_and_hears_the_payments_amount_and_the_drawer_opens_once() {
    let (_dir, mut rig, counter, client) = stand().await;
    assert!(counter.display.wait(LONG, |d| d.lines()[0] == "欢迎光临"));
    let payment = ready(&client, 12_850).await;
    assert!(counter.shows("128.50"), "{:?}", counter.display.look(Display::lines));
    assert!(counter.lamps.wait(LONG, |chip| chip.level("GREEN")));
    assert!(counter.hears(&["请支付一百二十八元五角"]));
    paid(&payment, 20_000).await;
    assert!(counter.shows("71.50"), "the change");
    assert_eq!(counter.display.look(|d| d.lines()[0].clone()), "找零");
    let said = ["请支付一百二十八元五角", "找零七十一元五角"];
    assert!(counter.hears(&said), "{:?}", counter.heard());
    assert!(
        counter.voice.wait(LONG, |ear| ear.lines().last().is_some_and(|l| l == RECEIPT)),
        "amount, result, receipt"
    );
    assert!(counter.lamps.wait(LONG, |chip| chip.edges("BLUE").first() == Some(&true)));
    assert!(counter.drawer.wait(LONG, |chip| chip.pulses("RELAY").len() == 1));
    let length = counter.drawer.look(|chip| chip.pulses("RELAY")[0].1);
    // No upper bound here: a busy machine may see the edge late. The driver's own tests hold it.
    assert!(length >= Duration::from_millis(140), "{length:?}");

    rig.kill_till();
    assert!(
        counter.drawer.wait(LONG, |chip| chip.holder("RELAY").is_none()),
        "its process went with the till"
    );
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    // The next sale is behind whatever the restart might have repeated.
    let next = ready(&client, 300).await;
    assert!(counter.shows("3.00"));
    paid(&next, 300).await;
    assert!(counter.drawer.wait(LONG, |chip| chip.pulses("RELAY").len() >= 2));
    assert!(counter.hears(&[said[0], said[1], "请支付三元", "支付成功三元"]), "{:?}", counter.heard());
    assert_eq!(counter.pulses(), 2, "once each, over a kill -9");
    assert!(counter.display.look(|d| d.unknown().is_empty()));
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_away_shows_the_open_amount_again_and_says_it_no_second_time() {
    let (_dir, mut rig, counter, client) = stand().await;
    let _open = ready(&client, 4_200).await;
    assert!(counter.shows("42.00") && counter.hears(&["请支付四十二元"]));
    // Its plug is pulled and put back; the voice's process dies.
    counter.display.touch(Display::power_cycle);
    counter.display.hang_up();
    assert!(rig.kill_host("voice"));
    assert!(counter.shows("42.00"), "the customer still stands there");
    let voice = || async { (client.device("voice").await.ok()?.0 == "ready").then_some(()) };
    until("the voice is back", voice).await.unwrap();
    // A restart of the till ends a payment that nobody had begun to pay: its amount must not stand there any more.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert!(counter.display.wait(LONG, |d| d.lines()[0] == "欢迎光临" && d.amount().is_none()));
    // What was said twice would come before the next amount.
    let _next = ready(&client, 300).await;
    assert!(counter.hears(&["请支付四十二元", "请支付三元"]), "{:?}", counter.heard());
    assert_eq!(counter.pulses(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_that_hangs_or_dies_never_delays_a_sale_and_catches_up() {
    let (_dir, rig, counter, client) = stand().await;
    let took = |begun: Instant| begun.elapsed();
    let begun = Instant::now();
    let payment = ready(&client, 100).await;
    paid(&payment, 100).await;
    let usual = took(begun);
    // Their processes stand still: no call is answered.
    for library in ["display", "voice", "signal"] {
        stop(&rig, library);
    }
    let begun = Instant::now();
    for amount in [200, 300, 400] {
        let payment = ready(&client, amount).await;
        paid(&payment, amount).await;
    }
    let hung = took(begun);
    assert!(hung < 3 * usual + Duration::from_secs(3), "{hung:?} for three sales, {usual:?} for one");
    // Whether it was given up meanwhile or not: dead.
    rig.kill_host("display");
    let payment = ready(&client, 500).await;
    paid(&payment, 500).await;
    assert!(counter.shows("5.00"), "its next process shows what stands now");
    let back = || async { (client.device("display").await.ok()?.0 == "ready").then_some(()) };
    until("the display is ready again", back).await.unwrap();
    assert!(counter.drawer.wait(LONG, |chip| !chip.edges("RELAY").is_empty()));
    rig.at_rest(&client).await.unwrap();
}
