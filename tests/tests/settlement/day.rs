//! A day that ends by itself (S65), what the shop gets for it and when (S67), and the slip that says so.
//!
//! The daemon's clock is the machine's. What steps here is the place: a day east is a day later to the till.

use till_core::batch::BusinessDate;
use till_dbus::{Error, Options};
use till_tests::RigOptions;
use till_tests::scene::until;

use crate::{Till, by};

/// The till's place: local time is so many hours before or after UTC. POSIX counts westwards.
fn place(hours_east: i32) -> Vec<(String, String)> {
    vec![("TZ".into(), format!("AAA{}", -hours_east))]
}

/// A closing time that is half a day away from now, so that none passes while a test runs.
fn far_close_at() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let minute = (now / 60 + 720) % 1_440;
    format!("\n[settlement]\nclose-at = \"{:02}:{:02}\"\n", minute / 60, minute % 60)
}

pub(crate) async fn open_at(hours_east: i32, extra: &str) -> Till {
    let extra_config = format!("{}{extra}", far_close_at());
    Till::with(RigOptions { extra_config, env: place(hours_east), ..RigOptions::default() }).await
}

/// Killed, and started where it is another time of day.
pub(crate) async fn killed_and_moved(till: &mut Till, hours_east: i32) {
    till.rig.kill_till();
    till.rig.options.env = place(hours_east);
    till.start().await;
}

async fn date(till: &Till) -> BusinessDate {
    till.settlement().await.business_date().await.unwrap().parse().unwrap()
}

