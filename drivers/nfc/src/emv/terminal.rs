//! What the terminal tells a card: its own facts, and those of one sale.

use till_plugin::Money;

use super::aid::Scheme;

/// Facts of the terminal, from the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Its AIDs, the most wanted first.
    pub aids: Vec<Vec<u8>>,
    /// Terminal transaction qualifiers (9F66).
    pub qualifiers: [u8; 4],
    /// Country (9F1A), ISO 3166-1 numeric.
    pub country: u16,
    /// Terminal capabilities (9F33).
    pub capabilities: [u8; 3],
    /// Terminal type (9F35), as its two digits are written.
    pub kind: u8,
    /// Serial number of the reader (9F1E), eight characters.
    pub serial: [u8; 8],
    /// Transaction type (9C): `00` goods and services.
    pub transaction: u8,
    /// Most that is paid without PIN and signature, minor units.
    pub small: i64,
    /// Most that is taken by tap at all, minor units.
    pub most: Option<i64>,
    /// A card without a directory is asked for the terminal's AIDs one by one.
    pub try_list: bool,
}

/// Facts of one tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Amount.
    pub amount: Money,
    /// Year (two digits), month, day.
    pub date: [u8; 3],
    /// Hour, minute, second.
    pub time: [u8; 3],
    /// Random, new for each tap (9F37).
    pub unpredictable: [u8; 4],
    /// Counter of the terminal (9F41).
    pub sequence: u32,
}

/// Two binary coded digits of a number below 100.
const fn bcd(n: u8) -> u8 {
    ((n / 10 % 10) << 4) | (n % 10)
}

/// A number in binary coded decimal, right-aligned.
fn digits<const N: usize>(mut n: u64) -> [u8; N] {
    let mut out = [0; N];
    for byte in out.iter_mut().rev() {
        *byte = bcd(u8::try_from(n % 100).unwrap_or(0));
        n /= 100;
    }
    out
}

/// Date and time of a wall clock (Unix ms) at an offset from UTC, as `YYMMDD` and `hhmmss` numbers.
pub fn local(wall_ms: i64, offset_minutes: i32) -> ([u8; 3], [u8; 3]) {
    let seconds = wall_ms.div_euclid(1000) + i64::from(offset_minutes) * 60;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to civil date, proleptic Gregorian, eras of 400 years from 0000-03-01.
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let small = |n: i64| u8::try_from(n).unwrap_or(0);
    (
        [small(year.rem_euclid(100)), small(month), small(day)],
        [small(second / 3600), small(second / 60 % 60), small(second % 60)],
    )
}

/// Amount (9F02) and currency (5F2A) as a card is told them.
pub fn told(sale: &Sale) -> ([u8; 6], [u8; 2]) {
    let minor = u64::try_from(sale.amount.minor()).unwrap_or(0);
    (digits(minor), digits(u64::from(sale.amount.currency().numeric())))
}

/// Everything a list of the card may ask for, by tag.
pub struct Values(Vec<(u32, Vec<u8>)>);

impl Values {
    /// For one tap with one application.
    pub fn new(terminal: &Terminal, sale: &Sale, scheme: Option<Scheme>) -> Self {
        let (amount, currency) = told(sale);
        let mut qualifiers = terminal.qualifiers;
        if sale.amount.minor() > terminal.small {
            // Byte 2 bit 7: the holder must be verified.
            qualifiers[1] |= 0x40;
        }
        let version = scheme.map_or([0, 1], Scheme::version);
        let mut values = vec![
            (0x9F66, qualifiers.to_vec()),
            (0x9F02, amount.to_vec()),
            (0x9F03, vec![0; 6]),
            (0x9F1A, digits::<2>(u64::from(terminal.country)).to_vec()),
            // The card signs what it is told here: field 55 repeats this one, whatever is found out later.
            (0x95, vec![0; 5]),
            (0x5F2A, currency.to_vec()),
            (0x9A, sale.date.map(bcd).to_vec()),
            (0x9C, vec![terminal.transaction]),
            (0x9F37, sale.unpredictable.to_vec()),
            (0x9F21, sale.time.map(bcd).to_vec()),
            (0x9F33, terminal.capabilities.to_vec()),
            (0x9F35, vec![terminal.kind]),
            (0x9F1E, terminal.serial.to_vec()),
            (0x9F09, version.to_vec()),
            (0x9F41, digits::<4>(u64::from(sale.sequence)).to_vec()),
            (0x9F40, vec![0x60, 0, 0, 0, 0]),
        ];
        // UnionPay's indicator of what the terminal supports beyond; zero is nothing (channels.md §6).
        values.push((0xDF60, vec![0]));
        Self(values)
    }

    /// The content of a tag.
    pub fn get(&self, tag: u32) -> Option<&[u8]> {
        self.0.iter().find(|(t, _)| *t == tag).map(|(_, v)| v.as_slice())
    }

    /// Sets one.
    pub fn set(&mut self, tag: u32, value: &[u8]) {
        self.0.retain(|(t, _)| *t != tag);
        self.0.push((tag, value.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_shop_not_of_greenwich() {
        // 2026-01-02 03:04:05 UTC.
        assert_eq!(local(1_767_323_045_000, 0), ([26, 1, 2], [3, 4, 5]));
        assert_eq!(local(1_767_323_045_000, 480), ([26, 1, 2], [11, 4, 5]));
        assert_eq!(local(1_767_323_045_000, -240), ([26, 1, 1], [23, 4, 5]));
        // 2028-02-29 and the end of a century's leap day.
        assert_eq!(local(1_835_395_200_000, 0).0, [28, 2, 29]);
        assert_eq!(local(4_107_542_399_000, 0), ([0, 2, 28], [23, 59, 59]));
        assert_eq!(local(4_107_542_400_000, 0).0, [0, 3, 1], "2100 is no leap year");
    }

    #[test]
    fn digits_are_right_aligned() {
        assert_eq!(digits::<6>(1111), [0, 0, 0, 0, 0x11, 0x11]);
        assert_eq!(digits::<2>(156), [0x01, 0x56]);
    }
}
