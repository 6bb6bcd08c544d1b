//! What was not ranked: machines without a price, and those outside a limit.

use localrig_plan::answer::PlanAnswer;

use super::{Extent, sentence_case};
use crate::number::money;
use crate::page::{Page, Text};

/// The sections about machines that were not ranked.
pub(crate) fn rejections(page: &mut Page, answer: &PlanAnswer, extent: Extent) {
    if !answer.unpriced.is_empty() {
        page.heading(2, "Not ranked: a price is missing");
        let shown = answer.unpriced.iter().take(extent.rows.max(extent.rejected));
        let mut items: Vec<Text> = shown
            .map(|one| {
                let parts = if one.priced_parts.minor > 0 {
                    format!(" (its other parts: {})", money(one.priced_parts))
                } else {
                    String::new()
                };
                Text::from(format!("{}{parts}: {}", one.name, one.missing.join("; ")))
            })
            .collect();
        let more = answer.unpriced.len().saturating_sub(items.len());
        if more > 0 {
            items.push(Text::from(format!("and {more} more {}", extent.rest)));
        }
        page.list(items);
    }
    if answer.rejected.is_empty() {
        return;
    }
    page.heading(2, "Rejected, because");
    for group in &answer.rejected {
        page.heading(3, format!("{} ({})", sentence_case(group.reason), group.machines.len()));
        let everything = extent.rejected >= group.machines.len();
        let apart = group.machines.iter().filter(|one| everything || one.same_as.is_none());
        let (mut items, mut told_of) = (Vec::new(), 0);
        for one in apart.take(extent.rejected) {
            let alike = group
                .machines
                .iter()
                .filter(|other| !everything && other.same_as.as_ref() == Some(&one.key));
            let alike = alike.count();
            told_of += 1 + alike;

            // Over budget it is the cost that decides.
            let told = |cost: &localrig_facts::Money| !one.decided_by.starts_with(&money(*cost));
            let cost = one.cost.filter(told);
            let cost = cost.map_or_else(String::new, |cost| format!(" ({})", money(cost)));
            let alike = match alike {
                0 => String::new(),
                1 => "; so is 1 more with the same accelerators".to_owned(),
                alike => format!("; so are {alike} more with the same accelerators"),
            };
            items.push(Text::from(format!("{}{cost}: {}{alike}", one.name, one.decided_by)));
        }
        let more = group.machines.len().saturating_sub(told_of);
        if more > 0 {
            items.push(Text::from(format!("and {more} more {}", extent.rest)));
        }
        page.list(items);
    }
}
