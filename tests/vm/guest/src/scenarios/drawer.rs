//! A cash drawer and lamps on lines of a GPIO chip: whose node it is, one pulse a sale, the switch, and `kill -9` in the pulse.

use std::time::Duration;

use crate::chip::{Chip, pull};
use crate::counter::{Counter, RELAY, SWITCH};
use crate::error::{VmError, claim};
use crate::scope::{Pulse, Scope};
use crate::system;
use crate::till::{Till, site_rules};

const LABEL: &str = "till-drawer";
const READY: &str = "till-ready";
const SUCCESS: &str = "till-success";
const BEEP: &str = "till-beep";
/// Two lines that nobody asks for, so that places are not those of the settings.
const LINES: [&str; 7] = ["spare-0", SWITCH, SUCCESS, RELAY, "spare-4", BEEP, READY];

/// What is configured in turn: another length, and the longest that a pulse may have, to be killed inside.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_millis(500);
/// A switch that bounces does so for less than this, and nothing before it is over counts.
const BOUNCE: Duration = Duration::from_millis(20);
const TRIES: usize = 5;

fn config(pulse: Duration, too_long: u32) -> String {
    format!(
        r#"[device.drawer]
plugin = "org.tilld.drawer"
transport = {{ kind = "gpio", chip = "{LABEL}" }}
settings = {{ line = "{RELAY}", switch = "{SWITCH}", pulse-ms = {ms}, too-long-s = {too_long} }}
[device.lamps]
plugin = "org.tilld.signal"
transport = {{ kind = "gpio", chip = "{LABEL}" }}
settings = {{ ready = "{READY}", success = "{SUCCESS}", beeper = "{BEEP}" }}
"#,
        ms = pulse.as_millis()
    )
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let chip = Chip::new(LABEL, &LINES)?;
    chip.follow(RELAY)?;
    belongs(till, &chip).await?;
    let mut counter = Counter::new(till, chip).await?;
    start(&counter, &config(SHORT, 2)).await?;
    let first = sells(&mut counter).await?;
    switched(&mut counter).await?;
    start(&counter, &config(LONG, 0)).await?;
    let host = killed(&mut counter, Victim::Host, 5_300).await?;
    let daemon = killed(&mut counter, Victim::Daemon, 5_400).await?;
    let (_, problems) = till.client.verify_journal().await?;
    claim(problems.is_empty(), format!("the journal has problems: {problems:?}"))?;
    till.devices("").await?;
    let let_go = || async { counter.chip.holder(RELAY).is_ok_and(|by| by.is_empty()) };
    till.until("a till without a drawer lets the line go", let_go).await?;
    Ok(format!(
        "{SHORT:?} told, {:.0?} to {:.0?} seen; {LONG:?} cut by kill -9 of the driver at {:.0?}, of tilld at {:.0?} at most; \
         {} pulses",
        first.least(),
        first.most(),
        host.most(),
        daemon.most(),
        counter.wanted
    ))
}

/// The chip's node is a group's in which tilld is, and nobody's else.
async fn belongs(till: &Till, chip: &Chip) -> Result<(), VmError> {
    let node = chip.node().display().to_string();
    let whose = || system::run("stat", &["--format=%U:%G %a", &node]).unwrap_or_default();
    let said = till.until("udev gives the chip to gpio", || async { whose() == "root:gpio 660" }).await;
    said.map_err(|e| VmError::wrong(format!("{e}; it is {}", whose())))?;
    let line = system::run("getent", &["group", "gpio"])?;
    let group = line.split(':').nth(2).unwrap_or_default();
    // The scenario before may have left it starting.
    let status = || std::fs::read_to_string(format!("/proc/{}/status", system::pid().ok()?)).ok();
    till.until("tilld runs", || async { status().is_some() }).await?;
    let status = status().unwrap_or_default();
    let groups = status.lines().find_map(|l| l.strip_prefix("Groups:")).unwrap_or_default();
    claim(groups.split_whitespace().any(|g| g == group), format!("tilld is in{groups}, not in {group}"))
}

async fn start(counter: &Counter<'_>, config: &str) -> Result<(), VmError> {
    counter.till.devices(config).await?;
    for id in ["drawer", "lamps"] {
        counter.till.device(id, "ready").await?;
    }
    for line in [RELAY, SWITCH, READY, SUCCESS, BEEP] {
        let by = counter.chip.holder(line)?;
        claim(by == "tilld", format!("{line} is held by {by:?}"))?;
        claim(!counter.chip.level(line)?, format!("{line} is high before anything has happened"))?;
    }
    Ok(())
}

