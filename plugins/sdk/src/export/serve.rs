//! Method numbers to trait functions.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::channel::{Authorise, Channel, Follow, FollowUp, Prepared, UndoReason};
use crate::driver::Driver;
use crate::error::PluginError;
use crate::host::{Host, Settings};
use crate::proto::{decode, encode, method};

/// An author's type as numbered calls over bytes.
pub trait Served: Sized + Send + 'static {
    /// Makes the instance.
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError>;
    /// One call.
    fn call(&mut self, method: u32, request: &[u8]) -> Result<Vec<u8>, PluginError>;
    /// The next encoded event.
    fn next_event(&mut self, budget: Duration) -> Result<Option<Vec<u8>>, PluginError>;
}

fn unknown_method(number: u32) -> PluginError {
    PluginError::unsupported(&format!("method {number:#06x}"))
}

fn next<E: Serialize>(
    queue: &mut VecDeque<E>,
    poll: impl FnOnce() -> Result<Vec<E>, PluginError>,
) -> Result<Option<Vec<u8>>, PluginError> {
    if queue.is_empty() {
        queue.extend(poll()?);
    }
    queue.pop_front().map(|event| encode(&event)).transpose()
}

/// A [`Driver`] served.
pub struct ServeDriver<D: Driver> {
    driver: D,
    events: VecDeque<crate::driver::DriverEvent>,
}

impl<D: Driver> Served for ServeDriver<D> {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        Ok(Self { driver: D::open(host, settings)?, events: VecDeque::new() })
    }

    fn call(&mut self, number: u32, request: &[u8]) -> Result<Vec<u8>, PluginError> {
        let d = &mut self.driver;
        match number {
            method::DESCRIBE_1 => encode(&d.describe()),
            method::STATISTICS_1 => encode(&d.statistics()),
            method::HEALTH_1 => encode(&d.health(decode(request)?)?),
            method::ENABLE_1 => {
                // What was read before the reader was armed belongs to nobody.
                self.events.retain(|e| !matches!(e, crate::driver::DriverEvent::Read(_)));
                encode(&d.enable(decode(request)?)?)
            }
            method::DISABLE_1 => {
                self.events.retain(|e| !matches!(e, crate::driver::DriverEvent::Read(_)));
                encode(&d.disable()?)
            }
            method::PRINT_1 => encode(&d.print(decode(request)?)?),
            method::CANCEL_PRINT_1 => encode(&d.cancel_print(decode(request)?)?),
            method::OPEN_DRAWER_1 => encode(&d.open_drawer(decode(request)?)?),
            method::SHOW_1 => encode(&d.show(decode(request)?)?),
            method::SIGNAL_1 => encode(&d.signal(decode(request)?)?),
            method::SAY_1 => encode(&d.say(decode(request)?)?),
            method::SAY_2 => encode(&d.announce(decode(request)?)?),
            method::ENTER_PIN_1 => encode(&d.enter_pin(decode(request)?)?),
            _ => Err(unknown_method(number)),
        }
    }

    fn next_event(&mut self, budget: Duration) -> Result<Option<Vec<u8>>, PluginError> {
        next(&mut self.events, || self.driver.poll(budget))
    }
}

/// A [`Channel`] served.
pub struct ServeChannel<C: Channel> {
    channel: C,
    events: VecDeque<crate::channel::ChannelEvent>,
}

impl<C: Channel> Served for ServeChannel<C> {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        Ok(Self { channel: C::open(host, settings)?, events: VecDeque::new() })
    }

    fn call(&mut self, number: u32, request: &[u8]) -> Result<Vec<u8>, PluginError> {
        let c = &mut self.channel;
        match number {
            method::DESCRIBE_1 => encode(&c.describe()),
            method::STATISTICS_1 => encode(&c.statistics()),
            method::SIGN_IN_1 => encode(&c.sign_in(&decode(request)?)?),
            method::SIGN_OFF_1 => encode(&c.sign_off()?),
            method::PREPARE_1 => encode(&c.prepare(&decode(request)?)),
            method::AUTHORISE_1 => {
                let (authorise, prepared): (Authorise, Prepared) = decode(request)?;
                encode(&c.authorise(&authorise, &prepared))
            }
            method::QUERY_1 => encode(&c.query(&decode(request)?)),
            method::UNDO_1 => {
                let (original, reason): (FollowUp, UndoReason) = decode(request)?;
                encode(&c.undo(&original, reason))
            }
            method::LEG_RULES_1 => encode(&c.leg_rules()),
            method::PREPARE_FOLLOW_1 => encode(&c.prepare_follow(&decode(request)?)),
            method::FOLLOW_1 => {
                let (follow, prepared): (Follow, Prepared) = decode(request)?;
                encode(&c.follow(&follow, &prepared))
            }
            method::QUERY_FOLLOW_1 => {
                let (follow, original): (Follow, FollowUp) = decode(request)?;
                encode(&c.query_follow(&follow, &original))
            }
            method::SETTLE_1 => encode(&c.settle(&decode(request)?)),
            method::UPLOAD_2 => encode(&c.upload(&decode(request)?)),
            method::BALANCE_1 => encode(&c.balance(&decode(request)?)),
            method::PROBE_1 => encode(&c.probe()?),
            method::PREPARE_ACCOUNT_1 => encode(&c.prepare_account(&decode(request)?)),
            method::ACCOUNT_1 => encode(&c.account(&decode(request)?)),
            method::QUERY_ACCOUNT_1 => encode(&c.query_account(&decode(request)?)),
            _ => Err(unknown_method(number)),
        }
    }

    fn next_event(&mut self, budget: Duration) -> Result<Option<Vec<u8>>, PluginError> {
        next(&mut self.events, || self.channel.poll(budget))
    }
}
