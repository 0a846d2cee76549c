//! The private bus, used the way the till and its front-ends use one: by zbus clients on tokio.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests
#![allow(missing_docs)] // the proxy that the interface macro makes
#![allow(clippy::unused_self)] // D-Bus methods take self

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use till_simulators::bus::{BusError, BusHandle, start_at, start_bus};
use zbus::{
    Connection, OwnedObjectPath, connection, fdo, names::WellKnownName, object_server::SignalEmitter,
};

const NAME: &str = "org.example.Served1";
const PATH: &str = "/org/example/Served1";

struct Served {
    level: u32,
}

#[zbus::interface(name = "org.example.Served1", proxy(default_path = "/org/example/Served1"))]
impl Served {
    fn echo(&self, text: String) -> String {
        text
    }

    /// Whether the method runs on a tokio runtime: what zbus' `tokio` feature promises its users.
    fn on_tokio(&self) -> bool {
        tokio::runtime::Handle::try_current().is_ok()
    }

    async fn announce(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        text: &str,
    ) -> fdo::Result<()> {
        Self::announced(&emitter, text).await?;
        Ok(())
    }

    async fn hang(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> fdo::Result<()> {
        Self::announced(&emitter, "hanging").await?;
        std::future::pending().await
    }

    async fn add_object(
        &self,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        name: &str,
    ) -> fdo::Result<OwnedObjectPath> {
        let path = OwnedObjectPath::try_from(format!("{PATH}/{name}"))?;
        server.at(path.clone(), Served { level: 7 }).await?;
        Ok(path)
    }

    async fn remove_object(
        &self,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        name: &str,
    ) -> fdo::Result<bool> {
        Ok(server.remove::<Served, _>(format!("{PATH}/{name}")).await?)
    }

    #[zbus(property)]
    fn level(&self) -> u32 {
        self.level
    }

    #[zbus(property)]
    fn set_level(&mut self, level: u32) {
        self.level = level;
    }

    #[zbus(signal)]
    async fn announced(emitter: &SignalEmitter<'_>, text: &str) -> zbus::Result<()>;
}

async fn client(bus: &BusHandle) -> Connection {
    connection::Builder::address(bus.address()).build().await.unwrap()
}

async fn server(address: &str) -> Connection {
    connection::Builder::address(address)
        .serve_at(PATH, fdo::ObjectManager)
        .serve_at(PATH, Served { level: 1 })
        .name(NAME)
        .build()
        .await
        .unwrap()
}

async fn served(connection: &Connection) -> ServedProxy<'_> {
    ServedProxy::builder(connection).destination(NAME).build().await.unwrap()
}

/// Nothing here may hang a build: every wait has this limit, far above what the bus needs.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("the bus answers within 20 s")
}

#[tokio::test]
async fn two_clients_call_read_and_write_across_the_bus() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let _server = server(bus.address()).await;
    let caller = client(&bus).await;
    let proxy = served(&caller).await;

    assert_eq!(soon(proxy.echo("收银".into())).await.unwrap(), "收银");
    assert!(soon(proxy.on_tokio()).await.unwrap(), "zbus left tokio for the broker's runtime");
    assert_eq!(soon(proxy.level()).await.unwrap(), 1);

    let mut changes = proxy.receive_level_changed().await;
    soon(proxy.set_level(9)).await.unwrap();
    let changed = soon(async {
        // The stream opens with the value it knows; what counts is that the change arrives.
        while let Some(change) = changes.next().await {
            if change.get().await.unwrap() == 9 {
                return true;
            }
        }
        false
    })
    .await;
    assert!(changed, "PropertiesChanged did not arrive");
}

#[tokio::test]
async fn a_name_has_one_owner_and_the_queue_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let first = server(bus.address()).await;
    let second = client(&bus).await;
    let name = WellKnownName::try_from(NAME).unwrap();
    let taken = soon(second.request_name_with_flags(name, fdo::RequestNameFlags::DO_NOT_QUEUE)).await;
    assert!(matches!(taken, Err(zbus::Error::NameTaken)), "{taken:?}");
    assert!(soon(first.release_name(NAME)).await.unwrap());
    soon(second.request_name(NAME)).await.unwrap();
}

#[tokio::test]
async fn a_signal_reaches_whoever_asked_for_it_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let _server = server(bus.address()).await;
    let (listener, stranger) = (client(&bus).await, client(&bus).await);

    let proxy = served(&listener).await;
    let mut heard = proxy.receive_announced_with_args(&[(0, "paid")]).await.unwrap();
    let mut unasked = zbus::MessageStream::from(&stranger);
    soon(proxy.announce("ignored by the argument match")).await.unwrap();
    soon(proxy.announce("paid")).await.unwrap();
    let signal = soon(heard.next()).await.unwrap();
    assert_eq!(signal.args().unwrap().text, "paid");

    // The stranger's own call comes after the signals: whatever it was sent stands before the reply.
    soon(served(&stranger).await.echo("marker".into())).await.unwrap();
    loop {
        let message = soon(unasked.next()).await.unwrap().unwrap();
        let header = message.header();
        assert_ne!(header.member().map(ToString::to_string), Some("Announced".to_owned()));
        if header.message_type() == zbus::message::Type::MethodReturn
            && message.body().deserialize::<String>().is_ok_and(|text| text == "marker")
        {
            break;
        }
    }
}

