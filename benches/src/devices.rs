//! What drivers make of bytes, one operation at a time with its allocations: nothing here waits for a device.
//!
//! A program a driver: each carries the plugin's entry, and only one entry can be in a program. `./bench devices` runs
//! those beside it and puts their rows into its table.

use std::process::{Command, ExitCode};
use std::time::Instant;

use allocation_counter::measure;

use crate::figures::time;
use crate::table::Row;
use crate::{Effort, Outcome};

/// The programs.
const PROGRAMS: [&str; 4] = ["bench-stripe", "bench-scan", "bench-tlv", "bench-receipt"];

/// The rows of all of them.
pub fn rows(effort: Effort) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for name in PROGRAMS {
        let mut command = Command::new(std::env::current_exe()?.with_file_name(name));
        if effort == Effort::Quick {
            command.arg("--quick");
        }
        let output = command.output().map_err(|e| format!("{name}: {e}"))?;
        if !output.status.success() {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        rows.extend(String::from_utf8(output.stdout)?.lines().map(Row::from_line));
    }
    Ok(rows)
}

/// The whole of such a program: prints its rows, a line each.
pub fn main(rows: impl FnOnce(Effort) -> Outcome<Vec<Row>>) -> ExitCode {
    let effort = if std::env::args().any(|a| a == "--quick") { Effort::Quick } else { Effort::Full };
    match rows(effort) {
        Ok(rows) => {
            for row in rows {
                println!("{}", row.line());
            }
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// Time of one operation, the best of many batches: what the machine's other work adds is not ours. Microseconds.
pub fn best(effort: Effort, mut once: impl FnMut()) -> f64 {
    const BATCH: u32 = 200;
    let batch = |_| {
        let began = Instant::now();
        (0..BATCH).for_each(|_| once());
        began.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
    };
    (0..effort.pick(200, 20)).map(batch).fold(f64::INFINITY, f64::min)
}

/// A row: what, its time, and what it allocates; and the time, microseconds.
pub fn row(what: &str, effort: Effort, mut once: impl FnMut()) -> (Row, f64) {
    let memory = measure(&mut once);
    let micros = best(effort, once);
    let figure = format!("{}, {} allocations, {} B", time(micros), memory.count_total, memory.bytes_total);
    (Row::new(what, figure), micros)
}
