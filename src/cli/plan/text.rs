//! The plan for people.

use super::answer::Answer;
use super::json::session_s;
use crate::cli::exit::Failure;
use crate::cli::table::duration;
use crate::cli::table::moment;
use crate::cli::table::percent;
use crate::cli::table::seconds;
use crate::cli::table::session;
use crate::cli::table::table;
use crate::plan::ASSUMED_LOSS_PERCENT;
use crate::plan::Chance;
use crate::plan::Choice;
use crate::plan::Compared;
use crate::plan::Heard;
use crate::plan::HourPlan;
use crate::plan::RateHeard;
use crate::plan::Timetable;
use crate::plan::WANTED;
use crate::sim::BandAir;
use crate::time::GpsTime;
use std::io::Write;

/// Hours listed one by one, at most; `--json` lists all.
const HOURS_SHOWN: usize = 24;
const HOUR_US: u64 = 3_600_000_000;
/// What sessions ask of devices before the first of them.
pub const NEEDS_CLOCK: &str = "each device must know the time before its session: by DeviceTimeReq, or by the clock synchronisation (TS003) of the network server";

/// The plan as tables.
pub fn print(answer: &Answer<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let plan = answer.timetable;
    let planned = &plan.planned;
    let took_us = plan.end.us_since(plan.begin);
    let time = |gps: GpsTime| match plan.is_absolute {
        true => moment(gps),
        false => format!("+{}", duration(gps.us_since(plan.begin))),
    };
    writeln!(out, "{} to group {}", answer.name, planned.group)?;
    let padding =
        if planned.padding > 0 { format!(", {} B padding", planned.padding) } else { String::new() };
    writeln!(
        out,
        "  fragments   {} uncoded{} + {} coded of {} B{padding}",
        planned.nb_frag,
        if planned.is_coded_only { " (not sent again)" } else { "" },
        planned.coded,
        planned.frag_size
    )?;
    if let Some(lean) = planned.lean {
        writeln!(out, "  lean        {lean}")?;
    }
    writeln!(
        out,
        "  frames      {}, FCnt from {}, counters reserved to {}{}",
        plan.frames,
        planned.first_fcnt,
        planned.end_fcnt - 1,
        if answer.knows_journal { "" } else { " (no journal yet: as for a new key)" }
    )?;
    writeln!(
        out,
        "  airtime     {} each, {} in all",
        seconds(planned.airtime_us),
        duration(plan.airtime_us)
    )?;
    writeln!(out, "  one each    {}, set by {}", seconds(planned.spacing_us), planned.limited_by)?;
    writeln!(out, "  begin       {}", time(plan.begin))?;
    writeln!(out, "  end         {}  ({} later)", time(plan.end), duration(took_us))?;
    writeln!(out, "  listening   {} for a device that loses nothing", duration(plan.listening_us))?;
    let (uah, power) = (planned.image_uah, answer.power);
    writeln!(
        out,
        "  battery     {:.2} mAh at most: whole sessions at {} mA, flash, answers; {:.3} % of {} mAh",
        uah as f64 / 1000.0,
        f64::from(power.receive_ua) / 1000.0,
        power.part_ppm(uah) as f64 / 1e4,
        power.capacity_mah
    )?;
    hearing(&plan.heard, out)?;
    writeln!(out, "  decoded     {}", planned.decoded)?;
    if !plan.sessions.is_empty() {
        let rows: Vec<Vec<String>> = plan
            .sessions
            .iter()
            .enumerate()
            .map(|(index, plan)| {
                let frames = plan.frames.map_or("-".to_owned(), |(first, last)| format!("{first}..{last}"));
                let start = moment(plan.session.start);
                vec![(index + 1).to_string(), start, session(plan.session.exponent), frames]
            })
            .collect();
        write!(out, "{}", table(&["session", "start", "length", "frames"], &rows))?;
        if planned.questions_us > 0 {
            let kept = duration(planned.questions_us);
            writeln!(
                out,
                "  questions   {kept} of the last session are kept to ask its devices what they miss"
            )?;
        }
        writeln!(out, "  clock       {NEEDS_CLOCK}")?;
    }
    comparison(answer, out)?;
    bands(plan, out)?;
    hours(plan, out)?;
    chances(answer, out)?;
    choices(answer, out)
}

/// What the gateway hears meanwhile.
fn hearing(heard: &Heard, out: &mut dyn Write) -> Result<(), Failure> {
    let lost =
        |heard: &RateHeard| format!("{} {:.0} %", heard.rate.modulation, f64::from(heard.lost_ppm) / 1e4);
    let lost: Vec<String> = heard.rates.iter().map(lost).collect();
    writeln!(out, "  lost        of uplinks in that time: {}", lost.join(", "))?;
    let percent = |ppm: u32| f64::from(ppm) / 1e4;
    writeln!(
        out,
        "  heard       {:.1} % of usual uplinks in the worst hour, {:.1} % of joins within 10 min; {:.2} % of confirmed fail",
        percent(heard.worst_hour_ppm),
        percent(heard.joins_ppm),
        percent(heard.confirmed_failed_ppm)
    )?;
    Ok(())
}

/// The loss of uplinks at the fastest and the slowest usual data rate.
fn losses(heard: &Heard) -> Vec<String> {
    let lost = |heard: &RateHeard| format!("{:.0} %", f64::from(heard.lost_ppm) / 1e4);
    let ends = [heard.rates.first(), heard.rates.last()];
    ends.into_iter().map(|heard| heard.map_or("-".to_owned(), lost)).collect()
}

