//! The log of an instance, as an author meets it in the test host.
#![allow(clippy::unwrap_used)]

use till_plugin::host::LogError;
use till_plugin::proto::{MAX_LOG_ENTRY, MAX_LOG_PAGE};
use till_plugin::testing::{LogFault, TestHost};

#[test]
fn every_entry_comes_back_once_and_in_order_however_many_there_are() {
    let bench = TestHost::new();
    let host = bench.host();
    let appended: Vec<u64> = (0..MAX_LOG_PAGE * 3)
        .map(|n| host.log_append(&u64::try_from(n).unwrap().to_le_bytes()).unwrap())
        .collect();
    assert!(appended.is_sorted_by(|a, b| a < b));
    let (mut seqs, mut numbers) = (Vec::new(), Vec::new());
    let last = host
        .log_replay(0, |entry| {
            seqs.push(entry.seq);
            numbers.push(u64::from_le_bytes(entry.bytes.clone().try_into().unwrap()));
        })
        .unwrap();
    assert_eq!(seqs, appended);
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    assert_eq!(Some(&last), appended.last());
    // From there on there is nothing, and one more is found alone.
    assert_eq!(host.log_replay(last, |_| panic!("nothing is new")).unwrap(), last);
    let next = host.log_append(b"next").unwrap();
    assert_eq!(host.log_read(last, 10).unwrap().iter().map(|e| e.seq).collect::<Vec<_>>(), [next]);
    assert_eq!(host.log_read(0, u32::MAX).unwrap().len(), MAX_LOG_PAGE);
}

#[test]
fn entries_of_no_length_or_too_much_are_refused_and_doubt_is_not_refusal() {
    let bench = TestHost::new();
    let host = bench.host();
    for length in [0, MAX_LOG_ENTRY + 1] {
        assert!(matches!(host.log_append(&vec![1; length]), Err(LogError::Refused { .. })));
    }
    host.log_append(&[1; MAX_LOG_ENTRY]).unwrap();
    for (fault, written) in
        [(LogFault::Refused, 0), (LogFault::UndecidedLost, 0), (LogFault::UndecidedWritten, 1)]
    {
        let before = bench.log_entries().len();
        bench.fail_log(fault);
        let error = host.log_append(b"entry").unwrap_err();
        assert_eq!(matches!(error, LogError::Refused { .. }), fault == LogFault::Refused);
        assert_eq!(bench.log_entries().len() - before, written, "{fault:?}");
    }
}

#[test]
fn what_is_given_up_is_read_no_more_and_its_numbers_never_come_back() {
    let bench = TestHost::new();
    let host = bench.host();
    let seqs: Vec<u64> = (0..4_u8).map(|n| host.log_append(&[n]).unwrap()).collect();
    assert!(matches!(host.log_trim(seqs[3] + 1), Err(LogError::Refused { .. })));
    host.log_trim(seqs[3]).unwrap();
    assert!(bench.log_entries().is_empty());
    assert!(host.log_append(b"next").unwrap() > seqs[3]);
}
