//! Machines that could be bought: systems in their variants, clusters of them, and PC builds of
//! one, two or four cards.

mod pc;
mod system;
mod wall;

use localrig_facts::gpu::GpuKind;
use localrig_facts::machine::Machine;
use localrig_facts::price::Condition;
use localrig_facts::region::Socket;
use localrig_facts::system::{Form, System};
use localrig_facts::unit::Bytes;
use localrig_facts::{CatalogError, Money, PartialDate};

use crate::build::{FixedPart, Line, PartsError, Shelf};
use crate::check::{self, Check, Outcome};
use crate::noise::MachineNoise;
use crate::price::{Market, NoPrice, Price};
use crate::requirement::Requirement;
use pc::{cards_of, each};

pub(crate) use pc::LEAST_CARD_GIB;
pub(crate) use wall::wall_of_system;
pub use wall::{Idle, IdleBasis, Wall, WallBasis};

/// A machine with what it costs and what was checked.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Stable key: `system/apple/mac-studio-m5-ultra:256gb`, `2x gpu/nvidia/rtx-5090`.
    pub key: String,
    /// Its accelerators. Cards of a build, or units of a cluster, are separate devices.
    pub machine: Machine<'a>,
    /// Its shape.
    pub form: Form,
    /// What is bought.
    pub lines: Vec<Line>,
    /// Sum of the lines; `None` when a price is missing.
    pub cost: Option<Money>,
    /// Sum of the lines that have a price.
    pub priced: Money,
    /// Rules that were applied.
    pub checks: Vec<Check>,
    /// Noise under load.
    pub noise: MachineNoise,
    /// Most the machine draws at the wall; absent when nothing is known.
    pub wall: Option<Wall>,
    /// What it draws at rest; absent when nothing is known.
    pub idle: Option<Idle>,
    /// How more can be added later.
    pub growth: String,
}

impl Candidate<'_> {
    /// Accelerator memory installed.
    pub fn memory(&self) -> Bytes {
        let devices = self.machine.devices.iter();
        devices.map(|device| device.memory * f64::from(device.count)).sum()
    }

    /// Maker of the accelerators, in lower case.
    pub fn platform(&self) -> String {
        self.machine.devices.first().map_or_else(String::new, |one| one.gpu.vendor.to_lowercase())
    }

    /// The machine's key without the base system that a build's cards are in.
    pub fn machine_key(&self) -> &str {
        let cards = self.key.rsplit_once(" (").filter(|_| self.machine.system.is_none());
        cards.map_or(self.key.as_str(), |(cards, _)| cards)
    }

    /// Whether another machine of the same shape has the same accelerators with the same memory.
    pub fn has_same_accelerators(&self, other: &Self) -> bool {
        let devices = |one: &Self| -> Vec<(String, u64, u32)> {
            let list = one.machine.devices.iter();
            list.map(|one| (one.id.to_string(), one.memory.get() as u64, one.count)).collect()
        };
        self.form == other.form && devices(self) == devices(other)
    }

    /// Whether more can be added later.
    pub fn can_grow(&self) -> bool {
        !(self.growth.starts_with("none") || self.growth.starts_with("full"))
    }

    /// Whether anything in it is bought used.
    pub fn has_used(&self) -> bool {
        self.prices().any(|price| price.condition != Condition::New)
    }

    /// Prices of its parts.
    pub fn prices(&self) -> impl Iterator<Item = &Price> {
        self.lines.iter().filter_map(|line| line.price.as_ref().ok())
    }

    /// Why a price is missing, for each part without one.
    pub fn missing_prices(&self) -> impl Iterator<Item = &NoPrice> {
        self.lines.iter().filter_map(|line| line.price.as_ref().err())
    }

    /// The worst outcome of its checks.
    pub fn worst_check(&self) -> Outcome {
        self.checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Pass)
    }
}

/// Every machine that could be bought in the market.
///
/// # Errors
/// When a catalog file is broken.
pub fn candidates<'a>(
    market: &Market<'a>,
    requirement: &Requirement,
) -> Result<Vec<Candidate<'a>>, CatalogError> {
    let socket = market.region.sockets.iter().find(|one| one.kind == requirement.power.socket);
    let site = Site { market, requirement, socket };
    let mut found = Vec::new();
    for (id, system) in market.catalog.all::<System>()? {
        site.systems(id, system, &mut found)?;
    }
    site.builds(&mut found)?;
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// What a machine named by its accelerators or its system can be bought as; of several base systems
/// the one in which a model can be split over the cards comes first.
///
/// # Errors
/// When a catalog file is broken.
pub fn candidates_of<'a>(
    market: &Market<'a>,
    requirement: &Requirement,
    machine: &Machine<'a>,
) -> Result<Vec<Candidate<'a>>, CatalogError> {
    let socket = market.region.sockets.iter().find(|one| one.kind == requirement.power.socket);
    let site = Site { market, requirement, socket };
    if let Some((id, system, variant)) = machine.system {
        let price = market.offer_of(id, system, variant, requirement.used.accepted);
        return Ok(vec![site.system(id, system, variant, &price, machine.units)?]);
    }
    if machine.devices.iter().any(|device| device.gpu.kind != GpuKind::Card) {
        return Ok(Vec::new());
    }
    let prices = site.card_prices(machine);
    let mut found = Vec::new();
    site.build(&Shelf::new(market)?, &cards_of(machine, &prices), &mut found);
    // One whose price is known stands before one whose is not.
    found.sort_by_key(|one| one.cost.is_none());
    Ok(found)
}

/// Cards in a base system of these very parts, whether they fit or not: the rules say so.
///
/// # Errors
/// When a part is missing or unknown, or a catalog file is broken.
pub fn candidate_of_parts<'a>(
    market: &Market<'a>,
    requirement: &Requirement,
    machine: &Machine<'a>,
    parts: &[FixedPart],
) -> Result<Candidate<'a>, PartsError> {
    let socket = market.region.sockets.iter().find(|one| one.kind == requirement.power.socket);
    let site = Site { market, requirement, socket };
    let (shelf, prices) = (Shelf::new(market)?, site.card_prices(machine));
    let cards = cards_of(machine, &prices);
    let all = each(&cards);
    let base = shelf.base_of(parts, &all)?;
    Ok(site.around(&cards, &all, Ok(base), &shelf))
}

/// Where the machine is bought and stands.
struct Site<'m, 'a> {
    market: &'m Market<'a>,
    requirement: &'m Requirement,
    socket: Option<&'a Socket>,
}

impl Site<'_, '_> {
    fn is_out(&self, released: Option<PartialDate>) -> bool {
        released.is_none_or(|released| released.earliest() <= self.market.date)
    }

    fn wall_check(&self, wall: Option<&Wall>) -> Option<Check> {
        let Some(wall) = wall else {
            let reason = "power of the machine not recorded";
            return Some(check::check(check::WALL_SOCKET, Outcome::NotChecked, reason));
        };
        Some(check::wall_socket(wall, self.socket?))
    }

    /// The sum of the lines, if all have a price, and of those that have one.
    fn sums(&self, lines: &[Line]) -> (Option<Money>, Money) {
        let zero = Money::zero(self.market.region.currency);
        let priced = lines.iter().filter_map(Line::amount).fold(zero, |sum, one| sum + one);
        (lines.iter().all(|line| line.price.is_ok()).then_some(priced), priced)
    }
}
