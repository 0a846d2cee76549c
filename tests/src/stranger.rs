//! A user without rights: another process, under another user, that does on the bus what it is told and says what became
//! of each.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use till_dbus::contract::{Kind, Member, all};
use zbus::proxy::MethodFlags;
use zbus::{Fd, Structure, Variant};

use crate::{Client, Rig};

/// The user.
pub const NOBODY: u32 = 65_534;
const ADDRESS: &str = "TILL_TEST_STRANGER_BUS";
const ORDERS: &str = "TILL_TEST_STRANGER_ORDERS";
/// Before each line of what it says.
const MARK: &str = "stranger: ";

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Calls a method of the contract with arguments of its types.
    Call(String, String, String),
    /// The same, and a person may be asked for a password.
    CallAsking(String, String, String),
    /// Reads one property.
    Get(String, String, String),
    /// Writes one property.
    Set(String, String, String),
    /// Reads all properties of an interface.
    GetAll(String, String),
    /// Lists all objects.
    Managed,
}

impl Order {
    fn line(&self) -> String {
        match self {
            Self::Call(p, i, m) => format!("call {p} {i} {m}"),
            Self::CallAsking(p, i, m) => format!("ask {p} {i} {m}"),
            Self::Get(p, i, m) => format!("get {p} {i} {m}"),
            Self::Set(p, i, m) => format!("set {p} {i} {m}"),
            Self::GetAll(p, i) => format!("all {p} {i} -"),
            Self::Managed => "managed - - -".into(),
        }
    }
}

/// For `#[tokio::test] async fn stranger()` of a test file, which is no test of its own: does the orders when this process
/// is the stranger's. Gives whether it was.
pub async fn act() -> zbus::Result<bool> {
    let (Ok(address), Ok(orders)) = (std::env::var(ADDRESS), std::env::var(ORDERS)) else { return Ok(false) };
    if rustix::process::geteuid().as_raw() != NOBODY {
        return Err(zbus::Error::Failure("the stranger has another user's rights".into()));
    }
    let client = Client::connect(&address).await?;
    for order in orders.lines() {
        let words: Vec<&str> = order.split(' ').collect();
        let [what, path, interface, member] = words[..] else { continue };
        let answer = match carry_out(&client, what, path, interface, member).await {
            Ok(()) => "ok".to_owned(),
            Err(zbus::Error::MethodError(name, text, _)) => {
                format!("{name} {}", text.unwrap_or_default().replace('\n', " "))
            }
            Err(other) => format!("{other}"),
        };
        println!("{MARK}{order}\t{answer}");
    }
    Ok(true)
}

async fn carry_out(
    client: &Client,
    what: &str,
    path: &str,
    interface: &str,
    member: &str,
) -> zbus::Result<()> {
    const NAME: &str = "org.tilld.Till1";
    const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
    let connection = client.connection();
    let dest = Some(NAME);
    match what {
        "call" | "ask" => {
            let file = tempfile::tempfile()?;
            let body = arguments(&member_of(interface, member)?, &file)?;
            if what == "call" {
                connection.call_method(dest, path, Some(interface), member, &body).await?;
            } else {
                let proxy = zbus::Proxy::new(connection, NAME, path.to_owned(), interface.to_owned()).await?;
                let flags = MethodFlags::ALLOW_INTERACTIVE_AUTH;
                let _nothing: Option<()> = proxy.call_with_flags(member.to_owned(), flags, &body).await?;
            }
        }
        "get" => {
            connection.call_method(dest, path, Some(PROPERTIES), "Get", &(interface, member)).await?;
        }
        "set" => {
            let value = Variant::from("mine");
            connection.call_method(dest, path, Some(PROPERTIES), "Set", &(interface, member, value)).await?;
        }
        "all" => {
            connection.call_method(dest, path, Some(PROPERTIES), "GetAll", &(interface,)).await?;
        }
        _ => {
            let manager = "org.freedesktop.DBus.ObjectManager";
            let root = "/org/tilld/Till1";
            connection.call_method(dest, root, Some(manager), "GetManagedObjects", &()).await?;
        }
    }
    Ok(())
}

fn member_of(interface: &str, member: &str) -> zbus::Result<Member> {
    let contract = all().map_err(|e| zbus::Error::Failure(e.to_string()))?;
    let members = contract.into_iter().filter(|i| i.name == interface).flat_map(|i| i.members);
    let mut found = members.filter(|m| m.kind == Kind::Method && m.name == member);
    found.next().ok_or_else(|| zbus::Error::Failure(format!("{interface}.{member} is not in the contract")))
}

