//! The plan: what to buy and why, the ranking, the best machines in full, what was rejected.

mod summary;

use localrig_plan::answer::{MemoryGroup, Part, PlanAnswer, PriceAges, RankedMachine, ServedRole};
use localrig_plan::candidate::WallBasis;
use localrig_plan::check::Outcome;
use localrig_plan::knowledge::Correction;
use localrig_plan::price::PriceBasis;
use localrig_plan::verdict::{Line, Mark};
use serde::Serialize;

use crate::number::{
    billions, gib, gib_words, grouped, money, noise, speed, tokens_per_second, two_digits,
};
use crate::page::{Page, Table, Text, Tree};

use summary::spread;
pub(crate) use summary::{ages, nearest_misses, sentence_case, summary};

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows of the ranking.
    pub rows: usize,
    /// Machines in full.
    pub details: usize,
    /// Machines of each kind of rejection.
    pub rejected: usize,
    /// Whether the terms of the scores and the conversion of prices are shown.
    pub explain: bool,
}

impl Default for Extent {
    fn default() -> Self {
        Self { rows: 15, details: 3, rejected: 6, explain: false }
    }
}

/// The page of a plan.
pub fn page(answer: &PlanAnswer, extent: Extent) -> Page {
    let mut page = Page::default();
    page.heading(1, format!("Plan: {}", answer.requirement));
    summary(&mut page, answer);
    ranking(&mut page, answer, extent);
    for machine in answer.ranked.iter().take(extent.details) {
        configuration(&mut page, answer, machine, extent);
    }
    rejections(&mut page, answer, extent);
    prices(&mut page, answer, extent);
    page
}

pub(crate) fn ranking(page: &mut Page, answer: &PlanAnswer, extent: Extent) {
    if answer.ranked.is_empty() {
        return;
    }
    page.heading(2, "Ranking");
    let mut table = Table::new(&[
        ">#",
        "machine",
        ">price",
        ">memory GiB",
        "main model",
        ">main tok/s",
        ">others tok/s",
        "noise",
        ">score",
        "front",
    ]);
    for one in answer.ranked.iter().take(extent.rows) {
        let main = &one.roles[0];
        let others: Vec<String> = one.roles[1..].iter().map(running_speed).collect();
        table.row([
            one.rank.to_string().into(),
            Text::from(one.name.clone()),
            money(one.cost).into(),
            format!("{:.0}", one.memory_bytes.to_gib()).into(),
            format!("{} {}", main.model, main.format).into(),
            running_speed(main).into(),
            others.join(" / ").into(),
            noise(one.noise).into(),
            format!("{:.1}", one.score).into(),
            if one.on_pareto_front { "*" } else { "" }.into(),
        ]);
    }
    page.table(table);
    let others: Vec<&str> = answer.roles.iter().skip(1).map(|role| role.name.as_str()).collect();
    let mut remarks = vec![
        simulated(answer),
        format!(
            "Front: * marks machines that no other beats in price, main speed, main quality and \
             memory at once. Others: {}.",
            others.join(" / ")
        ),
    ];
    let more = answer.ranked.len().saturating_sub(extent.rows);
    if more > 0 {
        remarks.push(format!("{more} more: `localrig plan --all`"));
    }
    page.list(remarks.into_iter().map(Text::from).collect());
}

/// A speed under the workload; `~` when it comes from means.
fn running_speed(role: &ServedRole) -> String {
    let sign = if role.simulated.is_some() { "" } else { "~" };
    format!("{sign}{}", tokens_per_second(role.per_stream_tok_per_s.value))
}

/// A speed under the workload with its interval; `~` when it comes from means.
pub(crate) fn under_load(role: &ServedRole) -> String {
    let sign = if role.simulated.is_some() { "" } else { "~" };
    format!("{sign}{}", speed(&role.per_stream_tok_per_s))
}

/// What the speeds are and where they come from.
pub(crate) fn simulated(answer: &PlanAnswer) -> String {
    let note = &answer.simulation;
    let window = note.window_s.map_or_else(String::new, |window| {
        format!(" of {} minutes", two_digits(window.get() / 60.0))
    });
    format!(
        "Speeds are per stream after the first token while the whole workload runs, the median \
         answer of {} simulated runs{window}, the same for all machines; the roles behave as those \
         of \"{}\". Where ~ stands, the speed comes from means of that workload, not from a \
         simulation.",
        note.replicates, note.habits
    )
}

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

