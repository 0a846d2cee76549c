//! Reads interface XML, the contract's or live introspection's, and names every difference between two.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// XML that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// Not XML.
    #[error("interface XML: {0}")]
    Xml(#[from] quick_xml::Error),
    /// An element where it does not belong, or without a name.
    #[error("interface XML: {0}")]
    Shape(String),
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Comment before it.
    pub docs: String,
    /// Methods, signals and properties, in order.
    pub members: Vec<Member>,
}

/// What a member is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Called.
    Method,
    /// Sent to whoever listens.
    Signal,
    /// Read.
    Property,
}

impl Kind {
    /// The XML element.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Signal => "signal",
            Self::Property => "property",
        }
    }
}

/// A method, signal or property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which of the three.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Comment before it.
    pub docs: String,
    /// Arguments; a property has none.
    pub args: Vec<Arg>,
    /// Type of a property.
    pub signature: String,
    /// Access of a property.
    pub access: String,
    /// EmitsChangedSignal of a property: true, const, invalidates, false.
    pub emits_changed: String,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Type.
    pub signature: String,
    /// `in` or `out`; signals have `out`.
    pub direction: String,
}

impl Member {
    /// One line with everything a client depends on.
    pub fn shape(&self) -> String {
        if self.kind == Kind::Property {
            let Self { name, signature, access, emits_changed, .. } = self;
            return format!("property {name}: {signature}, {access}, EmitsChangedSignal {emits_changed}");
        }
        let args: Vec<String> =
            self.args.iter().map(|a| format!("{} {}: {}", a.direction, a.name, a.signature)).collect();
        format!("{} {}({})", self.kind.as_str(), self.name, args.join(", "))
    }

    /// Names of the errors that its documentation lists after `Errors:`.
    pub fn documented_errors(&self) -> Vec<String> {
        let Some((_, list)) = self.docs.split_once("Errors:") else { return Vec::new() };
        let list = list.split_once('.').map_or(list, |(list, _)| list);
        let mut text = String::new();
        let mut depth = 0;
        for c in list.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                c if depth == 0 => text.push(c),
                _ => {}
            }
        }
        text.split(',').map(|e| e.trim().to_owned()).filter(|e| !e.is_empty()).collect()
    }
}

/// Every interface of the contract.
pub fn all() -> Result<Vec<Interface>, ContractError> {
    crate::XML.iter().map(|(_, xml)| parse(xml)).collect::<Result<Vec<_>, _>>().map(|all| all.concat())
}

/// The interfaces of a node, not those of nodes inside it.
pub fn parse(xml: &str) -> Result<Vec<Interface>, ContractError> {
    let mut reader = Reader::from_str(xml);
    let mut interfaces = Vec::new();
    let mut current: Option<Interface> = None;
    let mut docs = String::new();
    let mut nodes = 0_u32;
    loop {
        let (element, closed) = match reader.read_event()? {
            Event::Eof => return Ok(interfaces),
            Event::Comment(text) => {
                docs = text.split_whitespace().collect::<Vec<_>>().join(" ");
                continue;
            }
            Event::End(end) => {
                match end.name().as_ref() {
                    "interface" => interfaces.extend(current.take()),
                    "node" => nodes = nodes.saturating_sub(1),
                    _ => {}
                }
                continue;
            }
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            _ => continue,
        };
        let tag = element.name().as_ref().to_owned();
        if tag == "node" {
            nodes += u32::from(!closed);
            docs.clear();
            continue;
        }
        if nodes > 1 {
            continue;
        }
        let comment = std::mem::take(&mut docs);
        match (tag.as_str(), &mut current) {
            ("interface", None) => {
                let interface =
                    Interface { name: needed(&element, "name")?, docs: comment, members: Vec::new() };
                if closed {
                    interfaces.push(interface);
                } else {
                    current = Some(interface);
                }
            }
            ("method", Some(to)) => to.members.push(member(&element, Kind::Method, comment)?),
            ("signal", Some(to)) => to.members.push(member(&element, Kind::Signal, comment)?),
            ("property", Some(to)) => to.members.push(member(&element, Kind::Property, comment)?),
            ("arg", Some(to)) => {
                let of = to
                    .members
                    .last_mut()
                    .ok_or_else(|| ContractError::Shape("arg outside a member".into()))?;
                let usual = if of.kind == Kind::Signal { "out" } else { "in" };
                of.args.push(Arg {
                    name: attribute(&element, "name")?.unwrap_or_default(),
                    signature: needed(&element, "type")?,
                    direction: attribute(&element, "direction")?.unwrap_or_else(|| usual.into()),
                });
            }
            ("annotation", Some(to)) => annotate(to, &element)?,
            (other, _) => return Err(ContractError::Shape(format!("unexpected element {other}"))),
        }
    }
}

fn annotate(to: &mut Interface, element: &BytesStart<'_>) -> Result<(), ContractError> {
    if needed(element, "name")? == "org.freedesktop.DBus.Property.EmitsChangedSignal"
        && let Some(property) = to.members.last_mut().filter(|m| m.kind == Kind::Property)
    {
        property.emits_changed = needed(element, "value")?;
    }
    Ok(())
}

fn member(element: &BytesStart<'_>, kind: Kind, docs: String) -> Result<Member, ContractError> {
    let property = kind == Kind::Property;
    Ok(Member {
        kind,
        name: needed(element, "name")?,
        docs,
        args: Vec::new(),
        signature: if property { needed(element, "type")? } else { String::new() },
        access: if property { needed(element, "access")? } else { String::new() },
        emits_changed: if property { "true".into() } else { String::new() },
    })
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, ContractError> {
    let found = element.try_get_attribute(name).map_err(|e| ContractError::Shape(e.to_string()))?;
    // Names and D-Bus types hold nothing that XML escapes.
    Ok(found.map(|a| a.value.into_owned()))
}

fn needed(element: &BytesStart<'_>, name: &str) -> Result<String, ContractError> {
    attribute(element, name)?.ok_or_else(|| {
        let tag = element.name().as_ref().to_owned();
        ContractError::Shape(format!("{tag} without {name}"))
    })
}

/// Every member that is missing, extra, or of another shape; empty: the same.
pub fn differences(contract: &Interface, found: &Interface) -> Vec<String> {
    let mut all = Vec::new();
    let at = |member: &Member| format!("{}: {}", contract.name, member.shape());
    for wanted in &contract.members {
        match found.members.iter().find(|m| m.kind == wanted.kind && m.name == wanted.name) {
            None => all.push(format!("missing {}", at(wanted))),
            Some(m) if m.shape() != wanted.shape() => {
                all.push(format!("different {}; found {}", at(wanted), m.shape()));
            }
            Some(_) => {}
        }
    }
    for extra in &found.members {
        if !contract.members.iter().any(|m| m.kind == extra.kind && m.name == extra.name) {
            all.push(format!("extra {}", at(extra)));
        }
    }
    all
}
