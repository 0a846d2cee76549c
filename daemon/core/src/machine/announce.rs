//! Announced maintenance: what becomes a part of the plan.

use super::Step;
use crate::announce::{
    AnnounceEvent, AnnounceRefusal, Announcement, MOST, MOST_WINDOWS, NAME, REASON, Source,
};
use crate::bounds;
use crate::input::Context;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

/// Somebody, a file or a message announces. Saying the same again writes nothing.
pub(super) fn announced(
    till: &Till,
    ctx: &Context,
    id: &str,
    announcement: &Announcement,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let plan = till.announced();
    let mut announcement = announcement.clone();
    let known = |channel: &str| ctx.routes.iter().any(|r| r.id == channel);
    if announcement.source == Source::Signed {
        // One message is for many shops, and not every shop has every channel.
        announcement.windows.retain(|w| known(&w.channel));
    } else if let Some(w) = announcement.windows.iter().find(|w| !known(&w.channel)) {
        let channel = w.channel.chars().take(64).collect();
        return Err(AnnounceRefusal::NoChannel(channel).into());
    }
    if announcement.windows.len() > MOST_WINDOWS {
        return Err(AnnounceRefusal::TooMany.into());
    }
    for w in &mut announcement.windows {
        w.reason = bounds::cut(&w.reason, REASON);
    }
    if plan.get(id) == Some(&announcement) {
        return Ok(Step::default());
    }
    if announcement.source == Source::Signed && announcement.issue <= plan.issue() {
        let (asked, known) = (announcement.issue, plan.issue());
        return Err(AnnounceRefusal::Outdated { asked, known }.into());
    }
    let over = plan.over(ctx.rules.now(ctx.wall_ms, ctx.clock_trusted));
    if plan.get(id).is_none() && plan.len() - over.len() >= MOST {
        return Err(AnnounceRefusal::Full.into());
    }
    let event = AnnounceEvent::Announced { announcement, over };
    let (id, operator) = (bounds::cut(id, NAME), bounds::person(operator));
    Ok(Step::new(Record::Maintenance { id, event, operator }, []))
}

/// It does not hold any more. `source`: who says so; a file takes back only what files say.
pub(super) fn withdrawn(
    till: &Till,
    id: &str,
    source: Source,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let known = till.announced().get(id).map(|a| a.source);
    match (source, known) {
        (Source::File, Some(Source::File))
        | (Source::Supervisor, Some(Source::Supervisor | Source::Signed)) => {}
        (Source::Supervisor, Some(Source::File)) => return Err(AnnounceRefusal::IsAFile(id.into()).into()),
        (Source::Supervisor, None) => {
            return Err(AnnounceRefusal::Unknown(id.chars().take(64).collect()).into());
        }
        _ => return Ok(Step::default()),
    }
    let operator = bounds::person(operator);
    Ok(Step::new(Record::Maintenance { id: id.into(), event: AnnounceEvent::Withdrawn, operator }, []))
}
