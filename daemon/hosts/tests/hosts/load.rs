//! Files that are no plugin for this till are refused in one line, and stay refused until somebody acts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use till_fixture_kit as kit;
use till_hosts::{
    Catalog, CatalogError, FailureKind, InstanceSpec, InstanceState, Rule, Trust, TrustError, Trusted,
};

use crate::bench::{Bench, assert_presentable, state};

/// Starts the installed plugin and gives the reason why it is refused.
async fn refusal(bench: &Bench, id: &str) -> String {
    let (_instance, mut events) = bench.supervisor.start(bench.spec("x", id, "")).unwrap();
    let InstanceState::Failed { failure } = state(&mut events, "failed").await else { unreachable!() };
    assert_presentable(&failure, FailureKind::Refused);
    failure.reason
}

async fn refused_fixture(name: &str) -> String {
    let bench = Bench::new(&[name]);
    refusal(&bench, &format!("org.tilld.fixture.{name}")).await
}

/// The good plugin with one file changed.
async fn refused_change(change: impl FnOnce(&std::path::Path)) -> String {
    let bench = Bench::new(&["good"]);
    let spec = bench.spec("x", crate::bench::GOOD, "");
    change(&spec.plugin.folder);
    let (_instance, mut events) = bench.supervisor.start(spec).unwrap();
    let InstanceState::Failed { failure } = state(&mut events, "failed").await else { unreachable!() };
    assert_presentable(&failure, FailureKind::Refused);
    failure.reason
}

#[tokio::test]
async fn a_library_without_a_descriptor() {
    let reason = refused_fixture("nodescriptor").await;
    assert!(reason.contains("exports no TILL_PLUGIN_DESCRIPTOR"), "{reason}");
}

#[tokio::test]
async fn a_later_generation_names_both_and_the_remedy() {
    let reason = refused_fixture("wronggeneration").await;
    assert!(
        reason.contains("generation 99") && reason.contains("generation 1") && reason.contains("install"),
        "{reason}"
    );
}

#[tokio::test]
async fn another_layout_is_one_line_out_of_the_thousand() {
    let reason = refused_fixture("wronglayout").await;
    assert!(reason.contains("root module does not fit"), "{reason}");
}

#[tokio::test]
async fn not_an_elf_file() {
    let reason =
        refused_change(|f| kit::put(&f.join("libtill_fixture_good.so"), b"#!/bin/sh\necho hello\n")).await;
    assert!(
        reason.contains("not a shared library") && reason.contains("libtill_fixture_good.so"),
        "{reason}"
    );
}

#[tokio::test]
async fn half_a_library() {
    let reason = refused_change(|f| {
        let whole = fs::read(f.join("libtill_fixture_good.so")).unwrap();
        kit::put(&f.join("libtill_fixture_good.so"), &whole[..50_000]);
    })
    .await;
    assert!(reason.contains("cut short"), "{reason}");
}

#[tokio::test]
async fn a_file_that_others_may_write_is_refused_by_the_host_itself() {
    // The daemon's own scan is another lock; here the file changes after it.
    let reason = refused_change(|f| {
        let so = f.join("libtill_fixture_good.so");
        fs::set_permissions(so, fs::Permissions::from_mode(0o666)).unwrap();
    })
    .await;
    assert!(reason.contains("0666") && reason.contains("chmod go-w"), "{reason}");
}

