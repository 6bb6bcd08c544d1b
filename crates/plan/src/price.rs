//! The price policy: what an item costs here, as of a day.
//!
//! 1. Only observations that had certainly been made by that day count.
//! 2. The region's own price wins while it is younger than [`FRESH_DAYS`] days: the newest day's
//!    lowest offer.
//! 3. Otherwise the newest observation anywhere, converted with a dated rate to what it costs
//!    landed here: net price, freight, VAT and clearance. It is marked derived, and what the stale
//!    regional price said is kept beside it. If the newest observation is the region's own, it is
//!    used as it is and marked stale.
//! 4. The spread of what sources say at about the same time is shown, and the age always.
//! 5. What is sold new is priced new; what is no longer made is priced used, where used goods are
//!    accepted, unless somebody still had it new within [`FRESH_DAYS`].
//! 6. What cannot be converted gives way to what can, and is said. What has no usable observation
//!    has no price: the reason is said, nothing is filled in.
//! 7. Several of one offer from abroad, and all that one shop there sends, come in one parcel: freight
//!    and clearance are paid once (`parcel.rs`). An average is no offer.
//! 8. An old price of a memory kit or an SSD is raised to what a gigabyte of its kind costs now, where
//!    a base system is chosen (`build.rs`).

mod landing;
mod parcel;

use std::cmp::Ordering;

use localrig_facts::gpu::Status;
use localrig_facts::price::{Condition, Observation, PriceKind};
use localrig_facts::region::Region;
use localrig_facts::shop::{Shop, Tier};
use localrig_facts::system::{System, Variant};
use localrig_facts::{Catalog, CatalogError, Date, Id, Money};
use serde::Serialize;

use self::landing::NotLanded;
pub(crate) use self::parcel::share_parcels;
pub use self::parcel::{Parcel, SharedParcel};

/// A regional price older than this gives way to newer observations from elsewhere.
pub const FRESH_DAYS: i32 = 60;

/// Observations this close to the one used count as "at the same time".
pub const SPREAD_DAYS: i32 = 60;

/// Where and when one buys.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    /// The facts.
    pub catalog: &'a Catalog,
    /// Short id of the region.
    pub region_id: &'a str,
    /// The region.
    pub region: &'a Region,
    /// The day.
    pub date: Date,
}

/// How a price came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PriceBasis {
    /// Asked in this region within the last [`FRESH_DAYS`] days.
    Regional,
    /// Asked in this region, longer ago.
    Stale,
    /// Asked elsewhere, converted to what it costs landed here.
    Derived,
    /// Seen long ago, raised to what goods of its kind cost now.
    Raised,
}

impl PriceBasis {
    /// The word used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Regional => "observed",
            Self::Stale => "stale",
            Self::Derived => "derived",
            Self::Raised => "raised",
        }
    }
}

/// What an item costs.
#[derive(Clone, Debug, Serialize)]
pub struct Price {
    /// The item.
    pub item: Id,
    /// The variant of a system.
    pub variant: Option<String>,
    /// The product as the source names it.
    pub product: String,
    /// What one unit costs here, tax included.
    pub amount: Money,
    /// What of it is paid once for a parcel; absent where nothing is, or nobody says who sends it.
    pub parcel: Option<Parcel>,
    /// The parcel it comes in, so that it pays for none of its own.
    pub shared: Option<SharedParcel>,
    /// The least and most it may cost: range of the observation, freight and clearance.
    pub low: Money,
    /// See `low`.
    pub high: Money,
    /// How the price came about.
    pub basis: PriceBasis,
    /// New or used.
    pub condition: Condition,
    /// Whether somebody offered it, or it is an average, a list price or an estimate.
    pub kind: PriceKind,
    /// When it was seen.
    pub date: String,
    /// Greatest possible age in days.
    pub age_days: i32,
    /// What was asked, before conversion.
    pub asked: Money,
    /// Who asked it.
    pub shop: String,
    /// Short id of the shop.
    pub shop_id: String,
    /// What kind of seller it is; absent where nobody is named.
    pub tier: Option<Tier>,
    /// The product's page, or the shop's.
    pub link: Option<String>,
    /// Who reports it.
    pub source: String,
    /// How it was converted, step by step.
    pub derivation: Option<String>,
    /// Least and most that sources said at about the same time, converted alike.
    pub spread: Option<[Money; 2]>,
    /// The region's own last price, where it was too old.
    pub stale_regional: Option<StalePrice>,
    /// Remark of the source.
    pub note: Option<String>,
}

