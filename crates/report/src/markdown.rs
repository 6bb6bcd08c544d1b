//! Pages as Markdown that reads well raw: tables lined up, links inline.

use crate::page::{Align, Block, Page, Span, Table, Text};

/// A page as Markdown.
pub fn markdown(page: &Page) -> String {
    let mut out = String::new();
    for block in &page.blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        match block {
            Block::Heading(level, text) => {
                out.push_str(&"#".repeat(usize::from(*level)));
                out.push_str(&format!(" {text}\n"));
            }
            Block::Paragraph(text) => out.push_str(&format!("{}\n", inline(text))),
            Block::List(items) => {
                for item in items {
                    out.push_str(&format!("- {}\n", inline(item)));
                }
            }
            Block::Table(one) => out.push_str(&table(one)),
            Block::Picture(shows, file) => out.push_str(&format!("![{shows}]({file})\n")),
            Block::Tree(tree) => {
                out.push_str(&format!("```text\n{}\n```\n", tree.lines().join("\n")));
            }
        }
    }
    out
}

fn inline(text: &Text) -> String {
    text.0
        .iter()
        .map(|span| match span {
            Span::Plain(text) => with_addresses(text),
            // Blanks inside the marks would make them plain asterisks.
            Span::Strong(text) => {
                let (front, back) = (text.trim_end(), text.len() - text.trim_end().len());
                format!("**{front}**{}", &text[text.len() - back..])
            }
            Span::Link(text, address) => format!("[{text}]({address})"),
        })
        .collect()
}

/// Text whose web addresses are marked as such, so that they are links wherever it is shown.
fn with_addresses(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("http://").into_iter().chain(rest.find("https://")).min() {
        let (before, from) = rest.split_at(at);
        let ends = |c: char| c.is_whitespace() || ")>,;\"'`".contains(c);
        let (address, after) = from.split_at(from.find(ends).unwrap_or(from.len()));
        let marked = before.ends_with('<') || before.ends_with('`');
        out.push_str(before);
        out.push_str(&if marked { address.to_owned() } else { format!("<{address}>") });
        rest = after;
    }
    out + rest
}

fn table(table: &Table) -> String {
    let cell = |text: &Text| inline(text).replace('|', "\\|").replace('\n', " ");
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |column: usize| {
        let title = table.columns[column].title.chars().count();
        rows.iter().map(|row| row[column].chars().count()).fold(title, usize::max).max(3)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let line = |cells: Vec<String>| {
        let padded =
            cells.iter().zip(&widths).zip(&table.columns).map(|((cell, width), column)| {
                let gap = " ".repeat(width - cell.chars().count());
                match column.align {
                    Align::Left => format!(" {cell}{gap} "),
                    Align::Right => format!(" {gap}{cell} "),
                }
            });
        format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.iter().zip(&table.columns).map(|(width, column)| match column.align {
        Align::Left => "-".repeat(width + 2),
        Align::Right => format!("{}:", "-".repeat(width + 1)),
    });
    let rule = format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
    let head = line(table.columns.iter().map(|column| column.title.clone()).collect());
    let body: String = rows.into_iter().map(line).collect();
    format!("{head}{rule}{body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Tree;

    #[test]
    fn every_block_has_its_markdown() {
        let mut page = Page::default();
        page.heading(1, "Title");
        page.paragraph(
            Text::default()
                .plain("Buy ")
                .strong("this ")
                .plain("at ")
                .link("shop", "https://example.org"),
        );
        page.list(vec!["one (http://a.org:80, b)".into(), "two `https://b.org/c`".into()]);
        let mut table = Table::new(&["name", ">GiB"]);
        table.row(["a|b".into(), "1".into()]);
        table.row(["longer".into(), "1,024".into()]);
        page.table(table);
        page.tree(Tree {
            label: "card".to_owned(),
            branches: vec![Tree::leaf("model"), Tree::leaf("free")],
        });
        insta::assert_snapshot!(markdown(&page), @r"
        # Title

        Buy **this** at [shop](https://example.org)

        - one (<http://a.org:80>, b)
        - two `https://b.org/c`

        | name   |   GiB |
        |--------|------:|
        | a\|b   |     1 |
        | longer | 1,024 |

        ```text
        card
        ├── model
        └── free
        ```
        ");
    }
}
