//! The wall clock of a running till, for tests that step it.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::staging;

/// A clock that [`Wall::env`] puts into a till: the machine's, and so far ahead as is said last.
pub struct Wall(fs::File, PathBuf);

impl Wall {
    /// As the machine's; `dir`: where its file may be.
    ///
    /// # Panics
    /// Where the file cannot be made.
    #[allow(clippy::unwrap_used)] // what fails here fails the test
    pub fn new(dir: &Path) -> Self {
        let path = dir.join("clock");
        let file = fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all_at(&[0; 24], 0).unwrap();
        Self(file, path)
    }

    /// It is so many seconds ahead from now on.
    ///
    /// # Panics
    /// Where the file cannot be written.
    #[allow(clippy::unwrap_used)] // as above
    pub fn ahead(&self, seconds: i64) {
        self.0.write_all_at(&seconds.to_le_bytes(), 0).unwrap();
    }

    /// What a till is started with to have it.
    ///
    /// # Panics
    /// Where the workspace is not built.
    #[allow(clippy::unwrap_used)] // as above
    pub fn env(&self) -> Vec<(String, String)> {
        let library = staging::built().unwrap().join("libtill_lab_clock.so");
        assert!(library.is_file(), "build the workspace first: {}", library.display());
        let of = |name: &str, path: PathBuf| (name.to_owned(), path.display().to_string());
        vec![of("LD_PRELOAD", library), of("TILL_LAB_CLOCK_FILE", self.1.clone())]
    }
    /// What plugins' processes are to be started by ([`crate::RigOptions::plugin_host`]), for those to have it too: they get no
    /// environment from their till.
    ///
    /// # Panics
    /// Where the workspace is not built, or the file cannot be written.
    #[allow(clippy::unwrap_used)] // as above
    pub fn host(&self) -> PathBuf {
        let path = self.1.with_file_name("till-plugin-host");
        let host = staging::built().unwrap().join("till-plugin-host");
        let env = self.env();
        let set: Vec<String> =
            env.iter().map(|(name, value)| format!("{name}={value}\nexport {name}\n")).collect();
        fs::write(&path, format!("#!/bin/sh\n{}exec {} \"$@\"\n", set.concat(), host.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}
