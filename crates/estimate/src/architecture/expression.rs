//! Whole-number expressions over named dimensions: `2*key_width + value_width`.

use std::fmt;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A number.
    Number(u64),
    /// A dimension.
    Name(String),
    /// Two expressions joined by an operator.
    Operation(Box<Expression>, Operator, Box<Expression>),
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Whole-number quotient, rounded down.
    Divide,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// It cannot be read.
    #[error("cannot read `{text}` as an expression at `{rest}`")]
    Syntax {
        /// The whole expression.
        text: String,
        /// From where on.
        rest: String,
    },
    /// A dimension is not given.
    #[error("dimension `{name}` is missing")]
    MissingDimension {
        /// Its name.
        name: String,
    },
    /// The value is negative, divides by zero or does not fit 64 bits.
    #[error("`{text}` has no whole-number value")]
    Value {
        /// The expression.
        text: String,
    },
}

/// How deeply parentheses may nest: files are small, input may be hostile.
const DEPTH: u32 = 32;

impl Expression {
    /// Reads an expression of numbers, names, `+ - * /` and parentheses.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut rest = text.trim();
        let parsed = sum(&mut rest, DEPTH);
        match parsed {
            Some(expression) if rest.is_empty() => Ok(expression),
            _ => Err(ExpressionError::Syntax { text: text.to_owned(), rest: rest.to_owned() }),
        }
    }

    /// Its value, with dimensions looked up by `of`.
    ///
    /// # Errors
    /// When a dimension is missing or the arithmetic leaves the whole numbers.
    pub fn value<F>(&self, of: &F) -> Result<u64, ExpressionError>
    where
        F: Fn(&str) -> Result<Option<u64>, ExpressionError>,
    {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Name(name) => {
                of(name)?.ok_or_else(|| ExpressionError::MissingDimension { name: name.clone() })
            }
            Self::Operation(left, operator, right) => {
                let (a, b) = (left.value(of)?, right.value(of)?);
                match operator {
                    Operator::Add => a.checked_add(b),
                    Operator::Subtract => a.checked_sub(b),
                    Operator::Multiply => a.checked_mul(b),
                    Operator::Divide => a.checked_div(b),
                }
                .ok_or_else(|| ExpressionError::Value { text: self.to_string() })
            }
        }
    }

    /// Every name in it.
    pub fn names<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Self::Number(_) => {}
            Self::Name(name) => found.push(name),
            Self::Operation(left, _, right) => {
                left.names(found);
                right.names(found);
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
            Self::Operation(left, operator, right) => {
                let sign = match operator {
                    Operator::Add => '+',
                    Operator::Subtract => '-',
                    Operator::Multiply => '*',
                    Operator::Divide => '/',
                };
                write!(f, "({left}{sign}{right})")
            }
        }
    }
}

fn sum(rest: &mut &str, depth: u32) -> Option<Expression> {
    let mut left = product(rest, depth)?;
    while let Some(sign) = take(rest, ['+', '-']) {
        let operator = if sign == '+' { Operator::Add } else { Operator::Subtract };
        left = Expression::Operation(Box::new(left), operator, Box::new(product(rest, depth)?));
    }
    Some(left)
}

fn product(rest: &mut &str, depth: u32) -> Option<Expression> {
    let mut left = factor(rest, depth)?;
    while let Some(sign) = take(rest, ['*', '/']) {
        let operator = if sign == '*' { Operator::Multiply } else { Operator::Divide };
        left = Expression::Operation(Box::new(left), operator, Box::new(factor(rest, depth)?));
    }
    Some(left)
}

fn factor(rest: &mut &str, depth: u32) -> Option<Expression> {
    if take(rest, ['(', '(']).is_some() {
        let inner = sum(rest, depth.checked_sub(1)?)?;
        take(rest, [')', ')'])?;
        return Some(inner);
    }
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    if word.is_empty() {
        return None;
    }
    let parsed = if word.starts_with(|c: char| c.is_ascii_digit()) {
        Expression::Number(word.parse().ok()?)
    } else {
        Expression::Name(word.to_owned())
    };
    *rest = after.trim_start();
    Some(parsed)
}

/// Takes one of two characters from the front.
fn take(rest: &mut &str, wanted: [char; 2]) -> Option<char> {
    let first = rest.chars().next().filter(|c| wanted.contains(c))?;
    *rest = rest[1..].trim_start();
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Result<u64, ExpressionError> {
        Expression::parse(text)?.value(&|name| {
            Ok(match name {
                "heads" => Some(8),
                "head_dim" => Some(64),
                _ => None,
            })
        })
    }

    #[test]
    fn products_bind_before_sums() {
        assert_eq!(value("2 + heads*head_dim - 4/2"), Ok(512));
        assert_eq!(value("(2+heads) * head_dim"), Ok(640));
        assert_eq!(value("heads*head_dim/3"), Ok(170));
    }

    #[test]
    fn what_has_no_value_says_why() {
        let said =
            ["heads*", "heads head_dim", "kv_heads", "heads-9", "1/0", "(", "18446744073709551616"]
                .map(|text| value(text).unwrap_err().to_string())
                .join("\n");
        insta::assert_snapshot!(said, @"
        cannot read `heads*` as an expression at ``
        cannot read `heads head_dim` as an expression at `head_dim`
        dimension `kv_heads` is missing
        `(heads-9)` has no whole-number value
        `(1/0)` has no whole-number value
        cannot read `(` as an expression at ``
        cannot read `18446744073709551616` as an expression at `18446744073709551616`
        ");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9+*/() -]{0,60}") {
            let _ = value(&text);
        }

        #[test]
        fn what_is_printed_reads_back_the_same(a in 0..1000_u64, b in 1..1000_u64) {
            let text = format!("{a}+heads*({b}-1)");
            let parsed = Expression::parse(&text).unwrap();
            prop_assert_eq!(Expression::parse(&parsed.to_string()).unwrap(), parsed);
        }
    }
}
