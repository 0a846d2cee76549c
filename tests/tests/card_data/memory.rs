//! What of a card or a code is in the memory of the till's processes: while it is needed, and after.

use till_simulators::acquirer::cards::Card;
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{PATIENCE, again};
use till_tests::search::{Found, Needle, Search};
use till_tests::{Rig, RigOptions, Watch, memory};

use super::{CODES, DECLINED, PAN, SECRET, day, tracks};

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
