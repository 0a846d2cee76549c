use super::*;

fn read(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tilld.toml");
    fs::write(&path, text).unwrap();
    load(&Sources::file(&path)).map_err(|e| e.to_string().replace(&dir.path().display().to_string(), ""))
}

#[test]
fn an_unknown_key_is_refused_with_file_and_line() {
    let e = read("[terminal]\nid = \"T1\"\n\n[shop]\nnmae = \"x\"\n").unwrap_err();
    assert!(e.starts_with("/tilld.toml:5:1: ") && e.contains("nmae"), "{e}");
}

#[test]
fn bad_toml_is_refused_with_file_and_line() {
    let e = read("[terminal]\nid = \n").unwrap_err();
    assert!(e.starts_with("/tilld.toml:2:"), "{e}");
}

#[test]
fn two_devices_cannot_share_a_port() {
    let e = read(
        "[device.a]\nplugin='x.y'\ntransport={kind='serial',path='/dev/ttyS0'}\n\
         [device.b]\nplugin='x.y'\ntransport={kind='serial',path='/dev/ttyS0'}\n",
    )
    .unwrap_err();
    assert_eq!(e, "devices a and b are both on /dev/ttyS0: a port belongs to one device");
}

#[test]
fn a_device_is_found_by_udev_and_two_may_look_for_the_same() {
    let config = read(
        "[device.a]\nplugin='x.y'\ntransport={kind='udev'}\n[device.b]\nplugin='x.y'\ntransport={kind='udev'}\n\
         [device.c]\nplugin='x.y'\ntransport={kind='udev',properties={ID_SERIAL_SHORT='A1'},baud=115200}\n",
    )
    .unwrap();
    assert_eq!(config.devices["a"].transport.name(), "udev");
    let one = UdevSpec { properties: [("ID_SERIAL_SHORT".into(), "A1".into())].into(), baud: 115_200 };
    assert_eq!(config.devices["c"].transport, TransportSpec::Udev(one));
    assert_eq!(config.devices["c"].transport.name(), "udev (ID_SERIAL_SHORT=A1)");
}

#[test]
fn a_reader_is_on_a_bus_or_usb_and_an_address_belongs_to_one() {
    let device =
        |id: &str, transport: &str| format!("[device.{id}]\nplugin='x.y'\ntransport={{{transport}}}\n");
    let i2c = |id, address| device(id, &format!("kind='i2c',path='/dev/i2c-1',address={address}"));
    let spi = device("s", "kind='spi',path='/dev/spidev0.0'");
    let usb = device("u", "kind='ccid',id='072f:2200'");
    let config = read(&[i2c("a", "0x24"), i2c("b", "0x25"), spi, usb].concat()).unwrap();
    let of = |id: &str| &config.devices[id].transport;
    assert_eq!(*of("a"), TransportSpec::I2c { path: "/dev/i2c-1".into(), address: 0x24 });
    let spi = TransportSpec::Spi { path: "/dev/spidev0.0".into(), speed: 1_000_000, mode: 0 };
    assert_eq!(*of("s"), spi);
    assert_eq!(of("u").name(), "USB card reader 072f:2200");
    let e = read(&[i2c("a", "0x24"), i2c("b", "36")].concat()).unwrap_err();
    assert!(e.contains("/dev/i2c-1 0x24"), "{e}");
    for (transport, part) in [
        ("kind='i2c',path='/dev/i2c-1'", "address"),
        ("kind='i2c',path='/dev/i2c-1',address=0x48a", "0x08 to 0x77"),
        ("kind='i2c',path='/dev/i2c-1',address=0x78", "0x08 to 0x77"),
        ("kind='spi',path='/dev/spidev0.0',mode=4", "0 to 3"),
        ("kind='spi',path='/dev/spidev0.0',speed=0", "5000000"),
        ("kind='ccid',id='72f:2200'", "device.x.transport.id"),
    ] {
        let e = read(&device("x", transport)).unwrap_err();
        assert!(e.contains(part), "{transport}: {e}");
    }
}

