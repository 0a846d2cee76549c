//! The line of a USB printer on endpoints that are not there: everything but the kernel's own part.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::*;

/// A printer's endpoints as a program sees them.
#[derive(Clone, Default)]
struct Printer {
    taken: Arc<Mutex<Vec<u8>>>,
    /// Unplugged when so many bytes were taken.
    unplug_at: Option<usize>,
    /// Takes nothing (paper out, buffer full): NAKs for ever.
    full: bool,
    /// Counts endpoints that are given back.
    released: Arc<AtomicUsize>,
}

struct FakeOut(Printer);

impl Sink for FakeOut {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), UsbError> {
        if self.0.full {
            std::future::pending::<()>().await;
        }
        let mut taken = self.0.taken.lock().unwrap();
        let room = self.0.unplug_at.map_or(usize::MAX, |at| at.saturating_sub(taken.len()));
        taken.extend(bytes.iter().take(room));
        if bytes.len() > room { Err(UsbError::Unplugged) } else { Ok(()) }
    }
}

impl Drop for FakeOut {
    fn drop(&mut self) {
        self.0.released.fetch_add(1, SeqCst);
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

fn attach(printer: &Printer, source: Option<FakeIn>) -> (UnixStream, Held) {
    let opened = line("/dev/bus/usb/001/004".into(), FakeOut(printer.clone()), source).unwrap();
    let stream = std::os::unix::net::UnixStream::from(opened.fd);
    (UnixStream::from_std(stream).unwrap(), opened.held)
}

#[tokio::test]
async fn bytes_go_both_ways_in_order() {
    let printer = Printer::default();
    let (say, said) = mpsc::unbounded_channel();
    let (mut plugin, _held) = attach(&printer, Some(FakeIn(said)));
    let job: Vec<u8> = (0..20_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    plugin.write_all(&job).await.unwrap();
    say.send(Ok(vec![0x12])).unwrap();
    say.send(Ok(Vec::new())).unwrap();
    say.send(Ok(vec![0x16, 0x1A])).unwrap();
    let mut answers = [0; 3];
    plugin.read_exact(&mut answers).await.unwrap();
    assert_eq!(answers, [0x12, 0x16, 0x1A]);
    plugin.shutdown().await.unwrap();
    assert_eq!(plugin.read(&mut answers).await.unwrap(), 0, "the line ends");
    assert_eq!(*printer.taken.lock().unwrap(), job);
}

#[tokio::test]
async fn unplugged_mid_transfer_is_a_typed_end_and_the_plugin_hears_of_it() {
    for at in [0, 1, 4095, 4096, 5000] {
        let printer = Printer { unplug_at: Some(at), ..Printer::default() };
        let (ours, mut plugin) = UnixStream::pair().unwrap();
        let pump = tokio::spawn(pump::run(ours, FakeOut(printer.clone()), None::<FakeIn>));
        // It may end while this is still writing.
        let _gone = plugin.write_all(&vec![7; 20_000]).await;
        assert_eq!(pump.await.unwrap(), Err(UsbError::Unplugged), "at {at}");
        let mut rest = Vec::new();
        let ended = plugin.read_to_end(&mut rest).await;
        assert!(rest.is_empty() && ended.is_ok_and(|n| n == 0) || plugin.write_all(b"x").await.is_err());
        assert_eq!(printer.taken.lock().unwrap().len(), at);
    }
    // And where it is noticed by the other endpoint.
    let (say, said) = mpsc::unbounded_channel();
    let (ours, _plugin) = UnixStream::pair().unwrap();
    say.send(Err(UsbError::Unplugged)).unwrap();
    let source = FakeIn(said);
    assert_eq!(pump::run(ours, FakeOut(Printer::default()), Some(source)).await, Err(UsbError::Unplugged));
}

#[tokio::test]
async fn a_printer_of_one_direction_prints_and_is_given_back() {
    let printer = Printer::default();
    let (mut plugin, _held) = attach(&printer, None);
    plugin.write_all(b"receipt").await.unwrap();
    plugin.shutdown().await.unwrap();
    let mut nothing = [0];
    assert_eq!(plugin.read(&mut nothing).await.unwrap(), 0);
    assert_eq!(*printer.taken.lock().unwrap(), b"receipt");
    assert_eq!(printer.released.load(SeqCst), 1, "the interface is free for the next one");
}

#[tokio::test]
async fn a_printer_that_takes_nothing_is_felt_after_few_bytes() {
    let printer = Printer { full: true, ..Printer::default() };
    let (plugin, held) = attach(&printer, None);
    let mut accepted = 0;
    while let Ok(n) = plugin.try_write(&[0; 1024]) {
        accepted += n;
        // What the pump holds besides is one transfer.
        tokio::task::yield_now().await;
        assert!(accepted < 32 * 1024, "{accepted} bytes count as written and are nowhere");
    }
    // The device is given back although a transfer waits.
    drop(held);
    let mut plugin = plugin;
    let mut nothing = [0];
    let end = plugin.read(&mut nothing).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    assert_eq!(printer.released.load(SeqCst), 1);
}

#[tokio::test]
async fn a_printer_that_answers_with_nothing_is_not_asked_without_end() {
    let (say, said) = mpsc::unbounded_channel();
    for _ in 0..10 {
        say.send(Ok(Vec::new())).unwrap();
    }
    say.send(Ok(vec![0x12])).unwrap();
    let began = Instant::now();
    let (mut plugin, _held) = attach(&Printer::default(), Some(FakeIn(said)));
    let mut answer = [0];
    plugin.read_exact(&mut answer).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "asked ten times in {:?}", began.elapsed());
}
