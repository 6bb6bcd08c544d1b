//! What an observation from elsewhere comes to here: net price, rate, freight, VAT and clearance.

use localrig_facts::price::Observation;
use localrig_facts::region::Region;
use localrig_facts::shop::Vat;
use localrig_facts::{Currency, Money, exchange};

use super::{Market, Parcel};

/// An observation as an amount in the region.
pub(super) struct Landed {
    pub(super) amount: Money,
    pub(super) parcel: Option<Parcel>,
    pub(super) low: Money,
    pub(super) high: Money,
    pub(super) derivation: Option<String>,
}

/// What is not known to make an observation an amount in the region.
pub(super) enum NotLanded {
    /// A rate for this currency.
    Rate(Currency),
    /// A fact about imports into the region.
    Import(String),
}

struct Conversion {
    rate: f64,
    note: String,
}

impl Market<'_> {
    /// An observation as an amount in this region, or what is not known to make it one.
    pub(super) fn landed(&self, one: &Observation) -> Result<Landed, NotLanded> {
        let row = &one.row;
        let home = self.region.currency;
        let top = row.amount_high.unwrap_or(row.amount);
        let conversion = self.rate(row.currency).map_err(NotLanded::Rate)?;
        let rate = conversion.rate;
        if one.region == self.region_id {
            let money = |amount: f64| Money::of(amount * rate, home);
            let (amount, high) = (money(row.amount), money(top));
            let derivation = (row.currency != home)
                .then(|| format!("{} * {rate:.4} ({})", row.money(), conversion.note));
            return Ok(Landed { amount, low: amount, high, parcel: None, derivation });
        }
        let missing = |fact: &str| NotLanded::Import(fact.to_owned());
        let vat = self.region.vat_percent.ok_or_else(|| missing("vat_percent"))? / 100.0;
        let import = self.region.import.as_ref().ok_or_else(|| missing("import"))?;
        let freight = import.freight.iter().find(|freight| freight.from == one.region);
        let no_freight = || missing(&format!("import.freight from {}", one.region));
        let (freight, clearance) = (freight.ok_or_else(no_freight)?.cost, import.clearance);
        let (tax_free, duty) = (import.tax_free_up_to, import.duty_percent / 100.0);
        let foreign = self.catalog.get_in::<Region>(&one.region).ok().map(|(_, region)| region);
        let foreign_vat = foreign.and_then(|region| region.vat_percent);
        let (divisor, net) = match (row.vat, foreign_vat) {
            (Vat::Included, Some(vat)) => {
                let divisor = 1.0 + vat / 100.0;
                let net = format!("/ {divisor:.2} (net of {vat} % VAT, if invoiced for export) ");
                (divisor, net)
            }
            // Where the country is not known, neither is its tax: nothing is taken off.
            (Vat::Included, None) => (
                1.0,
                "(with a VAT of unknown rate, which an export invoice leaves out) ".to_owned(),
            ),
            (Vat::Excluded | Vat::None, _) => (1.0, String::new()),
        };
        let landed = |amount: f64, freight: f64, clearance: f64| {
            let value = amount * rate * (1.0 + duty) + freight;
            let tax = value * vat;
            if tax <= tax_free { value } else { value + tax + clearance }
        };
        let middle = |[low, high]: [f64; 2]| f64::midpoint(low, high);
        // What is too small to be taxed bears no clearance and is sent as it is.
        let taxed = row.amount / divisor * rate * (1.0 + duty) * vat > tax_free;
        let once =
            |freight: f64, clearance: f64| Money::of(freight * (1.0 + vat) + clearance, home);
        let parcel = taxed.then(|| Parcel {
            low: once(freight[0], clearance[0]),
            amount: once(middle(freight), middle(clearance)),
            high: once(freight[1], clearance[1]),
        });
        let amount = landed(row.amount / divisor, middle(freight), middle(clearance));
        let derivation = format!(
            "{} {net}* {rate:.4} ({}) + freight {home} {:.0}-{:.0}, + {:.1} % VAT, + clearance {home} {:.0}-{:.0}",
            row.money(),
            conversion.note,
            freight[0],
            freight[1],
            vat * 100.0,
            clearance[0],
            clearance[1]
        );
        Ok(Landed {
            amount: Money::of(amount, home),
            low: Money::of(landed(row.amount / divisor, freight[0], clearance[0]), home),
            // A shop that does not invoice net leaves its own VAT in the price.
            high: Money::of(landed(top, freight[1], clearance[1]), home),
            parcel,
            derivation: Some(derivation),
        })
    }

    /// What one unit of a currency is here, and of which day that is; `None` without a rate.
    pub fn factor(&self, from: Currency) -> Option<(f64, String)> {
        self.rate(from).ok().map(|one| (one.rate, one.note))
    }

    /// Units of the region's currency for one unit of `from`.
    fn rate(&self, from: Currency) -> Result<Conversion, Currency> {
        let home = self.region.currency;
        let rates = self.catalog.rates().map_err(|_| from)?;
        let (rate, date) = exchange(rates, from, home, self.date).ok_or(from)?;
        let note = if from == home { String::new() } else { format!("{from}/{home} of {date}") };
        Ok(Conversion { rate, note })
    }
}
