//! Charts of the repository, and the tables that say the same in figures.

use localrig_estimate::speed::DecodeSpeed;
use localrig_facts::unit::TokensPerSec;
use localrig_facts::{Date, Estimate, Money};
use localrig_plan::answer::{Load, MemoryGroup, RankedMachine};
use localrig_plan::curve::{Curves, STREAM_DEPTH};
use localrig_plan::detail::NamedTrend;
use localrig_plan::ownership::Spent;

use super::{Answers, Chart};
use crate::build::per_kwh;
use crate::number::{count, money, speed, tokens_per_second};
use crate::page::{Page, Table, Text};
use crate::svg::{
    Bar, Curve, Part, Point, Scale, Shape, Stack, Titles, bars, curves, scatter, stacks,
};

/// More curves than this cannot be told apart.
const CURVES: usize = 6;
/// Configurations in charts of bars.
const BARS: usize = 8;

/// Machines to be drawn together, below a folder.
#[derive(Clone, Debug)]
pub(super) struct Figures<'a> {
    /// Folder of the charts, empty or with `/` at its end.
    pub(super) folder: String,
    /// The machines, best first.
    pub(super) machines: Vec<&'a RankedMachine>,
}

/// Points of a curve: along, and up with the ends of the interval.
type Points = Vec<(f64, [f64; 3])>;

const fn figures(it: &Estimate<TokensPerSec>) -> [f64; 3] {
    [it.value.get(), it.low.get(), it.high.get()]
}

fn label(machine: &RankedMachine) -> String {
    format!("#{} {}", machine.rank, machine.name)
}

/// Places in the ranking that are named in the chart of prices and speeds, on the front or not.
const NAMED: usize = 5;

/// Price against speed of every ranked machine, with the front of those that nothing beats in both.
pub(super) fn price_speed(answers: Answers<'_>) -> Chart {
    let point = |one: &RankedMachine| {
        let it = &one.roles[0].per_stream_tok_per_s;
        let on_front =
            answers.details.get(&one.key).is_some_and(|detail| detail.on_price_speed_front);
        Point {
            label: format!(
                "{}, {} tok/s: {}",
                money(one.cost),
                tokens_per_second(it.value),
                one.name
            ),
            mark: (on_front || one.rank <= NAMED).then(|| one.rank.to_string()),
            on_front,
            x: one.cost.amount(),
            y: figures(it),
        }
    };
    let points: Vec<Point> = answers.plan.ranked.iter().map(point).collect();
    let titles = Titles {
        chart: "Price against speed of the main agent",
        x: &format!(
            "price, {}; the line is the Pareto front of price and speed",
            answers.requirement.budget.currency.code()
        ),
        y: "tok/s, everything running, 80 % interval",
    };
    Chart { path: "chart/price-speed.svg".to_owned(), svg: scatter(titles, &points) }
}

/// What fills the memory of the best machines.
pub(super) fn memory(answers: Answers<'_>) -> Chart {
    let roles: Vec<&str> = answers.plan.roles.iter().map(|role| role.name.as_str()).collect();
    let groups = answers
        .plan
        .ranked
        .iter()
        .take(BARS)
        .flat_map(|one| one.memory.iter().map(move |group| (one, group)));
    let all: Vec<Stack> =
        groups.map(|(machine, group)| memory_stack(&roles, machine, group)).collect();
    Chart {
        path: "chart/memory.svg".to_owned(),
        svg: stacks("What fills the memory", "GiB; the line marks what may be used", &all),
    }
}

/// A model that serves several roles counts for the first of them.
fn memory_stack(roles: &[&str], machine: &RankedMachine, group: &MemoryGroup) -> Stack {
    let mut parts = Vec::new();
    let colour = |load: &Load| {
        let first = load.roles.first();
        roles.iter().position(|role| first.is_some_and(|one| one == role)).unwrap_or(0)
    };
    for load in &group.loads {
        let role = load.roles.first().map_or("", String::as_str);
        let part = |name: String, size: f64, pale| Part { name, size, colour: colour(load), pale };
        parts.push(part(format!("{role}: weights"), load.weights_bytes.to_gib(), false));
        parts.push(part(format!("{role}: contexts"), load.context_bytes.to_gib(), true));
    }
    let buffers = group.loads.iter().map(|load| load.overhead_bytes.value.to_gib()).sum();
    parts.push(Part { name: "buffers".to_owned(), size: buffers, colour: 5, pale: false });
    Stack {
        label: format!("#{} {}", machine.rank, group.devices),
        parts,
        limit: Some(group.usable_bytes.to_gib()),
        range: None,
        figure: format!(
            "{:.0} of {:.0}",
            group.total_bytes.value.to_gib(),
            group.usable_bytes.to_gib()
        ),
    }
}

