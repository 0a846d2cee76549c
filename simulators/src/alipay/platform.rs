//! The gateway without its network: a form goes in, a signed body comes out, the books move in between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{
    amount::Fen,
    ledger::{Ledger, Seen},
    methods::{Fields, House, Shown, brought, dictated, refused},
    papers::Seal,
    refusal::Refusal,
    reply::{Spelling, Writer},
    request::{Content, DOWNLOAD, Guard, METHODS},
};
use crate::faults::{Abilities, Fault};
use crate::wallet::form::{FormError, Parameters};
use crate::wallet::keys::KeyError;
use crate::wallet::{Buyer, digest_of};

/// What this gateway can be asked to get wrong in key mode.
pub(crate) const ABILITIES: Abilities =
    Abilities { simulator: "the Alipay gateway", operations: METHODS, kinds: KINDS.split_at(IN_KEY_MODE).0 };

/// What it can be asked to get wrong in certificate mode.
pub(crate) const CERTIFICATE_ABILITIES: Abilities =
    Abilities { simulator: "the Alipay gateway in certificate mode", operations: METHODS, kinds: KINDS };

/// How many of them, from the first, there are in key mode too.
const IN_KEY_MODE: usize = 16;

const KINDS: &[&str] = &[
    "drop-before-booking",
    "drop-after-booking",
    "delay-reply",
    "delay-booking",
    "hold-reply",
    "hold-booking",
    "wrong-signature",
    "unsigned",
    "wrong-amount",
    "wrong-reference",
    "half-reply",
    "garbage",
    "http-status",
    "slow",
    "reset",
    "answer",
    "key-rotated",
    "foreign-certificate",
    "expired-certificate",
    "wrong-owner",
    "unknown-certificate",
    "without-certificate",
];

/// One gateway's inside.
#[derive(Debug)]
pub(crate) struct Platform {
    guard: Guard,
    house: House,
    /// How far the gateway's clock is off this machine's; the check of timestamps goes by it.
    clock_offset: SignedDuration,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    ledger: Ledger,
    /// How much later it is for customers and expiries than by the clock.
    advanced: SignedDuration,
    writer: Writer,
    seal: Seal,
}

impl Platform {
    /// What paid trades say of the shop from now on.
    pub(crate) fn show(&self, shown: Shown) {
        *self.house.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    pub(crate) fn new(
        guard: Guard,
        house: House,
        seal: Seal,
        spelling: Spelling,
        clock_offset: SignedDuration,
    ) -> Self {
        let books = Books {
            ledger: Ledger::default(),
            advanced: SignedDuration::ZERO,
            writer: Writer::new(spelling),
            seal,
        };
        Self { guard, house, clock_offset, books: Mutex::new(books) }
    }

    /// Answers one request. The fault only bends what is booked and what the answer says; what it does to the connection
    /// is the server's part.
    pub(crate) fn answer(
        &self,
        form: &Result<Parameters, FormError>,
        fault: Option<&Fault>,
    ) -> Result<Vec<u8>, KeyError> {
        let mut books = self.books();
        let clock = offset(Timestamp::now(), self.clock_offset);
        let now = offset(clock, books.advanced);
        let (method, content, verdict) = self.read(form, clock);
        let order = content.as_ref().and_then(|content| content.order().ok().flatten()).map(str::to_owned);
        let verified = content.is_some() || matches!(verdict, Err((true, _)));
        let books_move = fault.is_none_or(Fault::books);
        let mut outcome = match (verdict, &content) {
            (Ok(()), Some(content)) if method == DOWNLOAD => Ok(download(&books.seal, content)),
            (Ok(()), Some(content)) if books_move => {
                Ok(self.house.run(method, content, &mut books.ledger, now))
            }
            (Ok(()), _) => Ok(Err(Refusal::SYSTEM_ERROR)),
            (Err((_, refusal)), _) => Err(refusal),
        };
        if let (Ok(node), Some(Fault::Answer { code, sub_code, fields, .. })) = (&mut outcome, fault) {
            *node = Ok(dictated(code, sub_code.as_deref(), fields.iter()));
        }
        // A request whose signature or public parameters are refused has no method's node to answer in.
        let name = match outcome {
            Ok(_) => format!("{}_response", method.replace('.', "_")),
            Err(_) => "error_response".to_owned(),
        };
        let mut node = outcome.unwrap_or_else(Err).unwrap_or_else(refused);
        bend(&mut node, fault);
        books.ledger.requests.push(Seen {
            method: form.as_ref().ok().and_then(|form| form.get("method")).unwrap_or_default().to_owned(),
            out_trade_no: order,
            verified,
            code: member(&node, "code"),
            sub_code: member(&node, "sub_code"),
            fault: fault.map(Fault::kind),
            at: clock,
        });
        let text = books.writer.node(&node);
        let (signature, certificate) = match fault {
            // Right in form, and over another text: only verifying finds out.
            Some(Fault::WrongSignature {}) => books.seal.sign(format!("{text} ").as_bytes(), fault)?,
            _ => books.seal.sign(text.as_bytes(), fault)?,
        };
        let signature = Some(signature).filter(|_| !matches!(fault, Some(Fault::Unsigned {})));
        let (signature, certificate) = (signature.as_deref(), certificate.as_deref());
        Ok(books.writer.envelope(&name, &text, signature, certificate).into_bytes())
    }

    /// Notes a request that a fault lost before anything was booked.
    pub(crate) fn note_lost(&self, form: &Result<Parameters, FormError>, fault: &Fault) {
        let method = form.as_ref().ok().and_then(|form| form.get("method")).unwrap_or_default().to_owned();
        self.books().ledger.requests.push(Seen {
            method,
            out_trade_no: None,
            verified: false,
            code: None,
            sub_code: None,
            fault: Some(fault.kind()),
            at: offset(Timestamp::now(), self.clock_offset),
        });
    }

    /// Signature, public parameters, content. The error says whether the signature was good.
    #[allow(clippy::type_complexity)] // three things that only this file's caller takes apart
    fn read(
        &self,
        form: &Result<Parameters, FormError>,
        clock: Timestamp,
    ) -> (&'static str, Option<Content>, Result<(), (bool, Refusal)>) {
        let form = match form {
            Ok(form) => form,
            Err(FormError::Charset) => return ("", None, Err((false, Refusal::INVALID_CHARSET))),
            Err(_) => return ("", None, Err((false, Refusal::INVALID_PARAMETER))),
        };
        if let Err(refusal) = self.guard.verify(form) {
            return ("", None, Err((false, refusal)));
        }
        match self.guard.check(form, clock).and_then(|method| Ok((method, Content::read(form)?))) {
            Ok((method, content)) => (method, Some(content), Ok(())),
            Err(refusal) => ("", None, Err((true, refusal))),
        }
    }

    /// The books as they stand now.
    pub(crate) fn snapshot(&self) -> Ledger {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.catch_up(now);
        books.ledger.clone()
    }

    /// Time passes for customers and expiries.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut books = self.books();
        books.advanced = books.advanced.saturating_add(by);
    }

