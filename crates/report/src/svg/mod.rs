//! Charts as SVG: text that can be read in light and dark, no script, nothing fetched.
//!
//! A chart has its own background, since pages that show it may be light while the reader's
//! setting is dark. Widths of texts are estimated for the widest common sans-serif font, so that
//! nothing overlaps with narrower ones either.

mod bar;
mod plot;

pub use bar::{Bar, Part, Stack, bars, stacks};
pub use plot::{Curve, Point, Scale, Shape, Titles, curves, scatter};

/// Width of every chart in its own units.
const WIDTH: f64 = 640.0;
/// Where content begins below the title.
const TOP: f64 = 40.0;
/// Distance of text lines.
const LINE: f64 = 17.0;
/// Empty space around.
const EDGE: f64 = 10.0;

/// Colours that can be told apart with any colour vision, and with text-free marks of at least 3:1
/// on the background; `s` fills, `l` draws.
const STYLE: &str = "<style>.b{fill:#fff}text{font:12px system-ui,sans-serif;fill:#222;paint-order:stroke;stroke:#fff;stroke-width:3px}\
.t{font-size:14px;font-weight:600}.m{fill:#555}.g{stroke:#e2e2e2}.a{stroke:#666;fill:none}.k{stroke:#1a1a1a;fill:none}.u{fill:#888}\
.s0{fill:#2f6fb0}.s1{fill:#c2571a}.s2{fill:#3b8a4f}.s3{fill:#8a4fa3}.s4{fill:#8f7417}.s5{fill:#5b6f7d}\
.l0{stroke:#2f6fb0}.l1{stroke:#c2571a}.l2{stroke:#3b8a4f}.l3{stroke:#8a4fa3}.l4{stroke:#8f7417}.l5{stroke:#5b6f7d}\
.w{fill-opacity:.45}.band{fill-opacity:.14}\
@media(prefers-color-scheme:dark){.b{fill:#16181b}text{fill:#e4e4e4;stroke:#16181b}.m{fill:#b4b4b4}.g{stroke:#34383d}.a{stroke:#b0b0b0}.k{stroke:#fff}\
.u{fill:#8a8a8a}.s0{fill:#6ea8e0}.s1{fill:#ec8b52}.s2{fill:#6fc487}.s3{fill:#c592de}.s4{fill:#d3b64c}.s5{fill:#9db3c2}\
.l0{stroke:#6ea8e0}.l1{stroke:#ec8b52}.l2{stroke:#6fc487}.l3{stroke:#c592de}.l4{stroke:#d3b64c}.l5{stroke:#9db3c2}}</style>";

/// Colours of [`STYLE`].
const SERIES: usize = 6;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn document(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <title>{title}</title>\n{STYLE}\n<rect class=\"b\" width=\"{WIDTH:.0}\" height=\"{height:.0}\"/>\n\
         <text class=\"t\" x=\"{EDGE}\" y=\"22\">{title}</text>\n{body}</svg>\n",
        title = escaped(title)
    )
}

/// A text of a class (`m` for what stands back, empty otherwise), anchored at its `start`, `middle`
/// or `end`.
fn text(x: f64, y: f64, class: &str, anchor: &str, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let anchor =
        if anchor == "start" { String::new() } else { format!(" text-anchor=\"{anchor}\"") };
    format!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{}</text>\n", escaped(text))
}

/// Width of a text at 12 px, not less than in any common font.
fn width(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' => 4.0,
            ' ' | 'f' | 't' | 'r' | '(' | ')' | '-' => 5.0,
            'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 12.0,
            'A'..='Z' => 8.6,
            _ => 7.5,
        })
        .sum()
}

/// A text cut to a width.
fn clipped(text: &str, most: f64) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if width(&kept) + width("…") + 9.0 > most {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// Steps of an axis from 0 to at least `most`: 1, 2 or 5 times a power of ten apart.
fn steps(most: f64) -> Vec<f64> {
    let rough = (most / 5.0).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|one| one * power).into_iter().find(|one| *one >= rough);
    let step = step.unwrap_or(power * 10.0);
    let count = (most / step).ceil().max(1.0) as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

fn short(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        crate::number::grouped(value.round() as i64)
    } else {
        format!("{value:.1}")
    }
}

/// Marks with their names, as many on a line as there is room for; also the y below them. `mark`
/// draws the mark of an entry with its left end at x, on the middle of the line at y.
fn legend(names: &[String], mut y: f64, mark: impl Fn(usize, f64, f64) -> String) -> (String, f64) {
    const MARK: f64 = 18.0;
    let mut x = EDGE;
    let mut out = String::new();
    for (index, name) in names.iter().enumerate() {
        let name = clipped(name, WIDTH - 2.0 * EDGE - MARK);
        let wide = MARK + width(&name);
        if x > EDGE && x + wide > WIDTH - EDGE {
            x = EDGE;
            y += LINE;
        }
        out.push_str(&mark(index, x, y - 4.0));
        out.push_str(&text(x + MARK, y, "", "start", &name));
        x += wide + 14.0;
    }
    (out, y + LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_go_in_round_steps_beyond_the_largest_value() {
        assert_eq!(steps(134.0), [0.0, 50.0, 100.0, 150.0]);
        assert_eq!(steps(15_000.0).last(), Some(&15_000.0));
        assert_eq!(steps(0.0).len(), 2);
    }

    #[test]
    fn a_text_too_wide_is_cut_to_the_width() {
        assert_eq!(clipped("short", 100.0), "short");
        let cut = clipped("Apple Mac Studio (M5 Ultra, 2026) 256 GB", 150.0);
        assert!(cut.ends_with('…') && width(&cut) <= 150.0, "{cut}");
    }

    #[test]
    fn a_legend_breaks_lines_and_stays_inside() {
        let names: Vec<String> = (0..9).map(|index| format!("series number {index}")).collect();
        let (out, below) = legend(&names, 20.0, |_, _, _| String::new());
        assert!(below > 20.0 + 2.0 * LINE, "{below}");
        for part in out.split("x=\"").skip(1) {
            let x: f64 = part.split('"').next().unwrap().parse().unwrap();
            assert!(x + width("series number 0") < WIDTH, "{x}");
        }
    }
}
