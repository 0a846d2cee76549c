//! A card of the shop's own, end to end: known by its number, decided on this machine, never sent to the bank.

use till_simulators::players::Swipe;
use till_tests::{Rig, RigOptions};

const OURS: &str = "%B8600000000000005^SHOP/CARD^3012101000000000?;8600000000000005=301210100000?";
const BANKS: &str = "%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?";
const CONFIG: &str = r#"
[payment]
cards = [{ family = "prepaid", prefix = "8600", min-length = 16, max-length = 16 }]

[channel.prepaid]
plugin = "org.tilld.prepaid"
name = "储值卡"
priority = 5
secrets = { card_key = "prepaid-card-key" }
settings = { prefixes = ["8600"] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn s34_a_card_of_the_shop_is_declined_on_this_machine_and_the_bank_never_hears_of_it() {
    let options = RigOptions { extra_config: CONFIG.into(), ..RigOptions::default() };
    let mut rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    assert_eq!(client.channel("prepaid").await.unwrap().0, "ready");
    let payment = client.ready(1_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(OURS)).unwrap();
    payment.wait_attempt(&["not-sent"]).await.unwrap();
    let attempt = format!("{:?}", payment.describe().await.unwrap());
    assert!(attempt.contains("unknown-card") && attempt.contains("prepaid"), "{attempt}");
    assert_eq!(rig.acquirer.ledger().len(), 0, "the shop's card went to the bank");
    // The same payment, another way to pay; and a bank's card is still a bank's.
    rig.reader.swipe(&Swipe::new(BANKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    // Killed and started again, the channel finds its ledger in the journal.
    rig.kill_till();
    rig.start_till().unwrap();
    rig.wait_ready().await.unwrap();
    let client = rig.client().await.unwrap();
    assert_eq!(client.channel("prepaid").await.unwrap().0, "ready");
    rig.books(&client).await.unwrap();
}
