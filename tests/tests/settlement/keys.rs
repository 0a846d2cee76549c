//! What was sealed for a closed day can be opened by nobody any more, and its totals still add up (S66).

use std::sync::Arc;

use till_core::record::{KIND, Record};
use till_journal::Probe;
use till_tests::scene::until;
use till_tests::{Rig, staging};
use tilld::config::{self, Sources};
use tilld::service::clock::TillClock;
use tilld::service::recover::{Recovered, recover};

use crate::Till;

/// Looks at the disk of a till that does not run, as the daemon would at its start.
pub(crate) fn at_rest<T>(rig: &Rig, look: impl FnOnce(&Recovered) -> T) -> T {
    let config = config::load(&Sources::file(&rig.config_file())).unwrap();
    let clock = Arc::new(TillClock::new(config.clock));
    let program = staging::built().unwrap().join("tilld");
    let recovered = recover(&config, clock, Probe::Command { program, args: vec!["journal-probe".into()] });
    let recovered = recovered.unwrap();
    let seen = look(&recovered);
    recovered.journal.close().unwrap();
    seen
}

/// Every sealed thing in the journal: name of its record, batch that was open, and whether a key is left that opens it.
pub(crate) fn sealed(at_rest: &Recovered) -> Vec<(&'static str, u32, bool)> {
    let (mut batch, mut found) = (1, Vec::new());
    let keyring = at_rest.keys.keyring();
    let see = |r: &till_journal::Record| {
        let Some(record) = (r.kind == KIND).then(|| Record::decode(&r.payload).unwrap()) else { return };
        let sealed = match &record {
            Record::Batch(till_core::batch::BatchEvent::Frozen { batch: frozen, .. }) => {
                batch = frozen + 1;
                return;
            }
            Record::Sent { payment, recovery, .. } | Record::Resealed { payment, recovery, .. } => {
                (payment.0, recovery.clone())
            }
            _ => return,
        };
        found.push((record.name(), batch, keyring.open(&sealed.0, KIND, &sealed.1).is_ok()));
    };
    at_rest.journal.replay(1, see).unwrap();
    found
}

/// Keys of closed batches were destroyed so often.
pub(crate) async fn shredded(till: &Till, times: usize) {
    let done = || async {
        let lines = till.rig.log_lines();
        (lines.iter().filter(|l| l.contains("sealed data of closed batches is destroyed")).count() >= times)
            .then_some(())
    };
    until("keys are destroyed", done).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s66_after_the_close_nobody_opens_what_was_sealed_and_totals_still_verify() {
    let mut till = Till::open("").await;
    till.card(1_000).await;
    till.card(1_100).await;
    till.cash(500).await;
    till.rig.kill_till();
    let open = at_rest(&till.rig, sealed);
    assert!(open.len() >= 2 && open.iter().all(|s| s.2), "an open day can be voided and uploaded: {open:?}");

    till.start().await;
    till.close().await;
    till.wait_closed(1).await;
    shredded(&till, 1).await;
    till.card(1_200).await;
    till.rig.kill_till();
    let left = at_rest(&till.rig, sealed);
    assert!(left.iter().filter(|s| s.1 == 1).all(|s| !s.2), "{left:?}");
    assert!(left.iter().any(|s| s.1 == 2) && left.iter().filter(|s| s.1 == 2).all(|s| s.2), "{left:?}");

    till.start().await;
    let (_, problems) = till.client.verify_journal().await.unwrap();
    assert_eq!(problems, Vec::<String>::new());
    let closed = till.records(&["batch-closed"]).await;
    assert_eq!(closed[0]["record"]["Batch"]["Closed"]["count"], 3);
    assert_eq!((till.part(1, "bankcard").await.debits, till.part(1, "cash").await.debits), (2_100, 500));
    till.rest().await;
}
