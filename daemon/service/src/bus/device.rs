//! `org.tilld.Device1`.

use std::collections::BTreeMap;
use std::sync::Arc;

use zbus::OwnedFd;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::errors::Error;
use super::options::{self, Options};
use super::recording::{self, Limits, Wish};
use super::{World, leases};
use crate::till::DeviceView;
use crate::till::claims::ClaimError;

/// One device.
pub(super) struct Device1 {
    pub(super) world: Arc<World>,
    pub(super) id: String,
}

impl From<ClaimError> for Error {
    fn from(e: ClaimError) -> Self {
        let text = e.to_string();
        match e {
            ClaimError::Held { .. } => Self::Busy(text),
            ClaimError::NoScanner { .. } => Self::Unsupported(text),
            ClaimError::NotClaimed { .. } => Self::WrongState(text),
            ClaimError::Pipe { .. } => Self::PluginFailed(text),
        }
    }
}

impl Device1 {
    fn seen<T: Default>(&self, f: impl FnOnce(&DeviceView) -> T) -> T {
        self.world.handle.published.get_device(&self.id).map_or_else(T::default, |v| f(&v))
    }

    async fn start_recording(
        &self,
        raw: bool,
        options: &Options,
        header: &Header<'_>,
        connection: &zbus::Connection,
    ) -> Result<OwnedFd, Error> {
        self.world.access.check(connection, header).await?;
        options::only(options, &["seconds", "bytes"])?;
        let limits = Limits::new(options)?;
        let (owner, who) = leases::caller(&self.world.access, connection, header).await?;
        let wish = Wish { device: self.id.clone(), owner, who, raw, limits };
        Ok(recording::start(&self.world, connection, wish).await?.into())
    }
}

#[zbus::interface(name = "org.tilld.Device1")]
impl Device1 {
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> (String, String) {
        self.seen(|v| v.name.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn plugin(&self) -> String {
        self.seen(|v| v.plugin.clone())
    }

    #[zbus(property)]
    fn classes(&self) -> Vec<String> {
        self.seen(|v| v.classes.clone())
    }

    #[zbus(property)]
    fn transport(&self) -> String {
        self.seen(|v| v.transport.clone())
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.seen(|v| v.state.clone())
    }

    #[zbus(property)]
    fn state_reason(&self) -> String {
        self.seen(|v| v.reason.clone())
    }

    #[zbus(property)]
    fn sandbox(&self) -> Vec<(String, String)> {
        self.seen(|v| v.sandbox.clone())
    }

    #[zbus(property)]
    fn claimed_by(&self) -> String {
        self.world.handle.readers.claims.owner(&self.id)
    }

    #[zbus(property)]
    fn recording(&self) -> &'static str {
        self.world.recordings.mode(&self.id)
    }

    async fn restart(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let released = self
            .world
            .supervisor
            .release_quarantine(&self.id)
            .map_err(|e| Error::PluginFailed(e.to_string()))?;
        match self.world.supervisor.get(&self.id) {
            Some(instance) if !released => {
                instance.restart();
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(Error::WrongState(format!(
                "device {} could not be started from its configuration: mend that and restart tilld",
                self.id
            ))),
        }
    }

    #[zbus(out_args("counters", "since"))]
    async fn statistics(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(BTreeMap<String, u64>, i64), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        Ok(self.world.handle.statistics.totals(&self.id).await)
    }

    async fn reset_statistics(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?.unwrap_or_default();
        let (_, who) = leases::caller(&self.world.access, connection, &header).await?;
        tracing::info!(DEVICE = self.id, operator, "statistics reset by {who}");
        self.world.handle.statistics.reset(&self.id).await.map_err(|e| {
            Error::PluginFailed(format!("reset, but not on disk yet: {e}; it is tried again by itself"))
        })
    }

    #[zbus(out_args("recording"))]
    async fn record(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<OwnedFd, Error> {
        self.start_recording(false, &options, &header, connection).await
    }

    #[zbus(out_args("recording"))]
    async fn record_raw(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<OwnedFd, Error> {
        self.start_recording(true, &options, &header, connection).await
    }

    async fn stop_recording(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        if self.world.recordings.stop(&self.id) {
            return Ok(());
        }
        Err(Error::WrongState(format!("the device {} is not being recorded", self.id)))
    }

    async fn claim(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let (owner, who) = leases::caller(&self.world.access, connection, &header).await?;
        let classes = self.seen(|v| v.classes.clone());
        let readers = self.world.handle.readers.clone();
        let Some(ended) = readers.claims.take(&self.id, &classes, &owner, &who)? else { return Ok(()) };
        super::device_changed(connection, &self.id, "ClaimedBy", owner.clone().into()).await;
        let (connection, id) = (connection.clone(), self.id.clone());
        tokio::spawn(async move {
            tokio::select! {
                _given_back = ended => return,
                () = leases::left(&connection, &owner) => {}
            }
            if readers.claims.release(&id, &owner).is_ok() {
                tracing::info!(DEVICE = id, "released: {who} left the bus");
                super::device_changed(&connection, &id, "ClaimedBy", "".into()).await;
            }
        });
        Ok(())
    }

    async fn release(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let (owner, _) = leases::caller(&self.world.access, connection, &header).await?;
        self.world.handle.readers.claims.release(&self.id, &owner)?;
        super::device_changed(connection, &self.id, "ClaimedBy", "".into()).await;
        Ok(())
    }

    #[zbus(out_args("codes"))]
    async fn enable(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<OwnedFd, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let (owner, _) = leases::caller(&self.world.access, connection, &header).await?;
        Ok(self.world.handle.readers.claims.enable(&self.id, &owner)?.into())
    }

    async fn disable(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let (owner, _) = leases::caller(&self.world.access, connection, &header).await?;
        Ok(self.world.handle.readers.claims.disable(&self.id, &owner)?)
    }

    #[zbus(signal, name = "StateChanged")]
    pub(super) async fn moved(
        emitter: &SignalEmitter<'_>,
        old: &str,
        new: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}
