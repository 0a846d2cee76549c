use std::path::Path;
use std::sync::Arc;

use super::model::{After, Model};
use super::{Keyring, KeyringError};
use crate::sealed::{SealError, SealingKey};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];
const PAYMENT: [u8; 16] = [7; 16];
const PAN: &[u8] = b"6200000000000005";

fn load(disk: &Arc<Model>, master: &[u8; 32]) -> Result<Keyring, KeyringError> {
    let fs: Arc<dyn super::fs::KeyFs> = disk.clone();
    Keyring::load_on(&fs, Path::new("/keyring"), master)
}

fn seal(keyring: &Keyring) -> Vec<u8> {
    keyring.seal(&PAYMENT, 1, PAN).unwrap()
}

fn opens(keyring: &Keyring, sealed: &[u8]) -> Result<(), SealError> {
    keyring.open(&PAYMENT, 1, sealed).map(|clear| assert_eq!(clear.as_slice(), PAN))
}

fn all_open(keyring: &Keyring, sealed: &[Vec<u8>], at: &str) {
    for sealed in sealed {
        opens(keyring, sealed).unwrap_or_else(|e| panic!("{at}: {e}"));
    }
}

/// A disk with three epochs, a legacy key and a kept secret, and one seal of each epoch from 0 on.
fn till() -> (Arc<Model>, Vec<Vec<u8>>) {
    let disk = Model::new();
    let keyring = load(&disk, &OLD).unwrap();
    keyring.import_legacy(&[5; 32]).unwrap();
    keyring.keep("identity", &[6; 32]).unwrap();
    let mut sealed = vec![SealingKey::new(&[5; 32]).seal(&PAYMENT, 1, PAN).unwrap(), seal(&keyring)];
    for _ in 0..2 {
        keyring.rotate().unwrap();
        sealed.push(seal(&keyring));
    }
    (disk, sealed)
}

/// Runs `work` on copies of the disk, cut at every change, and gives what each legal disk looks like after it.
fn every_cut(disk: &Arc<Model>, work: impl Fn(&Arc<Model>), mut check: impl FnMut(&Arc<Model>, &str)) {
    let whole = disk.cut_after(usize::MAX);
    work(&whole);
    let changes = whole.changes();
    assert!(changes > 3, "the work does nothing");
    for at in 0..=changes {
        let cut = disk.cut_after(at);
        work(&cut);
        for after in After::ALL {
            check(&cut.after(after), &format!("cut at change {at} of {changes}, {after:?} reached the disk"));
        }
    }
}

#[test]
fn s71_what_a_keyring_sealed_opens_after_restarts_and_with_this_master_only() {
    let (disk, sealed) = till();
    let keyring = load(&disk, &OLD).unwrap();
    assert_eq!((keyring.epochs(), keyring.current()), (vec![0, 1, 2, 3], 3));
    for sealed in &sealed {
        opens(&keyring, sealed).unwrap();
        assert_eq!(keyring.open(&[8; 16], 1, sealed), Err(SealError::Open), "opened for another payment");
        assert_eq!(keyring.open(&PAYMENT, 2, sealed), Err(SealError::Open), "opened for another kind");
    }
    assert_eq!(*keyring.kept("identity").unwrap().unwrap(), [6; 32]);
    assert!(matches!(load(&disk, &NEW), Err(KeyringError::WrongMaster { .. })));
    opens(&load(&disk, &OLD).unwrap(), &sealed[2]).unwrap();
    // A seal says its epoch; made to say another it does not open.
    let mut moved = sealed[2].clone();
    moved[1] = 3;
    assert_eq!(opens(&keyring, &moved), Err(SealError::Open));
    moved[1] = 9;
    assert_eq!(opens(&keyring, &moved), Err(SealError::NoKey { epoch: 9 }));
}

