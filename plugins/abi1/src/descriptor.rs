//! The plain C descriptor that is read before any `abi_stable` call.

use std::fmt;

/// First eight bytes of every descriptor.
pub const MAGIC: [u8; 8] = *b"TILLPLUG";

/// The generation that this crate is.
pub const GENERATION: u32 = 1;

/// The exported symbol, with the terminating NUL that `dlsym` wants.
pub const DESCRIPTOR_SYMBOL: &[u8] = b"TILL_PLUGIN_DESCRIPTOR\0";

/// What a plugin is.
#[repr(u32)]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// Hardware.
    Driver = 1,
    /// A payment network.
    Channel = 2,
}

/// Who a plugin is and how it was built, in fixed-size text fields (UTF-8, NUL padded): no pointer in it, so that
/// reading it from an unknown file is safe.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// Size of this struct in bytes; a later generation may append.
    pub size: u32,
    /// [`GENERATION`] that the plugin was built for.
    pub generation: u32,
    /// A [`PluginKind`] as a number.
    pub kind: u32,
    /// 1 when panics unwind, 0 when they abort (then no panic barrier can work and the plugin is refused).
    pub panic_unwinds: u32,
    /// Plugin id, reverse domain, as in its manifest.
    pub id: [u8; 64],
    /// Plugin version.
    pub version: [u8; 32],
    /// Version of the `till-plugin` crate it was built with.
    pub sdk: [u8; 32],
    /// `rustc -V` of the build.
    pub rustc: [u8; 64],
    /// Target triple of the build.
    pub target: [u8; 64],
}

/// Why a descriptor is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptorError {
    /// The magic is not ours.
    NotAPlugin,
    /// Built for another generation of the contract.
    Generation {
        /// What the plugin says.
        found: u32,
    },
    /// Smaller than this generation's descriptor.
    Truncated {
        /// What the plugin says, in bytes.
        found: u32,
    },
    /// Built with `panic = "abort"`.
    PanicAborts,
    /// Kind is neither driver nor channel.
    Kind {
        /// What the plugin says.
        found: u32,
    },
}

impl fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPlugin => write!(f, "its descriptor does not begin with TILLPLUG: not a tilld plugin"),
            Self::Generation { found } => write!(
                f,
                "it is built for contract generation {found}, this host loads generation {GENERATION}: install a build of the \
                 plugin for this tilld, or a newer tilld"
            ),
            Self::Truncated { found } => {
                write!(
                    f,
                    "its descriptor is {found} bytes, generation {GENERATION} has {}: rebuild it",
                    size_of::<Descriptor>()
                )
            }
            Self::PanicAborts => {
                write!(
                    f,
                    "it is built with panic=abort, so a panic in it could not be contained: rebuild with panic=unwind"
                )
            }
            Self::Kind { found } => write!(f, "its kind is {found}, expected 1 (driver) or 2 (channel)"),
        }
    }
}

impl std::error::Error for DescriptorError {}

impl Descriptor {
    /// Fills a descriptor; texts longer than their field are cut. `const`, so that it can be a static.
    pub const fn new(
        kind: PluginKind,
        id: &str,
        version: &str,
        sdk: &str,
        rustc: &str,
        target: &str,
    ) -> Self {
        Self {
            magic: MAGIC,
            size: size_of::<Self>() as u32,
            generation: GENERATION,
            kind: kind as u32,
            panic_unwinds: cfg!(panic = "unwind") as u32,
            id: padded(id),
            version: padded(version),
            sdk: padded(sdk),
            rustc: padded(rustc),
            target: padded(target),
        }
    }

    /// Checks everything that can be checked before `abi_stable` looks.
    pub fn check(&self) -> Result<PluginKind, DescriptorError> {
        if self.magic != MAGIC {
            return Err(DescriptorError::NotAPlugin);
        }
        if self.generation != GENERATION {
            return Err(DescriptorError::Generation { found: self.generation });
        }
        if (self.size as usize) < size_of::<Self>() {
            return Err(DescriptorError::Truncated { found: self.size });
        }
        if self.panic_unwinds == 0 {
            return Err(DescriptorError::PanicAborts);
        }
        match self.kind {
            1 => Ok(PluginKind::Driver),
            2 => Ok(PluginKind::Channel),
            found => Err(DescriptorError::Kind { found }),
        }
    }

    /// The text of a field: up to its first NUL, invalid UTF-8 replaced.
    pub fn text(field: &[u8]) -> String {
        let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    }
}

const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    let mut i = 0;
    // The last byte stays NUL so that a C reader may treat the field as a string.
    while i < bytes.len() && i + 1 < N {
        out[i] = bytes[i];
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Descriptor {
        Descriptor::new(
            PluginKind::Driver,
            "org.example.reader",
            "1.2.3",
            "0.1.0",
            "rustc 1.95.0",
            "aarch64-unknown-linux-gnu",
        )
    }

    #[test]
    fn a_good_descriptor_passes_and_reads_back() {
        let d = good();
        assert_eq!(d.check(), Ok(PluginKind::Driver));
        assert_eq!(Descriptor::text(&d.id), "org.example.reader");
        assert_eq!(Descriptor::text(&d.target), "aarch64-unknown-linux-gnu");
    }

    #[test]
    fn each_defect_has_its_own_reason() {
        let mut d = good();
        d.magic[0] = 0;
        assert_eq!(d.check(), Err(DescriptorError::NotAPlugin));
        let mut d = good();
        d.generation = 9;
        assert_eq!(d.check(), Err(DescriptorError::Generation { found: 9 }));
        let mut d = good();
        d.size = 8;
        assert_eq!(d.check(), Err(DescriptorError::Truncated { found: 8 }));
        let mut d = good();
        d.panic_unwinds = 0;
        assert_eq!(d.check(), Err(DescriptorError::PanicAborts));
        let mut d = good();
        d.kind = 3;
        assert_eq!(d.check(), Err(DescriptorError::Kind { found: 3 }));
    }

    #[test]
    fn the_layout_is_frozen() {
        assert_eq!(size_of::<Descriptor>(), 8 + 4 * 4 + 64 + 32 + 32 + 64 + 64);
        assert_eq!(std::mem::offset_of!(Descriptor, id), 24);
        assert_eq!(std::mem::offset_of!(Descriptor, target), 216);
    }

    #[test]
    fn over_long_text_is_cut_and_keeps_its_nul() {
        let d = Descriptor::new(PluginKind::Channel, &"x".repeat(100), "", "", "", "");
        assert_eq!(Descriptor::text(&d.id).len(), 63);
    }
}