impl<'a> Figures<'a> {
    fn chart(&self, file: &str, svg: String) -> Chart {
        Chart { path: format!("{}{file}", self.folder), svg }
    }

    /// Speed of the main agent, with everything running.
    pub(super) fn speed(&self) -> Chart {
        let bar = |one: &&RankedMachine| {
            let it = &one.roles[0].per_stream_tok_per_s;
            Bar {
                label: format!(
                    "#{} {} {}: {}",
                    one.rank, one.roles[0].model, one.roles[0].format, one.name
                ),
                value: figures(it),
                figure: speed(it),
            }
        };
        let list: Vec<Bar> = self.machines.iter().take(BARS).map(bar).collect();
        let unit = "tok/s, everything running, 80 % interval";
        self.chart("speed.svg", bars("Speed of the main agent", unit, &list, &[]))
    }

    /// The machines whose speed curves are known, as many as can be told apart.
    fn curved(&self, answers: Answers<'a>) -> Vec<(&'a RankedMachine, &'a Curves)> {
        let known =
            |one: &&'a RankedMachine| Some((*one, answers.details.get(&one.key)?.curves.as_ref()?));
        self.machines.iter().filter_map(known).take(CURVES).collect()
    }

    /// Speed by depth, and by streams: each alone, and in sum.
    pub(super) fn speed_curves(&self, answers: Answers<'a>) -> Vec<Chart> {
        let all = self.curved(answers);
        let curve = |of: &dyn Fn(&Curves) -> Points| -> Vec<Curve> {
            let one = |(machine, curves): &(&RankedMachine, &Curves)| Curve {
                label: format!("#{} {}: {}", machine.rank, curves.label, machine.name),
                points: of(curves),
            };
            all.iter().map(one).collect()
        };
        let streams = |of: fn(&DecodeSpeed, u64) -> [f64; 3]| {
            curve(&move |one: &Curves| {
                one.streams
                    .iter()
                    .zip(0_u32..)
                    .map(|(it, power)| (f64::from(1_u32 << power), of(it, 1 << power)))
                    .collect()
            })
        };
        let depth = curve(&|one| {
            let point =
                |it: &DecodeSpeed| (it.depth_tokens as f64, figures(&it.per_stream_tok_per_s));
            one.depth.iter().map(point).collect()
        });
        let x = format!("streams of {} tokens each, as many as fit", count(STREAM_DEPTH));
        let titles = |chart, x, y| Titles { chart, x, y };
        vec![
            self.chart(
                "depth.svg",
                curves(
                    titles(
                        "Speed by depth of the context",
                        "tokens in the context (K = 1,024)",
                        "tok/s, one stream and nothing else, 80 % interval",
                    ),
                    Scale::Tokens,
                    Shape::Band,
                    &depth,
                ),
            ),
            self.chart(
                "streams.svg",
                curves(
                    titles(
                        "Speed of each stream by their number",
                        &x,
                        "tok/s of each stream, 80 % interval",
                    ),
                    Scale::Doubling,
                    Shape::Band,
                    &streams(|it, _| figures(&it.per_stream_tok_per_s)),
                ),
            ),
            self.chart(
                "total.svg",
                curves(
                    titles(
                        "Speed of all streams together by their number",
                        &x,
                        "tok/s of all streams, 80 % interval",
                    ),
                    Scale::Doubling,
                    Shape::Band,
                    &streams(|it, _| figures(&it.total_tok_per_s)),
                ),
            ),
        ]
    }

