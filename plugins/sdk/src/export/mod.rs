//! What the export macros expand to: the four frozen functions around an author's type, each behind a panic barrier.
//!
//! The barrier must be on the plugin's side: every `.so` carries its own standard library, so a host can never catch
//! a plugin's panic (measured; journal_and_abi.md B1). The panic's text is dropped, because it may quote data; its
//! place in the source is logged.

#![allow(unsafe_code)] // raw instance pointers across the frozen boundary

mod remote;
mod serve;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{RNone, ROption, RResult, RSlice, RSome, RVec};
use till_plugin_abi1::{HostV1, Instance, RootV1, RootV1_Ref, abi_stable};

pub use serve::{ServeChannel, ServeDriver, Served};

use crate::error::{ErrorCode, PluginError};
use crate::host::{Host, Settings};
use crate::proto::{self, Create};

/// The root module around a served type.
pub fn root<S: Served>() -> RootV1_Ref {
    RootV1 { create: create::<S>, call: call::<S>, next_event: next_event::<S>, drop: drop_instance::<S> }
        .leak_into_prefix()
}

/// An instance behind its pointer. `None` once it panicked: nothing of it is used again.
type Slot<S> = Mutex<Option<S>>;

extern "C" fn create<S: Served>(host: HostV1, request: RSlice<'_, u8>) -> RResult<Instance, RVec<u8>> {
    quiet_panics(host);
    let made = barrier(|| {
        let create: Create = proto::decode(request.as_slice())?;
        let services = Arc::new(remote::Remote::new(host));
        let settings = Settings::from_json(create.settings.clone());
        S::open(Host::new(services, create.transport.clone()), settings)
    });
    match made {
        Ok(served) => {
            let slot: Box<Slot<S>> = Box::new(Mutex::new(Some(served)));
            RResult::ROk(Instance(Box::into_raw(slot) as usize))
        }
        Err(e) => RResult::RErr(error_bytes(&e)),
    }
}

extern "C" fn call<S: Served>(
    instance: Instance,
    method: u32,
    request: RSlice<'_, u8>,
) -> RResult<RVec<u8>, RVec<u8>> {
    match with::<S, _>(instance, |served| served.call(method, request.as_slice())) {
        Ok(reply) => RResult::ROk(reply.into()),
        Err(e) => RResult::RErr(error_bytes(&e)),
    }
}

extern "C" fn next_event<S: Served>(
    instance: Instance,
    budget_ms: u32,
) -> RResult<ROption<RVec<u8>>, RVec<u8>> {
    match with::<S, _>(instance, |served| served.next_event(Duration::from_millis(budget_ms.into()))) {
        Ok(Some(event)) => RResult::ROk(RSome(event.into())),
        Ok(None) => RResult::ROk(RNone),
        Err(e) => RResult::RErr(error_bytes(&e)),
    }
}

extern "C" fn drop_instance<S: Served>(instance: Instance) {
    // SAFETY: the host drops an instance that `create` made, once, and does not use it afterwards (contract of RootV1).
    let slot = unsafe { Box::from_raw(instance.0 as *mut Slot<S>) };
    let _ = barrier(|| {
        drop(slot);
        Ok(())
    });
}

/// Runs `f` on the instance behind the barrier; after a panic the instance is never entered again.
fn with<S: Served, T>(
    instance: Instance,
    f: impl FnOnce(&mut S) -> Result<T, PluginError>,
) -> Result<T, PluginError> {
    // SAFETY: the pointer comes from `create` and is valid until `drop` (contract of RootV1).
    let slot = unsafe { &*(instance.0 as *const Slot<S>) };
    let mut guard = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(served) = guard.as_mut() else { return Err(panicked()) };
    let result = barrier(|| f(served));
    if matches!(&result, Err(e) if e.code == ErrorCode::Panicked) {
        // Not dropped either: its drop may panic again. The process ends soon.
        std::mem::forget(guard.take());
    }
    result
}

fn barrier<T>(f: impl FnOnce() -> Result<T, PluginError>) -> Result<T, PluginError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        // Dropping a payload can panic as well.
        std::mem::forget(payload);
        Err(panicked())
    })
}

fn panicked() -> PluginError {
    PluginError::new(
        ErrorCode::Panicked,
        "the plugin panicked; its log line says where; report it to the plugin's author",
    )
}

fn error_bytes(e: &PluginError) -> RVec<u8> {
    proto::encode(e).unwrap_or_default().into()
}

/// Replaces the panic printer of this `.so`: place only, no text.
fn quiet_panics(host: HostV1) {
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let services = remote::Remote::new(host);
        crate::host::Services::log(&services, crate::host::Level::Error, &format!("panic at {place}"));
    }));
}

/// Exports a [`crate::Driver`] from this crate: `export_driver!(MyDriver, id = "org.example.reader");`
#[macro_export]
macro_rules! export_driver {
    ($driver:ty, id = $id:literal) => {
        $crate::__export!($crate::export::ServeDriver<$driver>, $crate::abi::PluginKind::Driver, $id);
    };
}

/// Exports a [`crate::Channel`] from this crate: `export_channel!(MyChannel, id = "org.example.pay");`
#[macro_export]
macro_rules! export_channel {
    ($channel:ty, id = $id:literal) => {
        $crate::__export!($crate::export::ServeChannel<$channel>, $crate::abi::PluginKind::Channel, $id);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($served:ty, $kind:expr, $id:literal) => {
        #[cfg(panic = "abort")]
        compile_error!("a tilld plugin must be built with panic = \"unwind\": its panic barrier needs it");

        #[allow(unsafe_code, missing_docs, unreachable_pub)]
        mod till_plugin_export {
            #[allow(unused_imports)]
            use super::*;

            #[unsafe(no_mangle)]
            pub static TILL_PLUGIN_DESCRIPTOR: $crate::abi::Descriptor = $crate::abi::Descriptor::new(
                $kind,
                $id,
                env!("CARGO_PKG_VERSION"),
                $crate::VERSION,
                $crate::RUSTC,
                $crate::TARGET,
            );

            extern "C" fn erased() -> $crate::abi::abi_stable::library::RootModuleResult {
                $crate::abi::abi_stable::library::__call_root_module_loader($crate::export::root::<$served>)
            }

            // The name is abi_stable's; till-plugin-abi1 has a test that it still is.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static TILL_PLUGIN_ROOT: $crate::abi::abi_stable::library::LibHeader = unsafe {
                // SAFETY: `erased` returns the prefix of exactly this module type.
                $crate::abi::abi_stable::library::LibHeader::from_constructor::<$crate::abi::RootV1_Ref>(
                    erased,
                    $crate::abi::abi_stable::library::CheckTypeLayout::Yes,
                )
            };
        }
    };
}