/// Dates that the clock closed, from the journal.
async fn closed_by_clock(till: &Till) -> Vec<i64> {
    let frozen = till.records(&["batch-frozen"]).await;
    let by_clock = frozen.iter().map(|r| &r["record"]["Batch"]["Frozen"]).filter(|f| f["automatic"] == true);
    by_clock.map(|f| f["date"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s65_the_day_is_closed_once_by_the_clock_over_kills_power_off_and_steps() {
    let mut till = open_at(-24, "").await;
    till.card(1_000).await;
    let first = date(&till).await;

    // Two days later, and killed while it settles what it closed by itself.
    let held = till.hold_answer("settlement", 0);
    killed_and_moved(&mut till, 24).await;
    till.fired(held);
    till.rig.kill_till();
    till.rig.acquirer.faults().clear();
    till.start().await;
    let closed = till.wait_closed(1).await;
    assert!(closed.automatic && closed.operator.is_empty() && closed.date == first.to_string(), "{closed:?}");
    assert_eq!(date(&till).await, first.plus(2), "one close catches up with two days");
    assert_eq!(closed_by_clock(&till).await, [i64::from(first.day())]);

    // Again and again on the same day: nothing more is closed, and what is sold is of that day.
    for _ in 0..2 {
        killed_and_moved(&mut till, 24).await;
        till.cash(500).await;
    }
    assert_eq!(closed_by_clock(&till).await.len(), 1);
    // The clock goes back to the day that was closed, and forth.
    killed_and_moved(&mut till, -24).await;
    till.cash(600).await;
    killed_and_moved(&mut till, 24).await;
    till.cash(700).await;
    let mut dates = closed_by_clock(&till).await;
    let count = dates.len();
    dates.dedup();
    assert_eq!(dates.len(), count, "a date is closed once: {dates:?}");
    assert_eq!(dates.iter().filter(|d| **d == i64::from(first.day())).count(), 1);
    assert_eq!(till.rig.acquirer.closed().len(), 1);
    let (_, problems) = till.client.verify_journal().await.unwrap();
    assert_eq!(problems, Vec::<String>::new());
    till.rest().await;
}

const TERMS: &str = r#"
[channel.bankcard.settlement]
payout = "T+1"
fee = { rate-ppm = 6000, min = 1, max = 50 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn s67_a_batch_and_its_slip_say_when_the_money_comes_and_how_much() {
    let till = Till::open(TERMS).await;
    till.card(10_000).await; // 60, at most 50
    till.card(1_000).await; // 6
    till.cash(300).await;
    till.close().await;
    let batch = till.wait_closed(1).await;
    let mut day = batch.date.parse::<BusinessDate>().unwrap().plus(1);
    // 1970-01-01 was a Thursday: 2 and 3 days later was a weekend.
    while matches!(day.day().rem_euclid(7), 2 | 3) {
        day = day.plus(1);
    }
    let payouts = till.settlement().await.list_payouts(1, Options::new()).await.unwrap();
    let bank = payouts.iter().find(|p| p.channel == "bankcard").unwrap();
    assert_eq!((bank.fee, bank.net, &bank.date), (56, 10_944, &day.to_string()));
    let cash = payouts.iter().find(|p| p.channel == "cash").unwrap();
    assert_eq!((cash.fee, cash.net, cash.date.as_str()), (0, 300, ""));
    let slip = till.settlement().await.slip_text(1, Options::new()).await.unwrap();
    println!("{slip}");
    for says in ["预计到账", &day.to_string(), "109.44", "0.56", "银行卡", "现金"] {
        assert!(slip.contains(says), "{says} is not on\n{slip}");
    }
    till.rest().await;
}

/// So many records between two snapshots of the state: the second half of the test reads from one.
const SNAPSHOTS: &str = "[journal]\nsnapshot-records = 150\n";

#[tokio::test(flavor = "multi_thread")]
async fn s46_s67_the_slip_of_a_batch_that_left_memory_is_told_and_printed_from_the_journal() {
    let mut till = Till::open(TERMS).await;
    till.card(10_000).await;
    let voided = till.card(1_000).await;
    till.leg(&voided, "void", 0).await;
    till.close().await;
    till.wait_closed(1).await;
    let settlement = till.settlement().await;
    let told = settlement.slip_text(1, Options::new()).await.unwrap();
    let parts = settlement.list_parts(1, Options::new()).await.unwrap();
    let operators = settlement.list_operators(1, Options::new()).await.unwrap();
    let payouts = settlement.list_payouts(1, Options::new()).await.unwrap();
    assert_eq!(settlement.reprint_slip(1, by("007")).await.unwrap(), 1);
    till.rig.drop_in("snapshots.toml", SNAPSHOTS).unwrap();
    till.rig.kill_till();
    till.start().await;
    // More days than the till keeps in memory.
    for number in 2..=35 {
        till.cash(i64::from(number)).await;
        assert_eq!(till.close().await, number);
        till.wait_closed(number).await;
    }
    assert!(till.batch(1).await.is_none(), "it is still in memory");
    for restarted in [false, true] {
        if restarted {
            till.rig.kill_till();
            till.start().await;
        }
        let settlement = till.settlement().await;
        assert_eq!(settlement.slip_text(1, Options::new()).await.unwrap(), told);
        assert_eq!(settlement.list_parts(1, Options::new()).await.unwrap(), parts);
        assert_eq!(settlement.list_operators(1, Options::new()).await.unwrap(), operators);
        assert_eq!(settlement.list_payouts(1, Options::new()).await.unwrap(), payouts);
        let copy = settlement.reprint_slip(1, by("007")).await.unwrap();
        assert_eq!(copy, if restarted { 3 } else { 2 }, "a copy has the next number");
        let paper = || async {
            let all = till.rig.printer.receipts();
            let mut copies = all.iter().map(till_simulators::printer::Receipt::text);
            copies.rfind(|t| t.contains(&format!("重印件 {copy}")) && t.contains("110.00"))
        };
        until("the copy is on paper", paper).await.unwrap();
    }
    // One that was closed since a snapshot was kept, and one that never was.
    assert!(till.settlement().await.slip_text(3, Options::new()).await.unwrap().contains("0.03"));
    let never = till.settlement().await.slip_text(99, Options::new()).await;
    assert!(matches!(never, Err(Error::NotFound(_))), "{never:?}");
    till.rest().await;
}

/// Slips on paper: whether each is a copy.
fn slips(till: &Till) -> Vec<bool> {
    let texts = till.rig.printer.receipts().into_iter().map(|r| r.text());
    texts.filter(|t| t.contains("结算单")).map(|t| t.contains("重印件")).collect()
}

async fn nothing_waits(till: &Till) {
    let idle = || async {
        let printer =
            till.client.proxy("/org/tilld/Till1/device/printer", "org.tilld.Printer1").await.ok()?;
        let jobs: Vec<(u64, String, String)> = printer.get_property("Jobs").await.ok()?;
        jobs.is_empty().then_some(())
    };
    until("all is printed", idle).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s67_the_slip_is_printed_once_and_again_as_a_numbered_copy() {
    let mut till = Till::open("").await;
    till.cash(300).await;
    let early = till.settlement().await.slip_text(1, Options::new()).await;
    assert!(matches!(early, Err(Error::WrongState(_))), "{early:?}");
    till.close().await;
    till.wait_closed(1).await;
    until("the slip is on paper", || async { (slips(&till).len() == 1).then_some(()) }).await.unwrap();
    nothing_waits(&till).await;
    till.rig.kill_till();
    till.start().await;
    nothing_waits(&till).await;
    assert_eq!(slips(&till), [false], "a restart prints nothing twice");
    let settlement = till.settlement().await;
    let nameless = settlement.reprint_slip(1, Options::new()).await;
    assert!(matches!(nameless, Err(Error::InvalidArgs(_))), "{nameless:?}");
    assert_eq!(settlement.reprint_slip(1, by("007")).await.unwrap(), 1);
    assert_eq!(settlement.reprint_slip(1, by("007")).await.unwrap(), 2);
    until("two copies", || async { (slips(&till) == [false, true, true]).then_some(()) }).await.unwrap();
    let last = till.rig.printer.receipts().last().unwrap().text();
    assert!(last.contains("重印件 2"), "{last}");
    let open = settlement.reprint_slip(2, by("007")).await;
    assert!(matches!(open, Err(Error::WrongState(_))), "{open:?}");
    till.rest().await;
}
