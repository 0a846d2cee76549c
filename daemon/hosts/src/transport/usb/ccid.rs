//! A CCID reader's line: a message of the plugin is one bulk-OUT transfer, a message of the reader is one packet to the plugin
//! (USB CCID rev. 1.1, 5.2 and 6: a header of ten bytes whose second to fifth say how many follow).

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use zeroize::{Zeroize, Zeroizing};

use super::{Sink, Source, UsbError};
use crate::transport::net::packet_pair;
use crate::transport::{Held, Opened};

const HEADER: usize = 10;
/// Longest message, either way; readers of short APDUs have 271.
const MOST: usize = 1024;
/// Pause after an empty packet that ends nothing.
const EMPTY: Duration = Duration::from_millis(20);

/// A line whose other end is the reader.
pub(super) fn line(path: PathBuf, sink: impl Sink, source: impl Source) -> std::io::Result<Opened> {
    let (ours, theirs) = packet_pair()?;
    let ours = UnixStream::from_std(ours)?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! {
            ended = run(ours, sink, source) => {
                if let Err(e) = ended { tracing::warn!(device = %path.display(), "{e}"); }
            }
            _ = stopped => {}
        }
    });
    Ok(Opened { fd: theirs, held: Held::Player { _stop: stop } })
}

/// Pumps. `Ok`: the plugin closed its end.
pub(super) async fn run(line: UnixStream, sink: impl Sink, source: impl Source) -> Result<(), UsbError> {
    let (reader, writer) = line.into_split();
    tokio::select! {
        ended = out(reader, sink) => ended,
        ended = back(writer, source) => ended,
    }
}

async fn out(mut line: tokio::net::unix::OwnedReadHalf, mut sink: impl Sink) -> Result<(), UsbError> {
    let mut buffer = Zeroizing::new(vec![0; MOST + 1]);
    loop {
        let count = match line.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) => return Err(UsbError::Line(e.to_string())),
        };
        let message = buffer.get_mut(..count).unwrap_or_default();
        if announced(message) != Some(count) || count > MOST {
            return Err(UsbError::Line(format!("it sent {count} bytes that are no CCID message")));
        }
        let sent = sink.send(message.to_vec()).await;
        message.zeroize();
        sent?;
    }
}

async fn back(mut line: tokio::net::unix::OwnedWriteHalf, mut source: impl Source) -> Result<(), UsbError> {
    loop {
        let message = message(&mut source).await?;
        if let Err(e) = line.write_all(&message).await {
            return Err(UsbError::Line(e.to_string()));
        }
    }
}

/// One message, put together from packets: until it is as long as it says, or a packet is short. What is longer or shorter than it says
/// goes on as it came; the plugin judges it.
async fn message(source: &mut impl Source) -> Result<Zeroizing<Vec<u8>>, UsbError> {
    let mut message = Zeroizing::new(Vec::with_capacity(MOST));
    loop {
        let mut packet = source.receive().await?;
        let short = packet.len() < source.packet();
        message.extend_from_slice(&packet);
        packet.zeroize();
        if message.is_empty() {
            // The end of the one before, where that filled its last packet.
            tokio::time::sleep(EMPTY).await;
            continue;
        }
        let whole = announced(&message);
        if let Some(length) = whole.filter(|l| *l > MOST) {
            return Err(UsbError::Transfer(format!("the reader announces a message of {length} bytes")));
        }
        if short || whole.is_some_and(|l| message.len() >= l) {
            return Ok(message);
        }
    }
}

