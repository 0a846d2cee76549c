//! tillctl against a running tilld with cash.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{Till, code, err, json, out};

#[test]
fn cash_is_paid_listed_shown_and_journalled() {
    let till = Till::start();
    let paid = till.ctl(&[
        "pay",
        "128.50",
        "--cash",
        "150",
        "--subject",
        "lunch",
        "--operator",
        "001",
        "--key",
        "k1",
    ]);
    let text = out(&paid);
    assert_eq!(code(&paid), 0, "{text}{}", err(&paid));
    assert!(text.starts_with("CNY 128.50"), "{text}");
    assert!(
        !text.contains("ask the customer") && text.contains("\npaid\n"),
        "the cashier has the cash: {text}"
    );
    assert!(text.contains("change: CNY 21.50"), "{text}");
    assert!(text.contains("好味小馆"), "no receipt: {text}");

    // The same key and request is the same payment, not a second one.
    let again = till.ctl(&[
        "pay",
        "128.50",
        "--cash",
        "150",
        "--subject",
        "lunch",
        "--operator",
        "001",
        "--key",
        "k1",
    ]);
    assert_eq!(code(&again), 0, "{}", err(&again));
    let listed = json(&till.ctl(&["payments", "--json"]));
    assert_eq!(listed["payments"].as_array().unwrap().len(), 1, "{listed}");
    let row = &listed["payments"][0];
    assert_eq!((row["amount"].as_i64(), row["state"].as_str()), (Some(12_850), Some("paid")));

    let id = row["id"].as_str().unwrap();
    let shown = json(&till.ctl(&["show", id, "--json"]));
    assert_eq!(shown["attempts"][0]["channel"], "cash");
    assert_eq!(shown["attempts"][0]["change"], 2150);
    assert_eq!(shown["subject"], "lunch");
    assert_eq!(json(&till.ctl(&["show", "k1", "--json"]))["id"], id);
    assert!(out(&till.ctl(&["show", id])).contains("CNY 21.50"));
    assert!(out(&till.ctl(&["payments"])).contains(id));

    let verified = till.ctl(&["journal", "verify", "--json"]);
    assert_eq!(code(&verified), 0, "{}", out(&verified));
    let verified = json(&verified);
    assert!(verified["records"].as_u64().unwrap() > 3 && verified["problems"].as_array().unwrap().is_empty());
    let head = out(&till.ctl(&["journal", "head"]));
    let file = till.dir.path().join("journal.jsonl");
    let export = till.ctl(&["journal", "export", file.to_str().unwrap()]);
    assert_eq!(code(&export), 0, "{}", err(&export));
    let text = std::fs::read_to_string(&file).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let hash = last["head"]["hash"].as_str().unwrap();
    assert!(head.contains(hash), "{head} {last}");
    assert!(text.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // An export is evidence: an existing one is not written over.
    let second = till.ctl(&["journal", "export", file.to_str().unwrap()]);
    assert_eq!((code(&second), std::fs::read_to_string(&file).unwrap() == text), (5, true));
}

#[test]
fn the_channel_is_switched_and_switched_back() {
    let till = Till::start();
    let switched = till.ctl(&["switch", "cash"]);
    assert_eq!((code(&switched), out(&switched).as_str()), (0, "current channel: cash\n"));
    assert_eq!(json(&till.ctl(&["channels", "--json"]))["current-channel"], "cash");
    let auto = till.ctl(&["switch", "auto"]);
    assert_eq!(
        (code(&auto), json(&till.ctl(&["status", "--json"]))["terminal"]["current-channel"] == ""),
        (0, true)
    );
    let unknown = till.ctl(&["switch", "gold"]);
    assert_eq!(code(&unknown), 5);
    assert!(err(&unknown).contains("there are: cash"), "{}", err(&unknown));
}

#[test]
fn what_is_refused_says_why_with_its_exit_code_and_leaves_the_till_free() {
    let till = Till::start();
    let refused = |args: &[&str], exit: i32, part: &str| {
        let output = till.ctl(args);
        assert_eq!(code(&output), exit, "{args:?}: {}{}", out(&output), err(&output));
        assert!(err(&output).contains(part), "{args:?}: {}", err(&output));
    };
    refused(&["pay", "10", "--cash", "9.99"], 5, "handed over");
    refused(&["pay", "0"], 5, "greater than zero");
    refused(&["pay", "1.005"], 2, "128.50");
    refused(&["pay", "1", "--currency", "XXZ"], 2, "ISO 4217");
    refused(&["show", "nothing"], 5, "there is no payment");
    refused(&["cancel", "active"], 5, "it is free");
    refused(&["probe", "../x"], 5, "tillctl channels");
    refused(&["probe", "gold"], 5, "");
    refused(&["device", "restart", "ghost"], 5, "");
    refused(&["sign-in", "cash"], 5, "no sign-in");
    refused(&["drawer", " "], 5, "reason");
    // Change beyond what the channel allows: it never starts, and the till is free afterwards.
    let typo = till.ctl(&["pay", "10", "--cash", "99999"]);
    assert_ne!(code(&typo), 0, "{}", out(&typo));
    assert!((out(&typo) + &err(&typo)).contains("more than"), "{}{}", out(&typo), err(&typo));
    assert_eq!(json(&till.ctl(&["status", "--json"]))["terminal"]["active-payment"], "/");

    let error: serde_json::Value =
        serde_json::from_str(&err(&till.ctl(&["switch", "gold", "--json"]))).unwrap();
    assert_eq!(
        (error["error"]["code"].as_str(), error["error"]["exit"].as_u64()),
        (Some("NotFound"), Some(5))
    );
}

#[test]
fn an_open_payment_holds_the_till_until_it_is_cancelled() {
    let till = Till::start();
    let opened = till.ctl(&["pay", "5", "--no-wait", "--json"]);
    assert_eq!(code(&opened), 0, "{}", err(&opened));
    let id = json(&opened)["id"].as_str().unwrap().to_owned();
    let busy = till.ctl(&["pay", "6"]);
    assert_eq!(code(&busy), 5);
    assert!(err(&busy).contains(&id) && err(&busy).contains("tillctl cancel active"), "{}", err(&busy));
    let status = json(&till.ctl(&["status", "--json"]));
    assert!(status["terminal"]["active-payment"].as_str().unwrap().ends_with(&id), "{status}");
    assert!(out(&till.ctl(&["status"])).contains("CNY 5.00  ask the customer for card, code or cash"));
    let cancelled = till.ctl(&["cancel", "active"]);
    assert_eq!((code(&cancelled), out(&cancelled).as_str()), (0, "cancelled: no money was taken\n"));
    assert_eq!(json(&till.ctl(&["show", &id, "--json"]))["state"], "cancelled");
}

#[test]
fn ctrl_c_cancels_and_the_exit_code_says_no_money() {
    let till = Till::start();
    let mut pay = till.command(&["pay", "7.20"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(pay.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|l| l.starts_with("ready:")), "the payment was not confirmed");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pay.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let rest: Vec<String> = lines.collect();
    assert_eq!(pay.wait().unwrap().code(), Some(6), "{rest:?}");
    assert!(rest.iter().any(|l| l.starts_with("asking to cancel")), "{rest:?}");
    assert!(rest.iter().any(|l| l.starts_with("cancelled: no money")), "{rest:?}");
}

#[test]
fn a_payment_is_followed_across_a_killed_daemon() {
    let mut till = Till::start();
    let mut pay = till.command(&["pay", "3"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(pay.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|l| l.starts_with("ready:")));
    till.kill();
    assert!(lines.any(|l| l.contains("tilld left the bus")));
    till.run();
    assert!(lines.any(|l| l.contains("tilld is back")));
    // Whatever the restart made of it: it can be given up, and tillctl hears its end.
    let _maybe_over = till.ctl(&["cancel", "active"]);
    assert_eq!(pay.wait().unwrap().code(), Some(6));
}

#[test]
fn a_code_comes_from_standard_input_and_is_never_printed() {
    let till = Till::start();
    let code_text = "280000000000000003";
    let argument = till.ctl(&["pay", "1", "--code", code_text]);
    assert_eq!(code(&argument), 2);
    assert!(!(out(&argument) + &err(&argument)).contains(code_text), "the code was shown");
    // Only cash here: no route, and nothing stays open.
    let piped = till.ctl_with(&["pay", "1", "--code", "-"], &format!("{code_text}\n"));
    assert_eq!(code(&piped), 5, "{}{}", out(&piped), err(&piped));
    assert!(!(out(&piped) + &err(&piped)).contains(code_text), "the code was shown");
    let empty = till.ctl_with(&["pay", "1", "--code", "-"], "");
    assert_eq!(code(&empty), 2, "{}", err(&empty));
    assert_eq!(json(&till.ctl(&["status", "--json"]))["terminal"]["active-payment"], "/");
}

#[test]
fn without_a_till_the_fix_is_named() {
    let till = Till::absent();
    for args in [&["status"][..], &["pay", "1"], &["journal", "verify"]] {
        let output = till.ctl(args);
        assert_eq!(code(&output), 3, "{}", err(&output));
        assert!(err(&output).contains("tilld is not running on this bus"), "{}", err(&output));
        assert!(err(&output).contains("systemctl start tilld, or ./demo"), "{}", err(&output));
    }
    let nowhere = till.command(&["status", "--bus", "unix:path=/nonexistent/bus"]).output().unwrap();
    assert_eq!(code(&nowhere), 3);
    assert!(err(&nowhere).contains("--bus"), "{}", err(&nowhere));
}

#[test]
fn monitor_tells_every_change_in_order() {
    let till = Till::start();
    let mut monitor =
        till.command(&["monitor", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notices = BufReader::new(monitor.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(notices.any(|l| l.starts_with("listening")));
    assert_eq!(code(&till.ctl(&["pay", "2", "--cash", "2"])), 0);
    let mut states = Vec::new();
    let lines = BufReader::new(monitor.stdout.take().unwrap()).lines().map_while(Result::ok);
    for line in lines {
        let signal: serde_json::Value = serde_json::from_str(&line).unwrap();
        if signal["interface"] == "org.tilld.Payment1" && signal["signal"] == "StateChanged" {
            states.push((signal["args"]["new"].as_str().unwrap().to_owned(), signal["args"]["seq"].as_u64()));
            if signal["args"]["new"] == "paid" {
                break;
            }
        }
    }
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let names: Vec<&str> = states.iter().map(|s| s.0.as_str()).collect();
    assert_eq!(names, ["draft", "ready", "tendering", "paid"]);
    assert!(states.windows(2).all(|w| w[0].1 < w[1].1), "{states:?}");
}

#[test]
fn status_and_lists_are_for_people_too() {
    let till = Till::start();
    let status = out(&till.ctl(&["status"]));
    assert!(status.contains("T0000001") && status.contains("ready") && status.contains("cash"), "{status}");
    assert!(!status.contains('\x1b'), "colours in a pipe");
    let mut chinese = till.command(&["channels"]);
    let chinese = out(&chinese.env("LANG", "zh_CN.UTF-8").output().unwrap());
    assert!(chinese.contains("现金") && chinese.contains("就绪"), "{chinese}");
    let plugins = json(&till.ctl(&["plugins", "--json"]));
    assert_eq!(plugins["plugins"][0]["id"], "org.tilld.cash");
    assert_eq!(json(&till.ctl(&["devices", "--json"]))["devices"].as_array().unwrap().len(), 0);
    let probe = json(&till.ctl(&["probe", "cash", "--json"]));
    assert_eq!(probe["state"], "ready");
}

#[test]
fn a_journal_is_backed_up_checked_and_restored_with_and_without_a_running_tilld() {
    let mut till = Till::start();
    let paid = till.ctl(&["pay", "12.50", "--cash", "20", "--key", "k1"]);
    assert_eq!(code(&paid), 0, "{}", err(&paid));
    let dir = till.dir.path().to_owned();
    let (config, first, second) = (dir.join("tilld.toml"), dir.join("one.tar"), dir.join("two.tar"));
    let path = |p: &std::path::Path| p.to_str().unwrap().to_owned();
    let (config, first, second) = (path(&config), path(&first), path(&second));

    // While it runs: over the bus; what needs the journal to itself is refused.
    let checked = till.ctl(&["journal", "check", "--json"]);
    assert_eq!((code(&checked), json(&checked)["problems"].as_array().unwrap().len()), (0, 0));
    let backed = till.ctl(&["journal", "backup", &first, "--json"]);
    assert_eq!(code(&backed), 0, "{}", err(&backed));
    let online = json(&backed);
    assert!(online["records"].as_u64().unwrap() > 3, "{online}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&first).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(code(&till.ctl(&["journal", "backup", &first])), 5, "a backup was written over");
    let refused = till.ctl(&["journal", "rebuild", "--config", &config]);
    assert_eq!(code(&refused), 5, "{}", out(&refused));
    assert!(err(&refused).contains("in use by another process"), "{}", err(&refused));

    // Without it: the same commands, on the disk.
    till.kill();
    let checked = till.ctl(&["journal", "check", "--config", &config, "--json"]);
    assert_eq!(code(&checked), 0, "{}{}", out(&checked), err(&checked));
    let found = json(&checked);
    assert!(found["records"].as_u64() >= online["records"].as_u64(), "{found}");
    assert!(err(&checked).contains("segments read: 1 of 1"), "no progress: {}", err(&checked));
    let backed = till.ctl(&["journal", "backup", &second, "--config", &config]);
    assert_eq!(code(&backed), 0, "{}", err(&backed));
    let rebuilt = till.ctl(&["journal", "rebuild", "--anew", "--config", &config]);
    assert_eq!(code(&rebuilt), 0, "{}", err(&rebuilt));
    assert!(out(&rebuilt).contains("rebuilt from segments"), "{}", out(&rebuilt));

    // The machine is lost; its keys were kept elsewhere. The backup taken while it ran has the payment.
    let taken = till.ctl(&["journal", "restore", &first, "--config", &config]);
    assert_eq!(code(&taken), 5, "restored over a journal");
    std::fs::remove_dir_all(dir.join("state/journal")).unwrap();
    let restored = till.ctl(&["journal", "restore", &first, "--config", &config, "--json"]);
    assert_eq!(code(&restored), 0, "{}", err(&restored));
    assert_eq!(json(&restored)["head"], online["head"]);
    till.run();
    let shown = json(&till.ctl(&["show", "k1", "--json"]));
    assert_eq!((shown["state"].as_str(), shown["amount"].as_i64()), (Some("paid"), Some(1250)));

    // Damage is named with its own exit code, and a wrong file is refused.
    till.kill();
    std::fs::remove_dir_all(dir.join("state/journal/00000001")).unwrap();
    let checked = till.ctl(&["journal", "check", "--offline", "--config", &config]);
    assert_eq!(code(&checked), 8, "{}", out(&checked));
    assert!(out(&checked).contains("the store of epoch 1 is gone"), "{}", out(&checked));
    assert_eq!(code(&till.ctl(&["journal", "rebuild", "--config", &config])), 0);
    std::fs::rename(dir.join("state/journal"), dir.join("state/kept")).unwrap();
    let refused = till.ctl(&["journal", "restore", &config, "--config", &config]);
    assert_eq!(code(&refused), 5);
    assert!(err(&refused).contains("nothing was restored"), "{}", err(&refused));
    assert!(!dir.join("state/journal").exists());
}

/// A disk that breaks under a running till: ext4 on a loop device, shut down as a pulled card shuts it down.
#[test]
fn a_till_whose_disk_fails_says_so_and_ends_for_a_restart() {
    let mut till = Till::absent();
    let (image, state) = (till.dir.path().join("disk"), till.dir.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    std::fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        std::process::Command::new(program).args(args).output().is_ok_and(|o| o.status.success())
    };
    let mount = || run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_os_str(), state.as_os_str()]);
    if !run("mkfs.ext4", &["-q".as_ref(), image.as_os_str()]) || !mount() {
        println!("skipped: a loop device with ext4 needs root");
        return;
    }
    let unmount = || run("umount", &["-l".as_ref(), state.as_os_str()]);
    till.install();
    till.run();
    assert_eq!(code(&till.ctl(&["pay", "1", "--cash", "1", "--key", "before"])), 0);
    let mut monitor = till.command(&["monitor", "--json"]);
    let mut monitor = monitor.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let notice = BufReader::new(monitor.stderr.take().unwrap()).lines().next();
    assert!(notice.unwrap().unwrap().contains("Ctrl-C ends"));

    if let Err(e) = shut_down(&std::fs::File::open(&state).unwrap()) {
        println!("skipped: this file system cannot be shut down ({e})");
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        unmount();
        return;
    }
    let refused = till.ctl(&["pay", "2", "--cash", "2"]);
    let ended = till.wait_end();
    let mut told = Vec::new();
    // The alarm comes before the name goes: that is where to stop listening.
    for line in BufReader::new(monitor.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let last = line.contains("Alarm") || line.contains("NameOwnerChanged");
        told.push(line);
        if last {
            break;
        }
    }
    let _gone = monitor.kill();
    let _reaped = monitor.wait();
    unmount();
    assert_ne!(code(&refused), 0, "{}", out(&refused));
    assert_eq!(ended, Some(74), "the till stays, and refuses everything");
    assert!(told.iter().any(|l| l.contains("Alarm") && l.contains("critical")), "nobody is told: {told:#?}");

    // A restart on the mended disk has what was acknowledged.
    assert!(mount());
    till.run();
    assert_eq!(json(&till.ctl(&["show", "before", "--json"]))["state"], "paid");
    till.kill();
    unmount();
}

/// Cuts a file system off without flushing its log: every write fails from then on (`EXT4_IOC_SHUTDOWN`, linux/ext4.h).
#[allow(unsafe_code)]
fn shut_down(disk: &std::fs::File) -> rustix::io::Result<()> {
    const SHUTDOWN: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<u32>(b'X', 125);
    const NO_LOG_FLUSH: u32 = 2;
    // SAFETY: the call reads one u32, which Setter passes by pointer, and touches no memory of ours.
    unsafe { rustix::ioctl::ioctl(disk, rustix::ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }
}

#[test]
fn parts_are_paid_given_back_found_and_billed() {
    let till = Till::start();
    let part = |more: &[&str]| {
        let args = ["pay", "100", "--key", "k9", "--operator", "001"];
        till.ctl(&[args.as_slice(), more].concat())
    };
    let first = part(&["--part", "30", "--cash", "50"]);
    let text = out(&first);
    assert_eq!(code(&first), 0, "{text}{}", err(&first));
    assert!(text.contains("paid so far CNY 30.00; remaining CNY 70.00"), "{text}");
    // A script in doubt asks again: nothing is taken twice.
    let again = part(&["--part", "30", "--cash", "50"]);
    assert!(
        code(&again) == 0 && out(&again).contains("remaining CNY 70.00"),
        "{}{}",
        out(&again),
        err(&again)
    );
    let whole = part(&["--cash", "100"]);
    assert!(code(&whole) == 5 && err(&whole).contains("--more"), "{}", err(&whole));
    // A part that is refused gives nothing of the earlier ones back.
    let short = part(&["--more", "--part", "60", "--cash", "50"]);
    assert!(code(&short) == 5, "{}{}", out(&short), err(&short));
    let rest = part(&["--more", "--cash", "70"]);
    assert!(code(&rest) == 0 && out(&rest).contains("\npaid\n"), "{}{}", out(&rest), err(&rest));

    let nameless = till.ctl(&["refund", "k9", "10"]);
    assert!(code(&nameless) == 2 && err(&nameless).contains("--operator NAME"), "{}", err(&nameless));
    let which = till.ctl(&["refund", "k9", "10", "--operator", "007"]);
    assert!(code(&which) == 5 && err(&which).contains("tillctl show"), "{}", err(&which));
    let refund =
        ["refund", "k9", "12.50", "--attempt", "1", "--key", "r1", "--reason", "broken", "--operator", "007"];
    for _ in 0..2 {
        let back = till.ctl(&refund);
        let text = out(&back);
        assert_eq!(code(&back), 0, "{text}{}", err(&back));
        assert!(text.contains("cash refund CNY 12.50: done"), "{text}");
        assert!(text.contains("paid CNY 100.00, returned CNY 12.50"), "the same key is done once: {text}");
    }
    let over = till.ctl(&["refund", "k9", "17.51", "--attempt", "1", "--operator", "007", "--json"]);
    let e: serde_json::Value = serde_json::from_str(err(&over).lines().last().unwrap()).unwrap();
    assert_eq!((code(&over), e["error"]["code"].as_str()), (5, Some("TooMuch")));
    let shown = out(&till.ctl(&["show", "k9"]));
    assert!(
        shown.contains("refund  CNY 12.50") && shown.contains("broken") && shown.contains("007"),
        "{shown}"
    );

    let id = json(&till.ctl(&["show", "k9", "--json"]))["id"].as_str().unwrap().to_owned();
    assert_eq!(json(&till.ctl(&["find", "k9", "--json"]))["payments"][0]["id"], id.as_str());
    assert!(out(&till.ctl(&["find", "99999999"])).contains("no payment carries this number"));
    let bill = json(&till.ctl(&["bill", "--min", "100", "--operator", "001", "--json"]));
    let row = &bill["payments"][0];
    assert_eq!((row["paid"].as_i64(), row["returned"].as_i64()), (Some(10_000), Some(1_250)), "{bill}");
    let text = out(&till.ctl(&["bill", "--all"]));
    assert!(text.contains("paid CNY 100.00, returned CNY 12.50, kept CNY 87.50"), "{text}");
    assert!(out(&till.ctl(&["bill", "--max", "99.99"])).contains("no payments are like that"));
}
