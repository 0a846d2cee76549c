//! Random faults in random order: what must hold whatever happens to a printer.

mod support;

use proptest::prelude::*;
use support::Printer;
use support::bench::{Bench, body, receipt, whole};
use till_driver_printer::job::{Input, State};
use till_driver_printer::profile::Confirm;

#[derive(Clone, Copy, Debug)]
enum Upset {
    PaperOut,
    Refill,
    Cover(bool),
    Reads(bool),
    Answers(bool),
    PowerCycle,
    Noise(u8),
}

fn upset() -> impl Strategy<Value = Upset> {
    prop_oneof![
        Just(Upset::PaperOut),
        Just(Upset::Refill),
        any::<bool>().prop_map(Upset::Cover),
        any::<bool>().prop_map(Upset::Reads),
        any::<bool>().prop_map(Upset::Answers),
        Just(Upset::PowerCycle),
        // Not 00h..0Fh: that is a GS r answer, which nothing tells from the real one.
        (0x80u8..=0xFF).prop_map(Upset::Noise),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens: a job ends; "done" means that exactly one whole receipt stands on paper behind the last void mark.
    #[test]
    fn done_means_one_whole_receipt(upsets in proptest::collection::vec((0u64..3_000, upset()), 0..8)) {
        let mut bench = Bench::new(Confirm::Queued);
        bench.submit(7, &receipt(20));
        for (wait, upset) in upsets {
            bench.until(wait, |_| false);
            match upset {
                Upset::PaperOut => bench.printer.paper = 0,
                Upset::Refill => bench.printer.paper = 1000,
                Upset::Cover(open) => bench.printer.cover_open = open,
                Upset::Reads(reads) => bench.printer.reads = reads,
                Upset::Answers(answers) => bench.printer.answers = answers,
                Upset::PowerCycle => bench.printer.power_cycle(),
                Upset::Noise(byte) => bench.input(Input::Bytes(&[byte])),
            }
        }
        bench.printer = Printer { paper: 1000, cover_open: false, reads: true, answers: true, ..bench.printer };
        prop_assert!(bench.until(31 * 60_000, |b| b.ended(7)), "{:?}", bench.states(7));
        let text = bench.printer.text();
        let from = text.iter().rposition(|line| line.contains("VOID ABOVE")).unwrap_or(0);
        // Every piece of paper that was cut off is whole or says that it is void.
        let mut pieces: Vec<_> = text.split(|line| *line == "✂").collect();
        pieces.pop();
        for piece in pieces {
            let void = piece.iter().any(|line| line.contains("VOID ABOVE"));
            prop_assert!(void || body(piece) == whole(20), "{piece:?}");
        }
        match bench.last(7) {
            Some(State::Done(_)) => prop_assert_eq!(body(&text[from..]), whole(20)),
            Some(State::Unconfirmed | State::Failed { .. }) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
