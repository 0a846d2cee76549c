//! `pay`: opens, confirms, pays where asked to, and follows to the end.

use std::os::fd::AsFd;
use std::time::Duration;

use till_dbus::events::{Event, Events};
use till_dbus::types::PaymentDetails;
use till_dbus::{Error, Options, Payment1Proxy, Prepaid1Proxy, paths};
use till_plugin::Money;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zbus::OwnedObjectPath;

use crate::args::Pay;
use crate::exit::{DONE, FAILED, Failure, NO_MONEY, REFUSED, UNKNOWN};
use crate::follow::{End, Follower, Step};
use crate::look::clean;
use crate::session::{Session, write_out};

/// How long to wait for a daemon that left; its unit restarts it within seconds.
const COME_BACK: Duration = Duration::from_mins(2);

/// What the command line asks for, checked before anything is opened.
pub(crate) struct Order {
    amount: Money,
    tendered: Option<Money>,
    part: Option<Money>,
    wants_code: bool,
}

/// What is opened.
pub(crate) enum Open<'o> {
    /// A sale, or a hold.
    Sale,
    /// A top-up of a card that was presented.
    TopUp {
        /// The channel that keeps it.
        cards: &'o Prepaid1Proxy<'o>,
        /// Its ticket.
        card: &'o str,
    },
}

/// Checks the command line.
pub(crate) fn order(args: &Pay) -> Result<Order, Failure> {
    let read =
        |text: &str| Money::from_decimal(text, args.currency).map_err(|e| Failure::usage(e.to_string()));
    let amount = read(&args.amount)?;
    let tendered = args.cash.as_deref().map(read).transpose()?;
    if let Some(code) = &args.code
        && code.expose() != "-"
    {
        return Err(Failure::usage(
            "a payment code on the command line can be read by every user of this machine, and stays in the shell's \
             history: write --code - and give the code on standard input. Do not use that code again",
        ));
    }
    let part = args.part.as_deref().map(read).transpose()?;
    if let Some(part) = part {
        if tendered.is_none() && args.code.is_none() && !args.show_code {
            return Err(Failure::usage(
                "--part says how much --cash, --code or --show-code pays: give one of them",
            ));
        }
        if !part.is_positive() || part.minor() > amount.minor() {
            return Err(Failure::usage(format!("a part is more than nothing and at most {amount}")));
        }
    }
    Ok(Order { amount, tendered, part, wants_code: args.code.is_some() })
}

/// Pays.
pub(crate) async fn run(session: &Session, args: &Pay, order: Order, open: Open<'_>) -> Result<u8, Failure> {
    // From here on Ctrl-C is a wish to cancel, not an end that leaves the till held.
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Listen first: nothing that happens from here on is missed.
    let mut events = Events::subscribe(&session.connection).await?;
    let mut options = session.options();
    for (name, value) in [("key", &args.key), ("subject", &args.subject)] {
        if let Some(value) = value {
            options.insert(name, value.as_str().into());
        }
    }
    if args.hold {
        options.insert("purpose", "hold".into());
    }
    if args.training {
        options.insert("training", true.into());
    }
    let (minor, currency) = (order.amount.minor(), order.amount.currency().code());
    let path = match open {
        Open::Sale => session.terminal().await?.open_payment(minor, currency, options).await?,
        Open::TopUp { cards, card } => cards.top_up(card, minor, options).await?,
    };
    let id = paths::payment_id(&path).unwrap_or_default().to_owned();
    let payment = session.payment(&path).await?;
    let one_shot = order.tendered.is_some() || order.wants_code || args.show_code;
    let mut run = Run {
        session,
        payment: &payment,
        id: id.clone(),
        follower: Follower::new(&session.look, path.clone(), currency).with_brought(one_shot),
        asked_to_cancel: false,
        one_shot,
        refused: None,
        part: order.part.is_some(),
        paid_before: 0,
    };
    let what = if payment.training().await? {
        session.look.say("TRAINING payment, no money moves:", "培训交易，不动资金：")
    } else {
        session.look.say("payment", "交易")
    };
    run.say(&format!("{} {what} {id}", order.amount))?;
    // The same key gives the same payment again: it may be anywhere in its life.
    let state = payment.state().await?;
    if let Some(end) = run.follower.read(&state)
        && !args.no_wait
    {
        return run.finish(end).await;
    }
    if state == "draft" {
        payment.confirm_amount(minor, currency, Options::new()).await?;
    }
    if state == "part-paid" {
        run.paid_before = payment.paid().await?;
        if run.one_shot && !args.more {
            // Asked a second time, perhaps by a script in doubt: a part is taken only when somebody says so.
            return run.part_paid(true).await;
        }
    }
    if matches!(state.as_str(), "draft" | "ready" | "part-paid") {
        run.present(args, &order, &mut interrupt).await?;
    }
    if args.no_wait {
        return no_wait(session, &id, &path, run.refused);
    }
    run.follow(&mut events, &mut interrupt).await
}

