//! `receipt check`, `preview`, `template`: merchants' receipt templates, without a till.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;
use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_paper::font::Fonts;
use till_paper::{Machine, Model, Receipt};
use till_receipt::{Language, Template, default_template, samples};

use crate::args::{Lang, TemplateCommand, TemplateLook, Width};
use crate::exit::{DONE, FAILED, Failure};
use crate::look::Look;
use crate::session::write_out;

/// No template is larger; what is beyond is refused by its size.
const READ: u64 = 64 * 1024;

/// Runs one; gives the exit code.
pub(crate) fn run(look: &Look, as_json: bool, command: &TemplateCommand) -> Result<u8, Failure> {
    match command {
        TemplateCommand::Check { file } => {
            let template = Template::load(&read(file)?).map_err(|e| failed("Template", file, &e))?;
            let warnings: Vec<String> = template.warnings().iter().map(ToString::to_string).collect();
            let works =
                look.say("the template works for receipts of every kind", "模板适用于各类小票").to_owned();
            let told = std::iter::once(works).chain(warnings.iter().map(|warning| format!("  ! {warning}")));
            let mut text = told.collect::<Vec<_>>().join("\n") + "\n";
            if as_json {
                text = format!("{:#}\n", json!({ "works": true, "warnings": warnings }));
            }
            write_out(&text)?;
        }
        TemplateCommand::Template { lang } => write_out(default_template(language(*lang)))?,
        TemplateCommand::Preview(asked) => {
            let fonts = Fonts::find();
            if let Some(complaint) = fonts.complaint() {
                eprintln!("tillctl: {complaint}");
            }
            let text = asked.template.as_deref().map(read).transpose()?;
            let file = asked.template.as_deref().unwrap_or_else(|| Path::new("built-in"));
            let pieces = preview(asked, text.as_deref()).map_err(|e| failed("Template", file, &e))?;
            let mut written = Vec::new();
            for (n, piece) in (1..).zip(&pieces) {
                // Paper that is cut in the middle makes two pictures.
                let path = if n == 1 {
                    asked.output.clone()
                } else {
                    let stem = asked.output.file_stem().unwrap_or_default().to_string_lossy();
                    asked.output.with_file_name(format!("{stem}-{n}.png"))
                };
                let png = piece.png(&fonts).map_err(|e| failed("Io", &path, &e))?;
                std::fs::write(&path, png).map_err(|e| failed("Io", &path, &e))?;
                written.push(path.display().to_string());
            }
            let line = written.join("\n") + "\n";
            write_out(&if as_json { format!("{:#}\n", json!({ "pictures": written })) } else { line })?;
        }
    }
    Ok(DONE)
}

/// A sample receipt as the printer makes it, piece by piece. `template`: its text; none is the built-in layout.
pub fn preview(asked: &TemplateLook, template: Option<&str>) -> Result<Vec<Receipt>, String> {
    let sample = samples(language(asked.lang))
        .into_iter()
        .find(|sample| sample.name == asked.kind)
        .ok_or_else(|| format!("there is no sample {}", asked.kind))?;
    let document = match template {
        Some(text) => {
            let template = Template::load(text).map_err(|e| e.to_string())?;
            template.render(&sample.slip).map_err(|e| e.to_string())?
        }
        None => sample.slip.document(),
    };
    let profile = match asked.width {
        Width::Narrow => "generic-58",
        Width::Wide => "generic-80",
    };
    let profile = Profile::built_in(profile).map_err(|e| e.to_string())?;
    let marks = Marks { copy: sample.slip.copy, restarted: false };
    let atoms = encode::encode(&profile, &document, marks).map_err(|e| e.to_string())?;
    let width = u32::try_from(profile.dots).map_err(|e| e.to_string())?;
    let mut machine = Machine::new(Model { width, ..Model::default() });
    for atom in &atoms {
        machine.receive(&atom.bytes);
    }
    let mut pieces = machine.receipts().to_vec();
    // A printer without a cutter: torn off.
    let rest = machine.uncut();
    if !rest.blocks.is_empty() {
        pieces.push(rest);
    }
    Ok(pieces)
}

const fn language(lang: Lang) -> Language {
    match lang {
        Lang::Zh => Language::Chinese,
        Lang::En => Language::English,
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(READ).read_to_string(&mut text))
        .map_err(|e| failed("Io", path, &e))?;
    Ok(text)
}

fn failed(code: &str, path: &Path, why: &impl std::fmt::Display) -> Failure {
    Failure { exit: FAILED, code: code.into(), text: format!("{}: {why}", path.display()), hint: None }
}
