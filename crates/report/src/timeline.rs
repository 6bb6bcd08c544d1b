//! A picture of a run: what every engine and every stream did, over time.

use std::fmt::Write as _;

use localrig_facts::unit::Seconds;
use localrig_simulate::record::Record;
use localrig_simulate::time::Nanos;

/// Pixels of the picture.
const WIDTH: f64 = 1_200.0;
const LEFT: f64 = 230.0;
const ROW: f64 = 22.0;
const BAR: f64 = 16.0;
const TOP: f64 = 34.0;

/// The first `span` of a record as an SVG picture: a row for each engine, in which steps that read
/// prompts and steps that only generate are told apart, and one for each stream, in which waiting
/// for the first token and generating are.
pub fn timeline(record: &Record, span: Seconds, servers: &[String], roles: &[String]) -> String {
    let begin = record.begin();
    let end = (begin + Nanos::of(span)).min(record.end().max(begin + Nanos::new(1)));
    let length = end.since(begin).get() as f64;
    let x = |at: Nanos| LEFT + (WIDTH - LEFT - 10.0) * at.since(begin).get() as f64 / length;
    let mut streams: Vec<(u32, u32)> =
        record.requests.iter().map(|one| (one.role, one.source)).collect();
    streams.sort_unstable();
    streams.dedup();
    let rows = servers.len() + streams.len();
    let height = TOP + ROW * rows as f64 + 24.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What engines and streams did over time\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<style>.p{{fill:#c2571a}}.g{{fill:#2a6f97}}.w{{fill:#d9a441}}\
         text{{fill:#222}}line{{stroke:#bbb}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}\
         line{{stroke:#555}}}}</style>\n"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"16\">orange: prompts · blue: generating · yellow: waiting for the first token</text>"
    );
    let top = |row: usize| TOP + ROW * row as f64;
    let mut label = |row: usize, text: &str| {
        let _ =
            writeln!(svg, "<text x=\"10\" y=\"{:.0}\">{}</text>", top(row) + 12.0, escape(text));
    };
    for (row, server) in servers.iter().enumerate() {
        label(row, &shorten(server));
    }
    for (row, (role, source)) in streams.iter().enumerate() {
        let name = roles.get(*role as usize).map_or("", String::as_str);
        label(servers.len() + row, &format!("{name} {source}"));
    }
    let mut bar = |row: usize, class: &str, from: Nanos, to: Nanos, title: &str| {
        let (from, to) = (from.max(begin), to.min(end));
        if from >= to {
            return;
        }
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.0}\" width=\"{:.2}\" height=\"{BAR}\"><title>{title}</title></rect>",
            x(from),
            top(row),
            (x(to) - x(from)).max(0.2),
        );
    };
    for (row, class, from, to, title) in merged(record, end) {
        bar(row, class, from, to, &title);
    }
    for one in &record.requests {
        let place = streams.iter().position(|other| *other == (one.role, one.source));
        let row = servers.len() + place.unwrap_or(0);
        let title = format!(
            "prompt {} tokens ({} cached), answer {}",
            one.prompt_tokens, one.cached_tokens, one.output_tokens
        );
        bar(row, "w", one.arrival, one.first, &title);
        bar(row, "g", one.first, one.last, &title);
    }
    let seconds = end.since(begin).seconds().get();
    for tick in 0..=6 {
        let part = f64::from(tick) / 6.0;
        let at = LEFT + (WIDTH - LEFT - 10.0) * part;
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.0}\"/><text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{:.0} s</text>",
            top(rows),
            top(rows) + 14.0,
            part * seconds,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Steps of a server that follow one another and are of one kind, as one bar.
fn merged(record: &Record, end: Nanos) -> Vec<(usize, &'static str, Nanos, Nanos, String)> {
    /// Shorter breaks are not seen.
    const BREAK: u64 = 2_000_000;
    let mut open: Vec<Option<(&'static str, Nanos, Nanos, u32)>> = Vec::new();
    let mut bars = Vec::new();
    let title = |class: &str, steps: u32| {
        let what = if class == "p" { "with prompts" } else { "generating" };
        format!("{steps} steps {what}")
    };
    for step in record.steps.iter().filter(|step| step.begin < end && step.end < Nanos::MAX) {
        let server = step.server as usize;
        if server >= open.len() {
            open.resize(server + 1, None);
        }
        let class = if step.prompt_tokens > 0 { "p" } else { "g" };
        match &mut open[server] {
            Some((last, _, to, steps)) if *last == class && step.begin.since(*to).get() < BREAK => {
                *to = step.end;
                *steps += 1;
            }
            other => {
                if let Some((last, from, to, steps)) =
                    other.replace((class, step.begin, step.end, 1))
                {
                    bars.push((server, last, from, to, title(last, steps)));
                }
            }
        }
    }
    for (server, one) in open.into_iter().enumerate() {
        if let Some((class, from, to, steps)) = one {
            bars.push((server, class, from, to, title(class, steps)));
        }
    }
    bars
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn shorten(text: &str) -> String {
    const MOST: usize = 34;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}
