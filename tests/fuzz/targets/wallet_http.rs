//! Any bytes from a wallet's gateway: no growth beyond the cap, and where the stream is cut changes nothing. The first byte
//! says where, and whether every status is an answer.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_wallet::http::{Answer, BODY_CAP, HttpError};

fn read(bytes: &[u8], cut: usize, any_status: bool) -> Result<Option<Vec<u8>>, HttpError> {
    let mut answer = if any_status { Answer::of_any_status() } else { Answer::default() };
    let (a, b) = bytes.split_at(cut.min(bytes.len()));
    let body = match answer.feed(a) {
        // An empty piece is never read off a connection.
        Ok(None) if !b.is_empty() => answer.feed(b)?,
        done => done?,
    };
    if let Some(body) = &body {
        assert!(body.len() <= BODY_CAP);
        assert!(answer.reply(body.clone()).is_ok(), "a body without a head");
    } else if let Ok(body) = answer.end() {
        assert!(body.len() <= BODY_CAP);
    }
    Ok(body)
}

pub(crate) fn run(data: &[u8]) {
    let Some((&head, bytes)) = data.split_first() else { return };
    let any_status = head & 1 == 1;
    let whole = read(bytes, bytes.len(), any_status);
    // A body that is whole before the cut is returned without a look at what follows; anything else must agree.
    if let (Ok(None), other) | (other, Ok(None)) = (read(bytes, usize::from(head >> 1), any_status), whole) {
        assert!(!matches!(other, Ok(Some(_))));
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
