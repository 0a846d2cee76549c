//! Landlock: which files may be opened from now on, and whether TCP may be used.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use till_plugin::proto::Layer;

use super::layer;
use crate::options::Options;

/// The rights that this host knows of. A kernel that knows fewer gives a partial layer.
const RIGHTS: ABI = ABI::V6;

/// Harmless things that libraries open behind an author's back.
const COMMON: [&str; 4] =
    ["/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/proc/sys/vm/overcommit_memory"];

/// What name resolution and TLS roots need.
const NETWORK: [&str; 12] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/run/systemd/resolve",
    "/run/resolvconf",
];

/// Libraries that are loaded late (name service modules).
const LIBRARIES: [&str; 5] = ["/usr/lib", "/lib", "/lib64", "/usr/lib64", "/etc/ld.so.cache"];

/// Closes the file system but for what the policy lists.
pub(crate) fn files(options: &Options) -> Layer {
    match restrict(options) {
        Ok(RulesetStatus::FullyEnforced) => layer("landlock", "full"),
        Ok(RulesetStatus::PartiallyEnforced) => layer("landlock", "partial: this kernel knows fewer rights"),
        Ok(RulesetStatus::NotEnforced) => layer("landlock", "off: this kernel has no landlock"),
        Err(e) => layer("landlock", format!("off: {e}")),
    }
}

fn restrict(options: &Options) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut readable: Vec<PathBuf> = COMMON.iter().map(PathBuf::from).collect();
    readable.push(options.plugin.clone());
    readable.extend(options.read.iter().cloned());
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RIGHTS))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(RIGHTS))?;
    let mut libraries: &[&str] = &[];
    if options.network {
        readable.extend(NETWORK.iter().map(PathBuf::from));
        libraries = &LIBRARIES;
    } else {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let status = rules
        .create()?
        .add_rules(path_beneath_rules(&readable, read))?
        .add_rules(path_beneath_rules(libraries.iter().map(Path::new), read | AccessFs::Execute))?
        .add_rules(path_beneath_rules([Path::new("/dev/null")], AccessFs::ReadFile | AccessFs::WriteFile))?
        .restrict_self()?;
    Ok(status.ruleset)
}
