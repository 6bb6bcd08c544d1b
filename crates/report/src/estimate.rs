//! Memory and speed of one model on one machine.

use localrig_estimate::answer::{Answer, Speed};
use localrig_estimate::memory::{Limit, Limits, Memory, PlaceMemory, Reserve, Spread, Verdict};
use localrig_estimate::term::Term;
use localrig_facts::unit::Bytes;
use serde::Serialize;

use crate::number::{count, gib, gib_fine, gib_words, gib_words_fine, speed, two_digits};
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
    if let Some(reason) = &asked.format_reason {
        page.paragraph(reason.clone());
    }
    if let Some(spread) = answer.memory.spread.as_ref().filter(|spread| !spread.is_plain()) {
        page.paragraph(dealt(spread));
    }
    page.list(summary(answer));
    page.heading(2, "Memory");
    match answer.memory.spread.as_ref().filter(|spread| !spread.is_plain()) {
        Some(spread) => page.table(places(spread)),
        None => page.table(memory(&answer.memory)),
    }
    if answer.memory.held_twice_bytes > Bytes::ZERO {
        page.paragraph(format!(
            "The model has no output matrix of its own: the engine keeps its embedding matrix ({}) \
             as a table on the host and once more as the output matrix.",
            gib_words_fine(answer.memory.held_twice_bytes)
        ));
    }
    if let Some(pool) = &answer.memory.pool {
        page.table(pooled(pool, asked.context_tokens));
    }
    let fits = answer.memory.verdict != Some(Verdict::No);
    if let Some(speed) = answer.speed.as_ref().filter(|_| fits) {
        page.heading(2, "Speed");
        decode(&mut page, speed, asked.streams);
        page.paragraph(format!("Based on {}.", speed.grounds.trim_start_matches("based on ")));
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
    let verdict = memory.verdict.map(|verdict| match verdict {
        Verdict::Fits if memory.pool.is_some() => ("Fits", "all streams are served at once"),
        Verdict::Tight if memory.pool.is_some() => {
            ("Tight", "not all streams may be served at once")
        }
        Verdict::No if memory.pool.is_some() => {
            ("Does not fit", "not all streams are served at once")
        }
        Verdict::Fits => ("Fits", "with the margin to spare"),
        Verdict::Tight => ("Tight", "inside the margin: it may or may not load"),
        Verdict::No => ("Does not fit", ""),
    });
    let spread = memory.spread.as_ref().filter(|spread| !spread.is_plain());
    let fullest = spread.and_then(fullest);
    // A model that cannot be loaded takes nothing: it needs more than there is.
    let short = verdict.is_some_and(|(_, rest)| rest.is_empty());
    let (what, total, usable) = match fullest {
        Some((place, usable)) => {
            // `0: NVIDIA GeForce RTX 3090` is a heading; in a sentence it is the device of that number.
            let name = match place.name.split_once(": ") {
                Some((number, name)) => format!("device {number} ({name})"),
                None if place.name == "host" => "the host".to_owned(),
                None => place.name.clone(),
            };
            let holds = if short { "would have to hold" } else { "holds" };
            (format!("{name} {holds}"), place.total_bytes, Some(usable))
        }
        None => (if short { "needs" } else { "takes" }.to_owned(), total, memory.usable_bytes),
    };
    let amount = format!("{} ({} to {})", gib_words(total.value), gib(total.low), gib(total.high));
    let mut said = vec![match (verdict, usable.map(gib_words)) {
        (Some((word, _)), Some(usable)) if short => Text::default()
            .strong(word)
            .plain(format!(": {what} {amount}, but only {usable} are usable")),
        (Some((word, rest)), Some(usable)) => Text::default()
            .strong(word)
            .plain(format!(": {what} {amount} of {usable} usable, {rest}")),
        _ => Text::default().strong("Needs").plain(format!(
            ": {amount}; whether they are there is not known (`--host-memory` or `--memory-kit`)",
        )),
    }];
    let is_host = fullest.is_some_and(|(place, _)| place.name == "host");
    if let Some(spread) = spread.filter(|spread| spread.offloaded.is_some() && !is_host) {
        let held = gib_words(spread.host.total_bytes.value);
        said.push(Text::from(match spread.host.usable_bytes {
            Some(usable) => format!("The host holds {held} of {}", gib_words(usable)),
            None => {
                format!("The host must hold {held}; whether it does is not known (`--host-memory`)")
            }
        }));
    }
    if let (Some(limits), Some(spread)) = (&answer.limits, &memory.spread)
        && (memory.verdict != Some(Verdict::Fits) || spread.offloaded.is_some())
    {
        said.extend(ways(limits, spread));
    }
    if let Some(pool) = &memory.pool {
        said.push(Text::from(format!(
            "Requests of {} tokens at once: {} ({} to {}); the pool holds {} tokens{}",
            count(answer.asked.context_tokens),
            pool.requests.value,
            pool.requests.low,
            pool.requests.high,
            count(pool.tokens.value.get() as u64),
            // Windowed layers keep fewer, so more requests fit than the figure suggests.
            if pool.groups > 1 { " in every group of layers" } else { "" },
        )));
    }
    said.extend(memory.streams_that_fit.map(|streams| {
        Text::from(match memory.largest_context_tokens {
            Some(largest) => format!(
                "Largest context that fits{}: {} tokens; streams of {} tokens that fit: {}",
                match answer.asked.streams {
                    1 => String::new(),
                    streams => format!(" for each of {streams} streams"),
                },
                count(largest),
                count(answer.asked.context_tokens),
                match streams {
                    // The search ends here.
                    1024.. => "1,024 or more".to_owned(),
                    streams => streams.to_string(),
                }
            ),
            None => "No context fits".to_owned(),
        })
    }));
    if memory.verdict == Some(Verdict::No) {
        said.push("No speed: it cannot be loaded like this".into());
    } else if let Some(speed) = &answer.speed
        && let (Some(empty), Some(full)) = (speed.decode.first(), speed.decode.last())
    {
        let text = Text::default()
            .strong(format!("{} tok/s", two_digits(empty.per_stream_tok_per_s.value.get())))
            .plain(" with an empty context");
        let text = match answer.asked.streams {
            1 => text,
            streams => text.plain(format!(", each of {streams} streams")),
        };
        let full = two_digits(full.per_stream_tok_per_s.value.get());
        said.push(match speed.decode.len() {
            1 => text,
            _ => text.plain(format!(", {full} with a full one")),
        });
    }
    said
}

