//! The plugins that are installed: `<dir>/<id>/manifest.toml` with its `.so` beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use till_plugin::manifest::{Manifest, ManifestError};

use crate::trust::{Trust, TrustError, Trusted};

/// Name of a manifest.
const MANIFEST: &str = "manifest.toml";

/// Largest manifest that is read, bytes.
const MAX_MANIFEST: u64 = 256 * 1024;

/// An installed plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its folder.
    pub folder: PathBuf,
    /// Its `.so`.
    pub library: PathBuf,
    /// Why it is taken.
    pub trusted: Trusted,
    /// The site's rule.
    trust: Arc<Trust>,
}

impl Plugin {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.manifest.plugin.id
    }

    /// Looks again whether the site's rule takes it, with the files as they are now: they may have been replaced since
    /// tilld started. Reads the whole library where the rule looks at it.
    pub fn check(&self) -> Result<(), TrustError> {
        if self.trust.asks() {
            self.trust.judge(&self.folder.join(MANIFEST), &self.library)?;
        }
        Ok(())
    }

    /// Reads one plugin folder.
    pub fn read(folder: &Path, trust: &Arc<Trust>) -> Result<Self, CatalogError> {
        let owner = rustix::process::geteuid().as_raw();
        check(folder, What::Folder, owner)?;
        let path = folder.join(MANIFEST);
        let length = check(&path, What::File, owner)?;
        if length > MAX_MANIFEST {
            return Err(CatalogError::TooBig { path, length });
        }
        let text = fs::read_to_string(&path).map_err(|e| CatalogError::io(&path, &e))?;
        let manifest =
            Manifest::parse(&text).map_err(|error| CatalogError::Manifest { path: path.clone(), error })?;
        let id = &manifest.plugin.id;
        if folder.file_name().and_then(|n| n.to_str()) != Some(id.as_str()) {
            return Err(CatalogError::Folder { path: folder.into(), id: id.clone() });
        }
        let library = folder.join(&manifest.plugin.library);
        check(&library, What::File, owner)?;
        let trusted = trust.judge(&path, &library)?;
        Ok(Self { folder: folder.into(), library, manifest, trusted, trust: trust.clone() })
    }
}

/// The installed plugins, and what was refused. One bad plugin never hides another.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    plugins: BTreeMap<String, Arc<Plugin>>,
    errors: Vec<CatalogError>,
}

impl Catalog {
    /// Reads plugin directories. A directory that does not exist has no plugins.
    ///
    /// An id that is there twice is refused in both places: which code handles money is never a matter of search order.
    pub fn scan<P: AsRef<Path>>(directories: &[P]) -> Self {
        Self::trusted(directories, &Arc::default())
    }

    /// As [`Self::scan`], by the site's rule.
    pub fn trusted<P: AsRef<Path>>(directories: &[P], trust: &Arc<Trust>) -> Self {
        let mut catalog = Self::default();
        let mut found: BTreeMap<String, Vec<Plugin>> = BTreeMap::new();
        for directory in directories {
            match folders(directory.as_ref()) {
                Ok(folders) => {
                    for folder in folders {
                        match Plugin::read(&folder, trust) {
                            Ok(plugin) => found.entry(plugin.id().to_owned()).or_default().push(plugin),
                            Err(e) => catalog.errors.push(e),
                        }
                    }
                }
                Err(e) => catalog.errors.push(CatalogError::io(directory.as_ref(), &e)),
            }
        }
        for (id, mut plugins) in found {
            match (plugins.pop(), plugins.pop()) {
                (Some(second), Some(first)) => {
                    catalog.errors.push(CatalogError::Duplicate {
                        id,
                        first: first.folder,
                        second: second.folder,
                    });
                }
                (Some(plugin), None) => {
                    catalog.plugins.insert(id, Arc::new(plugin));
                }
                (None, _) => {}
            }
        }
        catalog
    }

    /// A plugin by id.
    pub fn get(&self, id: &str) -> Option<&Arc<Plugin>> {
        self.plugins.get(id)
    }

    /// All plugins, by id.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }

    /// What was refused, and why.
    pub fn errors(&self) -> &[CatalogError] {
        &self.errors
    }
}

/// Why a plugin folder is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Cannot be read, or is not there.
    #[error("{path}: {detail}")]
    Io {
        /// What.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Not a regular file or folder.
    #[error("{path} is not a {expected}: plugins are plain files in a plain folder")]
    NotPlain {
        /// What.
        path: PathBuf,
        /// `folder` or `file`.
        expected: &'static str,
    },
    /// Owned by somebody who could change it under us.
    #[error(
        "{path} belongs to user {owner}: it must belong to root or to the user tilld runs as; `chown root {path}`"
    )]
    Owner {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may write it.
    #[error("{path} may be written by its group or by everybody (mode {mode:04o}): `chmod go-w {path}`")]
    Writable {
        /// What.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// An absurdly big manifest.
    #[error("{path} has {length} bytes; a manifest has at most {MAX_MANIFEST}")]
    TooBig {
        /// What.
        path: PathBuf,
        /// Bytes.
        length: u64,
    },
    /// The manifest is wrong.
    #[error("{path}: {error}")]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        error: ManifestError,
    },
    /// The site's rule does not take it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The folder's name is not the id.
    #[error("{path} holds the plugin {id:?}: rename the folder to {id}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The id in its manifest.
        id: String,
    },
    /// The same id twice.
    #[error("the plugin {id} is installed twice, in {first} and in {second}; neither is used: remove one")]
    Duplicate {
        /// The id.
        id: String,
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl CatalogError {
    fn io(path: &Path, e: &io::Error) -> Self {
        Self::Io { path: path.into(), detail: e.to_string() }
    }
}

fn folders(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Hidden names are what package managers and editors leave behind.
        if !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum What {
    Folder,
    File,
}

/// Checks type, owner and mode without following a link; returns the length.
fn check(path: &Path, what: What, user: u32) -> Result<u64, CatalogError> {
    let meta = fs::symlink_metadata(path).map_err(|e| CatalogError::io(path, &e))?;
    let (plain, expected) = match what {
        What::Folder => (meta.is_dir(), "folder"),
        What::File => (meta.is_file(), "file"),
    };
    if !plain {
        return Err(CatalogError::NotPlain { path: path.into(), expected });
    }
    if meta.uid() != 0 && meta.uid() != user {
        return Err(CatalogError::Owner { path: path.into(), owner: meta.uid() });
    }
    if meta.mode() & 0o022 != 0 {
        return Err(CatalogError::Writable { path: path.into(), mode: meta.mode() & 0o7777 });
    }
    Ok(meta.len())
}
