//! Charts with two axes: points with intervals, and curves.

use localrig_facts::Date;

use super::{
    EDGE, LINE, SERIES, TOP, WIDTH, clipped, document, escaped, legend, short, steps, text, width,
};

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

/// A point of a scatter chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it stands for.
    pub label: String,
    /// Its mark in the chart, when it is named below.
    pub mark: Option<String>,
    /// Whether nothing beats it: such points are joined by a line.
    pub on_front: bool,
    /// Along.
    pub x: f64,
    /// Up, with the ends of its interval.
    pub y: [f64; 3],
}

/// A line of a line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it stands for.
    pub label: String,
    /// Points from left to right: along, and up with the ends of the interval.
    pub points: Vec<(f64, [f64; 3])>,
}

/// How points of a curve are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By straight lines, with the intervals as a band.
    Band,
    /// A value holds until the next, and each is a dot.
    Steps,
}

/// What lies along.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Any quantity.
    Linear,
    /// Tokens of a context, marked in multiples of 1,024.
    Tokens,
    /// Counts, each doubling as far as the one before.
    Doubling,
    /// Days since this one.
    Days(Date),
}

/// Height of the area with the data.
const PLOT: f64 = 300.0;
/// Where that area begins: to the left of it stand the figures of the axis.
const LEFT: f64 = 62.0;
/// Where it ends.
const RIGHT: f64 = WIDTH - 26.0;
const BOTTOM: f64 = TOP + 14.0 + PLOT;

/// Places on the axes.
struct Axes {
    scale: Scale,
    x_most: f64,
    y_most: f64,
}

impl Axes {
    fn x(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Doubling => value.max(1.0).log2() / self.x_most.max(2.0).log2(),
            _ => value / self.x_most,
        };
        LEFT + share * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - value / self.y_most * PLOT
    }
}

