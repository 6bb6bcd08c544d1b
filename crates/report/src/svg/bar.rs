//! Bars: with intervals, or made of parts.

use super::{
    EDGE, LINE, SERIES, TOP, WIDTH, clipped, document, escaped, legend, short, steps, text, width,
};

/// A bar with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Value and the ends of its interval.
    pub value: [f64; 3],
    /// The figure, ready to print.
    pub figure: String,
}

/// A bar made of parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// What it stands for.
    pub label: String,
    /// Its parts, from the left.
    pub parts: Vec<Part>,
    /// A mark: what may be used.
    pub limit: Option<f64>,
    /// Least and most of the sum.
    pub range: Option<[f64; 2]>,
    /// The sum, ready to print.
    pub figure: String,
}

/// A part of a bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is: parts of the same name have the same colour.
    pub name: String,
    /// How large it is.
    pub size: f64,
    /// Number of its colour, from 0.
    pub colour: usize,
    /// Whether it is drawn paler than another part of the same colour.
    pub pale: bool,
}

/// Height of a bar with its label above it.
const ROW: f64 = 38.0;
const THICK: f64 = 13.0;

/// Where bars end: the figures stand to the right of it.
fn right(figures: impl Iterator<Item = f64>) -> f64 {
    (WIDTH - EDGE - 8.0 - figures.fold(0.0, f64::max)).max(WIDTH / 3.0)
}

/// Ticks below the bars with the unit, and the lines up from them.
fn scale(most: f64, right: f64, bottom: f64, unit: &str) -> (String, String) {
    let at = |value: f64| EDGE + value / most * (right - EDGE);
    let (mut lines, mut labels) = (String::new(), String::new());
    for one in steps(most).into_iter().filter(|one| *one <= most * 1.001) {
        lines.push_str(&format!(
            "<path class=\"g\" d=\"M{0:.1} {TOP:.0}V{bottom:.0}\"/>\n",
            at(one)
        ));
        let anchor = if one == 0.0 { "start" } else { "middle" };
        labels.push_str(&text(at(one), bottom + 14.0, "m", anchor, &short(one)));
    }
    labels.push_str(&text(EDGE, bottom + 14.0 + LINE, "m", "start", unit));
    (lines, labels)
}

/// A line between the ends of an interval, with a stroke at each.
fn whisker([low, high]: [f64; 2], y: f64) -> String {
    let from = y - 4.0;
    format!(
        "<path class=\"k\" d=\"M{low:.1} {y:.1}H{high:.1}M{low:.1} {from:.1}v8M{high:.1} {from:.1}v8\" stroke-width=\"1.5\"/>\n"
    )
}

/// Horizontal bars with intervals, each with its label above and its figure beside it; remarks
/// stand below.
pub fn bars(title: &str, unit: &str, bars: &[Bar], remarks: &[String]) -> String {
    let most = bars.iter().map(|bar| bar.value[2]).fold(1e-9, f64::max);
    let right = right(bars.iter().map(|bar| width(&bar.figure)));
    let at = |value: f64| EDGE + value / most * (right - EDGE);
    let bottom = TOP + ROW * bars.len() as f64;
    let (mut body, labels) = scale(most, right, bottom, unit);
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        let [value, low, high] = bar.value.map(at);
        let middle = y + 18.0 + THICK / 2.0;
        body.push_str(&text(EDGE, y + 13.0, "", "start", &clipped(&bar.label, WIDTH - 2.0 * EDGE)));
        body.push_str(&format!(
            "<rect class=\"s0\" x=\"{EDGE}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{THICK}\"/>\n",
            y + 18.0,
            (value - EDGE).max(0.5),
        ));
        body.push_str(&whisker([low, high], middle));
        body.push_str(&text(high.max(value) + 7.0, middle + 4.5, "", "start", &bar.figure));
    }
    body.push_str(&labels);
    let mut below = bottom + 2.0 * LINE + 8.0;
    for remark in remarks {
        below += LINE;
        body.push_str(&text(EDGE, below - 4.0, "", "start", &clipped(remark, WIDTH - 2.0 * EDGE)));
    }
    document(title, below, &body)
}

