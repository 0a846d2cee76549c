//! Any document of interface v2: no panic, bounded, written and read the same; and none without the key is an answer.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_channel_wechatpay::codes::Operation;
use till_channel_wechatpay::v2::read::read;
use till_channel_wechatpay::v2::sign::Method;
use till_channel_wechatpay::v2::xml;

pub(crate) fn run(body: &[u8]) {
    if let Ok(fields) = xml::read(body) {
        assert!(fields.values().map(String::len).sum::<usize>() <= xml::LONGEST);
        let again = xml::write(fields.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        if again.len() <= xml::LONGEST {
            assert_eq!(xml::read(&again), Ok(fields));
        }
    }
    for method in [Method::Md5, Method::HmacSha256] {
        let key = "a key that is in no document of it";
        assert!(read(Operation::Pay, 200, body, method, key, None).is_err(), "a seal was forged");
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