/// Ticks along with what stands at them; the last is the end of the axis.
fn ticks(scale: Scale, most: f64) -> Vec<(f64, String)> {
    match scale {
        Scale::Linear => steps(most).into_iter().map(|one| (one, short(one))).collect(),
        Scale::Tokens => {
            let mut step = 1024.0;
            while most / step > 8.0 {
                step *= 2.0;
            }
            let count = (most / step).ceil().max(1.0) as u32;
            let label = |at: f64| {
                if at == 0.0 { "0".to_owned() } else { format!("{}K", short(at / 1024.0)) }
            };
            (0..=count).map(|index| f64::from(index) * step).map(|at| (at, label(at))).collect()
        }
        Scale::Doubling => {
            let last = most.max(2.0).log2().ceil() as u32;
            (0..=last).map(|power| f64::from(1_u32 << power)).map(|at| (at, short(at))).collect()
        }
        // A label of a day needs the room of a seventh of the axis.
        Scale::Days(start) if most < 70.0 => {
            let step = [1.0, 2.0, 7.0, 14.0].into_iter().find(|step| most / step <= 5.0);
            let step = step.unwrap_or(14.0);
            let count = (most / step).ceil().max(1.0) as u32;
            (0..=count)
                .map(|index| f64::from(index) * step)
                .map(|at| (at, day(start, at)))
                .collect()
        }
        Scale::Days(start) => {
            let mut months = Vec::new();
            let (mut year, mut month) = (start.year(), start.month());
            while let Ok(first) = Date::new(year, month, 1) {
                let at = f64::from(first.days_since(start));
                if at >= 0.0 {
                    months.push((at, format!("{year}-{month:02}")));
                }
                if at >= most {
                    break;
                }
                (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            }
            // Every month, every third, … so that the labels have room.
            let each = months.len().div_ceil(8);
            months.into_iter().step_by(each.max(1)).collect()
        }
    }
}

/// The day so many days after another.
fn day(start: Date, days: f64) -> String {
    start.plus_days(days as i32).map_or_else(String::new, |day| day.to_string())
}

/// Axes from 0, with their figures and titles.
fn axes(titles: Titles<'_>, scale: Scale, most: [f64; 2]) -> (String, Axes) {
    let (across, up) = (ticks(scale, most[0]), steps(most[1]));
    let end = across.last().map_or(most[0], |last| last.0);
    let axes = Axes { scale, x_most: end.max(most[0]).max(1e-9), y_most: up[up.len() - 1] };
    let mut body = String::new();
    for one in &up {
        let y = axes.y(*one);
        body.push_str(&format!("<path class=\"g\" d=\"M{LEFT:.0} {y:.1}H{RIGHT:.0}\"/>\n"));
        body.push_str(&text(LEFT - 6.0, y + 4.0, "m", "end", &short(*one)));
    }
    for (at, label) in &across {
        let x = axes.x(*at);
        body.push_str(&format!(
            "<path class=\"g\" d=\"M{x:.1} {:.1}V{BOTTOM:.0}\"/>\n",
            TOP + 14.0
        ));
        // The last label is wider than the edge beside it.
        let inside = x.min(WIDTH - 4.0 - width(label) / 2.0);
        body.push_str(&text(inside, BOTTOM + 16.0, "m", "middle", label));
    }
    body.push_str(&format!(
        "<path class=\"a\" d=\"M{LEFT:.0} {:.0}V{BOTTOM:.0}H{RIGHT:.0}\"/>\n",
        TOP + 14.0
    ));
    body.push_str(&text(RIGHT, BOTTOM + 33.0, "m", "end", titles.x));
    body.push_str(&text(EDGE, TOP + 2.0, "m", "start", titles.y));
    (body, axes)
}

/// A rectangle that is taken: left, top, right, bottom.
type Taken = [f64; 4];

fn overlaps(a: Taken, b: Taken) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Points with intervals. Those with a mark are drawn larger and named below the chart; the others
/// can be read by pointing at them.
pub fn scatter(titles: Titles<'_>, points: &[Point]) -> String {
    let most = [
        points.iter().map(|one| one.x).fold(1e-9, f64::max),
        points.iter().map(|one| one.y[2]).fold(1e-9, f64::max),
    ];
    let (mut body, axes) = axes(titles, Scale::Linear, most);
    let mut taken: Vec<Taken> = Vec::new();
    let mut front: Vec<&Point> = points.iter().filter(|one| one.on_front).collect();
    front.sort_by(|a, b| a.x.total_cmp(&b.x));
    if front.len() > 1 {
        let path: Vec<String> = front
            .iter()
            .map(|one| format!("{:.1} {:.1}", axes.x(one.x), axes.y(one.y[0])))
            .collect();
        body.push_str(&format!(
            "<path class=\"l0\" fill=\"none\" stroke-dasharray=\"4 3\" d=\"M{}\"/>\n",
            path.join("L")
        ));
    }
    // What stands back is drawn first.
    let mut ordered: Vec<&Point> = points.iter().collect();
    ordered.sort_by_key(|one| one.mark.is_some());
    for one in ordered {
        let (x, y) = (axes.x(one.x), axes.y(one.y[0]));
        let (class, radius) = if one.mark.is_some() { ("s0", 5.0) } else { ("u w", 3.5) };
        if one.mark.is_some() {
            body.push_str(&format!(
                "<path class=\"a\" d=\"M{x:.1} {:.1}V{:.1}\"/>\n",
                axes.y(one.y[1]),
                axes.y(one.y[2])
            ));
            taken.push([x - radius, y - radius, x + radius, y + radius]);
        }
        body.push_str(&format!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{}</title></circle>\n",
            escaped(&one.label)
        ));
    }
    let mut named: Vec<(&Point, &str)> =
        points.iter().filter_map(|one| Some((one, one.mark.as_deref()?))).collect();
    named.sort_by(|a, b| a.0.x.total_cmp(&b.0.x));
    for (one, mark) in &named {
        body.push_str(&placed(mark, [axes.x(one.x), axes.y(one.y[0])], &mut taken));
    }
    let mut y = BOTTOM + 56.0;
    for (one, mark) in &named {
        body.push_str(&text(EDGE + 26.0, y, "", "end", mark));
        body.push_str(&text(
            EDGE + 34.0,
            y,
            "",
            "start",
            &clipped(&one.label, WIDTH - 2.0 * EDGE - 34.0),
        ));
        y += LINE;
    }
    document(titles.chart, y, &body)
}

