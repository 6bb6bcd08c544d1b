//! The top of a plan: what to buy, what it does, what it misses, and who is best in one respect.

use localrig_plan::answer::{
    MemoryGroup, PlanAnswer, PriceAges, RankedMachine, RejectedGroup, ServedRole,
};
use localrig_plan::lead::Lead;
use localrig_plan::price::FRESH_DAYS;
use localrig_plan::verdict::Mark;

use super::{running_speed, under_load};
use crate::build::unjoined;
use crate::number::{count, gib, money, tokens_per_second};
use crate::page::{Page, Text};

/// The TL;DR of a plan.
pub(crate) fn summary(page: &mut Page, answer: &PlanAnswer) {
    page.heading(2, "TL;DR");
    let Some(best) = answer.ranked.first() else {
        page.paragraph(format!(
            "No machine within {} to {} meets the hard limits as of {}.",
            money(answer.budget[0]),
            money(answer.budget[1]),
            answer.as_of
        ));
        page.list(nearest_misses(answer));
        return;
    };
    page.paragraph(
        Text::default()
            .plain("Buy: ")
            .strong(format!("{}, {}", best.name, money(best.cost)))
            .plain(format!(
                "{}. Prices as of {}, {}.",
                spread(best),
                answer.as_of,
                ages(PriceAges::of(best.parts.iter()))
            )),
    );
    if let Some(warning) = old_prices(best) {
        page.paragraph(warning);
    }
    if let Some(link) = unjoined(&best.checks) {
        page.paragraph(format!("The price is without what joins the boxes: {}.", link.reason));
    }
    page.list(best.roles.iter().map(role_sentence).chain(best.memory.iter().map(memory)).collect());
    if let Some(lead) = &answer.lead {
        page.paragraph(why_first(answer, lead));
    }
    let lines = |mark: Mark| -> Vec<String> {
        let of = best.verdict.iter().filter(|line| line.mark == mark);
        of.map(|line| format!("{} ({}; wanted {})", line.requirement, line.given, line.wanted))
            .collect()
    };
    let missed = lines(Mark::Miss);
    page.paragraph(if missed.is_empty() {
        "It misses no line of the requirement outright.".to_owned()
    } else {
        format!("It misses: {}.", missed.join("; "))
    });
    let less = [("Met in part", Mark::Partly), ("Not known", Mark::Unknown)];
    let less = less.map(|(what, mark)| (what, lines(mark)));
    let told = less.iter().filter(|(_, lines)| !lines.is_empty());
    page.list(
        told.map(|(what, lines)| Text::from(format!("{what}: {}", lines.join("; ")))).collect(),
    );
    let others = answer.leaders.iter().filter(|leader| leader.rank != best.rank);
    page.list(
        others
            .map(|leader| {
                // What it runs: the cheapest may run little.
                let it = answer.ranked.iter().find(|one| one.rank == leader.rank);
                let main = it.and_then(|one| one.roles.first());
                let runs = main.map_or_else(String::new, |main| {
                    let speed = running_speed(main);
                    if leader.figure.ends_with("tok/s") {
                        format!(" with {}", main.model)
                    } else if leader.figure.starts_with(&main.model) {
                        format!(" at {speed} tok/s")
                    } else {
                        format!("; main agent {} at {speed} tok/s", main.model)
                    }
                });
                Text::from(format!(
                    "{}: {} (#{}), {}{runs}",
                    sentence_case(leader.respect),
                    leader.name,
                    leader.rank,
                    leader.figure
                ))
            })
            .collect(),
    );
}

/// What decides between the first machine and the best that is built from something else, and up to
/// which price it does.
fn why_first(answer: &PlanAnswer, lead: &Lead) -> String {
    let machine = |rank: usize| answer.ranked.iter().find(|one| one.rank == rank);
    let other = machine(lead.over)
        .map_or_else(String::new, |one| format!(", {}, {}", one.name, money(one.cost)));
    let terms = |sign: f64| -> Vec<String> {
        let of = lead.terms.iter().filter(|term| term.points * sign > 0.0);
        of.map(|term| format!("{} ({:.1})", term.name, term.points.abs())).collect()
    };
    let (ahead, behind) = (terms(1.0), terms(-1.0));
    let said = |what: &str, terms: Vec<String>| {
        if terms.is_empty() { String::new() } else { format!("; {what} in {}", terms.join(", ")) }
    };
    format!(
        "Why it is first: {} more than the best machine that has none of its accelerators (#{}{other}){}{}. \
         It stays before that one {}, all else the same{}.",
        match lead.points {
            few if few < 0.05 => "under 0.1 points of 100".to_owned(),
            points => format!("{points:.1} points of 100"),
        },
        lead.over,
        said("ahead", ahead),
        said("behind", behind),
        if lead.up_to.minor < answer.budget[1].minor {
            format!("up to a price of {}", money(lead.up_to))
        } else {
            format!("at any price within the budget, up to {}", money(lead.up_to))
        },
        match machine(1).map(|best| best.cost_range[1]) {
            Some(most) if most.minor > lead.up_to.minor => {
                format!("; its parts may come to {} by the spread of their prices", money(most))
            }
            _ => String::new(),
        }
    )
}

