//! Any text on any display: no control byte but the encoder's own reaches the wire, and every line has its width.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_display::layout;
use till_driver_display::profile::Profile;
use till_driver_display::settings::Words;
use till_driver_display::{encode, text};
use till_plugin::driver::ShowContent;

pub(crate) fn run(data: &[u8]) {
    let Some((&pick, rest)) = data.split_first() else { return };
    let names = Profile::names();
    let profile = Profile::built_in(names[usize::from(pick) % names.len()]).unwrap();
    let line = String::from_utf8_lossy(rest).into_owned();
    let content = ShowContent::Text(vec![line.clone(), line]);
    let frame = layout::lay(&profile, &Words::new(true, Vec::new()), &content).unwrap();
    for from in [0, usize::from(pick)] {
        let window = text::encode(
            profile.charset,
            &text::window(profile.charset, &frame.lines[0], from, profile.columns),
        );
        assert_eq!(window.len(), profile.columns);
        assert!(window.iter().all(|b| *b >= 0x20 && *b != 0x7F));
        assert!(encode::frame(&profile, &frame, [from, from]).len() < 600);
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
