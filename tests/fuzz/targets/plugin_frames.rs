//! What a plugin's process sends the daemon: frames off a stream that is cut anywhere, then whatever their payloads are read
//! as. The first byte is the length of each read. No bytes take the till down; the cuts change nothing; what was read says the
//! same when it is written.
#![cfg_attr(feature = "libfuzzer", no_main)]

use serde::de::DeserializeOwned;
use till_plugin::channel::{
    AccountOutcome, ChannelDescription, ChannelEvent, Decline, LegRule, Outcome, Prepared, QueryOutcome,
    SettleOutcome, SignedIn, UndoOutcome,
};
use till_plugin::driver::{DriverDescription, DriverEvent, Health};
use till_plugin::proto::{self, FrameBuffer, FrameError, FromHost, encode_frame};
use till_plugin::{Money, PluginError};

/// The messages of a stream, and why it ended.
fn taken(stream: &[u8], size: usize) -> (Vec<FromHost>, Option<FrameError>) {
    let (mut buffer, mut all) = (FrameBuffer::new(), Vec::new());
    for piece in stream.chunks(size.max(1)) {
        buffer.push(piece);
        loop {
            match buffer.take::<FromHost>() {
                Ok(Some(message)) => all.push(message),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
        }
    }
    let end = buffer.finish().err();
    (all, end)
}

fn payload<T: DeserializeOwned>(bytes: &[u8]) {
    let _: Result<T, PluginError> = proto::decode(bytes);
}

fn event(bytes: &[u8]) {
    payload::<DriverEvent>(bytes);
    payload::<ChannelEvent>(bytes);
}

/// As the reply to every call that there is.
fn reply(bytes: &[u8]) {
    payload::<DriverDescription>(bytes);
    payload::<ChannelDescription>(bytes);
    payload::<Vec<(String, u64)>>(bytes);
    payload::<Health>(bytes);
    payload::<SignedIn>(bytes);
    payload::<Result<Prepared, Decline>>(bytes);
    payload::<Result<Money, Decline>>(bytes);
    payload::<Outcome>(bytes);
    payload::<QueryOutcome>(bytes);
    payload::<UndoOutcome>(bytes);
    payload::<SettleOutcome>(bytes);
    payload::<AccountOutcome>(bytes);
    payload::<Vec<LegRule>>(bytes);
}

pub(crate) fn run(data: &[u8]) {
    let Some((&size, stream)) = data.split_first() else { return };
    let whole = taken(stream, stream.len());
    assert!(taken(stream, usize::from(size)) == whole, "where the stream is cut changes what it says");
    for message in whole.0 {
        // Not the same bytes: a number may be written longer than it need be. What it says is the same.
        let frame = encode_frame(&message).expect("what fitted into a frame does so again");
        assert!(taken(&frame, frame.len()).0 == [message.clone()], "another message comes back");
        match &message {
            FromHost::Created { description } => reply(description),
            FromHost::Reply { result: Ok(bytes), .. } => reply(bytes),
            FromHost::Event { payload, .. } => event(payload),
            _ => {}
        }
    }
    // What stands behind the frames, for a fuzzer that has not found out how to make one.
    event(stream);
    reply(stream);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
