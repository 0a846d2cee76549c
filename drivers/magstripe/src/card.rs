//! A swipe's text to a card, or to the one reason why there is none.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::track::{MAX_TRACK2, Parsed, Track, TrackFault, parse_track1, parse_track2, parse_track3};

/// Why a swipe is no card. No variant holds card data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CardFault {
    /// Nothing in it starts like a track.
    #[error("nothing on the stripe could be read: draw the card again, evenly")]
    NoTrack,
    /// A track that is needed is unfit.
    #[error("{track} cannot be used: {fault}; draw the card again, evenly")]
    Track {
        /// Which one.
        track: Track,
        /// Why.
        fault: TrackFault,
    },
    /// Track 2 is not there at all.
    #[error("track 2 is missing: draw the card again, or check the reader's track settings")]
    Missing,
    /// The tracks name different accounts: two cards ran into one swipe, or the stripe is forged.
    #[error("the tracks belong to different cards: draw one card again")]
    TwoCards,
}

impl CardFault {
    /// Lower-kebab name, as it appears on D-Bus.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoTrack | Self::Missing => "no-track",
            Self::TwoCards => "two-cards",
            Self::Track { fault, .. } => match fault {
                TrackFault::ReaderMark => "reader-error",
                TrackFault::Truncated => "truncated",
                TrackFault::Empty => "empty-track",
                TrackFault::TooLong { .. } => "too-long",
                TrackFault::BadCharacter { .. } => "bad-character",
                TrackFault::Format => "not-a-payment-card",
                TrackFault::PanLength { .. } => "bad-account-number",
                TrackFault::NameLength => "bad-name",
                TrackFault::Doubled => "doubled",
                TrackFault::Parity { .. } => "bad-parity",
                TrackFault::Lrc => "bad-lrc",
            },
        }
    }
}

/// What of a track was found in a swipe.
pub type Found<T> = Option<Result<T, TrackFault>>;

/// The tracks of one swipe, each read, unfit or absent.
#[derive(Default)]
pub struct Tracks {
    /// Track 1.
    pub one: Found<Parsed>,
    /// Track 2.
    pub two: Found<Parsed>,
    /// Track 3, unparsed, without sentinels.
    pub three: Found<Zeroizing<String>>,
    /// Track 2 as found so far is only the beginning of one: another may follow.
    two_is_fragment: bool,
}

impl Tracks {
    /// Takes a swipe apart. A start sentinel always begins anew: what stood before it without an end is a fragment of a
    /// swipe that was broken off, and only counts as "cut short" where nothing better follows.
    pub fn split(text: &str) -> Self {
        let mut tracks = Self::default();
        let mut start: Option<usize> = None;
        for (at, byte) in text.bytes().enumerate() {
            match (byte, start) {
                (b'%' | b';', Some(from)) => {
                    tracks.cut(&text[from..at]);
                    start = Some(at);
                }
                // `+` starts a track only between tracks: some issuers print it inside track 1.
                (b'%' | b';' | b'+', None) => start = Some(at),
                (b'?', Some(from)) => {
                    tracks.whole(&text[from..=at]);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            tracks.cut(&text[from..]);
        }
        tracks
    }

    /// Adds a track that the reader gave by itself, with its sentinels or without.
    pub fn add(&mut self, track: Track, text: &[u8]) {
        let Some(text) = std::str::from_utf8(text).ok().filter(|text| text.is_ascii()) else {
            return self.fail(track, TrackFault::BadCharacter { at: 0 });
        };
        let (start, starts) = match track {
            Track::One => ("%", "%"),
            Track::Two => (";", ";"),
            Track::Three => ("+", ";+"),
        };
        let bare;
        let text = if text.starts_with(|c| starts.contains(c)) {
            text
        } else {
            bare = Zeroizing::new([start, text, "?"].concat());
            bare.as_str()
        };
        match track {
            Track::One => put(&mut self.one, parse_track1(text)),
            Track::Two => put(&mut self.two, parse_track2(text)),
            Track::Three => put(&mut self.three, parse_track3(text)),
        }
    }

    /// Notes a track that the reader gave and that cannot be used.
    pub fn fail(&mut self, track: Track, fault: TrackFault) {
        match track {
            Track::One => put(&mut self.one, Err(fault)),
            Track::Two => put(&mut self.two, Err(fault)),
            Track::Three => put(&mut self.three, Err(fault)),
        }
    }

    /// Track 1 and 2, where both are good, name the same account.
    pub fn pan_consistent(&self) -> bool {
        match (&self.one, &self.two) {
            (Some(Ok(one)), Some(Ok(two))) => one.pan() == two.pan(),
            _ => true,
        }
    }

    fn cut(&mut self, text: &str) {
        match text.as_bytes().first() {
            Some(b'%') if self.one.is_none() => self.one = Some(Err(TrackFault::Truncated)),
            Some(b';') if self.two.is_none() => {
                self.two_is_fragment = true;
                // One that never ends is told apart from one that ends early.
                self.two = Some(Err(if text.len() > MAX_TRACK2 {
                    TrackFault::TooLong { length: text.len(), max: MAX_TRACK2 }
                } else {
                    TrackFault::Truncated
                }));
            }
            Some(b';' | b'+') if self.three.is_none() => self.three = Some(Err(TrackFault::Truncated)),
            _ => {}
        }
    }

    fn whole(&mut self, text: &str) {
        match text.as_bytes().first() {
            Some(b'%') => put(&mut self.one, parse_track1(text)),
            Some(b'+') => put(&mut self.three, parse_track3(text)),
            _ => self.digits(text),
        }
    }

    /// `;` starts track 2, and on many readers track 3 as well.
    fn digits(&mut self, text: &str) {
        let two = parse_track2(text);
        match (&self.two, two) {
            (None, Err(fault)) if three_by_shape(text) => {
                let three = parse_track3(text);
                if three.is_err() {
                    self.two = Some(Err(fault));
                }
                put(&mut self.three, three);
            }
            (None, two) => self.two = Some(two),
            // A fragment, or an unreadable one, and then a good one: the second try counts.
            (Some(Err(fault)), Ok(two)) if *fault != TrackFault::Doubled => self.two = Some(Ok(two)),
            (Some(Err(_)), Err(fault)) if self.two_is_fragment => self.two = Some(Err(fault)),
            // Two that both are a whole track 2.
            (Some(_), Ok(_)) => self.two = Some(Err(TrackFault::Doubled)),
            (Some(_), Err(_)) => put(&mut self.three, parse_track3(text)),
        }
        self.two_is_fragment = false;
    }
}

/// Fills a slot: a later good one replaces an earlier bad one, a second good one makes both worthless.
fn put<T>(slot: &mut Found<T>, new: Result<T, TrackFault>) {
    *slot = Some(match (slot.take(), new) {
        (Some(Err(TrackFault::Doubled)), _) | (Some(Ok(_)), Ok(_)) => Err(TrackFault::Doubled),
        (Some(Ok(old)), Err(_)) => Ok(old),
        (None | Some(Err(_)), new) => new,
    });
}

/// A lone `;` track is track 2, however bad, unless it cannot be: too long for it and without track 2's first field.
fn three_by_shape(text: &str) -> bool {
    let inner = &text[1..];
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    text.len() > MAX_TRACK2 && !(inner.as_bytes().get(digits) == Some(&b'=') && (12..=19).contains(&digits))
}

/// A card that can pay: track 2 is good, or track 1 alone where the settings allow it.
pub struct Card {
    /// Track 1, where it is good.
    pub one: Option<Parsed>,
    /// Track 2, where it is good.
    pub two: Option<Parsed>,
    /// Track 3 between its sentinels, where it is good.
    pub three: Option<Zeroizing<String>>,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Card({})", self.masked())
    }
}

impl Card {
    /// Reads a swipe. `track2_required`: whether track 1 alone is not enough (networks authorise on track 2).
    pub fn read(text: &str, track2_required: bool) -> Result<Self, CardFault> {
        Self::from_tracks(Tracks::split(text), track2_required)
    }