/// What to do before ordering when prices are no longer what shops ask.
fn old_prices(machine: &RankedMachine) -> Option<String> {
    let ages = PriceAges::of(machine.parts.iter());
    let linked = machine.parts.iter().any(|part| part.search.is_some());
    let offers = if linked { " Today's offers are linked under Parts." } else { "" };
    let old = ages.stale + ages.derived + ages.raised;
    let total = ages.regional + old;
    (old > 0).then(|| {
        let which = match (old, total) {
            (1, 1) => "its price is".to_owned(),
            (_, 1) => format!("{old} of {total} price is"),
            _ => format!("{old} of {total} prices are"),
        };
        format!(
            "Before you order: {which} older than {FRESH_DAYS} days or from abroad, and prices move \
             fast.{offers}"
        )
    })
}

/// ` (CHF 8,187 to CHF 10,488 by the spread of the prices)`, or nothing where sources agree.
pub(crate) fn spread(machine: &RankedMachine) -> String {
    let [low, high] = machine.cost_range;
    if low == high {
        return String::new();
    }
    format!(" ({} to {} by the spread of the prices)", money(low), money(high))
}

/// How much of a group's memory is taken.
fn memory(group: &MemoryGroup) -> Text {
    let roles: Vec<&str> =
        group.loads.iter().flat_map(|load| load.roles.iter().map(String::as_str)).collect();
    Text::default()
        .plain(format!("memory for {}: ", roles.join(", ")))
        .strong(format!("{} of {} GiB", gib(group.total_bytes.value), gib(group.usable_bytes)))
        .plain(format!(
            " usable on {} are taken{}",
            group.devices,
            if group.loads.iter().any(|load| load.in_turn) { " at most, in turn" } else { "" }
        ))
}

fn role_sentence(role: &ServedRole) -> Text {
    let streams =
        if role.streams == 1 { "1 stream".to_owned() } else { format!("{} streams", role.streams) };
    let shared = if role.shares_weights { ", the same loaded model" } else { "" };
    Text::default()
        .plain(format!("{}: ", role.role))
        .strong(format!("{} {}", role.model, role.format))
        .plain(format!(
            "{shared} on {}: {streams} of {} tokens, {} tok/s each while {}, {} tok/s alone with an empty context",
            role.engine,
            count(role.context_tokens),
            under_load(role),
            match &role.turn {
                None => "everything runs".to_owned(),
                Some(turn) => format!("it runs in turn with {}", turn.with.join(", ")),
            },
            tokens_per_second(role.alone_tok_per_s.value),
        ))
}

/// What came nearest in every group of rejections.
pub(crate) fn nearest_misses(answer: &PlanAnswer) -> Vec<Text> {
    let nearest = |group: &RejectedGroup| {
        let one = group.machines.first()?;
        Some(Text::from(format!(
            "nearest miss, {}: {}, {}",
            group.reason, one.name, one.decided_by
        )))
    };
    answer.rejected.iter().filter_map(nearest).collect()
}

/// How many prices there are, of which kind and how old.
pub(crate) fn ages(ages: PriceAges) -> String {
    let total = ages.regional + ages.stale + ages.derived + ages.raised;
    let mut parts = Vec::new();
    let mut add = |number: u32, what: &str| {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    };
    add(ages.regional, "fresh");
    add(ages.stale, "stale");
    add(ages.derived, "converted from abroad");
    add(ages.raised, "raised to what such goods cost now");
    let age = if ages.newest_days == ages.oldest_days {
        format!("{} days", ages.oldest_days)
    } else {
        format!("{} to {} days", ages.newest_days, ages.oldest_days)
    };
    let prices = if total == 1 { "price" } else { "prices" };
    format!("{total} {prices}: {}; {age} old", parts.join(", "))
}

/// The text with a capital at the front.
pub(crate) fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