/// Bars of parts, each with its label above, its figure beside it, and marks at its limit and the
/// ends of its range.
pub fn stacks(title: &str, unit: &str, stacks: &[Stack]) -> String {
    let reach = |one: &Stack| {
        let sum: f64 = one.parts.iter().map(|part| part.size).sum();
        sum.max(one.limit.unwrap_or(0.0)).max(one.range.map_or(0.0, |range| range[1]))
    };
    let most = stacks.iter().map(reach).fold(1e-9, f64::max);
    let right = right(stacks.iter().map(|one| width(&one.figure)));
    let at = |value: f64| EDGE + value / most * (right - EDGE);
    let mut named: Vec<&Part> = Vec::new();
    for part in stacks.iter().flat_map(|one| &one.parts) {
        if !named.iter().any(|known| known.name == part.name) {
            named.push(part);
        }
    }
    named.sort_by_key(|part| (part.colour, part.pale));
    let class =
        |part: &Part| format!("s{}{}", part.colour % SERIES, if part.pale { " w" } else { "" });
    let bottom = TOP + ROW * stacks.len() as f64;
    let (mut body, labels) = scale(most, right, bottom, unit);
    for (index, one) in stacks.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        body.push_str(&text(EDGE, y + 13.0, "", "start", &clipped(&one.label, WIDTH - 2.0 * EDGE)));
        let mut sum = 0.0;
        for part in &one.parts {
            body.push_str(&format!(
                "<rect class=\"{}\" x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{THICK}\"><title>{}: {}</title></rect>\n",
                class(part),
                at(sum),
                y + 18.0,
                at(sum + part.size) - at(sum),
                escaped(&part.name),
                short(part.size)
            ));
            sum += part.size;
        }
        if let Some(limit) = one.limit {
            body.push_str(&format!(
                "<path class=\"a\" stroke-width=\"2\" d=\"M{:.1} {:.0}v{:.0}\"/>\n",
                at(limit),
                y + 15.0,
                THICK + 6.0
            ));
        }
        let middle = y + 18.0 + THICK / 2.0;
        if let Some(range) = one.range {
            body.push_str(&whisker(range.map(at), middle));
        }
        body.push_str(&text(at(reach(one)) + 7.0, middle + 4.5, "", "start", &one.figure));
    }
    body.push_str(&labels);
    let names: Vec<String> = named.iter().map(|part| part.name.clone()).collect();
    let (legend, below) = legend(&names, bottom + 2.0 * LINE + 18.0, |index, x, y| {
        format!(
            "<rect class=\"{}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"10\"/>",
            class(named[index]),
            y - 5.0
        )
    });
    body.push_str(&legend);
    document(title, below, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_its_text_is_escaped() {
        let bar =
            Bar { label: "a < b".to_owned(), value: [50.0, 40.0, 100.0], figure: "50".to_owned() };
        let svg = bars("T & U", "tok/s", &[bar], &["by R & S".to_owned()]);
        assert!(svg.contains("by R &amp; S"));
        assert!(svg.contains("a &lt; b") && svg.contains("<title>T &amp; U</title>"));
        let whole = right([width("50")].into_iter()) - EDGE;
        assert!(svg.contains(&format!("width=\"{:.1}\"", whole / 2.0)), "{svg}");
        assert!(svg.contains(&format!("M{:.1} ", EDGE + whole * 0.4)), "{svg}");
    }

    #[test]
    fn parts_follow_each_other_and_each_name_is_in_the_legend_once() {
        let part = |name: &str, size, colour, pale| Part { name: name.into(), size, colour, pale };
        let stack = |label: &str| Stack {
            label: label.to_owned(),
            parts: vec![part("weights", 2.0, 0, false), part("context", 1.0, 0, true)],
            limit: Some(4.0),
            range: None,
            figure: "3".to_owned(),
        };
        let svg = stacks("Memory", "GiB", &[stack("one"), stack("two")]);
        assert_eq!(svg.matches(">weights</text>").count(), 1, "{svg}");
        assert_eq!(svg.matches("<title>context: 1</title>").count(), 2, "{svg}");
        let whole = right([width("3")].into_iter()) - EDGE;
        assert!(svg.contains(&format!("x=\"{:.1}\" y=\"58\"", EDGE + whole / 2.0)), "{svg}");
    }
}
