//! What the transport's bytes are, and what comes of them: a swipe's text, tracks, or ciphertext.

use std::time::Duration;

use till_hid::{Usage, source, usage};
use till_plugin::host::TransportKind;
use till_plugin::instrument::EncryptedSwipe;
use till_plugin::{Host, PluginError};
use till_wedge::{Symbol, Wedge};

use crate::card::Tracks;
use crate::encrypted::Sealed;
use crate::idtech::{self, Frame, Frames};
use crate::magtek::{self, MagtekFault, Report};
use crate::msr::MsrLayout;
use crate::settings::{Config, Input};
use crate::swipe::{Assembler, Outcome, SwipeFault, Times};
use crate::track::Track;

/// USB vendors whose reports say nothing of themselves.
const MAGTEK: u16 = 0x0801;
const IDTECH: u16 = 0x0ACD;

/// What came.
pub(crate) enum Came<'a> {
    /// Typed text, or why there is none.
    Typed(Outcome),
    /// A whole reading, and the bytes by which an equal one is known.
    Read(Box<Reading>, &'a [u8]),
    /// A report or frame that is no reading, and the bytes by which an equal one is known.
    Refused(Refused, &'a [u8]),
}

/// A reading of a reader that gives reports or frames.
pub(crate) enum Reading {
    Clear(Tracks),
    Sealed(EncryptedSwipe),
}

/// Why there is none. Holds nothing of the card.
pub(crate) struct Refused {
    pub(crate) reason: &'static str,
    pub(crate) text: String,
    /// The reader is of no use until somebody loads keys.
    pub(crate) exhausted: bool,
    /// The key serial number of a swipe that is refused for another reason: it is used up all the same.
    pub(crate) ksn: Vec<u8>,
}

impl Refused {
    pub(crate) fn new(reason: &'static str, text: String) -> Self {
        Self { reason, text, exhausted: false, ksn: Vec::new() }
    }
}

/// The reader's side of the driver.
pub(crate) struct Front {
    wire: Wire,
    require_track2: bool,
    variant: Option<&'static str>,
}

enum Wire {
    Text(Assembler),
    Keys(Box<Wedge>, Assembler),
    Msr(MsrLayout),
    Magtek,
    Idtech { frames: Frames, numbered: bool },
}

impl Front {
    /// Finds out what the device is, as far as the settings leave it open.
    pub(crate) fn open(host: &Host, config: &Config) -> Result<Self, PluginError> {
        let assembler = || Assembler::new(config.end, config.silence, config.duplicate);
        let ask = || source::device(host, &config.report_descriptor);
        let wire = match config.input {
            Input::Text => Wire::Text(assembler()),
            Input::Keys(layout) => Wire::Keys(Box::new(Wedge::new(layout, config.caps)), assembler()),
            Input::HidPos => Wire::Msr(MsrLayout::new(&ask()?.descriptor).ok_or_else(|| {
                PluginError::settings(
                    "the device's report descriptor has no track of usage page 8Eh: set `input` to magtek or idtech, or to auto",
                )
            })?),
            Input::Magtek => Wire::Magtek,
            Input::Idtech => {
                // On a line, and where nobody tells the descriptor, there are no report ids.
                let hidraw = host.transport().is_some_and(|transport| transport.kind == TransportKind::Hidraw);
                let numbered = hidraw && ask().is_ok_and(|device| device.descriptor.numbered());
                Wire::Idtech { frames: Frames::default(), numbered }
            }
            Input::Hid => of_device(&ask()?)?,
        };
        Ok(Self { wire, require_track2: config.require_track2, variant: config.variant })
    }

    /// For people.
    pub(crate) const fn model(&self) -> &'static str {
        match self.wire {
            Wire::Text(_) => "magnetic stripe reader",
            Wire::Keys(..) => "magnetic stripe reader (keyboard)",
            Wire::Msr(_) => "magnetic stripe reader (HID POS)",
            Wire::Magtek => "MagTek magnetic stripe reader",
            Wire::Idtech { .. } => "ID TECH magnetic stripe reader",
        }
    }

    pub(crate) fn capabilities(&self) -> Vec<String> {
        let mut all = vec!["track1".to_owned(), "track2".to_owned(), "track3".to_owned()];
        if matches!(self.wire, Wire::Magtek | Wire::Idtech { .. }) {
            all.push("encryption".to_owned());
        }
        all
    }

    /// Whether a swipe has begun: then [`Self::idle`] is due after the silence.
    pub(crate) fn pending(&self) -> bool {
        match &self.wire {
            Wire::Text(assembler) | Wire::Keys(_, assembler) => assembler.pending(),
            Wire::Idtech { frames, .. } => frames.pending(),
            // A report comes whole.
            Wire::Msr(_) | Wire::Magtek => false,
        }
    }

    /// The swipe under way is not wanted.
    pub(crate) fn discard(&mut self) {
        match &mut self.wire {
            Wire::Text(assembler) | Wire::Keys(_, assembler) => assembler.discard(),
            Wire::Idtech { frames, .. } if frames.pending() => frames.discard(),
            _ => {}
        }
    }

    /// The device went away.
    pub(crate) fn reset(&mut self) {
        match &mut self.wire {
            Wire::Text(assembler) => assembler.reset(),
            Wire::Keys(wedge, assembler) => {
                wedge.reset();
                assembler.reset();
            }
            Wire::Idtech { frames, .. } => frames.reset(),
            Wire::Msr(_) | Wire::Magtek => {}
        }
    }

    /// Nothing came for the silence.
    pub(crate) fn idle(&mut self, sink: impl FnOnce(Came<'_>)) {
        match &mut self.wire {
            Wire::Text(assembler) | Wire::Keys(_, assembler) => {
                if let Some(outcome) = assembler.idle() {
                    sink(Came::Typed(outcome));
                }
            }
            Wire::Idtech { frames, .. } => {
                if let Some(fault) = frames.idle() {
                    sink(Came::Refused(Refused::new(fault.reason(), fault.to_string()), &[]));
                }
            }
            Wire::Msr(_) | Wire::Magtek => {}
        }
    }

    /// Feeds one read: of a hidraw node that is one report. Answers whether anything of a swipe came: a key that repeats
    /// itself must not put the silence off.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: Duration, mut sink: impl FnMut(Came<'_>)) -> bool {
        let mut came = !matches!(self.wire, Wire::Keys(..));
        let (require_track2, variant) = (self.require_track2, self.variant);
        match &mut self.wire {
            Wire::Text(assembler) => {
                // No time of its own: only an empty read tells a pause.
                for byte in bytes {
                    let times = Times { typed: Duration::ZERO, now };
                    assembler.push(*byte, times, |outcome| sink(Came::Typed(outcome)));
                }
            }
            Wire::Keys(wedge, assembler) => wedge.push(bytes, |typed| {
                came = true;
                let times = Times { typed: typed.at, now };
                let sink = |outcome| sink(Came::Typed(outcome));
                match (typed.symbol.byte(), typed.symbol) {
                    (Some(byte), _) => assembler.push(byte, times, sink),
                    (None, Symbol::Dropped) => assembler.damage(SwipeFault::Dropped, times, sink),
                    (None, _) => assembler.damage(SwipeFault::NotText, times, sink),
                }
            }),
            Wire::Msr(layout) => match layout.read(bytes) {
                Ok(Some(tracks)) => sink(Came::Read(Box::new(Reading::Clear(tracks)), bytes)),
                Ok(None) => {}
                Err(fault) => {
                    let text = format!("{fault}: draw the card again");
                    sink(Came::Refused(Refused::new("bad-report", text), bytes));
                }
            },
            Wire::Magtek => match magtek::read(bytes, variant) {
                Ok(Report::Clear(tracks)) => sink(Came::Read(Box::new(clear(tracks)), bytes)),
                Ok(Report::Sealed(sealed)) => sink(passed_on(&sealed, require_track2, bytes)),
                Err(fault) => {
                    let exhausted = fault == MagtekFault::Exhausted;
                    let refused = Refused { exhausted, ..Refused::new(fault.reason(), fault.to_string()) };
                    sink(Came::Refused(refused, bytes));
                }
            },
            Wire::Idtech { frames, numbered } => {
                let data = if *numbered { bytes.get(1..).unwrap_or_default() } else { bytes };
                frames.push(data, |frame| {
                    match frame.and_then(|counted| Ok((idtech::read(counted, variant)?, counted))) {
                        Ok((Frame::Clear(tracks), counted)) => {
                            sink(Came::Read(Box::new(clear(tracks)), counted));
                        }
                        Ok((Frame::Sealed(sealed), counted)) => {
                            sink(passed_on(&sealed, require_track2, counted));
                        }
                        Err(fault) => {
                            sink(Came::Refused(Refused::new(fault.reason(), fault.to_string()), &[]));
                        }
                    }
                });
            }
        }
        came
    }
}

