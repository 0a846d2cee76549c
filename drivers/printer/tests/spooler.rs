//! What the spooler promises a cashier, against a printer with faults. Time is a number; nothing waits.

mod support;

use support::Printer;
use support::bench::{Bench, body, receipt, whole};
use till_driver_printer::encode::{self, Marks};
use till_driver_printer::job::{Confirmed, Direct, Event, Fault, Hold, Input, Job, Refused, State};
use till_driver_printer::profile::{Confirm, Overrides, Profile};
use till_driver_printer::spool::QUEUE;
use till_driver_printer::status::Block;
use till_plugin::document::{Block as Part, Document};

#[test]
fn a_well_printer_prints_the_receipt_and_confirms_it() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &receipt(30));
    assert!(bench.until(60_000, |b| b.ended(7)));
    assert_eq!(bench.states(7), [&State::Started, &State::Done(Confirmed::Queued)]);
    assert_eq!(body(&bench.printer.text()), whole(30));
    assert_eq!(bench.printer.lines.last().map(String::as_str), Some("✂"));
}

#[test]
fn done_is_not_said_before_the_last_line_is_on_paper() {
    for confirm in [Confirm::Auto, Confirm::Queued, Confirm::RealTime] {
        let mut bench = Bench::new(confirm);
        bench.submit(1, &receipt(30));
        assert!(bench.until(120_000, |b| b.ended(1)));
        assert!(matches!(bench.last(1), Some(State::Done(_))), "{confirm:?}");
        assert!(bench.printer.buffer.is_empty(), "{confirm:?}");
        assert_eq!(body(&bench.printer.text()), whole(30), "{confirm:?}");
    }
}

#[test]
fn paper_out_mid_job_holds_it_and_it_is_finished_once_after_refill() {
    for confirm in [Confirm::Auto, Confirm::RealTime] {
        for at in 1..30 {
            let mut bench = Bench::new(confirm);
            bench.printer.paper = at;
            bench.submit(7, &receipt(30));
            assert!(bench.until(60_000, |b| b.printer.paper == 0), "{at}");
            bench.until(20_000, |_| false);
            let held = State::Held(Hold::Blocked(Block::PaperOut));
            assert_eq!(bench.last(7), Some(&held), "{confirm:?} {at}");
            bench.printer.paper = 1000;
            assert!(bench.until(60_000, |b| b.ended(7)), "{at}");
            assert!(matches!(bench.last(7), Some(State::Done(_))), "{at}");
            assert_eq!(body(&bench.printer.text()), whole(30), "{confirm:?} {at}");
            assert!(!bench.printer.text().iter().any(|line| line.contains("REPRINT")), "{at}");
        }
    }
}

#[test]
fn paper_out_before_the_job_sends_nothing_until_refill() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.paper = 0;
    bench.submit(7, &receipt(3));
    bench.until(5_000, |_| false);
    assert_eq!(bench.states(7), [&State::Held(Hold::Blocked(Block::PaperOut))]);
    assert!(bench.printer.buffer.is_empty());
    bench.printer.paper = 100;
    assert!(bench.until(30_000, |b| b.ended(7)));
    assert_eq!(body(&bench.printer.text()), whole(3));
}

#[test]
fn paper_out_at_the_very_end_is_waited_for_and_does_not_print_again() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.paper = 3;
    bench.submit(7, &receipt(3));
    bench.until(20_000, |_| false);
    assert!(matches!(bench.last(7), Some(State::Held(_))));
    bench.printer.paper = 100;
    assert!(bench.until(30_000, |b| b.ended(7)));
    assert_eq!(body(&bench.printer.text()), whole(3));
}

#[test]
fn paper_near_end_holds_nothing() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.near_end = true;
    bench.submit(7, &receipt(5));
    assert!(bench.until(30_000, |b| b.ended(7)));
    assert_eq!(bench.states(7), [&State::Started, &State::Done(Confirmed::Queued)]);
}

