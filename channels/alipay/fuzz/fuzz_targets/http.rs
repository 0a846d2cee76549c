//! Any bytes from the other end, cut anywhere: no panic, no growth beyond the cap, and the cut changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use till_channel_alipay::http::{Answer, BODY_CAP};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let run = |cut: usize| {
        let mut answer = Answer::default();
        let (a, b) = bytes.split_at(cut.min(bytes.len()));
        match answer.feed(a) {
            Ok(None) => answer.feed(b),
            done => done,
        }
    };
    let whole = run(bytes.len());
    if let Ok(Some(body)) = &whole {
        assert!(body.len() <= BODY_CAP);
    }
    // A body that is whole before the cut is returned without a look at what follows; anything else must agree.
    if let (Ok(None), other) | (other, Ok(None)) = (run(cut.into()), whole) {
        assert!(!matches!(other, Ok(Some(_))));
    }
});