pub(crate) fn correction(one: &Correction) -> Text {
    let verdict = one.verdict.word();
    let said = format!("{} ({}: {}). ", one.claim, verdict, one.places.join("; "));
    let holds = format!("{}. {}. [{}]", one.fact, one.effect, one.sources.join("; "));
    Text::default().strong(said).plain(holds)
}

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
        let cache = if role.kv_type == "f16" {
            String::new()
        } else {
            format!(" with a {} cache", role.kv_type)
        };
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
                 {late} s or later; {:.0} % in time{limit}",
                tokens_per_second(one.slowest_20th_tok_per_s),
                one.in_time_share * 100.0
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
        machine.wall_w.map_or_else(
            || "not recorded".to_owned(),
            |watts| {
                let watts = grouped(watts.get().round() as i64);
                match machine.wall_basis {
                    Some(WallBasis::Measured) => {
                        format!("{watts} W at the wall measured; no limit is recorded")
                    }
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
            label: format!("{}: {} {}", one.roles.join(" + "), one.label, gib_words(total)),
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
    branches.push(Tree::leaf(format!(
        "free {}, of which {} are kept as margin",
        gib_words(group.usable_bytes - group.total_bytes.value),
        gib_words(group.margin_bytes)
    )));
    Tree { label: format!("{}: {} usable", group.devices, gib_words(group.usable_bytes)), branches }
}

/// Parts with their prices.
pub(crate) fn part_table(parts: &[Part]) -> Table {
    table_of(parts, false)
}

pub(crate) fn parts(machine: &RankedMachine, extent: Extent) -> Table {
    table_of(&machine.parts, extent.explain)
}

fn table_of(parts: &[Part], explain: bool) -> Table {
    let mut table = Table::new(&["part", ">price", "seen", "shop", "basis", "where"]);
    for part in parts {
        let name = if part.count == 1 {
            format!("{}: {}", part.role, part.name)
        } else {
            format!("{}: {}x {}", part.role, part.count, part.name)
        };
        let Some(price) = &part.price else {
            let missing = part.no_price.as_ref().map_or_else(String::new, ToString::to_string);
            table.row([
                name.into(),
                "no price".into(),
                "".into(),
                "".into(),
                missing.into(),
                Text::default(),
            ]);
            continue;
        };
        let amount = part.amount.map_or_else(String::new, money);
        let place = price.link.clone().map_or_else(
            || Text::from("no link"),
            |link| Text::default().link(if is_page(&link) { "offer" } else { "shop" }, link),
        );
        let basis = match price.condition {
            localrig_facts::price::Condition::New => price.basis.word().to_owned(),
            other => format!("{}, {}", price.basis.word(), other.word()),
        };
        let basis = match (&price.derivation, explain) {
            (Some(derivation), true) => format!("{basis}: {derivation}"),
            _ => basis,
        };
        table.row([
            name.into(),
            amount.into(),
            price.date.clone().into(),
            price.shop.clone().into(),
            basis.into(),
            place,
        ]);
    }
    table
}

/// Whether an address is of a page and not of a whole site.
fn is_page(link: &str) -> bool {
    let path = link.split("://").nth(1).and_then(|rest| rest.split_once('/'));
    path.is_some_and(|(_, path)| !path.is_empty())
}

/// What else is to be said of a price: where sources disagree, and what was too old to use.
pub(crate) fn price_remark(part: &Part) -> Option<Text> {
    let price = part.price.as_ref()?;
    let mut said = Vec::new();
    if price.basis == PriceBasis::Derived {
        let by = price.shop.as_str();
        said.push(match by.strip_prefix("No ") {
            Some(nobody) => format!("asked {}, no {nobody}", price.asked),
            None => format!("asked {} by {by}", price.asked),
        });
    }
    if price.link.is_none() {
        said.push(format!("reported by \"{}\"", price.source));
    }
    if price.basis != PriceBasis::Regional {
        said.push(format!("{} days old", price.age_days));
    }
    if let Some([low, high]) = price.spread {
        said.push(format!("sources say {} to {}", money(low), money(high)));
    }
    if let Some(stale) = &price.stale_regional {
        said.push(format!("in the region last seen at {} on {}", money(stale.amount), stale.date));
    }
    (!said.is_empty()).then(|| {
        let text = Text::from(format!("{}: {}", part.name, said.join("; ")));
        match &part.search {
            Some(search) => text.plain("; ").link("today's offers", search),
            None => text,
        }
    })
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
            format!("{} tok/s", tokens_per_second(own.per_stream_tok_per_s.value)),
            format!("{} tok/s", tokens_per_second(theirs.per_stream_tok_per_s.value)),
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

pub(crate) fn rejections(page: &mut Page, answer: &PlanAnswer, extent: Extent) {
    if !answer.unpriced.is_empty() {
        page.heading(2, "Not ranked: a price is missing");
        let shown = answer.unpriced.iter().take(extent.rows.max(extent.rejected));
        let mut items: Vec<Text> = shown
            .map(|one| {
                let parts = if one.priced_parts.minor > 0 {
                    format!(" (its other parts: {})", money(one.priced_parts))
                } else {
                    String::new()
                };
                Text::from(format!("{}{parts}: {}", one.name, one.missing.join("; ")))
            })
            .collect();
        let more = answer.unpriced.len().saturating_sub(items.len());
        if more > 0 {
            items.push(Text::from(format!("and {more} more: `localrig plan --all`")));
        }
        page.list(items);
    }
    if answer.rejected.is_empty() {
        return;
    }
    page.heading(2, "Rejected, because");
    for group in &answer.rejected {
        page.heading(3, format!("{} ({})", sentence_case(group.reason), group.machines.len()));
        let everything = extent.rejected >= group.machines.len();
        let apart = group.machines.iter().filter(|one| everything || one.same_as.is_none());
        let (mut items, mut told_of) = (Vec::new(), 0);
        for one in apart.take(extent.rejected) {
            let alike = group
                .machines
                .iter()
                .filter(|other| !everything && other.same_as.as_ref() == Some(&one.key));
            let alike = alike.count();
            told_of += 1 + alike;

            // Over budget it is the cost that decides.
            let told = |cost: &localrig_facts::Money| !one.decided_by.starts_with(&money(*cost));
            let cost = one.cost.filter(told);
            let cost = cost.map_or_else(String::new, |cost| format!(" ({})", money(cost)));
            let alike = match alike {
                0 => String::new(),
                alike => format!("; so are {alike} more with the same accelerators"),
            };
            items.push(Text::from(format!("{}{cost}: {}{alike}", one.name, one.decided_by)));
        }
        let more = group.machines.len().saturating_sub(told_of);
        if more > 0 {
            items.push(Text::from(format!("and {more} more: `localrig plan --all`")));
        }
        page.list(items);
    }
}

fn prices(page: &mut Page, answer: &PlanAnswer, extent: Extent) {
    if answer.ranked.is_empty() {
        return;
    }
    page.heading(2, "Prices");
    let shown = answer.ranked.iter().take(extent.details.max(1)).flat_map(|one| &one.parts);
    page.paragraph(format!(
        "The machines shown in full use {}. A price is fresh when it was asked in the region within \
         the last 60 days. Otherwise the newest observation anywhere is converted to what it costs \
         landed (net price, freight, VAT, clearance); it says what you would probably pay, not what \
         a shop offers. Look at today's offers before you order.",
        ages(PriceAges::of(shown))
    ));
}

/// One row of the ranking for CSV.
#[derive(Serialize)]
struct Row<'a> {
    rank: usize,
    key: &'a str,
    name: &'a str,
    score: f64,
    on_pareto_front: bool,
    cost: f64,
    cost_low: f64,
    cost_high: f64,
    currency: &'static str,
    memory_gib: f64,
    wall_w: Option<f64>,
    noise: Option<&'static str>,
    main_model: &'a str,
    main_format: &'a str,
    main_engine: &'a str,
    main_tok_per_s: f64,
    main_tok_per_s_low: f64,
    main_tok_per_s_high: f64,
    lines_missed: usize,
    oldest_price_days: i32,
}

/// The ranking as CSV, with units in the header.
///
/// # Errors
/// Never in practice: the rows go to memory.
pub fn csv(answer: &PlanAnswer) -> Result<String, csv::Error> {
    crate::rows(answer.ranked.iter().map(|one| {
        let main = &one.roles[0];
        let speed = main.per_stream_tok_per_s;
        Row {
            rank: one.rank,
            key: &one.key,
            name: &one.name,
            score: one.score,
            on_pareto_front: one.on_pareto_front,
            cost: one.cost.amount(),
            cost_low: one.cost_range[0].amount(),
            cost_high: one.cost_range[1].amount(),
            currency: one.cost.currency.code(),
            memory_gib: one.memory_bytes.to_gib(),
            wall_w: one.wall_w.map(localrig_facts::unit::Watts::get),
            noise: one.noise.map(localrig_facts::noise::NoiseClass::word),
            main_model: &main.model,
            main_format: &main.format,
            main_engine: &main.engine,
            main_tok_per_s: speed.value.get(),
            main_tok_per_s_low: speed.low.get(),
            main_tok_per_s_high: speed.high.get(),
            lines_missed: one.verdict.iter().filter(|line| line.mark == Mark::Miss).count(),
            oldest_price_days: PriceAges::of(one.parts.iter()).oldest_days,
        }
    }))
}