#[test]
fn cover_cutter_and_heat_hold_the_job_and_name_the_reason() {
    type Fault = (fn(&mut Printer, bool), Block);
    let faults: [Fault; 3] = [
        (|p, on| p.cover_open = on, Block::CoverOpen),
        (|p, on| p.cutter_jam = on, Block::CutterJam),
        (|p, on| p.hot = on, Block::Overheated),
    ];
    for (set, block) in faults {
        let mut bench = Bench::new(Confirm::Auto);
        bench.submit(7, &receipt(30));
        assert!(bench.until(60_000, |b| b.printer.lines.len() == 9));
        set(&mut bench.printer, true);
        bench.until(15_000, |_| false);
        assert_eq!(bench.last(7), Some(&State::Held(Hold::Blocked(block))));
        set(&mut bench.printer, false);
        assert!(bench.until(60_000, |b| b.ended(7)));
        assert_eq!(body(&bench.printer.text()), whole(30), "{block:?}");
    }
}

#[test]
fn a_printer_that_never_answers_ends_unconfirmed_never_done() {
    for confirm in [Confirm::Auto, Confirm::Queued, Confirm::RealTime, Confirm::None] {
        let mut bench = Bench::new(confirm);
        bench.printer.answers = false;
        bench.submit(7, &receipt(30));
        assert!(bench.until(120_000, |b| b.ended(7)), "{confirm:?}");
        assert_eq!(bench.states(7), [&State::Started, &State::Unconfirmed], "{confirm:?}");
        bench.until(60_000, |b| b.printer.buffer.is_empty());
        assert_eq!(body(&bench.printer.text()), whole(30), "{confirm:?}");
    }
}

#[test]
fn a_printer_that_stops_answering_is_not_reported_done() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &receipt(30));
    assert!(bench.until(60_000, |b| b.printer.lines.len() == 9));
    bench.printer.answers = false;
    bench.until(10_000, |_| false);
    assert_eq!(bench.last(7), Some(&State::Held(Hold::NoAnswer)));
    assert!(bench.until(40 * 60_000, |b| b.ended(7)));
    assert!(matches!(bench.last(7), Some(State::Failed { fault: Fault::HeldTooLong(Hold::NoAnswer), .. })));
}

#[test]
fn a_clone_that_does_not_know_question_3_is_asked_the_others() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.knows = vec![1, 4];
    bench.printer.answers_fence = false;
    bench.printer.paper = 7;
    bench.submit(7, &receipt(12));
    bench.until(30_000, |_| false);
    assert!(matches!(bench.last(7), Some(State::Held(Hold::Blocked(Block::PaperOut)))));
    bench.printer.paper = 100;
    assert!(bench.until(60_000, |b| b.ended(7)));
    assert_eq!(bench.last(7), Some(&State::Done(Confirmed::RealTime)));
    assert_eq!(body(&bench.printer.text()), whole(12));
}

#[test]
fn a_power_cycle_mid_job_voids_the_half_receipt_and_prints_a_whole_one_marked() {
    let drawer = Part::DrawerPulse { pin: 0, on_ms: 100 };
    let mut document = receipt(30);
    document.blocks.insert(0, drawer);
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &document);
    assert!(bench.until(60_000, |b| b.printer.lines.len() == 9));
    bench.printer.power_cycle();
    assert!(bench.until(120_000, |b| b.ended(7)));
    assert_eq!(bench.last(7), Some(&State::Done(Confirmed::Queued)));
    assert!(
        bench.states(7).iter().any(|state| matches!(state, State::Restarted { lost } if lost.confirmed > 0))
    );
    let text = bench.printer.text();
    let void = text.iter().position(|line| line.contains("以上作废 VOID ABOVE")).unwrap();
    assert_eq!(text[void + 1], "✂");
    assert!(text[void + 2].contains("重新打印 REPRINT"));
    assert_eq!(body(&text[void..]), whole(30));
    assert_eq!(bench.printer.pulses.len(), 1, "the drawer opens once");
}