#[tokio::test]
async fn a_file_that_is_another_plugin_than_its_manifest_says() {
    let reason = refused_change(|f| {
        let other = kit::library("till-fixture-bad");
        kit::put(&f.join("libtill_fixture_good.so"), &fs::read(other).unwrap());
    })
    .await;
    assert!(
        reason.contains("org.tilld.fixture.bad") && reason.contains("org.tilld.fixture.good"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_repaired_file_is_taken_after_a_restart() {
    let bench = Bench::new(&["good"]);
    let spec = bench.spec("x", crate::bench::GOOD, "");
    let so = spec.plugin.library.clone();
    fs::set_permissions(&so, fs::Permissions::from_mode(0o666)).unwrap();
    let (instance, mut events) = bench.supervisor.start(spec).unwrap();
    state(&mut events, "failed").await;
    fs::set_permissions(&so, fs::Permissions::from_mode(0o644)).unwrap();
    instance.restart();
    state(&mut events, "ready").await;
}

#[test]
fn the_catalogue_refuses_one_and_keeps_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let plugins = dir.path().join("plugins");
    let good = kit::install_fixture(&plugins, "good");
    let bad = kit::install_fixture(&plugins, "bad");
    let mode =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let scan = || Catalog::scan(&[&plugins, &dir.path().join("none")]);
    assert_eq!(scan().plugins().count(), 2);

    mode(&bad.join("libtill_fixture_bad.so"), 0o646);
    let catalog = scan();
    assert!(
        matches!(catalog.errors(), [CatalogError::Writable { mode: 0o646, .. }]),
        "{:?}",
        catalog.errors()
    );
    assert!(catalog.get("org.tilld.fixture.good").is_some());
    mode(&bad.join("libtill_fixture_bad.so"), 0o644);

    mode(&bad, 0o775);
    assert!(matches!(scan().errors(), [CatalogError::Writable { .. }]));
    mode(&bad, 0o755);

    fs::remove_file(bad.join("libtill_fixture_bad.so")).unwrap();
    assert!(
        matches!(scan().errors(), [CatalogError::Io { path, .. }] if path.ends_with("libtill_fixture_bad.so"))
    );

    kit::put(&bad.join("manifest.toml"), b"[plugin]\nidd = 'x'\n");
    assert!(scan().errors()[0].to_string().contains("idd"));
    fs::remove_dir_all(&bad).unwrap();

    fs::rename(&good, plugins.join("renamed")).unwrap();
    assert!(matches!(scan().errors(), [CatalogError::Folder { .. }]));
}

#[test]
fn an_id_that_is_installed_twice_is_used_in_neither_place() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    kit::install_fixture(&one, "good");
    kit::install_fixture(&two, "good");
    kit::install_fixture(&two, "bad");
    let catalog = Catalog::scan(&[&one, &two]);
    assert!(matches!(catalog.errors(), [CatalogError::Duplicate { .. }]));
    assert_eq!(catalog.plugins().map(|p| p.id().to_owned()).collect::<Vec<_>>(), ["org.tilld.fixture.bad"]);
}

/// Constructors of a library run as it is loaded, so the rule is asked at each start: a file that was put in place of a
/// good one while the till runs is not loaded at the next restart of its host.
#[tokio::test]
async fn a_library_that_was_replaced_since_is_not_loaded_under_a_rule() {
    let bench = Bench::new(&["good"]);
    let digest = |path: &std::path::Path| {
        hex::encode(ring::digest::digest(&ring::digest::SHA256, &fs::read(path).unwrap()))
    };
    let folder = bench.plugins().join(crate::bench::GOOD);
    let library = folder.join("libtill_fixture_good.so");
    let listed = [digest(&library), digest(&folder.join("manifest.toml"))];
    let trust = Arc::new(Trust::new(Rule::Listed, BTreeMap::new(), &listed).unwrap());
    let catalog = Catalog::trusted(&[bench.plugins()], &trust);
    assert_eq!(catalog.errors(), []);
    let plugin = catalog.get(crate::bench::GOOD).unwrap().clone();
    assert_eq!(plugin.trusted, Trusted::Listed);
    let (instance, mut events) = bench.ready(InstanceSpec::new("good", plugin)).await;

    let mut bytes = fs::read(&library).unwrap();
    bytes.extend_from_slice(b"something more");
    kit::put(&library, &bytes);
    instance.restart();
    let InstanceState::Failed { failure } = state(&mut events, "failed").await else { unreachable!() };
    assert_presentable(&failure, FailureKind::Refused);
    assert!(failure.reason.contains("is not in plugins.allow"), "{}", failure.reason);
    let again = Catalog::trusted(&[bench.plugins()], &trust);
    assert!(matches!(again.errors(), [CatalogError::Trust(TrustError::NotListed { .. })]));
}
