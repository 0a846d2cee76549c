//! WAV files that lie, and sentences of clips.

#![allow(clippy::unwrap_used)] // helpers of tests

use proptest::prelude::*;
use till_driver_voice::clips::{Clips, ClipsError};
use till_driver_voice::wav::{self, Clip, LONGEST, WavError};

fn file(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let mut out = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    out.extend(format.to_le_bytes());
    out.extend(channels.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend([0; 6]);
    out.extend(bits.to_le_bytes());
    out.extend(b"LIST\x03\0\0\0abc\0data");
    out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    out.extend(data);
    out
}

#[test]
fn a_good_file_is_read_whole_and_odd_chunks_are_stepped_over() {
    let clip = wav::read(&file(1, 1, 16_000, 16, &[1, 2, 3, 4])).unwrap();
    assert_eq!(clip, Clip { rate: 16_000, samples: vec![1, 2, 3, 4] });
    assert_eq!(wav::read(&file(1, 1, 16_000, 16, &[1, 2, 3])).unwrap().samples, [1, 2]);
}

#[test]
fn other_kinds_of_sound_are_refused_by_name() {
    assert_eq!(wav::read(b"OggS"), Err(WavError::NoWav));
    assert!(matches!(wav::read(&file(1, 2, 16_000, 16, &[0; 4])), Err(WavError::Kind { channels: 2, .. })));
    assert!(matches!(wav::read(&file(1, 1, 16_000, 8, &[0; 4])), Err(WavError::Kind { bits: 8, .. })));
    assert!(matches!(wav::read(&file(3, 1, 16_000, 16, &[0; 4])), Err(WavError::Kind { format: 3, .. })));
    assert_eq!(wav::read(&file(1, 1, 0, 16, &[0; 4])), Err(WavError::Rate(0)));
    assert_eq!(wav::read(&file(1, 1, 16_000, 16, &[])), Err(WavError::Empty));
    assert_eq!(wav::read(&file(1, 1, 16_000, 16, &vec![0; LONGEST + 2])), Err(WavError::Long(LONGEST + 2)));
}

#[test]
fn a_length_beyond_the_end_is_no_sound() {
    let mut bytes = file(1, 1, 16_000, 16, &[1, 2, 3, 4]);
    let at = bytes.len() - 8;
    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(wav::read(&bytes), Err(WavError::Short));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..60_usize, cut in 0..80_usize) {
        let _ = wav::read(&bytes);
        let mut good = file(1, 1, 16_000, 16, &[1; 20]);
        let at = at.min(good.len() - 1);
        good[at] = bytes.first().copied().unwrap_or(0xFF);
        good.truncate(good.len() - cut.min(good.len()));
        let _ = wav::read(&good);
    }
}

fn clips(names: &[&str]) -> Clips {
    let mut clips = Clips::default();
    for (n, name) in (1_u8..).zip(names) {
        clips.add((*name).into(), Clip { rate: 8_000, samples: vec![n; 4] }).unwrap();
    }
    clips
}

#[test]
fn a_sentence_is_its_words_in_order_by_the_longest_name() {
    let zh = clips(&["请支付", "一", "百", "二", "十", "八", "元", "五", "角", "一百"]);
    assert_eq!(
        zh.words("请支付一百二十八元五角").unwrap(),
        ["请支付", "一百", "二", "十", "八", "元", "五", "角"]
    );
    assert_eq!(zh.sound("一二").unwrap(), [2, 2, 2, 2, 4, 4, 4, 4]);
    let en = clips(&["six", "sixty", "yuan"]);
    assert_eq!(en.words("Sixty-six yuan").unwrap(), ["sixty", "six", "yuan"]);
}

#[test]
fn a_sentence_with_a_hole_is_not_said() {
    let zh = clips(&["一", "百", "元"]);
    assert!(matches!(zh.sound("一百零一元"), Err(ClipsError::Missing(word)) if word.starts_with('零')));
    let en = clips(&["six"]);
    assert!(en.sound("sixty").is_err(), "six is not the beginning of sixty");
}

#[test]
fn clips_of_two_rates_are_refused() {
    let mut zh = clips(&["一"]);
    assert_eq!(zh.add("二".into(), Clip { rate: 16_000, samples: vec![0; 2] }), Err(16_000));
}
