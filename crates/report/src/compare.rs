//! Machines or models side by side.

use localrig_facts::unit::{Bytes, BytesPerSec};
use localrig_plan::candidate::WallBasis;
use localrig_plan::compare::{
    ComparedMachine, ComparedModel, MachinesCompared, ModelAcross, ModelsCompared, Paired, Several,
};

use crate::number::{billions, count, gib, gib_words, money, noise, speed, two_digits};
use crate::page::{Align, Column, Page, Table, Text};
use crate::svg::{Bar, bars};

const UNKNOWN: &str = "not recorded";

/// A table whose columns are the things compared.
fn side_by_side(names: &[String], rows: Vec<(String, Vec<Text>)>) -> Table {
    let column = |title: String| Column { title, align: Align::Left };
    let mut columns = vec![column(String::new())];
    columns.extend(names.iter().map(|name| column(name.clone())));
    let rows = rows.into_iter().map(|(what, cells)| {
        let mut row = vec![Text::from(what)];
        row.extend(cells);
        row
    });
    Table { columns, rows: rows.collect() }
}

/// The page of machines side by side.
pub fn machines(answer: &MachinesCompared) -> Page {
    let mut page = Page::default();
    let names: Vec<String> = answer.machines.iter().map(|one| one.name.clone()).collect();
    page.heading(1, names.join(" or "));
    page.list(in_short(answer));
    let each = |what: &str, cell: &dyn Fn(usize) -> Text| {
        (what.to_owned(), (0..names.len()).map(cell).collect::<Vec<_>>())
    };
    let one = |index: usize| &answer.machines[index];
    let best = match answer.least_tok_per_s {
        Some(least) => {
            format!("best {} model at {} tok/s or more", answer.task, two_digits(least.get()))
        }
        None => format!("best {} model", answer.task),
    };
    let mut rows = vec![
        each("memory, GiB", &|at| gib(one(at).memory_bytes).into()),
        each(&format!("usable with {}, GiB", answer.usable_with), &|at| {
            one(at).usable_bytes.map_or(UNKNOWN.to_owned(), gib).into()
        }),
        each("bandwidth of one, GB/s", &|at| {
            let said = one(at).bandwidth_bytes_per_s;
            said.map_or(UNKNOWN.to_owned(), |it| format!("{:.0}", BytesPerSec::get(it) / 1e9))
                .into()
        }),
        each("power, W", &|at| {
            let said = one(at).power.as_ref().map(|it| {
                let watts = it.power_w.get();
                match (it.basis, &it.note) {
                    (WallBasis::Alike, Some(note)) => format!("{watts:.0} (assumed: {note})"),
                    (basis, _) => format!("{watts:.0} ({})", basis.words()),
                }
            });
            said.unwrap_or_else(|| UNKNOWN.to_owned()).into()
        }),
        each("noise", &|at| {
            if one(at).is_system { noise(one(at).noise) } else { "depends on the case" }.into()
        }),
        each("price of accelerators or system", &|at| prices(one(at))),
        each(&best, &|at| one(at).best.clone().unwrap_or_else(|| "none fits".to_owned()).into()),
        each("scored models that run", &|at| one(at).runs.to_string().into()),
    ];
    for model in &answer.models {
        rows.push(each(&format!("{}, tok/s", model.model), &|at| match &model.speeds[at] {
            Some(it) => format!("{} ({}, {})", speed(&it.tok_per_s), it.format, it.engine).into(),
            None => "does not fit".into(),
        }));
        if !model.paired.is_empty() {
            rows.push(each("chance to be the faster", &|at| chances(model, &names[at]).into()));
        }
    }
    page.table(side_by_side(&names, rows));
    page.paragraph(format!(
        "tok/s of {} with {} tokens of context half full; 80 % interval in brackets. The chance counts \
         what both predictions may have wrong together only once. Prices as of {}; cards without the machine around them: `localrig plan` prices whole machines.",
        streams(answer.streams),
        count(answer.context_tokens),
        answer.as_of
    ));
    page
}

fn streams(number: u64) -> String {
    if number == 1 { "one stream".to_owned() } else { format!("each of {number} streams") }
}

