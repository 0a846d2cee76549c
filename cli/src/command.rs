//! Runs one command.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap::CommandFactory;
use serde_json::json;
use till_dbus::tree::{self, Tree};
use till_dbus::{Channel1Proxy, Device1Proxy, Journal1Proxy, Options, Plugins1Proxy, connect, paths};
use zbus::Fd;

use crate::args::{Cli, Command, DeviceCommand, EvidenceCommand, JournalCommand, OnOff};
use crate::exit::{DONE, Failure, JOURNAL, REFUSED};
use crate::look::{Look, Tone, clean};
use crate::session::{LONG, Session, bus, write_out};
use crate::{
    after, balance, bill, bundle, cases, channel, day, doctor, evidence, maintenance, merchant, monitor,
    offline, pay, prepaid, receipt, record, view, why,
};

/// Runs what was asked; gives the exit code.
pub async fn run(cli: Cli) -> Result<u8, Failure> {
    let look = Look::from_env();
    let bus = bus(cli.bus.as_deref());
    match &cli.command {
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "tillctl", &mut text);
            return write_out(&String::from_utf8_lossy(&text)).map(|()| DONE);
        }
        Command::Evidence(EvidenceCommand::Verify { file, key }) => {
            return evidence::verify(&look, cli.json, file, key.as_deref());
        }
        Command::Receipt { template: Some(command), .. } => return receipt::run(&look, cli.json, command),
        Command::HashPassword { file, password } => {
            return merchant::hash(&look, file.as_deref(), password).await.map(|()| DONE);
        }
        Command::Monitor => return monitor::run(&bus, &look, cli.json).await,
        Command::Doctor(args) => {
            let config = args.config.as_deref();
            let bus = doctor::bus(cli.bus.as_deref(), config);
            return doctor::run(&look, cli.json, &bus, config).await;
        }
        Command::Bundle(args) => {
            let bus = doctor::bus(cli.bus.as_deref(), args.doctor.config.as_deref());
            return bundle::run(&look, cli.json, &bus, args).await.map(|()| DONE);
        }
        _ => {}
    }
    // Wrong usage is said before anything is asked of the till.
    let order = match &cli.command {
        Command::Pay(args) => Some(pay::order(args)?),
        _ => None,
    };
    after::check(&cli.command, cli.operator.as_deref())?;
    day::check(&cli.command, cli.operator.as_deref())?;
    prepaid::check(&cli.command, cli.operator.as_deref())?;
    channel::check(&cli.command, cli.operator.as_deref())?;
    cases::check(&cli.command, cli.operator.as_deref())?;
    merchant::check(&cli.command, cli.operator.as_deref())?;
    let bill = match &cli.command {
        Command::Bill(args) => Some(bill::asked(args, &look.zone)?),
        _ => None,
    };
    let timeout = if matches!(cli.command, Command::Journal(_) | Command::Evidence(_)) {
        LONG
    } else if matches!(cli.command, Command::Balance(_)) {
        balance::ANSWER
    } else {
        connect::TIMEOUT
    };
    let connection = match &cli.command {
        Command::Journal(command) => offline::hand_over(command, &bus, timeout, cli.json).await?,
        _ => connect::connect(&bus, timeout).await?,
    };
    let session = Session { connection, look, json: cli.json, operator: cli.operator };
    if let (Command::Bill(args), Some(asked)) = (&cli.command, &bill) {
        return bill::run(&session, args, asked).await.map(|()| DONE);
    }
    if let Some(exit) = after::run(&session, &cli.command).await? {
        return Ok(exit);
    }
    match (cli.command, order) {
        (Command::Pay(args), Some(order)) => pay::run(&session, &args, order, pay::Open::Sale).await,
        (Command::Prepaid(command), _) => prepaid::run(&session, &command).await,
        (Command::Journal(command), _) => journal(&session, command).await,
        (command, _) => {
            ask(&session, command).await?;
            Ok(DONE)
        }
    }
}

