//! WeChat Pay and UnionPay QR beside the rig's own wallet: their platforms in this process, their channels in `tilld`'s
//! configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use till_simulators::{unionpay, wechatpay};

use crate::rig::{Rig, RigError};
use crate::staging;

/// Both platforms.
pub struct Wallets {
    /// WeChat Pay.
    pub wechat: wechatpay::Platform,
    /// UnionPay's QR gateway.
    pub unionpay: unionpay::Platform,
}

impl Wallets {
    /// Starts them.
    pub fn start() -> Result<Self, RigError> {
        let sim = |e: &dyn std::fmt::Display| RigError::Simulator(e.to_string());
        let mut settings = wechatpay::Settings::default();
        settings.https = None;
        let wechat = wechatpay::Platform::start(settings).map_err(|e| sim(&e))?;
        let mut settings = unionpay::Settings::default();
        settings.https = None;
        let unionpay = unionpay::Platform::start(settings).map_err(|e| sim(&e))?;
        Ok(Self { wechat, unionpay })
    }

    /// Their channels, `wechat` and `unionpay`, for the end of `tilld.toml`.
    pub fn config(&self) -> String {
        wechat_config(&self.wechat) + &unionpay_config(&self.unionpay)
    }

    /// Puts their plugins and keys where a rig's `tilld` looks for them.
    pub fn put(&self, rig: &Rig) -> Result<(), RigError> {
        put(rig, "wechatpay", "wechat-key", self.wechat.merchant_private_pem())?;
        put(rig, "unionpayqr", "unionpay-key", self.unionpay.merchant_private_pem())
    }
}

fn put(rig: &Rig, channel: &str, secret: &str, key: &str) -> Result<(), RigError> {
    let io = |e: std::io::Error| RigError::System(e.to_string());
    let manifest = staging::workspace().join("channels").join(channel).join("manifest.toml");
    let library = staging::built()?.join(format!("libtill_channel_{channel}.so"));
    staging::plugin(&rig.dir.join("plugins"), &format!("org.tilld.{channel}"), &manifest, &library)?;
    let file = rig.dir.join("secrets").join(secret);
    fs::write(&file, key).map_err(io)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(io)
}

/// The pauses are a tenth of the real ones; only with a simulator may a reverse come sooner than after 15 s.
fn wechat_config(platform: &wechatpay::Platform) -> String {
    format!(
        r#"
[channel.wechat]
plugin = "org.tilld.wechatpay"
name = "微信支付"
priority = 15
secrets = {{ merchant_private_key = "wechat-key" }}
[channel.wechat.settings]
appid = "{appid}"
mchid = "{mchid}"
merchant_serial = "{serial}"
platform_public_key = """{public}"""
platform_public_key_id = "{id}"
gateway = "{gateway}"
insecure_http_for_tests = true
exchange_timeout_ms = 1500
query_first_ms = 150
query_every_ms = 200
query_until_ms = 3000
refund_until_ms = 5000
reverse_not_before_ms = 1500
reverse_pause_ms = 300
reverse_pause_max_ms = 1000
"#,
        appid = platform.appid(),
        mchid = platform.mchid(),
        serial = platform.merchant_serial(),
        public = platform.public_pem(),
        id = platform.key_id(),
        gateway = platform.url(),
    )
}

fn unionpay_config(platform: &unionpay::Platform) -> String {
    format!(
        r#"
[channel.unionpay]
plugin = "org.tilld.unionpayqr"
name = "银联二维码"
priority = 16
secrets = {{ merchant_private_key = "unionpay-key" }}
[channel.unionpay.settings]
mer_id = "{merchant}"
term_id = "T1234567"
environment = "test"
merchant_certificate_pem = """{certificate}"""
root_pem = """{root}"""
middle_pem = """{middle}"""
gateway = "{gateway}"
insecure_http_for_tests = true
exchange_timeout_ms = 1500
query_first_ms = 150
query_every_ms = 200
query_until_ms = 3000
follow_until_ms = 5000
reverse_pause_ms = 300
reverse_pause_max_ms = 1000
"#,
        merchant = platform.mer_id(),
        certificate = platform.merchant_certificate_pem(),
        root = platform.root_pem(),
        middle = platform.middle_pem(),
        gateway = platform.url(),
    )
}