#[test]
fn s66_shredded_epochs_never_open_again_and_the_present_one_is_never_shredded() {
    let (disk, sealed) = till();
    let keyring = load(&disk, &OLD).unwrap();
    assert_eq!(keyring.shred_below(3).unwrap(), 3);
    let check = |keyring: &Keyring| {
        for (epoch, sealed) in (0..3).zip(&sealed) {
            assert_eq!(opens(keyring, sealed), Err(SealError::Shredded { epoch }));
        }
        opens(keyring, &sealed[3]).unwrap();
    };
    check(&keyring);
    check(&load(&disk, &OLD).unwrap());
    assert_eq!(keyring.shred_below(u32::MAX).unwrap(), 3, "the present epoch was shredded");
    assert_eq!(keyring.shred_below(1).unwrap(), 3, "the floor went down");
    check(&keyring);
    keyring.import_legacy(&[5; 32]).unwrap();
    check(&keyring);
}

#[test]
fn s66_a_pinned_epoch_waits_for_what_was_sealed_and_is_not_recorded_yet() {
    let (disk, sealed) = till();
    let keyring = load(&disk, &OLD).unwrap();
    let pin = keyring.pin();
    let under_way = seal(&keyring);
    keyring.rotate().unwrap();
    assert_eq!(keyring.needed_from(), 3);
    assert_eq!(keyring.shred_below(4).unwrap(), 3);
    opens(&keyring, &under_way).unwrap();
    assert_eq!(opens(&keyring, &sealed[2]), Err(SealError::Shredded { epoch: 2 }));
    drop(pin);
    assert_eq!(keyring.needed_from(), 4);
    assert_eq!(keyring.shred_below(4).unwrap(), 4);
    assert_eq!(opens(&keyring, &under_way), Err(SealError::Shredded { epoch: 3 }));
}

#[test]
fn s66_a_shredding_that_was_cut_off_is_finished_or_had_not_begun() {
    let (disk, sealed) = till();
    let shred = |disk: &Arc<Model>| {
        if let Ok(keyring) = load(disk, &OLD) {
            let _cut = keyring.shred_below(3);
        }
    };
    let (mut before, mut done) = (0, 0);
    every_cut(&disk, shred, |disk, at| {
        let keyring = load(disk, &OLD).unwrap_or_else(|e| panic!("{at}: {e}"));
        assert!(keyring.damaged().is_empty(), "{at}");
        opens(&keyring, &sealed[3]).unwrap_or_else(|e| panic!("{at}: the present epoch: {e}"));
        if keyring.floor() == 0 {
            before += 1;
            all_open(&keyring, &sealed, at);
        } else {
            done += 1;
            assert!(
                (0..3).all(|n| matches!(opens(&keyring, &sealed[n]), Err(SealError::Shredded { .. }))),
                "{at}"
            );
            let left: Vec<_> = disk.files().into_iter().map(|(path, _)| path).collect();
            assert!(!left.iter().any(|p| p.ends_with("epoch-1") || p.ends_with("epoch-2")), "{at}: {left:?}");
        }
        assert_eq!(keyring.shred_below(3).unwrap(), 3, "{at}");
    });
    assert!(before > 3 && done > 10, "{before} {done}");
}

#[test]
fn s66_the_bytes_of_a_shredded_key_are_overwritten_before_its_name_goes() {
    let (disk, _) = till();
    let wrapped = |disk: &Model, name: &str| {
        let path = Path::new("/keyring/1").join(name);
        disk.files().into_iter().find(|(p, _)| *p == path).unwrap().1
    };
    let keys: Vec<_> = ["epoch-0", "epoch-1", "epoch-2"].map(|name| wrapped(&disk, name)).into();
    load(&disk, &OLD).unwrap().shred_below(3).unwrap();
    for content in disk.after(After::Nothing).contents() {
        assert!(!keys.contains(&content), "a removed file still has its key");
    }
    // So are those of a ring that gave way to a new master's.
    let (disk, _) = till();
    let keys: Vec<_> = disk.contents();
    load(&disk, &OLD).unwrap().rewrap(&NEW, || Ok(())).unwrap();
    assert!(!disk.after(After::Nothing).contents().iter().any(|c| !c.is_empty() && keys.contains(c)));
}

