//! Where the key serial number of a pad's key may go.

use super::{FieldSpec, Kind, Size};
use std::collections::BTreeMap;

/// Fields that requests or reversals use for something else: a key serial number in one of them would be taken for that,
/// or be kept for a reversal.
const TAKEN: [u8; 30] = [
    2, 3, 4, 11, 12, 13, 14, 15, 18, 22, 23, 25, 26, 32, 35, 36, 37, 38, 39, 41, 42, 49, 52, 53, 54, 55, 60,
    61, 63, 64,
];

/// Ten bytes fit into it, and it is nobody else's; a block under such a key is a DES block.
pub(super) fn ksn_field(field: u8, fields: &BTreeMap<u8, FieldSpec>) -> Result<(), String> {
    if field != 0 && fields.get(&52).is_none_or(|block| block.max() != 8) {
        return Err(
            "request.pin_ksn_field: such a key makes blocks of 8 bytes, field 52 has another length".into()
        );
    }
    let fits = |spec: &FieldSpec| {
        spec.kind == Kind::Binary && matches!(spec.size, Size::Var { max: 10.., .. } | Size::Fixed(10))
    };
    if field == 0 || (!TAKEN.contains(&field) && fields.get(&field).is_some_and(fits)) {
        return Ok(());
    }
    Err(format!(
        "request.pin_ksn_field: field {field} is used otherwise, or is no field of bytes with room for 10"
    ))
}
