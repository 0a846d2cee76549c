//! Answers of a parameter download: the first byte chooses which, then answers behind their lengths (two bytes).

#![cfg_attr(feature = "libfuzzer", no_main)]

use till_channel_bankcard::messages::Terminal;
use till_channel_bankcard::params::job::{Job, Kind, MOST_ENTRIES, Progress};
use till_channel_bankcard::params::{Content, Download, stored, tlv};
use till_plugin::Currency;

pub(crate) fn run(data: &[u8]) {
    let Some((which, mut rest)) = data.split_first() else { return };
    let _ = tlv::ber(rest);
    let _ = tlv::text(rest);
    let what = Download::ALL[usize::from(*which) % Download::ALL.len()];
    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
    let _ = stored::read(what, &terminal, "host:1", Currency::CNY, rest);
    let mut job = Job::new(what, Currency::CNY, which & 0x80 == 0, None);
    let mut lists = 0;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (answer, next) = after.split_at(length);
        rest = next;
        lists += usize::from(job.question().kind == Kind::List);
        assert!(lists <= MOST_ENTRIES, "the list does not end");
        match job.answered(Some(answer)) {
            Ok(Progress::More) => {}
            Ok(Progress::Whole(whole)) => {
                assert_eq!(Content::read(what, &whole.parts, Currency::CNY).as_ref(), Ok(&whole.content));
                let bytes = stored::write(what, 7, &terminal, "host:1", &whole.parts);
                let again = stored::read(what, &terminal, "host:1", Currency::CNY, &bytes);
                assert_eq!(again.map(|stored| stored.content), Ok(whole.content));
                return;
            }
            Ok(Progress::Nothing) | Err(_) => return,
        }
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
