//! Loading: the plain C descriptor first, then `abi_stable`'s check of the root module.

#![allow(unsafe_code)] // dlopen, and reading the descriptor behind its symbol

use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use till_plugin_abi1::abi_stable::library::{LibHeader, lib_header_from_path};
use till_plugin_abi1::{DESCRIPTOR_SYMBOL, Descriptor, DescriptorError, PluginKind, RootV1_Ref};

use crate::elf::{self, ElfError};
use crate::options::Options;
use crate::verify::VerifyError;

/// A loaded plugin. It stays loaded for the life of the process.
pub(crate) struct Loaded {
    pub(crate) root: RootV1_Ref,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) sdk: String,
    pub(crate) rustc: String,
}

/// Why a plugin is refused; one line without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is not safe to load.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It is no library for this machine.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The dynamic linker refuses it.
    #[error("it cannot be loaded: {0}")]
    Link(String),
    /// It exports no descriptor.
    #[error("it exports no TILL_PLUGIN_DESCRIPTOR: it is not a tilld plugin")]
    NoDescriptor,
    /// Its descriptor does not fit.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// It is another plugin than its manifest says.
    #[error("it is the plugin {found:?}, its manifest says {expected:?}: correct the manifest or the file")]
    Id {
        /// Id in the descriptor.
        found: String,
        /// Id in the manifest.
        expected: String,
    },
    /// It is of another kind than its manifest says.
    #[error("it is a {found:?}, its manifest says {expected:?}: correct the manifest")]
    Kind {
        /// Kind in the descriptor.
        found: PluginKind,
        /// Kind in the manifest.
        expected: PluginKind,
    },
    /// Its root module has another layout.
    #[error("its root module does not fit generation 1 ({line}): rebuild it with the till-plugin crate")]
    Layout {
        /// The useful part of the report.
        line: String,
        /// The whole report.
        detail: String,
    },
}

impl LoadError {
    /// A long report, for debugging.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Layout { detail, .. } => Some(detail),
            _ => None,
        }
    }
}

/// Loads the plugin and checks that it is the one that was asked for.
pub(crate) fn load(options: &Options) -> Result<Loaded, LoadError> {
    let descriptor = read_descriptor(&options.plugin)?;
    let found = descriptor.check()?;
    let id = Descriptor::text(&descriptor.id);
    if id != options.id {
        return Err(LoadError::Id { found: id, expected: options.id.clone() });
    }
    if found != options.kind {
        return Err(LoadError::Kind { found, expected: options.kind });
    }
    // Not `load_from_file`: it keeps one module a type and would hand a second plugin the first one's.
    let root = lib_header_from_path(&options.plugin)
        .and_then(LibHeader::init_root_module::<RootV1_Ref>)
        .map_err(|e| {
            let detail = e.to_string();
            LoadError::Layout { line: useful_line(&detail), detail }
        })?;
    Ok(Loaded {
        root,
        id,
        version: Descriptor::text(&descriptor.version),
        sdk: Descriptor::text(&descriptor.sdk),
        rustc: Descriptor::text(&descriptor.rustc),
    })
}

fn read_descriptor(path: &Path) -> Result<Descriptor, LoadError> {
    elf::check(path)?;
    // SAFETY: loading runs the constructors of the file, which is why it was verified to be root's or our own.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|e| LoadError::Link(one_line(&root_cause(&e), 200)))?;
    // SAFETY: only the address is taken here.
    let symbol = unsafe { library.get::<*const Descriptor>(DESCRIPTOR_SYMBOL) };
    let address: *const Descriptor = match symbol {
        // The symbol is the struct itself, not a pointer to it.
        Ok(symbol) => symbol.into_raw().cast::<Descriptor>(),
        Err(_) => return Err(LoadError::NoDescriptor),
    };
    let mut descriptor = Descriptor::new(PluginKind::Driver, "", "", "", "", "");
    // SAFETY: a symbol of that name has at least the first fields of every generation (magic and size, 12 bytes); the
    // rest is read only when the plugin says that it is there. Unaligned, because the file is not trusted to align it.
    unsafe {
        descriptor.magic = address.cast::<[u8; 8]>().read_unaligned();
        descriptor.size = address.cast::<u8>().add(8).cast::<u32>().read_unaligned();
        if descriptor.magic == till_plugin_abi1::MAGIC {
            descriptor.generation = address.cast::<u8>().add(12).cast::<u32>().read_unaligned();
            if descriptor.generation == till_plugin_abi1::GENERATION
                && descriptor.size as usize >= size_of::<Descriptor>()
            {
                descriptor = address.read_unaligned();
            }
        }
    }
    // Loaded for good: unloading a Rust library is not supported.
    std::mem::forget(library);
    Ok(descriptor)
}

fn root_cause(e: &dyn std::error::Error) -> String {
    let mut cause = e;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// What helps of abi_stable's report, which has about a thousand lines: its last error with what was expected and found.
fn useful_line(report: &str) -> String {
    let lines: Vec<&str> = report.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let start = lines.iter().rposition(|l| l.starts_with("Error:")).unwrap_or(lines.len().saturating_sub(3));
    one_line(&lines[start..].join("; "), 300)
}

fn one_line(text: &str, max: usize) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    while out.len() > max {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_report_is_cut_to_its_last_error() {
        let report = format!(
            "{}Error:mismatched type\nExpected:\n  u64\nFound:\n  i64\n",
            "layout line\n".repeat(900)
        );
        assert_eq!(useful_line(&report), "Error:mismatched type; Expected:; u64; Found:; i64");
        assert_eq!(useful_line(""), "");
        assert!(useful_line(&"x".repeat(5000)).len() <= 300);
    }
}
