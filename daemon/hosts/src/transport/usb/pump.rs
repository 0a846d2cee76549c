//! Bytes between the plugin's line and the endpoints, until one of them ends.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Sink, Source, UsbError};

/// Bytes of one transfer.
pub(super) const CHUNK: usize = 4096;
/// Pause after an empty packet: some printers answer every poll with one, and would be asked without end.
const EMPTY: Duration = Duration::from_millis(20);

/// Pumps. `Ok`: the plugin closed its end.
pub(super) async fn run(
    line: UnixStream,
    sink: impl Sink,
    source: Option<impl Source>,
) -> Result<(), UsbError> {
    let (reader, writer) = line.into_split();
    tokio::select! {
        ended = out(reader, sink) => ended,
        ended = back(writer, source) => ended,
    }
}

async fn out(mut line: impl AsyncRead + Unpin, mut sink: impl Sink) -> Result<(), UsbError> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match line.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(n) => sink.send(buffer[..n].to_vec()).await?,
            Err(e) => return Err(UsbError::Line(e.to_string())),
        }
    }
}

async fn back(mut line: impl AsyncWrite + Unpin, source: Option<impl Source>) -> Result<(), UsbError> {
    // A printer of one direction says nothing; its line ends by the other half.
    let Some(mut source) = source else { return std::future::pending().await };
    loop {
        let bytes = source.receive().await?;
        if bytes.is_empty() {
            tokio::time::sleep(EMPTY).await;
        } else if let Err(e) = line.write_all(&bytes).await {
            return Err(UsbError::Line(e.to_string()));
        }
    }
}
