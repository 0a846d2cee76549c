//! Confinement, in layers. Each says what it achieved; only the parent-death signal and the limits are required, because
//! kernels of small machines lack some of the rest.

mod calls;
mod files;
mod process;

use till_plugin::proto::Layer;

pub(crate) use calls::calls;
pub(crate) use files::files;
pub(crate) use process::process;

pub(crate) fn layer(name: &str, level: impl Into<String>) -> Layer {
    Layer { name: name.into(), level: level.into() }
}
