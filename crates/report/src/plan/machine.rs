//! One machine of a plan in full.

use localrig_plan::answer::{MemoryGroup, PlanAnswer, RankedMachine, ServedRole};
use localrig_plan::candidate::WallBasis;
use localrig_plan::check::Outcome;
use localrig_plan::knowledge::Correction;
use localrig_plan::verdict::{Line, Mark};

use super::parts::{parts, price_remark};
use super::summary::spread;
use super::{Extent, running_speed};
use crate::number::{
    billions, gib, gib_words, grouped, money, noise, speed, tokens_per_second, two_digits,
};
use crate::page::{Page, Table, Text, Tree};

/// A machine with all that speaks for and against it.
pub(crate) fn configuration(
    page: &mut Page,
    answer: &PlanAnswer,
    machine: &RankedMachine,
    extent: Extent,
) {
    page.heading(2, format!("#{} {}", machine.rank, machine.name));
    page.table(metrics(machine));
    page.heading(3, "Memory");
    for group in &machine.memory {
        page.tree(memory_tree(group));
    }
    page.heading(3, "Requirement");
    page.table(verdict_table(&machine.verdict));
    page.heading(3, "Parts");
    page.table(parts(machine, extent));
    page.list(machine.parts.iter().filter_map(price_remark).collect());
    let doubts: Vec<Text> = machine
        .checks
        .iter()
        .filter(|check| check.outcome != Outcome::Pass)
        .map(|check| {
            Text::from(format!("{}, {}: {}", check.rule, check.outcome.word(), check.reason))
        })
        .collect();
    if !doubts.is_empty() {
        page.heading(3, "Checks that did not simply pass");
        page.list(doubts);
    }
    page.heading(3, "Trade-off");
    page.list(trade_off(answer, machine));
    if !machine.know.is_empty() {
        page.heading(3, "Know before you buy");
        let fact = |one: &localrig_plan::knowledge::Fact| {
            Text::default().plain(format!("{}. ", one.text)).plain(format!("[{}]", one.source))
        };
        page.list(machine.know.iter().map(fact).collect());
    }
    if !machine.corrections.is_empty() {
        page.heading(3, "What earlier documents have wrong about it");
        page.list(machine.corrections.iter().map(correction).collect());
    }
    if !machine.also.is_empty() {
        page.heading(3, "The same accelerators, lower in the ranking");
        let twin = |one: &localrig_plan::answer::Twin| {
            Text::from(format!("{}, {} (score {:.1})", one.name, money(one.cost), one.score))
        };
        page.list(machine.also.iter().map(twin).collect());
    }
    if extent.explain {
        page.heading(3, "Score");
        let mut table = Table::new(&["term", ">value", ">weight", ">points", "why"]);
        for term in &machine.score_terms {
            table.row([
                term.name.into(),
                format!("{:.2}", term.value).into(),
                format!("{:.0}", term.weight).into(),
                format!("{:.1}", term.points()).into(),
                term.reason.clone().into(),
            ]);
        }
        page.table(table);
        let smaller = machine.roles.iter().any(|role| role.kv_type != "f16");
        page.paragraph(format!(
            "Simulate it again{}: `localrig simulate --on \"{}\"{} --place \"{}\" --replicates {}`{}",
            if answer.given.is_some() { "" } else { ", with the requirement as it was changed" },
            machine.machine,
            answer.given.as_ref().map_or_else(String::new, |given| format!(" --require {given}")),
            placed(machine),
            answer.simulation.replicates,
            if smaller { "; there a smaller cache is read faster, a plan does not count on that" } else { "" }
        ));
    }
}

/// Every line of the requirement, met or missed.
pub(crate) fn verdict_table(lines: &[Line]) -> Table {
    let mut table = Table::new(&["verdict", "line", "wanted", "given"]);
    for line in lines {
        table.row([
            line.mark.word().into(),
            line.requirement.clone().into(),
            line.wanted.clone().into(),
            line.given.clone().into(),
        ]);
    }
    table
}