#[test]
fn s71_new_keys_are_durable_before_their_first_use_at_every_cut() {
    let (disk, sealed) = till();
    let fresh = Model::new();
    for disk in [&fresh, &disk] {
        let made = std::sync::Mutex::new(Vec::new());
        let work = |disk: &Arc<Model>| {
            let mut made = made.lock().unwrap();
            made.clear();
            let Ok(keyring) = load(disk, &OLD) else { return };
            made.push(seal(&keyring));
            if keyring.rotate().is_ok() {
                made.push(seal(&keyring));
            }
        };
        every_cut(disk, work, |after, at| {
            let keyring = load(after, &OLD).unwrap_or_else(|e| panic!("{at}: {e}"));
            for sealed in made.lock().unwrap().iter() {
                opens(&keyring, sealed).unwrap_or_else(|e| panic!("{at}: a seal that was given out: {e}"));
            }
        });
    }
    let keyring = load(&disk, &OLD).unwrap();
    all_open(&keyring, &sealed, "in the end");
}

#[test]
fn s71_master_rotation_in_place_old_or_new_opens_everything_at_every_cut() {
    let (disk, sealed) = till();
    let rotate = |disk: &Arc<Model>| {
        if let Ok(keyring) = load(disk, &OLD) {
            let _cut = keyring.rewrap(&NEW, || Ok(()));
        }
    };
    let (mut by_old, mut by_new) = (0, 0);
    every_cut(&disk, rotate, |after, at| {
        let whole = |keyring: &Keyring| {
            sealed.iter().all(|s| opens(keyring, s).is_ok())
                && keyring.kept("identity").is_ok_and(|k| k.is_some_and(|k| *k == [6; 32]))
                && keyring.damaged().is_empty()
        };
        // Each on its own copy: loading itself tidies up. All or nothing: a part would be taken for the whole.
        let opens_all = |master| match load(&after.cut_after(usize::MAX), master) {
            Ok(keyring) if whole(&keyring) => true,
            Ok(keyring) => panic!("{at}: a part opens: {:?}", keyring.epochs()),
            Err(KeyringError::WrongMaster { .. }) => false,
            Err(e) => panic!("{at}: {e}"),
        };
        let (old, new) = (opens_all(&OLD), opens_all(&NEW));
        assert!(old || new, "{at}: neither master opens everything");
        (by_old, by_new) = (by_old + usize::from(old), by_new + usize::from(new));
        // Whichever is taken goes on: new epochs, a restart, nothing of the other ring left.
        let master = if new { NEW } else { OLD };
        let keyring = load(after, &master).unwrap();
        keyring.rotate().unwrap();
        let later = seal(&keyring);
        let keyring = load(after, &master).unwrap();
        assert!(whole(&keyring) && opens(&keyring, &later).is_ok(), "{at}");
        let rings = after
            .files()
            .iter()
            .map(|(p, _)| p.parent().map(Path::to_owned))
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(rings.len(), 1, "{at}: {rings:?}");
    });
    assert!(by_old > 10 && by_new > 10, "{by_old} {by_new}");
}

