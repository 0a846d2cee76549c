//! The plugin's thread: makes the instance, then calls and polls it until the end.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use till_plugin::proto::{Create, FromHost, event, method};
use till_plugin::{ErrorCode, PluginError};
use till_plugin_abi1::abi_stable::std_types::{ROption, RResult, RSlice, RVec};
use till_plugin_abi1::{Instance, PluginKind, RootV1_Ref};
use zeroize::Zeroize;

use crate::link::Link;
use crate::options::Options;
use crate::services::{encoded, host, plugin_error, send_event};
use crate::shared::{Call, Shared, Work};
use crate::transport::Transport;
use crate::{end, exit, reader};

/// What a poll may wait for something to happen. A call ends the wait early.
const BUDGET: Duration = Duration::from_millis(500);

/// A poll that comes back this soon with nothing did not wait; then the host waits, a little longer each time.
const AT_ONCE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Serves the plugin; the process ends in here.
pub(crate) fn serve(root: RootV1_Ref, link: Link, input: UnixStream, options: &Options) -> ExitCode {
    let internal = |what: &str, e: &dyn std::fmt::Display| {
        eprintln!("till-plugin-host: {what}: {e}");
        ExitCode::from(exit::INTERNAL)
    };
    let transport = match options.transport.map(Transport::inherit).transpose() {
        Ok(transport) => transport,
        Err(e) => return internal("no transport on the passed descriptor", &e),
    };
    let shared = match Shared::install(link, options.clock, transport) {
        Ok(shared) => shared,
        Err(e) => return internal("no eventfd", &e),
    };
    let spawned = thread::Builder::new()
        .name("frames".into())
        .stack_size(64 * 1024)
        .spawn(move || reader::read(shared, input));
    if let Err(e) = spawned {
        return internal("no thread", &e);
    }
    let kind = match options.kind {
        PluginKind::Driver => event::DRIVER_1,
        PluginKind::Channel => event::CHANNEL_1,
    };
    let mut plugin = Plugin { root, shared, instance: None, kind, pause: Duration::ZERO };
    loop {
        plugin.turn();
    }
}

struct Plugin {
    root: RootV1_Ref,
    shared: &'static Shared,
    instance: Option<Instance>,
    kind: u32,
    pause: Duration,
}

impl Plugin {
    fn turn(&mut self) {
        match (self.shared.pop(), self.instance) {
            (Some(Work::Create(create)), None) => self.create(create),
            (Some(Work::Call(call)), Some(instance)) => {
                self.pause = Duration::ZERO;
                self.call(instance, &call);
            }
            (Some(Work::Stop), instance) => self.stop(instance),
            // Twice, or too early: the daemon's mistake.
            (Some(Work::Create(_)), Some(_)) => end(exit::LINK),
            (Some(Work::Call(call)), None) => {
                let error = PluginError::new(ErrorCode::NotReady, "the instance is not made yet");
                self.shared.link.send(&FromHost::Reply { id: call.id, result: Err(error) });
            }
            (None, Some(instance)) => self.poll(instance),
            (None, None) => self.shared.wait_for_work(None),
        }
    }

    fn create(&mut self, mut create: Create) {
        let shared = self.shared;
        if let (Some(transport), Some(info)) = (&shared.transport, &create.transport) {
            transport.set_name(&info.name);
        }
        // The plugin asks for secrets by name; they do not go with the message.
        shared.keep(std::mem::take(&mut create.secrets), create.store.clone());
        let mut request = encoded(&create);
        shared.enter(None);
        let made = self.root.create()(host(), RSlice::from_slice(&request));
        shared.leave();
        request.zeroize();
        let instance = match made {
            RResult::ROk(instance) => instance,
            RResult::RErr(e) => {
                shared.link.send(&FromHost::CreateFailed(plugin_error(&e)));
                end(exit::CREATE);
            }
        };
        shared.enter(None);
        let described = self.root.call()(instance, method::DESCRIBE_1, RSlice::from_slice(&[]));
        shared.leave();
        match described {
            RResult::ROk(description) => {
                shared.link.send(&FromHost::Created { description: description.into_vec() });
                self.instance = Some(instance);
            }
            RResult::RErr(e) => {
                shared.link.send(&FromHost::CreateFailed(plugin_error(&e)));
                end(exit::CREATE);
            }
        }
    }

    fn call(&mut self, instance: Instance, call: &Call) {
        self.shared.enter(Some((call.id, call.deadline)));
        let result = self.root.call()(instance, call.method, RSlice::from_slice(&call.payload));
        self.shared.leave();
        let result = unpack(result);
        let panicked = matches!(&result, Err(e) if e.code == ErrorCode::Panicked);
        let mut frame = FromHost::Reply { id: call.id, result };
        self.shared.link.send(&frame);
        if let FromHost::Reply { result: Ok(reply), .. } = &mut frame {
            reply.zeroize();
        }
        if panicked && let FromHost::Reply { result: Err(error), .. } = frame {
            self.ended(instance, error);
        }
    }

    fn poll(&mut self, instance: Instance) {
        let began = Instant::now();
        let budget = u32::try_from(BUDGET.as_millis()).unwrap_or(u32::MAX);
        self.shared.enter(None);
        let polled = self.root.next_event()(instance, budget);
        self.shared.leave();
        match polled {
            RResult::ROk(ROption::RSome(event)) => {
                self.pause = Duration::ZERO;
                send_event(self.shared, self.kind, event.into_vec());
            }
            RResult::ROk(ROption::RNone) => {
                if began.elapsed() >= AT_ONCE {
                    self.pause = Duration::ZERO;
                    return;
                }
                self.shared.wait_for_work(Some(Instant::now() + self.pause));
                self.pause = (self.pause * 2).clamp(AT_ONCE, MAX_PAUSE);
            }
            RResult::RErr(e) => self.ended(instance, plugin_error(&e)),
        }
    }

    /// The instance is finished. One that panicked is not entered again, not even to drop it.
    fn ended(&self, instance: Instance, error: PluginError) -> ! {
        let panicked = error.code == ErrorCode::Panicked;
        self.shared.link.send(&FromHost::Ended(error));
        if !panicked {
            self.root.drop()(instance);
        }
        end(exit::ENDED);
    }

    fn stop(&self, instance: Option<Instance>) -> ! {
        if let Some(instance) = instance {
            self.root.drop()(instance);
        }
        end(exit::DONE);
    }
}

fn unpack(result: RResult<RVec<u8>, RVec<u8>>) -> Result<Vec<u8>, PluginError> {
    match result {
        RResult::ROk(reply) => Ok(reply.into_vec()),
        RResult::RErr(e) => Err(plugin_error(&e)),
    }
}
