use super::super::keys::tests::{object, sent};
use super::*;

fn job(what: Download) -> Job {
    Job::new(what, Currency::CNY, true, Date::new(2026, 11, 23).ok())
}

fn entry(index: u8, day: &str) -> Vec<u8> {
    [KeyName { rid: [0xA0, 0, 0, 3, 0x33], index }.question(), object(0xDF05, day.as_bytes())].concat()
}

fn page(mark: u8, entries: &[Vec<u8>]) -> Vec<u8> {
    [&[mark][..], &entries.concat()].concat()
}

fn item(body: &[u8]) -> Vec<u8> {
    [b"1", body].concat()
}

const DAY: &str = "20301231";

#[test]
fn a_list_in_pages_then_each_key_then_the_end() {
    let mut job = job(Download::Keys);
    assert_eq!((job.question().kind, job.question().field62.as_slice()), (Kind::List, &b"100"[..]));
    assert_eq!(job.answered(Some(&page(b'2', &[entry(1, DAY), entry(2, DAY)]))), Ok(Progress::More));
    assert_eq!(job.question().field62, b"102");
    assert_eq!(job.answered(Some(&page(b'3', &[entry(3, DAY)]))), Ok(Progress::More));
    for index in 1..=3 {
        assert_eq!(job.question().kind, Kind::Item);
        assert_eq!(job.question().field62.last(), Some(&index));
        assert_eq!(job.answered(Some(&item(&sent(index, |_| ())))), Ok(Progress::More));
    }
    assert_eq!((job.question().kind, job.question().field62.is_empty()), (Kind::End, true));
    let Ok(Progress::Whole(whole)) = job.answered(None) else { panic!("not whole") };
    assert_eq!((whole.parts.len(), whole.left_out), (3, 0));
    assert_eq!(Content::read(Download::Keys, &whole.parts, Currency::CNY), Ok(whole.content));
}

#[test]
fn nothing_to_download_and_no_more_are_two_things() {
    let mut empty = job(Download::Keys);
    assert_eq!(empty.answered(Some(b"0")), Ok(Progress::Nothing));
    let mut ended = job(Download::Keys);
    assert_eq!(ended.answered(Some(&page(b'2', &[entry(1, DAY)]))), Ok(Progress::More));
    assert_eq!(ended.answered(Some(b"0")), Ok(Progress::More));
    assert_eq!(ended.question().kind, Kind::Item);
    assert_eq!(job(Download::ContactlessLimits).answered(Some(b"0")), Ok(Progress::Nothing));
}

#[test]
fn a_list_that_never_ends_is_cut_off_by_its_count() {
    let mut job = job(Download::Keys);
    for index in 0..98 {
        assert_eq!(job.answered(Some(&page(b'2', &[entry(index, DAY)]))), Ok(Progress::More));
    }
    assert_eq!(job.answered(Some(&page(b'2', &[entry(98, DAY)]))), Err(JobError::Endless));
    let many: Vec<_> = (0..=MOST_ENTRIES).map(|at| entry(u8::try_from(at).unwrap(), DAY)).collect();
    let mut other = Job::new(Download::Keys, Currency::CNY, true, None);
    // In pages as long as a page may be.
    assert_eq!(other.answered(Some(&page(b'2', &many[..60]))), Ok(Progress::More));
    assert_eq!(other.answered(Some(&page(b'1', &many[60..]))), Err(JobError::Endless));
}

#[test]
fn a_page_twice_an_empty_one_and_a_wrong_mark_are_errors() {
    let mut twice = job(Download::Keys);
    assert_eq!(twice.answered(Some(&page(b'2', &[entry(1, DAY)]))), Ok(Progress::More));
    let again = twice.answered(Some(&page(b'2', &[entry(1, DAY)])));
    assert_eq!(again, Err(JobError::Twice("key A000000333 index 01".into())));
    assert_eq!(job(Download::Keys).answered(Some(b"2")), Err(JobError::EmptyPage));
    assert_eq!(job(Download::Keys).answered(Some(b"7")), Err(JobError::Mark(b'7')));
    assert_eq!(job(Download::Keys).answered(Some(b"")), Err(JobError::Empty));
    assert_eq!(job(Download::Applications).answered(None), Err(JobError::Empty));
}