/// What kind of reports a device gives.
fn of_device(device: &source::Device) -> Result<Wire, PluginError> {
    if let Some(layout) = MsrLayout::new(&device.descriptor) {
        return Ok(Wire::Msr(layout));
    }
    let numbered = device.descriptor.numbered();
    let long = device.descriptor.report_bytes(till_hid::Kind::Input, 0) >= magtek::REPORT;
    let vendors_own = device.descriptor.tops().iter().any(|Usage { page, .. }| *page >= usage::VENDOR);
    match device.vendor {
        Some(IDTECH) => Ok(Wire::Idtech { frames: Frames::default(), numbered }),
        Some(MAGTEK) | None if long && vendors_own => Ok(Wire::Magtek),
        _ => Err(PluginError::settings(
            "this HID device is no stripe reader that this driver knows by its descriptor: set `input` to magtek or idtech, or \
             the reader to keyboard mode",
        )),
    }
}

/// Tracks in clear from a reader that could encrypt.
fn clear(given: [Option<&[u8]>; 3]) -> Reading {
    let mut tracks = Tracks::default();
    for (track, text) in [Track::One, Track::Two, Track::Three].into_iter().zip(given) {
        match text {
            Some([]) => {}
            Some(text) => tracks.add(track, text),
            None => tracks.fail(track, crate::track::TrackFault::ReaderMark),
        }
    }
    Reading::Clear(tracks)
}

/// Ciphertext on its way to a channel.
fn passed_on<'a>(sealed: &Sealed<'_>, require_track2: bool, bytes: &'a [u8]) -> Came<'a> {
    match sealed.swipe(require_track2) {
        Ok(swipe) => Came::Read(Box::new(Reading::Sealed(swipe)), bytes),
        Err(fault) => {
            let refused =
                Refused { ksn: sealed.ksn.to_vec(), ..Refused::new(fault.reason(), fault.to_string()) };
            Came::Refused(refused, bytes)
        }
    }
}
