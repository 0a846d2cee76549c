//! Card readers that type: grabbed as soon as they are there, so that a card is nowhere but in the sale.

use till_simulators::players::Swipe;
use till_tests::scene::again;

use super::CARD;
use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::keyboard::{Console, Eavesdropper, Wedge, swipe_usb};
use crate::till::{Till, last_rules, site_rules};

const WHOLE: usize = usize::MAX;
const NAME: &str = "Till VM swipe reader";
const READER: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n";
/// Where the cable is pulled: after the first key, inside track 1, inside track 2. The whole card is 184 key strokes.
const CUTS: [usize; 3] = [1, 60, 150];

/// A reader without USB ids, marked by the site.
pub(super) async fn uinput(till: &Till) -> Result<String, VmError> {
    site_rules(&format!(
        "SUBSYSTEM==\"input\", KERNEL==\"event*\", ATTRS{{name}}==\"{NAME}\", ENV{{TILLD_CLASS}}=\"magstripe\"\n"
    ))?;
    // The control: a keyboard that is nobody's does type at the console.
    let mut console = Console::open()?;
    let mut keyboard = Wedge::plug("Till VM keyboard", (0x1234, 0x0001))?;
    let node = keyboard.node()?;
    let mut stranger = Eavesdropper::listen(&node)?;
    keyboard.swipe(&Swipe::new("0123"), WHOLE)?;
    let heard = stranger.heard();
    claim(heard.0 > 0 && heard.1 > 0, format!("nobody could have heard an ungrabbed keyboard: {heard:?}"))?;
    drop((keyboard, stranger));

    till.devices(READER).await?;
    till.device("reader", "offline").await?;
    let mut reader = Wedge::plug(NAME, (0x0801, 0x0001))?;
    let node = reader.node()?;
    till.device("reader", "ready").await?;
    let mut stranger = Eavesdropper::listen(&node)?;
    let _before = (stranger.heard(), console.typed());
    let booked = till.booked();
    let payment = till.sale(1_100).await?;
    till.pays(&payment, || reader.swipe(&again(CARD), WHOLE)).await?;
    claim(payment.channel().await? == "bankcard", "the card was not charged by the bank card channel")?;
    claim(till.booked() == booked + 1, "the bank has not booked the card once")?;
    claim(stranger.heard() == (0, 0), "keystrokes of a card reached another program or the console")?;
    drop(stranger);

    for (n, cut) in CUTS.into_iter().enumerate() {
        let payment = till.sale(1_200 + i64::try_from(n).unwrap_or(0)).await?;
        reader.swipe(&again(CARD), cut)?;
        drop(reader);
        till.device("reader", "offline").await?;
        claim(payment.state().await? == "ready", "half a card moved a payment")?;
        claim(till.booked() == booked + 1 + n, "half a card was booked")?;
        reader = Wedge::plug(NAME, (0x0801, 0x0001))?;
        till.device("reader", "ready").await?;
        till.pays(&payment, || reader.swipe(&again(CARD), WHOLE)).await?;
    }
    claim(console.typed() == 0, "keystrokes of a card reached the console")?;
    claim(till.booked() == booked + 1 + CUTS.len(), "a card was booked twice")?;
    Ok(format!("{} cards, pulled out at {CUTS:?}", CUTS.len() + 1))
}

/// A reader that the manifest knows by its USB ids, where all input is given to a group in the end.
pub(super) async fn usb(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    last_rules("SUBSYSTEM==\"input\", GROUP=\"input\", MODE=\"0660\"\n")?;
    let mut console = Console::open()?;
    till.devices(READER).await?;
    let mut gadget = Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?;
    gadget.plug()?;
    till.device("reader", "ready").await?;
    let _before = console.typed();
    let booked = till.booked();
    let payment = till.sale(1_300).await?;
    let end = gadget.end()?;
    till.pays(&payment, || swipe_usb(&end, &again(CARD), WHOLE)).await?;
    for (n, cut) in CUTS.into_iter().enumerate() {
        let payment = till.sale(1_400 + i64::try_from(n).unwrap_or(0)).await?;
        swipe_usb(&gadget.end()?, &again(CARD), cut)?;
        gadget.unplug()?;
        till.device("reader", "offline").await?;
        claim(payment.state().await? == "ready", "half a card moved a payment")?;
        gadget.plug()?;
        till.device("reader", "ready").await?;
        let end = gadget.end()?;
        till.pays(&payment, || swipe_usb(&end, &again(CARD), WHOLE)).await?;
    }
    claim(console.typed() == 0, "keystrokes of a card reached the console")?;
    claim(till.booked() == booked + 1 + CUTS.len(), "a card was booked twice, or not at all")?;
    last_rules("")?;
    Ok(format!("{} cards, pulled out at {CUTS:?}", CUTS.len() + 1))
}

/// A reader of two interfaces: both are grabbed, or what the other one types goes to the console.
pub(super) async fn two_nodes(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let mut console = Console::open()?;
    till.devices(READER).await?;
    let mut gadget = Gadget::new("wedge2", (0x0801, 0x0001), "W2", Function::TwoKeyboards)?;
    gadget.plug()?;
    till.device("reader", "ready").await?;
    let _before = console.typed();
    let booked = till.booked();
    let payment = till.sale(1_500).await?;
    let (first, second) = (gadget.end()?, gadget.end_of(1)?);
    till.pays(&payment, || swipe_usb(&first, &again(CARD), WHOLE)).await?;
    swipe_usb(&second, &again(CARD), WHOLE)?;
    // In order behind it: when this one has paid, the other would have been heard.
    let payment = till.sale(1_501).await?;
    till.pays(&payment, || swipe_usb(&first, &again(CARD), WHOLE)).await?;
    claim(console.typed() == 0, "the reader's other interface types at the console")?;
    claim(till.booked() == booked + 2, "a card was booked twice, or not at all")?;
    Ok("2 cards, nothing at the console".into())
}