#[test]
fn keys_past_their_day_are_not_fetched_and_are_counted() {
    let mut dated = job(Download::Keys);
    let list = page(b'1', &[entry(1, "20261122"), entry(2, "20261123")]);
    assert_eq!(dated.answered(Some(&list)), Ok(Progress::More));
    assert_eq!(dated.question().field62.last(), Some(&2));
    assert_eq!(dated.answered(Some(&item(&sent(2, |_| ())))), Ok(Progress::More));
    let Ok(Progress::Whole(whole)) = dated.answered(None) else { panic!("not whole") };
    assert_eq!((whole.parts.len(), whole.left_out), (1, 1));
    // A clock nobody trusts ends no key.
    let mut undated = Job::new(Download::Keys, Currency::CNY, true, None);
    assert_eq!(undated.answered(Some(&list)), Ok(Progress::More));
    assert_eq!(undated.wanted.len(), 2);
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let begun = || {
        let mut job = job(Download::Keys);
        assert_eq!(job.answered(Some(&page(b'1', &[entry(1, DAY)]))), Ok(Progress::More));
        job
    };
    let other = begun().answered(Some(&item(&sent(2, |_| ()))));
    assert!(matches!(other, Err(JobError::Another { .. })), "{other:?}");
    assert!(matches!(begun().answered(Some(b"0")), Err(JobError::NotThere(_))));
    assert_eq!(begun().answered(Some(b"2")), Err(JobError::Mark(b'2')));
    let wrong = begun().answered(Some(&item(&sent(1, |objects| objects[7].1[0] ^= 1))));
    assert!(matches!(wrong, Err(JobError::Key(keys::KeyError::Check(_)))), "{wrong:?}");
    // One of SM2 is left out, if it is the one that was asked for.
    let sm2 = |index| item(&sent(index, |objects| objects[4].1 = vec![4]));
    assert_eq!(begun().answered(Some(&sm2(1))), Ok(Progress::More));
    assert!(matches!(begun().answered(Some(&sm2(2))), Err(JobError::Another { .. })));
}

#[test]
fn applications_go_the_same_way_and_have_their_own_bound() {
    let aid = [0xA0, 0, 0, 3, 0x33, 1, 1, 1];
    let mut job = job(Download::Applications);
    assert_eq!(job.answered(Some(&page(b'1', &[object(0x9F06, &aid)]))), Ok(Progress::More));
    assert_eq!(job.question().field62, object(0x9F06, &aid));
    let long = [object(0x9F06, &aid), object(0x9F99, &[0; 250])].concat();
    assert!(matches!(job.answered(Some(&item(&long))), Err(JobError::Long { got: 265, most: 255, .. })));
    let good = [object(0x9F06, &aid), object(0x9F09, &[0, 0x30])].concat();
    assert_eq!(job.answered(Some(&item(&good))), Ok(Progress::More));
    let Ok(Progress::Whole(whole)) = job.answered(None) else { panic!("not whole") };
    assert_eq!(whole.content.told(), "1 applications");
}

#[test]
fn limits_are_one_message_with_or_without_mark_and_end_where_the_dialect_says_so() {
    const FIELD: &[u8] = b"FF80540011FF8058012000000030000";
    for field in [FIELD.to_vec(), item(FIELD)] {
        let mut job = Job::new(Download::ContactlessLimits, Currency::CNY, false, None);
        assert_eq!((job.question().kind, job.question().field62.is_empty()), (Kind::Item, true));
        let Ok(Progress::Whole(whole)) = job.answered(Some(&field)) else { panic!("not whole") };
        assert_eq!(whole.content.told(), "no PIN to CNY 300.00 (all cards), no signature to none");
    }
    let mut ending = job(Download::ContactlessLimits);
    assert_eq!(ending.answered(Some(FIELD)), Ok(Progress::More));
    assert_eq!(ending.question().kind, Kind::End);
    assert!(matches!(ending.answered(None), Ok(Progress::Whole(_))));
}
