//! Pages for a terminal: headings in bold, tables without frames, wrapped to the width.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table as Grid, TableStyle};

use crate::page::{Align, Block, Page, Span, Table, Text};

/// Start and end of bold in ANSI escape codes; whoever prints strips them where they do not belong.
const BOLD: [&str; 2] = ["\u{1b}[1m", "\u{1b}[0m"];

/// A page for a terminal of `width` columns.
pub fn terminal(page: &Page, width: u16) -> String {
    let mut out = String::new();
    for block in &page.blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        match block {
            Block::Heading(level, text) => {
                let text = if *level == 1 { text.to_uppercase() } else { text.clone() };
                out.push_str(&format!("{}{text}{}\n", BOLD[0], BOLD[1]));
            }
            Block::Paragraph(text) => out.push_str(&wrapped(&inline(text), width, "", "")),
            Block::List(items) => {
                for item in items {
                    out.push_str(&wrapped(&inline(item), width, "- ", "  "));
                }
            }
            Block::Table(one) => out.push_str(&table(one, width)),
            Block::Tree(tree) => out.push_str(&format!("{}\n", tree.lines().join("\n"))),
        }
    }
    out
}

fn inline(text: &Text) -> String {
    text.0
        .iter()
        .map(|span| match span {
            Span::Plain(text) => text.clone(),
            Span::Strong(text) => format!("{}{text}{}", BOLD[0], BOLD[1]),
            Span::Link(text, address) if text == address => address.clone(),
            Span::Link(text, address) => format!("{text} <{address}>"),
        })
        .collect()
}

/// Lines of at most `width` columns, broken at blanks; longer words stand alone.
fn wrapped(text: &str, width: u16, first: &str, rest: &str) -> String {
    let width = usize::from(width);
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut used = first.len();
    let mut empty = true;
    for word in text.split(' ') {
        let length = visible(word);
        if !empty && used + 1 + length > width {
            out.push_str(line.trim_end());
            out.push('\n');
            rest.clone_into(&mut line);
            used = rest.len();
            empty = true;
        }
        if !empty {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

/// Columns a word takes: escape codes take none.
fn visible(word: &str) -> usize {
    let bare = BOLD.iter().fold(word.to_owned(), |word, code| word.replace(code, ""));
    bare.chars().count()
}

fn table(table: &Table, width: u16) -> String {
    let mut grid = Grid::new();
    let rule = LineStyle::none().fill('-').junction('-');
    grid.load_style(TableStyle::new().header_separator(rule));
    grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    grid.set_header(table.columns.iter().map(|column| Cell::new(&column.title)));
    for row in &table.rows {
        grid.add_row(row.iter().map(|cell| Cell::new(cell_text(cell))));
    }
    for (index, column) in table.columns.iter().enumerate() {
        if let Some(own) = grid.column_mut(index) {
            own.set_cell_alignment(match column.align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
            own.set_padding((0, 2));
        }
    }
    let lines = grid.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// The text of a cell: addresses stand bare, so that a terminal makes them links.
fn cell_text(text: &Text) -> String {
    let bare = |span: &Span| match span {
        Span::Plain(text) | Span::Strong(text) => text.clone(),
        Span::Link(_, address) => address.clone(),
    };
    text.0.iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Tree;

    #[test]
    fn every_block_fits_the_width() {
        let mut page = Page::default();
        page.heading(1, "Title");
        page.paragraph(
            Text::default().plain("Buy ").strong("this machine").plain(
                " because nothing else in this price range holds all of the models at once.",
            ),
        );
        page.list(vec![
            "one".into(),
            "a second item that is longer than the width of the terminal".into(),
        ]);
        let mut table = Table::new(&["name", ">GiB", "remark"]);
        table.row(["a".into(), "1".into(), "short".into()]);
        table.row(["longer".into(), "1,024".into(), "a remark that has to wrap somewhere".into()]);
        page.table(table);
        page.tree(Tree {
            label: "card".to_owned(),
            branches: vec![Tree::leaf("model"), Tree::leaf("free")],
        });
        insta::assert_snapshot!(terminal(&page, 40), @"
        [1mTITLE[0m

        Buy [1mthis machine[0m because nothing else in
        this price range holds all of the models
        at once.

        - one
        - a second item that is longer than the
          width of the terminal

        name       GiB   remark
        ----------------------------------------
        a            1   short
        longer   1,024   a remark that has to
                         wrap somewhere

        card
        ├── model
        └── free
        ");
    }
}