/// How layers are dealt out, in words.
fn dealt(spread: &Spread) -> String {
    let several = spread.devices.len() > 1;
    // The engine counts the output matrix as one more layer.
    let mut said = format!(
        "{} of {} layers on devices, the output layer being one of them",
        spread.gpu_layers, spread.layers
    );
    if several {
        said.push_str(&format!(", split mode {}", spread.split_mode.word()));
    }
    if spread.host_expert_layers > 0 {
        said.push_str(&format!(
            ", routed experts of the first {} layers on the host",
            spread.host_expert_layers
        ));
    }
    said.push('.');
    said
}

/// The place with the least to spare.
fn fullest(spread: &Spread) -> Option<(&PlaceMemory, Bytes)> {
    let places = spread.devices.iter().chain([&spread.host]);
    let known = places.filter_map(|place| Some((place, place.usable_bytes?)));
    known.max_by(|a, b| {
        let full = |(place, usable): &(&PlaceMemory, Bytes)| place.total_bytes.value / *usable;
        full(a).total_cmp(&full(b))
    })
}

/// How far offload has to go, where that is not what was asked for.
fn ways(limits: &Limits, spread: &Spread) -> Vec<Text> {
    let say = |what: &str, limit: &Limit| {
        Text::from(format!(
            "{what} that fit: `{}` of {}{}, with {} on the host",
            limit.setting,
            limit.of,
            if limit.counts_output { " (the output layer is one of them)" } else { "" },
            gib_words(limit.host_bytes)
        ))
    };
    let mut said = Vec::new();
    if let Some(limit) = limits.host_expert_layers.as_ref().filter(|limit| limit.layers > 0) {
        said.push(say("Fewest layers with experts on the host", limit));
    }
    let everything = spread.gpu_layers == spread.layers;
    let useful = |limit: &&Limit| limit.layers > 0 && !(everything && limit.layers == limit.of);
    if let Some(limit) = limits.gpu_layers.as_ref().filter(useful) {
        said.push(say("Most layers on devices", limit));
    }
    if limits.host_expert_layers.is_none()
        && limits.gpu_layers.as_ref().is_none_or(|one| one.layers == 0)
    {
        said.push("No offload to the host makes it fit".into());
    }
    said
}