/// The policies of others, and other promises of hearing.
fn comparison(answer: &Answer<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    if answer.compared.is_empty() {
        return Ok(());
    }
    let ends = &answer.timetable.heard.rates;
    let of = |heard: Option<&RateHeard>| {
        heard.map_or("-".to_owned(), |heard| format!("lost {}", heard.rate.modulation))
    };
    let (fast, slow) = (of(ends.first()), of(ends.last()));
    let row = |compared: &Compared| {
        let mut row = vec![
            compared.name.to_owned(),
            compared.sessions_s.map_or("-".to_owned(), |sessions_s| format!("{sessions_s} s")),
            duration(compared.duration_us),
            format!("{:.2}", compared.image_uah as f64 / 1000.0),
        ];
        row.extend(losses(&compared.heard));
        row.push(if compared.breaches == 0 {
            "kept".to_owned()
        } else {
            format!("{} over", compared.breaches)
        });
        row
    };
    let rows: Vec<Vec<String>> = answer.compared.iter().map(row).collect();
    writeln!(out, "  the same by others' documented beats, judged by the same referee:")?;
    write!(out, "{}", table(&["policy", "sessions", "takes", "mAh", &fast, &slow, "law"], &rows))?;
    let row = |(min_heard, plan): &(f64, Timetable)| {
        let mut row = vec![
            min_heard.to_string(),
            format!("{} s", session_s(plan)),
            duration(plan.end.us_since(plan.begin)),
            format!("{:.1} %", f64::from(plan.heard.worst_hour_ppm) / 1e4),
        ];
        row.extend(losses(&plan.heard));
        row
    };
    let rows: Vec<Vec<String>> = answer.promises.iter().map(row).collect();
    writeln!(out, "  with other promises of hearing:")?;
    write!(out, "{}", table(&["min-heard", "sessions", "takes", "worst hour", &fast, &slow], &rows))?;
    Ok(())
}

/// Ours and what the law leaves to the network server.
fn bands(plan: &Timetable, out: &mut dyn Write) -> Result<(), Failure> {
    let used = plan.bands.iter().filter(|band| band.airtime_us > 0);
    let row = |band: &BandAir| {
        let limit = |text: fn(u64) -> String, value: Option<u64>| value.map_or("none".to_owned(), text);
        let left_us = band.budget_us.map(|budget| budget.saturating_sub(band.worst_window_us));
        vec![
            band.label.to_owned(),
            duration(band.airtime_us),
            seconds(band.worst_window_us),
            limit(seconds, band.budget_us),
            band.budget_us.map_or("-".to_owned(), |budget| percent(band.worst_window_us, budget)),
            left_us.map_or("-".to_owned(), seconds),
        ]
    };
    let rows: Vec<Vec<String>> = used.map(row).collect();
    let header = ["sub-band", "airtime", "worst window", "law", "used", "left to the server"];
    write!(out, "{}", table(&header, &rows))?;
    Ok(())
}

/// Each hour of a campaign that lasts several.
fn hours(plan: &Timetable, out: &mut dyn Write) -> Result<(), Failure> {
    if plan.hours.len() < 2 {
        return Ok(());
    }
    let shown = plan.hours.iter().enumerate().take(HOURS_SHOWN);
    let row = |(index, hour): (usize, &HourPlan)| {
        vec![
            format!("+{index} h"),
            hour.frames.to_string(),
            seconds(hour.airtime_us),
            percent(hour.airtime_us, HOUR_US),
        ]
    };
    write!(out, "{}", table(&["hour", "frames", "airtime", "deaf"], &shown.map(row).collect::<Vec<_>>()))?;
    if let Some(more) = plan.hours.len().checked_sub(HOURS_SHOWN).filter(|more| *more > 0) {
        writeln!(out, "  … and {more} hours more (--json lists all)")?;
    }
    Ok(())
}

fn chances(answer: &Answer<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let nb_frag = u64::from(answer.timetable.planned.nb_frag);
    let row = |chance: &Chance| {
        let wanted = |coded: u16| format!("{coded} ({})", percent(u64::from(coded), nb_frag));
        vec![
            format!("{} %", chance.loss_percent),
            likely(chance.completes),
            chance.completes_as_shipped.map_or("-".to_owned(), likely),
            chance.coded_wanted.map_or("never".to_owned(), wanted),
        ]
    };
    let rows: Vec<Vec<String>> = answer.chances.iter().map(row).collect();
    let most = format!("coded for {}", likely(WANTED));
    write!(out, "{}", table(&["loss", "a device completes", "as shipped", &most], &rows))?;
    Ok(())
}

fn choices(answer: &Answer<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    if answer.choices.is_empty() {
        return Ok(());
    }
    let row = |choice: &Choice| {
        let here = if choice.data_rate == answer.data_rate { " (the group's)" } else { "" };
        vec![
            format!("DR{}{here}", choice.data_rate),
            format!("{} B", choice.frag_size),
            choice.nb_frag.to_string(),
            format!("{} %", choice.redundancy_percent),
            duration(choice.airtime_us),
            duration(choice.duration_us),
        ]
    };
    let rows: Vec<Vec<String>> = answer.choices.iter().map(row).collect();
    writeln!(
        out,
        "  cheapest first, for {} of the devices if they lose {ASSUMED_LOSS_PERCENT} % at any data rate:",
        likely(WANTED)
    )?;
    let header = ["data rate", "fragment", "NbFrag", "redundancy", "airtime", "takes"];
    write!(out, "{}", table(&header, &rows))?;
    for choice in answer.choices {
        if let Some(needs) = choice.needs {
            writeln!(out, "  DR{} needs {needs}", choice.data_rate)?;
        }
    }
    Ok(())
}

/// A probability in per cent, never rounded up to certainty.
fn likely(probability: f64) -> String {
    let hundredths = (probability * 10_000.0 + 1e-3).floor();
    format!("{} %", hundredths / 100.0)
}