#[test]
fn s71_record_keys_are_durable_before_their_use_and_go_whole_at_every_cut() {
    let (disk, sealed) = till();
    let made = std::sync::Mutex::new(Vec::new());
    let work = |disk: &Arc<Model>| {
        made.lock().unwrap().clear();
        let Ok(keyring) = load(disk, &OLD) else { return };
        for epoch in 1..=3 {
            if let Ok(secret) = keyring.make_record_key(epoch) {
                assert_eq!(*keyring.make_record_key(epoch).unwrap(), *secret, "a key was replaced");
                made.lock().unwrap().push((epoch, secret));
            }
        }
    };
    every_cut(&disk, work, |after, at| {
        let keyring = load(after, &OLD).unwrap_or_else(|e| panic!("{at}: {e}"));
        for (epoch, secret) in made.lock().unwrap().iter() {
            assert_eq!(
                keyring.record_key(*epoch).unwrap().as_ref(),
                Some(secret),
                "{at}: a key that was given out"
            );
        }
    });
    let keyring = load(&disk, &OLD).unwrap();
    let secrets: Vec<_> = (1..=3).map(|epoch| keyring.make_record_key(epoch).unwrap()).collect();
    all_open(&keyring, &sealed, "beside record keys");
    let destroy = |disk: &Arc<Model>| {
        if let Ok(keyring) = load(disk, &OLD) {
            let _cut = keyring.destroy_record_keys_below(3);
        }
    };
    let (mut whole, mut gone) = (0, 0);
    every_cut(&disk, destroy, |after, at| {
        let keyring = load(after, &OLD).unwrap_or_else(|e| panic!("{at}: {e}"));
        assert!(keyring.damaged().is_empty(), "{at}: half a key is left");
        for (epoch, secret) in (1..).zip(&secrets) {
            match keyring.record_key(epoch).unwrap() {
                Some(there) => assert_eq!(there, *secret, "{at}"),
                None => assert!(epoch < 3, "{at}: the key of records that are kept"),
            }
        }
        *(if keyring.record_epochs().len() == 3 { &mut whole } else { &mut gone }) += 1;
        keyring.destroy_record_keys_below(3).unwrap();
        assert_eq!(load(after, &OLD).unwrap().record_epochs(), [3], "{at}");
        all_open(&load(after, &OLD).unwrap(), &sealed, at);
    });
    assert!(whole > 3 && gone > 3, "{whole} {gone}");
    // A change of the master key takes them along.
    keyring.rewrap(&NEW, || Ok(())).unwrap();
    assert_eq!(load(&disk, &NEW).unwrap().record_key(2).unwrap(), Some(secrets[1].clone()));
    assert_eq!(load(&disk, &NEW).unwrap().record_epochs(), [1, 2, 3, 4]);
    // A journal that begins anew beside this keyring has a key for its first epoch that stays.
    let keyring = load(&disk, &NEW).unwrap();
    keyring.destroy_record_keys_below(5).unwrap();
    let first = keyring.make_record_key(1).unwrap();
    assert_eq!(load(&disk, &NEW).unwrap().record_key(1).unwrap(), Some(first));
}

#[test]
fn s71_a_copy_of_the_keys_from_the_first_day_opens_later_epochs_until_the_master_key_is_changed() {
    let disk = Model::new();
    let keyring = load(&disk, &OLD).unwrap();
    keyring.make_record_key(1).unwrap();
    let copy = load(&disk.cut_after(usize::MAX), &OLD).unwrap();
    let secrets: Vec<_> = (1..=5).map(|epoch| keyring.make_record_key(epoch).unwrap()).collect();
    for (epoch, secret) in (1..).zip(&secrets) {
        assert_eq!(copy.record_key(epoch).unwrap().as_ref(), Some(secret), "epoch {epoch}");
        assert!(secrets.iter().filter(|other| *other == secret).count() == 1, "two epochs have one key");
    }
    // What retention destroyed does not come back from what is kept.
    keyring.destroy_record_keys_below(4).unwrap();
    assert_eq!(keyring.record_key(3).unwrap(), None);
    assert_eq!(keyring.record_key(4).unwrap().as_ref(), Some(&secrets[3]));
    // After a change of the master key the old copy opens nothing that begins then.
    keyring.rewrap(&NEW, || Ok(())).unwrap();
    let after = keyring.make_record_key(6).unwrap();
    assert_eq!(load(&disk, &NEW).unwrap().record_key(6).unwrap().as_ref(), Some(&after));
    assert_ne!(copy.record_key(6).unwrap(), Some(after.clone()));
    assert_ne!(copy.record_key(7).unwrap(), Some(keyring.make_record_key(7).unwrap()));
    assert_eq!(copy.record_key(u32::MAX).unwrap(), None);
}

#[test]
fn a_cut_while_tidying_up_after_a_cut_loses_nothing() {
    let (disk, sealed) = till();
    let both = disk.cut_after(usize::MAX);
    let keyring = load(&both, &OLD).unwrap();
    // Both rings on disk, the new master in its place.
    let kept = std::sync::Mutex::new(None);
    keyring
        .rewrap(&NEW, || {
            *kept.lock().unwrap() = Some(both.cut_after(usize::MAX));
            Ok(())
        })
        .unwrap();
    let both = kept.into_inner().unwrap().unwrap();
    for master in [OLD, NEW] {
        let work = |disk: &Arc<Model>| drop(load(disk, &master));
        every_cut(&both, work, |after, at| {
            let keyring = load(after, &master).unwrap_or_else(|e| panic!("{at}: {e}"));
            all_open(&keyring, &sealed, at);
        });
    }
}

