//! What tilld's configuration asks of the machine. Read loosely: whether the configuration is right is for
//! `tilld --check-config` to say (docs/integrators.md has the keys and what holds without them).

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `bus.address`.
    pub bus: String,
    /// `journal.dir`.
    pub journal: PathBuf,
    /// `journal.force-filesystem`.
    pub forced: bool,
    /// `journal.free-floor-mib`.
    pub floor_mib: u64,
    /// `plugins.dirs`.
    pub plugins: Vec<PathBuf>,
    /// `plugins.host`, when it is configured.
    pub host: Option<PathBuf>,
    /// `plugins.state-dir`.
    pub state: PathBuf,
    /// `secrets.dir`.
    pub secrets: Option<PathBuf>,
    /// `clock.trust`.
    pub trust: String,
    /// Users of `access.operators` and `access.supervisors`, and of `access.viewers`.
    pub sellers: Vec<u32>,
    /// Users of `access.viewers`.
    pub viewers: Vec<u32>,
    /// Enabled devices: id, kind of transport, path.
    pub devices: Vec<(String, String, Option<PathBuf>)>,
    /// Files of secrets: device or channel, file.
    pub files: Vec<(String, String)>,
    /// Enabled channels.
    pub channels: Vec<String>,
}

/// Files in which a configuration stands: the first ones, and folders of further ones.
pub fn sources(config: Option<&Path>) -> (Vec<PathBuf>, PathBuf) {
    match config {
        None => (
            vec!["/usr/lib/tilld/tilld.toml".into(), "/etc/tilld/tilld.toml".into()],
            "/etc/tilld/tilld.toml.d".into(),
        ),
        Some(file) => {
            let mut folder = file.as_os_str().to_owned();
            folder.push(".d");
            (vec![file.into()], folder.into())
        }
    }
}

/// Later wins key by key; a device or channel is replaced as a whole.
pub fn merge(to: &mut Table, from: Table) {
    for (key, value) in from {
        match (to.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
            (_, value) => {
                to.insert(key, value);
            }
        }
    }
}

impl Wanted {
    /// Of the merged tables.
    pub fn read(table: &Table) -> Self {
        let at = |a: &str, b: &str| table.get(a)?.as_table()?.get(b);
        let text = |a, b| at(a, b).and_then(Value::as_str).map(str::to_owned);
        let path = |a, b| text(a, b).map(PathBuf::from);
        let users = |b| -> Vec<u32> {
            let list = at("access", b).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(|v| v.as_integer()?.try_into().ok()).collect()
        };
        let dirs = at("plugins", "dirs").and_then(Value::as_array).map_or_else(
            || vec!["/usr/lib/tilld/plugins".into()],
            |dirs| dirs.iter().filter_map(|d| d.as_str().map(PathBuf::from)).collect(),
        );
        let mut wanted = Self {
            bus: text("bus", "address").unwrap_or_else(|| "system".into()),
            journal: path("journal", "dir").unwrap_or_else(|| "/var/lib/tilld/journal".into()),
            forced: at("journal", "force-filesystem").and_then(Value::as_bool).unwrap_or(false),
            floor_mib: at("journal", "free-floor-mib")
                .and_then(Value::as_integer)
                .and_then(|n| n.try_into().ok())
                .unwrap_or(64),
            plugins: dirs,
            host: path("plugins", "host"),
            state: path("plugins", "state-dir").unwrap_or_else(|| "/var/lib/tilld/plugins".into()),
            secrets: path("secrets", "dir"),
            trust: text("clock", "trust").unwrap_or_else(|| "kernel".into()),
            sellers: [users("operators"), users("supervisors")].concat(),
            viewers: users("viewers"),
            ..Self::default()
        };
        for kind in ["channel", "device"] {
            let all = table.get(kind).and_then(Value::as_table);
            for (id, one) in all.into_iter().flatten() {
                let Some(one) = one.as_table() else { continue };
                if one.get("enabled").and_then(Value::as_bool) == Some(false) {
                    continue;
                }
                if kind == "device" {
                    let transport = one.get("transport").and_then(Value::as_table);
                    let said = |key: &str| transport?.get(key)?.as_str().map(str::to_owned);
                    wanted.devices.push((
                        id.clone(),
                        said("kind").unwrap_or_default(),
                        said("path").map(PathBuf::from),
                    ));
                } else {
                    wanted.channels.push(id.clone());
                }
                let named = one.get("secrets").and_then(Value::as_table);
                let files = named.into_iter().flat_map(|t| t.values()).filter_map(Value::as_str);
                let merchant = one.get("merchant-auth").and_then(Value::as_table);
                let hash = merchant.and_then(|m| m.get("password-hash")?.as_str());
                wanted.files.extend(files.chain(hash).map(|f| (id.clone(), f.to_owned())));
            }
        }
        wanted
    }

    /// Folder of the till's own keys.
    pub fn keys(&self) -> PathBuf {
        self.state.parent().unwrap_or(Path::new("/var/lib/tilld")).join("keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_win_as_in_tilld() {
        let mut all: Table = "[journal]\ndir = \"/a\"\nfree-floor-mib = 7\n\
            [channel.x]\nplugin = \"p\"\nenabled = false\n[access]\noperators = [5]\n"
            .parse()
            .unwrap();
        let later: Table = "[journal]\ndir = \"/b\"\n[channel.x]\nplugin = \"p\"\n\
            secrets = { key = \"key-file\" }\nmerchant-auth = { number = \"1\", password-hash = \"hash-file\" }\n\
            [device.s]\nplugin = \"q\"\ntransport = { kind = \"serial\", path = \"/dev/x\" }\n"
            .parse()
            .unwrap();
        merge(&mut all, later);
        let wanted = Wanted::read(&all);
        assert_eq!((wanted.journal.to_str(), wanted.floor_mib), (Some("/b"), 7));
        assert_eq!(wanted.channels, ["x"], "the table that switched it off is replaced as a whole");
        assert_eq!(wanted.files, [("x".into(), "key-file".into()), ("x".into(), "hash-file".into())]);
        assert_eq!(wanted.devices, [("s".into(), "serial".into(), Some("/dev/x".into()))]);
        assert_eq!((wanted.sellers, wanted.bus.as_str()), (vec![5], "system"));
    }

    #[test]
    fn without_a_configuration_it_is_what_the_package_has() {
        let wanted = Wanted::read(&Table::new());
        assert_eq!(wanted.keys(), Path::new("/var/lib/tilld/keys"));
        assert_eq!(wanted.plugins, [Path::new("/usr/lib/tilld/plugins")]);
    }
}
