//! A card: files, a counter, a key, and commands of ISO/IEC 7816-4 and EMV Book 3.

use super::keys::{self, CARD};
use super::personal::{object, records, signature, template};
use crate::acquirer::mac::MacAlgorithm;

/// How a scheme's contactless applications answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Everything with the processing options, dynamic signature included (qPBOC, qVSDC).
    Quick {
        /// Whether 9F27 is told, or only to be seen in the application data.
        tells: bool,
    },
    /// Processing options, records, then GENERATE AC (EMV mode).
    Generate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct App {
    aid: Vec<u8>,
    label: &'static str,
    priority: u8,
    pan: Vec<u8>,
    manner: Manner,
    /// 9F6C.
    qualifiers: [u8; 2],
    decision: u8,
}

/// A card of somebody. Test numbers of the schemes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    uid: Vec<u8>,
    iso_dep: bool,
    directory: bool,
    apps: Vec<App>,
    selected: Option<usize>,
    counter: u16,
    told: Vec<u8>,
}

const SW_OK: [u8; 2] = [0x90, 0x00];
const PPSE: &[u8] = b"2PAY.SYS.DDF01";
/// What each application asks the terminal for: 9F66 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37.
const LIST: [u8; 24] = [
    0x9F, 0x66, 4, 0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1,
    0x9F, 0x37, 4,
];
/// Where in what is told: amount, currency, random number; and all of it.
const AMOUNT: std::ops::Range<usize> = 4..10;
const CURRENCY: std::ops::Range<usize> = 23..25;
const RANDOM: std::ops::Range<usize> = 29..33;
const TOLD: usize = 33;

fn pan(text: &str) -> Vec<u8> {
    let mut digits = text.to_owned();
    if digits.len() % 2 == 1 {
        digits.push('F');
    }
    hex::decode(digits).unwrap_or_default()
}

impl App {
    fn new(aid: &str, label: &'static str, number: &str, manner: Manner) -> Self {
        Self {
            aid: hex::decode(aid).unwrap_or_default(),
            label,
            priority: 1,
            pan: pan(number),
            manner,
            qualifiers: [0, 0],
            decision: 0x80,
        }
    }

    fn track2(&self) -> Vec<u8> {
        let number: String = hex::encode_upper(&self.pan).trim_end_matches('F').to_owned();
        let mut track = format!("{number}D30122010000000000");
        if track.len() % 2 == 1 {
            track.push('F');
        }
        hex::decode(track).unwrap_or_default()
    }
}

impl Card {
    fn bank(uid: &[u8], app: App) -> Self {
        Self {
            uid: uid.to_vec(),
            iso_dep: true,
            directory: true,
            apps: vec![app],
            selected: None,
            counter: 0,
            told: Vec::new(),
        }
    }

    /// UnionPay debit, 6200000000000005.
    pub fn unionpay() -> Self {
        let app =
            App::new("A000000333010101", "UnionPay Debit", "6200000000000005", Manner::Quick { tells: true });
        Self::bank(&[0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66], app)
    }

    /// UnionPay credit on a phone: random serial number, its owner verified by it.
    pub fn phone() -> Self {
        let mut app = App::new(
            "A000000333010102",
            "UnionPay Credit",
            "6200000000000005",
            Manner::Quick { tells: true },
        );
        app.qualifiers = [0x00, 0x80];
        Self::bank(&[0x08, 0x5A, 0x13, 0x77], app)
    }

    /// Visa, 4111111111111111; does not tell 9F27.
    pub fn visa() -> Self {
        let app =
            App::new("A0000000031010", "VISA DEBIT", "4111111111111111", Manner::Quick { tells: false });
        Self::bank(&[0x04, 0x21, 0x22, 0x33, 0x44, 0x55, 0x66], app)
    }

    /// Mastercard, 5555555555554444; its cryptogram is asked for by GENERATE AC.
    pub fn mastercard() -> Self {
        let app = App::new("A0000000041010", "Mastercard", "5555555555554444", Manner::Generate);
        Self::bank(&[0x04, 0x31, 0x22, 0x33, 0x44, 0x55, 0x66], app)
    }

    /// A scheme that no till has (B012345678).
    pub fn foreign() -> Self {
        let app = App::new("B01234567801", "NOWHERE", "6200000000000005", Manner::Quick { tells: true });
        Self::bank(&[0x04, 0x41, 0x22, 0x33, 0x44, 0x55, 0x66], app)
    }

    /// A MIFARE Classic card: a serial number of four bytes, no APDUs.
    pub fn mifare() -> Self {
        let app = App::new("", "", "", Manner::Generate);
        Self {
            iso_dep: false,
            directory: false,
            apps: Vec::new(),
            ..Self::bank(&[0xDE, 0xAD, 0x12, 0x34], app)
        }
    }

