//! What every test sets up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use till_fixture_kit as kit;
use till_hosts::{
    Catalog, ClockTrust, Events, Failure, FailureKind, Instance, InstanceEvent, InstanceSpec, InstanceState,
    Supervisor, SupervisorConfig, Timing,
};

/// Longest that any test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Timeout of a call that must be answered.
pub(crate) const CALL: Duration = Duration::from_secs(10);

pub(crate) const GOOD: &str = "org.tilld.fixture.good";
pub(crate) const GOOD_CHANNEL: &str = "org.tilld.fixture.goodchannel";
pub(crate) const BAD: &str = "org.tilld.fixture.bad";

/// A folder with plugins and state, and a supervisor.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) supervisor: Supervisor,
}

/// Short patience, so that tests of long waits are short.
pub(crate) fn timing() -> Timing {
    Timing {
        grace: Duration::from_millis(100),
        ping: Duration::from_millis(100),
        poll: Duration::from_millis(1500),
        backoff_first: Duration::from_millis(10),
        backoff_max: Duration::from_millis(200),
        reopen_max: Duration::from_millis(50),
        stop: Duration::from_millis(700),
        create: Duration::from_millis(1500),
        unread_patience: Duration::from_millis(300),
        ..Timing::default()
    }
}

impl Bench {
    pub(crate) fn new(fixtures: &[&str]) -> Self {
        Self::with(fixtures, |_| ())
    }

    pub(crate) fn with(fixtures: &[&str], change: impl FnOnce(&mut SupervisorConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in fixtures {
            kit::install_fixture(&dir.path().join("plugins"), name);
        }
        let mut config = config(dir.path());
        change(&mut config);
        let supervisor = Supervisor::new(config).unwrap();
        Self { dir, supervisor }
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    pub(crate) fn spec(&self, id: &str, plugin: &str, settings: &str) -> InstanceSpec {
        let catalog = Catalog::scan(&[self.plugins()]);
        assert_eq!(catalog.errors(), []);
        let mut spec = InstanceSpec::new(id, catalog.get(plugin).unwrap().clone());
        spec.settings = toml::from_str(settings).unwrap();
        spec
    }

    /// Starts an instance and waits until it takes calls.
    pub(crate) async fn ready(&self, spec: InstanceSpec) -> (Instance, Events) {
        let (instance, events) = self.supervisor.start(spec).unwrap();
        within(instance.ready()).await.unwrap();
        (instance, events)
    }

    pub(crate) async fn good(&self) -> (Instance, Events) {
        self.ready(self.spec("good", GOOD, "text = 'I am good'")).await
    }
}

pub(crate) fn config(dir: &Path) -> SupervisorConfig {
    SupervisorConfig {
        timing: timing(),
        clock: ClockTrust::Always,
        ..SupervisorConfig::new(kit::host(), dir.join("state"))
    }
}

/// Fails the test instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not happen in time")
}

/// Reads events until one fits.
pub(crate) async fn until<T>(events: &mut Events, mut fits: impl FnMut(&InstanceEvent) -> Option<T>) -> T {
    within(async {
        loop {
            let event = events.next().await.expect("the instance has stopped");
            if let Some(found) = fits(&event) {
                return found;
            }
        }
    })
    .await
}

/// Reads events until a state of this name; gives it.
pub(crate) async fn state(events: &mut Events, name: &str) -> InstanceState {
    until(events, |e| match e {
        InstanceEvent::State(state) if state.as_str() == name => Some(state.clone()),
        _ => None,
    })
    .await
}

/// Reads events until the instance has failed; gives the failure.
pub(crate) async fn failure(events: &mut Events) -> Failure {
    until(events, |e| match e {
        InstanceEvent::State(
            InstanceState::Backoff { failure, .. }
            | InstanceState::Failed { failure }
            | InstanceState::Offline { failure, .. },
        ) => Some(failure.clone()),
        _ => None,
    })
    .await
}

/// One line, typed, without card data.
pub(crate) fn assert_presentable(failure: &Failure, kind: FailureKind) {
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert!(!failure.reason.is_empty() && !failure.reason.contains('\n'), "{failure:?}");
    assert!(failure.reason.len() < 700, "{failure:?}");
    let all = format!("{failure:?}");
    assert!(!all.contains("6200000000000005") && !all.contains("4111111111111111"), "{all}");
}
