//! `monitor`: every signal as it comes.

use std::time::{Duration, SystemTime};

use till_dbus::{Bus, connect, events::Events};

use crate::exit::{DONE, Failure};
use crate::look::Look;
use crate::session::write_out;
use crate::signal;

pub(crate) async fn run(bus: &Bus, look: &Look, json: bool) -> Result<u8, Failure> {
    // A monitor may be there before the till: it waits for it.
    let connection = connect::open(bus, connect::TIMEOUT).await?;
    let mut events = Events::subscribe(&connection).await?;
    let state = if events.is_running() {
        look.say("listening; Ctrl-C ends", "监听中；按 Ctrl-C 结束")
    } else {
        look.say("tilld is not running: waiting for it; Ctrl-C ends", "tilld 未运行：等待中；按 Ctrl-C 结束")
    };
    eprintln!("{state}");
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            _ = tokio::signal::ctrl_c() => return Ok(DONE),
        };
        let Some(event) = event else {
            return Err(
                till_dbus::Error::NoBus { bus: bus.to_string(), detail: "the bus ended".into() }.into()
            );
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let line =
            if json { signal::json_line(&event, now).to_string() } else { signal::line(look, &event, now) };
        write_out(&format!("{line}\n"))?;
    }
}