/// Found with till-simulators: with the loss noticed only after the cut, the till held a receipt with a hole for a whole one.
#[test]
fn a_receipt_with_a_hole_is_never_cut_off_without_the_void_mark() {
    for at in 1..30 {
        let mut bench = Bench::new(Confirm::Auto);
        bench.submit(7, &receipt(30));
        assert!(bench.until(60_000, |b| b.printer.lines.len() == at));
        bench.printer.power_cycle();
        assert!(bench.until(200_000, |b| b.ended(7)), "{at}");
        assert!(matches!(bench.last(7), Some(State::Done(_))), "{at}");
        let text = bench.printer.text();
        let mut pieces = text.split(|line| *line == "✂").filter(|piece| !body(piece).is_empty());
        for piece in &mut pieces {
            let void = piece.last().is_some_and(|line| line.contains("VOID ABOVE"));
            assert!(void || body(piece) == whole(30), "{at}: {piece:?}");
        }
    }
}

#[test]
fn a_printer_that_forgets_every_time_ends_failed_not_done() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &receipt(30));
    bench.until(600_000, |b| b.ended(7) || b.printer.lines.len() == 9);
    let forgotten = |b: &mut Bench| {
        b.printer.power_cycle();
        b.step();
    };
    for _ in 0..60_000 {
        if !bench.ended(7) {
            forgotten(&mut bench);
        }
    }
    assert!(matches!(bench.last(7), Some(State::Failed { fault: Fault::BufferLost { times: 3 }, .. })));
}

#[test]
fn a_void_mark_is_not_swallowed_by_the_picture_that_was_cut_off() {
    let over = Overrides { qr: Some(till_driver_printer::profile::QrKind::Raster), ..Overrides::default() };
    let profile = Profile::built_in("generic-80").unwrap().with(&over).unwrap();
    let document =
        Document::new().line("top").with(Part::Qr { data: "https://example.com/".repeat(8), module_dots: 8 });
    let first = encode::encode(&profile, &document, Marks::default()).unwrap();
    let again = encode::job(&profile, &document, Marks { copy: 0, restarted: true }).unwrap();
    let bytes = |atoms: &[encode::Atom]| atoms.iter().flat_map(|a| a.bytes.clone()).collect::<Vec<_>>();
    let (first, again) = (bytes(&first), bytes(&again));
    for cut in (0..first.len()).step_by(37) {
        let mut printer = Printer { room: 1 << 20, ..Printer::default() };
        printer.take(&first[..cut]);
        printer.take(&again);
        let mut left = usize::MAX;
        while printer.buffer.len() < left {
            left = printer.buffer.len();
            printer.work(0);
        }
        let text = printer.text();
        assert!(text.iter().any(|line| line.contains("VOID ABOVE")), "cut at {cut}: {text:?}");
        assert_eq!(text.iter().filter(|line| line.contains("REPRINT")).count(), 1, "cut at {cut}");
        assert_eq!(text.last(), Some(&"top"), "cut at {cut}: {text:?}");
    }
}

#[test]
fn unplugged_at_any_byte_the_job_tells_how_far_it_got_and_is_never_done_too_early() {
    let document = receipt(12);
    let total = {
        let mut bench = Bench::new(Confirm::Auto);
        bench.submit(7, &document);
        bench.until(60_000, |b| b.ended(7));
        bench.printer.received.len()
    };
    for at in 0..=total {
        let mut bench = Bench::new(Confirm::Auto);
        bench.submit(7, &document);
        bench.until(60_000, |b| b.printer.received.len() >= at || b.ended(7));
        if bench.ended(7) {
            continue;
        }
        bench.input(Input::Gone);
        match bench.last(7) {
            Some(State::Failed { fault: Fault::Gone, progress }) => {
                assert!(progress.confirmed <= progress.written && progress.written <= progress.total);
                assert!(progress.written > 0 || bench.printer.lines.is_empty(), "{at}");
            }
            Some(State::Done(_)) => assert_eq!(body(&bench.printer.text()), whole(12), "{at}"),
            other => panic!("{at}: {other:?}"),
        }
        assert!(bench.spooler.to_write().is_empty());
    }
}

