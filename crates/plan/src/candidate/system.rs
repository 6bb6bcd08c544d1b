//! Systems bought whole, and several of them joined.

use localrig_facts::machine::machine_of_variant;
use localrig_facts::part::Cable;
use localrig_facts::system::{Cluster, System, Variant};
use localrig_facts::{CatalogError, Id};

use super::wall::{Wall, idle_of_system, wall_of_system};
use super::{Candidate, Site};
use crate::build::Line;
use crate::check::{self, Check, Outcome};
use crate::noise::MachineNoise;
use crate::price::{NoPrice, Price, share_parcels};

impl<'a> Site<'_, 'a> {
    /// Every variant that is sold, alone and joined as far as its maker's guides go.
    pub(super) fn systems(
        &self,
        id: &'a Id,
        system: &'a System,
        found: &mut Vec<Candidate<'a>>,
    ) -> Result<(), CatalogError> {
        for variant in &system.variants {
            let status = variant.status.as_ref().unwrap_or(&system.status);
            let released = variant.released.or(system.released);
            let sellable = status.iter().any(|one| one.is_buyable())
                && !status.iter().any(|one| one.is_unreleased());
            // What has been withdrawn since was on sale before.
            let withdrawn = variant.withdrawn.is_some_and(|day| day.latest() <= self.market.date);
            let was_on_sale = variant.withdrawn.is_some() && !withdrawn;
            if !(sellable || was_on_sale) || !self.is_out(released) {
                continue;
            }
            let used = self.requirement.used.accepted;
            let price = self.market.offer_of(id, system, variant, used);
            let most = system.cluster.as_ref().map_or(1, |cluster| cluster.max_units);
            for units in 1..=most.min(MOST_UNITS) {
                found.push(self.system(id, system, variant, &price, units)?);
            }
        }
        Ok(())
    }

    /// So many units of one variant.
    pub(super) fn system(
        &self,
        id: &'a Id,
        system: &'a System,
        variant: &'a Variant,
        price: &Result<Price, NoPrice>,
        units: u32,
    ) -> Result<Candidate<'a>, CatalogError> {
        let mut machine = machine_of_variant(self.market.catalog, id, system, variant)
            .map_err(|error| CatalogError::Missing { id: error.to_string() })?;
        let bare = |text: &str| text.to_lowercase().replace(' ', "");
        let name =
            if system.variants.len() > 1 && !bare(&machine.name).contains(&bare(&variant.key)) {
                format!("{} ({})", machine.name, variant_words(&variant.key))
            } else {
                machine.name.clone()
            };
        machine.name = if units == 1 { name.clone() } else { format!("{units}x {name}") };
        machine.units = units;
        for device in &mut machine.devices {
            device.count *= units;
        }
        let wall = wall_of_system(self.market.catalog, system)?
            .map(|one| Wall { power_w: one.power_w * f64::from(units), ..one });
        let mut checks: Vec<Check> = self.wall_check(wall.as_ref()).into_iter().collect();
        let mut lines =
            vec![Line { role: "system", id: id.clone(), name, count: units, price: price.clone() }];
        if let (Some(cluster), true) = (&system.cluster, units > 1) {
            let (check, cables) = self.joined(cluster, units)?;
            checks.push(check);
            lines.extend(cables);
        }
        let class = system.noise.as_ref().and_then(localrig_facts::noise::Noise::class);
        let basis = match system.noise.as_ref() {
            Some(noise) if noise.load_dba.is_some() => "measured or stated by the maker".to_owned(),
            Some(_) => "reviews; no level in dB(A) was found".to_owned(),
            None => "no figure was found".to_owned(),
        };
        share_parcels(&mut lines);
        let (cost, priced) = self.sums(&lines);
        let growth = match &system.cluster {
            Some(cluster) if units < cluster.max_units => {
                format!(
                    "add another unit over {} (up to {} in the maker's guides)",
                    cluster.link, cluster.max_units
                )
            }
            Some(cluster) if units > 1 => {
                format!("none: {} units are the most in the maker's guides", cluster.max_units)
            }
            _ => "none: memory and accelerator are soldered".to_owned(),
        };
        Ok(Candidate {
            key: format!(
                "{}{id}:{}",
                if units == 1 { String::new() } else { format!("{units}x ") },
                variant.key
            ),
            machine,
            form: system.form,
            cost,
            priced,
            lines,
            checks,
            noise: MachineNoise { class, basis },
            idle: idle_of_system(self.market.catalog, system, units)?,
            wall,
            growth,
        })
    }

    /// The link between so many units: whether a guide covers them, and the cables, which are not
    /// among the parts while they have no price: the boxes would have none for their sake.
    fn joined(&self, cluster: &Cluster, units: u32) -> Result<(Check, Option<Line>), CatalogError> {
        let rule = |outcome, reason| check::check("cluster link", outcome, reason);
        let (most, link) = (cluster.max_units, &cluster.link);
        if units > most {
            let reason = format!("{units} units; {most} are the most in the maker's guides");
            return Ok((rule(Outcome::Fail, reason), None));
        }
        let Some(id) = &cluster.cable else {
            let reason = format!("{link}; which cable it takes is not recorded");
            return Ok((rule(Outcome::NotChecked, reason), None));
        };
        let name = self.market.catalog.get::<Cable>(id.as_str())?.name.clone();
        // Two ends make one line, three a ring.
        let count = if units == 2 { 1 } else { units };
        let (cables, are) = if count == 1 {
            ("one cable".to_owned(), "is")
        } else {
            (format!("{count} cables"), "are")
        };
        Ok(match self.market.offer(id, None, true, false) {
            Ok(price) => {
                let reason = format!(
                    "{link}; {units} units of at most {most}; {cables} {are} among the parts"
                );
                let line = Line { role: "cable", id: id.clone(), name, count, price: Ok(price) };
                (rule(Outcome::Pass, reason), Some(line))
            }
            Err(why) => {
                let reason =
                    format!("{link}; {cables} {are} needed and not among the parts: {why}");
                (rule(Outcome::NotChecked, reason), None)
            }
        })
    }
}

/// A variant's key as people write sizes: `256gb-max-ssd` is `256 GB max ssd`, `2tb` is `2 TB`.
fn variant_words(key: &str) -> String {
    let word = |part: &str| {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        match (digits, &part[digits.len()..]) {
            (number, "gb" | "tb") if !number.is_empty() => {
                format!("{number} {}", part[number.len()..].to_uppercase())
            }
            _ => part.to_owned(),
        }
    };
    key.split('-').map(word).collect::<Vec<_>>().join(" ")
}

/// Most units of a system that a plan makes one machine of: beyond, a home has no room, no quiet and no
/// switch for them.
const MOST_UNITS: u32 = 3;
