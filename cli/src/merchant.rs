//! `merchant` and `hash-password`.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write, stdin};
use std::os::fd::AsFd;
use std::path::Path;

use serde_json::json;
use till_password::MAX_PASSWORD;
use till_plugin::Sensitive;
use zbus::Fd;

use crate::args::{Command, MerchantCommand, PasswordFrom};
use crate::exit::Failure;
use crate::look::Look;
use crate::secret_line;
use crate::session::{Session, write_out};

/// A lock is taken away by somebody.
pub fn check(command: &Command, operator: Option<&str>) -> Result<(), Failure> {
    let Command::Merchant(MerchantCommand::Unlock { .. }) = command else { return Ok(()) };
    if operator.is_some_and(|o| !o.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::usage("unlocking wants a name: give --operator NAME, who does it; it stands in the journal"))
}

/// The password, from where it is.
async fn password(
    look: &Look,
    from: &PasswordFrom,
    prompt: (&str, &str),
) -> Result<Sensitive<String>, Failure> {
    let password = match &from.password_file {
        Some(file) => first_line(file)?,
        None => secret_line::read_as(look.say(prompt.0, prompt.1), "password").await?,
    };
    if password.expose().len() > MAX_PASSWORD {
        return Err(Failure::usage(format!("a password has at most {MAX_PASSWORD} bytes")));
    }
    Ok(password)
}

fn first_line(file: &Path) -> Result<Sensitive<String>, Failure> {
    let fail = |e: std::io::Error| Failure::usage(format!("{}: {e}", file.display()));
    let mut line = Sensitive::new(String::with_capacity(MAX_PASSWORD + 2));
    let most = u64::try_from(MAX_PASSWORD + 2).unwrap_or(u64::MAX);
    BufReader::new(File::open(file).map_err(fail)?).take(most).read_line(line.expose_mut()).map_err(fail)?;
    let text = line.expose_mut();
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() {
        return Err(Failure::usage(format!("{}: its first line is empty", file.display())));
    }
    Ok(line)
}

/// Runs one of these commands.
pub(crate) async fn run(s: &Session, command: &MerchantCommand) -> Result<(), Failure> {
    let till = s.terminal().await?;
    match command {
        MerchantCommand::SignIn { channel, number, password: from } => {
            let password = password(&s.look, from, ("merchant's password: ", "商户密码：")).await?;
            let pipe = till_dbus::code_pipe(password.expose())?;
            drop(password);
            till.authenticate_merchant(channel, number, Fd::from(pipe.as_fd()), s.options()).await?;
            let line = s.look.say("the channel takes sales now", "该通道现可受理交易");
            s.did(&format!("{channel}: {line}"), &json!({ "channel": channel, "merchant": "passed" }))
        }
        MerchantCommand::SignOut { channel } => {
            till.sign_out_merchant(channel, s.options()).await?;
            let line = s.look.say("asks for the merchant again", "须重新验证商户");
            s.did(&format!("{channel}: {line}"), &json!({ "channel": channel, "merchant": "required" }))
        }
        MerchantCommand::Unlock { channel } => {
            till.unlock_merchant(channel, s.options()).await?;
            let line = s.look.say("people may try again", "已解锁，可重新验证");
            s.did(&format!("{channel}: {line}"), &json!({ "channel": channel, "unlocked": true }))
        }
    }
}

/// Makes the line that is stored in place of a password.
pub(crate) async fn hash(look: &Look, file: Option<&Path>, from: &PasswordFrom) -> Result<(), Failure> {
    let first = password(look, from, ("new password: ", "新密码：")).await?;
    // What nobody sees is typed twice; a file or pipe says what it says.
    if from.password_file.is_none() && stdin().is_terminal() {
        let second = password(look, from, ("once more: ", "再输入一次：")).await?;
        if second != first {
            return Err(Failure::usage("these are two different passwords: nothing was made"));
        }
    }
    let hash = till_password::hash(&first).map_err(|e| Failure::usage(e.to_string()))?;
    let mut line = Sensitive::new(format!("{}\n", hash.expose()));
    match file {
        None => write_out(line.expose()),
        Some(file) => {
            let mut made = crate::command::create(file)?;
            made.write_all(line.expose_mut().as_bytes())?;
            made.sync_all()?;
            Ok(())
        }
    }
}
