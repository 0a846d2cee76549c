//! The short form of the crash lab's power cuts, for CI. The long form: `./crashlab --states 200000`.

use till_crashlab::report::{self, Expect, Line};
use till_crashlab::witness::SHREDDED;
use till_crashlab::{LabError, Programs, controls, cuts, scenario};
use till_powercut::cuts::Plan;
use till_powercut::recorder::RecordError;

/// Different disks of the short form, recoveries that are cut in their turn, and disks of each of those.
const STATES: usize = 1_800;
const NESTED: [usize; 2] = [16, 40];

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_takes_what_was_promised_and_every_control_is_caught() {
    let programs = Programs::beside().unwrap();
    let size = scenario::Size { sessions: 4, sales: 9, seed: 1 };
    let recorded = match scenario::run(size, &programs).await {
        Ok(recorded) => recorded,
        Err(LabError::Record(e @ RecordError::NotPermitted(_))) => {
            println!("skipped: {e}");
            return;
        }
        Err(e) => panic!("{e}"),
    };
    let (ops, acks) = (recorded.recording.ops.len(), recorded.recording.acks.len());
    println!("{ops} operations, {acks} promises, {} records", recorded.truth.hashes.len());
    assert_eq!(recorded.broken, Vec::<String>::new(), "told, and not in the journal without any cut");
    assert!(acks > 300, "the recording is too short to mean anything");
    let truth = &recorded.truth;
    assert!(truth.closed.len() >= 4, "no days were closed and settled");
    assert!(truth.kept > 100, "no epoch was removed after its time");
    let shredded = recorded.recording.acks.iter().filter(|ack| ack.thread == SHREDDED).count();
    assert!(shredded >= 4 && truth.keys.len() > shredded, "nothing was shredded");
    let root = recorded.root().canonicalize().unwrap();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);

    let mut bench = cuts::till(&recorded, &root, &programs, workers);
    bench.title = "power cuts".into();
    let first = bench.run(&Plan { wanted: STATES, seed: 1, from: 0 }).unwrap();
    let second = cuts::nested(&recorded, &root, &programs, workers, NESTED, 7, None).unwrap();
    let states = first.states + second.states;
    let mut lines = vec![
        Line::cuts("power cuts of tilld", Expect::Pass, first),
        Line::cuts("power cuts of its recovery", Expect::Pass, second),
    ];
    lines.extend(controls::run(&recorded, &programs, workers).unwrap());
    println!("{}", report::table(&lines));
    assert!(report::is_green(&lines), "{}", report::table(&lines));
    assert!(states >= 2_000, "too few different disks: {states}");
}
