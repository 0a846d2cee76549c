//! The gateway without its network: a form goes in, a signed form comes out, the books move in between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::Buyer;
use super::books::{
    FORMAT, Input, Kind, Ledger, MERCHANT, MISSING, Refusal, SIGNATURE, Seen, TIMEOUT, Trade,
};
use super::papers::{self, Shown, to_sign};
use crate::faults::Fault;
use crate::wallet::digest_of;
use crate::wallet::form::{FormError, Parameters};
use crate::wallet::keys::{KeyError, SigningKey, VerifyingKey};
use crate::wallet::serve::Made;

/// How far a new transaction's time may be off the gateway's clock.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// One gateway's inside.
pub(crate) struct Inside {
    pub(crate) mer_id: String,
    pub(crate) merchant: VerifyingKey,
    pub(crate) papers: papers::Made,
    pub(crate) key: SigningKey,
    pub(crate) clock_offset: SignedDuration,
    pub(crate) books: Mutex<Books>,
}

/// What changes.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    pub(crate) advanced: SignedDuration,
    answers: u64,
    last: Option<Made>,
}

/// What an answer says beside what it repeats.
type Said = Vec<(&'static str, String)>;

impl Inside {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self, books: &Books) -> Timestamp {
        let clock = Timestamp::now().checked_add(self.clock_offset).unwrap_or(Timestamp::MAX);
        clock.checked_add(books.advanced).unwrap_or(Timestamp::MAX)
    }

    /// The books as they stand now.
    pub(crate) fn snapshot(&self) -> Ledger {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.catch_up(now);
        books.ledger.clone()
    }

    /// Time passes, for customers and for the gateway's own clock.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut books = self.books();
        books.advanced = books.advanced.saturating_add(by);
    }

    pub(crate) fn set_buyer(&self, code: &str, buyer: Buyer) {
        self.books().ledger.buyers.insert(digest_of(code), buyer);
    }

    pub(crate) fn scan(&self, order: &str) -> bool {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.scan(order, now, &stamp(now))
    }

    /// Notes a request that a fault lost before anything was booked.
    pub(crate) fn note_lost(
        &self,
        operation: &'static str,
        form: &Result<Parameters, FormError>,
        fault: &Fault,
    ) {
        self.note(operation, form, false, None, Some(fault));
    }

    fn note(
        &self,
        operation: &'static str,
        form: &Result<Parameters, FormError>,
        verified: bool,
        code: Option<String>,
        fault: Option<&Fault>,
    ) {
        let order_id = form.as_ref().ok().and_then(|form| form.get("orderId")).map(str::to_owned);
        let fault = fault.map(Fault::kind);
        self.books().ledger.requests.push(Seen { operation, order_id, verified, code, fault });
    }

    /// Whether the request is signed by the merchant it names. Everything before this is untrusted.
    fn verify(&self, form: &Parameters) -> Result<(), Refusal> {
        if form.get("version") != Some("5.1.0")
            || form.get("signMethod") != Some("01")
            || form.get("encoding") != Some("UTF-8")
        {
            return Err(FORMAT);
        }
        let signature = form.get("signature").ok_or(MISSING)?;
        let text = to_sign(&form.sign_string("signature"));
        let known = form.get("certId") == Some(&self.papers.cert_id);
        if !known || !self.merchant.verifies(text.as_bytes(), signature) {
            return Err(SIGNATURE);
        }
        if form.get("merId") != Some(&self.mer_id) {
            return Err(MERCHANT);
        }
        for (name, value) in [("bizType", "000000"), ("channelType", "08"), ("accessType", "0")] {
            if form.get(name) != Some(value) {
                return Err(FORMAT);
            }
        }
        Ok(())
    }

    /// Runs a verified request on the books.
    fn run(&self, form: &Parameters) -> Result<Said, Refusal> {
        let required = |name| form.get(name).ok_or(MISSING);
        let (order_id, txn_time) = (required("orderId")?, required("txnTime")?);
        let named = (8..=40).contains(&order_id.len())
            && order_id.bytes().all(|b| b.is_ascii_alphanumeric())
            && txn_time.len() == 14
            && txn_time.bytes().all(|b| b.is_ascii_digit());
        if !named {
            return Err(FORMAT);
        }
        let (kind, sub) = (required("txnType")?, required("txnSubType")?);
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.catch_up(now);
        match (kind, sub) {
            ("00", "00") => return Ok(asked(&books.ledger.query(order_id, txn_time)?)),
            ("99", "01") => {
                books.ledger.reverse(order_id, txn_time, now)?;
                return Ok(Vec::new());
            }
            _ => {}
        }
        let kind = Kind::of(kind, sub).ok_or(FORMAT)?;
        let fen = required("txnAmt")?.parse::<i64>().ok().filter(|n| *n > 0).ok_or(FORMAT)?;
        required("backUrl")?;
        let mut input = Input {
            order_id: order_id.into(),
            txn_time: txn_time.into(),
            amount: fen,
            until: form.get("payTimeout").map(str::to_owned),
            ..Input::default()
        };
        match kind {
            Kind::Pay | Kind::Hold | Kind::Show => {
                let early = now.checked_sub(TOLERANCE).unwrap_or(now);
                let late = now.checked_add(TOLERANCE).unwrap_or(now);
                if required("currencyCode")? != "156" || txn_time < &*stamp(early) || txn_time > &*stamp(late)
                {
                    return Err(FORMAT);
                }
                if kind != Kind::Show {
                    required("qrNo")?.clone_into(&mut input.code);
                    if required("termId")?.len() != 8 {
                        return Err(FORMAT);
                    }
                }
            }
            _ => required("origQryId")?.clone_into(&mut input.of),
        }
        let trade = books.ledger.run(kind, &input, now)?;
        let mut said = vec![("txnAmt", trade.amount.to_string())];
        match kind {
            Kind::Show => {
                said.push(("qrCode", format!("https://qr.95516.com/00010000/{}", trade.query_id)));
            }
            _ => said.push(("queryId", trade.query_id)),
        }
        if let Some(of) = trade.of {
            said.push(("origQryId", of));
        }
        Ok(said)
    }

    /// Answers one request. The fault only bends what is booked and what the answer says; what it does to the connection is
    /// the server's part.
    pub(crate) fn answer(
        &self,
        operation: &'static str,
        form: &Result<Parameters, FormError>,
        fault: Option<&Fault>,
    ) -> Result<Made, KeyError> {
        let nothing = Parameters::default();
        let request = form.as_ref().unwrap_or(&nothing);
        let verified = form.as_ref().map_err(|_| FORMAT).and_then(|form| self.verify(form));
        let good = verified.is_ok();
        let books_move = fault.is_none_or(Fault::books);
        let outcome = verified.and_then(|()| if books_move { self.run(request) } else { Err(TIMEOUT) });
        let mut answer = Parameters::default();
        for name in
            ["bizType", "accessType", "merId", "orderId", "txnTime", "txnType", "txnSubType", "currencyCode"]
        {
            answer.set(name, request.get(name).unwrap_or_default());
        }
        let ((code, words), said) = match outcome {
            Ok(said) => (("00", "成功[0000000]"), said),
            Err(refusal) => (refusal, Vec::new()),
        };
        for (name, value) in said {
            answer.set(name, value);
        }
        answer.set("respCode", code);
        answer.set("respMsg", words);
        if let (true, Some(Fault::Answer { code, sub_code, fields, .. })) = (good, fault) {
            answer.set("respCode", code.as_str());
            if let Some(code) = sub_code {
                answer.set("origRespCode", code.as_str());
            }
            for (name, value) in fields {
                answer.set(name, value.as_str());
            }
        }
        bend(&mut answer, fault);
        self.note(operation, form, good, answer.get("respCode").map(str::to_owned), fault);
        let sealed = self.seal(answer, fault)?;
        let mut books = self.books();
        if let (Some(Fault::ReplayedReply {}), Some(last)) = (fault, &books.last) {
            return Ok(last.clone());
        }
        books.last = Some(sealed.clone());
        Ok(sealed)
    }

    fn seal(&self, mut answer: Parameters, fault: Option<&Fault>) -> Result<Made, KeyError> {
        let shown = match fault {
            Some(Fault::ForeignCertificate {}) => Shown::Foreign,
            Some(Fault::ExpiredCertificate {}) => Shown::Expired,
            Some(Fault::WrongOwner {}) => Shown::WrongOwner,
            _ => Shown::Good,
        };
        for (name, value) in [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("signMethod", "01"),
            ("signPubKeyCert", self.papers.shown(shown)),
        ] {
            answer.set(name, value);
        }
        let mut text = answer.sign_string("signature");
        if matches!(fault, Some(Fault::WrongSignature {})) {
            text.push(' ');
        }
        if !matches!(fault, Some(Fault::Unsigned {})) {
            answer.set("signature", self.key.sign(to_sign(&text).as_bytes())?);
        }
        let mut books = self.books();
        books.answers += 1;
        // Either way of writing is met in the field: both must be understood.
        let body = answer.text(books.answers.is_multiple_of(2)).into_bytes();
        let kind = ("content-type", "text/html;charset=UTF-8".to_owned());
        Ok(Made { status: 200, headers: vec![kind], body })
    }
}