    /// The same from tracks read otherwise, such as raw bits.
    pub fn from_tracks(tracks: Tracks, track2_required: bool) -> Result<Self, CardFault> {
        if !tracks.pan_consistent() {
            return Err(CardFault::TwoCards);
        }
        let Tracks { one, two, three, .. } = tracks;
        // A track that came twice says that two swipes ran into one: then nothing of it is trusted.
        for (track, doubled) in [
            (Track::One, matches!(one, Some(Err(TrackFault::Doubled)))),
            (Track::Two, matches!(two, Some(Err(TrackFault::Doubled)))),
            (Track::Three, matches!(three, Some(Err(TrackFault::Doubled)))),
        ] {
            if doubled {
                return Err(CardFault::Track { track, fault: TrackFault::Doubled });
            }
        }
        let nothing = one.is_none() && two.is_none() && three.is_none();
        match (&one, &two) {
            _ if nothing => return Err(CardFault::NoTrack),
            (_, Some(Ok(_))) => {}
            (Some(Ok(_)), _) if !track2_required => {}
            (_, Some(Err(fault))) => return Err(CardFault::Track { track: Track::Two, fault: *fault }),
            (Some(Err(fault)), None) => return Err(CardFault::Track { track: Track::One, fault: *fault }),
            (_, None) => return Err(CardFault::Missing),
        }
        Ok(Self {
            one: one.and_then(Result::ok),
            two: two.and_then(Result::ok),
            three: three.and_then(Result::ok),
        })
    }

    fn best(&self) -> Option<&Parsed> {
        self.two.as_ref().or(self.one.as_ref())
    }

    /// The account number.
    pub fn pan(&self) -> &str {
        self.best().map_or("", Parsed::pan)
    }

    /// First six and last four digits, stars between (PCI DSS 3.4.1).
    pub fn masked(&self) -> String {
        let pan = self.pan();
        match (pan.get(..6), pan.get(pan.len().saturating_sub(4)..)) {
            (Some(head), Some(tail)) if pan.len() >= 12 => {
                format!("{head}{}{tail}", "*".repeat(pan.len() - 10))
            }
            _ => "*".repeat(pan.len()),
        }
    }

    /// Expiry `YYMM` where the card has one with a real month. Many UnionPay debit cards carry `0000`: no expiry.
    pub fn expiry(&self) -> Option<&str> {
        self.best().filter(|track| track.expiry_valid()).and_then(Parsed::expiry)
    }

    /// Service code.
    pub fn service_code(&self) -> Option<&str> {
        self.best().and_then(Parsed::service_code)
    }

    /// The service code says that the card has a chip (first digit 2 or 6): swiping it is a fallback.
    pub fn chip_on_card(&self) -> bool {
        self.service_code().is_some_and(|code| code.starts_with(['2', '6']))
    }

    /// Luhn report.
    pub fn luhn(&self) -> bool {
        self.best().is_some_and(Parsed::luhn)
    }
}