impl Price {
    /// The price as high as goods of its kind are now, where it was seen too long ago: the old one
    /// stays as the least.
    pub(crate) fn raise(&mut self, today: Money, rate: &str) {
        let was = self.amount.whole();
        let seen = format!("{was} of {}, raised to {} {rate}", self.date, today.currency);
        self.derivation = Some(match self.derivation.take() {
            Some(before) => format!("{before}: {seen}"),
            None => seen,
        });
        self.amount = today;
        if self.high.minor < today.minor {
            self.high = today;
        }
        self.basis = PriceBasis::Raised;
    }
}

/// A regional price that was too old to use.
#[derive(Clone, Debug, Serialize)]
pub struct StalePrice {
    /// What was asked.
    pub amount: Money,
    /// When.
    pub date: String,
    /// Greatest possible age in days.
    pub age_days: i32,
}

/// Why an item has no price.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoPrice {
    /// Nobody was seen asking a price by that day.
    #[error("no price of {item} was seen by {date}")]
    NeverSeen {
        /// The item, with its variant.
        item: String,
        /// The day.
        date: String,
    },
    /// It was seen only used, and used goods are not wanted; or the other way round.
    #[error("{item} was seen only {seen} by {date}")]
    OtherCondition {
        /// The item, with its variant.
        item: String,
        /// What it was seen as.
        seen: String,
        /// The day.
        date: String,
    },
    /// Shops do not sell it new: it is no longer made, or goes through integrators alone; and nobody
    /// was seen selling it used.
    #[error(
        "{item} is not sold new by shops (last seen at {amount} on {seen}); no price of a used one was seen by {date}"
    )]
    NoLongerNew {
        /// The item, with its variant.
        item: String,
        /// What it cost here new, as of the last price.
        amount: String,
        /// When that was seen.
        seen: String,
        /// The day.
        date: String,
    },
    /// There is no exchange rate known by that day.
    #[error(
        "the newest price of {item}, {asked}, cannot be converted: no rate for {currency} was known by {date}"
    )]
    NoRate {
        /// The item, with its variant.
        item: String,
        /// What was asked.
        asked: String,
        /// The currency.
        currency: String,
        /// The day.
        date: String,
    },
    /// What bringing it into the region costs is not known.
    #[error(
        "the newest price of {item}, {asked}, cannot be landed: missing fact: {fact} of region/{region}"
    )]
    NoImport {
        /// The item, with its variant.
        item: String,
        /// What was asked.
        asked: String,
        /// The fact.
        fact: String,
        /// The region.
        region: String,
    },
    /// A catalog file is broken.
    #[error("{message}")]
    Catalog {
        /// What is wrong.
        message: String,
    },
}

impl From<CatalogError> for NoPrice {
    fn from(error: CatalogError) -> Self {
        Self::Catalog { message: error.to_string() }
    }
}

/// Which goods are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goods {
    /// New.
    New,
    /// Used, refurbished or listings that mix both.
    Used,
}

impl Goods {
    fn takes(self, condition: Condition) -> bool {
        match condition {
            Condition::New => self == Self::New,
            Condition::Refurbished | Condition::Used => self == Self::Used,
            // An average over both counts for either, but gives way to a plain figure of its time.
            Condition::Mixed => true,
            // Modified cards without warranty are never priced into an answer.
            Condition::Grey => false,
        }
    }
}

