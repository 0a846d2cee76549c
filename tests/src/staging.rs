//! Finds the built programs and puts the plugins where `tilld` looks for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::rig::RigError;

/// Plugins: folder in the source tree, plugin id, library.
pub const PLUGINS: &[(&str, &str, &str)] = &[
    ("drivers/scanner", "org.tilld.scanner", "libtill_driver_scanner.so"),
    ("drivers/magstripe", "org.tilld.magstripe", "libtill_driver_magstripe.so"),
    ("drivers/printer", "org.tilld.printer", "libtill_driver_printer.so"),
    ("channels/cash", "org.tilld.cash", "libtill_channel_cash.so"),
    ("channels/alipay", "org.tilld.alipay", "libtill_channel_alipay.so"),
    ("channels/bankcard", "org.tilld.bankcard", "libtill_channel_bankcard.so"),
    ("channels/prepaid", "org.tilld.prepaid", "libtill_channel_prepaid.so"),
];

/// Plugins of the counter, put there by the tests that need them ([`counter`]).
pub const COUNTER: &[(&str, &str, &str)] = &[
    ("drivers/display", "org.tilld.display", "libtill_driver_display.so"),
    ("drivers/voice", "org.tilld.voice", "libtill_driver_voice.so"),
    ("drivers/drawer", "org.tilld.drawer", "libtill_driver_drawer.so"),
    ("drivers/pinpad", "org.tilld.pinpad", "libtill_driver_pinpad.so"),
    ("drivers/signal", "org.tilld.signal", "libtill_driver_signal.so"),
];

/// The workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

/// The folder with the built programs: where this one was built.
pub fn built() -> Result<PathBuf, RigError> {
    let exe = std::env::current_exe().map_err(|e| RigError::System(e.to_string()))?;
    let folder = exe.ancestors().skip(1).find(|dir| dir.join("tilld").is_file());
    folder.map(Path::to_path_buf).ok_or(RigError::NotBuilt { what: "tilld".into() })
}

/// Puts every plugin into `<dir>/<id>/` with its manifest, as the package does.
pub fn plugins(dir: &Path) -> Result<(), RigError> {
    put(dir, PLUGINS)
}

/// Puts the counter's plugins beside them.
pub fn counter(dir: &Path) -> Result<(), RigError> {
    put(dir, COUNTER)
}

fn put(dir: &Path, plugins: &[(&str, &str, &str)]) -> Result<(), RigError> {
    let built = built()?;
    for (source, id, library) in plugins {
        let manifest = workspace().join(source).join("manifest.toml");
        plugin(dir, id, &manifest, &built.join(library))?;
    }
    Ok(())
}

/// Puts one plugin into `<dir>/<id>/`.
pub fn plugin(dir: &Path, id: &str, manifest: &Path, library: &Path) -> Result<(), RigError> {
    if !library.is_file() {
        return Err(RigError::NotBuilt { what: library.display().to_string() });
    }
    let io = |e: std::io::Error| RigError::System(format!("{}: {e}", library.display()));
    let folder = dir.join(id);
    fs::create_dir_all(&folder).map_err(io)?;
    let name = library.file_name().unwrap_or_default();
    fs::copy(manifest, folder.join("manifest.toml")).map_err(io)?;
    fs::copy(library, folder.join(name)).map_err(io)?;
    for file in [folder.join("manifest.toml"), folder.join(name)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).map_err(io)?;
    }
    for made in [dir, &folder] {
        fs::set_permissions(made, fs::Permissions::from_mode(0o755)).map_err(io)?;
    }
    Ok(())
}
