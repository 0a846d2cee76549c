//! The proxies are the XML: same members, arguments, types, change signals, documentation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap};

use till_dbus::contract::{Arg, Interface, Kind, Member, all, differences, parse};
use till_dbus::types::{
    BalanceReport, BatchRow, BillRow, Blocker, BreakerRow, CardEntry, CardReport, DecisionRow, DisputeEvent,
    DisputeLeg, DisputeRow, ExceptionRow, FeeDifferenceRow, FeeRow, Head, InsteadRow, Job, LocalText,
    Maintenance, MaintenanceRow, MerchantState, NoticeRow, OperatorRow, PartRow, PaymentDetails, PaymentRow,
    PaymentStep, PayoutRow, PluginRow, ProfileState, Prompt, ReceiptDetails, ReceiverRow, SandboxLayer,
    SuspensionRow,
};
use till_dbus::{Options, XML, error};
use zbus::{Fd, ObjectPath, OwnedFd, OwnedObjectPath, Type};

/// Source of each proxy.
const SOURCES: &[(&str, &str)] = &[
    ("org.tilld.AfterSales1", include_str!("../src/aftersales1.rs")),
    ("org.tilld.Channel1", include_str!("../src/channel1.rs")),
    ("org.tilld.Device1", include_str!("../src/device1.rs")),
    ("org.tilld.Disputes1", include_str!("../src/disputes1.rs")),
    ("org.tilld.Inquiry1", include_str!("../src/inquiry1.rs")),
    ("org.tilld.Journal1", include_str!("../src/journal1.rs")),
    ("org.tilld.Notices1", include_str!("../src/notices1.rs")),
    ("org.tilld.Payment1", include_str!("../src/payment1.rs")),
    ("org.tilld.Plugins1", include_str!("../src/plugins1.rs")),
    ("org.tilld.Prepaid1", include_str!("../src/prepaid1.rs")),
    ("org.tilld.Printer1", include_str!("../src/printer1.rs")),
    ("org.tilld.Settlement1", include_str!("../src/settlement1.rs")),
    ("org.tilld.Terminal1", include_str!("../src/terminal1.rs")),
];

/// The D-Bus type of every Rust type that the proxies use, as the compiler knows it.
fn signatures() -> BTreeMap<String, String> {
    macro_rules! table {
        ($($t:ty),+ $(,)?) => {
            BTreeMap::from([$((stringify!($t).replace(' ', ""), <$t as Type>::SIGNATURE.to_string())),+])
        };
    }
    table!(
        bool,
        i64,
        u32,
        u64,
        &str,
        String,
        Vec<String>,
        Options<'_>,
        ObjectPath<'_>,
        OwnedObjectPath,
        Fd<'_>,
        OwnedFd,
        HashMap<String,u64>,
        Blocker,
        Vec<Blocker>,
        Head,
        Vec<Job>,
        LocalText,
        PaymentDetails,
        Vec<PaymentRow>,
        Vec<PluginRow>,
        Prompt,
        Vec<SandboxLayer>,
        Vec<&str>,
        Vec<BillRow>,
        Vec<BatchRow>,
        Vec<PartRow>,
        Vec<OperatorRow>,
        Vec<ExceptionRow>,
        BalanceReport,
        CardReport,
        Vec<CardEntry>,
        Vec<NoticeRow>,
        Vec<ReceiverRow>,
        DisputeRow,
        Vec<DisputeRow>,
        Vec<DisputeLeg>,
        Vec<DisputeEvent>,
        ReceiptDetails,
        Vec<PaymentStep>,
        Vec<PayoutRow>,
        Vec<FeeRow>,
        Vec<FeeDifferenceRow>,
        Vec<DecisionRow>,
        Vec<InsteadRow>,
        Vec<SuspensionRow>,
        Maintenance,
        MerchantState,
        Vec<MaintenanceRow>,
        ProfileState,
        Vec<BreakerRow>,
        bool,
    )
}

