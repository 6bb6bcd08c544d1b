//! Systems bought whole, and several of them joined.

use localrig_facts::machine::machine_of_variant;
use localrig_facts::part::{Cable, Switch};
use localrig_facts::system::{Cluster, System, Variant};
use localrig_facts::unit::Watts;
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
        let switched = match &system.cluster {
            Some(cluster) => self.switch(cluster, units)?,
            None => None,
        };
        let wall = wall_of_system(self.market.catalog, system)?.map(|one| {
            let power_w = one.power_w * f64::from(units);
            let Some((_, switch)) = switched else { return Wall { power_w, ..one } };
            let (watts, said) = match switch.max_w {
                Some(watts) => (watts, format!("and {watts:.0} of the switch at most")),
                None => (Watts::ZERO, "without the switch, whose draw is not known".to_owned()),
            };
            let note = [one.note.clone(), Some(said)].into_iter().flatten().collect::<Vec<_>>();
            Wall { power_w: power_w + watts, note: Some(note.join("; ")), ..one }
        });
        let mut checks: Vec<Check> = self.wall_check(wall.as_ref()).into_iter().collect();
        let mut lines =
            vec![Line { role: "system", id: id.clone(), name, count: units, price: price.clone() }];
        if let (Some(cluster), true) = (&system.cluster, units > 1) {
            let (check, joints) = self.joined(cluster, units, switched)?;
            checks.push(check);
            lines.extend(joints);
        }
        let mut idle = idle_of_system(self.market.catalog, system, units)?;
        if let (Some(idle), true) = (&mut idle, switched.is_some()) {
            let own = idle
                .note
                .take()
                .map_or_else(String::new, |note| format!("{}; ", note.trim_end_matches('.')));
            idle.note = Some(format!("{own}without the switch, of which none is known"));
        }
        let class = system.noise.as_ref().and_then(localrig_facts::noise::Noise::class);
        let class = class.filter(|_| switched.is_none());
        let basis = match system.noise.as_ref() {
            _ if switched.is_some() => "no figure was found for the switch".to_owned(),
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
            idle,
            wall,
            growth,
        })
    }

    /// The switch that so many units need; `None` where cables alone join them, or none is recorded.
    fn switch(
        &self,
        cluster: &'a Cluster,
        units: u32,
    ) -> Result<Option<(&'a Id, &'a Switch)>, CatalogError> {
        let direct = cluster.direct_units.unwrap_or(cluster.max_units);
        match &cluster.switch {
            Some(id) if units > direct && units <= cluster.max_units => {
                Ok(Some((id, self.market.catalog.get::<Switch>(id.as_str())?)))
            }
            _ => Ok(None),
        }
    }

    /// The link between so many units: whether a guide covers them, and what joins them. Cables that
    /// have no price are not among the parts: the boxes would have none for their sake. What a switch
    /// needs is, priced or not, for it is no trifle.
    fn joined(
        &self,
        cluster: &Cluster,
        units: u32,
        switched: Option<(&Id, &Switch)>,
    ) -> Result<(Check, Vec<Line>), CatalogError> {
        let rule = |outcome, reason| check::check("cluster link", outcome, reason);
        let (most, link) = (cluster.max_units, &cluster.link);
        if units > most {
            let reason = format!("{units} units; {most} are the most in the maker's guides");
            return Ok((rule(Outcome::Fail, reason), Vec::new()));
        }
        let Some(id) = &cluster.cable else {
            let reason = format!("{link}; which cable it takes is not recorded");
            return Ok((rule(Outcome::NotChecked, reason), Vec::new()));
        };
        let name = self.market.catalog.get::<Cable>(id.as_str())?.name.clone();
        let line = |role, id: &Id, name: &str, count| Line {
            role,
            id: id.clone(),
            name: name.to_owned(),
            count,
            price: self.market.offer(id, None, true, false),
        };
        if let Some((switch_id, switch)) = switched {
            let mut lines =
                vec![line("switch", switch_id, &switch.name, 1), line("cable", id, &name, units)];
            let mut parts = format!("the switch, {units} cables");
            if let Some(splitter) = &cluster.splitter {
                let one = self.market.catalog.get::<Cable>(splitter.as_str())?;
                let count = units.div_ceil(2);
                if count > switch.split_ports {
                    let reason = format!(
                        "{units} units; {} has ports for {}",
                        switch.name,
                        2 * switch.split_ports
                    );
                    return Ok((rule(Outcome::Fail, reason), Vec::new()));
                }
                lines.push(line("splitter", splitter, &one.name, count));
                parts.push_str(&format!(" and {count} splitters"));
            }
            let reason = format!(
                "{link}, through a switch; {units} units of at most {most}; {parts} are among the parts"
            );
            return Ok((rule(Outcome::Pass, reason), lines));
        }
        if cluster.direct_units.is_some_and(|direct| units > direct) {
            let reason = format!("{link}; {units} units need a switch; which is not recorded");
            return Ok((rule(Outcome::NotChecked, reason), Vec::new()));
        }
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
                (rule(Outcome::Pass, reason), vec![line])
            }
            Err(why) => {
                let reason =
                    format!("{link}; {cables} {are} needed and not among the parts: {why}");
                (rule(Outcome::NotChecked, reason), Vec::new())
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
