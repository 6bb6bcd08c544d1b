//! A page: what an answer says, in blocks that every output format can render.

/// A page of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its blocks, in reading order.
    pub blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading; level 1 is the page's own.
    Heading(u8, String),
    /// A paragraph.
    Paragraph(Text),
    /// A list.
    List(Vec<Text>),
    /// A table.
    Table(Table),
    /// A tree.
    Tree(Tree),
    /// A picture: what it shows and its file.
    Picture(String, String),
}

/// Running text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Span>);

/// A piece of running text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Plain.
    Plain(String),
    /// What the eye should find first.
    Strong(String),
    /// A link: what it says and where it leads.
    Link(String, String),
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows, as many cells as columns.
    pub rows: Vec<Vec<Text>>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading, with the unit of its figures.
    pub title: String,
    /// Where its cells line up.
    pub align: Align,
}

/// Where cells line up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Figures.
    Right,
}

/// A tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// What stands here.
    pub label: String,
    /// What it consists of.
    pub branches: Vec<Self>,
}

impl Page {
    /// Adds a heading.
    pub fn heading(&mut self, level: u8, text: impl Into<String>) {
        self.blocks.push(Block::Heading(level, text.into()));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: impl Into<Text>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    /// Adds a list, if it has items.
    pub fn list(&mut self, items: Vec<Text>) {
        if !items.is_empty() {
            self.blocks.push(Block::List(items));
        }
    }

    /// Adds a table, if it has rows.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
    }

    /// Adds a picture.
    pub fn picture(&mut self, shows: impl Into<String>, file: impl Into<String>) {
        self.blocks.push(Block::Picture(shows.into(), file.into()));
    }

    /// Adds the blocks of another page with its headings `deeper` levels below.
    pub fn append(&mut self, other: Self, deeper: u8) {
        self.blocks.extend(other.blocks.into_iter().map(|block| match block {
            Block::Heading(level, text) => Block::Heading((level + deeper).min(6), text),
            other => other,
        }));
    }

    /// Adds a tree.
    pub fn tree(&mut self, tree: Tree) {
        self.blocks.push(Block::Tree(tree));
    }
}

impl Text {
    /// Adds plain text.
    #[must_use]
    pub fn plain(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Plain(text.into()));
        self
    }

    /// Adds what the eye should find first.
    #[must_use]
    pub fn strong(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Strong(text.into()));
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, text: impl Into<String>, address: impl Into<String>) -> Self {
        self.0.push(Span::Link(text.into(), address.into()));
        self
    }

    /// The text without any markup; links by their text.
    pub fn bare(&self) -> String {
        let bare = |span: &Span| match span {
            Span::Plain(text) | Span::Strong(text) | Span::Link(text, _) => text.clone(),
        };
        self.0.iter().map(bare).collect()
    }
}

impl<S: Into<String>> From<S> for Text {
    fn from(text: S) -> Self {
        Self::default().plain(text)
    }
}

impl Table {
    /// A table with these columns; a title that starts with `>` makes a column of figures.
    pub fn new(titles: &[&str]) -> Self {
        let column = |title: &&str| match title.strip_prefix('>') {
            Some(title) => Column { title: title.to_owned(), align: Align::Right },
            None => Column { title: (*title).to_owned(), align: Align::Left },
        };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Text; N]) {
        debug_assert_eq!(N, self.columns.len(), "as many cells as columns");
        self.rows.push(cells.into());
    }
}

impl Tree {
    /// A leaf.
    pub fn leaf(label: impl Into<String>) -> Self {
        Self { label: label.into(), branches: Vec::new() }
    }

    /// The lines of the tree, drawn with box characters.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.label.clone()];
        for (index, branch) in self.branches.iter().enumerate() {
            let last = index + 1 == self.branches.len();
            let (first, rest) =
                if last { ("└── ", "    ") } else { ("├── ", "│   ") };
            for (number, line) in branch.lines().into_iter().enumerate() {
                lines.push(format!("{}{line}", if number == 0 { first } else { rest }));
            }
        }
        lines
    }
}
