//! Pages as HTML: light and dark by the reader's own setting, nothing fetched from anywhere.

use crate::page::{Align, Block, Page, Span, Table, Text};

/// The style of every page.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--line:#d5d8dc;--soft:#f4f5f7;--link:#1d5fa7;--text:#1c1e21;--back:#fff}\n\
@media(prefers-color-scheme:dark){:root{--line:#3a3e44;--soft:#22262b;--link:#7db4ee;--text:#e3e5e8;--back:#16181b}}\n\
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back)}\n\
a{color:var(--link)}main{max-width:72rem;margin:0 auto;padding:1rem}nav{padding:.6rem 1rem;background:var(--soft);\
border-bottom:1px solid var(--line)}nav>*{max-width:70rem;margin:.35rem auto 0}nav ul{display:flex;flex-wrap:wrap;\
gap:.2rem 1rem;padding:0;list-style:none}nav .bar{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem 1rem;margin-top:0}\
summary{cursor:pointer}details ul{margin:.3rem 0}[aria-current]{font-weight:600;text-decoration:none;color:inherit}\n\
.table{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.92rem}th,td{border:1px solid var(--line);\
padding:.3rem .55rem;vertical-align:top;text-align:left}th{background:var(--soft)}.n{text-align:right;white-space:nowrap}\n\
pre{overflow-x:auto;background:var(--soft);padding:.8rem}figure{margin:1rem 0;overflow-x:auto}\
figure img{display:block;width:max(32rem,min(100%,44rem));height:auto;border:1px solid var(--line);border-radius:.3rem}\
li,p,h1,h2,h3{overflow-wrap:anywhere}main ul{padding-left:1.3rem}\n\
input{font:inherit;flex:1 1 12rem;max-width:24rem;padding:.3rem .5rem;color:inherit;background:var(--back);border:1px solid var(--line)}\n\
h1,h2,h3{line-height:1.25}";

/// A page of a site: what stands around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Address of the site's root from this page: empty or `../`.
    pub root: String,
    /// Address of this page from the root.
    pub here: String,
    /// Pages of the site: title and address from the root.
    pub pages: Vec<(String, String)>,
}

/// A page on its own.
pub fn html(page: &Page) -> String {
    document(page, None)
}

/// A page of a site, with its navigation and the search over all pages.
pub fn framed(page: &Page, frame: &Frame) -> String {
    document(page, Some(frame))
}

fn document(page: &Page, frame: Option<&Frame>) -> String {
    let title = page.blocks.iter().find_map(|block| match block {
        Block::Heading(1, text) => Some(text.as_str()),
        _ => None,
    });
    let (style, around, script) = match frame {
        None => (format!("<style>\n{STYLE}\n</style>"), String::new(), String::new()),
        Some(frame) => {
            let root = &frame.root;
            (
                format!("<link rel=\"stylesheet\" href=\"{root}style.css\">"),
                navigation(frame),
                format!(
                    "<script src=\"{root}index.js\"></script><script src=\"{root}search.js\"></script>\n"
                ),
            )
        }
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n{style}\n</head>\n<body>\n{around}<main>\n{}</main>\n{script}</body>\n</html>\n",
        escaped(title.unwrap_or("localrig")),
        body(page, frame.is_some())
    )
}

/// The way around a site: the start and the search, the pages of this page's folder, and every page
/// on demand.
fn navigation(frame: &Frame) -> String {
    let folder =
        |address: &str| address.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let link = |address: &str, title: &str| {
        let current = if address == frame.here { " aria-current=\"page\"" } else { "" };
        format!("<a href=\"{}{}\"{current}>{}</a>", frame.root, escaped(address), escaped(title))
    };
    // `dgx-spark: overview` is `overview` among its own.
    let within = |title: &str| title.split_once(": ").map_or(title, |(_, own)| own).to_owned();
    let list = |wanted: &str| -> String {
        let own = frame.pages.iter().filter(|(_, address)| folder(address) == wanted);
        let items: Vec<String> = own
            .map(|(title, address)| format!("<li>{}</li>", link(address, &within(title))))
            .collect();
        items.concat()
    };
    let mut folders: Vec<String> = frame.pages.iter().map(|(_, address)| folder(address)).collect();
    folders.dedup();
    let here = folder(&frame.here);
    let start = frame.pages.first().map_or_else(String::new, |(_, address)| link(address, "Start"));
    let beside = if here.is_empty() {
        String::new()
    } else {
        format!("<ul><li>{}:</li>{}</ul>", escaped(&here), list(&here))
    };
    let every: Vec<String> = folders
        .iter()
        .map(|one| {
            let name = if one.is_empty() { "All platforms" } else { one };
            format!("<p>{}</p><ul>{}</ul>", escaped(name), list(one))
        })
        .collect();
    let every = every.concat();
    format!(
        "<nav aria-label=\"Pages\"><div class=\"bar\">{start}<input id=\"search\" type=\"search\" data-root=\"{}\" \
         placeholder=\"Search all pages\" aria-label=\"Search all pages\"></div><ul id=\"found\"></ul>\
         {beside}<details><summary>All pages</summary>{every}</details></nav>\n",
        frame.root
    )
}

