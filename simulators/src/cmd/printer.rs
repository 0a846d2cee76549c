//! `till-sim printer`: a receipt printer that shows what it prints.

use super::{Outcome, Stop};
use clap::Args as ClapArgs;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use till_simulators::printer::font::Fonts;
use till_simulators::printer::token::Charset;
use till_simulators::printer::{Event, Model, PrinterConfig, Receipt, VirtualPrinter};

/// Arguments of `till-sim printer`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where the till connects.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Where receipt-001.txt, receipt-001.png and so on are put as they are cut.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Lines of paper to start with; without end where absent.
    #[arg(long, value_name = "LINES")]
    paper: Option<u32>,
    /// Printable dots a line: 384 (58 mm paper) or 576 (80 mm).
    #[arg(long, value_name = "DOTS", default_value_t = 576)]
    width: u32,
    /// The font has GB18030's four-byte characters.
    #[arg(long)]
    gb18030: bool,
    /// Western firmware: double-byte mode is off until asked for.
    #[arg(long)]
    western: bool,
    /// No cutter: receipts end with the command `tear`.
    #[arg(long)]
    no_cutter: bool,
    /// Where the control port listens. It takes the same lines as standard input: paper-out, paper N, refill or refill N,
    /// cover open|close, offline on|off, fault cutter|unrecoverable|overheat|none, drawer high|low, power-cycle, tear,
    /// read-rate N|full, stop-reading on|off, drop-after N, reset-after N, silent on|off; or status, receipts, pulses, unknown.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) fn run(args: &Args) -> Outcome {
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).map_err(|e| format!("{}: {e}", out.display()))?;
    }
    if !(96..=2048).contains(&args.width) {
        return Err("--width is 384 or 576 dots for common paper (96 to 2048 are taken)".into());
    }
    let fonts = Fonts::find();
    if let Some(complaint) = fonts.complaint() {
        println!("printer   {complaint}");
    }
    let model = Model {
        width: args.width,
        charset: if args.gb18030 { Charset::Gb18030 } else { Charset::Gbk },
        chinese: !args.western,
        cutter: !args.no_cutter,
        paper: args.paper,
        ..Model::default()
    };
    let out = args.out.clone();
    // The observer is called from several threads; one receipt at a time is shown.
    let fonts = Mutex::new(fonts);
    let show = move |event: Event| match event {
        Event::Receipt(receipt) => {
            print!("{}", framed(&receipt));
            let Some(out) = &out else { return };
            let kept = fonts
                .lock()
                .map_err(|_| "the printer's output stopped".into())
                .and_then(|f| keep(&receipt, out, &f));
            match kept {
                Ok(path) => println!("printer   receipt {} is at {}", receipt.number, path.display()),
                Err(error) => println!("printer   receipt {} could not be kept: {error}", receipt.number),
            }
        }
        Event::Drawer(pulse) => println!("printer   drawer kick, pin {}, {} ms", pulse.pin, pulse.on_ms),
        Event::Status(status) if status.online => println!("printer   on line"),
        Event::Status(status) => println!(
            "printer   off line ({})",
            if status.paper == Some(0) {
                "out of paper"
            } else if status.cover_open {
                "cover open"
            } else {
                "switched off line or in error"
            }
        ),
    };
    let printer = VirtualPrinter::start(PrinterConfig {
        listen: args.listen,
        control: args.control,
        model,
        observer: Some(Arc::new(show)),
    })?;
    let stop = Stop::listen()?;
    println!("printer   listening on {}", printer.addr());
    if let Some(control) = printer.control_addr() {
        println!("printer   control port {control}");
    }
    let printer = Arc::new(printer);
    let hands = Arc::clone(&printer);
    // Ends with the process: nothing waits for a line that never comes.
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in
            std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
        {
            println!("printer   {}", hands.control_line(&line));
        }
    })?;
    stop.wait();
    Ok(())
}

fn framed(receipt: &Receipt) -> String {
    let columns = usize::try_from(receipt.width / 12).unwrap_or(48);
    let edge = "\u{2504}".repeat(columns + 2);
    let lines: Vec<String> = receipt.terminal_text().lines().map(|line| format!("  {line}")).collect();
    format!("{edge}\n{}\n{edge}\n", lines.join("\n"))
}

fn keep(receipt: &Receipt, out: &Path, fonts: &Fonts) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let name = format!("receipt-{:03}", receipt.number);
    std::fs::write(out.join(format!("{name}.txt")), receipt.text())?;
    let path = out.join(format!("{name}.png"));
    std::fs::write(&path, receipt.png(fonts)?)?;
    Ok(path)
}
