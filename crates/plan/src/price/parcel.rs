//! Parcels from abroad: freight and clearance are paid once for what one sender sends.

use std::collections::BTreeMap;

use localrig_facts::Money;
use localrig_facts::shop::Tier;
use serde::Serialize;

use super::Price;
use crate::build::Line;

/// Freight with its tax, and clearance: what a parcel costs however much is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parcel {
    /// Least.
    pub low: Money,
    /// What is reckoned with.
    pub amount: Money,
    /// Most.
    pub high: Money,
}

/// The parcel of another part of the same shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedParcel {
    /// The part that pays for it.
    pub of: String,
    /// What one of its own would cost.
    pub saved: Parcel,
}

impl Price {
    /// So many of it, in one parcel if one seller sends them.
    pub fn of(&self, count: u32) -> Money {
        let parcels = self.parcel.map(|one| one.amount.times(count.saturating_sub(1)));
        let all = self.amount.times(count);
        parcels.map_or(all, |parcels| all - parcels)
    }

    /// The same good where it comes in the parcel of another part of the same shop.
    #[must_use]
    fn in_parcel(mut self, other: &str) -> Self {
        if let Some(parcel) = self.parcel.take() {
            self.amount = self.amount - parcel.amount;
            self.low = self.low - parcel.low;
            self.high = self.high - parcel.high;
            self.shared = Some(SharedParcel { of: other.to_owned(), saved: parcel });
        }
        self
    }

    /// The same good in a parcel of its own.
    #[must_use]
    pub(crate) fn alone(mut self) -> Self {
        if let Some(SharedParcel { saved, .. }) = self.shared.take() {
            self.amount += saved.amount;
            self.low += saved.low;
            self.high += saved.high;
            self.parcel = Some(saved);
        }
        self
    }
}

/// Parts that one shop abroad sends come in one parcel: the first bears freight and clearance. A
/// comparison of prices or an average is no sender.
pub(crate) fn share_parcels(lines: &mut [Line]) {
    let sends = |price: &Price| {
        let named = !matches!(price.tier, None | Some(Tier::Observer));
        (named && price.parcel.is_some()).then(|| price.shop_id.clone())
    };
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for line in lines {
        let Ok(price) = &line.price else { continue };
        let Some(shop) = sends(price) else { continue };
        match first.get(&shop) {
            Some(other) => line.price = Ok(price.clone().in_parcel(other)),
            None => {
                first.insert(shop, line.name.clone());
            }
        }
    }
}