#[test]
fn a_master_that_could_not_be_put_in_place_ends_this_run_and_the_old_one_goes_on() {
    let (disk, sealed) = till();
    let keyring = load(&disk, &OLD).unwrap();
    let refused = keyring.rewrap(&NEW, || Err("disk full".into())).unwrap_err();
    assert!(
        matches!(refused, KeyringError::NotPersisted { .. }) && refused.to_string().contains("disk full")
    );
    assert_eq!(keyring.seal(&PAYMENT, 1, PAN), Err(SealError::Forgotten));
    let keyring = load(&disk, &OLD).unwrap();
    all_open(&keyring, &sealed, "in the end");
}

#[test]
fn s79_forgotten_keys_neither_seal_nor_open_nor_change_anything() {
    let (disk, sealed) = till();
    let keyring = load(&disk, &OLD).unwrap();
    let clone = keyring.clone();
    keyring.forget();
    assert_eq!(opens(&clone, &sealed[3]), Err(SealError::Forgotten));
    assert_eq!(clone.seal(&PAYMENT, 1, PAN), Err(SealError::Forgotten));
    assert!(matches!(clone.rotate(), Err(KeyringError::Forgotten)));
    assert!(matches!(clone.shred_below(9), Err(KeyringError::Forgotten)));
    assert!(matches!(clone.kept("identity"), Err(KeyringError::Forgotten)));
    assert!(clone.epochs().is_empty());
    let keyring = load(&disk, &OLD).unwrap();
    all_open(&keyring, &sealed, "in the end");
}

#[test]
fn a_damaged_key_file_costs_its_own_epoch_only_and_is_told() {
    for (name, lost) in [("epoch-2", Some(2)), ("epoch-3", Some(3)), ("floor", None)] {
        let (disk, sealed) = till();
        let path = format!("/keyring/1/{name}");
        disk.damage(&path, |bytes| bytes[40] ^= 1);
        let keyring = load(&disk, &OLD).unwrap();
        assert_eq!(keyring.damaged(), [Path::new(&path)]);
        for (epoch, sealed) in (0..).zip(&sealed) {
            let expected = if lost == Some(epoch) { Err(SealError::NoKey { epoch }) } else { Ok(()) };
            assert_eq!(opens(&keyring, sealed), expected, "{name}");
        }
        // What is sealed now opens after the next start.
        let fresh = seal(&keyring);
        opens(&load(&disk, &OLD).unwrap(), &fresh).unwrap();
        assert!(matches!(keyring.rewrap(&NEW, || Ok(())), Err(KeyringError::Damaged { .. })));
    }
    let (disk, _) = till();
    disk.damage("/keyring/1/identity", Vec::clear);
    let keyring = load(&disk, &OLD).unwrap();
    assert!(
        matches!(keyring.kept("identity"), Err(KeyringError::Damaged { .. })),
        "another one would be made"
    );
    assert!(matches!(keyring.keep("identity", &[9; 32]), Err(KeyringError::Damaged { .. })));
}

#[test]
fn kept_secrets_are_never_replaced_and_their_names_are_plain() {
    let (disk, _) = till();
    let keyring = load(&disk, &OLD).unwrap();
    keyring.keep("identity", &[6; 32]).unwrap();
    assert!(matches!(keyring.keep("identity", &[9; 32]), Err(KeyringError::Exists { .. })));
    for name in ["", "floor", "epoch-9", "record-9", "../x", "Key", "7", "a.new"] {
        assert!(matches!(keyring.keep(name, &[9; 32]), Err(KeyringError::Name { .. })), "{name:?}");
    }
    assert_eq!(keyring.kept("none").unwrap(), None);
    assert_eq!(keyring.kept_names(), ["identity"]);
}
