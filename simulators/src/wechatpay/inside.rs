//! The platform without its network: a request goes in, a sealed answer comes out, the books move in between.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::books::{Ledger, Refusal, Said, Seen};
use super::sealing::{Bent, Signer, Signers, random, seal_two};
use super::{Buyer, three, two};
use crate::faults::Fault;
use crate::wallet::keys::{KeyError, SigningKey};
use crate::wallet::serve::Made;

/// A request as the server read it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: String,
    pub(crate) body: Vec<u8>,
    /// The operation and its number; nothing where there is no such address.
    pub(crate) operation: Option<&'static str>,
    pub(crate) number: String,
    pub(crate) two: bool,
}

/// One platform's inside.
pub(crate) struct Inside {
    pub(crate) three: three::Merchant,
    pub(crate) two: two::Merchant,
    pub(crate) clock_offset: SignedDuration,
    pub(crate) patience: Duration,
    pub(crate) books: Mutex<Books>,
}

/// What changes.
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    pub(crate) advanced: SignedDuration,
    pub(crate) signers: Signers,
}

impl Inside {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> Timestamp {
        Timestamp::now().checked_add(self.clock_offset).unwrap_or(Timestamp::MAX)
    }

    fn now(&self, books: &Books) -> Timestamp {
        self.clock().checked_add(books.advanced).unwrap_or(Timestamp::MAX)
    }

    /// The books as they stand now.
    pub(crate) fn snapshot(&self) -> Ledger {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.catch_up(now, self.patience);
        books.ledger.clone()
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut books = self.books();
        books.advanced = books.advanced.saturating_add(by);
    }

    pub(crate) fn set_buyer(&self, code: &str, buyer: Buyer) {
        self.books().ledger.buyers.insert(crate::wallet::digest_of(code), buyer);
    }

    pub(crate) fn scan(&self, order: &str) -> bool {
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.scan(order, now)
    }

    /// From now on a new key signs; the list of certificates has both.
    pub(crate) fn rotate(&self) -> Result<(), KeyError> {
        let signer = Signer::certified(SigningKey::generate()?)?;
        self.books().signers.all.push_back(signer);
        Ok(())
    }

    /// Notes a request that a fault lost before anything was booked.
    pub(crate) fn note_lost(&self, asked: &Asked, fault: &Fault) {
        self.note(asked, false, None, Some(fault));
    }

    fn note(&self, asked: &Asked, verified: bool, answer: Option<(u16, String)>, fault: Option<&Fault>) {
        let number = Some(asked.number.clone()).filter(|n| !n.is_empty());
        let operation = asked.operation.unwrap_or("");
        let fault = fault.map(Fault::kind);
        self.books().ledger.requests.push(Seen { operation, number, verified, answer, fault });
    }

    /// Answers one request. The fault only bends what is booked and what the answer says; what it does to the connection is
    /// the server's part.
    pub(crate) fn answer(&self, asked: &Asked, fault: Option<&Fault>) -> Result<Made, KeyError> {
        if matches!(fault, Some(Fault::KeyRotated {})) {
            self.rotate()?;
        }
        if asked.two { self.answer_two(asked, fault) } else { self.answer_three(asked, fault) }
    }

    /// Runs a verified request on the books, as far as the fault lets it.
    fn run(
        &self,
        asked: &Asked,
        input: &super::books::Input,
        fault: Option<&Fault>,
    ) -> Result<Said, Refusal> {
        if !fault.is_none_or(Fault::books) {
            return Err(Refusal::SYSTEM);
        }
        let mut books = self.books();
        let now = self.now(&books);
        books.ledger.catch_up(now, self.patience);
        let said = books.ledger.run(asked.operation.unwrap_or(""), input, now)?;
        Ok(bend(said, fault))
    }

