//! Amounts of money as shops write them: `CHF 7'691.00`, `1’234.–`, `CHF 1,234.50`.

use crate::money::Currency;

/// An amount with the currency written beside it, if any.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The amount.
    pub amount: f64,
    /// The currency as written: `CHF`, `€`. `None` when none stands beside the figure.
    pub currency: Option<String>,
}

/// A text that is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// There is no figure in it.
    #[error("no amount in `{text}`")]
    NoFigure {
        /// The text.
        text: String,
    },
    /// The separators can be read in two ways: `1.234`.
    #[error("`{text}` can be read in two ways")]
    Ambiguous {
        /// The text.
        text: String,
    },
    /// Zero or negative: no price.
    #[error("`{text}` is no price")]
    NotPositive {
        /// The text.
        text: String,
    },
}

/// Reads one amount.
///
/// # Errors
/// When the text has no figure, its separators are ambiguous, or the amount is not above zero.
pub fn parse(text: &str) -> Result<Written, AmountError> {
    all(text).into_iter().next().unwrap_or_else(|| {
        Err(AmountError::NoFigure { text: text.trim().chars().take(40).collect() })
    })
}

/// Every amount in a text that has a currency beside it, in reading order.
pub fn with_currency(text: &str) -> Vec<Written> {
    all(text).into_iter().flatten().filter(|one| one.currency.is_some()).collect()
}

fn all(text: &str) -> Vec<Result<Written, AmountError>> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < chars.len() && belongs(&chars, at) {
            at += 1;
        }
        let before = currency_before(&chars[..start]);
        // `CHF 1 299` and `1 299.00 CHF`: a blank separates thousands where a currency stands beside.
        while let Some(end) = after_blank(&chars, start, at) {
            if before.is_none() && currency_after(&chars[end..]).is_none() {
                break;
            }
            at = end;
        }
        let mut figure: String = chars[start..at].iter().filter(|c| **c != ' ').collect();
        // `1'234.–` and `1'234.-`: the dash stands for no cents, so every point before it separates
        // thousands; and only francs are written so, `439,-` are euros or francs.
        let mut francs = None;
        if figure.ends_with('.') || figure.ends_with(',') {
            let point = figure.pop();
            while at < chars.len() && is_dash(chars[at]) {
                at += 1;
            }
            francs = (point == Some('.')).then(|| "Fr".to_owned());
            let groups: Vec<&str> = figure.split(['.', ',']).collect();
            if groups.len() > 1 && groups[1..].iter().all(|group| group.len() == 3) {
                figure = groups.concat();
            }
        }
        let negative = start > 0
            && is_dash(chars[start - 1])
            && (start < 2 || chars[start - 2].is_whitespace());
        let after = currency_after(&chars[at..]).or(francs);
        let excerpt = || chars[start.saturating_sub(4)..at].iter().collect::<String>();
        let amount = match value(&figure) {
            None => Err(AmountError::Ambiguous { text: excerpt() }),
            Some(value) if negative || value <= 0.0 || !value.is_finite() => {
                Err(AmountError::NotPositive { text: excerpt() })
            }
            Some(value) => Ok(Written { amount: value, currency: before.or(after) }),
        };
        found.push(amount);
    }
    found
}

/// The end of a figure that goes on behind a blank at `at` with three digits, and perhaps cents.
fn after_blank(chars: &[char], start: usize, at: usize) -> Option<usize> {
    let digit = |place: usize| chars.get(place).is_some_and(char::is_ascii_digit);
    let whole = chars[start..at].iter().filter(|c| **c != ' ');
    let few = whole.clone().all(char::is_ascii_digit)
        && (at - start <= 3 || chars[start..at].contains(&' '));
    if !few || chars.get(at) != Some(&' ') || !(at + 1..at + 4).all(digit) || digit(at + 4) {
        return None;
    }
    let mut end = at + 4;
    if matches!(chars.get(end), Some('.' | ',')) {
        let cents = digit(end + 1) && digit(end + 2) && !digit(end + 3);
        let none = chars.get(end + 1).is_some_and(|c| is_dash(*c));
        end += if cents { 3 } else { usize::from(none) };
    }
    // `CHF 90 128 GB`: the second figure is a size.
    let next: String = chars[end..]
        .iter()
        .skip_while(|c| c.is_whitespace() || is_dash(**c))
        .take_while(|c| c.is_ascii_alphanumeric())
        .collect();
    (!UNITS.contains(&next.to_lowercase().as_str())).then_some(end)
}