/// A mark near its point where nothing else stands, with a line to the point when that is far.
fn placed(mark: &str, [x, y]: [f64; 2], taken: &mut Vec<Taken>) -> String {
    let (wide, high) = (width(mark), 11.0);
    let mut places = Vec::new();
    for reach in [8.0, 16.0, 26.0, 38.0, 52.0, 68.0] {
        for (across, up) in [
            (1.0, 0.0),
            (1.0, 1.0),
            (1.0, -1.0),
            (0.0, 1.0),
            (0.0, -1.0),
            (-1.0, 0.0),
            (-1.0, 1.0),
            (-1.0, -1.0),
        ] {
            let (near, below) = (x + across * reach, y - up * (reach + 2.0));
            let left = near - wide * (1.0 - across) / 2.0;
            places.push([left, below - high / 2.0, left + wide, below + high / 2.0]);
        }
    }
    let inside = |one: &Taken| {
        one[0] > LEFT && one[2] < WIDTH - 4.0 && one[1] > TOP + 6.0 && one[3] < BOTTOM
    };
    let free = |one: &Taken| inside(one) && !taken.iter().any(|other| overlaps(*one, *other));
    let place = places.iter().copied().find(free).unwrap_or(places[0]);
    taken.push(place);
    let middle = [f64::midpoint(place[0], place[2]), f64::midpoint(place[1], place[3])];
    let mut out = String::new();
    if (middle[0] - x).hypot(middle[1] - y) > 30.0 {
        out.push_str(&format!(
            "<path class=\"a\" stroke-width=\".6\" d=\"M{x:.1} {y:.1}L{:.1} {:.1}\"/>\n",
            middle[0], middle[1]
        ));
    }
    out.push_str(&text(middle[0], place[3] - 1.0, "", "middle", mark));
    out
}

/// Curves, with their names below the chart.
pub fn curves(titles: Titles<'_>, scale: Scale, shape: Shape, curves: &[Curve]) -> String {
    let all = || curves.iter().flat_map(|one| &one.points);
    let most = [
        all().map(|one| one.0).fold(1e-9, f64::max),
        all().map(|one| one.1[2]).fold(1e-9, f64::max),
    ];
    let (mut body, axes) = axes(titles, scale, most);
    for (index, curve) in curves.iter().enumerate() {
        body.push_str(&line(&axes, shape, index, curve));
    }
    let names: Vec<String> = curves.iter().map(|one| one.label.clone()).collect();
    let (legend, below) = legend(&names, BOTTOM + 56.0, |index, x, y| {
        format!(
            "<path class=\"l{}\" fill=\"none\" stroke-width=\"2.5\"{} d=\"M{x:.1} {y:.1}h14\"/>",
            index % SERIES,
            dashes(index)
        )
    });
    body.push_str(&legend);
    document(titles.chart, below, &body)
}

/// Curves beyond the number of colours are dashed.
fn dashes(index: usize) -> &'static str {
    if index < SERIES { "" } else { " stroke-dasharray=\"5 3\"" }
}

