//! What people at the till do, over and over: cards, codes, and waiting for what they see.

use std::time::Duration;

use till_simulators::players::{Swipe, SwipeFault};

use crate::RigError;

/// Longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The schemes' public test card of UnionPay on both tracks; its discretionary data is easy to search for.
pub const TRACKS: &str = "%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?";

/// A card whose bank says no (51).
pub const TRACKS_SHORT: &str =
    "%B4000000000009995^TEST/SHORT^3012101000000000?;4000000000009995=301210100000?";

/// A wallet code that pays at once; each number is another customer.
pub fn wallet_code(number: u64) -> String {
    format!("28{:010}000001", number % 10_000_000_000)
}

/// A swipe by somebody who draws the card once more: readers take an equal swipe within 300 ms for the same one.
pub fn again(tracks: &str) -> Swipe {
    Swipe::new(tracks).with(SwipeFault::Pause { at: 0, ms: 400 })
}

/// The name of a D-Bus error without its prefix (`Busy`), or the whole text of anything else.
pub fn error_name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, _, _) => {
            name.as_str().rsplit('.').next().unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}

/// The error of a call that had to fail.
pub fn refused<T>(result: zbus::Result<T>) -> String {
    match result {
        Ok(_) => "it was accepted".to_owned(),
        Err(e) => error_name(&e),
    }
}

/// Asks again and again until `ask` gives something; for state that nothing signals.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> Result<T, RigError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return Ok(found);
        }
        if tokio::time::Instant::now() > deadline {
            return Err(RigError::Till(format!("not within {PATIENCE:?}: {what}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Numbers of the whole receipts on paper, in order, and whether each is marked as a second try.
pub fn receipts(rig: &crate::Rig) -> Vec<(u64, bool)> {
    let number = |text: &str| -> Option<u64> {
        let line = text.lines().find(|l| l.trim_start().starts_with("单号"))?;
        line.split_whitespace().last()?.parse().ok()
    };
    let texts = rig.printer.receipts().into_iter().map(|r| r.text());
    // The last line of a whole receipt; a torn one has none.
    let whole = texts.filter(|t| t.contains("顾客存根"));
    whole.filter_map(|t| Some((number(&t)?, t.contains("重新打印")))).collect()
}

/// How often the receipt of a number is whole on paper: first prints, and prints marked as a second try.
pub fn prints(rig: &crate::Rig, number: u64) -> (usize, usize) {
    let all = receipts(rig);
    let count = |marked| all.iter().filter(|r| **r == (number, marked)).count();
    (count(false), count(true))
}