fn no_wait(
    session: &Session,
    id: &str,
    path: &OwnedObjectPath,
    refused: Option<Failure>,
) -> Result<u8, Failure> {
    if let Some(refused) = refused {
        return Err(refused);
    }
    let json = serde_json::json!({ "id": id, "path": path.as_str() });
    session.did(id, &json)?;
    Ok(DONE)
}

struct Run<'r> {
    session: &'r Session,
    payment: &'r Payment1Proxy<'r>,
    id: String,
    follower: Follower,
    asked_to_cancel: bool,
    /// tillctl itself brought the cash or code: when that fails there is nothing to wait for.
    one_shot: bool,
    /// Why what tillctl brought was refused.
    refused: Option<Failure>,
    /// A part is all that is asked for.
    part: bool,
    /// What earlier parts paid, minor units: giving up now would give that back.
    paid_before: i64,
}

impl Run<'_> {
    /// A line for people: on standard error when standard output is JSON.
    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.session.json {
            eprintln!("{line}");
            return Ok(());
        }
        write_out(&format!("{line}\n"))
    }

    /// Brings cash or a code, when the command line has it.
    async fn present(&mut self, args: &Pay, order: &Order, interrupt: &mut Signal) -> Result<(), Failure> {
        let mut options: Options<'_> = Options::new();
        if let Some(channel) = &args.channel {
            options.insert("channel", channel.as_str().into());
        }
        if let Some(part) = order.part {
            options.insert("amount", part.minor().into());
        }
        let result = if let Some(tendered) = order.tendered {
            self.payment.pay_cash(tendered.minor(), options).await
        } else if args.show_code {
            self.payment.pay_shown_code(options).await
        } else if order.wants_code {
            if let Some(family) = &args.family {
                options.insert("family", family.as_str().into());
            }
            if let Some(why) = &args.duplicate_reason {
                options.insert("duplicate-reason", why.as_str().into());
            }
            let prompt = self.session.look.say("payment code: ", "付款码：");
            let code = tokio::select! {
                code = crate::secret_line::read(prompt) => code,
                _ = interrupt.recv() => Err(Failure::usage("no code was given")),
            };
            match code {
                Ok(code) => match till_dbus::code_pipe(code.expose()) {
                    Ok(pipe) => self.payment.pay_code(zbus::Fd::from(pipe.as_fd()), options).await,
                    Err(e) => Err(Error::NotPayable(e.to_string())),
                },
                Err(e) => {
                    self.give_up().await?;
                    self.refused = Some(e);
                    return Ok(());
                }
            }
        } else if let Some(why) = &args.duplicate_reason {
            options.clear();
            options.insert("duplicate-reason", why.as_str().into());
            self.payment.next_tender(order.amount.minor() - self.paid_before, options).await
        } else {
            return Ok(());
        };
        if let Err(e) = result {
            // Somebody else moved it on: follow that. Anything else: the till must not stay held.
            if !matches!(e, Error::WrongState(_)) {
                self.give_up().await?;
            }
            self.refused = Some(e.into());
        }
        Ok(())
    }

    async fn give_up(&mut self) -> Result<(), Failure> {
        self.asked_to_cancel = true;
        if self.paid_before > 0 {
            // Earlier parts stay paid; `tillctl cancel` gives them back.
            return Ok(());
        }
        match self.payment.cancel(self.session.options()).await {
            // Already over: its end will be heard.
            Ok(()) | Err(Error::WrongState(_)) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    async fn follow(&mut self, events: &mut Events, interrupt: &mut Signal) -> Result<u8, Failure> {
        if self.paid_before > 0 && self.refused.is_some() {
            return self.part_paid(false).await;
        }
        loop {
            let event = tokio::select! {
                biased;
                event = self.next(events) => event?,
                _ = interrupt.recv() => {
                    if self.asked_to_cancel || self.paid_before > 0 {
                        return self.leave("it goes on without tillctl");
                    }
                    self.say(self.session.look.say(
                        "asking to cancel; Ctrl-C once more leaves it to the till",
                        "正在请求取消；再按一次 Ctrl-C 退出，由收银机继续处理",
                    ))?;
                    self.give_up().await?;
                    continue;
                }
            };
            let Some(event) = event else {
                return self.leave("tilld did not come back in time");
            };
            for step in self.follower.hear(&event) {
                match step {
                    Step::Line(line) => self.say(&line)?,
                    Step::Show(code) => self.show_code(&code)?,
                    Step::BackToReady if self.one_shot && !self.asked_to_cancel => self.give_up().await?,
                    Step::PartPaid if self.part || self.one_shot => return self.part_paid(false).await,
                    Step::BackToReady | Step::PartPaid => {}
                    Step::ReadAgain => {
                        let state = self.find().await?.state;
                        if let Some(end) = self.follower.read(&state) {
                            return self.finish(end).await;
                        }
                        if state == "part-paid" && (self.part || self.one_shot) {
                            return self.part_paid(false).await;
                        }
                    }
                    Step::End(end) => return self.finish(end).await,
                }
            }
        }
    }

    /// The next event; None: the daemon is gone for too long.
    async fn next(&self, events: &mut Events) -> Result<Option<Event>, Failure> {
        let event = if events.is_running() {
            events.next().await
        } else {
            match tokio::time::timeout(COME_BACK, events.next()).await {
                Ok(event) => event,
                Err(_) => return Ok(None),
            }
        };
        event.map(Some).ok_or_else(|| {
            let detail = format!("the bus ended; payment {} goes on at the till", self.id);
            Failure { exit: UNKNOWN, ..Failure::from(Error::NoBus { bus: "of this session".into(), detail }) }
        })
    }

    fn leave(&self, why: &str) -> Result<u8, Failure> {
        Err(Failure {
            exit: UNKNOWN,
            code: "Unknown".into(),
            text: format!("payment {} is {}: {why}", self.id, clean(self.follower.state())),
            hint: Some(format!("`tillctl show {}` tells how it ended", self.id)),
        })
    }

    async fn find(&self) -> Result<PaymentDetails, Failure> {
        Ok(self.session.terminal().await?.find_payment(&self.id, Options::new()).await?)
    }

    fn show_code(&self, code: &str) -> Result<(), Failure> {
        let picture = qrcode::QrCode::new(code.as_bytes())
            .map(|qr| qr.render::<qrcode::render::unicode::Dense1x2>().build())
            .unwrap_or_default();
        self.say(&picture)
    }

    /// Part-paid: what remains. `again`: nothing was asked for now.
    async fn part_paid(&mut self, again: bool) -> Result<u8, Failure> {
        let details = self.find().await?;
        let look = &self.session.look;
        if self.session.json {
            self.session.show(&details, |_| String::new())?;
        }
        let money = |minor| look.money(minor, self.follower.currency());
        let remaining = money(details.remaining.unwrap_or_default());
        let (paid, remains) = (look.say("paid so far", "已付"), look.say("remaining", "待付"));
        self.say(&format!("{paid} {}; {remains} {remaining}", money(details.paid)))?;
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        if again && !self.part {
            return Err(Failure {
                exit: REFUSED,
                code: "PartPaid".into(),
                text: format!(
                    "payment {} is part-paid: {remaining} remain, and nothing was taken now",
                    self.id
                ),
                hint: Some("--more pays another part, or all the rest".into()),
            });
        }
        Ok(match details.paid > self.paid_before {
            true if self.part => DONE,
            // Something was paid, but not what was asked for.
            true => FAILED,
            false if again => DONE,
            false => NO_MONEY,
        })
    }

    async fn finish(&mut self, end: End) -> Result<u8, Failure> {
        let details = self.find().await?;
        let look = &self.session.look;
        if self.session.json {
            self.session.show(&details, |_| String::new())?;
        }
        match end {
            End::Paid => {
                if let Some(change) = details.attempts.iter().rev().find_map(|a| a.change).filter(|c| *c > 0)
                {
                    let change = look.money(change, self.follower.currency());
                    self.say(&format!("{}: {change}", look.say("change", "找零")))?;
                }
                if !self.session.json {
                    // The receipt was earned before the daemon told of it; a daemon that left since cannot give it.
                    match self.payment.receipt_text(Options::new()).await {
                        Ok(text) => write_out(&format!("\n{}", receipt(&text)))?,
                        Err(e) => eprintln!("tillctl: paid, but the receipt cannot be shown: {e}"),
                    }
                }
                Ok(DONE)
            }
            End::Held => {
                let id = &self.id;
                let held = look.money(details.held.unwrap_or_default(), self.follower.currency());
                let how = format!("`tillctl capture {id}`, `tillctl release {id}`");
                self.say(&format!("{}: {held}; {how}", look.say("held", "已预授权")))?;
                Ok(DONE)
            }
            End::Returned => Ok(NO_MONEY),
            End::Cancelled => match self.refused.take() {
                Some(refused) => Err(refused),
                None => Ok(NO_MONEY),
            },
            End::Review => Ok(UNKNOWN),
        }
    }
}

/// Lines of a receipt, without anything that steers a terminal.
fn receipt(text: &str) -> String {
    text.lines().map(|l| clean(l) + "\n").collect()
}