/// Arguments of the types that the contract says.
fn arguments(member: &Member, file: &std::fs::File) -> zbus::Result<Structure<'static>> {
    use std::os::fd::AsFd;
    let mut body = Structure::builder();
    for argument in member.args.iter().filter(|a| a.direction == "in") {
        body = match argument.signature.as_str() {
            "s" => body.add_field("CNY"),
            "x" => body.add_field(1_i64),
            "t" => body.add_field(1_u64),
            "u" => body.add_field(1_u32),
            "b" => body.add_field(true),
            "h" => body.append_field(Variant::Fd(Fd::from(file.as_fd().try_clone_to_owned()?))),
            "a{sv}" => {
                body.append_field(Variant::from(std::collections::HashMap::<String, Variant<'_>>::new()))
            }
            other => return Err(zbus::Error::Failure(format!("no sample of type {other}"))),
        };
    }
    body.build()
}

/// Every member of every object that the till has now, as orders; and the interfaces that were found.
pub async fn everything(client: &Client) -> zbus::Result<(Vec<Order>, std::collections::BTreeSet<String>)> {
    const ROOT: &str = "/org/tilld/Till1";
    let manager = zbus::fdo::ObjectManagerProxy::new(client.connection(), "org.tilld.Till1", ROOT).await?;
    let mut objects: Vec<(String, Vec<String>)> = manager
        .get_managed_objects()
        .await?
        .into_iter()
        .map(|(path, interfaces)| (path.to_string(), interfaces.keys().map(ToString::to_string).collect()))
        .collect();
    let contract = all().map_err(|e| zbus::Error::Failure(e.to_string()))?;
    let below: std::collections::BTreeSet<String> = objects.iter().flat_map(|o| o.1.clone()).collect();
    let at_root = contract.iter().map(|i| i.name.clone()).filter(|i| !below.contains(i)).collect();
    objects.push((ROOT.to_owned(), at_root));
    let mut orders = vec![Order::Managed];
    let mut found = std::collections::BTreeSet::new();
    for (path, interfaces) in objects {
        for interface in contract.iter().filter(|i| interfaces.contains(&i.name)) {
            found.insert(interface.name.clone());
            let it = || (path.clone(), interface.name.clone());
            let mut properties = false;
            for member in &interface.members {
                let ((p, i), m) = (it(), member.name.clone());
                match member.kind {
                    Kind::Method => orders.push(Order::Call(p, i, m)),
                    Kind::Property => {
                        properties = true;
                        orders.push(Order::Get(p.clone(), i.clone(), m.clone()));
                        orders.push(Order::Set(p, i, m));
                    }
                    Kind::Signal => {}
                }
            }
            if properties {
                let (p, i) = it();
                orders.push(Order::GetAll(p, i));
            }
        }
    }
    Ok((orders, found))
}

/// Has the stranger do these, and gives what became of each: `ok`, or the error's name and text.
pub async fn has_a_stranger(rig: &Rig, orders: &[Order]) -> Result<Vec<(Order, String)>, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    // The private bus keeps strangers out; a system bus does not.
    open(&rig.dir, 0o755).map_err(|e| text(&e))?;
    open(&rig.dir.join("run"), 0o755).map_err(|e| text(&e))?;
    for entry in std::fs::read_dir(rig.dir.join("run")).map_err(|e| text(&e))? {
        let path = entry.map_err(|e| text(&e))?.path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().contains("bus")) {
            open(&path, 0o777).map_err(|e| text(&e))?;
        }
    }
    // The test's own file may lie where the stranger cannot go.
    let program = rig.dir.join("run/stranger");
    if !program.exists() {
        let ours = std::env::current_exe().map_err(|e| text(&e))?;
        // By another process: a copy that is still open in a child that another test has just forked cannot be run.
        let copied = Command::new("cp").arg(ours).arg(&program).status().map_err(|e| text(&e))?;
        if !copied.success() {
            return Err(format!("cp to {}: {copied}", program.display()));
        }
        open(&program, 0o755).map_err(|e| text(&e))?;
    }
    let lines: Vec<String> = orders.iter().map(Order::line).collect();
    let mut command = Command::new(&program);
    command.args(["stranger", "--exact", "--nocapture"]).current_dir("/").uid(NOBODY).gid(NOBODY);
    command.env(ADDRESS, rig.bus.address()).env(ORDERS, lines.join("\n"));
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.map_err(|e| text(&e))?.map_err(|e| text(&e))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<String> = said
        .lines()
        .filter_map(|l| l.split_once(MARK)?.1.split_once('\t'))
        .map(|(_, answer)| answer.to_owned())
        .collect();
    if answers.len() != orders.len() {
        return Err(format!("{said}\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(orders.iter().cloned().zip(answers).collect())
}
