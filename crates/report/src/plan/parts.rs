//! Parts with their prices, and what is to be said of these.

use localrig_facts::price::PriceKind;
use localrig_plan::answer::{Part, RankedMachine};
use localrig_plan::price::{PriceBasis, SharedParcel};

use super::Extent;
use crate::number::{from_to, money};
use crate::page::{Table, Text};
use crate::price::{asked, is_page};

/// Parts with their prices.
pub(crate) fn part_table(parts: &[Part]) -> Table {
    table_of(parts, false)
}

/// The parts of a machine; how prices were converted where that is asked for.
pub(crate) fn parts(machine: &RankedMachine, extent: Extent) -> Table {
    table_of(&machine.parts, extent.explain)
}

fn table_of(parts: &[Part], explain: bool) -> Table {
    let mut table = Table::new(&["part", ">price", "seen", "shop", "basis", "where"]);
    for part in parts {
        let name = if part.count == 1 {
            format!("{}: {}", part.role, part.name)
        } else {
            format!("{}: {}x {}", part.role, part.count, part.name)
        };
        let Some(price) = &part.price else {
            let missing = part.no_price.as_ref().map_or_else(String::new, ToString::to_string);
            table.row([
                name.into(),
                "no price".into(),
                "".into(),
                "".into(),
                missing.into(),
                Text::default(),
            ]);
            continue;
        };
        let amount = part.amount.map_or_else(String::new, money);
        let place = price.link.clone().map_or_else(
            || Text::from("no link"),
            |link| Text::default().link(if is_page(&link) { "offer" } else { "shop" }, link),
        );
        let basis = match price.condition {
            localrig_facts::price::Condition::New => price.basis.word().to_owned(),
            other => format!("{}, {}", price.basis.word(), other.word()),
        };
        let basis = match (&price.derivation, explain) {
            (Some(derivation), true) => format!("{basis}: {derivation}"),
            _ => basis,
        };
        table.row([
            name.into(),
            amount.into(),
            price.date.clone().into(),
            match price.kind {
                PriceKind::Offer => price.shop.clone(),
                kind => format!("{} ({})", price.shop, kind.words()),
            }
            .into(),
            basis.into(),
            place,
        ]);
    }
    table
}

/// What else is to be said of a price: where sources disagree, and what was too old to use.
pub(crate) fn price_remark(part: &Part) -> Option<Text> {
    let price = part.price.as_ref()?;
    let mut said = Vec::new();
    if let Some(derivation) = &price.derivation {
        said.push(format!("{}: {derivation}", asked(price)));
    }
    if let Some(parcel) = price.parcel.filter(|_| part.count > 1) {
        let each = money(parcel.amount);
        said.push(format!(
            "{} in one parcel, which saves {each} for each after the first",
            part.count
        ));
    }
    if let Some(SharedParcel { of: other, .. }) = &price.shared {
        said.push(format!(
            "in one parcel with {other}, so without freight and clearance of its own"
        ));
    }
    said.extend(price.note.clone());
    // A shop's front door is no place where the figure stands.
    if !price.link.as_deref().is_some_and(is_page) {
        said.push(format!("reported by \"{}\"", price.source));
    }
    if price.basis != PriceBasis::Regional {
        said.push(format!("{} days old", price.age_days));
    }
    if let Some([low, high]) = price.spread {
        said.push(format!("sources say {}", from_to(money(low), money(high))));
    }
    if let Some(stale) = &price.stale_regional {
        said.push(format!("in the region last seen at {} on {}", money(stale.amount), stale.date));
    }
    (!said.is_empty()).then(|| {
        let text = Text::from(format!("{}: {}", part.name, said.join("; ")));
        match &part.search {
            Some(search) => text.plain("; ").link("today's offers", search),
            None => text,
        }
    })
}
