//! One line of a family's tensor list.
//!
//! `attn_k.weight [hidden, kv_heads*head_dim] f32 if full unless shared`
//!
//! Name, then the dimensions in ggml order (row length first), then words:
//! `f32` keeps 32-bit floats under every recipe; `keep` keeps the source's 16 bits; `table` is not
//! a parameter; `loaded` is loaded even in a block the engine skips; `twice` is held two times;
//! `if A B` needs all of A B, `unless A B` none of them; `beside A` lies with the layers that have
//! the tag A, once on every device that holds one.

use super::expression::{Expression, ExpressionError};

/// A parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Tensor name, without `blk.N.`.
    pub name: String,
    /// Dimensions, row length first.
    pub shape: Vec<Expression>,
    /// Stays in 32-bit floats.
    pub f32: bool,
    /// Stays in the source's 16-bit type.
    pub keep: bool,
    /// A lookup table that is no parameter.
    pub table: bool,
    /// Loaded even in a block that the engine skips.
    pub loaded: bool,
    /// Held two times in memory.
    pub twice: bool,
    /// All of these must hold.
    pub when: Vec<String>,
    /// None of these may hold.
    pub unless: Vec<String>,
    /// Tags of the layers it lies beside; without one, any layer.
    pub beside: Vec<String>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Its shape is not `name [dims] words`.
    #[error("line {line}: `{text}`: {problem}")]
    Form {
        /// Line of the list, from 1.
        line: usize,
        /// The line.
        text: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A dimension is no expression.
    #[error("line {line}: {source}")]
    Dimension {
        /// Line of the list, from 1.
        line: usize,
        /// What is wrong.
        source: ExpressionError,
    },
}

/// Every tensor of a list.
///
/// # Errors
/// When a line cannot be read.
pub fn parse(list: &str) -> Result<Vec<Line>, LineError> {
    list.lines()
        .enumerate()
        .map(|(index, text)| (index + 1, text.trim()))
        .filter(|(_, text)| !text.is_empty())
        .map(|(line, text)| parse_line(line, text))
        .collect()
}

/// Which clause the words belong to.
#[derive(Clone, Copy)]
enum Clause {
    None,
    If,
    Unless,
    Beside,
}

fn parse_line(line: usize, text: &str) -> Result<Line, LineError> {
    let form = |problem| LineError::Form { line, text: text.to_owned(), problem };
    let (name, rest) = text.split_once('[').ok_or_else(|| form("no [dimensions]"))?;
    let (dims, words) = rest.split_once(']').ok_or_else(|| form("the [ is never closed"))?;
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(form("a name without spaces must come first"));
    }
    let shape = dims
        .split(',')
        .map(Expression::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| LineError::Dimension { line, source })?;
    if shape.len() > 4 {
        return Err(form("more than four dimensions"));
    }
    let mut parsed = Line {
        name: name.to_owned(),
        shape,
        f32: false,
        keep: false,
        table: false,
        loaded: false,
        twice: false,
        when: Vec::new(),
        unless: Vec::new(),
        beside: Vec::new(),
    };
    let mut clause = Clause::None;
    for word in words.split_whitespace() {
        match (word, clause) {
            ("if", _) => clause = Clause::If,
            ("unless", _) => clause = Clause::Unless,
            ("beside", _) => clause = Clause::Beside,
            (word, Clause::If) => parsed.when.push(word.to_owned()),
            (word, Clause::Unless) => parsed.unless.push(word.to_owned()),
            (word, Clause::Beside) => parsed.beside.push(word.to_owned()),
            ("f32", Clause::None) => parsed.f32 = true,
            ("keep", Clause::None) => parsed.keep = true,
            ("table", Clause::None) => parsed.table = true,
            ("loaded", Clause::None) => parsed.loaded = true,
            ("twice", Clause::None) => parsed.twice = true,
            _ => {
                return Err(form(
                    "after the dimensions come f32, keep, table, loaded, twice, if …, unless … and beside …",
                ));
            }
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_name_shape_and_conditions() {
        let lines = parse(
            "\nattn_k.weight [hidden, kv_heads*head_dim] f32 if full qk unless shared wide\n",
        )
        .unwrap();
        let [line] = &lines[..] else { panic!("one line") };
        assert_eq!(line.name, "attn_k.weight");
        assert_eq!(line.shape[1].to_string(), "(kv_heads*head_dim)");
        assert!(line.f32 && !line.keep);
        assert_eq!((line.when.len(), line.unless.len()), (2, 2));
    }

    #[test]
    fn what_is_no_line_names_the_line() {
        let said = ["x hidden", "x [hidden", "[hidden]", "x [a+]", "x [a] f16", "x [a,b,c,d,e]"]
            .map(|text| parse(&format!("ok [1]\n{text}")).unwrap_err().to_string())
            .join("\n");
        insta::assert_snapshot!(said, @"
        line 2: `x hidden`: no [dimensions]
        line 2: `x [hidden`: the [ is never closed
        line 2: `[hidden]`: a name without spaces must come first
        line 2: cannot read `a+` as an expression at ``
        line 2: `x [a] f16`: after the dimensions come f32, keep, table, loaded, twice, if …, unless … and beside …
        line 2: `x [a,b,c,d,e]`: more than four dimensions
        ");
    }
}
