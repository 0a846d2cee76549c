//! A second pair of eyes on everything that `monitor` prints: nothing on the bus should look like card data or a payment
//! code; what does is masked all the same.

/// Shortest run of digits that is masked: account numbers begin at thirteen, reference numbers (RRN) end at twelve.
const MASK_FROM: usize = 13;

/// Masks runs of 13 or more digits (first two and last four stay). Runs inside longer words, such as payment ids in
/// hexadecimal, stay as they are.
pub fn digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            flush(&mut out, &mut word);
            out.push(c);
        }
    }
    flush(&mut out, &mut word);
    out
}

fn flush(out: &mut String, word: &mut String) {
    if word.len() >= MASK_FROM && word.bytes().all(|b| b.is_ascii_digit()) {
        let (head, tail) = (&word[..2], &word[word.len() - 4..]);
        out.push_str(head);
        out.extend(std::iter::repeat_n('*', word.len() - 6));
        out.push_str(tail);
    } else {
        out.push_str(word);
    }
    word.clear();
}

/// A code that is shown to a customer: only how long it is.
pub fn code(text: &str) -> String {
    format!("[{} characters]", text.chars().count())
}
