//! Payments on a whole till: how soon a scan is seen, how long a cash sale takes, what a hundred sales cost in memory.

use std::time::{Duration, Instant};

use till_simulators::players::{Scan, Swipe};

use crate::figures::{Spread, time};
use crate::memory;
use crate::table::Row;
use crate::till::{Bench, PATIENCE, Signals};
use crate::{Effort, Outcome};

/// Schemes' public test cards, in turn: the same stripe again within a third of a second counts as one swipe.
pub(crate) const TRACKS: [&str; 2] = [
    "%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?",
    "%B5555555555554444^TEST/CARD^3012101000000000?;5555555555554444=301210100000?",
];

/// Payments before memory is read.
const SALES: usize = 100;

/// A day at the till: wallet, card and cash in turn. Numbers the wallet codes, so that none is used twice.
pub struct Day<'a> {
    bench: &'a Bench,
    signals: Signals,
    receipts: usize,
    codes: u64,
}

/// When things happened after the last byte of a scan.
struct Scanned {
    presented: Duration,
    tendering: Duration,
}

impl<'a> Day<'a> {
    /// From now on.
    pub async fn begin(bench: &'a Bench) -> Outcome<Self> {
        let receipts = bench.rig.printer.receipts().len();
        Ok(Self { bench, signals: Signals::open(&bench.client).await?, receipts, codes: 0 })
    }

    /// Until the receipt is out of the printer, so that the next measurement does not share the processor with it.
    fn receipt(&mut self) -> Outcome {
        // Counted in any case: amounts and cards go by it.
        self.receipts += 1;
        if !self.bench.prints {
            return Ok(());
        }
        let printed = self.bench.rig.printer.wait_receipts(self.receipts, PATIENCE);
        printed.map(|_| ()).ok_or_else(|| format!("receipt {} was not printed", self.receipts).into())
    }

    async fn wallet(&mut self) -> Outcome<Scanned> {
        self.codes += 1;
        let payment = self.bench.client.ready(12_850).await?;
        let path = payment.path.to_string();
        let mut code = Scan::new(format!("28{:016}", self.codes));
        code.suffix.clear();
        // The terminator by itself: the clock starts right before the last byte of the scan is written.
        let mut last = Scan::new("\r");
        (last.suffix, last.gap) = (Vec::new(), Duration::ZERO);
        let scanner = &self.bench.rig.scanner;
        scanner.scan(&code)?;
        let begun = Instant::now();
        scanner.scan(&last)?;
        let presented = self.signals.wait(&path, "").await?.saturating_duration_since(begun);
        let tendering = self.signals.wait(&path, "tendering").await?.saturating_duration_since(begun);
        self.signals.wait(&path, "paid").await?;
        self.receipt()?;
        Ok(Scanned { presented, tendering })
    }

    /// A card, until its receipt is printed.
    pub async fn card(&mut self) -> Outcome {
        // Never the same amount twice: the same card for the same amount is asked about as a possible duplicate.
        let payment = self.bench.client.ready(8_800 + i64::try_from(self.receipts)?).await?;
        self.bench.rig.reader.swipe(&Swipe::new(TRACKS[self.receipts / 3 % 2]))?;
        self.signals.wait(payment.path.as_str(), "paid").await?;
        self.receipt()
    }

    /// Cash, from `OpenPayment` to `paid` at a front-end; its receipt is waited for, and not counted.
    pub async fn cash(&mut self) -> Outcome<Duration> {
        let begun = Instant::now();
        let payment = self.bench.client.ready(4_250).await?;
        payment.pay_cash(5_000).await?;
        let took = self.signals.wait(payment.path.as_str(), "paid").await?.saturating_duration_since(begun);
        self.receipt()?;
        Ok(took)
    }

    /// A hundred sales of all kinds, then the memory of the daemon and of each host.
    pub async fn memory(&mut self) -> Outcome<Vec<Row>> {
        for sale in 0..SALES {
            match sale % 3 {
                0 => self.wallet().await.map(|_| ())?,
                1 => self.card().await?,
                _ => self.cash().await.map(|_| ())?,
            }
        }
        let pid = self.bench.rig.pid().ok_or("tilld is not running")?;
        let daemon = memory::of(pid)?;
        let mut rows = vec![
            Row::new(
                format!("private memory of tilld after {SALES} payments"),
                format!("{}; {} threads", daemon.text(), memory::threads(pid)),
            )
            .aim("≤ 15 MiB", daemon.private <= 15 * 1024),
        ];
        let mut hosts = self.bench.rig.hosts();
        hosts.sort_by(|a, b| a.1.cmp(&b.1));
        for (pid, line) in hosts {
            let library = line.split_whitespace().find_map(|w| w.rsplit('/').next()?.strip_suffix(".so"));
            let name = library.unwrap_or("?").trim_start_matches("libtill_").replace('_', " ");
            let host = memory::of(pid)?;
            let row = Row::new(format!("private memory of the host of {name}"), host.text());
            rows.push(row.aim("≤ 2 MiB", host.private <= 2 * 1024));
        }
        Ok(rows)
    }

    /// From the last byte of a scan to the signals at a front-end.
    pub async fn scans(&mut self, effort: Effort) -> Outcome<Vec<Row>> {
        let (mut presented, mut tendering) = (Vec::new(), Vec::new());
        for _ in 0..effort.pick(300, 40) {
            let scanned = self.wallet().await?;
            presented.push(scanned.presented);
            tendering.push(scanned.tendering);
        }
        let row = |what: &str, times: &[Duration]| {
            let spread = Spread::of(times);
            Row::new(
                format!("last scanner byte → {what}, p50 / p99"),
                format!("{} / {}", time(spread.p50), time(spread.p99)),
            )
            .aim("p99 < 5 ms", spread.p99 < 5_000.0)
        };
        Ok(vec![
            row("Presented at a client", &presented),
            row("StateChanged (durable) at a client", &tendering),
        ])
    }

    /// From `OpenPayment` to `paid` at a front-end, by cash: five durable records, two calls of the channel's host.
    pub async fn cash_sales(&mut self, effort: Effort) -> Outcome<Row> {
        let mut times = Vec::new();
        for _ in 0..effort.pick(200, 30) {
            times.push(self.cash().await?);
        }
        let spread = Spread::of(&times);
        Ok(Row::new(
            "whole cash payment, OpenPayment → paid at a client, p50 / p99",
            format!("{} / {}", time(spread.p50), time(spread.p99)),
        ))
    }
}