fn signature(of: &syn::Type) -> String {
    let written = quote::ToTokens::to_token_stream(of).to_string().replace(' ', "");
    signatures().get(&written).unwrap_or_else(|| panic!("add {written} to the table of this test")).clone()
}

fn docs(attrs: &[syn::Attribute]) -> String {
    let lines = attrs.iter().filter(|a| a.path().is_ident("doc")).map(|a| {
        let syn::Meta::NameValue(syn::MetaNameValue {
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }),
            ..
        }) = &a.meta
        else {
            panic!("a doc comment that is no text")
        };
        line.value()
    });
    let all = lines.collect::<Vec<_>>().join(" ").replace('`', "");
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn pascal(name: &str) -> String {
    name.split('_').map(|w| w[..1].to_uppercase() + &w[1..]).collect()
}

/// A proxy trait as an interface of the contract.
fn proxy(name: &str, source: &str) -> Interface {
    let file = syn::parse_file(source).unwrap();
    let item = file.items.into_iter().find_map(|i| match i {
        syn::Item::Trait(t) => Some(t),
        _ => None,
    });
    let item = item.expect("a proxy trait");
    let attribute = item.attrs.iter().find(|a| !a.path().is_ident("doc")).expect("zbus::proxy");
    let syn::Meta::List(arguments) = &attribute.meta else { panic!("zbus::proxy(…)") };
    assert!(arguments.tokens.to_string().contains(&format!("interface = \"{name}\"")), "{name}");
    let members = item.items.iter().map(|item| {
        let syn::TraitItem::Fn(f) = item else { panic!("only functions in {name}") };
        member(f)
    });
    Interface { name: name.into(), docs: docs(&item.attrs), members: members.collect() }
}

fn member(f: &syn::TraitItemFn) -> Member {
    let (mut kind, mut emits, mut renamed) = (Kind::Method, String::new(), None);
    for a in f.attrs.iter().filter(|a| a.path().is_ident("zbus")) {
        a.parse_nested_meta(|meta| {
            if meta.path.is_ident("signal") {
                kind = Kind::Signal;
            } else if meta.path.is_ident("property") {
                (kind, emits) = (Kind::Property, "true".into());
                if meta.input.peek(syn::token::Paren) {
                    meta.parse_nested_meta(|m| {
                        emits = m.value()?.parse::<syn::LitStr>()?.value();
                        Ok(())
                    })?;
                }
            } else if meta.path.is_ident("name") {
                renamed = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            }
            Ok(())
        })
        .unwrap();
    }
    let mut args: Vec<Arg> = f
        .sig
        .inputs
        .iter()
        .filter_map(|i| match i {
            syn::FnArg::Typed(t) => Some(t),
            syn::FnArg::Receiver(_) => None,
        })
        .map(|t| {
            let syn::Pat::Ident(name) = &*t.pat else { panic!("a named argument") };
            let direction = if kind == Kind::Signal { "out" } else { "in" };
            Arg { name: name.ident.to_string(), signature: signature(&t.ty), direction: direction.into() }
        })
        .collect();
    let syn::ReturnType::Type(_, returned) = &f.sig.output else { panic!("a result") };
    let syn::Type::Path(result) = &**returned else { panic!("a result") };
    let syn::PathArguments::AngleBracketed(inner) = &result.path.segments[0].arguments else {
        panic!("Result<_, Error>")
    };
    let syn::GenericArgument::Type(ok) = &inner.args[0] else { panic!("Result<_, Error>") };
    let property = if kind == Kind::Property { signature(ok) } else { String::new() };
    if kind == Kind::Method {
        let outs: Vec<&syn::Type> = match ok {
            syn::Type::Tuple(t) => t.elems.iter().collect(),
            one => vec![one],
        };
        // What a method returns has no names in Rust: the place decides.
        args.extend(outs.into_iter().map(|t| Arg {
            name: String::new(),
            signature: signature(t),
            direction: "out".into(),
        }));
    }
    Member {
        kind,
        name: renamed.unwrap_or_else(|| pascal(&f.sig.ident.to_string())),
        docs: docs(&f.attrs),
        args,
        signature: property,
        access: if kind == Kind::Property { "read".into() } else { String::new() },
        emits_changed: emits,
    }
}

