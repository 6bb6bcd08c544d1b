//! Memory and speed of one model on one machine.

use localrig_estimate::answer::{Answer, Speed};
use localrig_estimate::memory::{Memory, Verdict};
use localrig_estimate::term::Term;
use serde::Serialize;

use crate::number::{count, gib, speed, two_digits};
use crate::page::{Page, Table, Text};

/// The page of an estimate; with `explain`, the derivation of every figure.
pub fn page(answer: &Answer, explain: bool) -> Page {
    let asked = &answer.asked;
    let mut page = Page::default();
    page.heading(1, format!("{} on {}", asked.model_name, asked.machine));
    page.paragraph(format!(
        "{} format, {} with {}, {} of {} tokens, KV cache in {}.",
        asked.format,
        asked.engine,
        asked.stack,
        if asked.streams == 1 {
            "1 stream".to_owned()
        } else {
            format!("{} streams", asked.streams)
        },
        count(asked.context_tokens),
        asked.kv_type
    ));
    page.list(summary(answer));
    page.heading(2, "Memory");
    page.table(memory(&answer.memory));
    let fits = answer.memory.verdict != Verdict::No;
    if let Some(speed) = answer.speed.as_ref().filter(|_| fits) {
        page.heading(2, "Speed");
        decode(&mut page, speed, asked.streams);
        page.paragraph(format!("Based on {}.", speed.grounds));
    }
    if !answer.missing.is_empty() {
        page.heading(2, "Missing");
        page.list(answer.missing.iter().map(|one| Text::from(one.clone())).collect());
    }
    if explain {
        page.heading(2, "How the memory is computed");
        page.table(terms(&answer.memory.terms));
        if fits {
            page.heading(2, "How the speed is computed");
            page.table(terms(&answer.speed_terms));
        }
    }
    page
}

fn summary(answer: &Answer) -> Vec<Text> {
    let memory = &answer.memory;
    let total = memory.total_bytes;
    let (word, rest) = match memory.verdict {
        Verdict::Fits => ("Fits", "with the margin to spare"),
        Verdict::Tight => ("Tight", "inside the margin: it may or may not load"),
        Verdict::No => ("Does not fit", "more than there is"),
    };
    let mut said = vec![Text::default().strong(word).plain(format!(
        ": {} of {} GiB usable ({} to {}), {rest}",
        gib(total.value),
        gib(memory.usable_bytes),
        gib(total.low),
        gib(total.high)
    ))];
    said.push(Text::from(match memory.largest_context_tokens {
        Some(largest) => format!(
            "Largest context that fits{}: {} tokens; streams of {} tokens that fit: {}",
            match answer.asked.streams {
                1 => String::new(),
                streams => format!(" for each of {streams} streams"),
            },
            count(largest),
            count(answer.asked.context_tokens),
            memory.streams_that_fit
        ),
        None => "No context fits".to_owned(),
    }));
    if memory.verdict == Verdict::No {
        said.push("No speed: it cannot be loaded like this".into());
    } else if let Some(speed) = &answer.speed
        && let (Some(empty), Some(full)) = (speed.decode.first(), speed.decode.last())
    {
        said.push(
            Text::default()
                .strong(format!("{} tok/s", two_digits(empty.per_stream_tok_per_s.value.get())))
                .plain(format!(
                    " with an empty context, {} with a full one",
                    two_digits(full.per_stream_tok_per_s.value.get())
                )),
        );
    }
    said
}

fn memory(memory: &Memory) -> Table {
    let mut table = Table::new(&["memory", ">GiB", ">from", ">to", "basis"]);
    let mut exact = |name: &str, bytes: localrig_facts::unit::Bytes| {
        table.row([
            name.into(),
            gib_fine(bytes).into(),
            Text::default(),
            Text::default(),
            "exact".into(),
        ]);
    };
    exact("weights", memory.weights_bytes);
    if memory.weights_bytes != memory.device_weights_bytes {
        exact("of these on the accelerator", memory.device_weights_bytes);
    }
    exact("KV cache", memory.kv_cache_bytes);
    if memory.recurrent_state_bytes.get() > 0.0 {
        exact("recurrent state", memory.recurrent_state_bytes);
    }
    let rough = [
        ("compute buffers", Some(memory.graph_bytes)),
        ("runtime", Some(memory.runtime_bytes)),
        ("vision tower", memory.vision_bytes),
        ("together", Some(memory.total_bytes)),
    ];
    for (name, one) in rough {
        let Some(one) = one else { continue };
        table.row([
            name.into(),
            gib_fine(one.value).into(),
            gib_fine(one.low).into(),
            gib_fine(one.high).into(),
            one.basis.word().into(),
        ]);
    }
    let mut plain = |name: &str, bytes: localrig_facts::unit::Bytes| {
        table.row([
            name.into(),
            gib_fine(bytes).into(),
            Text::default(),
            Text::default(),
            Text::default(),
        ]);
    };
    plain("usable on the machine", memory.usable_bytes);
    plain("of that kept free", memory.margin_bytes);
    table
}