async fn ask(s: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Status => {
            let tree = Tree::read(&s.connection).await?;
            s.show(&tree, |look| view::status(look, &tree))
        }
        Command::Channels => {
            let tree = Tree::read(&s.connection).await?;
            let current = &tree.terminal.current_channel;
            s.show(&json!({ "current-channel": current, "channels": tree.channels }), |look| {
                view::channels(look, &tree.channels, current)
            })
        }
        Command::Devices => {
            let tree = Tree::read(&s.connection).await?;
            s.show(&json!({ "devices": tree.devices }), |look| view::devices(look, &tree.devices))
        }
        Command::Plugins => {
            let rows = Plugins1Proxy::new(&s.connection).await?.list_plugins(Options::new()).await?;
            s.show(&json!({ "plugins": rows }), |look| view::plugins(look, &rows))
        }
        Command::Payments { limit, before } => {
            let mut options = Options::new();
            if let Some(before) = &before {
                options.insert("before", before.as_str().into());
            }
            let rows = s.terminal().await?.list_payments(limit, options).await?;
            s.show(&json!({ "payments": rows }), |look| view::payments(look, &rows))
        }
        Command::Show { payment } => {
            let id = s.payment_id(&payment).await?;
            let details = s.terminal().await?.find_payment(&id, Options::new()).await?;
            s.show(&details, |look| view::payment(look, &details))
        }
        Command::Explain { payment } => why::explain(s, &payment).await,
        Command::WhatIf(args) => why::what_if(s, &args).await,
        Command::Channel(command) => channel::run(s, &command).await,
        Command::Switch { channel } => switch(s, &channel).await,
        Command::Maintenance(command) => maintenance::run(s, &command).await,
        Command::Merchant(command) => merchant::run(s, &command).await,
        Command::Training { to } => training(s, to == OnOff::On).await,
        Command::Cancel { payment } => {
            let id = s.payment_id(&payment).await?;
            let path = paths::payment(&id)?;
            s.payment(&path).await?.cancel(s.options()).await?;
            let details = s.terminal().await?.find_payment(&id, Options::new()).await?;
            let line = if details.state == "cancelled" {
                s.look.say("cancelled: no money was taken", "已取消：未收款")
            } else {
                s.look.say(
                    "asked to cancel; the request under way is resolved first, `tillctl show` tells how it ends",
                    "已请求取消；将先处理在途请求，可用 `tillctl show` 查看结果",
                )
            };
            s.did(line, &json!({ "id": id, "state": details.state }))
        }
        Command::Device(DeviceCommand::Restart { id }) => {
            let device = Device1Proxy::new(&s.connection, paths::device(&id)?).await?;
            device.restart(Options::new()).await?;
            let line =
                s.look.say("restarting; `tillctl devices` shows it", "正在重启；可用 `tillctl devices` 查看");
            s.did(line, &json!({ "device": id, "restarting": true }))
        }
        Command::Device(DeviceCommand::Statistics { id }) => record::statistics(s, &id).await,
        Command::Device(DeviceCommand::ResetStatistics { id }) => record::reset_statistics(s, &id).await,
        Command::Record(args) => record::run(s, args).await,
        Command::Evidence(command) => evidence_of(s, command).await,
        Command::Drawer { reason } => {
            s.terminal().await?.open_drawer(&reason, s.options()).await?;
            s.did(s.look.say("drawer opened", "钱箱已打开"), &json!({ "drawer": "opened" }))
        }
        Command::SignIn { channel } => {
            let proxy = Channel1Proxy::new(&s.connection, paths::channel(&channel)?).await?;
            proxy.sign_in(Options::new()).await?;
            let line = s
                .look
                .say("signing in; `tillctl channels` shows it", "正在签到；可用 `tillctl channels` 查看");
            s.did(line, &json!({ "channel": channel, "signing-in": true }))
        }
        Command::Probe { channel } => {
            let proxy = Channel1Proxy::new(&s.connection, paths::channel(&channel)?).await?;
            let (state, text) = proxy.probe(Options::new()).await?;
            let shown = s.look.paint(&s.look.state(&state), Look::tone(&state));
            let json = json!({ "channel": channel, "state": state, "text": text });
            s.did(&format!("{channel}: {shown}  {}", clean(&text)), &json)
        }
        Command::Find { number } => bill::find(s, &number).await,
        Command::Receipt { payment, receipt, .. } => {
            bill::receipt(s, &payment.unwrap_or_default(), receipt).await
        }
        Command::History { payment } => bill::history(s, &payment).await,
        Command::Dispute(command) => cases::dispute(s, &command).await,
        Command::Notices(args) => cases::notices(s, &args).await,
        Command::Balance(args) => balance::run(s, &args).await,
        Command::Day(command) => day::run(s, &command).await,
        // Taken before.
        Command::Pay(_)
        | Command::Prepaid(_)
        | Command::Journal(_)
        | Command::Monitor
        | Command::Doctor(_)
        | Command::Bundle(_)
        | Command::HashPassword { .. }
        | Command::Completions { .. }
        | Command::Refund(_)
        | Command::Void(_)
        | Command::Capture(_)
        | Command::Release(_)
        | Command::Reprint { .. }
        | Command::Review(_)
        | Command::Ack { .. }
        | Command::Abandon { .. }
        | Command::Resume { .. }
        | Command::Bill(_) => Ok(()),
    }
}

async fn switch(s: &Session, channel: &str) -> Result<(), Failure> {
    let wanted = if channel == "auto" { "" } else { channel };
    s.terminal().await?.select_channel(wanted, s.options()).await?;
    let now = tree::terminal(&s.connection).await?.current_channel;
    let line = if now.is_empty() {
        s.look.say("the channel is chosen for each payment", "按每笔交易自动选择通道").to_owned()
    } else {
        format!("{}: {}", s.look.say("current channel", "当前通道"), clean(&now))
    };
    s.did(&line, &json!({ "current-channel": now }))
}

async fn training(s: &Session, on: bool) -> Result<(), Failure> {
    s.terminal().await?.set_training(on, s.options()).await?;
    let line = if on {
        s.look.say(
            "the till is in training: no money moves; practise with `tillctl pay --training`",
            "收银机处于培训模式：不动资金；用 `tillctl pay --training` 练习",
        )
    } else {
        s.look.say("training has ended: payments are real", "培训已结束：交易为真实交易")
    };
    s.did(line, &json!({ "training": on }))
}