    /// The machines whose costs are known.
    fn owned(&self, answers: Answers<'a>) -> Vec<(&'a RankedMachine, Spent)> {
        let known = |one: &&'a RankedMachine| {
            Some((*one, answers.details.get(&one.key)?.ownership.over_years?))
        };
        self.machines.iter().filter_map(known).take(BARS).collect()
    }

    /// What the machines cost to own; none when the power of none is recorded.
    pub(super) fn cost(&self, answers: Answers<'a>) -> Option<Chart> {
        let stack = |(machine, spent): (&RankedMachine, Spent)| {
            let part = |name: &str, size: f64, colour| Part {
                name: name.to_owned(),
                size,
                colour,
                pale: false,
            };
            Stack {
                label: label(machine),
                parts: vec![
                    part("price less resale", spent.loss_of_value[1].amount(), 0),
                    part("electricity under load", spent.electricity[1].amount(), 1),
                ],
                limit: None,
                range: Some([spent.total[0].amount(), spent.total[2].amount()]),
                figure: money(spent.total[1]),
            }
        };
        let all: Vec<Stack> = self.owned(answers).into_iter().map(stack).collect();
        if all.is_empty() {
            return None;
        }
        let title = format!("Cost over {} years", years(answers));
        let unit = format!(
            "{}; the range is from little use and good resale to much use and bad",
            answers.requirement.budget.currency.code()
        );
        Some(self.chart("cost.svg", stacks(&title, &unit, &all)))
    }

    /// Prices over time of the machines' main parts, each once.
    fn trends(&self, answers: Answers<'a>) -> Vec<&'a NamedTrend> {
        let mut all: Vec<&NamedTrend> = Vec::new();
        for detail in self.machines.iter().filter_map(|one| answers.details.get(&one.key)) {
            for one in &detail.trends {
                if !all.contains(&one) && all.len() < CURVES {
                    all.push(one);
                }
            }
        }
        all
    }

    /// Prices over time; none when nothing was seen.
    pub(super) fn price_history(&self, answers: Answers<'a>) -> Option<Chart> {
        let all = self.trends(answers);
        let start: Date = all.iter().flat_map(|one| &one.trend.points).map(|one| one.date).min()?;
        let curve = |one: &&NamedTrend| Curve {
            label: trend_name(one),
            points: one
                .trend
                .points
                .iter()
                .map(|point| (f64::from(point.date.days_since(start)), [point.amount.amount(); 3]))
                .collect(),
        };
        let titles = Titles {
            chart: "What accelerators and machines cost",
            x: "each dot a day on which a price was seen",
            y: &format!("{}, landed with tax", answers.requirement.budget.currency.code()),
        };
        let list: Vec<Curve> = all.iter().map(curve).collect();
        Some(
            self.chart(
                "price-history.svg",
                curves(titles, Scale::Days(start), Shape::Steps, &list),
            ),
        )
    }
}

fn trend_name(one: &NamedTrend) -> String {
    if one.used { format!("{} (used)", one.name) } else { one.name.clone() }
}

fn years(answers: Answers<'_>) -> String {
    let kept = answers.details.values().next().map_or(0.0, |one| one.ownership.years);
    format!("{kept}")
}

/// Machines in the table of costs.
const COSTS: usize = 12;

/// The cost of owning, in figures.
pub(super) fn costs(page: &mut Page, answers: Answers<'_>, figures: &Figures<'_>) {
    let shown: Vec<&RankedMachine> = figures.machines.iter().copied().take(COSTS).collect();
    let Some(assumed) = shown.first().and_then(|one| answers.details.get(&one.key)) else {
        return;
    };
    page.heading(2, format!("Cost over {} years", years(answers)));
    if !figures.owned(answers).is_empty() {
        page.picture("cost over the years a machine is kept", picture(figures, "cost.svg"));
    }
    let mut table = Table::new(&[
        ">#",
        "machine",
        ">price",
        ">price less resale",
        ">electricity",
        ">together",
        ">from",
        ">to",
    ]);
    let mut lacking = 0;
    for machine in shown {
        let own = answers.details.get(&machine.key).map(|one| &one.ownership);
        let loss = own.and_then(|own| own.loss_of_value);
        let spent = own.and_then(|own| own.over_years);
        lacking += usize::from(spent.is_none());
        let or_unknown =
            |amount: Option<Money>| amount.map_or_else(|| "not known".to_owned(), money);
        let total = |case: usize| or_unknown(spent.map(|spent| spent.total[case]));
        table.row([
            machine.rank.to_string().into(),
            machine.name.clone().into(),
            money(machine.cost).into(),
            or_unknown(loss.map(|loss| loss[1])).into(),
            spent
                .map_or_else(
                    || "power not recorded".to_owned(),
                    |spent| money(spent.electricity[1]),
                )
                .into(),
            total(1).into(),
            total(0).into(),
            total(2).into(),
        ]);
    }
    page.table(table);
    if lacking > 0 {
        page.paragraph(format!(
            "Nobody recorded what {} under load: to the price less resale comes an electricity \
             bill of unknown size, and the chart leaves {} out.",
            if lacking == 1 {
                "one of these machines draws"
            } else {
                "some of these machines draw"
            },
            if lacking == 1 { "it" } else { "them" }
        ));
    }
    let own = &assumed.ownership;
    let bare = |one: &String| one.split(" (assumed").next().unwrap_or(one).to_owned();
    let said = own.assumptions.iter().take(2).map(bare).collect::<Vec<_>>().join("; ");
    page.paragraph(format!(
        "Assumed, not measured: {said}. Electricity: {} per kWh ({}).",
        per_kwh(own),
        own.kwh_basis
    ));
}