/// How long a message says it is; `None`: its header is not there yet.
fn announced(message: &[u8]) -> Option<usize> {
    let header = message.get(..HEADER)?;
    let length = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
    Some(usize::try_from(length).unwrap_or(usize::MAX).saturating_add(HEADER))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    struct FakeOut(mpsc::UnboundedSender<Vec<u8>>, Result<(), UsbError>);

    impl Sink for FakeOut {
        async fn send(&mut self, bytes: Vec<u8>) -> Result<(), UsbError> {
            self.1.clone()?;
            let _closed = self.0.send(bytes);
            Ok(())
        }
    }

    struct FakeIn(mpsc::UnboundedReceiver<Result<Vec<u8>, UsbError>>);

    impl Source for FakeIn {
        async fn receive(&mut self) -> Result<Vec<u8>, UsbError> {
            match self.0.recv().await {
                Some(said) => said,
                None => std::future::pending().await,
            }
        }

        fn packet(&self) -> usize {
            64
        }
    }

    struct Bench {
        say: mpsc::UnboundedSender<Result<Vec<u8>, UsbError>>,
        taken: mpsc::UnboundedReceiver<Vec<u8>>,
        plugin: UnixStream,
        pump: tokio::task::JoinHandle<Result<(), UsbError>>,
    }

    fn bench(out: Result<(), UsbError>) -> Bench {
        let (say, said) = mpsc::unbounded_channel();
        let (take, taken) = mpsc::unbounded_channel();
        let (ours, theirs) = packet_pair().unwrap();
        let (ours, theirs) =
            (UnixStream::from_std(ours).unwrap(), UnixStream::from_std(theirs.into()).unwrap());
        let pump = tokio::spawn(run(ours, FakeOut(take, out), FakeIn(said)));
        Bench { say, taken, plugin: theirs, pump }
    }

    fn of(length: usize, announces: usize) -> Vec<u8> {
        let mut message = vec![0x80];
        message.extend(u32::try_from(announces).unwrap().to_le_bytes());
        message.extend([0, 1, 0, 0, 0]);
        message.extend((HEADER..length).map(|n| u8::try_from(n % 251).unwrap()));
        message
    }

    async fn heard(plugin: &mut UnixStream) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let count = plugin.read(&mut buffer).await.unwrap();
        buffer.truncate(count);
        buffer
    }

    #[tokio::test]
    async fn messages_are_put_together_from_packets_and_stay_apart() {
        let mut bench = bench(Ok(()));
        // Also those that fill their last packet, with and without an empty one behind.
        for (length, empty) in [(10, false), (63, false), (64, true), (64, false), (128, true), (271, false)]
        {
            let message = of(length, length - HEADER);
            for packet in message.chunks(64) {
                bench.say.send(Ok(packet.to_vec())).unwrap();
            }
            if empty {
                bench.say.send(Ok(Vec::new())).unwrap();
            }
            assert_eq!(heard(&mut bench.plugin).await, message, "{length}");
            bench.plugin.write_all(&message).await.unwrap();
            assert_eq!(bench.taken.recv().await.unwrap(), message);
        }
        drop(bench.plugin);
        assert_eq!(bench.pump.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_short_and_an_over_long_transfer_reach_the_plugin_as_they_are() {
        let mut bench = bench(Ok(()));
        for (length, announces) in [(20, 200), (80, 200), (40, 10), (5, 0)] {
            let mut message = of(length, announces);
            message.truncate(length);
            for packet in message.chunks(64) {
                bench.say.send(Ok(packet.to_vec())).unwrap();
            }
            assert_eq!(heard(&mut bench.plugin).await, message);
        }
        // A short one whose last packet was full ends with an empty one.
        let message = of(64, 100);
        bench.say.send(Ok(message.clone())).unwrap();
        bench.say.send(Ok(Vec::new())).unwrap();
        assert_eq!(heard(&mut bench.plugin).await, message);
    }

    #[tokio::test]
    async fn a_message_without_end_is_not_collected() {
        let mut bench = bench(Ok(()));
        bench.say.send(Ok(of(64, 0x00FF_FFFF))).unwrap();
        assert!(matches!(bench.pump.await.unwrap(), Err(UsbError::Transfer(_))));
        assert!(heard(&mut bench.plugin).await.is_empty());
    }

    #[tokio::test]
    async fn a_stall_and_an_unplug_on_either_endpoint_end_the_line() {
        for fault in [UsbError::Stalled("IN"), UsbError::Unplugged] {
            let mut bench_in = bench(Ok(()));
            // In the middle of a message too.
            bench_in.say.send(Ok(of(64, 200))).unwrap();
            bench_in.say.send(Err(fault.clone())).unwrap();
            assert_eq!(bench_in.pump.await.unwrap(), Err(fault.clone()));
            assert!(heard(&mut bench_in.plugin).await.is_empty(), "no half message");
            let mut bench_out = bench(Err(fault.clone()));
            bench_out.plugin.write_all(&of(10, 0)).await.unwrap();
            assert_eq!(bench_out.pump.await.unwrap(), Err(fault));
            assert!(heard(&mut bench_out.plugin).await.is_empty());
        }
    }

    #[tokio::test]
    async fn what_is_no_message_never_reaches_the_reader() {
        for bad in [vec![0x62, 0, 0], of(20, 5), of(1034, 1024)] {
            let mut bench = bench(Ok(()));
            bench.plugin.write_all(&bad).await.unwrap();
            assert!(matches!(bench.pump.await.unwrap(), Err(UsbError::Line(_))));
            assert!(bench.taken.recv().await.is_none());
        }
    }
}
