//! Stands before every object: properties are read, and the tree is listed, by those who may look.
//!
//! Methods ask for themselves ([`super::access::Access::check`]), so that each stands beside what it does; properties and
//! `GetManagedObjects` are answered by the bus library, so they are asked about here, once for all of them.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use zbus::message::{Header, Message};
use zbus::names::{InterfaceName, MemberName};
use zbus::object_server::{DispatchResult, Interface, SignalEmitter};
use zbus::{BoxDBusError, Connection, DBusError, ObjectServer, OwnedVariant, Variant};

use super::World;
use super::actions::MANAGED;

/// An object of ours, guarded.
pub(super) struct Guard<T> {
    world: Arc<World>,
    inner: T,
}

impl<T> Guard<T> {
    pub(super) fn new(world: &Arc<World>, inner: T) -> Self {
        Self { world: world.clone(), inner }
    }
}

#[async_trait]
impl<T: Interface> Interface for Guard<T> {
    fn name() -> InterfaceName<'static> {
        T::name()
    }

    fn spawn_tasks_for_methods(&self) -> bool {
        self.inner.spawn_tasks_for_methods()
    }

    async fn get(
        &self,
        property: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        // Without a header nobody asks: the object is being put up, or a change is told.
        if let Some(header) = header
            && let Err(e) = self.world.access.check_read(connection, header, T::name().as_str()).await
        {
            return Some(Err(Box::new(e)));
        }
        self.inner.get(property, server, connection, header, emitter).await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> zbus::fdo::Result<HashMap<String, OwnedVariant>> {
        if let Some(header) = header {
            let checked = self.world.access.check_read(connection, header, T::name().as_str()).await;
            // The library lets this one fail with standard errors only.
            checked
                .map_err(|e| zbus::fdo::Error::AccessDenied(e.description().unwrap_or_default().into()))?;
        }
        self.inner.get_all(server, connection, header, emitter).await
    }

    fn set<'call>(
        &'call self,
        property: &'call str,
        value: &'call Variant<'_>,
        server: &'call ObjectServer,
        connection: &'call Connection,
        header: Option<&'call Header<'_>>,
        emitter: &'call SignalEmitter<'_>,
    ) -> DispatchResult<'call> {
        // The contract has no property that can be written.
        self.inner.set(property, value, server, connection, header, emitter)
    }

    async fn set_mut(
        &mut self,
        property: &str,
        value: &Variant<'_>,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        self.inner.set_mut(property, value, server, connection, header, emitter).await
    }

    fn call<'call>(
        &'call self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        let listing = T::name().as_str() == MANAGED.0;
        match self.inner.call(server, connection, message, name) {
            DispatchResult::Async(answer) if listing => DispatchResult::Async(Box::pin(async move {
                if let Err(e) = self.world.access.check(connection, &message.header()).await {
                    return Err(Box::new(e) as BoxDBusError);
                }
                answer.await
            })),
            other => other,
        }
    }

    fn call_mut<'call>(
        &'call mut self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        self.inner.call_mut(server, connection, message, name)
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        self.inner.introspect_to_writer(writer, level);
    }
}
