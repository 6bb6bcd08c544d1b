//! Pages for a terminal: headings in bold, tables without frames, wrapped to the width.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table as Grid,
    TableStyle, Width,
};

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
            Block::Picture(shows, file) => out.push_str(&format!("[{shows}: {file}]\n")),
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
    for word in words(text) {
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

/// Words of a text. What stands between backticks is one: a command that is broken over two lines
/// does something else when it is pasted.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut ticks) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '`' => ticks += 1,
            ' ' if ticks % 2 == 0 || !text[at..].contains('`') => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words
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
    let mut links = Vec::new();
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| cell_text(cell, &mut links)).collect())
        .collect();
    let widths = widths(table, &rows, usize::from(width));
    grid.add_rows(rows);
    for ((index, column), own_width) in table.columns.iter().enumerate().zip(widths) {
        if let Some(own) = grid.column_mut(index) {
            own.set_cell_alignment(match column.align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
            // The other column of the gap is the table's own separator.
            own.set_padding((0, 1));
            let own_width = u16::try_from(own_width + 1).unwrap_or(u16::MAX);
            own.set_constraint(ColumnConstraint::Absolute(Width::Fixed(own_width)));
        }
    }
    let mut out = String::new();
    for line in grid.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if !links.is_empty() {
        out.push('\n');
    }
    for (number, link) in links.iter().enumerate() {
        // Never wrapped, so that a terminal makes them links.
        out.push_str(&format!("[{}] {link}\n", number + 1));
    }
    out
}

/// Columns between two columns.
const GAP: usize = 2;
/// Words longer than this may be broken.
const LONG_WORD: usize = 26;

/// Width of each column without the gap: as wide as its content where that fits, else the widest
/// columns give way first, down to their longest word.
fn widths(table: &Table, rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let length = |text: &str| text.chars().count();
    let word = |text: &str| text.split_whitespace().map(length).max().unwrap_or(0);
    let columns = table.columns.iter().enumerate();
    let (mut widths, least): (Vec<usize>, Vec<usize>) = columns
        .map(|(index, column)| {
            let cells = || rows.iter().filter_map(|row| row.get(index));
            let header = word(&column.title);
            let full = cells().map(|cell| length(cell)).max().unwrap_or(0).max(header);
            // A price, a range and a unit stay on one line.
            let least = match column.align {
                Align::Right if full <= LONG_WORD => full,
                _ => cells().map(|cell| word(cell).min(LONG_WORD)).max().unwrap_or(0).max(header),
            };
            (full, least)
        })
        .unzip();
    while widths.iter().map(|own| own + GAP).sum::<usize>() > width {
        let shrinkable = (0..widths.len()).filter(|index| widths[*index] > least[*index]);
        match shrinkable.max_by_key(|index| widths[*index]) {
            Some(widest) => widths[widest] -= 1,
            None => break,
        }
    }
    widths
}

/// The text of a cell; addresses are numbered and stand below the table.
fn cell_text(text: &Text, links: &mut Vec<String>) -> String {
    let mut out = String::new();
    for span in &text.0 {
        match span {
            Span::Plain(text) | Span::Strong(text) => {
                let mut rest = text.as_str();
                while let Some((before, address, after)) = address_in(rest) {
                    out.push_str(before);
                    out.push_str(&numbered(address, links));
                    rest = after;
                }
                out.push_str(rest);
            }
            Span::Link(_, address) => out.push_str(&numbered(address, links)),
        }
    }
    out
}

/// An address in angle brackets, with what stands before and after it: in a cell it would be broken.
fn address_in(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("<http")?;
    let end = start + text[start..].find('>')?;
    Some((&text[..start], &text[start + 1..end], &text[end + 1..]))
}

/// The number of an address below the table.
fn numbered(address: &str, links: &mut Vec<String>) -> String {
    let known = links.iter().position(|one| one == address);
    let number = known.unwrap_or_else(|| {
        links.push(address.to_owned());
        links.len() - 1
    });
    format!("[{}]", number + 1)
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

        name      GiB  remark
        ---------------------------------------
        a           1  short
        longer  1,024  a remark that has to
                       wrap somewhere

        card
        ├── model
        └── free
        ");
    }
}