#[tokio::test]
async fn object_manager_tells_of_objects_that_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let _server = server(bus.address()).await;
    let listener = client(&bus).await;
    let manager =
        fdo::ObjectManagerProxy::builder(&listener).destination(NAME).path(PATH).build().await.unwrap();
    let mut added = manager.receive_interfaces_added().await.unwrap();
    let mut removed = manager.receive_interfaces_removed().await.unwrap();
    let proxy = served(&listener).await;

    let path = soon(proxy.add_object("p1")).await.unwrap();
    let signal = soon(added.next()).await.unwrap();
    assert_eq!(signal.args().unwrap().object_path().as_str(), path.as_str());
    let objects = soon(manager.get_managed_objects()).await.unwrap();
    assert!(objects.contains_key(&path), "{objects:?}");

    assert!(soon(proxy.remove_object("p1")).await.unwrap());
    let signal = soon(removed.next()).await.unwrap();
    assert_eq!(signal.args().unwrap().object_path().as_str(), path.as_str());
}

#[tokio::test]
async fn two_thousand_calls_from_eight_clients_are_answered_each_with_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let _server = server(bus.address()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..8 {
        let connection = client(&bus).await;
        tasks.spawn(async move {
            let proxy = served(&connection).await;
            for call in 0..250 {
                let text = format!("{caller}/{call}");
                assert_eq!(proxy.echo(text.clone()).await.unwrap(), text);
            }
        });
    }
    let mut done = 0;
    soon(async {
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
            done += 1;
        }
    })
    .await;
    assert_eq!(done, 8);
}

/// The client that gets killed: this test binary again, told by the environment which bus to join.
#[test]
fn child_owning_a_name() {
    let Ok(address) = std::env::var("TILL_TEST_BUS") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let _server = server(&address).await;
        println!("owning");
        std::future::pending::<()>().await;
    });
}

fn child(address: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_owning_a_name", "--nocapture"])
        .env("TILL_TEST_BUS", address)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.map_while(Result::ok).any(|line| line.contains("owning")),
        "the child did not get its name"
    );
    child
}

#[tokio::test]
async fn a_killed_client_loses_its_name_and_its_callers_get_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let watcher = client(&bus).await;
    let dbus = fdo::DBusProxy::new(&watcher).await.unwrap();
    let address = bus.address().to_owned();
    let mut child = tokio::task::spawn_blocking(move || child(&address)).await.unwrap();
    let owner = soon(dbus.get_name_owner(NAME.try_into().unwrap())).await.unwrap();
    let mut changes = dbus.receive_name_owner_changed().await.unwrap();

    child.kill().unwrap(); // SIGKILL: no goodbye, only a dropped connection
    child.wait().unwrap();

    let (mut name_gone, mut unique_gone) = (false, false);
    soon(async {
        while !(name_gone && unique_gone) {
            let change = changes.next().await.unwrap();
            let change = change.args().unwrap();
            if change.new_owner().is_none() {
                name_gone |= change.name() == NAME;
                unique_gone |= change.name().as_str() == owner.as_str();
            }
        }
    })
    .await;
    assert!(!soon(dbus.name_has_owner(NAME.try_into().unwrap())).await.unwrap());
}

/// `busd` 0.6.1 never answers a call to a name that nobody owns (`dbus-daemon` answers ServiceUnknown), so clients on this
/// bus need a method timeout. What a till must not do is wait for ever, and a zbus client with a timeout does not.
#[tokio::test]
async fn a_call_to_nobody_ends_for_a_client_with_a_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let caller = connection::Builder::address(bus.address())
        .method_timeout(Duration::from_millis(200))
        .build()
        .await
        .unwrap();
    assert!(soon(served(&caller).await.echo("anybody?".into())).await.is_err());
}

#[tokio::test]
async fn a_call_in_flight_to_a_killed_client_is_answered_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    let caller = client(&bus).await;
    let address = bus.address().to_owned();
    let mut child = tokio::task::spawn_blocking(move || child(&address)).await.unwrap();
    let proxy = served(&caller).await;
    // The signal says that the call has arrived; the method itself never returns.
    let mut heard = proxy.receive_announced().await.unwrap();
    let (answer, ()) = tokio::join!(soon(proxy.hang()), async {
        soon(heard.next()).await.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    });
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn a_second_bus_at_the_same_place_is_refused_and_a_dead_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path()).unwrap();
    assert!(matches!(start_bus(dir.path()), Err(BusError::InUse(_))));
    bus.stop().unwrap();
    let socket = dir.path().join("bus");
    assert!(!socket.exists(), "a stopped bus leaves no socket");

    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap()); // what a killed bus leaves behind
    assert!(socket.exists());
    start_bus(dir.path()).unwrap();

    let nowhere = start_at("tcp-nonsense:");
    assert!(matches!(nowhere, Err(BusError::Listen { .. })), "{nowhere:?}");
}

#[test]
fn only_its_owner_reaches_the_socket() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("made/by/the/bus");
    let _bus = start_bus(&inner).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&inner.join("bus")), 0o600);
}

#[test]
fn the_command_serves_until_it_is_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus");
    let mut process = Command::new(env!("CARGO_BIN_EXE_till-sim"))
        .args(["bus", "--print-address", "--address"])
        .arg(format!("unix:path={}", socket.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.starts_with("unix:path="), "{address}");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let _server = server(address.trim()).await;
        let caller = connection::Builder::address(address.trim()).build().await.unwrap();
        assert_eq!(soon(served(&caller).await.echo("up".into())).await.unwrap(), "up");
    });
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(process.wait().unwrap().success(), "SIGTERM ends it cleanly");
    assert!(!socket.exists());
}