    /// A card that speaks APDUs and has no payment application (a DESFire, a passport).
    pub fn plain() -> Self {
        Self {
            directory: false,
            apps: Vec::new(),
            ..Self::bank(&[4, 1, 2, 3, 4, 5, 6], App::new("", "", "", Manner::Generate))
        }
    }

    /// The same card without a directory.
    #[must_use]
    pub fn without_directory(mut self) -> Self {
        self.directory = false;
        self
    }

    /// The same card with another serial number of 4, 7 or 10 bytes.
    #[must_use]
    pub fn uid(mut self, uid: &[u8]) -> Self {
        self.uid = uid.to_vec();
        self
    }

    /// The same card asking for the online PIN (9F6C).
    #[must_use]
    pub fn asks_pin(mut self) -> Self {
        for app in &mut self.apps {
            app.qualifiers = [0x80, 0x00];
        }
        self
    }

    /// The same card declining by itself (AAC) or approving by itself (TC).
    #[must_use]
    pub fn decides(mut self, approves: bool) -> Self {
        for app in &mut self.apps {
            app.decision = if approves { 0x40 } else { 0x00 };
        }
        self
    }

    /// A card with a second application behind the first, of lower priority.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let first = self.apps.len();
        self.apps.extend(other.apps);
        for (n, app) in self.apps.iter_mut().enumerate().skip(first) {
            app.priority = u8::try_from(n + 1).unwrap_or(15);
        }
        self
    }

    /// By name: `unionpay`, `phone`, `visa`, `mastercard`, `foreign`, `mifare`, `plain`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "unionpay" => Self::unionpay(),
            "phone" => Self::phone(),
            "visa" => Self::visa(),
            "mastercard" => Self::mastercard(),
            "foreign" => Self::foreign(),
            "mifare" => Self::mifare(),
            "plain" => Self::plain(),
            _ => return None,
        })
    }

    /// Serial number.
    pub fn serial(&self) -> &[u8] {
        &self.uid
    }

    /// Whether it speaks APDUs.
    pub const fn speaks(&self) -> bool {
        self.iso_dep
    }

    /// Cryptograms made so far.
    pub const fn cryptograms(&self) -> u16 {
        self.counter
    }

    /// The field went off: what was selected is forgotten.
    pub fn reset(&mut self) {
        self.selected = None;
        self.told.clear();
    }

    /// Carries out one command.
    pub fn command(&mut self, apdu: &[u8]) -> Vec<u8> {
        let answer = match apdu {
            [0x00, 0xA4, 0x04, _, length, rest @ ..] if rest.len() >= usize::from(*length) => {
                self.select(&rest[..usize::from(*length)])
            }
            [0x80, 0xA8, 0, 0, length, rest @ ..] if rest.len() >= usize::from(*length) => {
                self.options(&rest[..usize::from(*length)])
            }
            [0x80, 0xAE, kind, 0, length, rest @ ..] if rest.len() >= usize::from(*length) => {
                self.generate(*kind, &rest[..usize::from(*length)])
            }
            [0x00, 0xB2, record, file, ..] if file & 7 == 4 => self.read(file >> 3, *record),
            _ => Err([0x6D, 0x00]),
        };
        match answer {
            Ok(data) => [data.as_slice(), &SW_OK].concat(),
            Err(status) => status.to_vec(),
        }
    }

    fn select(&mut self, name: &[u8]) -> Result<Vec<u8>, [u8; 2]> {
        if name == PPSE && self.directory {
            let entries: Vec<Vec<u8>> = self
                .apps
                .iter()
                .map(|app| {
                    template(
                        &[0x61],
                        &[
                            object(&[0x4F], &app.aid),
                            object(&[0x50], app.label.as_bytes()),
                            object(&[0x87], &[app.priority]),
                        ],
                    )
                })
                .collect();
            let list = object(&[0xA5], &template(&[0xBF, 0x0C], &entries));
            return Ok(template(&[0x6F], &[object(&[0x84], PPSE), list]));
        }
        let found = self.apps.iter().position(|app| app.aid.starts_with(name) && name.len() >= 5);
        self.selected = found;
        let app = found.and_then(|n| self.apps.get(n)).ok_or([0x6A, 0x82])?;
        let own = template(
            &[0xA5],
            &[
                object(&[0x50], app.label.as_bytes()),
                object(&[0x87], &[app.priority]),
                object(&[0x9F, 0x38], &LIST),
            ],
        );
        Ok(template(&[0x6F], &[object(&[0x84], &app.aid), own]))
    }

    fn app(&self) -> Result<App, [u8; 2]> {
        self.selected.and_then(|n| self.apps.get(n)).cloned().ok_or([0x69, 0x85])
    }

    fn options(&mut self, data: &[u8]) -> Result<Vec<u8>, [u8; 2]> {
        let app = self.app()?;
        let [0x83, length, told @ ..] = data else { return Err([0x67, 0x00]) };
        if told.len() != usize::from(*length) || told.len() != TOLD {
            return Err([0x67, 0x00]);
        }
        self.told = told.to_vec();
        // Files: number (signed), issuer's certificate, card's certificate.
        let locator = [0x08, 1, 1, 1, 0x10, 1, 2, 0];
        match app.manner {
            Manner::Generate => {
                let locator = [0x08, 1, 1, 1, 0x10, 1, 3, 0];
                Ok(template(&[0x77], &[object(&[0x82], &PROFILE), object(&[0x94], &locator)]))
            }
            Manner::Quick { tells } => {
                self.counter += 1;
                let counter = self.counter.to_be_bytes();
                let issued = app_data(app.decision);
                let cryptogram = self.cryptogram(&issued);
                let related =
                    [0x01, counter[0], counter[1], 0x77, 0x88, app.qualifiers[0], app.qualifiers[1], 0];
                let mut objects = vec![
                    object(&[0x82], &PROFILE),
                    object(&[0x94], &locator),
                    object(&[0x57], &app.track2()),
                    object(&[0x5F, 0x34], &[1]),
                    object(&[0x9F, 0x10], &issued),
                    object(&[0x9F, 0x26], &cryptogram),
                    object(&[0x9F, 0x36], &counter),
                    object(&[0x9F, 0x6C], &app.qualifiers),
                ];
                if tells {
                    objects.push(object(&[0x9F, 0x27], &[app.decision]));
                }
                // Signed over random number, amount, currency and the related data.
                let mut inside = vec![0x05, 0x01, 3, 2];
                inside.extend_from_slice(&counter);
                inside.resize(CARD.length() - 22, 0xBB);
                let beside = [
                    self.told.get(RANDOM).unwrap_or_default(),
                    self.told.get(AMOUNT).unwrap_or_default(),
                    self.told.get(CURRENCY).unwrap_or_default(),
                    &related,
                ]
                .concat();
                objects.push(object(&[0x9F, 0x69], &related));
                objects.push(object(&[0x9F, 0x4B], &signature(&CARD, &inside, &beside)));
                Ok(template(&[0x77], &objects))
            }
        }
    }

    fn generate(&mut self, kind: u8, data: &[u8]) -> Result<Vec<u8>, [u8; 2]> {
        let app = self.app()?;
        if app.manner != Manner::Generate || kind & 0xC0 != 0x80 || data.len() != 29 {
            return Err([0x69, 0x85]);
        }
        self.counter += 1;
        self.told = data.to_vec();
        let issued = app_data(app.decision);
        let mut plain = vec![app.decision];
        plain.extend_from_slice(&self.counter.to_be_bytes());
        plain.extend_from_slice(&self.cryptogram(&issued));
        plain.extend_from_slice(&issued);
        Ok(object(&[0x80], &plain))
    }

    fn read(&self, file: u8, record: u8) -> Result<Vec<u8>, [u8; 2]> {
        let app = self.app()?;
        let mut all = records(&app.pan, &PROFILE);
        if app.manner == Manner::Generate {
            let list: [u8; 21] = [
                0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1, 0x9F,
                0x37, 4,
            ];
            all.push(template(&[0x70], &[object(&[0x57], &app.track2()), object(&[0x8C], &list)]));
        }
        let at = match (file, record) {
            (1, 1) => 0,
            (2, n @ 1..) => usize::from(n),
            _ => return Err([0x6A, 0x83]),
        };
        all.get(at).cloned().ok_or([0x6A, 0x83])
    }

    /// ARQC: a MAC over what the terminal told, the profile, the counter and the card's own results.
    fn cryptogram(&self, issued: &[u8]) -> [u8; 8] {
        let data = [&self.told, PROFILE.as_slice(), &self.counter.to_be_bytes(), issued].concat();
        MacAlgorithm::X919.mac(&keys::CRYPTOGRAM, &data).unwrap_or_default()
    }
}

/// Dynamic data authentication is supported, in both manners.
const PROFILE: [u8; 2] = [0x20, 0x00];

/// Issuer's application data with the decision in the verification results.
fn app_data(decision: u8) -> Vec<u8> {
    let kind = decision >> 6;
    vec![0x07, 0x01, 0x01, 0x03, 0x80 | kind << 4, 0, 0, 0x01]
}
