//! `channel`: suspend, resume, history.

use serde_json::json;
use till_dbus::Options;

use crate::args::{ChannelCommand, Command};
use crate::exit::Failure;
use crate::session::Session;
use crate::view;

/// Nobody suspends or resumes a channel without a name.
pub(crate) fn check(command: &Command, operator: Option<&str>) -> Result<(), Failure> {
    let Command::Channel(ChannelCommand::Suspend { .. } | ChannelCommand::Resume { .. }) = command else {
        return Ok(());
    };
    if operator.is_some_and(|o| !o.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::usage(
        "suspending and resuming a channel wants a name: give --operator NAME, who does it; it stands in the journal",
    ))
}

pub(crate) async fn run(s: &Session, command: &ChannelCommand) -> Result<(), Failure> {
    let till = s.terminal().await?;
    match command {
        ChannelCommand::Suspend { channel, reason } => {
            till.suspend_channel(channel, reason, s.options()).await?;
            let line = s.look.say(
                "suspended: nothing new goes to it, what is under way is resolved; `tillctl channel resume` ends it",
                "已暂停：不再受理新交易，在途交易继续处理；用 `tillctl channel resume` 恢复",
            );
            s.did(line, &json!({ "channel": channel, "suspended": true }))
        }
        ChannelCommand::Resume { channel, reason } => {
            till.resume_channel(channel, reason, s.options()).await?;
            s.did(
                s.look.say("it takes payments again", "已恢复受理"),
                &json!({ "channel": channel, "suspended": false }),
            )
        }
        ChannelCommand::History => {
            let acts = till.list_suspensions(Options::new()).await?;
            s.show(&json!({ "acts": acts }), |look| view::suspensions(look, &acts))
        }
    }
}
