//! Charts as SVG: text that can be read in light and dark, no script, nothing fetched.

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
    /// Name and size of each part, from the left.
    pub parts: Vec<(String, f64)>,
    /// A mark: what may be used.
    pub limit: f64,
}

/// A point of a scatter chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it stands for.
    pub label: String,
    /// Along.
    pub x: f64,
    /// Up, with the ends of its interval.
    pub y: [f64; 3],
    /// Whether nothing beats it.
    pub on_front: bool,
}

/// A line of a line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it stands for.
    pub label: String,
    /// Points from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Names of chart and axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Titles<'t> {
    /// What the chart shows.
    pub chart: &'t str,
    /// Along, with its unit.
    pub x: &'t str,
    /// Up, with its unit.
    pub y: &'t str,
}

const WIDTH: f64 = 760.0;
const ROW: f64 = 30.0;
const TOP: f64 = 44.0;
const LEFT: f64 = 64.0;
const COLOURS: [&str; 6] = ["#2f6fb0", "#c2571a", "#3b8a4f", "#8a4fa3", "#a8871c", "#56758c"];
const STYLE: &str = "<style>text{font:12px system-ui,sans-serif;fill:#222}.t{font-size:15px;font-weight:600}\
.a{stroke:#999;fill:none}.g{stroke:#ddd}.m{fill:#666}@media(prefers-color-scheme:dark){text{fill:#e4e4e4}\
.a{stroke:#777}.g{stroke:#3a3a3a}.m{fill:#aaa}}</style>";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn document(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" \
         aria-label=\"{title}\">\n<title>{title}</title>\n{STYLE}\n\
         <text class=\"t\" x=\"8\" y=\"22\">{title}</text>\n{body}</svg>\n",
        title = escaped(title)
    )
}

/// Steps of an axis from 0 to at least `most`: 1, 2 or 5 times a power of ten apart.
fn steps(most: f64) -> Vec<f64> {
    let rough = (most / 5.0).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|one| one * power).into_iter().find(|one| *one >= rough);
    let step = step.unwrap_or(power * 10.0);
    let count = (most / step).ceil() as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

fn short(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        crate::number::grouped(value.round() as i64)
    } else {
        format!("{value:.1}")
    }
}

/// Horizontal bars with intervals.
pub fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value[2]).fold(1e-9, f64::max);
    let (label, span) = (270.0, WIDTH - 270.0 - 130.0);
    let at = |value: f64| label + value / most * span;
    let mut body = String::new();
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        let [value, low, high] = bar.value.map(at);
        body.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{label:.0}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"18\" fill=\"{}\"/>\
             <path class=\"a\" d=\"M{low:.1} {:.0}H{high:.1}\" stroke-width=\"3\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{}</text>\n",
            label - 8.0,
            y + 14.0,
            escaped(&clipped(&bar.label, 42)),
            (value - label).max(0.5),
            COLOURS[0],
            y + 9.0,
            high.max(value) + 6.0,
            y + 14.0,
            escaped(&bar.figure)
        ));
    }
    let bottom = TOP + ROW * bars.len() as f64;
    body.push_str(&format!(
        "<text class=\"m\" x=\"{label:.0}\" y=\"{:.0}\">{}</text>\n",
        bottom + 12.0,
        escaped(unit)
    ));
    document(title, bottom + 24.0, &body)
}

/// Bars of parts, each with a mark at its limit.
pub fn stacks(title: &str, unit: &str, stacks: &[Stack]) -> String {
    let sum = |one: &Stack| one.parts.iter().map(|(_, size)| size).sum::<f64>().max(one.limit);
    let most = stacks.iter().map(sum).fold(1e-9, f64::max);
    let (label, span) = (270.0, WIDTH - 270.0 - 20.0);
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in stacks.iter().flat_map(|one| &one.parts) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut body = String::new();
    for (index, one) in stacks.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        let mut x = label;
        body.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            label - 8.0,
            y + 14.0,
            escaped(&clipped(&one.label, 42))
        ));
        for (name, size) in &one.parts {
            let width = size / most * span;
            let colour = names.iter().position(|known| known == name).unwrap_or(0);
            body.push_str(&format!(
                "<rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"18\" fill=\"{}\"><title>{}: {}</title></rect>",
                COLOURS[colour % COLOURS.len()],
                escaped(name),
                short(*size)
            ));
            x += width;
        }
        let limit = label + one.limit / most * span;
        body.push_str(&format!(
            "<path class=\"a\" stroke-width=\"2\" d=\"M{limit:.1} {:.0}V{:.0}\"/>\n",
            y - 3.0,
            y + 21.0
        ));
    }
    let bottom = TOP + ROW * stacks.len() as f64;
    body.push_str(&legend(&names, bottom + 12.0));
    body.push_str(&format!(
        "<text class=\"m\" x=\"8\" y=\"{:.0}\">{}; the line marks what may be used</text>\n",
        bottom + 36.0,
        escaped(unit)
    ));
    document(title, bottom + 48.0, &body)
}

fn legend(names: &[&str], y: f64) -> String {
    let mut x = 8.0;
    let mut out = String::new();
    for (index, name) in names.iter().enumerate() {
        out.push_str(&format!(
            "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{:.0}\" y=\"{y:.0}\">{}</text>",
            y - 9.0,
            COLOURS[index % COLOURS.len()],
            x + 14.0,
            escaped(name)
        ));
        x += 30.0 + 7.0 * name.chars().count() as f64;
    }
    out.push('\n');
    out
}

const PLOT: f64 = 340.0;

