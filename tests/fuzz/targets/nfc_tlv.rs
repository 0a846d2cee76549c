//! TLV, lists and locators: no panic, and what is well-formed is written back as it is where its lengths were minimal.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_nfc::emv::{aid, dol, options, store, tlv};

pub(crate) fn run(data: &[u8]) {
    let sound = tlv::check(data).is_ok();
    let mut count = 0;
    for object in tlv::objects(data) {
        match object {
            Ok(object) => assert!(object.whole.ends_with(object.value)),
            Err(_) => assert!(!sound),
        }
        count += 1;
    }
    assert!(count <= data.len());
    let _ = dol::build(data, |_| Some(&[1, 2, 3]));
    let _ = options::locator(data);
    let _ = options::options(data, &mut store::Store::default());
    let _ = options::cryptogram(data, &mut store::Store::default());
    let _ = options::record(1, data, &mut store::Store::default());
    let _ = aid::candidates(data, &[vec![0xA0, 0, 0, 3, 0x33]]);
    let _ = aid::application(data, &[0xA0, 0, 0, 3, 0x33], b"");
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