fn gib_fine(bytes: localrig_facts::unit::Bytes) -> String {
    format!("{:.2}", bytes.to_gib())
}

fn decode(page: &mut Page, speeds: &Speed, streams: u64) {
    let mut table = if streams == 1 {
        Table::new(&[">context so far", ">tok/s", "basis"])
    } else {
        Table::new(&[">context so far", ">tok/s per stream", ">tok/s together", "basis"])
    };
    for one in &speeds.decode {
        let mut cells: Vec<Text> =
            vec![count(one.depth_tokens).into(), speed(&one.per_stream_tok_per_s).into()];
        if streams > 1 {
            cells.push(speed(&one.total_tok_per_s).into());
        }
        cells.push(one.per_stream_tok_per_s.basis.word().into());
        table.rows.push(cells);
    }
    page.table(table);
    let mut table = Table::new(&[">prompt tokens", ">after", ">tok/s", ">first token after s"]);
    for one in &speeds.prefill {
        let ttft = one.ttft_s;
        table.row([
            count(one.prompt_tokens).into(),
            count(one.depth_tokens).into(),
            speed(&one.tok_per_s).into(),
            format!(
                "{} ({} to {})",
                two_digits(ttft.value.get()),
                two_digits(ttft.low.get()),
                two_digits(ttft.high.get())
            )
            .into(),
        ]);
    }
    page.table(table);
}

fn terms(terms: &[Term]) -> Table {
    let mut table = Table::new(&["term", "value", "basis", "formula", "facts"]);
    for term in terms {
        table.row([
            term.name.clone().into(),
            term.value.clone().into(),
            term.basis.word().into(),
            term.formula.clone().into(),
            term.facts.join(" ").into(),
        ]);
    }
    table
}

/// One depth of an estimate for CSV.
#[derive(Serialize)]
struct Row<'a> {
    model: &'a str,
    machine: &'a str,
    engine: &'a str,
    format: &'a str,
    kv_type: &'a str,
    context_tokens: u64,
    streams: u64,
    verdict: &'a str,
    weights_bytes: f64,
    kv_cache_bytes: f64,
    total_bytes: f64,
    usable_bytes: f64,
    depth_tokens: Option<u64>,
    tok_per_s: Option<f64>,
    tok_per_s_low: Option<f64>,
    tok_per_s_high: Option<f64>,
    basis: Option<&'static str>,
}

/// The estimate as CSV: one row per depth, or a single one when there is no speed.
///
/// # Errors
/// Never in practice: the rows go to memory.
pub fn csv(answer: &Answer) -> Result<String, csv::Error> {
    let (asked, memory) = (&answer.asked, &answer.memory);
    let row = |decode: Option<&localrig_estimate::speed::DecodeSpeed>| {
        let speed = decode.map(|one| one.per_stream_tok_per_s);
        Row {
            model: &asked.model,
            machine: &asked.machine,
            engine: &asked.engine,
            format: &asked.format,
            kv_type: asked.kv_type,
            context_tokens: asked.context_tokens,
            streams: asked.streams,
            verdict: memory.verdict.words(),
            weights_bytes: memory.weights_bytes.get(),
            kv_cache_bytes: memory.kv_cache_bytes.get(),
            total_bytes: memory.total_bytes.value.get(),
            usable_bytes: memory.usable_bytes.get(),
            depth_tokens: decode.map(|one| one.depth_tokens),
            tok_per_s: speed.map(|one| one.value.get()),
            tok_per_s_low: speed.map(|one| one.low.get()),
            tok_per_s_high: speed.map(|one| one.high.get()),
            basis: speed.map(|one| one.basis.word()),
        }
    };
    match &answer.speed {
        Some(speed) => crate::rows(speed.decode.iter().map(|one| row(Some(one)))),
        None => crate::rows(std::iter::once(row(None))),
    }
}