/// A sale in cash opens the drawer once, for as long as configured; the lamps and the beeper go with it.
async fn sells(counter: &mut Counter<'_>) -> Result<Pulse, VmError> {
    let opened = counter.opened().await?;
    let beeper = Scope::on(&counter.chip.file(BEEP, "value")?)?;
    let payment = counter.till.sale(5_100).await?;
    let shines = async |lamp: &str| {
        let on = || async { counter.chip.level(lamp).unwrap_or(false) };
        counter.till.until(&format!("{lamp} shines"), on).await
    };
    shines(READY).await?;
    claim(counter.relay.pulses()?.is_empty(), "the drawer opened before anything was paid")?;
    counter.springs()?;
    payment.pay_cash(5_100).await?;
    payment.wait(&["paid"]).await?;
    shines(SUCCESS).await?;
    let pulse = counter.pulse_of(SHORT).await?;
    let beeped = || async { beeper.pulses().is_ok_and(|p| p.len() == 1) };
    counter.till.until("one beep, and an end of it", beeped).await?;
    claim(!counter.chip.level(READY)?, "the customer is still asked to pay")?;
    counter.opened_is(opened + 1).await?;
    Ok(pulse)
}

/// What the switch shows is what the till says.
async fn switched(counter: &mut Counter<'_>) -> Result<(), VmError> {
    // Open since the sale.
    counter.till.device("drawer", "attention").await?;
    counter.alarm("open for too long").await?;
    counter.shut()?;
    counter.till.device("drawer", "ready").await?;

    // By its key, with a switch that bounces. A machine that stops in the middle of it makes two openings of one: again then.
    let switch = counter.chip.file(SWITCH, "pull")?;
    for n in 0.. {
        let opened = counter.opened().await?;
        let from = std::time::Instant::now();
        for up in [true, false, true, false, true] {
            pull(&switch, up)?;
        }
        let bounced = from.elapsed();
        if bounced < BOUNCE {
            counter.opened_is(opened + 1).await?;
            counter.shut()?;
            break;
        }
        claim(n < TRIES, format!("five writes take {bounced:?}"))?;
        counter.till.device("drawer", "attention").await?;
        counter.shut()?;
        counter.till.device("drawer", "ready").await?;
    }

    // Locked: it is told to open, and does not.
    counter.paid_cash(5_200).await?;
    counter.pulse_of(SHORT).await?;
    counter.till.device("drawer", "attention").await?;
    counter.alarm("did not open").await?;
    pull(&switch, true)?;
    counter.till.device("drawer", "ready").await?;
    counter.shut()
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Victim {
    Host,
    Daemon,
}

impl Victim {
    fn pid(self) -> Result<rustix::process::Pid, VmError> {
        let pid = match self {
            Self::Daemon => system::pid()?,
            Self::Host => system::host("till_driver_drawer")?,
        };
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.ok_or_else(|| VmError::wrong(format!("{self:?} has no process")))
    }
}

/// Killed in the pulse: the kernel lets the line go, the sale stands, the drawer is there again and opens for the next sale
/// only.
async fn killed(counter: &mut Counter<'_>, victim: Victim, minor: i64) -> Result<Pulse, VmError> {
    for n in 0.. {
        let minor = minor + 10 * n;
        let _before = counter.chip.hands()?;
        let payment = counter.till.sale(minor).await?;
        let pid = victim.pid()?;
        counter.relay.at_rise(move || {
            let _dead = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        });
        let alarms = counter.alarms("");
        // The daemon may be dead before it has answered; what became of the sale is asked below.
        let _answer = payment.pay_cash(minor).await;
        let cut = counter.pulse().await?;
        let mut hands = (0, 0);
        let again = || {
            let now = counter.chip.hands().unwrap_or_default();
            hands = (hands.0 + now.0, hands.1 + now.1);
            async move { hands.0 > 0 && hands.1 > 0 }
        };
        counter.till.until("the line is let go and taken again", again).await?;
        counter.till.device("drawer", "ready").await?;
        if victim == Victim::Host {
            let told = || async { counter.alarms("") > alarms };
            counter.till.until("an alarm says that the drawer may be shut", told).await?;
        }
        let id = payment.id();
        let state = counter.till.client.details(&id).await?.state;
        claim(state == "paid", format!("the sale is {state}"))?;
        // Behind this one is whatever a restart might have repeated.
        let next = counter.paid_cash(minor + 5).await?;
        counter.pulse_of(LONG).await?;
        let log = system::run("journalctl", &["--no-pager", "--output=cat", "--unit=tilld.service"])?;
        // Digits that might be a card's are stars in the log, also in a payment's id.
        let is = |word: &str, id: &str| {
            word.len() == id.len() && word.chars().zip(id.chars()).all(|(a, b)| a == '*' || a == b)
        };
        let openings = log.lines().filter_map(|l| l.strip_prefix("drawer opened: "));
        let told = |id: &str| openings.clone().filter(|word| is(word, id)).count();
        // What the driver says goes through the daemon, and may go with it.
        let (first, second) = (told(&id), told(&next.id()));
        claim(
            first == 1 || first == 0 && victim == Victim::Daemon,
            format!("told {first} times to open for {id}"),
        )?;
        claim(second == 1, format!("told {second} times to open for the next sale"))?;
        if cut.most() < LONG {
            return Ok(cut);
        }
        claim(n < 3, format!("killed too late: {:.0?}", cut.most()))?;
    }
    Err(VmError::wrong("never killed"))
}
