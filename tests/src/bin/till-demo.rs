//! `./demo`: a till with simulated devices and networks on a private bus, carried through a day in a minute.
//!
//! Everything is real but the other ends: `tilld` with its plugins in their own processes, D-Bus, the journal on disk;
//! the wallet's gateway, the acquirer, the scanner, the card reader and the printer are simulators that speak the real
//! protocols and keep their own books.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use till_simulators::faults::{Fault, Rule};
use till_simulators::players::{Scan, Swipe};
use till_simulators::printer::font::Fonts;
use till_tests::wallets::Wallets;
use till_tests::{Client, Rig, RigError, RigOptions};

const TRACKS: &str = "%B6200000000000005^DEMO/CARD^2912101000000000?;6200000000000005=29121010000000000?";
const PATIENCE: Duration = Duration::from_secs(20);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

struct Demo {
    rig: Rig,
    wallets: Wallets,
    client: Client,
    began: Instant,
    receipts: usize,
    codes: u64,
    pictures: PathBuf,
    colour: bool,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let once = std::env::args().any(|a| a == "--once");
    if let Some(wrong) = std::env::args().skip(1).find(|a| a != "--once") {
        eprintln!("till-demo: unknown argument {wrong:?}; there is --once (end by itself)");
        return std::process::ExitCode::from(2);
    }
    match run(once).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("\nThe demo stopped: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(once: bool) -> Outcome {
    let dir = till_tests::staging::workspace().join(".demo");
    // Each demo is a new till: yesterday's journal belongs to yesterday's simulators, which have forgotten their books.
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    let pictures = dir.join("receipts");
    std::fs::create_dir_all(&pictures)?;
    let began = Instant::now();
    // Paced like a real gateway, a little shortened so that a reader need not wait a minute for a time-out.
    let wallets = Wallets::start()?;
    let extra_config = wallets.config();
    let options = RigOptions {
        dir: Some(dir),
        wallet_ms: [500, 700, 2500, 500],
        extra_config,
        ..RigOptions::default()
    };
    let mut rig = Rig::stand(options)?;
    wallets.put(&rig)?;
    rig.start_till()?;
    let client = rig.wait_ready().await?;
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    let mut demo = Demo { rig, wallets, client, began, receipts: 0, codes: 0, pictures, colour };

    demo.say("tilld is up, each plugin in a process of its own:");
    for (pid, line) in demo.rig.hosts() {
        let plugin = line
            .split_whitespace()
            .find(|w| Path::new(w).extension().is_some_and(|e| e == "so"))
            .unwrap_or_default();
        demo.say(&format!(
            "  host {pid:>7}  {}",
            Path::new(plugin).file_name().unwrap_or_default().to_string_lossy()
        ));
    }
    if let Err(e) = demo.day().await {
        eprintln!("\nThe last lines of tilld's log:");
        for line in demo.rig.log_lines().iter().rev().take(15).rev() {
            eprintln!("  {line}");
        }
        return Err(e);
    }

    if once {
        demo.say("Done (--once).");
        demo.rig.stop_till();
        return Ok(());
    }
    demo.stay().await
}

impl Demo {
    async fn day(&mut self) -> Outcome {
        self.wallet().await?;
        self.card().await?;
        self.switching().await?;
        self.lost_answers().await?;
        self.kills().await?;
        self.cash().await?;
        self.books().await
    }

    fn say(&self, line: &str) {
        let at = self.began.elapsed();
        println!("{:>3}.{:03}  {line}", at.as_secs(), at.subsec_millis());
    }

