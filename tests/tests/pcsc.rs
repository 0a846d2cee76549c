//! A contactless reader behind pcscd, end to end: a card in vsmartcard's virtual reader, Debian's pcscd, `till-pcsc`, the driver, the
//! bank. Needs root, pcscd and vsmartcard-vpcd (./test installs them), and says so where they are missing.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use till_simulators::nfc::{Card, Inserted};
use till_tests::scene::until;
use till_tests::{Client, Rig, RigOptions, Watch, staging};

const LONG: Duration = Duration::from_secs(20);
/// How long a hand holds a card that nothing happens to, and is gone before it comes again.
const HELD: Duration = Duration::from_secs(4);
const AWAY: Duration = Duration::from_secs(1);
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
const SERVICE: &str = "/usr/sbin/pcscd";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _over = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// pcscd with one virtual reader, in a /run/pcscd of its own.
struct Pcscd {
    process: Option<Running>,
    folder: PathBuf,
    reader: SocketAddr,
}

impl Pcscd {
    fn new(folder: &Path) -> Self {
        // A port that nobody has now: vpcd cannot be asked which one it took.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let reader = free.local_addr().unwrap();
        let config = format!(
            "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:0x{0:04X}\nLIBPATH {DRIVER}\nCHANNELID 0x{0:04X}\n",
            reader.port()
        );
        std::fs::write(folder.join("reader.conf"), config).unwrap();
        let mut pcscd = Self { process: None, folder: folder.to_owned(), reader };
        drop(free);
        pcscd.start();
        pcscd
    }

    fn start(&mut self) {
        let script = format!(
            "mkdir -p /run/pcscd && mount -t tmpfs tmpfs /run/pcscd && exec {SERVICE} --foreground --config {}",
            self.folder.join("reader.conf").display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(Running(child));
    }

    fn kill(&mut self) {
        self.process = None;
    }

    /// Where its library finds it, from outside of its namespace.
    fn socket(&self) -> PathBuf {
        let process = self.process.as_ref().unwrap();
        PathBuf::from(format!("/proc/{}/root/run/pcscd/pcscd.comm", process.0.id()))
    }

    /// Holds a card there until a command reached it, as a customer does: pcscd asks a virtual reader every 0.4 s, and never sees a
    /// card that took another's place between two questions. Then the hand comes again.
    async fn card(&self, card: Card, gone_at: Option<u64>) -> Inserted {
        let mut hands = 0;
        loop {
            let insert = || async { Inserted::new(self.reader, card.clone(), gone_at).ok() };
            let held = until("the virtual reader takes a card", insert).await.unwrap();
            if held.wait(HELD, |seen| seen.apdus > 0) {
                return held;
            }
            drop(held);
            hands += 1;
            assert!(hands < 10, "no command ever reached the card");
            tokio::time::sleep(AWAY).await;
        }
    }
}

/// A link that stays while pcscd comes and goes.
fn point(link: &Path, pcscd: &Pcscd) {
    let _first = std::fs::remove_file(link);
    std::os::unix::fs::symlink(pcscd.socket(), link).unwrap();
}

/// Whether everything that is needed is there; says what is not.
fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    let there = Path::new(DRIVER).exists() && Path::new(SERVICE).exists();
    let own = ["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/run"];
    let mounts = || Command::new("unshare").args(own).status().is_ok_and(|ended| ended.success());
    let all = root && there && mounts();
    if !all {
        eprintln!(
            "not tested: a reader behind pcscd needs root, mounts of its own, pcscd and vsmartcard-vpcd (apt install …)"
        );
    }
    all
}

struct Scene {
    rig: Rig,
    pcscd: Pcscd,
    _bridge: Running,
    link: PathBuf,
    _temporary: tempfile::TempDir,
}

async fn scene() -> Scene {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().to_path_buf();
    let pcscd = Pcscd::new(&dir);
    let (link, socket) = (dir.join("pcscd.comm"), dir.join("pcsc.sock"));
    point(&link, &pcscd);
    let built = staging::built().unwrap();
    let bridge = Command::new(built.join("till-pcsc"))
        .arg("--socket")
        .arg(&socket)
        // vpcd always has two.
        .args(["--reader", "00 00"])
        .env("PCSCLITE_CSOCK_NAME", &link)
        .spawn()
        .map(Running)
        .unwrap();
    let config = format!(
        "\n[device.nfc]\nplugin = \"org.tilld.nfc\"\ntransport = {{ kind = \"unix\", path = \"{}\", as = \"ccid\" }}\n",
        socket.display()
    );
    let options = RigOptions { dir: Some(dir.clone()), extra_config: config, ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    let manifest = staging::workspace().join("drivers/nfc/manifest.toml");
    let library = built.join("libtill_driver_nfc.so");
    staging::plugin(&dir.join("plugins"), "org.tilld.nfc", &manifest, &library).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let scene = Scene { rig, pcscd, _bridge: bridge, link, _temporary: temporary };
    ready(&client).await;
    scene
}

async fn ready(client: &Client) {
    let ready = || async { (client.device("nfc").await.ok()?.0 == "ready").then_some(()) };
    until("the reader is ready", ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_behind_pcscd_a_card_pays_is_taken_away_early_and_pays() {
    if !possible() {
        return;
    }
    let scene = scene().await;
    let client = scene.rig.client().await.unwrap();
    let watch = Watch::new(scene.rig.bus.address()).await.unwrap();
    let payment = client.ready(8_800).await.unwrap();
    let card = scene.pcscd.card(Card::unionpay(), None).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    assert_eq!((card.seen().cryptograms, scene.rig.acquirer.ledger().len()), (1, 1));
    // It lies there when the next sale opens, and pays for nothing.
    let payment = client.ready(1_000).await.unwrap();
    let left = watch.refusal(0).await.unwrap();
    assert_eq!(left.0, "card-left");
    assert_eq!(card.seen().cryptograms, 1);
    drop(card);
    let torn = scene.pcscd.card(Card::visa(), Some(2)).await;
    assert!(torn.wait(LONG, |seen| seen.faults == 1));
    assert_eq!(watch.refusal(1).await.unwrap().0, "card-removed");
    drop(torn);
    assert_eq!(scene.rig.acquirer.ledger().len(), 1, "nothing half read ever reached the bank");
    let card = scene.pcscd.card(Card::visa(), None).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!((card.seen().cryptograms, scene.rig.acquirer.ledger().len()), (1, 2));
    scene.rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_pcscd_that_dies_takes_the_reader_with_it_and_brings_it_back() {
    if !possible() {
        return;
    }
    let mut scene = scene().await;
    let client = scene.rig.client().await.unwrap();
    scene.pcscd.kill();
    let payment = client.ready(1_000).await.unwrap();
    let gone = || async { (client.device("nfc").await.ok()?.0 != "ready").then_some(()) };
    until("the till notices that the reader is gone", gone).await.unwrap();
    scene.pcscd.start();
    point(&scene.link, &scene.pcscd);
    ready(&client).await;
    let card = scene.pcscd.card(Card::unionpay(), None).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!((card.seen().cryptograms, scene.rig.acquirer.ledger().len()), (1, 1));
    scene.rig.at_rest(&client).await.unwrap();
}
