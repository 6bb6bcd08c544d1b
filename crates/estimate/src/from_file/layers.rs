//! The order of layers, as a catalog entry writes it.

use crate::architecture::pattern;

/// Layers as a pattern with runs folded, or `None` when the family's own pattern says the same.
pub(super) fn written(
    layers: &[String],
    family: &str,
    count: u64,
) -> Result<Option<String>, String> {
    if layers.is_empty() {
        return Ok(None);
    }
    let own = folded(layers);
    let same = |text: &str| pattern::expand(text, count).map_err(|error| error.to_string());
    if same(&own)? == same(family)? { Ok(None) } else { Ok(Some(own)) }
}

/// `full full sliding` as `full*2 sliding`.
fn folded(layers: &[String]) -> String {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for layer in layers {
        match runs.last_mut() {
            Some((last, count)) if last == layer => *count += 1,
            _ => runs.push((layer, 1)),
        }
    }
    let words = runs.into_iter().map(|(layer, count)| match count {
        1 => layer.to_owned(),
        _ => format!("{layer}*{count}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The tags of each layer under a family's own pattern.
pub(super) fn of_family(family: &str, count: u64) -> Vec<String> {
    let kinds = pattern::expand(family, count).unwrap_or_default();
    let word = |kind: pattern::LayerKind| {
        let tags = if kind.tags.is_empty() { "none".to_owned() } else { kind.tags.join("+") };
        match kind.ffn {
            Some(ffn) => format!("{tags}:{ffn}"),
            None => tags,
        }
    };
    kinds.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_folded_and_the_familys_own_order_is_left_out() {
        let layers: Vec<String> =
            ["sliding", "sliding", "full", "full:none"].map(str::to_owned).to_vec();
        assert_eq!(folded(&layers), "sliding*2 full full:none");
        let own = of_family("sliding*2 full", 7);
        assert_eq!(written(&own, "sliding*2 full", 7), Ok(None));
        assert_eq!(written(&layers, "sliding", 4), Ok(Some("sliding*2 full full:none".to_owned())));
    }
}