    fn title(&self, number: u32, line: &str) {
        let (on, off) = if self.colour { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        println!();
        self.say(&format!("{on}{number}. {line}{off}"));
    }

    /// A fresh code: each may be used once.
    fn code(&mut self) -> String {
        self.codes += 1;
        format!("28{:016}", 7_000_000_000_u64 + self.codes)
    }

    async fn wallet(&mut self) -> Outcome {
        self.title(1, "A payment of CNY 128.50: opened, the amount confirmed, the readers armed");
        let payment = self.client.open(12_850, "demo-1").await?;
        self.say(&format!("payment {} is {}", payment.id(), payment.state().await?));
        payment.confirm(12_850).await?;
        self.say(&format!("amount confirmed, payment is {}", payment.state().await?));
        self.title(2, "The customer's wallet code arrives byte by byte on the serial scanner");
        let code = self.code();
        self.rig.scanner.scan(&Scan::new(code))?;
        payment.wait_attempt(&["sent", "approved"]).await?;
        self.say(&format!(
            "recognised and routed to {}: the request is durable, then sent",
            payment.channel().await?
        ));
        payment.wait(&["paid"]).await?;
        self.say("paid: the answer's signature, amount and number are checked, and it is on disk");
        self.receipt()?;
        self.say("two more customers, two other wallets, the same scanner: the code says whose it is");
        for (code, minor) in [("130000000001000001", 1_990), ("6200000000001000001", 2_750)] {
            let payment = self.client.ready(minor).await?;
            self.rig.scanner.scan(&Scan::new(code))?;
            payment.wait(&["paid"]).await?;
            self.say(&format!("code {}… is paid by {}", &code[..2], payment.channel().await?));
            self.receipt()?;
        }
        Ok(())
    }

    async fn card(&mut self) -> Outcome {
        self.title(3, "A card is swiped on a keyboard-wedge reader; the acquirer speaks ISO 8583");
        let payment = self.client.ready(8_800).await?;
        self.rig.reader.swipe(&Swipe::new(TRACKS))?;
        payment.wait(&["paid"]).await?;
        self.say(&format!("paid by {}: sign-in, sale with MAC, approved", payment.channel().await?));
        self.receipt()
    }

    async fn switching(&mut self) -> Outcome {
        self.title(4, "The current channel: shown, refused while a payment is in flight, switched, durable");
        self.say(&format!("current channel: {}", shown(&self.client.current_channel().await?)));
        self.rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {}))?;
        let payment = self.client.ready(3_000).await?;
        let code = self.code();
        self.rig.scanner.scan(&Scan::new(code))?;
        payment.wait_attempt(&["sent"]).await?;
        match self.client.select("cash").await {
            Err(e) => self.say(&format!("switch to cash while the wallet's answer is awaited: refused: {e}")),
            Ok(()) => return Err("the switch was not refused while a payment was in flight".into()),
        }
        self.rig.gateway.faults().release();
        payment.wait(&["paid"]).await?;
        self.receipt()?;
        let signals = self
            .client
            .count_signals("/org/tilld/Till1", "org.freedesktop.DBus.Properties", "PropertiesChanged")
            .await?;
        self.client.select("bankcard").await?;
        let told = signals.stop().await;
        type Changed = (String, std::collections::HashMap<String, zbus::OwnedVariant>, Vec<String>);
        let is_switch = |m: &zbus::Message| {
            m.body()
                .deserialize::<Changed>()
                .is_ok_and(|(_, changed, _)| changed.contains_key("CurrentChannel"))
        };
        let switches = told.iter().filter(|m| is_switch(m)).count();
        let current = self.client.current_channel().await?;
        self.say(&format!("switched to {current}, durable; this client got {switches} signal of it"));
        if switches != 1 || current != "bankcard" {
            return Err("a switch must be told exactly once".into());
        }
        self.client.select("").await?;
        self.say("switched back: each payment finds its channel");
        Ok(())
    }

