//! Files: configuration, folders, the disk, secrets. Of secrets only that they are there, never what is in them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use toml::Table;

use crate::doctor::facts::{ConfigFile, Disk, Folder, Secret};
use crate::doctor::wanted::{Wanted, merge, sources};

/// The files that are there, in order, and all of them together.
pub(crate) fn config(given: Option<&Path>) -> (Vec<ConfigFile>, PathBuf, Table) {
    let (mut paths, folder) = sources(given);
    let place = paths.last().cloned().unwrap_or_default();
    let mut more: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    more.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    more.sort();
    paths.append(&mut more);
    let (mut files, mut all) = (Vec::new(), Table::new());
    for path in paths {
        let Ok(meta) = fs::metadata(&path) else { continue };
        // A file that is no TOML is for `tilld --check-config` to name.
        if let Some(table) = fs::read_to_string(&path).ok().and_then(|t| t.parse::<Table>().ok()) {
            merge(&mut all, table);
        }
        files.push(ConfigFile {
            path,
            uid: meta.uid(),
            mode: meta.mode() & 0o7777,
            changed_ms: meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000),
        });
    }
    (files, place, all)
}

/// Folders of the till's own.
pub(super) fn folders(wanted: &Wanted) -> Vec<Folder> {
    let own = [
        ("the journal", wanted.journal.clone()),
        ("the till's keys", wanted.keys()),
        ("the plugins' state", wanted.state.clone()),
    ];
    let mut folders: Vec<Folder> =
        own.into_iter().map(|(what, path)| folder(what, path, false, true)).collect();
    folders.extend(wanted.plugins.iter().map(|p| folder("plugins", p.clone(), true, false)));
    folders.extend(wanted.secrets.iter().map(|p| folder("secrets", p.clone(), true, true)));
    folders
}

fn folder(what: &'static str, path: PathBuf, needed: bool, private: bool) -> Folder {
    let meta = fs::metadata(&path);
    let unseen = meta.as_ref().is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    // Closed by itself, or by any folder above it.
    let enters = |at: &Path, bits: u32| fs::metadata(at).is_ok_and(|m| m.mode() & bits == bits);
    let open = enters(&path, 0o005)
        && path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).all(|p| enters(p, 0o001));
    Folder { what, owner: meta.ok().map(|m| m.uid()), path, needed, open, private, unseen }
}

/// File systems that the journal refuses, by the kernel's magic numbers (statfs(2)).
const REFUSED: &[(u64, &str)] = &[
    (0x4d44, "vfat"),
    (0x2011_bab0, "exfat"),
    (0x794c_7630, "overlayfs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x9123_683e, "btrfs"),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];

/// The disk below the journal.
pub(super) fn disk(wanted: &Wanted) -> Option<Disk> {
    let path = wanted.journal.ancestors().find(|p| fs::metadata(p).is_ok())?;
    let (vfs, stat) = (statvfs(path).ok()?, statfs(path).ok()?);
    #[allow(clippy::useless_conversion)] // an i64 here, an i32 or u32 elsewhere
    let magic = u64::from_ne_bytes(i64::from(stat.f_type).to_ne_bytes()) & 0xffff_ffff;
    Some(Disk {
        path: path.to_owned(),
        free_mib: vfs.f_bavail.saturating_mul(vfs.f_frsize) >> 20,
        floor_mib: wanted.floor_mib,
        files: (vfs.f_files > 0).then_some(vfs.f_favail),
        read_only: vfs.f_flag.contains(StatVfsMountFlags::RDONLY),
        refused: REFUSED.iter().find(|(m, _)| *m == magic).map(|(_, name)| *name),
    })
}

/// Secrets that the configuration names.
pub(super) fn secrets(wanted: &Wanted) -> Vec<Secret> {
    let of = |(of, file): &(String, String)| {
        let path = wanted.secrets.as_ref().map(|dir| dir.join(file));
        let meta = path.as_ref().map(fs::metadata);
        Secret {
            of: of.clone(),
            file: file.clone(),
            unseen: matches!(&meta, Some(Err(e)) if e.kind() == ErrorKind::PermissionDenied),
            mode: meta.and_then(Result::ok).map(|m| m.mode() & 0o7777),
            path,
        }
    };
    wanted.files.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_closed_by_any_above_it() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        let mode = |p: &Path, m| fs::set_permissions(p, fs::Permissions::from_mode(m)).unwrap();
        mode(&inner, 0o755);
        mode(&top.path().join("a"), 0o755);
        mode(top.path(), 0o755);
        assert!(folder("x", inner.clone(), false, true).open);
        mode(top.path(), 0o700);
        assert!(!folder("x", inner.clone(), false, true).open);
        mode(top.path(), 0o755);
        mode(&inner, 0o700);
        assert!(!folder("x", inner, false, true).open);
        assert_eq!(folder("x", top.path().join("none"), true, true).owner, None);
    }

    #[test]
    fn secrets_are_looked_for_and_not_into() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("there"), "secret").unwrap();
        fs::set_permissions(dir.path().join("there"), fs::Permissions::from_mode(0o640)).unwrap();
        let wanted = Wanted {
            secrets: Some(dir.path().into()),
            files: vec![("x".into(), "there".into()), ("x".into(), "gone".into())],
            ..Wanted::default()
        };
        let modes: Vec<_> = secrets(&wanted).into_iter().map(|s| s.mode).collect();
        assert_eq!(modes, [Some(0o640), None]);
    }
}