/// Axes from 0, with functions that place a value on them.
fn axes(titles: Titles<'_>, most: [f64; 2]) -> (String, impl Fn(f64) -> f64, impl Fn(f64) -> f64) {
    let (across, up) = (steps(most[0]), steps(most[1]));
    let (right, bottom) = (WIDTH - 24.0, TOP + PLOT);
    let ends = [across[across.len() - 1], up[up.len() - 1]];
    let x = move |value: f64| LEFT + value / ends[0] * (right - LEFT);
    let y = move |value: f64| bottom - value / ends[1] * PLOT;
    let mut body = String::new();
    for one in &up {
        body.push_str(&format!(
            "<path class=\"g\" d=\"M{LEFT} {0:.1}H{right}\"/><text class=\"m\" x=\"{1:.0}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>\n",
            y(*one), LEFT - 6.0, y(*one) + 4.0, short(*one)
        ));
    }
    for one in &across {
        body.push_str(&format!(
            "<text class=\"m\" x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n",
            x(*one),
            bottom + 16.0,
            short(*one)
        ));
    }
    body.push_str(&format!(
        "<path class=\"a\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/><text class=\"m\" x=\"{right}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
         <text class=\"m\" x=\"8\" y=\"{:.0}\">{}</text>\n",
        bottom + 32.0, escaped(titles.x), TOP - 8.0, escaped(titles.y)
    ));
    (body, x, y)
}

/// Points with intervals; those on the front are joined and named.
pub fn scatter(titles: Titles<'_>, points: &[Point]) -> String {
    let most = [
        points.iter().map(|one| one.x).fold(1e-9, f64::max),
        points.iter().map(|one| one.y[2]).fold(1e-9, f64::max),
    ];
    let (mut body, x, y) = axes(titles, most);
    let mut front: Vec<&Point> = points.iter().filter(|one| one.on_front).collect();
    front.sort_by(|a, b| a.x.total_cmp(&b.x));
    for one in points {
        let colour = COLOURS[usize::from(!one.on_front) * 5];
        body.push_str(&format!(
            "<path class=\"a\" d=\"M{0:.1} {1:.1}V{2:.1}\"/><circle cx=\"{0:.1}\" cy=\"{3:.1}\" r=\"5\" fill=\"{colour}\"><title>{4}</title></circle>\n",
            x(one.x), y(one.y[1]), y(one.y[2]), y(one.y[0]), escaped(&one.label)
        ));
    }
    for (index, one) in front.iter().enumerate() {
        // Names beside each other would cover each other: they take turns above and below.
        let shift = if index % 2 == 0 { -9.0 } else { 17.0 };
        let anchor = if x(one.x) > WIDTH * 0.6 { "end" } else { "start" };
        body.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
            x(one.x),
            y(one.y[0]) + shift,
            escaped(&clipped(&one.label, 44))
        ));
    }
    document(titles.chart, TOP + PLOT + 44.0, &body)
}

/// Lines.
pub fn curves(titles: Titles<'_>, curves: &[Curve]) -> String {
    let all = || curves.iter().flat_map(|one| &one.points);
    let most =
        [all().map(|one| one.0).fold(1e-9, f64::max), all().map(|one| one.1).fold(1e-9, f64::max)];
    let (mut body, x, y) = axes(titles, most);
    for (index, curve) in curves.iter().enumerate() {
        let path: Vec<String> =
            curve.points.iter().map(|one| format!("{:.1} {:.1}", x(one.0), y(one.1))).collect();
        body.push_str(&format!(
            "<path d=\"M{}\" fill=\"none\" stroke-width=\"2\" stroke=\"{}\"><title>{}</title></path>\n",
            path.join("L"),
            COLOURS[index % COLOURS.len()],
            escaped(&curve.label)
        ));
    }
    let bottom = TOP + PLOT + 52.0;
    for (index, curve) in curves.iter().enumerate() {
        body.push_str(&legend_line(index, &curve.label, bottom + 16.0 * index as f64));
    }
    document(titles.chart, bottom + 16.0 * curves.len() as f64, &body)
}

fn legend_line(index: usize, label: &str, y: f64) -> String {
    format!(
        "<rect x=\"8\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"22\" y=\"{y:.0}\">{}</text>\n",
        y - 9.0,
        COLOURS[index % COLOURS.len()],
        escaped(label)
    )
}

fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_its_text_is_escaped() {
        let bar =
            Bar { label: "a < b".to_owned(), value: [50.0, 40.0, 100.0], figure: "50".to_owned() };
        let svg = bars("T & U", "tok/s", &[bar]);
        assert!(svg.contains("a &lt; b") && svg.contains("<title>T &amp; U</title>"));
        assert!(svg.contains("width=\"180.0\""), "{svg}");
    }

    #[test]
    fn axes_go_in_round_steps_beyond_the_largest_value() {
        assert_eq!(steps(134.0), [0.0, 50.0, 100.0, 150.0]);
        assert_eq!(steps(15_000.0).last(), Some(&15_000.0));
    }

    #[test]
    fn charts_are_well_formed() {
        let point = Point { label: "x".into(), x: 5.0, y: [2.0, 1.0, 3.0], on_front: true };
        let titles = Titles { chart: "c", x: "x", y: "y" };
        let stack = Stack { label: "m".into(), parts: vec![("weights".into(), 2.0)], limit: 3.0 };
        let curve = Curve { label: "l".into(), points: vec![(0.0, 1.0), (2.0, 0.5)] };
        for svg in
            [scatter(titles, &[point]), stacks("s", "GiB", &[stack]), curves(titles, &[curve])]
        {
            for tag in ["text", "title", "svg", "circle", "style"] {
                let open = svg.matches(&format!("<{tag}")).count();
                assert_eq!(open, svg.matches(&format!("</{tag}>")).count(), "{tag} in {svg}");
            }
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }
}