fn line(axes: &Axes, shape: Shape, index: usize, curve: &Curve) -> String {
    let place = |x: f64, y: f64| format!("{:.1} {:.1}", axes.x(x), axes.y(y));
    let series = index % SERIES;
    let mut out = String::new();
    let path = match shape {
        Shape::Band => {
            let there = curve.points.iter().map(|(x, y)| place(*x, y[2]));
            let back = curve.points.iter().rev().map(|(x, y)| place(*x, y[1]));
            let around: Vec<String> = there.chain(back).collect();
            if curve.points.iter().any(|(_, y)| y[1] < y[2]) {
                out.push_str(&format!(
                    "<path class=\"s{series} band\" d=\"M{}Z\"/>\n",
                    around.join("L")
                ));
            }
            let all: Vec<String> = curve.points.iter().map(|(x, y)| place(*x, y[0])).collect();
            all.join("L")
        }
        Shape::Steps => {
            let mut all = Vec::new();
            let mut before = None;
            for (x, y) in &curve.points {
                all.extend(before.map(|before| place(*x, before)));
                all.push(place(*x, y[0]));
                before = Some(y[0]);
            }
            all.join("L")
        }
    };
    out.push_str(&format!(
        "<path class=\"l{series}\" fill=\"none\" stroke-width=\"2\"{} d=\"M{path}\"><title>{}</title></path>\n",
        dashes(index),
        escaped(&curve.label)
    ));
    if shape == Shape::Steps {
        for (x, y) in &curve.points {
            out.push_str(&format!(
                "<circle class=\"s{series}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}: {}</title></circle>\n",
                axes.x(*x),
                axes.y(y[0]),
                escaped(&curve.label),
                short(y[0])
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: Titles<'_> = Titles { chart: "c", x: "x", y: "y" };

    #[test]
    fn tokens_are_marked_in_multiples_of_1024_and_counts_by_doubling() {
        let said = |scale, most| -> Vec<String> {
            ticks(scale, most).into_iter().map(|one| one.1).collect()
        };
        assert_eq!(said(Scale::Tokens, 131_072.0).join(" "), "0 16K 32K 48K 64K 80K 96K 112K 128K");
        assert_eq!(said(Scale::Doubling, 12.0).join(" "), "1 2 4 8 16");
        let start = Date::new(2025, 11, 20).unwrap();
        assert_eq!(
            said(Scale::Days(start), 9.0).join(" "),
            "2025-11-20 2025-11-22 2025-11-24 2025-11-26 2025-11-28 2025-11-30"
        );
        assert_eq!(said(Scale::Days(start), 90.0).join(" "), "2025-12 2026-01 2026-02 2026-03");
    }

    #[test]
    fn marks_of_points_that_lie_together_do_not_cover_each_other() {
        let point = |index: i32| Point {
            label: format!("machine {index}"),
            mark: Some(index.to_string()),
            on_front: false,
            x: 5_000.0 + f64::from(index),
            y: [100.0, 90.0, 110.0],
        };
        let svg = scatter(TITLES, &(1..12).map(point).collect::<Vec<_>>());
        let mut boxes: Vec<Taken> = Vec::new();
        let marks = svg.split("<text ").filter(|one| {
            let tag = one.split('>').next().unwrap();
            tag.contains("\"middle\"") && !tag.contains("class")
        });
        for one in marks {
            let number = |key: &str| -> f64 {
                one.split(key).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
            };
            let label = one.split('>').nth(1).unwrap().split('<').next().unwrap();
            let (x, y) = (number("x=\""), number("y=\""));
            let own = [x - width(label) / 2.0, y - 9.0, x + width(label) / 2.0, y];
            assert!(!boxes.iter().any(|other| overlaps(own, *other)), "{label} in {svg}");
            boxes.push(own);
        }
        assert_eq!(boxes.len(), 11);
    }

    #[test]
    fn points_on_the_front_are_joined_from_the_cheapest() {
        let point = |x: f64, y: f64, on_front| Point {
            label: String::new(),
            mark: None,
            on_front,
            x,
            y: [y; 3],
        };
        let svg = scatter(
            TITLES,
            &[point(10.0, 10.0, true), point(5.0, 2.0, false), point(5.0, 5.0, true)],
        );
        let middle = f64::midpoint(LEFT, RIGHT);
        let path = format!(
            "d=\"M{middle:.1} {:.1}L{RIGHT:.1} {:.1}\"",
            BOTTOM - PLOT / 2.0,
            BOTTOM - PLOT
        );
        assert!(svg.contains(&path), "{path} in {svg}");
    }

    #[test]
    fn a_curve_of_steps_holds_its_value_until_the_next() {
        let curve = Curve { label: "l".into(), points: vec![(0.0, [10.0; 3]), (10.0, [20.0; 3])] };
        let svg = curves(TITLES, Scale::Linear, Shape::Steps, &[curve]);
        let (low, high) = (BOTTOM - PLOT / 2.0, BOTTOM - PLOT);
        let path = format!("M{LEFT:.1} {low:.1}L{RIGHT:.1} {low:.1}L{RIGHT:.1} {high:.1}");
        assert!(svg.contains(&path), "{path} in {svg}");
    }

    #[test]
    fn an_interval_is_a_band_around_the_curve() {
        let points = vec![(0.0, [10.0, 8.0, 12.0]), (2.0, [5.0, 4.0, 6.0])];
        let curve = Curve { label: "l".into(), points };
        let svg = curves(TITLES, Scale::Tokens, Shape::Band, std::slice::from_ref(&curve));
        assert_eq!(svg.matches("band\"").count(), 1, "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
        let flat = Curve { points: vec![(0.0, [10.0; 3]), (2.0, [5.0; 3])], ..curve };
        assert!(!curves(TITLES, Scale::Tokens, Shape::Band, &[flat]).contains("band\""));
    }
}
