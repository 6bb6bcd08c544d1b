//! A history of prices as an SVG: one dot for each price seen, by date, one colour for each region
//! and condition.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use localrig_facts::{Currency, Date};

use crate::number::grouped;
use crate::price::{HistoryAnswer, HistoryRow};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 70.0;

/// Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];

/// The chart; amounts in other currencies than `home` stand where their figures are, and their
/// series says so.
pub fn svg(answer: &HistoryAnswer, home: Currency) -> String {
    let mut out = String::new();
    let title = escape(&format!("Prices seen of {}", answer.name));
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n\
         <style>.ink {{ fill: #222 }} .line {{ stroke: #999 }} \
         @media (prefers-color-scheme: dark) {{ .ink {{ fill: #ddd }} .line {{ stroke: #666 }} }}</style>\n\
         <text class=\"ink\" x=\"{LEFT}\" y=\"20\" font-size=\"15\">{title}</text>\n"
    );
    let (Some(first), Some(last)) =
        (answer.seen.iter().map(|one| one.day).min(), answer.seen.iter().map(|one| one.day).max())
    else {
        let _ = writeln!(out, "<text class=\"ink\" x=\"{LEFT}\" y=\"60\">none yet</text>\n</svg>");
        return out;
    };
    let top = answer
        .seen
        .iter()
        .map(|one| one.amount_high.unwrap_or(one.amount).amount())
        .fold(0.0, f64::max);
    let step = step(top);
    let top = (top / step).ceil() * step;
    let days = f64::from(last.days_since(first).max(1));
    let x = |day: Date| LEFT + f64::from(day.days_since(first)) / days * (WIDTH - LEFT - RIGHT);
    let y = |amount: f64| TOP + (1.0 - amount / top) * (HEIGHT - TOP - BOTTOM);
    let mut tick = 0.0;
    while tick <= top + step / 2.0 {
        let at = y(tick);
        let _ = writeln!(
            out,
            "<line class=\"line\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke-width=\"0.5\"/>\
             <text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            grouped(tick.round() as i64)
        );
        tick += step;
    }
    for (day, anchor) in [(first, "start"), (last, "end")] {
        let _ = writeln!(
            out,
            "<text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{day}</text>",
            x(day),
            HEIGHT - BOTTOM + 18.0
        );
        if first == last {
            break;
        }
    }
    let series: BTreeSet<String> = answer.seen.iter().map(|one| series(one, home)).collect();
    let series: Vec<String> = series.into_iter().collect();
    for one in &answer.seen {
        let at = series.iter().position(|name| *name == self::series(one, home)).unwrap_or(0);
        let colour = COLOURS[at % COLOURS.len()];
        let (cx, low) = (x(one.day), y(one.amount.amount()));
        let label =
            escape(&format!("{}: {} at {} ({})", one.date, one.amount, one.shop, one.condition));
        if let Some(high) = one.amount_high {
            let high = y(high.amount());
            let _ = writeln!(
                out,
                "<line x1=\"{cx:.1}\" x2=\"{cx:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
        }
        let _ = writeln!(
            out,
            "<circle cx=\"{cx:.1}\" cy=\"{low:.1}\" r=\"4\" fill=\"{colour}\"><title>{label}</title></circle>"
        );
    }
    for (at, name) in series.iter().enumerate() {
        let (column, row) = (at % 3, at / 3);
        let (cx, cy) = (LEFT + column as f64 * 225.0, HEIGHT - 30.0 + row as f64 * 16.0);
        let _ = writeln!(
            out,
            "<circle cx=\"{cx:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{}\"/><text class=\"ink\" x=\"{:.1}\" y=\"{cy:.1}\">{}</text>",
            cy - 4.0,
            COLOURS[at % COLOURS.len()],
            cx + 9.0,
            escape(name)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn series(one: &HistoryRow, home: Currency) -> String {
    let currency = one.amount.currency;
    let note = if currency == home { "" } else { ", not converted" };
    format!("{} {}, {currency}{note}", one.region.to_uppercase(), one.condition)
}

/// The distance of grid lines: 1, 2 or 5 times a power of ten, about five of them.
fn step(top: f64) -> f64 {
    let rough = (top / 5.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|one| one * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use localrig_facts::Money;

    use super::*;

    fn row(day: &str, amount: f64, currency: Currency) -> HistoryRow {
        HistoryRow {
            date: day.to_owned(),
            day: day.parse().unwrap(),
            amount: Money::of(amount, currency),
            amount_high: None,
            condition: "new",
            kind: "offer".to_owned(),
            region: "ch".to_owned(),
            variant: None,
            shop: "A & B".to_owned(),
            link: None,
            source: "x".to_owned(),
        }
    }

    #[test]
    fn every_price_is_a_dot_with_its_day_amount_and_shop() {
        let seen =
            vec![row("2026-01-01", 100.0, Currency::Chf), row("2026-03-01", 80.0, Currency::Usd)];
        let answer = HistoryAnswer { name: "X <1>".to_owned(), id: "gpu/x".to_owned(), seen };
        let svg = svg(&answer, Currency::Chf);
        assert_eq!(svg.matches("r=\"4\" fill=\"#").count(), 4, "two dots and two legend entries");
        assert!(svg.contains("<title>2026-01-01: CHF 100 at A &amp; B (new)</title>"), "{svg}");
        assert!(svg.contains("CH new, USD, not converted"), "{svg}");
        assert!(svg.contains("X &lt;1&gt;") && !svg.contains("X <1>"), "{svg}");
    }

    #[test]
    fn grid_lines_stand_at_round_amounts() {
        let said = [8.0, 430.0, 7691.0].map(|top| step(top).to_string());
        assert_eq!(said, ["2", "100", "2000"]);
    }

    #[test]
    fn an_item_never_seen_has_an_empty_chart() {
        let answer = HistoryAnswer { name: "X".to_owned(), id: "x".to_owned(), seen: Vec::new() };
        assert!(svg(&answer, Currency::Chf).contains("none yet"));
    }
}