#[test]
fn a_connection_that_accepts_and_never_reads_is_held_then_given_up() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.reads = false;
    bench.submit(7, &receipt(3));
    bench.until(5_000, |_| false);
    assert_eq!(bench.states(7), [&State::Held(Hold::NotReading)]);
    assert!(bench.until(31 * 60_000, |b| b.ended(7)));
    let Some(State::Failed { fault: Fault::HeldTooLong(Hold::NotReading), progress }) = bench.last(7) else {
        panic!("{:?}", bench.last(7));
    };
    assert_eq!(progress.written, 0);
    assert!(bench.spooler.to_write().is_empty(), "nothing of it may come out later");
}

#[test]
fn a_printer_that_stops_reading_for_a_while_gets_the_rest_once() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &receipt(30));
    assert!(bench.until(60_000, |b| b.printer.lines.len() == 9));
    bench.printer.reads = false;
    bench.until(20_000, |_| false);
    assert_eq!(bench.last(7), Some(&State::Held(Hold::NotReading)));
    bench.printer.reads = true;
    assert!(bench.until(60_000, |b| b.ended(7)));
    assert_eq!(body(&bench.printer.text()), whole(30));
}

#[test]
fn a_buffer_of_128_bytes_is_enough() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.room = 128;
    bench.submit(7, &receipt(30));
    assert!(bench.until(120_000, |b| b.ended(7)));
    assert_eq!(body(&bench.printer.text()), whole(30));
}

#[test]
fn xoff_for_ever_is_held_and_given_up_and_xon_goes_on() {
    let mut bench = Bench::with(Confirm::Auto, true);
    bench.submit(7, &receipt(5));
    bench.input(Input::Bytes(&[0x13]));
    bench.until(5_000, |_| false);
    assert_eq!(bench.last(7), Some(&State::Held(Hold::NotReading)));
    assert!(bench.printer.received.is_empty());
    bench.input(Input::Bytes(&[0x11]));
    assert!(bench.until(30_000, |b| b.ended(7)));
    assert_eq!(body(&bench.printer.text()), whole(5));

    let mut bench = Bench::with(Confirm::Auto, true);
    bench.submit(7, &receipt(5));
    bench.input(Input::Bytes(&[0x13]));
    assert!(bench.until(31 * 60_000, |b| b.ended(7)));
    assert!(matches!(bench.last(7), Some(State::Failed { .. })));
}

#[test]
fn garbage_and_automatic_status_between_answers_change_nothing() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &receipt(10));
    let noise: [&[u8]; 3] = [&[0x81, 0xFF, 0x55], &[0x14, 0, 0, 0], &[0xE0]];
    let mut n = 0;
    while !bench.ended(7) && bench.now < 1_200_000 {
        bench.input(Input::Bytes(noise[n % noise.len()]));
        bench.step();
        n += 1;
    }
    assert_eq!(bench.last(7), Some(&State::Done(Confirmed::Queued)), "{:?}", bench.states(7));
    assert_eq!(body(&bench.printer.text()), whole(10));
}

#[test]
fn half_an_automatic_status_does_not_swallow_a_later_answer() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.input(Input::Bytes(&[0x14, 0]));
    bench.now += 1_000;
    bench.submit(7, &receipt(10));
    assert!(bench.until(60_000, |b| b.ended(7)));
    assert_eq!(bench.states(7), [&State::Started, &State::Done(Confirmed::Queued)]);
}

#[test]
fn two_jobs_at_once_are_printed_one_after_the_other() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(1, &receipt(5));
    bench.submit(2, &receipt(3));
    assert!(bench.until(60_000, |b| b.ended(2)));
    let mut both = whole(5);
    both.extend(whole(3));
    assert_eq!(body(&bench.printer.text()), both);
}

#[test]
fn the_same_job_twice_and_too_many_jobs_are_refused() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.paper = 0;
    bench.submit(1, &receipt(1));
    bench.step();
    let job = |id| Job { id, atoms: Vec::new() };
    assert_eq!(bench.spooler.submit(bench.now, job(1)), Err(Refused::Duplicate(1)));
    for id in 2..2 + QUEUE as u64 {
        bench.spooler.submit(bench.now, job(id)).unwrap();
    }
    assert_eq!(bench.spooler.submit(bench.now, job(99)), Err(Refused::Full(QUEUE)));
    assert_eq!(bench.spooler.submit(bench.now, job(5)), Err(Refused::Duplicate(5)));
}