impl Market<'_> {
    /// The price of an item, new or used.
    ///
    /// # Errors
    /// When there is no usable observation; the reason is in the error.
    pub fn price(&self, item: &Id, variant: Option<&str>, goods: Goods) -> Result<Price, NoPrice> {
        let name = || match variant {
            Some(variant) => format!("{item}:{variant}"),
            None => item.to_string(),
        };
        let seen: Vec<&Observation> = self
            .catalog
            .prices()?
            .iter()
            .filter(|one| one.row.item == *item && one.row.variant.as_deref() == variant)
            .filter(|one| is_usable(one.row.kind) && one.row.known_by(self.date))
            .collect();
        let wanted: Vec<&Observation> =
            seen.iter().copied().filter(|one| goods.takes(one.row.condition)).collect();
        if wanted.is_empty() {
            let date = self.date.to_string();
            let Some(other) = seen.first() else {
                return Err(NoPrice::NeverSeen { item: name(), date });
            };
            let seen = other.row.condition.word().to_owned();
            return Err(NoPrice::OtherCondition { item: name(), seen, date });
        }
        // What cannot be converted is no price while something else is, but it is said.
        let (mut usable, barred): (Vec<&Observation>, Vec<&Observation>) =
            wanted.into_iter().partition(|one| self.landed(one).is_ok());
        if usable.is_empty() {
            usable.clone_from(&barred);
        }
        let wanted = usable;
        let regional = wanted.iter().copied().filter(|one| one.region == self.region_id);
        let fresh =
            self.best(regional.clone().filter(|one| one.row.age_days(self.date) < FRESH_DAYS));
        let used = fresh.or_else(|| self.best(wanted.iter().copied()));
        let Some(used) = used else {
            return Err(NoPrice::NeverSeen { item: name(), date: self.date.to_string() });
        };
        let landed = self.landed(used).map_err(|why| match why {
            NotLanded::Rate(currency) => NoPrice::NoRate {
                item: name(),
                asked: used.row.money().to_string(),
                currency: currency.to_string(),
                date: self.date.to_string(),
            },
            NotLanded::Import(fact) => NoPrice::NoImport {
                item: name(),
                asked: used.row.money().to_string(),
                fact,
                region: self.region_id.to_owned(),
            },
        })?;
        let basis = match (used.region == self.region_id, fresh.is_some()) {
            (true, true) => PriceBasis::Regional,
            (true, false) => PriceBasis::Stale,
            (false, _) => PriceBasis::Derived,
        };
        let stale_regional = (basis == PriceBasis::Derived)
            .then(|| self.best(regional))
            .flatten()
            .map(|one| StalePrice {
                amount: one.row.money(),
                date: one.row.date.to_string(),
                age_days: one.row.age_days(self.date),
            });
        let newer = barred.into_iter().filter(|one| self.order(one, used).is_gt());
        let newer = newer.max_by(|a, b| self.order(a, b)).map(|one| {
            let (asked, day) = (one.row.money(), one.row.date);
            format!("asked at {asked} elsewhere on {day}, which cannot be converted")
        });
        let notes = [used.row.note.clone(), newer];
        let note = notes.into_iter().flatten().reduce(|all, one| format!("{all}; {one}"));
        let (shop, link) = self.shop(used)?;
        let source = self.catalog.price_sources()?.get(&used.row.source);
        Ok(Price {
            item: item.clone(),
            variant: variant.map(str::to_owned),
            product: used.row.product.clone(),
            amount: landed.amount,
            // Who sells an average is not one seller.
            parcel: landed.parcel.filter(|_| used.row.kind != PriceKind::Market),
            shared: None,
            low: landed.low,
            high: landed.high,
            basis,
            condition: used.row.condition,
            kind: used.row.kind,
            date: used.row.date.to_string(),
            age_days: used.row.age_days(self.date),
            asked: used.row.money(),
            shop,
            shop_id: used.row.shop.clone(),
            tier: self.catalog.get_in::<Shop>(&used.row.shop).ok().map(|(_, shop)| shop.tier),
            link,
            source: source
                .map_or_else(|| used.row.source.clone(), localrig_facts::Source::describe),
            derivation: landed.derivation,
            spread: self.spread(used, &wanted),
            stale_regional,
            note,
        })
    }

    /// The observation to use: the newest, or a plain one not much older where the newest mixes new
    /// and used goods.
    fn best<'o>(
        &self,
        seen: impl Iterator<Item = &'o Observation> + Clone,
    ) -> Option<&'o Observation> {
        let newest = seen.clone().max_by(|a, b| self.order(a, b))?;
        let day = newest.row.date.earliest();
        seen.filter(|one| one.row.condition != Condition::Mixed)
            .filter(|one| day.days_since(one.row.date.earliest()) <= SPREAD_DAYS)
            .max_by(|a, b| self.order(a, b))
            .or(Some(newest))
    }

    /// Later observations rank higher, then better kinds, then what is cheaper here.
    fn order(&self, a: &Observation, b: &Observation) -> Ordering {
        let plain = |one: &Observation| {
            let kind = match one.row.kind {
                PriceKind::Offer => 3,
                PriceKind::Market => 2,
                PriceKind::List => 1,
                _ => 0,
            };
            (one.row.date.earliest(), kind)
        };
        let here = |one| self.landed(one).map_or(i64::MAX, |landed| landed.amount.minor);
        plain(a).cmp(&plain(b)).then_with(|| here(b).cmp(&here(a)))
    }

    /// What one would pay for an item: its price new if it is sold new, else used if used goods are
    /// accepted.
    ///
    /// # Errors
    /// When there is no usable observation of it in that condition.
    pub fn offer(
        &self,
        item: &Id,
        variant: Option<&str>,
        sold_new: bool,
        used_accepted: bool,
    ) -> Result<Price, NoPrice> {
        let new = self.price(item, variant, Goods::New);
        match new {
            // Old stock of what is no longer made goes fast: only a fresh price counts.
            Ok(price) if sold_new || price.age_days < FRESH_DAYS => return Ok(price),
            _ => {}
        }
        if !used_accepted {
            return new.and_then(|price| {
                Err(NoPrice::OtherCondition {
                    item: item.to_string(),
                    seen: format!("new, {} days ago, and is no longer sold", price.age_days),
                    date: self.date.to_string(),
                })
            });
        }
        let used = self.price(item, variant, Goods::Used);
        used.or_else(|error| match new {
            new if sold_new => new,
            Ok(last) => Err(NoPrice::NoLongerNew {
                item: variant.map_or_else(|| item.to_string(), |one| format!("{item}:{one}")),
                amount: last.amount.whole().to_string(),
                seen: last.date,
                date: self.date.to_string(),
            }),
            Err(_) => Err(error),
        })
    }

    /// What one would pay for a system in a configuration: new while it is sold, which it was until
    /// the day it was withdrawn; else used if used goods are accepted.
    ///
    /// # Errors
    /// As [`Self::offer`].
    pub fn offer_of(
        &self,
        id: &Id,
        system: &System,
        variant: &Variant,
        used_accepted: bool,
    ) -> Result<Price, NoPrice> {
        let status = variant.status.as_ref().unwrap_or(&system.status);
        let sold_new = match variant.withdrawn {
            Some(day) => day.latest() > self.date,
            None => status.contains(&Status::Retail),
        };
        self.offer(id, Some(&variant.key), sold_new, used_accepted)
    }

    /// What sources said within [`SPREAD_DAYS`] of the observation used; none when they agree.
    fn spread(&self, used: &Observation, wanted: &[&Observation]) -> Option<[Money; 2]> {
        let day = used.row.date.earliest();
        let mut all: Vec<Money> = Vec::new();
        for one in wanted {
            if one.row.date.earliest().days_since(day).abs() > SPREAD_DAYS {
                continue;
            }
            let Ok(landed) = self.landed(one) else {
                continue;
            };
            all.push(landed.amount);
            if let Some(high) = one.row.amount_high {
                let factor = high / one.row.amount;
                all.push(landed.amount.scaled(factor));
            }
        }
        let low = all.iter().min_by_key(|money| money.minor)?;
        let high = all.iter().max_by_key(|money| money.minor)?;
        // Two per cent is noise of rates and freight.
        (high.minor as f64 > low.minor as f64 * 1.02).then_some([*low, *high])
    }

    /// Name of the shop, and the best link: the product's page, else the shop's.
    fn shop(&self, one: &Observation) -> Result<(String, Option<String>), CatalogError> {
        let shop = self.catalog.get_in::<Shop>(&one.row.shop).ok().map(|(_, shop)| shop);
        let name = shop.map_or_else(|| one.row.shop.clone(), |shop| shop.name.clone());
        let source = self.catalog.price_sources()?.get(&one.row.source);
        let link = one
            .row
            .link
            .clone()
            .or_else(|| source.and_then(|source| source.url.clone()))
            .or_else(|| shop.and_then(|shop| shop.url.clone()));
        Ok((name, link))
    }
}

/// Totals and bounds are not prices of an item.
const fn is_usable(kind: PriceKind) -> bool {
    matches!(kind, PriceKind::Offer | PriceKind::Market | PriceKind::List | PriceKind::Estimate)
}
