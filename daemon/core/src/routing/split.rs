//! Agreed shares of channels: whose turn it is.
//!
//! The chairman assignment of R. Tijdeman (Discrete Mathematics 32, 1980): among the channels whose share of the next sale
//! is owed (their deficit is at least 1 / (2k − 2)), the one whose next sale is due first. So after any number of sales
//! no channel is more than 1 − 1 / (2k − 2) of a sale away from its share, which taking the largest deficit does not give
//! for three channels and more. Integers only.

/// The order in which channels come, of `(share, sales so far)` each: indices, the one whose turn it is first. Shares are
/// above zero.
pub fn turns(channels: &[(u32, u64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..channels.len()).collect();
    let count = i128::try_from(channels.len()).unwrap_or(i128::MAX);
    if count < 2 {
        return order;
    }
    let total: i128 = channels.iter().map(|(share, _)| i128::from(*share)).sum();
    let next: i128 = channels.iter().map(|(_, taken)| i128::from(*taken)).sum::<i128>() + 1;
    let scale = 2 * count - 2;
    // Deficit at the next sale, times the sum of the shares.
    let deficit = |at: usize| {
        let (share, taken) = channels[at];
        i128::from(share) * next - i128::from(taken) * total
    };
    order.sort_by(|a, b| {
        let (da, db) = (deficit(*a), deficit(*b));
        let owed = |d: i128| scale * d >= total;
        // Due (1 − 1/scale − deficit) / share sales from now, brought to one denominator.
        let due = |d: i128| (scale - 1) * total - scale * d;
        let (sa, sb) = (i128::from(channels[*a].0).max(1), i128::from(channels[*b].0).max(1));
        owed(db).cmp(&owed(da)).then_with(|| (due(da) * sb).cmp(&(due(db) * sa))).then(a.cmp(b))
    });
    order
}
