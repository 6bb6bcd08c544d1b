//! What a machine draws, under load and at rest, and how well that is known.

use localrig_facts::machine::Device;
use localrig_facts::system::System;
use localrig_facts::unit::Watts;
use localrig_facts::{Catalog, CatalogError, Note};
use serde::Serialize;

/// Most a machine draws at the wall.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wall {
    /// The power.
    pub power_w: Watts,
    /// Where it comes from.
    pub basis: WallBasis,
    /// What else is to be said of it: on what it was measured, which box it is taken from.
    pub note: Option<String>,
}

/// Where the power of a machine at the wall comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WallBasis {
    /// Limits of cards and processor, the rest, and the supply's efficiency.
    Limits,
    /// What the maker states.
    Stated,
    /// The rating of its supply.
    Supply,
    /// The highest load that somebody measured: no limit.
    Measured,
    /// Not recorded; that of another box with the same accelerator: an assumption.
    Alike,
}

impl WallBasis {
    /// The words used in answers.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Limits => "power limits",
            Self::Stated => "stated by the maker",
            Self::Supply => "rating of its supply",
            Self::Measured => "the highest load that somebody measured, not a limit",
            Self::Alike => "assumed",
        }
    }
}

/// What a machine draws while nothing runs on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Idle {
    /// Lowest and highest power that was measured.
    pub power_w: [Watts; 2],
    /// Of what, and how.
    pub basis: IdleBasis,
    /// Which box the figure is taken from, and what else its source says.
    pub note: Option<String>,
}

/// Of what the power at rest is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdleBasis {
    /// The machine at the wall.
    Measured,
    /// Another box with the same accelerator, at the wall: an assumption.
    Alike,
    /// The cards by their own sensors; not the rest of the machine.
    Cards,
}

impl IdleBasis {
    /// The words used in answers.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Measured => "measured at the wall",
            Self::Alike => "not recorded; taken from a box alike",
            Self::Cards => "the cards alone; what the rest draws was not recorded",
        }
    }
}

/// What the cards of a machine draw at rest; `None` where one of them was not measured.
pub(crate) fn idle_of_cards(devices: &[Device<'_>]) -> Option<Idle> {
    let card = |device: &Device<'_>| {
        device.gpu.board.measured_idle_w.map(|range| range.map(|one| one * f64::from(device.count)))
    };
    let all: Vec<[Watts; 2]> = devices.iter().map(card).collect::<Option<_>>()?;
    let power_w = [0, 1].map(|end| all.iter().map(|range| range[end]).sum());
    Some(Idle { power_w, basis: IdleBasis::Cards, note: None })
}

/// What so many units of a system draw at rest: measured, or else that of a box of the same shape
/// with the same accelerator.
pub(crate) fn idle_of_system(
    catalog: &Catalog,
    system: &System,
    units: u32,
) -> Result<Option<Idle>, CatalogError> {
    let of_units = |range: [Watts; 2]| range.map(|one| one * f64::from(units));
    if let Some(range) = system.power.measured_idle_w {
        let about = |one: &&Note| one.about == "power.measured_idle_w";
        let each = if units > 1 { "of each, " } else { "" };
        let note = system.notes.iter().find(about).map(|note| format!("{each}{}", note.text));
        return Ok(Some(Idle { power_w: of_units(range), basis: IdleBasis::Measured, note }));
    }
    let alike = |one: &&System| one.accelerator == system.accelerator && one.form == system.form;
    let mut others = catalog.all::<System>()?.values().filter(alike);
    Ok(others.find_map(|one| {
        let power_w = of_units(one.power.measured_idle_w?);
        let note = Some(format!("the {}", one.name));
        Some(Idle { power_w, basis: IdleBasis::Alike, note })
    }))
}

/// Most that one unit of a system draws at the wall, by what is known of it best; where nothing is,
/// the most of any other box of the same shape with the same accelerator.
pub(crate) fn wall_of_system(
    catalog: &Catalog,
    system: &System,
) -> Result<Option<Wall>, CatalogError> {
    let own = |system: &System| {
        let power = &system.power;
        let stated = power.max_w.map(|watts| (watts, WallBasis::Stated));
        let supply = power.supply_w.map(|watts| (watts, WallBasis::Supply));
        let measured = power.measured_load_w.map(|[_, high]| (high, WallBasis::Measured));
        stated.or(supply).or(measured)
    };
    if let Some((power, basis)) = own(system) {
        let about =
            |one: &&Note| basis == WallBasis::Measured && one.about == "power.measured_load_w";
        let note = system.notes.iter().find(about).map(|note| note.text.clone());
        return Ok(Some(Wall { power_w: power, basis, note }));
    }
    let alike = |one: &&System| one.accelerator == system.accelerator && one.form == system.form;
    let others = catalog.all::<System>()?.values().filter(alike);
    let most = others
        .filter_map(|one| own(one).map(|(power, basis)| (one, power, basis)))
        .max_by(|a, b| a.1.get().total_cmp(&b.1.get()));
    Ok(most.map(|(one, power, basis)| Wall {
        power_w: power,
        basis: WallBasis::Alike,
        note: Some(format!(
            "not recorded; {} with the same accelerator: {:.0} W ({})",
            one.name,
            power.get(),
            basis.words()
        )),
    }))
}