/// What a query tells of a transaction.
fn asked(trade: &Trade) -> Said {
    let mut said = vec![
        ("origRespCode", trade.code().to_owned()),
        ("origRespMsg", "交易状态".to_owned()),
        ("txnAmt", trade.amount.to_string()),
        ("currencyCode", "156".to_owned()),
        ("queryId", trade.query_id.clone()),
        ("traceNo", trade.query_id.chars().rev().take(6).collect()),
        // As the real one: a masked account number, which no till needs.
        ("accNo", "6216***********0001".to_owned()),
    ];
    if let Some(of) = &trade.of {
        said.push(("origQryId", of.clone()));
    }
    said
}

/// Rightly signed, and about something else.
fn bend(answer: &mut Parameters, fault: Option<&Fault>) {
    match fault {
        Some(Fault::WrongAmount { by }) => {
            if let Some(amount) = answer.get("txnAmt").and_then(|text| text.parse::<i64>().ok()) {
                answer.set("txnAmt", (amount + by).to_string());
            }
        }
        Some(Fault::WrongReference {}) => {
            let order = answer.get("orderId").unwrap_or_default().to_owned();
            answer.set("orderId", order + "X");
        }
        Some(Fault::WrongMerchant {}) => answer.set("merId", "777290058110099"),
        _ => {}
    }
}

/// A moment as the gateway writes it: `YYYYMMDDhhmmss`, +08:00.
fn stamp(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y%m%d%H%M%S").to_string()
}