#[test]
fn proxies_have_the_members_and_the_documentation_of_the_xml() {
    for mut contract in all().unwrap() {
        let source = SOURCES.iter().find(|s| s.0 == contract.name).expect("a proxy for every interface").1;
        for member in contract.members.iter_mut().filter(|m| m.kind == Kind::Method) {
            for arg in member.args.iter_mut().filter(|a| a.direction == "out") {
                arg.name.clear();
            }
        }
        let proxy = proxy(&contract.name, source);
        assert_eq!(differences(&contract, &proxy), Vec::<String>::new());
        assert_eq!(proxy.docs, contract.docs);
        for (written, wanted) in proxy.members.iter().zip(&contract.members) {
            assert_eq!((&written.name, &written.docs), (&wanted.name, &wanted.docs), "{}", contract.name);
        }
    }
}

#[test]
fn every_file_is_in_the_contract_under_its_own_name() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap().trim_end_matches(".xml").to_owned())
        .collect();
    files.sort();
    assert_eq!(files, XML.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    for (name, xml) in XML {
        let read = parse(xml).unwrap();
        assert_eq!(read.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), [*name]);
    }
}

#[test]
fn the_rules_of_the_house_hold_for_every_member() {
    for interface in all().unwrap() {
        for m in &interface.members {
            let name = format!("{}.{}", interface.name, m.name);
            assert!(!m.docs.is_empty(), "{name} has no documentation");
            let types = m.args.iter().map(|a| a.signature.as_str()).chain([m.signature.as_str()]);
            assert!(!types.clone().any(|t| t.contains('d')), "{name}: a double is no amount");
            if m.kind == Kind::Property {
                assert_eq!(m.access, "read", "{name}: acting is a method");
            }
            if m.kind == Kind::Method {
                let last = m.args.iter().rfind(|a| a.direction == "in").map(Shape::shape);
                assert_eq!(last.as_deref(), Some("options a{sv}"), "{name} must end in options");
            }
            for e in m.documented_errors() {
                assert!(error::CODES.contains(&e.as_str()), "{name}: org.tilld.Error.{e} is not in the enum");
            }
        }
    }
}

trait Shape {
    fn shape(&self) -> String;
}

impl Shape for Arg {
    fn shape(&self) -> String {
        format!("{} {}", self.name, self.signature)
    }
}

#[test]
fn each_kind_of_drift_is_named() {
    let xml = "<node><interface name='a.B1'>\
        <property name='P' type='s' access='read'/>\
        <method name='M'><arg name='x' type='x' direction='in'/></method>\
        <signal name='S'><arg name='x' type='s'/></signal>\
        </interface><node name='child'/></node>";
    let contract = &parse(xml).unwrap()[0];
    let found = |from: &str, to: &str| {
        let changed = xml.replace(from, to);
        assert_ne!(changed, xml);
        differences(contract, &parse(&changed).unwrap()[0]).join("; ")
    };
    assert_eq!(differences(contract, contract), Vec::<String>::new());
    assert!(
        found("type='x'", "type='t'").contains("different a.B1: method M(in x: x); found method M(in x: t)")
    );
    assert!(found("<arg name='x' type='s'/>", "").contains("different a.B1: signal S"));
    assert!(found("access='read'/>", "access='readwrite'/>").contains("readwrite"));
    assert!(
        found(
            "access='read'/>",
            "access='read'><annotation name='org.freedesktop.DBus.Property.EmitsChangedSignal' value='const'/></property>"
        )
        .contains("EmitsChangedSignal const")
    );
    assert_eq!(
        found("name='S'", "name='T'"),
        "missing a.B1: signal S(out x: s); extra a.B1: signal T(out x: s)"
    );
}
