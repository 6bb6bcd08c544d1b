//! Layer patterns: which kind of layer stands where.
//!
//! A pattern is a row of layers, repeated from the start when it is shorter than the model:
//! `sliding*5 full` is five sliding-window layers and one full one, over and over. Tags joined by
//! `+` belong to one layer (`full+recurrent`: attention and state space side by side). A word after
//! `:` fixes the feed-forward part (`recurrent:none`); without it the model's numbers decide.

/// A layer as its pattern writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Tags, without the feed-forward part.
    pub tags: Vec<String>,
    /// The feed-forward part, if the pattern fixes it: `dense`, `moe` or `none`.
    pub ffn: Option<String>,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read `{word}` in a layer pattern; write tags joined by `+`, then `:ffn`, then `*count`"
)]
pub struct PatternError {
    /// The word.
    pub word: String,
}

/// More layers than any model has: a guard against a slipped digit that would fill memory.
const MOST_LAYERS: u64 = 10_000;

/// The kind of each of `layers` layers.
///
/// # Errors
/// When the pattern is empty or a word in it cannot be read.
pub fn expand(pattern: &str, layers: u64) -> Result<Vec<LayerKind>, PatternError> {
    let error = |word: &str| PatternError { word: word.to_owned() };
    let mut row: Vec<LayerKind> = Vec::new();
    for word in pattern.split_whitespace() {
        let (kind, count) = match word.split_once('*') {
            None => (word, 1),
            Some((kind, count)) => {
                let count: u64 = count.parse().map_err(|_| error(word))?;
                (kind, count)
            }
        };
        let (tags, ffn) = match kind.split_once(':') {
            None => (kind, None),
            Some((tags, ffn)) => (tags, Some(ffn.to_owned())),
        };
        let is_tag = |tag: &str| {
            !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        if !tags.split('+').all(is_tag)
            || ffn.as_deref().is_some_and(|ffn| !["dense", "moe", "none"].contains(&ffn))
            || !(1..=MOST_LAYERS).contains(&count)
        {
            return Err(error(word));
        }
        let tags = tags.split('+').filter(|tag| *tag != "none").map(str::to_owned).collect();
        let kind = LayerKind { tags, ffn };
        row.extend(std::iter::repeat_n(kind, count as usize));
    }
    if row.is_empty() || layers > MOST_LAYERS {
        return Err(error(pattern));
    }
    Ok(row.into_iter().cycle().take(layers as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pattern: &str, layers: u64) -> String {
        let kinds = expand(pattern, layers).unwrap();
        let words = kinds.iter().map(|kind| {
            let ffn = kind.ffn.as_ref().map(|ffn| format!(":{ffn}")).unwrap_or_default();
            format!("{}{ffn}", kind.tags.join("+"))
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_short_pattern_repeats() {
        assert_eq!(
            written("sliding*2 full", 7),
            "sliding sliding full sliding sliding full sliding"
        );
        assert_eq!(written("recurrent:none none:moe", 3), "recurrent:none :moe recurrent:none");
        assert_eq!(written("full+recurrent", 2), "full+recurrent full+recurrent");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in
            ["", "full*0", "full*x", "Full", "full:both", "full**2", "+full", "full*99999999"]
        {
            assert!(expand(pattern, 4).is_err(), "{pattern}");
        }
    }
}
