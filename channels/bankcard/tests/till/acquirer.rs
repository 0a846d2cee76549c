//! A scripted host: one closure a connection. It records every request and signs its replies as the protocol asks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use till_channel_bankcard::codec;
use till_channel_bankcard::dialect::Dialect;
use till_channel_bankcard::framing::{FrameReader, frame};
use till_channel_bankcard::link_key::LinkKey;
use till_channel_bankcard::mac;
use till_channel_bankcard::message::Message;
use till_channel_bankcard::tdes::DesKey;

pub(crate) const TMK: &str = "0123456789ABCDEFFEDCBA9876543210";
pub(crate) const MAK: &str = "31A285E0C4D31F6BF87C194602BD5EA3";
pub(crate) const PIK: &str = "5BA4D213F76E8C90E1C2A4B6D8F03579";

pub(crate) type Step = Box<dyn FnOnce(&mut Connection) + Send>;

pub(crate) fn key(hex_text: &str) -> DesKey {
    DesKey::new(&hex::decode(hex_text).unwrap()).unwrap()
}

/// One connection of a till.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) dialect: Dialect,
    /// The request that came.
    pub(crate) request: Message,
}

impl Connection {
    /// A reply to the request: type plus ten, the fields a host repeats, response code.
    pub(crate) fn answer(&self, code: &str) -> Message {
        let mut mti = self.request.mti_bytes();
        mti[2] += 1;
        let mut reply = Message::new(mti);
        for number in [2, 3, 4, 11, 25, 41, 42, 49, 60] {
            if let Some(value) = self.request.get(number) {
                reply.set(number, value);
            }
        }
        reply.set(12, "092001").set(13, "0901").set(37, "090920010002").set(39, code);
        reply
    }

    /// The frame of a reply, signed with [`MAK`] where its type is.
    pub(crate) fn frame(&self, mut reply: Message) -> Vec<u8> {
        if self.dialect.signs_reply(reply.mti()) && reply.get(64).is_none() {
            seal(&self.dialect, &mut reply, &key(MAK).into());
        }
        frame(&self.dialect, &codec::encode(&self.dialect, &reply).unwrap()).unwrap().to_vec()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A till that has given up is not the host's fault.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn reply(&mut self, reply: Message) {
        let bytes = self.frame(reply);
        self.send(&bytes);
    }

    /// Waits until the till closes.
    pub(crate) fn silence(&mut self) {
        let _ = self.stream.read(&mut [0; 1]);
    }
}

pub(crate) fn seal(dialect: &Dialect, message: &mut Message, mak: &LinkKey) {
    message.set(64, [0; 8]);
    let encoded = codec::encode_checked(dialect, message).unwrap();
    let covered = mac::covered(dialect, &encoded.layout, &encoded.payload);
    message.set(64, mac::field64(dialect, mak, &covered).unwrap());
}

/// Field 62 in the form 003.
pub(crate) fn working_keys() -> Vec<u8> {
    let tmk = key(TMK);
    [PIK, MAK]
        .iter()
        .flat_map(|text| {
            let clear = hex::decode(text).unwrap();
            let wrapped = clear.chunks_exact(8).flat_map(|half| tmk.encrypt(half.try_into().unwrap()));
            wrapped.chain(key(text).check_value()[..4].to_vec()).collect::<Vec<u8>>()
        })
        .collect()
}

pub(crate) fn sign_in() -> Step {
    Box::new(|connection| {
        let mut reply = connection.answer("00");
        reply.set(60, "00000012003").set(62, working_keys());
        connection.reply(reply);
    })
}

/// A host that serves `steps` in order; what connects after them is left waiting, so that a request too many is noticed.
pub(crate) struct Acquirer {
    pub(crate) address: String,
    requests: Receiver<(Message, bool)>,
    thread: Option<JoinHandle<TcpListener>>,
}

impl Acquirer {
    pub(crate) fn serve(dialect: &Dialect, steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = channel();
        let dialect = dialect.clone();
        let thread = std::thread::spawn(move || {
            for step in steps {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, &dialect, step, &sender);
            }
            listener
        });
        Self { address, requests, thread: Some(thread) }
    }

    /// Waits for the script to end, closes the port, and gives the requests that came, with whether their MAC was right.
    /// Nobody may have connected beyond the script.
    pub(crate) fn done(mut self) -> Vec<(Message, bool)> {
        let listener = self.thread.take().unwrap().join().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "somebody connected beyond the script");
        self.requests.try_iter().collect()
    }
}

fn serve(mut stream: TcpStream, dialect: &Dialect, step: Step, sender: &Sender<(Message, bool)>) {
    let mut reader = FrameReader::new(dialect);
    let mut buffer = [0; 512];
    let payload = loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the till closed before its request was whole");
        reader.push(&buffer[..count]).unwrap();
        if let Some(payload) = reader.next_payload() {
            break payload;
        }
    };
    let decoded = codec::decode(dialect, &payload).unwrap();
    let covered = mac::covered(dialect, &decoded, &payload);
    let sealed = decoded
        .message
        .get(64)
        .is_some_and(|seal| mac::matches(dialect, &key(MAK).into(), &covered, seal).unwrap());
    sender.send((decoded.message.clone(), sealed)).unwrap();
    let mut connection = Connection { stream, dialect: dialect.clone(), request: decoded.message };
    step(&mut connection);
}