#[test]
fn values_that_make_no_sense_are_named() {
    for (text, part) in [
        ("[terminal]\nid='TOO-LONG-ID'", "terminal.id"),
        ("[channel.Bad]\nplugin='x.y'", "channel.Bad"),
        ("[payment]\nreceipt-printer='p'", "no device"),
        ("[settlement]\nclose-at='24:00'", "settlement.close-at"),
        ("[settlement]\nholidays=['1 October']", "settlement.holidays"),
        ("[settlement]\nholidays=['2026-10-01']\nworkdays=['2026-10-01']", "one or the other"),
        ("[channel.c]\nplugin='x.y'\nsettlement={payout='1'}", "channel.c.settlement.payout"),
        ("[channel.c]\nplugin='x.y'\nsettlement={payout='T+-1'}", "channel.c.settlement.payout"),
        ("[channel.c]\nplugin='x.y'\nsettlement={tries=0}", "channel.c.settlement.tries"),
        ("[channel.c]\nplugin='x.y'\nsettlement={pause-s=9,pause-max-s=8}", "pause-max-s"),
        ("[channel.c]\nplugin='x.y'\nsettlement={batch-limit=0}", "batch-limit"),
        ("[channel.c]\nplugin='x.y'\nsettlement={fee={rate-ppm=2000000}}", "fee.rate-ppm"),
        ("[channel.c]\nplugin='x.y'\nsettlement={fee={min=5,max=4}}", "fee.max"),
        ("[channel.c]\nplugin='x.y'\nsettlement={fee={rate=1}}", "rate"),
        (
            "[channel.c]\nplugin='x.y'\nsettlement={fee={tiers=[{from=9,rate-ppm=1},{from=9,rate-ppm=2}]}}",
            "fee.tiers",
        ),
        ("[channel.c]\nplugin='x.y'\nsettlement={fee={rounding='bankers'}}", "bankers"),
        ("[payment]\nlimits=[{scope='day',amount=0,currency='CNY'}]", "lets nothing through"),
        ("[payment]\nlimits=[{scope='day',amount=1,currency='RMB¥'}]", "ISO 4217"),
        ("[payment]\nlimits=[{scope='week',amount=1,currency='CNY'}]", "week"),
        ("[payment]\nlimits=[{scope='channel',amount=1,currency='CNY'}]", "say which channel"),
        ("[payment]\nlimits=[{scope='channel',channel='x',amount=1,currency='CNY'}]", "no channel \"x\""),
        ("[payment]\nlimits=[{scope='payment',count=1,amount=1,currency='CNY'}]", "number 1: a payment"),
        ("[payment]\ndrawer='d'", "no device"),
        ("[payment]\ncodes=[{family='qr-x',min-length=9,max-length=8,first=1,last=2}]", "never match"),
        ("[payment]\ncards=[{family='prepaid',prefix='86',min-length=9,max-length=8}]", "never match"),
        ("[payment]\ncards=[{family='prepaid',prefix='86',min-length=1,max-length=8}]", "never match"),
        ("[payment]\ncards=[{family='prepaid',prefix='8-6',min-length=8,max-length=8}]", "payment.cards"),
        ("[payment]\ncards=[{family='prepaid',prefix='8',min-length=8,max-length=8}]", "letters and digits"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='serial',path='/dev/x',baud=7}", "baud"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='carrier-pigeon'}", "carrier-pigeon"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='usb',id='4b8:e15'}", "vendor:product"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='udev',baud=7}", "baud"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='udev',path='/dev/x'}", "path"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='udev',properties={'A=B'='x'}}", "A=B"),
        ("[device.s]\nplugin='x.y'\ntransport={kind='udev',properties={ID_SERIAL=''}}", "ID_SERIAL"),
    ] {
        let e = read(text).unwrap_err();
        assert!(e.contains(part), "{e}");
    }
}

#[test]
fn a_rule_for_plugins_that_would_load_nothing_or_anything_is_named() {
    let bad = read("[plugins]\ntrust='allow-list'\nallow=['00']\n");
    assert!(bad.unwrap_err().starts_with("plugins.allow: \"00\" is no SHA-256"));
    for (text, starts) in [
        ("trust='some'", "plugins.trust: \"some\" is none of"),
        ("trust='signed'", "plugins.trust: \"signed\" needs a key"),
        ("trust='allow-list'", "plugins.trust: \"allow-list\" needs plugins.allow"),
        ("trust='signed'\nkeys={vendor='RWx'}", "plugins.keys.vendor: this is no minisign public key"),
    ] {
        let e = read(&format!("[plugins]\n{text}\n")).unwrap_err();
        assert!(e.starts_with(starts), "{e}");
    }
    assert!(!read("").unwrap().plugin_trust.asks());
    let listed = format!("[plugins]\ntrust='allow-list'\nallow=['{}']\n", "0a".repeat(32));
    assert!(read(&listed).unwrap().plugin_trust.asks());
}

#[test]
fn later_files_win_key_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("tilld.toml");
    let folder = dir.path().join("tilld.toml.d");
    fs::create_dir(&folder).unwrap();
    fs::write(&main, "[shop]\nname='A'\nlines=['one']\n[channel.cash]\nplugin='x.y'\n").unwrap();
    fs::write(folder.join("10.toml"), "[shop]\nname='B'\n").unwrap();
    fs::write(folder.join("20.toml"), "[shop]\nname='C'\n[channel.cash]\nplugin='x.y'\nenabled=false\n")
        .unwrap();
    fs::write(folder.join("note.txt"), "not read").unwrap();
    let config = load(&Sources::file(&main)).unwrap();
    assert_eq!((config.shop.name.as_str(), config.shop.lines.len()), ("C", 1));
    assert!(!config.channels["cash"].enabled);
}

#[test]
fn a_named_file_must_be_there() {
    assert!(load(&Sources::file(Path::new("/nonexistent/tilld.toml"))).is_err());
}