    async fn lost_answers(&mut self) -> Outcome {
        self.title(5, "Lost answers: never guessed");
        self.rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::DropBeforeBooking {}))?;
        let payment = self.client.ready(4_200).await?;
        let code = self.code();
        self.rig.scanner.scan(&Scan::new(code))?;
        payment.wait_attempt(&["querying"]).await?;
        self.say("the wallet's answer is lost: nobody knows; the till asks the gateway");
        if let Err(e) = payment.pay_cash(5_000).await {
            self.say(&format!("another way to pay it meanwhile: refused: {e}"));
        }
        payment.wait_attempt(&["reversed", "declined"]).await?;
        self.say("asked, then cancelled at the gateway: no money is taken, the customer may pay again");
        payment.cancel().await?;

        self.rig.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {}))?;
        let payment = self.client.ready(5_100).await?;
        self.rig.reader.swipe(&Swipe::new(TRACKS))?;
        payment.wait_attempt(&["reversing", "reversed"]).await?;
        self.say("the acquirer booked a sale and its answer is lost: the armed reversal goes out");
        payment.wait_attempt(&["reversed"]).await?;
        self.say("reversed: the acquirer's own ledger has the money back on the card");
        payment.cancel().await?;
        Ok(())
    }

    async fn kills(&mut self) -> Outcome {
        self.title(6, "kill -9: a plugin's process, then the daemon, in the middle of payments");
        self.rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {}))?;
        let payment = self.client.ready(2_600).await?;
        let code = self.code();
        self.rig.scanner.scan(&Scan::new(code))?;
        payment.wait_attempt(&["sent"]).await?;
        self.rig.kill_host("libtill_channel_alipay.so");
        payment.wait_attempt(&["querying", "reversing", "approved"]).await?;
        self.say("the wallet plugin was killed while it waited: the daemon lives, the payment is unknown, not failed");
        self.rig.gateway.faults().release();
        let state = payment.wait(&["paid", "ready", "cancelled"]).await?;
        self.say(&format!("the plugin is back; asked the gateway: the payment is {state}"));
        if state == "paid" {
            self.receipt()?;
        } else {
            payment.cancel().await?;
        }

        self.rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {}))?;
        let payment = self.client.ready(6_400).await?;
        let code = self.code();
        self.rig.scanner.scan(&Scan::new(code))?;
        payment.wait_attempt(&["sent"]).await?;
        self.rig.kill_till();
        self.say("tilld was killed while a request was on its way; its hosts die with it");
        self.rig.gateway.faults().release();
        self.rig.start_till()?;
        self.client = self.rig.wait_ready().await?;
        let payment = self.client.payment(payment.path);
        let state = payment.wait(&["paid", "cancelled"]).await?;
        self.say(&format!("started again: the open payment was resolved with the same numbers: {state}"));
        if state == "paid" {
            self.receipt()?;
        }
        Ok(())
    }

    async fn cash(&mut self) -> Outcome {
        self.title(7, "Cash: change computed, the drawer opens when the sale is on disk");
        let before = self.rig.printer.pulses().len();
        let payment = self.client.ready(4_250).await?;
        payment.pay_cash(5_000).await?;
        payment.wait(&["paid"]).await?;
        if !self.rig.printer.wait(PATIENCE, |p| p.pulses().len() > before) {
            return Err("the drawer did not open".into());
        }
        self.say("paid; drawer pulse on the printer's connector");
        self.receipt()
    }

    /// Waits for the next receipt, shows it, keeps its picture.
    fn receipt(&mut self) -> Outcome {
        self.receipts += 1;
        let count = self.receipts;
        let receipts = self.rig.printer.wait_receipts(count, PATIENCE).ok_or("no receipt was printed")?;
        let receipt = receipts.get(count - 1).ok_or("no receipt was printed")?;
        let picture = self.pictures.join(format!("receipt-{count:03}.png"));
        std::fs::write(&picture, receipt.png(&Fonts::find())?)?;
        for line in receipt.text().lines() {
            println!("         |  {line}");
        }
        self.say(&format!("receipt {count} printed; picture: {}", relative(&picture)));
        Ok(())
    }

    async fn books(&mut self) -> Outcome {
        println!();
        self.say("The books:");
        // Ours, theirs: two ledgers that know nothing of each other.
        let ours = self.client.paid_by_channel().await?;
        let of = |channel: &str| ours.get(channel).copied().unwrap_or(0);
        let wallet = self.rig.gateway.ledger().totals.kept.get();
        let terminal = till_simulators::acquirer::Terminal::default().tid;
        let totals = self.rig.acquirer.totals(&terminal, "000001");
        let card = totals.debit.minor() - totals.credit.minor();
        let (wechat, unionpay) = (self.wallets.wechat.ledger().kept, self.wallets.unionpay.ledger().kept);
        self.say(&format!("  wallet:    ours {:>7} fen, the gateway's {wallet:>7} fen", of("alipay")));
        self.say(&format!("  WeChat:    ours {:>7} fen, the platform's {wechat:>6} fen", of("wechat")));
        self.say(&format!("  UnionPay:  ours {:>7} fen, its gateway's {unionpay:>7} fen", of("unionpay")));
        self.say(&format!("  bank card: ours {:>7} fen, the acquirer's {card:>6} fen", of("bankcard")));
        self.say(&format!("  cash:      ours {:>7} fen", of("cash")));
        let networks = [("alipay", wallet), ("wechat", wechat), ("unionpay", unionpay), ("bankcard", card)];
        if networks.iter().any(|(channel, theirs)| of(channel) != *theirs) {
            return Err("the books do not agree".into());
        }
        let (records, problems) = self.client.verify_journal().await?;
        self.say(&format!(
            "  the journal: {records} records, every hash and link checked, {} problems",
            problems.len()
        ));
        if !problems.is_empty() {
            return Err(problems.join("; ").into());
        }
        Ok(())
    }

    async fn stay(mut self) -> Outcome {
        println!();
        self.say("The till stays up. In another terminal:");
        println!();
        println!("    export TILLD_BUS='{}'", self.rig.bus.address());
        println!("    target/debug/tillctl status");
        println!("    target/debug/tillctl pay 12.80 --cash 20");
        println!("    target/debug/tillctl monitor");
        println!();
        println!("    a wallet code:  target/debug/till-sim scan --to .demo/run/scanner 280000007000000999");
        println!("    tilld's log is in this terminal from here on; Ctrl-C ends everything.");
        println!();
        let mut seen = self.rig.log_lines().len();
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => break,
                _ = tick.tick() => {
                    let lines = self.rig.log_lines();
                    for line in lines.iter().skip(seen) {
                        println!("{line}");
                    }
                    seen = lines.len();
                    if self.rig.printer.receipts().len() > self.receipts {
                        self.receipt()?;
                    }
                }
            }
        }
        self.say("stopping");
        if !self.rig.stop_till() {
            return Err(Box::new(RigError::Till("did not stop in order".into())));
        }
        Ok(())
    }
}

fn shown(channel: &str) -> &str {
    if channel.is_empty() { "automatic" } else { channel }
}

fn relative(path: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|d| path.strip_prefix(d).ok().map(Path::to_path_buf))
        .unwrap_or_else(|| path.into())
        .display()
        .to_string()
}
