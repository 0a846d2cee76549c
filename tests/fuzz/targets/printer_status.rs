//! Any bytes from the printer: the parser and the whole spooler neither panic nor hang, and a job is never done
//! before a byte of it was taken.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_printer::encode::{self, Marks};
use till_driver_printer::job::{Event, Input, Job, State, Timing};
use till_driver_printer::profile::Profile;
use till_driver_printer::spool::Spooler;
use till_plugin::document::{Block, Document};

pub(crate) fn run(data: &[u8]) {
    let profile = Profile::built_in("generic-80").unwrap();
    let document = (0..20).fold(Document::new(), |doc, n| doc.line(format!("line {n}"))).with(Block::Cut);
    let atoms = encode::encode(&profile, &document, Marks::default()).unwrap();
    let total: usize = atoms.iter().map(|atom| atom.bytes.len()).sum();
    let mut spooler = Spooler::new(profile, Timing::default(), data.len().is_multiple_of(2));
    let (mut now, mut taken) = (0, 0);
    spooler.submit(now, Job { id: 1, atoms }).unwrap();
    // Two bytes an act: how long and how much is taken, and what the printer says.
    for act in data.chunks(2) {
        now += u64::from(act[0]) * 10;
        let mut events = spooler.step(now, Input::Bytes(&act[1..]));
        let count = spooler.to_write().len().min(usize::from(act[0]) * 4);
        taken += count;
        events.extend(spooler.step(now, Input::Wrote(count)));
        for event in events {
            if let Event::Job { state: State::Done(_) | State::Unconfirmed, .. } = event {
                assert!(taken >= total);
            }
        }
    }
    let _ = spooler.step(now, Input::Gone);
    assert!(spooler.to_write().is_empty());
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