/// What a document of the same folder, or the root, calls a chart.
fn picture(figures: &Figures<'_>, file: &str) -> String {
    if figures.folder.starts_with("chart") { format!("chart/{file}") } else { file.to_owned() }
}

/// Depth and concurrency, in figures.
pub(super) fn growth(page: &mut Page, answers: Answers<'_>, figures: &Figures<'_>) {
    let all = figures.curved(answers);
    if all.is_empty() {
        return;
    }
    page.heading(2, "Speed by depth");
    page.picture("speed by depth of the context", picture(figures, "depth.svg"));
    // Contexts may end at different depths: the longest row of depths has them all.
    let depths = all.iter().map(|(_, one)| &one.depth).max_by_key(|one| one.len());
    // The picture has the small ones, which hardly differ.
    let depths = depths.into_iter().flatten().map(|one| one.depth_tokens);
    let depths: Vec<u64> = depths.filter(|depth| *depth == 0 || *depth >= 8_192).collect();
    let mut titles = vec!["machine".to_owned(), "model".to_owned()];
    titles.extend(depths.iter().map(|depth| format!(">{}", count(*depth))));
    page.table(by_machine(&titles, &all, |curves| {
        let at = |depth: &u64| curves.depth.iter().find(|one| one.depth_tokens == *depth);
        depths.iter().map(|depth| at(depth).map(|one| &one.per_stream_tok_per_s)).collect()
    }));
    page.paragraph("tok/s of one stream with that many tokens in its context and nothing else running; 80 % interval in brackets; – where it does not fit.");
    page.heading(2, "Speed by number of streams");
    page.picture("speed of each stream by their number", picture(figures, "streams.svg"));
    page.picture("speed of all streams by their number", picture(figures, "total.svg"));
    let longest = all.iter().map(|(_, one)| one.streams.len()).max().unwrap_or(0);
    let mut titles = vec!["machine".to_owned(), "model".to_owned()];
    titles.extend((0..longest).map(|power| format!(">{}", 1_u32 << power)));
    page.table(by_machine(&titles, &all, |curves| {
        (0..longest).map(|at| curves.streams.get(at).map(|one| &one.total_tok_per_s)).collect()
    }));
    page.paragraph(format!(
        "tok/s of all streams together, each {} tokens deep, with nothing else loaded; 80 % interval in brackets; – where so many do not fit.",
        count(STREAM_DEPTH)
    ));
}

fn by_machine<'a>(
    titles: &[String],
    all: &[(&RankedMachine, &'a Curves)],
    cells: impl Fn(&'a Curves) -> Vec<Option<&'a Estimate<TokensPerSec>>>,
) -> Table {
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut table = Table::new(&titles);
    for (machine, curves) in all {
        let mut row: Vec<Text> = vec![label(machine).into(), curves.label.clone().into()];
        row.extend(
            cells(curves).into_iter().map(|it| it.map_or_else(|| "–".to_owned(), speed).into()),
        );
        table.rows.push(row);
    }
    table
}

/// Price history, in figures.
pub(super) fn price_history(page: &mut Page, answers: Answers<'_>, figures: &Figures<'_>) {
    let all = figures.trends(answers);
    if all.is_empty() {
        return;
    }
    page.heading(2, "Price history");
    page.picture("prices over time", picture(figures, "price-history.svg"));
    let mut table =
        Table::new(&["item", ">first", "counted from", ">lowest", ">highest", ">last", "seen"]);
    for one in all {
        let points = &one.trend.points;
        let ends = points.first().zip(points.last());
        let Some((first, last)) = ends else { continue };
        let lowest = points.iter().map(|it| it.amount).min_by_key(|it| it.minor);
        let highest = points.iter().map(|it| it.amount).max_by_key(|it| it.minor);
        table.row([
            trend_name(one).into(),
            money(first.amount).into(),
            first.date.to_string().into(),
            lowest.map_or_else(String::new, money).into(),
            highest.map_or_else(String::new, money).into(),
            money(last.amount).into(),
            one.trend.seen.clone().into(),
        ]);
    }
    page.table(table);
    page.paragraph("Prices as they would have been counted on each day: the region's own offer, else landed from abroad with freight and tax. A price whose source names only a month or a year counts from the day it was certainly known.");
}
