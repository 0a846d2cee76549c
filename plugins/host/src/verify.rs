//! Checks of the plugin file before anything of it is run: constructors of a `.so` run as soon as it is loaded.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a plugin file is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Cannot be looked at.
    #[error("{path} cannot be read: {detail}")]
    Io {
        /// What.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Not a plain file or folder.
    #[error("{path} is not a plain {expected}")]
    NotPlain {
        /// What.
        path: PathBuf,
        /// `file` or `folder`.
        expected: &'static str,
    },
    /// Belongs to somebody else.
    #[error(
        "{path} belongs to user {owner}; it must belong to root or to the user tilld runs as: `chown root {path}`"
    )]
    Owner {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may change it.
    #[error("{path} may be written by its group or by everybody (mode {mode:04o}): `chmod go-w {path}`")]
    Writable {
        /// What.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
}

/// Checks the file and its folder: plain, of root or this user, not writable by group or others.
pub fn verify(plugin: &Path) -> Result<(), VerifyError> {
    let folder = plugin.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check(folder, "folder", Metadata::is_dir)?;
    check(plugin, "file", Metadata::is_file)
}

fn check(path: &Path, expected: &'static str, plain: fn(&Metadata) -> bool) -> Result<(), VerifyError> {
    let io = |e: io::Error| VerifyError::Io { path: path.into(), detail: e.to_string() };
    // Without following a link: what is checked is what is loaded.
    let meta = fs::symlink_metadata(path).map_err(io)?;
    if !plain(&meta) {
        return Err(VerifyError::NotPlain { path: path.into(), expected });
    }
    if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(VerifyError::Owner { path: path.into(), owner: meta.uid() });
    }
    if meta.mode() & 0o022 != 0 {
        return Err(VerifyError::Writable { path: path.into(), mode: meta.mode() & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_a_plain_file_that_nobody_else_may_write_passes() {
        let dir = tempfile::tempdir().unwrap();
        let so = dir.path().join("p.so");
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&so, b"x").unwrap();
        mode(&so, 0o644);
        assert_eq!(verify(&so), Ok(()));
        for bad in [0o664, 0o646, 0o666] {
            mode(&so, bad);
            assert_eq!(verify(&so), Err(VerifyError::Writable { path: so.clone(), mode: bad }));
        }
        mode(&so, 0o644);
        mode(dir.path(), 0o777);
        assert!(matches!(verify(&so), Err(VerifyError::Writable { .. })));
        mode(dir.path(), 0o755);
        let link = dir.path().join("link.so");
        symlink(&so, &link).unwrap();
        assert!(matches!(verify(&link), Err(VerifyError::NotPlain { .. })));
        assert!(matches!(verify(&dir.path().join("none.so")), Err(VerifyError::Io { .. })));
    }
}
