//! D-Bus values as JSON. Amounts stay whole numbers of minor units.

use serde_json::{Map, Value, json};
use zbus::Variant;

/// A value; texts pass through [`crate::redact::digits`].
pub fn value(v: &Variant<'_>) -> Value {
    match v {
        Variant::U8(n) => json!(n),
        Variant::Bool(b) => json!(b),
        Variant::I16(n) => json!(n),
        Variant::U16(n) => json!(n),
        Variant::I32(n) => json!(n),
        Variant::U32(n) => json!(n),
        Variant::I64(n) => json!(n),
        Variant::U64(n) => json!(n),
        Variant::F64(n) => json!(n),
        Variant::Str(s) => json!(crate::redact::digits(s)),
        Variant::Signature(s) => json!(s.to_string()),
        Variant::ObjectPath(p) => json!(p.as_str()),
        Variant::Variant(inner) => value(inner),
        Variant::Array(a) => a.iter().map(value).collect(),
        Variant::Structure(s) => s.fields().iter().map(value).collect(),
        Variant::Dict(d) => {
            let entries = d.iter().map(|(k, v)| {
                let key = match k {
                    Variant::Str(s) => s.to_string(),
                    other => value(other).to_string(),
                };
                (key, value(v))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Variant::Fd(_) => json!("[file]"),
    }
}
