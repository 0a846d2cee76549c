//! The control port: one JSON object a line in, one a line out.
//!
//! | line | answer |
//! |---|---|
//! | `{"do":"faults","script":{"rules":[…]}}` | adds fault rules ([`crate::faults`]) |
//! | `{"do":"clear-faults"}` | forgets them |
//! | `{"do":"pending"}`, `{"do":"fired"}` | rules with turns left; faults that struck |
//! | `{"do":"release"}` | lets held requests go |
//! | `{"do":"ledger"}` | every entry, card numbers masked |
//! | `{"do":"totals","tid":"12345678","batch":"000001"}` | debit and credit of a batch (the open one where absent) |
//! | `{"do":"lose","tid":"12345678","batch":"000001","trace":"000002"}` | forgets a booking it has answered, so that totals differ |
//! | `{"do":"closed"}` | batches closed, with both counts |
//! | `{"do":"stats"}` | frames, connections, what was refused |
//! | `{"do":"card","pan":"…","answer":"51","balance":100,"pin":"123456","limit":100,"partial":true}` | sets a card (fen); `"field54":"…"`: what a balance inquiry is told instead |
//! | `{"do":"profile","name":"…","mcc":"5812"}` | what approvals say of the shop from now on (fields 43, 18) |
//! | `{"do":"parameters","contactless":{"FF8054":"1",…},"wrong":"check-value",…}` | what terminals may download from now on, and what goes wrong with it ([`super::downloads`]) |
//! | `{"do":"downloaded"}` | questions of downloads so far |
//! | `{"do":"down"}`, `{"do":"up"}` | closes and opens the port |

use super::cards::{Card, Instrument};
use super::config::Profile;
use super::downloads::Parameters;
use super::ledger::Key;
use super::money::Fen;
use super::server::Shared;
use crate::faults::FaultError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A line of the control port.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Faults {
        script: Value,
    },
    ClearFaults {},
    Pending {},
    Fired {},
    Release {},
    Ledger {},
    Totals {
        tid: String,
        batch: Option<String>,
    },
    Lose(Key),
    Closed {},
    Stats {},
    Card {
        pan: Instrument,
        answer: Option<String>,
        balance: Option<Fen>,
        pin: Option<String>,
        limit: Option<Fen>,
        #[serde(default)]
        partial: bool,
        field54: Option<String>,
    },
    Profile(Profile),
    Parameters(Parameters),
    Downloaded {},
    Down {},
    Up {},
}

/// Serves control connections.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, up: watch::Sender<bool>) {
    let up = Arc::new(up);
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, up) = (Arc::clone(&shared), Arc::clone(&up));
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match serde_json::from_str(&line) {
                    Ok(command) => match run(&shared, &up, command) {
                        Ok(value) => json!({"ok": value}),
                        Err(error) => json!({"error": error.to_string()}),
                    },
                    Err(error) => json!({"error": format!("not a control line: {error}")}),
                };
                if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn run(shared: &Shared, up: &watch::Sender<bool>, command: Command) -> Result<Value, FaultError> {
    let mut inner = shared.lock();
    let value = match command {
        Command::Faults { script } => json!(shared.plan.load(&script.to_string())?),
        Command::ClearFaults {} => {
            shared.plan.clear();
            json!(0)
        }
        Command::Pending {} => json!(shared.plan.pending()),
        Command::Fired {} => json!(shared.plan.fired()),
        Command::Release {} => {
            shared.plan.release();
            json!(true)
        }
        Command::Ledger {} => json!(inner.host.ledger.entries().collect::<Vec<_>>()),
        Command::Totals { tid, batch } => {
            let open = inner.host.sessions.get(&tid).map(|s| format!("{:06}", s.batches.newest()));
            let batch = batch.or(open).unwrap_or_default();
            json!({"tid": tid, "batch": batch, "totals": inner.host.ledger.totals(&tid, &batch)})
        }
        Command::Lose(key) => json!(inner.host.lose(&key)),
        Command::Closed {} => json!(inner.host.closed),
        Command::Stats {} => json!(inner.stats),
        Command::Card { pan, answer, balance, pin, limit, partial, field54 } => {
            let usual = Card::default();
            let card = Card {
                answer: answer.unwrap_or(usual.answer),
                balance: balance.unwrap_or(usual.balance),
                pin,
                limit,
                partial,
                field54,
                wrong_pins: 0,
            };
            let shown = pan.masked();
            inner.host.cards.set(pan, card);
            json!(shown)
        }
        Command::Profile(profile) => {
            inner.host.profile = profile;
            json!(true)
        }
        Command::Parameters(parameters) => {
            inner.host.parameters = parameters;
            json!(true)
        }
        Command::Downloaded {} => json!(inner.host.downloaded),
        Command::Down {} => json!(up.send_replace(false)),
        Command::Up {} => json!(up.send_replace(true)),
    };
    drop(inner);
    shared.changed.notify_all();
    Ok(value)
}
