//! Sign-in, sign-off, echo.

use super::{Bankcard, unknown_of};
use crate::answers::Answer;
use crate::dialect::Action;
use crate::exchange::Exchanged;
use crate::keys::WorkingKeys;
use crate::messages::Numbers;
use crate::outcome;
use till_plugin::channel::{SignIn, SignedIn};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::{ErrorCode, PluginError};

impl Bankcard {
    pub(super) fn do_sign_in(&mut self, request: &SignIn) -> Result<SignedIn, PluginError> {
        let numbers = Numbers { trace: request.trace, batch: request.batch };
        let message = self
            .requests()
            .sign_in(numbers, request.operator.as_deref())
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, error.to_string()))?;
        self.last_batch = request.batch;
        let answer = answered("sign-in", self.exchange(&message, None))?;
        let (keys, batch) = match self.check_sign_in(&answer) {
            Ok(good) => good,
            Err(error) => {
                // The host may have changed its keys already: what we hold is not to be used for a request.
                self.lose_keys_trust();
                return Err(error);
            }
        };
        let life = self.config.dialect.timing.key_life;
        self.session.signed_in(keys, batch, self.now_ms(), life);
        self.counts.sign_ins += 1;
        self.downloads_due();
        self.tell_signed_in(true);
        Ok(SignedIn { batch, valid_s: u32::try_from(life.as_secs()).unwrap_or(u32::MAX) })
    }

    pub(super) fn do_sign_off(&mut self) -> Result<(), PluginError> {
        let message = self
            .requests()
            .sign_off(self.last_batch)
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, error.to_string()))?;
        let exchanged = self.exchange(&message, None);
        // Whatever the host says, the keys are gone here.
        self.session.forget();
        self.session.must_sign_in();
        self.tell_signed_in(false);
        let answer = answered("sign-off", exchanged)?;
        if answer.rule.action == Action::Approved {
            return Ok(());
        }
        let decline = outcome::declined(&answer.code, &answer.rule);
        Err(PluginError::new(ErrorCode::Protocol, format!("sign-off refused: {}", decline.text)))
    }

    pub(super) fn do_probe(&mut self) -> Result<Health, PluginError> {
        let message = self
            .requests()
            .echo(self.last_batch)
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, error.to_string()))?;
        let health = |state, text: String| Ok(Health { state, text });
        match self.exchange(&message, None) {
            Exchanged::Answer(answer) if answer.rule.action == Action::Approved => {
                health(DeviceState::Ready, format!("the acquirer answers{}", self.downloads_told()))
            }
            Exchanged::Answer(answer) => {
                let text = format!("the acquirer answers {}: {}", answer.code, answer.rule.text);
                health(DeviceState::Attention, text)
            }
            Exchanged::NotSent(why) => health(DeviceState::Offline, why),
            other => health(DeviceState::Failed, unknown_of(&other).text),
        }
    }

    /// What an exchange says of the keys that it was signed with.
    pub(super) fn note_keys(&mut self, exchanged: &Exchanged) {
        match exchanged {
            Exchanged::Answer(answer) if answer.rule.action == Action::SignInAgain => self.lose_keys_trust(),
            Exchanged::BadSeal => {
                self.counts.bad_macs += 1;
                self.lose_keys_trust();
            }
            _ => {}
        }
    }

    fn check_sign_in(&mut self, answer: &Answer) -> Result<(WorkingKeys, Option<u32>), PluginError> {
        let dialect = &self.config.dialect;
        if answer.rule.action != Action::Approved {
            let decline = outcome::declined(&answer.code, &answer.rule);
            return Err(PluginError::new(ErrorCode::NotReady, format!("sign-in refused: {}", decline.text)));
        }
        let field62 = answer.message.get(62).unwrap_or_default();
        let keys = WorkingKeys::unwrap(dialect, &dialect.request.sign_in_code, &self.master, field62)
            .map_err(|error| PluginError::new(ErrorCode::Protocol, format!("sign-in: {error}")))?;
        // 60.2 of the reply is the batch the host wants used.
        let batch =
            answer.message.text(60).and_then(|text| text.get(2..8)).and_then(|digits| digits.parse().ok());
        Ok((keys, batch.filter(|batch| *batch > 0)))
    }
}

/// The answer to a management request, or why there is none.
fn answered(what: &str, exchanged: Exchanged) -> Result<Answer, PluginError> {
    match exchanged {
        Exchanged::Answer(answer) => Ok(*answer),
        Exchanged::NotSent(why) => {
            Err(PluginError::new(ErrorCode::TransportGone, format!("{what} not sent: {why}")))
        }
        Exchanged::NoAnswer(why) => Err(PluginError::new(ErrorCode::Timeout, format!("{what}: {why}"))),
        other => Err(PluginError::new(ErrorCode::Protocol, format!("{what}: {}", unknown_of(&other).text))),
    }
}
