//! What to do about a blocker.

use till_dbus::types::Blocker;

use crate::look::Look;

/// The remedy, one line.
pub fn fix(look: &Look, blocker: &Blocker) -> String {
    let id = &blocker.subject;
    let (en, zh) = match blocker.code.as_str() {
        "journal" => (
            "free space on the journal's disk and make it writable, then `systemctl restart tilld`".into(),
            "清理流水日志所在磁盘并确认可写，然后执行 `systemctl restart tilld`".into(),
        ),
        "channel-signed-off" => {
            (format!("sign in: `tillctl sign-in {id}`"), format!("签到：`tillctl sign-in {id}`"))
        }
        "channel-starting" | "device-starting" => {
            ("wait a moment; `tillctl monitor` shows it come".into(), "请稍候".into())
        }
        "channel-failed" => (
            format!("mend what the reason says; `tillctl probe {id}` tries it again"),
            format!("按原因处理后用 `tillctl probe {id}` 重试"),
        ),
        "channel-power" => (
            "mend the power supply; cash is taken, and it comes back by itself".into(),
            "请检查电源；期间可收现金，恢复后自动启用".into(),
        ),
        "channel-suspended" => (
            format!(
                "a supervisor looks into it, then `tillctl channel resume {id}`; other ways to pay are taken"
            ),
            format!("由主管核实后执行 `tillctl channel resume {id}`；期间请使用其他支付方式"),
        ),
        "channel-closed" | "channel-draining" => (
            "other ways to pay are taken meanwhile: `tillctl what-if AMOUNT FAMILY`".into(),
            "期间请使用其他支付方式：`tillctl what-if 金额 方式`".into(),
        ),
        "merchant-required" => (
            format!("`tillctl merchant sign-in {id} NUMBER`, with the --operator who sells"),
            format!("验证商户：`tillctl merchant sign-in {id} 商户号`，并以 --operator 指明收银员"),
        ),
        "merchant-locked" => (
            format!("a supervisor unlocks it: `tillctl merchant unlock {id} --operator NAME`"),
            format!("由主管解锁：`tillctl merchant unlock {id} --operator 姓名`"),
        ),
        "breaker-open" => (
            format!("it comes back by itself once it answers; `tillctl probe {id}` asks now"),
            format!("恢复应答后自动启用；可用 `tillctl probe {id}` 立即探测"),
        ),
        "device-offline" => (
            "switch it on and plug its cable in; it comes back by itself".into(),
            "请接通电源并插好连接线，设备会自动恢复".into(),
        ),
        "device-blocked" => (
            "put paper in, close the cover, or clear the jam; the job goes on by itself".into(),
            "请装纸、合盖或排除卡纸，任务会自动继续".into(),
        ),
        "device-quarantined" => (
            format!("it failed too often: mend it, then `tillctl device restart {id}`"),
            format!("多次故障已隔离：处理后执行 `tillctl device restart {id}`"),
        ),
        "device-failed" | "device-unknown" => (
            format!("mend what the reason says, then `tillctl device restart {id}`"),
            format!("按原因处理后执行 `tillctl device restart {id}`"),
        ),
        "receipt-template" => (
            "mend the template (`tillctl receipt check FILE`), then `systemctl restart tilld`".into(),
            "修正模板（`tillctl receipt check FILE`），然后执行 `systemctl restart tilld`".into(),
        ),
        _ => ("`journalctl -u tilld` tells the story".into(), "详见 `journalctl -u tilld`".into()),
    };
    look.say(&en, &zh).to_owned()
}
