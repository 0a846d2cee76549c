//! Bytes of a scanner's line to a code, and to the wallet that it is of: a part of `./bench devices`.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use till_benches::devices::{self, row};
use till_benches::table::Row;
use till_benches::{Effort, Outcome};
use till_core::recognise::{Recognised, Table, recognise};
use till_driver_scanner::assemble::{self, Framing};
use till_driver_scanner::code::{self, AimPolicy, Charset};
use till_plugin::instrument::ScannedCode;
use till_plugin::{Instrument, Sensitive};

/// A payment code of a phone, and Enter.
const SCAN: &str = "281234567890123456\r";

/// Bytes of a line to a code, and the code to the wallet that it is of.
fn scans(effort: Effort) -> Outcome<Vec<Row>> {
    let table = Table::default();
    let mut line = assemble::Assembler::new(Framing::default());
    let mut at = Duration::ZERO;
    let mut once = || {
        at += Duration::from_secs(5);
        let mut found = None;
        line.push(SCAN.as_bytes(), at, |scan| {
            let code = scan.ok().and_then(|scan| code::read(scan, AimPolicy::Auto, Charset::Utf8).ok());
            found = code.map(|code| {
                let text = Sensitive::new(code.text.to_string());
                recognise(&Instrument::Code(ScannedCode { text, symbology: None }), &table)
            });
        });
        found
    };
    if !matches!(once(), Some(Recognised::Instrument { .. })) {
        return Err("the scan to be measured is not recognised".into());
    }
    Ok(vec![row("scan: bytes of a line → code → whose it is", effort, || drop(black_box(once()))).0])
}

fn main() -> ExitCode {
    devices::main(scans)
}
