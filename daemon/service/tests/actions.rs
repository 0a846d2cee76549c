//! Who may what is complete: every member of the contract is one polkit action, the policy that is installed has these
//! actions, and the bus lets in these interfaces. A member that is forgotten in one of them is a hole, or a dead button.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in helpers too: what fails there fails the test

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use till_dbus::contract::{Kind, all};
use tilld::bus::actions::{MANAGED, PROPERTIES, TABLE, Verb};

fn file(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Elements of an XML file in order: name, attributes, and the text up to the next element.
fn elements(name: &str) -> Vec<(String, BTreeMap<String, String>, String)> {
    let text = file(name);
    let mut reader = Reader::from_str(&text);
    let attributes = |e: &BytesStart<'_>| {
        let all = e.attributes().map(|a| a.unwrap());
        all.map(|a| (text_of(a.key.as_ref()), text_of(&a.value))).collect::<BTreeMap<_, _>>()
    };
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return found,
            Event::Start(e) | Event::Empty(e) => {
                found.push((text_of(e.name().as_ref()), attributes(&e), String::new()));
            }
            Event::Text(t) => {
                let text = text_of(t.as_ref());
                if let Some(last) = found.last_mut()
                    && last.2.is_empty()
                {
                    text.trim().clone_into(&mut last.2);
                }
            }
            _ => {}
        }
    }
}

fn text_of(text: &str) -> String {
    text.to_owned()
}

#[test]
fn every_method_is_one_action_and_every_row_a_method() {
    let contract: BTreeSet<(String, String)> = all()
        .unwrap()
        .into_iter()
        .flat_map(|i| {
            let name = i.name.clone();
            i.members.into_iter().filter(|m| m.kind == Kind::Method).map(move |m| (name.clone(), m.name))
        })
        .collect();
    let table: BTreeSet<(String, String)> =
        TABLE.iter().map(|(i, m, _)| ((*i).to_owned(), (*m).to_owned())).collect();
    let unguarded: Vec<_> = contract.difference(&table).collect();
    let gone: Vec<_> = table.difference(&contract).collect();
    assert!(
        unguarded.is_empty() && gone.is_empty(),
        "without an action: {unguarded:?}; no such method: {gone:?}"
    );
    assert_eq!(table.len(), TABLE.len(), "a method stands in the table twice");
    assert_eq!(MANAGED.2, Verb::View, "the whole tree is properties");
}

#[test]
fn every_property_is_one_action_and_none_can_be_written() {
    let mut with_properties = BTreeSet::new();
    for interface in all().unwrap() {
        for property in interface.members.iter().filter(|m| m.kind == Kind::Property) {
            assert_eq!(property.access, "read", "{}.{}: acting is a method", interface.name, property.name);
            with_properties.insert(interface.name.clone());
        }
    }
    let table: BTreeSet<String> = PROPERTIES.iter().map(|(i, _)| (*i).to_owned()).collect();
    assert_eq!(table, with_properties);
    assert_eq!(table.len(), PROPERTIES.len(), "an interface stands in the table twice");
}

#[test]
fn the_policy_has_these_actions_closed_in_two_languages_and_tilld_may_ask() {
    let elements = elements("dbus/org.tilld.policy");
    let mut actions: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut current = String::new();
    for (name, attributes, text) in elements {
        if name == "action" {
            current = attributes["id"].clone();
            assert!(!actions.contains_key(&current), "{current} twice");
            actions.insert(current.clone(), Vec::new());
        } else if !current.is_empty() {
            let which =
                attributes.get("xml:lang").or_else(|| attributes.get("key")).cloned().unwrap_or_default();
            actions.get_mut(&current).unwrap().push((name, which, text));
        }
    }
    let wanted: BTreeSet<&str> = Verb::ALL.iter().map(|v| v.id()).collect();
    assert_eq!(actions.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted);
    assert_eq!(wanted.len(), Verb::ALL.len(), "two verbs are one action");
    let used: BTreeSet<Verb> =
        TABLE.iter().map(|r| r.2).chain(PROPERTIES.iter().map(|r| r.1)).chain([MANAGED.2]).collect();
    assert_eq!(used, Verb::ALL.into_iter().collect(), "a verb that nothing does");
    for (id, inside) in actions {
        let texts = |name: &str, lang: &str| {
            inside.iter().filter(|(n, l, t)| n == name && l == lang && !t.is_empty()).count()
        };
        for name in ["description", "message"] {
            assert_eq!((texts(name, ""), texts(name, "zh_CN")), (1, 1), "{id}: {name} in both languages");
        }
        for default in ["allow_any", "allow_inactive", "allow_active"] {
            let said: Vec<_> = inside.iter().filter(|(n, ..)| n == default).map(|e| e.2.as_str()).collect();
            assert_eq!(said, ["no"], "{id}: {default}");
        }
        // Without it polkit tells nobody but root about other people's rights.
        let owner: Vec<_> = inside
            .iter()
            .filter(|(n, k, _)| n == "annotate" && k == "org.freedesktop.policykit.owner")
            .collect();
        assert_eq!(owner.len(), 1, "{id}");
        assert_eq!(owner[0].2, "unix-user:tilld", "{id}");
    }
    assert!(file("systemd/tilld.service").contains("\nUser=tilld\n"), "the owner is the service's user");
}

#[test]
fn the_bus_lets_calls_in_to_our_interfaces_and_no_other_and_one_user_own_the_name() {
    const NAME: &str = "org.tilld.Till1";
    let elements = elements("dbus/tilld.conf");
    let mut allowed = BTreeSet::new();
    let mut policy = BTreeMap::new();
    let mut denied = false;
    for (name, attributes, _) in elements {
        match name.as_str() {
            "policy" => policy = attributes,
            "deny" => {
                assert_eq!(policy.get("context").map(String::as_str), Some("default"));
                assert_eq!(attributes.len(), 1, "{attributes:?}");
                denied |= attributes["send_destination"] == NAME;
            }
            "allow" if attributes.contains_key("own") => {
                assert_eq!((attributes["own"].as_str(), policy["user"].as_str()), (NAME, "tilld"));
            }
            "allow" => {
                assert!(denied, "what comes before the denial is taken back by it");
                assert_eq!(attributes["send_destination"], NAME);
                assert_eq!(attributes.len(), 2, "{attributes:?}");
                assert!(allowed.insert(attributes["send_interface"].clone()), "{attributes:?} twice");
            }
            _ => {}
        }
    }
    let ours = all().unwrap().into_iter().map(|i| i.name);
    let standard = ["Introspectable", "ObjectManager", "Peer", "Properties"];
    let standard = standard.map(|s| format!("org.freedesktop.DBus.{s}"));
    assert_eq!(allowed, ours.chain(standard).collect());
}

#[test]
fn the_example_of_rules_names_actions_that_there_are() {
    let text = file("docs/examples/50-tilld.rules");
    let named: BTreeSet<&str> =
        text.split('"').filter(|t| t.starts_with("org.tilld.") && *t != "org.tilld.").collect();
    assert!(named.len() >= 5, "{named:?}");
    for id in named {
        assert!(Verb::ALL.iter().any(|v| v.id() == id), "{id}");
    }
}