    fn answer_three(&self, asked: &Asked, fault: Option<&Fault>) -> Result<Made, KeyError> {
        let target = if asked.query.is_empty() {
            asked.path.clone()
        } else {
            format!("{}?{}", asked.path, asked.query)
        };
        let clock = self.clock();
        let verified = self.three.verify(&asked.method, &target, &asked.authorization, &asked.body, clock);
        let good = verified.is_ok();
        let operation = asked.operation.unwrap_or("");
        let outcome = match (verified, operation) {
            (Ok(()), "certificates") => Ok((200, self.books().signers.list()?)),
            (verified, _) => verified
                .and_then(|()| self.three.read(operation, &asked.number, &asked.query, &asked.body))
                .and_then(|input| self.run(asked, &input, fault))
                .map(|said| self.three.write(&said)),
        };
        let (mut status, mut json) = outcome
            .unwrap_or_else(|Refusal(status, code, words)| (status, json!({"code": code, "message": words})));
        if let Some(Fault::Answer { code, sub_code, fields, .. }) = fault.filter(|_| good) {
            status = code.parse().unwrap_or(500);
            json = json!({});
            if let Some(code) = sub_code {
                json["code"] = code.as_str().into();
                json["message"] = "测试".into();
            }
            for (name, value) in fields {
                json[name] = value.as_str().into();
            }
        }
        let code = json.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.note(asked, good, Some((status, code)), fault);
        let body = if json.is_null() { Vec::new() } else { json.to_string().into_bytes() };
        let bent = match fault {
            Some(Fault::WrongSignature {}) => Bent::Wrong,
            Some(Fault::Unsigned {}) => Bent::None,
            Some(Fault::SignatureProbe {}) => Bent::Probe,
            Some(Fault::StaleSignature {}) => Bent::Stale,
            _ => Bent::No,
        };
        let mut books = self.books();
        if let (Some(Fault::ReplayedReply {}), Some(last)) = (fault, &books.signers.last) {
            return Ok(last.clone());
        }
        books.signers.seal(status, body, clock, bent)
    }

    fn answer_two(&self, asked: &Asked, fault: Option<&Fault>) -> Result<Made, KeyError> {
        let operation = asked.operation.unwrap_or("");
        let fields = two::parse(&asked.body);
        let verified = fields.as_ref().ok_or(Refusal::PARAM).and_then(|fields| self.two.verify(fields));
        let Ok(hmac) = verified else {
            self.note(asked, false, Some((200, "FAIL".into())), fault);
            let body = b"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[\xe7\xad\xbe\xe5\x90\x8d\xe9\x94\x99\xe8\xaf\xaf]]></return_msg></xml>";
            return Ok(Made { status: 200, headers: Vec::new(), body: body.to_vec() });
        };
        let said = two::Merchant::read(operation, fields.as_ref().unwrap_or(&Vec::new()))
            .and_then(|input| self.run(asked, &input, fault));
        let nonce = hex::encode(random::<16>()?);
        let mut answer = self.two.write(said.as_ref().map_err(|refusal| *refusal), &nonce);
        if let Some(Fault::Answer { sub_code, fields, .. }) = fault {
            answer = self.two.write(Ok(&Said::Closed), &nonce);
            if let Some(code) = sub_code {
                answer.retain(|(name, _)| name != "result_code");
                answer.push(("result_code".into(), "FAIL".into()));
                answer.push(("err_code".into(), code.clone()));
            }
            answer.extend(fields.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        let code = answer.iter().find(|(k, _)| k == "err_code").map(|(_, v)| v.clone()).unwrap_or_default();
        self.note(asked, true, Some((200, code)), fault);
        let mut seal = seal_two(&answer, hmac, &self.two.key);
        if matches!(
            fault,
            Some(Fault::WrongSignature {} | Fault::StaleSignature {} | Fault::SignatureProbe {})
        ) {
            seal = seal.chars().rev().collect();
        }
        if !matches!(fault, Some(Fault::Unsigned {})) {
            answer.push(("sign".into(), seal));
        }
        let sealed = Made { status: 200, headers: Vec::new(), body: two::document(&answer) };
        let mut books = self.books();
        if let (Some(Fault::ReplayedReply {}), Some(last)) = (fault, &books.signers.last) {
            return Ok(last.clone());
        }
        books.signers.last = Some(sealed.clone());
        Ok(sealed)
    }
}

/// Rightly sealed, and about something else.
fn bend(mut said: Said, fault: Option<&Fault>) -> Said {
    let (by, reference) = match fault {
        Some(Fault::WrongAmount { by }) => (*by, false),
        Some(Fault::WrongReference {}) => (0, true),
        _ => return said,
    };
    match &mut said {
        Said::Order(trade) | Said::Reversed(trade) => {
            trade.total += by;
            if reference {
                trade.out_trade_no.push('X');
            }
        }
        Said::Refund(trade, refund) => {
            refund.amount += by;
            if reference {
                trade.out_trade_no.push('X');
            }
        }
        Said::CodeUrl(_) | Said::Closed => {}
    }
    said
}