/// How likely a machine is faster than each other: `97 %`, or `than X: 97 %` when there are several.
fn chances(model: &ModelAcross, name: &str) -> String {
    let said = model.paired.iter().filter_map(|pair| match pair {
        Paired { one, other, one_is_faster } if one == name => Some((other, *one_is_faster)),
        Paired { one, other, one_is_faster } if other == name => Some((one, 1.0 - one_is_faster)),
        _ => None,
    });
    let alone = model.paired.len() == 1;
    let tell = |(other, chance): (&String, f64)| {
        if alone { percent(chance) } else { format!("than {other}: {}", percent(chance)) }
    };
    said.map(tell).collect::<Vec<_>>().join("; ")
}

/// A probability; the ends of the scale are no certainties.
fn percent(chance: f64) -> String {
    match chance * 100.0 {
        high if high > 99.0 => "over 99 %".to_owned(),
        low if low < 1.0 => "under 1 %".to_owned(),
        other => format!("{other:.0} %"),
    }
}

/// Who leads in what.
fn in_short(answer: &MachinesCompared) -> Vec<Text> {
    let lead = |what: &str, best: Option<(usize, String)>| {
        let (at, figure) = best?;
        let name = answer.machines[at].name.clone();
        Some(Text::default().plain(format!("{what}: ")).strong(name).plain(format!(", {figure}")))
    };
    let most = |value: &dyn Fn(usize) -> Option<f64>| {
        let all = (0..answer.machines.len()).filter_map(|at| Some((at, value(at)?)));
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let memory = most(&|at| Some(answer.machines[at].memory_bytes.get()));
    let mut lines: Vec<Option<Text>> =
        vec![lead("Most memory", memory.map(|(at, bytes)| (at, gib_words(Bytes::new(bytes)))))];
    for model in answer.models.iter().take(2) {
        let fastest = most(&|at| Some(model.speeds[at].as_ref()?.tok_per_s.value.get()));
        lines.push(lead(
            &format!("Fastest with {}", model.model),
            fastest.map(|(at, speed)| {
                let name = &answer.machines[at].name;
                let sure = match chances(model, name) {
                    none if none.is_empty() => String::new(),
                    sure if model.paired.len() == 1 => format!("; chance to be the faster: {sure}"),
                    sure => format!("; faster {sure}"),
                };
                (at, format!("{} tok/s{sure}", two_digits(speed)))
            }),
        ));
    }
    let cheapest = most(&|at| answer.machines[at].cost.map(|cost| -cost.amount()));
    let cost = |at: usize| answer.machines[at].cost.map(money).unwrap_or_default();
    lines.push(lead(
        "Lowest price of accelerators or system",
        cheapest.map(|(at, _)| (at, cost(at))),
    ));
    lines.into_iter().flatten().collect()
}

/// The sum, then each price with its basis.
fn prices(machine: &ComparedMachine) -> Text {
    let mut text = Text::default();
    if let Some(cost) = machine.cost {
        text = text.plain(format!("{}: ", money(cost)));
    }
    for (index, Several { count, price }) in machine.prices.iter().enumerate() {
        if index > 0 {
            text = text.plain(" + ");
        }
        let each = match count {
            1 => String::new(),
            several => format!("{several} x {}, ", money(price.amount)),
        };
        text = text.plain(format!(
            "{each}{}, {}, {} ",
            price.condition.word(),
            price.date,
            price.basis.word()
        ));
        if let Some(link) = &price.link {
            text = text.link(price.shop.clone(), link.clone());
        }
    }
    let missing = &machine.no_price;
    if missing.is_empty() { text } else { text.plain(missing.join("; ")) }
}

/// Speeds of machines as a chart.
pub fn machines_svg(answer: &MachinesCompared) -> String {
    let mut all = Vec::new();
    for model in &answer.models {
        for (machine, it) in answer.machines.iter().zip(&model.speeds) {
            let Some(it) = it else { continue };
            all.push(Bar {
                label: format!("{}: {}", machine.name, model.model),
                value: [it.tok_per_s.value, it.tok_per_s.low, it.tok_per_s.high]
                    .map(localrig_facts::unit::TokensPerSec::get),
                figure: speed(&it.tok_per_s),
            });
        }
    }
    let pairs = answer.models.iter().flat_map(|model| {
        model.paired.iter().map(move |pair| {
            format!(
                "{}: {} faster than {} with {}",
                model.model,
                pair.one,
                pair.other,
                percent(pair.one_is_faster)
            )
        })
    });
    let title = format!(
        "Speed of {}, {} tokens of context half full",
        streams(answer.streams),
        count(answer.context_tokens)
    );
    bars(&title, "tok/s, 80 % interval", &all, &pairs.collect::<Vec<_>>())
}

/// The page of models side by side.
pub fn models(answer: &ModelsCompared) -> Page {
    let mut page = Page::default();
    let names: Vec<String> = answer.models.iter().map(|one| one.name.clone()).collect();
    page.heading(1, names.join(" or "));
    let best = answer
        .models
        .iter()
        .filter_map(|one| Some((one, one.quality_index?)))
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let lightest = answer
        .models
        .iter()
        .filter_map(|one| Some((one, one.read_per_token_bytes?)))
        .min_by(|a, b| a.1.get().total_cmp(&b.1.get()));
    let mut short = Vec::new();
    if let Some((one, index)) = best {
        short.push(
            Text::default()
                .plain(format!("Best at {}: ", answer.task))
                .strong(one.name.clone())
                .plain(format!(
                    ", index {:.0} ({:.0} to {:.0})",
                    index.value, index.low, index.high
                )),
        );
    }
    if let Some((one, bytes)) = lightest {
        short.push(
            Text::default().plain("Reads least for a token: ").strong(one.name.clone()).plain(
                format!(
                    ", {:.1} GB; how fast each is on a machine, `localrig estimate` says",
                    bytes.get() / 1e9
                ),
            ),
        );
    }
    page.list(short);
    let each = |what: &str, cell: &dyn Fn(&ComparedModel) -> String| {
        (what.to_owned(), answer.models.iter().map(|one| cell(one).into()).collect::<Vec<Text>>())
    };
    let bytes = |value: Option<Bytes>| value.map_or(UNKNOWN.to_owned(), gib);
    page.table(side_by_side(
        &names,
        vec![
            each("parameters", &|one| billions(one.parameters)),
            each("active per token", &|one| {
                one.active_parameters.map_or(UNKNOWN.to_owned(), billions)
            }),
            each("context, tokens", &|one| count(one.context_tokens)),
            each("images", &|one| if one.images { "yes" } else { "no" }.to_owned()),
            each("usual format", &|one| one.format.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
            each("weights in it, GiB", &|one| bytes(one.weights_bytes)),
            each("read per token, GiB", &|one| bytes(one.read_per_token_bytes)),
            each("KV cache of 32,768 tokens, GiB", &|one| bytes(one.kv_32k_bytes)),
            each("KV cache of the longest context, GiB", &|one| bytes(one.kv_longest_bytes)),
            each(&format!("index for {}", answer.task), &|one| {
                one.quality_index.map_or("not scored".to_owned(), |it| {
                    format!("{:.0} ({:.0} to {:.0})", it.value, it.low, it.high)
                })
            }),
            each("released", &|one| one.released.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
            each("licence", &|one| one.licence.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
        ],
    ));
    page
}

/// Sizes of models as a chart.
pub fn models_svg(answer: &ModelsCompared) -> String {
    let bar = |one: &ComparedModel| {
        let size = one.weights_bytes?.to_gib();
        Some(Bar { label: one.name.clone(), value: [size; 3], figure: format!("{size:.1}") })
    };
    let all: Vec<Bar> = answer.models.iter().filter_map(bar).collect();
    bars("Weights in the usual format", "GiB", &all, &[])
}

/// A side-by-side page's table as CSV.
///
/// # Errors
/// When a row cannot be written.
pub fn csv(page: &Page) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for block in &page.blocks {
        if let crate::page::Block::Table(table) = block {
            writer.write_record(table.columns.iter().map(|column| column.title.as_str()))?;
            for row in &table.rows {
                writer.write_record(row.iter().map(Text::bare))?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