    /// Tells how the owner of a wallet code behaves.
    pub(crate) fn set_buyer(&self, code: &str, buyer: Buyer) {
        self.books().ledger.buyers.insert(digest_of(code), buyer);
    }

    /// The gateway signs with another key from now on, under another certificate. Nothing in key mode.
    pub(crate) fn rotate(&self) -> Result<(), KeyError> {
        match &mut self.books().seal {
            Seal::Key(_) => Ok(()),
            Seal::Certificates(made) => made.rotate(),
        }
    }

    /// A customer scans the till's code.
    pub(crate) fn scan(&self, out_trade_no: &str, buyer: Buyer) -> bool {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.scan(out_trade_no, buyer, now)
    }

    /// A paid trade becomes final.
    pub(crate) fn finish(&self, out_trade_no: &str) -> bool {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.finish(out_trade_no, now)
    }

    fn now(&self, books: &Books) -> Timestamp {
        offset(offset(Timestamp::now(), self.clock_offset), books.advanced)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a download: the certificate of that number, as base64 of its PEM.
fn download(seal: &Seal, content: &Content) -> Result<Fields, Refusal> {
    let number = content.required("alipay_cert_sn")?;
    let found = match seal {
        Seal::Key(_) => None,
        Seal::Certificates(made) => made.download(number),
    };
    Ok(brought(&BASE64.encode(found.ok_or(Refusal::BAD_PARAMETER)?)))
}

fn offset(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

fn member(node: &Fields, name: &str) -> Option<String> {
    node.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str()).map(str::to_owned)
}

/// Makes an answer echo what was not asked.
fn bend(node: &mut Fields, fault: Option<&Fault>) {
    for (name, value) in node {
        let Value::String(text) = value else { continue };
        match (fault, name.as_str()) {
            (
                Some(Fault::WrongAmount { by }),
                "total_amount" | "receipt_amount" | "buyer_pay_amount" | "refund_fee" | "refund_amount",
            ) => {
                if let Some(amount) = Fen::read(text) {
                    *text = amount.plus(Fen::new(*by)).yuan();
                }
            }
            (Some(Fault::WrongReference {}), "out_trade_no") => text.push('X'),
            _ => {}
        }
    }
}