/// Units that a figure of three digits in a list of parts is often of.
const UNITS: [&str; 16] = [
    "gb", "gib", "tb", "tib", "mb", "mib", "w", "watt", "mm", "cm", "mhz", "ghz", "bit", "mt", "x",
    "tok",
];

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '–' | '—' | '−')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '′')
}

/// Spaces that do not break: they separate thousands.
fn is_hard_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// Whether the character continues a figure: a digit, or a separator followed by one, or the dot
/// before a dash.
fn belongs(chars: &[char], at: usize) -> bool {
    let next = chars.get(at + 1);
    let digit_next = next.is_some_and(char::is_ascii_digit);
    match chars[at] {
        c if c.is_ascii_digit() => true,
        '.' | ',' => digit_next || next.is_some_and(|c| is_dash(*c)),
        c if is_apostrophe(c) => digit_next,
        c if is_hard_space(c) => {
            let group = chars.get(at + 1..at + 4);
            group.is_some_and(|group| group.iter().all(char::is_ascii_digit))
        }
        _ => false,
    }
}

/// The value of a figure whose thousands may be separated; `None` when it is ambiguous.
fn value(figure: &str) -> Option<f64> {
    let grouped = figure.chars().any(|c| is_apostrophe(c) || is_hard_space(c));
    let plain: String =
        figure.chars().filter(|c| !is_apostrophe(*c) && !is_hard_space(*c)).collect();
    let last = plain.rfind(['.', ',']);
    let Some(last) = last else { return plain.parse().ok() };
    let mark = plain[last..].chars().next()?;
    let other = if mark == '.' { ',' } else { '.' };
    let digits_after = plain.len() - last - 1;
    let marks = plain.matches(mark).count();
    let whole = &plain[..last];
    if marks > 1 {
        // Several of the same: all separate thousands.
        let groups: Vec<&str> = plain.split(mark).collect();
        let regular = groups[1..].iter().all(|group| group.len() == 3);
        return (regular && !plain.contains(other)).then(|| groups.concat().parse().ok())?;
    }
    if whole.contains(other) {
        // `7,691.00` and `7.691,00`.
        let groups: Vec<&str> = whole.split(other).collect();
        let regular = groups[1..].iter().all(|group| group.len() == 3);
        return regular
            .then(|| format!("{}.{}", groups.concat(), &plain[last + 1..]).parse().ok())?;
    }
    match digits_after {
        1 | 2 => format!("{whole}.{}", &plain[last + 1..]).parse().ok(),
        // A comma before three digits separates thousands; a dot there may be either.
        3 if mark == ',' && !grouped && whole.len() <= 3 => {
            format!("{whole}{}", &plain[last + 1..]).parse().ok()
        }
        _ => None,
    }
}

fn currency_before(chars: &[char]) -> Option<String> {
    let text: String = chars.iter().collect();
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || is_dash(c));
    let word = |text: &str| -> String {
        let word: String = text.chars().rev().take_while(|c| is_currency_char(*c)).collect();
        word.chars().rev().collect()
    };
    // `Fr. 439`: only of francs the short form has a point.
    match text.strip_suffix('.') {
        Some(text) => currency_word(&word(text)).filter(|word| word.ends_with("Fr")),
        None => currency_word(&word(text)),
    }
}

fn currency_after(chars: &[char]) -> Option<String> {
    let text: String = chars.iter().collect();
    let word: String = text.trim_start().chars().take_while(|c| is_currency_char(*c)).collect();
    currency_word(&word)
}

fn is_currency_char(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '€' | '$' | '£' | '¥')
}

/// A currency sign, an ISO code in capitals, or the Swiss `Fr`.
fn currency_word(word: &str) -> Option<String> {
    let code = word.len() == 3 && word.chars().all(|c| c.is_ascii_uppercase());
    let known = matches!(
        word,
        "€" | "$" | "£" | "¥" | "Fr" | "SFr" | "Franken" | "francs" | "Euro" | "euros"
    );
    // Capitals are common in product names: only real codes count.
    let real = matches!(
        word,
        "CHF"
            | "EUR"
            | "USD"
            | "GBP"
            | "JPY"
            | "CNY"
            | "SEK"
            | "NOK"
            | "DKK"
            | "PLN"
            | "CZK"
            | "HUF"
            | "CAD"
            | "AUD"
            | "INR"
    );
    ((code && real) || known).then(|| word.to_owned())
}