async fn journal(s: &Session, command: JournalCommand) -> Result<u8, Failure> {
    let journal = Journal1Proxy::new(&s.connection).await?;
    match command {
        JournalCommand::Head => {
            let state = tree::journal(&s.connection).await?;
            s.show(&state, |_| format!("{} {}\n", state.head_seq, state.head_hash))?;
        }
        JournalCommand::Verify | JournalCommand::Check(_) => {
            let (records, problems) = journal.verify(Options::new()).await?;
            s.show(&json!({ "records": records, "problems": problems }), |look| {
                let mut text = format!("{records} {}\n", look.say("records checked", "条记录已校验"));
                for problem in &problems {
                    crate::look::line(&mut text, &format!("  {}", look.paint(&clean(problem), Tone::Bad)));
                }
                if problems.is_empty() {
                    text += look.say("every record, hash and link is well\n", "记录、哈希与链接全部正常\n");
                }
                text
            })?;
            if !problems.is_empty() {
                return Ok(JOURNAL);
            }
        }
        JournalCommand::Export { file, from, to } => export(s, &journal, &file, from, to).await?,
        JournalCommand::Backup { file, .. } => backup(s, &journal, &file).await?,
        JournalCommand::RotateKeys { which } => {
            let mut options = s.options();
            options.insert("which", which.as_str().into());
            let epoch = journal.rotate_keys(options).await?;
            let text = s.look.say("replaced; the journal goes on in epoch", "密钥已更换，日志进入第");
            s.did(&format!("{text} {epoch}"), &json!({ "epoch": epoch, "which": which }))?;
        }
        // Handed over before.
        JournalCommand::Rebuild { .. } | JournalCommand::Restore { .. } => {}
    }
    Ok(DONE)
}

async fn export(
    s: &Session,
    journal: &Journal1Proxy<'_>,
    file: &Path,
    from: u64,
    to: u64,
) -> Result<(), Failure> {
    if file.as_os_str() == "-" {
        journal.export(from, to, Fd::from(std::io::stdout().as_fd()), Options::new()).await?;
        return Ok(());
    }
    let made = create(file)?;
    let result = journal.export(from, to, Fd::from(made.as_fd()), Options::new()).await;
    let records = match result {
        Ok(records) => records,
        Err(e) => {
            // Half an export looks like a whole one.
            let _already_failed = std::fs::remove_file(file);
            return Err(e.into());
        }
    };
    let line = format!("{records} {} → {}", s.look.say("records", "条记录"), file.display());
    s.did(&line, &json!({ "records": records, "file": file.display().to_string() }))
}

async fn evidence_of(s: &Session, command: EvidenceCommand) -> Result<(), Failure> {
    let journal = Journal1Proxy::new(&s.connection).await?;
    match command {
        EvidenceCommand::Key { file } => {
            let pem = journal.evidence_key().await?;
            if file.as_os_str() == "-" {
                return write_out(&pem);
            }
            create(&file)?.write_all(pem.as_bytes())?;
            let shown = file.display().to_string();
            s.did(
                &format!("{} → {shown}", s.look.say("public key", "公钥")),
                &json!({ "file": shown, "key": pem }),
            )
        }
        EvidenceCommand::Export { payment, file } => {
            let id = s.payment_id(&payment).await?;
            if file.as_os_str() == "-" {
                journal.export_evidence(&id, Fd::from(std::io::stdout().as_fd()), Options::new()).await?;
                return Ok(());
            }
            let made = create(&file)?;
            let result = journal.export_evidence(&id, Fd::from(made.as_fd()), Options::new()).await;
            let records = result.inspect_err(|_| {
                // Half a file is no evidence.
                let _already_failed = std::fs::remove_file(&file);
            })?;
            let shown = file.display().to_string();
            let line = format!("{records} {} → {shown}", s.look.say("records", "条记录"));
            s.did(&line, &json!({ "records": records, "file": shown }))
        }
        // Taken before: it asks no till.
        EvidenceCommand::Verify { .. } => Ok(()),
    }
}

async fn backup(s: &Session, journal: &Journal1Proxy<'_>, file: &Path) -> Result<(), Failure> {
    let made = create(file)?;
    let result = journal.backup(Fd::from(made.as_fd()), Options::new()).await;
    let (records, head, hash) = match result {
        Ok(summary) => summary,
        Err(e) => {
            // Half a backup must not look like one.
            let _already_failed = std::fs::remove_file(file);
            return Err(e.into());
        }
    };
    let line = format!("{records} {} → {}", s.look.say("records", "条记录"), file.display());
    let json = json!({
        "records": records, "head": { "seq": head, "hash": hash }, "file": file.display().to_string(),
    });
    s.did(&line, &json)
}

/// A new file that only its owner reads: the journal is the shop's business.
pub(crate) fn create(file: &Path) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|e| Failure {
        exit: REFUSED,
        code: "Io".into(),
        text: format!("{}: {e}", file.display()),
        hint: Some("name a file that does not exist yet, in a folder that you may write to".into()),
    })
}