/// The places of a machine's roles, for `localrig simulate --place`.
fn placed(machine: &RankedMachine) -> String {
    let place = |role: &ServedRole| {
        let devices: Vec<String> = role.device_numbers.iter().map(ToString::to_string).collect();
        let devices = devices.join(if role.copies { "/" } else { "+" });
        format!(
            "{}={}:{}:{}:{}@{devices}",
            role.role, role.model_id, role.format_id, role.engine_id, role.kv_type
        )
    };
    machine.roles.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// What earlier documents have wrong, and what holds.
pub(crate) fn correction(one: &Correction) -> Text {
    let verdict = one.verdict.word();
    let said = format!("{} ({}: {}). ", one.claim, verdict, one.places.join("; "));
    let holds = format!("{}. {}. [{}]", one.fact, one.effect, one.sources.join("; "));
    Text::default().strong(said).plain(holds)
}

/// The figures of a machine.
pub(crate) fn metrics(machine: &RankedMachine) -> Table {
    let mut table = Table::new(&["metric", "value"]);
    let mut add = |metric: &str, value: String| table.row([metric.into(), value.into()]);
    add("price", format!("{}{}", money(machine.cost), spread(machine)));
    add("accelerator memory", format!("{:.0} GiB", machine.memory_bytes.to_gib()));
    for role in &machine.roles {
        let size = role.active_parameters.filter(|active| *active < role.parameters).map_or_else(
            || billions(role.parameters),
            |active| format!("{}, {} active", billions(role.parameters), billions(active)),
        );
        let cache = cache_words(role);
        add(
            &role.role,
            format!(
                "{} {} ({size}) on {}{cache}, {}",
                role.model, role.format, role.engine, role.devices
            ),
        );
        add(
            &format!("{} speed", role.role),
            format!(
                "{} tok/s per stream with the whole workload ({}); {} tok/s alone with an empty \
                 context ({})",
                speed(&role.per_stream_tok_per_s),
                if role.simulated.is_some() { "simulated" } else { "by means" },
                speed(&role.alone_tok_per_s),
                role.per_stream_tok_per_s.basis.word()
            ),
        );
        if let Some(one) = &role.simulated {
            let [median, late] = one.first_token_s.map(|time| two_digits(time.get()));
            let limit = one.first_token_limit_s.map_or_else(String::new, |limit| {
                format!(" (first token within {} s)", two_digits(limit.get()))
            });
            let figures = format!(
                "slowest answer in 20 at {} tok/s; first token after {median} s, one in 20 after \
                 {late} s or later; {} % in time{limit}",
                tokens_per_second(one.slowest_20th_tok_per_s),
                one.in_time_percent()
            );
            let figures = match one.saturated {
                Some(saturated) => format!(
                    "saturated: {:.1} requests an hour come, {:.1} can be answered",
                    saturated.offered_per_s * 3_600.0,
                    saturated.sustainable_per_s * 3_600.0
                ),
                None => figures,
            };
            add(&format!("{} answers", role.role), figures);
        }
        if let Some(turn) = &role.turn {
            add(
                &format!("{} turn", role.role),
                format!(
                    "loaded in place of {}, which takes about {} s from an NVMe drive (assumed)",
                    turn.with.join(", "),
                    two_digits(turn.load_s.get())
                ),
            );
        }
        if let Some(quality) = role.quality_index {
            add(
                &format!("{} quality", role.role),
                format!(
                    "index {:.0} ({:.0} to {:.0}) of 100, less {:.1} for the format",
                    quality.value, quality.low, quality.high, role.format_loss_points
                ),
            );
        }
    }
    add(
        "power",
        machine.wall.as_ref().map_or_else(
            || "not recorded".to_owned(),
            |wall| {
                let watts = grouped(wall.power_w.get().round() as i64);
                let note = wall.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
                match wall.basis {
                    WallBasis::Measured => {
                        format!("{watts} W at the wall measured, no limit is recorded{note}")
                    }
                    WallBasis::Alike => format!("{watts} W at the wall assumed{note}"),
                    _ => format!("at most {watts} W at the wall"),
                }
            },
        ),
    );
    add("noise", format!("{} ({})", noise(machine.noise), machine.noise_basis));
    add("upgrade path", machine.growth.clone());
    add("in full", format!("`localrig build \"{}\"`", machine.key));
    table
}

/// What fills a group of devices, as a tree that ends in what is left.
pub(crate) fn memory_tree(group: &MemoryGroup) -> Tree {
    let load = |one: &localrig_plan::answer::Load| {
        let total = one.weights_bytes + one.context_bytes + one.overhead_bytes.value;
        Tree {
            label: format!(
                "{}: {} {}{}",
                one.roles.join(" + "),
                one.label,
                gib_words(total),
                if one.in_turn { ", in turn" } else { "" }
            ),
            branches: vec![
                Tree::leaf(format!("weights {}", gib_words(one.weights_bytes))),
                Tree::leaf(format!("KV cache and state {}", gib_words(one.context_bytes))),
                Tree::leaf(format!(
                    "buffers, runtime, vision tower {} ({} to {})",
                    gib_words(one.overhead_bytes.value),
                    gib(one.overhead_bytes.low),
                    gib(one.overhead_bytes.high)
                )),
            ],
        }
    };
    let mut branches: Vec<Tree> = group.loads.iter().map(load).collect();
    let turns = group.loads.iter().any(|load| load.in_turn);
    branches.push(Tree::leaf(format!(
        "free {}{}, of which {} are kept as margin",
        gib_words(group.usable_bytes - group.total_bytes.value),
        if turns { " with the largest of those that take turns" } else { "" },
        gib_words(group.margin_bytes)
    )));
    Tree { label: format!("{}: {} usable", group.devices, gib_words(group.usable_bytes)), branches }
}

/// What one gives up with a machine, against the first of the ranking and the leaders.
fn trade_off(answer: &PlanAnswer, machine: &RankedMachine) -> Vec<Text> {
    let mut said: Vec<Text> = machine
        .verdict
        .iter()
        .filter(|line| line.mark != Mark::Pass)
        .map(|line| {
            Text::from(format!("{} {}: {}", line.mark.word(), line.requirement, line.given))
        })
        .collect();
    let own = &machine.roles[0];
    let best = answer.ranked.first().filter(|best| best.rank != machine.rank);
    let rival = best.or_else(|| answer.ranked.get(1));
    if let Some(rival) = rival {
        let theirs = &rival.roles[0];
        let difference = machine.cost.minor - rival.cost.minor;
        let price = if difference >= 0 { "more" } else { "less" };
        let amount = localrig_facts::Money { minor: difference.abs(), ..machine.cost };
        let mut differences = vec![format!("{} {price}", money(amount))];
        let mut differ = |what: &str, own: String, other: String| {
            if own != other {
                differences.push(format!("{what}{own} instead of {other}"));
            }
        };
        differ(
            "main model at ",
            format!("{} tok/s", running_speed(own)),
            format!("{} tok/s", running_speed(theirs)),
        );
        let label = |role: &ServedRole| format!("{} {}", role.model, role.format);
        differ("", label(own), label(theirs));
        let memory = |one: &RankedMachine| format!("{:.0} GiB", one.memory_bytes.to_gib());
        differ("", memory(machine), memory(rival));
        differ("", noise(machine.noise).to_owned(), noise(rival.noise).to_owned());
        said.push(Text::from(format!(
            "against #{} {}: {}",
            rival.rank,
            rival.name,
            differences.join("; ")
        )));
    }
    said
}

/// ` with a q8_0 cache`, where the cache is not in 16 bits.
pub(crate) fn cache_words(role: &ServedRole) -> String {
    if role.kv_type == "f16" { String::new() } else { format!(" with a {} cache", role.kv_type) }
}
