//! One exchange with the gateway: sign, post, cut, verify; and the certificate that Alipay changed to, fetched where an answer
//! names one that is not there.

use std::time::{Duration, Instant};

use till_plugin::Host;
use till_plugin::channel::{Decline, DeclineClass, NextStep};
use till_plugin::host::Level;
use till_wallet::time::host_time;
use zeroize::Zeroizing;

use crate::calls::{self, Call, CallError, Merchant};
use crate::link::Target;
use crate::outcome::{Answered, NoNode};
use crate::reply::{Envelope, ReplyError, Verified};
use crate::seal::Seal;
use crate::sign::AppKey;

/// Kept back from every call's deadline, so that the answer reaches the daemon before it gives the call up.
const MARGIN: Duration = Duration::from_millis(250);

/// A certificate is fetched at most this often: a wrong number must not become a flood, and one fetch that was lost must not last longer
/// than the questions about a payment do.
const FETCH_PAUSE_MS: u64 = 10_000;

/// The least time a fetch is worth starting with, and the longest it may hold up the call whose answer needs it.
const FETCH_LEAST: Duration = Duration::from_millis(500);
const FETCH_LONGEST: Duration = Duration::from_secs(5);

/// Why a call was not made.
pub(crate) enum NotMade {
    /// Nobody knows what time it is.
    Clock,
    /// It cannot be written.
    Call(CallError),
}

impl NotMade {
    /// In the operator's words.
    pub(crate) fn decline(&self) -> Decline {
        match self {
            Self::Clock => Decline {
                next: NextStep::Later,
                text_zh: "系统时间未同步，支付宝暂不可用".into(),
                ..Decline::local(
                    DeclineClass::Device,
                    "clock-not-synchronised",
                    "the clock is not synchronised, and Alipay requests are signed with the time; connect the till to a time \
                     server, use cash meanwhile",
                )
            },
            Self::Call(e @ CallError::Code) => Decline {
                next: NextStep::PresentAgain,
                text_zh: "不是支付宝付款码，请重新扫码".into(),
                ..Decline::local(DeclineClass::Device, "not-a-payment-code", e.to_string())
            },
            Self::Call(e) => Decline {
                next: NextStep::CallSupport,
                ..Decline::local(DeclineClass::Merchant, "request-not-built", e.to_string())
            },
        }
    }
}

/// The way to the gateway, with what signs and verifies.
pub(crate) struct Exchange {
    pub(crate) merchant: Merchant,
    pub(crate) app: AppKey,
    pub(crate) seal: Seal,
    pub(crate) target: Target,
    /// The longest exchange.
    pub(crate) longest: Duration,
    /// How many there were.
    pub(crate) made: u64,
    /// When a certificate was last fetched, boot clock.
    pub(crate) fetched_ms: Option<u64>,
}

/// What is left of the call that is being served.
pub(crate) fn time_left(host: &Host) -> Duration {
    host.remaining().saturating_sub(MARGIN)
}

impl Exchange {
    /// Makes one call. `Err` when nothing was sent because nothing could be.
    pub(crate) fn ask(&mut self, host: &Host, call: &Call) -> Result<Answered, NotMade> {
        let body = match self.post(host, call, self.longest)? {
            Ok(body) => body,
            Err(no) => return Ok(Err(no)),
        };
        let mut opened = self.open(host, call, &body);
        if let Err(ReplyError::UnknownCertificate(number)) = &opened
            && self.fetch(host, &number.clone())
        {
            opened = self.open(host, call, &body);
        }
        Ok(opened.map_err(NoNode::from))
    }

    fn post(
        &mut self,
        host: &Host,
        call: &Call,
        longest: Duration,
    ) -> Result<Result<Vec<u8>, NoNode>, NotMade> {
        let now = host.now();
        let time = host_time(now.wall_ms).filter(|_| now.trusted).ok_or(NotMade::Clock)?;
        let form: Zeroizing<Vec<u8>> =
            call.signed_form(&self.merchant, &self.app, &time).map_err(NotMade::Call)?;
        self.made += 1;
        let deadline = Instant::now() + time_left(host).min(longest);
        Ok(self.target.post(&form, deadline).map_err(NoNode::from))
    }

    fn open(&self, host: &Host, call: &Call, body: &[u8]) -> Result<Verified, ReplyError> {
        let now = host.now();
        self.seal.open(Envelope::cut(body, call.response)?, now.trusted.then_some(now.wall_ms))
    }

    /// Fetches the certificate of that number and takes it in, if it is believed.
    fn fetch(&mut self, host: &Host, number: &str) -> bool {
        let now = host.now();
        let lately = self.fetched_ms.is_some_and(|at| now.boot_ms.saturating_sub(at) < FETCH_PAUSE_MS);
        if lately || time_left(host) < FETCH_LEAST {
            return false;
        }
        self.fetched_ms = Some(now.boot_ms);
        match self.fetched(host, number) {
            Ok(()) => {
                let text = format!(
                    "Alipay signs with another certificate, {number}; it was fetched and leads to alipay_root. Until it stands \
                     in alipay_certificate it is fetched after every start"
                );
                host.log(Level::Warn, text);
                true
            }
            Err(why) => {
                host.log(Level::Error, format!("Alipay's certificate {number} cannot be fetched: {why}"));
                false
            }
        }
    }

    fn fetched(&mut self, host: &Host, number: &str) -> Result<(), String> {
        let call = calls::certificate(number).map_err(|e| e.to_string())?;
        let body = match self.post(host, &call, FETCH_LONGEST.min(self.longest)) {
            Ok(Ok(body)) => body,
            Ok(Err(no)) => return Err(no.to_string()),
            Err(no) => return Err(no.decline().text),
        };
        let envelope = Envelope::cut(&body, call.response).map_err(|e| e.to_string())?;
        let content = envelope.brought().map_err(|code| format!("the gateway answered {code}"))?;
        let now = host.now();
        let Seal::Certificates(papers) = &mut self.seal else { return Err("the till has none".into()) };
        if !now.trusted {
            return Err(ReplyError::Clock.to_string());
        }
        papers.take_in(number, &content, now.wall_ms).map_err(|e| e.to_string())
    }
}