fn pulse(bench: &mut Bench, for_ms: u64) -> Result<(), Refused> {
    let until = bench.now + for_ms;
    let when_blocked = Some(encode::pulse(0, 100, true));
    bench.spooler.direct(Direct { atom: encode::pulse(0, 100, false), when_blocked, until })
}

#[test]
fn a_drawer_pulse_while_printing_waits_for_the_end_of_the_receipt() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(1, &receipt(10));
    assert!(bench.until(30_000, |b| b.printer.lines.len() == 3));
    pulse(&mut bench, 30_000).unwrap();
    assert_eq!(pulse(&mut bench, 30_000), Err(Refused::Full(1)));
    assert!(bench.until(30_000, |b| b.events.contains(&Event::Direct(true))));
    bench.until(1_000, |_| false);
    assert_eq!((bench.printer.pulses.len(), body(&bench.printer.text())), (1, whole(10)));
}

#[test]
fn the_drawer_opens_also_while_the_paper_is_out() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.paper = 5;
    bench.submit(1, &receipt(10));
    bench.until(20_000, |_| false);
    assert!(matches!(bench.last(1), Some(State::Held(_))));
    pulse(&mut bench, 5_000).unwrap();
    assert!(bench.until(5_000, |b| b.events.contains(&Event::Direct(true))));
    assert_eq!(bench.printer.real_time_pulses, 1);
    bench.printer.paper = 100;
    assert!(bench.until(30_000, |b| b.ended(1)));
    assert_eq!((bench.printer.pulses.len(), body(&bench.printer.text())), (0, whole(10)));
}

#[test]
fn a_drawer_pulse_that_could_not_go_out_in_time_never_goes_out() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.printer.reads = false;
    pulse(&mut bench, 5_000).unwrap();
    assert!(bench.until(6_000, |b| b.events.contains(&Event::Direct(false))));
    bench.printer.reads = true;
    bench.until(10_000, |_| false);
    assert_eq!((bench.printer.pulses.len(), bench.printer.real_time_pulses), (0, 0));
}

#[test]
fn a_storm_of_drawer_requests_is_slowed_to_one_a_second() {
    let mut bench = Bench::new(Confirm::Auto);
    let end = bench.now + 10_000;
    while bench.now < end {
        let _ = pulse(&mut bench, 5_000);
        bench.step();
    }
    assert!((9..=11).contains(&bench.printer.pulses.len()), "{:?}", bench.printer.pulses);
    assert!(bench.printer.pulses.windows(2).all(|w| w[1] - w[0] >= 990), "{:?}", bench.printer.pulses);
}

#[test]
fn a_cancelled_half_receipt_says_that_it_is_void() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(7, &receipt(30));
    bench.submit(8, &receipt(2));
    assert!(bench.until(60_000, |b| b.printer.lines.len() == 9));
    bench.input(Input::Cancel(7));
    assert!(bench.until(60_000, |b| b.ended(8)));
    let Some(State::Cancelled(progress)) = bench.last(7) else { panic!("{:?}", bench.last(7)) };
    assert!(progress.written < progress.total);
    let text = bench.printer.text();
    let void = text.iter().position(|line| line.contains("VOID ABOVE")).unwrap();
    assert_eq!(text[void + 1], "✂");
    assert_eq!(body(&text[void..]), whole(2));
}

#[test]
fn a_waiting_job_is_cancelled_without_a_trace() {
    let mut bench = Bench::new(Confirm::Auto);
    bench.submit(1, &receipt(3));
    bench.submit(2, &receipt(3));
    bench.input(Input::Cancel(2));
    assert!(bench.until(30_000, |b| b.ended(1) && b.ended(2)));
    assert!(matches!(bench.last(2), Some(State::Cancelled(p)) if p.written == 0));
    assert_eq!(body(&bench.printer.text()), whole(3));
}
