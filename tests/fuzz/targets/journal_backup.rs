//! Any file as a backup to restore: the archive, the segments' headers, the manifest. Without the key that made it none is put
//! back, and nothing of it stays on the disk.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::Arc;

use till_journal::{DeviceKey, Options, SystemClock, restore};

pub(crate) fn run(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = Options::new(folder.path().join("journal"));
    // The seeds are made with another.
    let key = DeviceKey::new(&std::hint::black_box([1; 32]));
    let restored = restore(&mut &*data, &options, key, Arc::new(SystemClock::default()), &mut |_, _, _| ());
    assert!(restored.is_err(), "a backup was forged");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "something was left");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