/// What lies where.
fn places(spread: &Spread) -> Table {
    let mut table = Table::new(&[
        "place",
        ">layers",
        ">weights GiB",
        ">context",
        ">compute",
        ">runtime",
        ">together",
        ">usable",
        "fits",
    ]);
    for place in spread.devices.iter().chain([&spread.host]) {
        table.row([
            place.name.clone().into(),
            place.layers.to_string().into(),
            gib_fine(place.weights_bytes).into(),
            gib_fine(place.context_bytes).into(),
            gib_fine(place.graph_bytes.value).into(),
            gib_fine(place.runtime_bytes.value).into(),
            gib_fine(place.total_bytes.value).into(),
            place.usable_bytes.map_or_else(|| "not given".to_owned(), gib_fine).into(),
            place.verdict.map_or("unknown", Verdict::words).into(),
        ]);
    }
    table
}

/// The pool of an engine that takes its share at start.
fn pooled(pool: &Reserve, context: u64) -> Table {
    let each = if pool.devices > 1 { "each device" } else { "the device" };
    let mut table = Table::new(&["pool", ">value", ">from", ">to"]);
    let mut row = |name: String, cells: [String; 3]| {
        let [value, low, high] = cells;
        table.row([name.into(), value.into(), low.into(), high.into()]);
    };
    let gibs =
        |one: &localrig_facts::Estimate<Bytes>| [one.value, one.low, one.high].map(gib_words_fine);
    let exact = |text: String| [text, String::new(), String::new()];
    row(format!("share of {each}"), exact(format!("{}", pool.device_share)));
    row(format!("weights on {each}"), exact(gib_words_fine(pool.device_weights_bytes)));
    row("activations, graphs, runtime".to_owned(), gibs(&pool.beside_bytes));
    row("left for blocks".to_owned(), gibs(&pool.pool_bytes));
    row(
        "tokens in the pool".to_owned(),
        [pool.tokens.value, pool.tokens.low, pool.tokens.high]
            .map(|tokens| count(tokens.get() as u64)),
    );
    row("blocks of a request".to_owned(), exact(count(pool.blocks_per_request)));
    row(
        format!("requests of {} tokens", count(context)),
        [pool.requests.value, pool.requests.low, pool.requests.high].map(count),
    );
    table
}

fn memory(memory: &Memory) -> Table {
    let mut table = Table::new(&["memory", ">GiB", ">from", ">to", "basis"]);
    let mut exact = |name: &str, bytes: Bytes| {
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
        // What takes nothing, or is not known, has no row; the answer names what is missing.
        let Some(one) = one.filter(|one| one.high > Bytes::ZERO) else { continue };
        table.row([
            name.into(),
            gib_fine(one.value).into(),
            gib_fine(one.low).into(),
            gib_fine(one.high).into(),
            one.basis.word().into(),
        ]);
    }
    let mut plain = |name: &str, bytes: Bytes| {
        table.row([
            name.into(),
            gib_fine(bytes).into(),
            Text::default(),
            Text::default(),
            Text::default(),
        ]);
    };
    if let Some(usable) = memory.usable_bytes {
        plain("usable on the machine", usable);
    }
    if let Some(margin) = memory.margin_bytes.filter(|margin| *margin > Bytes::ZERO) {
        plain("of that kept free", margin);
    }
    table
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
    if speeds.prefill.is_empty() {
        return;
    }
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
    usable_bytes: Option<f64>,
    gpu_layers: Option<u32>,
    host_expert_layers: Option<u32>,
    host_bytes: Option<f64>,
    most_gpu_layers: Option<u32>,
    fewest_host_expert_layers: Option<u32>,
    largest_context_tokens: Option<u64>,
    streams_that_fit: Option<u64>,
    pool_tokens: Option<f64>,
    pool_requests: Option<u64>,
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
    let (spread, limits) = (memory.spread.as_ref(), answer.limits.as_ref());
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
            verdict: memory.verdict.map_or("unknown", Verdict::words),
            weights_bytes: memory.weights_bytes.get(),
            kv_cache_bytes: memory.kv_cache_bytes.get(),
            total_bytes: memory.total_bytes.value.get(),
            usable_bytes: memory.usable_bytes.map(Bytes::get),
            gpu_layers: spread.map(|one| one.gpu_layers),
            host_expert_layers: spread.map(|one| one.host_expert_layers),
            host_bytes: spread.map(|one| one.host.total_bytes.value.get()),
            most_gpu_layers: limits.and_then(|one| Some(one.gpu_layers.as_ref()?.layers)),
            fewest_host_expert_layers: limits
                .and_then(|one| Some(one.host_expert_layers.as_ref()?.layers)),
            largest_context_tokens: memory.largest_context_tokens,
            streams_that_fit: memory.streams_that_fit,
            pool_tokens: memory.pool.as_ref().map(|pool| pool.tokens.value.get()),
            pool_requests: memory.pool.as_ref().map(|pool| pool.requests.value),
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
