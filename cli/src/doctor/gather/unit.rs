//! What systemd says of the unit.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::run::run;
use crate::doctor::facts::Unit;

const LONGEST: Duration = Duration::from_secs(10);

/// The unit, its user and the groups that it adds.
pub(super) async fn read() -> Option<(Unit, String, Vec<String>)> {
    let ask = |arguments: &'static [&'static str]| async move {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        run(Path::new("systemctl"), &arguments, &[], LONGEST).await.ok().filter(|s| s.code == Some(0))
    };
    let show = ask(&[
        "show",
        "tilld.service",
        "--property=LoadState,ActiveState,Result,ExecMainStatus,UnitFileState,NeedDaemonReload,NRestarts,User",
    ])
    .await?;
    let files = ask(&["cat", "--no-pager", "tilld.service"]).await;
    Some(parse(&show.out, &files.map(|f| f.out).unwrap_or_default()))
}

/// `show`: states; `files`: the unit with its drop-ins, in the order in which they apply.
fn parse(show: &str, files: &str) -> (Unit, String, Vec<String>) {
    let value = |name: &str| {
        let line = show.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    // Lists grow by each line, and an empty one begins them anew (systemd.syntax).
    let list = |names: &[&str]| {
        let mut list: Vec<String> = Vec::new();
        for line in files.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';'])) {
            let Some((name, value)) = line.split_once('=') else { continue };
            if names.contains(&name.trim()) {
                match value.trim() {
                    "" => list.clear(),
                    value => list.push(value.to_owned()),
                }
            }
        }
        list
    };
    let first = |list: Vec<String>, end: &[char]| -> Vec<String> {
        list.iter().map(|v| v.split(end).next().unwrap_or_default().to_owned()).collect()
    };
    let credentials = list(&[
        "LoadCredential",
        "LoadCredentialEncrypted",
        "SetCredential",
        "SetCredentialEncrypted",
        "ImportCredential",
    ]);
    let closed = list(&["DevicePolicy"]).last().is_some_and(|p| p == "closed" || p == "strict");
    let allowed = list(&["DeviceAllow"]);
    let unit = Unit {
        load: value("LoadState"),
        active: value("ActiveState"),
        result: value("Result"),
        status: value("ExecMainStatus").parse().unwrap_or_default(),
        enabled: value("UnitFileState"),
        reload: value("NeedDaemonReload") == "yes",
        restarts: value("NRestarts").parse().unwrap_or_default(),
        credentials: first(credentials, &[':']),
        devices: (closed || !allowed.is_empty()).then(|| first(allowed, &[' '])),
    };
    let groups =
        list(&["SupplementaryGroups"]).iter().flat_map(|l| l.split_whitespace()).map(str::to_owned).collect();
    let user = match value("User").as_str() {
        "" => "tilld".to_owned(),
        user => user.to_owned(),
    };
    (unit, user, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_unit_with_a_drop_in_is_read() {
        let files = format!(
            "{}\n# /etc/systemd/system/tilld.service.d/site.conf\n[Service]\nLoadCredential=tmk:/etc/tilld/secrets/tmk\n\
             SetCredentialEncrypted=pin:blob\nDeviceAllow=char-mine rw\nSupplementaryGroups=\nSupplementaryGroups=video\n",
            include_str!("../../../../systemd/tilld.service")
        );
        let show = "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=78\nUnitFileState=enabled\n\
                    NeedDaemonReload=yes\nNRestarts=3\nUser=tilld\n";
        let (unit, user, groups) = parse(show, &files);
        assert_eq!((unit.active.as_str(), unit.status, unit.restarts, unit.reload), ("failed", 78, 3, true));
        assert_eq!(unit.credentials, ["tmk", "pin"]);
        let devices = unit.devices.unwrap();
        assert!(devices.iter().any(|d| d == "char-hidraw") && devices.iter().any(|d| d == "char-mine"));
        assert_eq!(
            (user.as_str(), groups),
            ("tilld", vec!["video".to_owned()]),
            "an empty line begins the list anew"
        );
    }
}