/// The currency of a written code or sign; `None` when the catalog has no prices in it.
pub fn currency(written: &str) -> Option<Currency> {
    match written {
        "CHF" | "Fr" | "SFr" | "Franken" | "francs" => Some(Currency::Chf),
        "EUR" | "€" | "Euro" | "euros" => Some(Currency::Eur),
        "USD" | "$" => Some(Currency::Usd),
        "GBP" | "£" => Some(Currency::Gbp),
        "PLN" => Some(Currency::Pln),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> String {
        match parse(text) {
            Ok(one) => format!("{} {}", one.currency.unwrap_or_default(), one.amount),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn amounts_are_read_as_shops_write_them() {
        let texts = [
            "CHF 7'691.00",
            "1’234.–",
            "CHF 1'234.-",
            "Fr. 99.90",
            "CHF\u{a0}12\u{a0}345.50",
            "7,691.00 CHF",
            "7.691,00 €",
            "CHF 1,234",
            "1'234'567.05",
            "ab CHF 462.4",
            "CHF 7691",
            "Fr. 439.–",
            "SFr. 439.-",
            "439.-",
            "439,-",
            "629 Franken",
            "CHF 1.299.-",
            "CHF 1 299",
            "CHF 12 345 678.-",
            "1 299.00 CHF",
            "RTX 5090 512 GB",
            "CHF 90 128 GB",
        ];
        let read: Vec<String> =
            texts.iter().map(|text| format!("{text} = {}", said(text))).collect();
        insta::assert_snapshot!(read.join("\n"), @"
        CHF 7'691.00 = CHF 7691
        1’234.– = Fr 1234
        CHF 1'234.- = CHF 1234
        Fr. 99.90 = Fr 99.9
        CHF 12 345.50 = CHF 12345.5
        7,691.00 CHF = CHF 7691
        7.691,00 € = € 7691
        CHF 1,234 = CHF 1234
        1'234'567.05 =  1234567.05
        ab CHF 462.4 = CHF 462.4
        CHF 7691 = CHF 7691
        Fr. 439.– = Fr 439
        SFr. 439.- = SFr 439
        439.- = Fr 439
        439,- =  439
        629 Franken = Franken 629
        CHF 1.299.- = CHF 1299
        CHF 1 299 = CHF 1299
        CHF 12 345 678.- = CHF 12345678
        1 299.00 CHF = CHF 1299
        RTX 5090 512 GB =  5090
        CHF 90 128 GB = CHF 90
        ");
    }

    #[test]
    fn what_is_no_price_is_refused() {
        let texts = ["", "auf Anfrage", "CHF –.–", "CHF 0.00", "CHF 1.234", "CHF -5.00"];
        let read: Vec<String> =
            texts.iter().map(|text| format!("{text} = {}", said(text))).collect();
        insta::assert_snapshot!(read.join("\n"), @"
         = no amount in ``
        auf Anfrage = no amount in `auf Anfrage`
        CHF –.– = no amount in `CHF –.–`
        CHF 0.00 = `CHF 0.00` is no price
        CHF 1.234 = `CHF 1.234` can be read in two ways
        CHF -5.00 = `HF -5.00` is no price
        ");
    }

    #[test]
    fn only_figures_with_a_currency_count_in_running_text() {
        let text = "RTX 5090 with 32 GB from CHF 2'224.– to CHF 3'500.–, 12 offers, GPU 4";
        let found: Vec<f64> = with_currency(text).iter().map(|one| one.amount).collect();
        assert_eq!(found, [2224.0, 3500.0]);
    }

    proptest! {
        #[test]
        fn every_amount_survives_swiss_notation(cents in 1_i64..100_000_000) {
            let units = (cents / 100).to_string();
            let mut grouped = String::new();
            for (place, digit) in units.chars().enumerate() {
                if place > 0 && (units.len() - place).is_multiple_of(3) {
                    grouped.push('’');
                }
                grouped.push(digit);
            }
            let read = parse(&format!("CHF {grouped}.{:02}", cents % 100)).unwrap();
            prop_assert_eq!((read.amount * 100.0).round() as i64, cents);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = parse(&text);
            let _ = with_currency(&text);
        }
    }
}
