//! Any text as a plugin's manifest: never a library with a path, and what is read is written and read the same.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_plugin::manifest::{Kind, Manifest};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(error) => return assert!(error.to_string().starts_with("manifest"), "{error}"),
    };
    let plugin = &manifest.plugin;
    assert!(!plugin.library.contains(['/', '\0']) && !plugin.library.starts_with('.'), "{plugin:?}");
    assert!((2..=63).contains(&plugin.id.len()) && !plugin.id.contains('/'), "{plugin:?}");
    assert!(match plugin.kind {
        Kind::Driver => manifest.driver.is_some(),
        Kind::Channel => manifest.channel.is_some(),
    });
    let written = toml::to_string(&manifest).expect("a manifest is TOML");
    let again = Manifest::parse(&written).expect("what was written is read");
    // As text: a default of nan is not equal to itself.
    assert_eq!(toml::to_string(&again).expect("a manifest is TOML"), written);
    let defaults = manifest.settings.iter().filter_map(|(name, s)| Some((name.clone(), s.default.clone()?)));
    let _ = manifest.check_settings(&defaults.collect());
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