/// The search of a site: words that all occur in a page's text.
pub const SEARCH: &str = "\
const box = document.getElementById('search'), found = document.getElementById('found');\n\
box.addEventListener('input', () => {\n\
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);\n\
  found.replaceChildren();\n\
  if (!words.length) return;\n\
  for (const [title, address, text] of PAGES) {\n\
    if (!words.every((word) => text.includes(word))) continue;\n\
    const item = document.createElement('li'), link = document.createElement('a');\n\
    link.href = box.dataset.root + address;\n\
    link.textContent = title;\n\
    item.append(link);\n\
    found.append(item);\n\
  }\n\
});\n";

fn body(page: &Page, site: bool) -> String {
    let mut out = String::new();
    for block in &page.blocks {
        match block {
            Block::Heading(level, text) => {
                let level = level.clamp(&1, &6);
                out.push_str(&format!("<h{level}>{}</h{level}>\n", escaped(text)));
            }
            Block::Paragraph(text) => out.push_str(&format!("<p>{}</p>\n", inline(text, site))),
            Block::List(items) => {
                out.push_str("<ul>\n");
                for item in items {
                    out.push_str(&format!("<li>{}</li>\n", inline(item, site)));
                }
                out.push_str("</ul>\n");
            }
            Block::Table(one) => out.push_str(&table(one, site)),
            Block::Tree(tree) => {
                out.push_str(&format!("<pre>{}</pre>\n", escaped(&tree.lines().join("\n"))));
            }
            Block::Picture(shows, file) => out.push_str(&format!(
                "<figure><img src=\"{}\" alt=\"{}\"></figure>\n",
                escaped(file),
                escaped(shows)
            )),
        }
    }
    out
}

fn table(table: &Table, site: bool) -> String {
    let class = |align: Align| if align == Align::Right { " class=\"n\"" } else { "" };
    let mut out = String::from("<div class=\"table\"><table>\n<thead><tr>");
    for column in &table.columns {
        out.push_str(&format!("<th{}>{}</th>", class(column.align), escaped(&column.title)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(&table.columns) {
            out.push_str(&format!("<td{}>{}</td>", class(column.align), inline(cell, site)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out
}

fn inline(text: &Text, site: bool) -> String {
    text.0
        .iter()
        .map(|span| match span {
            Span::Plain(text) => with_code(&escaped(text)),
            Span::Strong(text) => format!("<strong>{}</strong>", escaped(text)),
            Span::Link(text, address) => {
                // Pages of a site refer to each other by their Markdown files.
                let local = !address.contains("://");
                let address = match address.strip_suffix(".md") {
                    Some(stem) if site && local => format!("{stem}.html"),
                    _ => address.clone(),
                };
                format!("<a href=\"{}\">{}</a>", escaped(&address), escaped(text))
            }
        })
        .collect()
}

/// What stands between backticks as code; a text with one that has no partner as it is.
fn with_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text.to_owned();
    }
    let told = parts.iter().enumerate().map(|(index, part)| match index % 2 {
        0 => (*part).to_owned(),
        _ => format!("<code>{part}</code>"),
    });
    told.collect()
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_links_of_a_site_lead_to_its_pages() {
        let mut page = Page::default();
        page.heading(1, "A & B");
        page.paragraph(Text::default().plain("1 < 2 ").link("next", "x/next.md"));
        let alone = html(&page);
        assert!(alone.contains("<title>A &amp; B</title>") && alone.contains("1 &lt; 2"));
        assert!(alone.contains("href=\"x/next.md\""));
        assert!(framed(&page, &Frame::default()).contains("href=\"x/next.html\""));
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(
            with_code("run `a &lt;b&gt;` or `c`"),
            "run <code>a &lt;b&gt;</code> or <code>c</code>"
        );
        assert_eq!(with_code("one ` alone"), "one ` alone");
    }

    #[test]
    fn the_way_around_shows_the_folder_of_the_page_and_every_page_on_demand() {
        let pages =
            [("Home", "README.html"), ("x: overview", "x/README.html"), ("x: speeds", "x/b.html")];
        let frame = Frame {
            root: "../".to_owned(),
            here: "x/b.html".to_owned(),
            pages: pages.map(|(title, address)| (title.to_owned(), address.to_owned())).into(),
        };
        let around = navigation(&frame);
        let beside = "<ul><li>x:</li><li><a href=\"../x/README.html\">overview</a></li>\
                      <li><a href=\"../x/b.html\" aria-current=\"page\">speeds</a></li></ul>";
        assert!(around.contains(beside), "{around}");
        let (before, every) = around.split_once("<details>").unwrap();
        assert!(before.contains("<a href=\"../README.html\">Start</a>"));
        assert!(every.contains("<p>All platforms</p>") && every.contains("<p>x</p>"), "{every}");
    }

    #[test]
    fn a_page_on_its_own_fetches_nothing() {
        let page = html(&Page::default());
        assert!(!page.contains("src=") && !page.contains("href="), "{page}");
    }
}
