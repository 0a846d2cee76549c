//! Generation 1 of the binary contract between `till-plugin-host` and a plugin `.so`. **Frozen.**
//!
//! What crosses the boundary is two things and will not grow:
//!
//! 1. [`Descriptor`]: a plain C struct behind the symbol [`DESCRIPTOR_SYMBOL`], read before anything else, so that a
//!    file that is not for us is refused in one line;
//! 2. [`RootV1`]: four functions over bytes. What evolves is the bytes (the messages of the `till-plugin` crate).
//!
//! Why frozen: `abi_stable`'s load check only works one way. A host whose root module has one field more than a
//! plugin's refuses that plugin, so every appended function would switch off every plugin installed in the field. For
//! the same reason this crate's major version must stay 1; a second generation is a second crate.
//!
//! Plugin authors do not use this crate: the `till-plugin` export macros write it for them.

// abi_stable's derive macros expand to these; nothing here is hand-written unsafe.
#![allow(unsafe_code, non_local_definitions, non_camel_case_types, missing_docs, unused_qualifications)]
#![allow(clippy::pedantic, clippy::expect_used, clippy::unwrap_used)]

mod descriptor;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROption, RResult, RSlice, RVec};

pub use descriptor::{DESCRIPTOR_SYMBOL, Descriptor, DescriptorError, GENERATION, MAGIC, PluginKind};

/// The library this generation's contract is checked with.
pub use abi_stable;

/// Name under which `abi_stable` looks for the root module; spelled out because the export macro needs a literal.
pub const ROOT_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// An opaque plugin instance: whatever `create` returned, handed back to the other functions.
#[repr(transparent)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, StableAbi)]
pub struct Instance(pub usize);

/// What the host offers to the plugin: one function over bytes, with the host's own context value.
#[repr(C)]
#[derive(Copy, Clone, StableAbi)]
pub struct HostV1 {
    /// Passed back as the first argument of [`HostV1::service`].
    pub context: usize,
    /// A host service: `(context, service number, request bytes) -> reply bytes | error bytes`. May be called from any
    /// thread of the plugin, until `drop` has returned.
    pub service: extern "C" fn(usize, u32, RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>,
}

/// The root module of generation 1.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootV1_Ref, prefix_fields = RootV1_Prefix)))]
#[sabi(missing_field(panic))]
pub struct RootV1 {
    /// Makes an instance from the host's services and an encoded create message.
    pub create: extern "C" fn(HostV1, RSlice<'_, u8>) -> RResult<Instance, RVec<u8>>,
    /// One call: `(instance, method number, request bytes) -> reply bytes | error bytes`.
    pub call: extern "C" fn(Instance, u32, RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>,
    /// The next event, waiting at most this many milliseconds for one; `RErr` ends the instance.
    pub next_event: extern "C" fn(Instance, u32) -> RResult<ROption<RVec<u8>>, RVec<u8>>,
    /// Ends an instance. No function is called with it afterwards.
    #[sabi(last_prefix_field)]
    pub drop: extern "C" fn(Instance),
}

impl RootModule for RootV1_Ref {
    abi_stable::declare_root_module_statics! {RootV1_Ref}
    const BASE_NAME: &'static str = "till_plugin";
    const NAME: &'static str = "till_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_symbol_is_the_one_abi_stable_looks_for() {
        assert_eq!(ROOT_SYMBOL, abi_stable::library::ROOT_MODULE_LOADER_NAME);
    }

    #[test]
    fn the_frozen_root_module_has_four_functions_and_major_version_one() {
        assert_eq!(size_of::<RootV1>(), 4 * size_of::<usize>());
        assert_eq!(RootV1_Ref::VERSION_STRINGS.version.as_str().split('.').next(), Some("1"));
        assert_eq!(size_of::<HostV1>(), 2 * size_of::<usize>());
    }
}
