//! Reports and frames of readers: the first byte says which, the rest is what came. Never a panic, never more of an account
//! number shown than six and four digits.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_magstripe::card::Card;
use till_driver_magstripe::encrypted::{KsnGuard, Sealed};
use till_driver_magstripe::idtech::{self, Frame, Frames};
use till_driver_magstripe::magtek::{self, Report};
use till_driver_magstripe::msr::MsrLayout;
use till_hid::Descriptor;

const MSR: &[u8] = b"\x05\x8e\x09\x01\xa1\x01\x75\x08\x95\x01\x09\x11\x81\x02\x09\x12\x81\x02\x95\x50\x09\x21\x82\x02\x01\x95\x28\x09\x22\x82\x02\x01\xc0";

fn check(sealed: &Sealed<'_>) {
    if let Ok(swipe) = sealed.swipe(false) {
        assert!(swipe.masked.bytes().filter(u8::is_ascii_digit).count() <= 10);
        assert!(swipe.masked.bytes().all(|b| b.is_ascii_digit() || b == b'*'));
        let mut guard = KsnGuard::default();
        if guard.take(&swipe.ksn).is_ok() {
            assert!(guard.take(&swipe.ksn).is_err());
        }
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 3 {
        0 => {
            if let Ok(Report::Sealed(sealed)) = magtek::read(data, None) {
                check(&sealed);
            }
        }
        1 => {
            let mut frames = Frames::default();
            frames.push(data, |frame| {
                if let Ok(Frame::Sealed(sealed)) = frame.and_then(|counted| idtech::read(counted, None)) {
                    check(&sealed);
                }
            });
            if let Ok(Frame::Sealed(sealed)) = idtech::read(data, None) {
                check(&sealed);
            }
        }
        _ => {
            let layout = Descriptor::parse(MSR).ok().and_then(|descriptor| MsrLayout::new(&descriptor));
            if let Some(Ok(Some(tracks))) = layout.map(|layout| layout.read(data)) {
                let _ = Card::from_tracks(tracks, false);
            }
        }
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
