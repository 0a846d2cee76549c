//! What of a card or a code is in the memory of the till's processes: while it is needed, and after.

use till_dbus::{Channel1Proxy, Options, paths};
use till_simulators::acquirer::cards::Card;
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{PATIENCE, again};
use till_tests::search::{Found, Needle, Search};
use till_tests::{Rig, RigOptions, Watch, memory};

use super::{CODES, DECLINED, PAN, SECRET, day, tracks, working_keys};

/// Looks through `tilld` and every plugin host.
fn look(rig: &Rig, needles: &[Needle], found: &mut Vec<Found>) {
    let search = Search::new(needles);
    let name = |line: &str| {
        let mut words = line.split(' ').skip_while(|word| *word != "--id");
        words.nth(1).unwrap_or("a host").to_owned()
    };
    let hosts = rig.hosts().into_iter().map(|(pid, line)| (pid, name(&line)));
    let all: Vec<_> = hosts.chain(rig.pid().map(|pid| (pid, "tilld".to_owned()))).collect();
    assert!(all.len() >= 7, "{all:?}");
    for (pid, who) in &all {
        let looked = memory::search(*pid, who, &search, found).unwrap_or_else(|e| panic!("{who}: {e}"));
        assert!(looked > 200_000, "only {looked} bytes of {who} could be looked at");
    }
}

/// C4. While a card is at its acquirer the till has it, which also shows that the search finds what there is. Once every
/// payment is over nothing of any card or code is left in any process: what was freed was wiped, whoever freed it.
#[tokio::test(flavor = "multi_thread")]
async fn c04_nothing_of_a_card_or_code_is_in_any_memory_after_the_sale() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not looked at: the memory of a process that forbids it can be read by root only");
        return;
    }
    let mut rig = Rig::stand(RigOptions::default()).unwrap();
    rig.acquirer.set_card(DECLINED, Card { answer: "51".into(), ..Card::default() });
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let mut needles = vec![
        Needle::digits("card number", PAN),
        Needle::digits("declined card number", DECLINED),
        Needle::digits("track data", SECRET),
    ];
    needles.extend(CODES.iter().map(|code| Needle::digits("code", code)));

    rig.acquirer.faults().add(Rule::once("sale", Fault::HoldReply {})).unwrap();
    let payment = client.ready(1_500).await.unwrap();
    rig.reader.swipe(&again(&tracks(PAN))).unwrap();
    assert!(rig.acquirer.faults().wait_fired(1, PATIENCE));
    let mut needed = Vec::new();
    look(&rig, &needles, &mut needed);
    let bankcard = |f: &Found| f.place.starts_with("org.tilld.bankcard") && f.what == "card number";
    assert!(needed.iter().any(bankcard), "the card that is at its acquirer is not seen: {needed:?}");
    rig.acquirer.faults().release();
    // Looking takes its time: the till may have given the answer up, and undone the sale.
    if payment.wait(&["paid", "ready"]).await.unwrap() == "ready" {
        payment.cancel().await.unwrap();
    }

    day(&rig, &client, &watch).await;
    rig.at_rest(&client).await.unwrap();
    let mut left = Vec::new();
    look(&rig, &needles, &mut left);
    assert_eq!(left, []);
}

/// C11. Working keys are in the memory of the bank card channel while they are in use, in nobody else's, and in none once the
/// next sign-in has brought others. (tilld never signs off; a sign-off drops keys as a sign-in does.)
#[tokio::test(flavor = "multi_thread")]
async fn c11_keys_that_were_replaced_are_in_no_memory() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not looked at: the memory of a process that forbids it can be read by root only");
        return;
    }
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let sell = async |minor: i64| {
        let payment = client.ready(minor).await.unwrap();
        rig.reader.swipe(&again(&tracks(PAN))).unwrap();
        payment.wait(&["paid"]).await.unwrap();
    };
    sell(1_000).await;
    let old = working_keys(&rig);
    let bankcard = |f: &Found| f.place.starts_with("org.tilld.bankcard");
    let mut used = Vec::new();
    look(&rig, &old, &mut used);
    assert!(!used.is_empty() && used.iter().all(bankcard), "the keys in use are its own: {used:?}");

    let path = paths::channel("bankcard").unwrap();
    let channel = Channel1Proxy::builder(client.connection()).path(path).build().await.unwrap();
    channel.sign_in(Options::new()).await.unwrap();
    sell(1_100).await;
    let new = working_keys(&rig);
    let (mut left, mut used) = (Vec::new(), Vec::new());
    look(&rig, &old, &mut left);
    assert_eq!(left, []);
    look(&rig, &new, &mut used);
    assert!(!used.is_empty() && used.iter().all(bankcard), "{used:?}");
}
