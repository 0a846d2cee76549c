//! A merchant's receipt template: it is printed, and when it fails the customer has a receipt all the same.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy knows tests by their attribute only

use std::fs;
use std::time::Duration;

use till_tests::scene::until;
use till_tests::{Client, Rig, RigOptions};

const LONG: Duration = Duration::from_secs(20);

/// Fails by itself for ¥6.66; for ¥7.77 it makes a row that paper of 16 columns has no room for.
const TEMPLATE: &str = "@centre: OUR OWN
{{ number }} {{ total }}
{% if total == '¥6.66' %}
@barcode: 茶
{% endif %}
{% if total == '¥7.77' %}
@row 1 1 1 1 1 1: a | b | c | d | e | f
{% endif %}
";

async fn till(template: &str) -> (Rig, Client) {
    let mut rig = Rig::stand(RigOptions::default()).unwrap();
    let file = rig.dir.join("receipt.txt");
    fs::write(&file, template).unwrap();
    let drop_ins = rig.config_file().with_extension("toml.d");
    fs::create_dir_all(&drop_ins).unwrap();
    let text = format!(
        "[shop]\nreceipt-template = '{}'\n[device.printer]\nplugin = 'org.tilld.printer'\n\
         transport = {{ kind = 'tcp', address = '{}' }}\nsettings = {{ columns = 16 }}\n",
        file.display(),
        rig.printer.addr()
    );
    fs::write(drop_ins.join("10-receipt.toml"), text).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    let rest =
        || async { client.blockers().await.ok()?.iter().all(|b| b.1 == "receipt-template").then_some(()) };
    until("everything else is ready", rest).await.unwrap();
    (rig, client)
}

/// Pays in cash; the paper that comes out.
async fn paper(rig: &Rig, client: &Client, amount: i64) -> String {
    let before = rig.printer.receipts().len();
    let payment = client.ready(amount).await.unwrap();
    payment.pay_cash(amount).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    rig.printer.wait_receipts(before + 1, LONG).expect("a receipt")[before].text()
}

async fn trouble(client: &Client) -> Option<String> {
    let blockers = client.blockers().await.unwrap();
    blockers.into_iter().find(|b| b.1 == "receipt-template").map(|b| b.2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_never_lacks_its_receipt_whatever_the_template_does() {
    let (rig, client) = till(TEMPLATE).await;
    let own = paper(&rig, &client, 500).await;
    assert!(own.contains("OUR OWN") && own.contains("5.00") && !own.contains("签购单"), "{own}");
    assert_eq!(trouble(&client).await, None);

    let broken = paper(&rig, &client, 666).await;
    assert!(broken.contains("签购单") && broken.contains("6.66"), "{broken}");
    let why = trouble(&client).await.expect("it is told");
    assert!(why.contains("line 4: a bar code holds"), "{why}");

    let refused = paper(&rig, &client, 777).await;
    assert!(refused.contains("签购单") && refused.contains("7.77"), "{refused}");
    let why = trouble(&client).await.expect("it is told");
    assert!(why.contains("the printer refused") && why.contains("6 cells"), "{why}");

    let again = paper(&rig, &client, 500).await;
    assert!(again.contains("OUR OWN"), "the next one is the merchant's again: {again}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_template_does_not_keep_the_till_from_selling() {
    let (rig, client) = till("{{ number }} {{ total }}\n{{ shop.nmae }}\n").await;
    let why = trouble(&client).await.expect("it is told");
    assert!(why.contains("receipt.txt: line 2: there is no field `shop.nmae`"), "{why}");
    assert_eq!(client.state().await.unwrap(), "degraded");
    assert!(paper(&rig, &client, 500).await.contains("签购单"));
    rig.at_rest(&client).await.unwrap();
}
