//! The wall clock of a running till, for tests that step it.

use std::fs;
use std::os::unix::fs::FileExt;
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
}
