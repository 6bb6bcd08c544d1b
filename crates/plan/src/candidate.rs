//! Machines that could be bought: systems in their variants, clusters of them, and PC builds of
//! one, two or four cards.

use localrig_facts::gpu::{Cooling, Gpu, GpuKind, Status};
use localrig_facts::machine::{Device, Machine, PcieSlot, machine_of_variant};
use localrig_facts::price::Condition;
use localrig_facts::region::Socket;

use localrig_facts::system::{Form, System, Variant};
use localrig_facts::unit::{Bytes, Watts};
use localrig_facts::{Catalog, CatalogError, Id, Money, Note, PartialDate};
use serde::Serialize;

use crate::build::{Base, BaseNeeds, FixedPart, Line, NoBase, PartsError, Shelf};
use crate::check::{self, Check, Outcome};
use crate::figure::grouped;
use crate::noise::{MachineNoise, of_cards};
use crate::price::{Market, NoPrice, Price};
use crate::requirement::Requirement;

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
    /// How more can be added later.
    pub growth: String,
}

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

fn cards_of<'m, 'a>(
    machine: &Machine<'a>,
    prices: &'m [Result<Price, NoPrice>],
) -> Vec<Card<'m, 'a>> {
    let card = |(device, price): (&Device<'a>, &'m Result<Price, NoPrice>)| Card {
        id: device.id,
        gpu: device.gpu,
        count: device.count,
        price,
    };
    machine.devices.iter().zip(prices).map(card).collect()
}

/// Every single card.
fn each<'a>(cards: &[Card<'_, 'a>]) -> Vec<&'a Gpu> {
    cards.iter().flat_map(|card| std::iter::repeat_n(card.gpu, card.count as usize)).collect()
}

/// Where the machine is bought and stands.
struct Site<'m, 'a> {
    market: &'m Market<'a>,
    requirement: &'m Requirement,
    socket: Option<&'a Socket>,
}

impl<'a> Site<'_, 'a> {
    fn is_out(&self, released: Option<PartialDate>) -> bool {
        released.is_none_or(|released| released.earliest() <= self.market.date)
    }

    fn card_prices(&self, machine: &Machine<'_>) -> Vec<Result<Price, NoPrice>> {
        machine.devices.iter().map(|device| self.card_price(device.id, device.gpu)).collect()
    }

    fn card_price(&self, id: &Id, gpu: &Gpu) -> Result<Price, NoPrice> {
        let sold_new = gpu.status.contains(&Status::Retail);
        self.market.offer(id, None, sold_new, self.requirement.used.accepted)
    }

    fn systems(
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

    fn system(
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
        if let (Some(cluster), true) = (&system.cluster, units > 1) {
            checks.push(if units > cluster.max_units {
                let most = cluster.max_units;
                let reason = format!("{units} units; {most} are the most in the maker's guides");
                check::check("cluster link", Outcome::Fail, reason)
            } else {
                let reason = format!(
                    "{}; the cable (and a switch beyond two units) is not priced",
                    cluster.link
                );
                check::check("cluster link", Outcome::NotChecked, reason)
            });
        }
        let class = system.noise.as_ref().and_then(localrig_facts::noise::Noise::class);
        let basis = match system.noise.as_ref() {
            Some(noise) if noise.load_dba.is_some() => "measured or stated by the maker".to_owned(),
            Some(_) => "reviews; no level in dB(A) was found".to_owned(),
            None => "no figure was found".to_owned(),
        };
        let line =
            Line { role: "system", id: id.clone(), name, count: units, price: price.clone() };
        let (cost, priced) = self.sums(std::slice::from_ref(&line));
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
            lines: vec![line],
            checks,
            noise: MachineNoise { class, basis },
            wall,
            growth,
        })
    }

    fn wall_check(&self, wall: Option<&Wall>) -> Option<Check> {
        let Some(wall) = wall else {
            let reason = "power of the machine not recorded";
            return Some(check::check(check::WALL_SOCKET, Outcome::NotChecked, reason));
        };
        Some(check::wall_socket(wall, self.socket?))
    }

    fn builds(&self, found: &mut Vec<Candidate<'a>>) -> Result<(), CatalogError> {
        let shelf = Shelf::new(self.market)?;
        let cards: Vec<(&Id, &Gpu, Result<Price, NoPrice>)> = self
            .market
            .catalog
            .all::<Gpu>()?
            .iter()
            .filter(|(_, gpu)| self.is_card_to_consider(gpu))
            .map(|(id, gpu)| (id, gpu, self.card_price(id, gpu)))
            .collect();
        for (id, gpu, price) in &cards {
            // Without a price or fit for a tower, more of the same say nothing new.
            let counts: &[u32] =
                if price.is_ok() && fits_a_tower(gpu) { &CARDS } else { &CARDS[..1] };
            for count in counts.iter().copied() {
                let group = [Card { id, gpu, count, price }];
                self.build(&shelf, &group, found);
            }
        }
        for (index, (id, gpu, price)) in cards.iter().enumerate() {
            for (other_id, other, other_price) in &cards[index + 1..] {
                // A pair without prices says nothing that its cards alone do not, and a small card
                // beside a large one holds no model that the large one does not.
                let smaller = memory_of(gpu).min(memory_of(other));
                if gpu.vendor != other.vendor
                    || price.is_err()
                    || other_price.is_err()
                    || !(fits_a_tower(gpu) && fits_a_tower(other))
                    || smaller < LEAST_PAIR_GIB
                {
                    continue;
                }
                let mut pair = [
                    Card { id, gpu, count: 1, price },
                    Card { id: other_id, gpu: other, count: 1, price: other_price },
                ];
                pair.sort_by(|a, b| {
                    memory_of(b.gpu).total_cmp(&memory_of(a.gpu)).then(a.id.cmp(b.id))
                });
                self.build(&shelf, &pair, found);
            }
        }
        Ok(())
    }

    fn is_card_to_consider(&self, gpu: &Gpu) -> bool {
        gpu.kind == GpuKind::Card
            && gpu.status.iter().any(|status| status.is_buyable())
            && !gpu.status.iter().any(|status| status.is_unreleased())
            && self.is_out(gpu.released)
            && memory_of(gpu) >= LEAST_CARD_GIB
            && gpu.memory.sizes_gib.len() == 1
            && gpu.memory.bandwidth_gb_per_s.is_some()
    }

    /// The cheapest build around the cards, and the cheapest with at least eight lanes for each of
    /// them where that is another one.
    fn build(&self, shelf: &Shelf<'a>, cards: &[Card<'_, 'a>], found: &mut Vec<Candidate<'a>>) {
        let all = each(cards);
        let needs = BaseNeeds::for_cards(&shelf.constants.bases, all.len());
        let cheapest = needs.map_or_else(
            || Err(NoBase { missing: "rule on memory and SSD for so many cards" }),
            |needs| shelf.cheapest(&all, needs),
        );
        let narrow = cheapest
            .as_ref()
            .is_ok_and(|base| check::slots(&all, base.board).outcome != Outcome::Pass);
        let wide = (all.len() > 1 && narrow)
            .then(|| shelf.cheapest(&all, BaseNeeds { full_lanes: true, ..needs? }).ok())
            .flatten();
        found.extend(wide.map(|base| self.around(cards, &all, Ok(base), shelf)));
        found.push(self.around(cards, &all, cheapest, shelf));
    }

    fn around(
        &self,
        cards: &[Card<'_, 'a>],
        all: &[&Gpu],
        base: Result<Base<'a>, NoBase>,
        shelf: &Shelf<'a>,
    ) -> Candidate<'a> {
        let constants = shelf.constants;
        let slots = base
            .as_ref()
            .map_or_else(|_| Vec::new(), |base| check::long_slots(base.board, all.len()));
        let mut free = slots.into_iter();
        let mut slot_of = |count: u32| free.by_ref().take(count as usize).reduce(PcieSlot::both);
        let devices: Vec<Device<'a>> = cards
            .iter()
            .map(|card| Device {
                id: card.id,
                gpu: card.gpu,
                memory: Bytes::gib(memory_of(card.gpu)),
                count: card.count,
                slot: slot_of(card.count).unwrap_or_default(),
            })
            .collect();
        let joined = |name: &dyn Fn(&Card<'_, 'a>) -> &'a str| {
            let word = |card: &Card<'_, 'a>| match card.count {
                1 => name(card).to_owned(),
                count => format!("{count}x {}", name(card)),
            };
            cards.iter().map(word).collect::<Vec<_>>().join(" + ")
        };
        let board = base.as_ref().map_or_else(
            |_| String::new(),
            |base| match all.len() {
                1 => base.cpu.platform.clone(),
                _ => format!("{}, {}", base.cpu.platform, check::lanes(all, base.board)),
            },
        );
        let on = if board.is_empty() { String::new() } else { format!(" ({board})") };
        let name = format!("{} PC{on}", joined(&|card| plain_name(card.gpu)));
        let key = format!("{} ({board})", joined(&|card| card.id.as_str()));
        let mut lines: Vec<Line> = cards
            .iter()
            .map(|card| Line {
                role: "card",
                id: card.id.clone(),
                name: card.gpu.name.clone(),
                count: card.count,
                price: card.price.clone(),
            })
            .collect();
        let machine = Machine { name, devices, cpu: None, system: None, units: 1 };
        let power =
            base.as_ref().ok().and_then(|base| check::sustained(all, base.cpu, constants.rest_w));
        let wall = power.map(|power| Wall {
            power_w: power / constants.supply_efficiency,
            basis: WallBasis::Limits,
            note: None,
        });
        let (mut checks, noise) = match &base {
            Ok(base) => (base.checks.clone(), of_cards(all, base.case, &constants.noise)),
            Err(error) => (
                vec![check::check("base system", Outcome::Fail, error.to_string())],
                MachineNoise { class: None, basis: "no base system".to_owned() },
            ),
        };
        checks.extend(check::tensor_split(all.len(), &shelf.heads));
        checks.extend(self.wall_check(wall.as_ref()));
        if let (Ok(base), Some(above)) = (&base, self.market.region.c19_above_w) {
            checks.push(check::cord(base.psu, above));
        }
        let growth = growth(all, base.as_ref().ok(), constants.rest_w);
        if let Ok(base) = base {
            lines.extend(base.lines);
        }
        let (cost, priced) = self.sums(&lines);
        Candidate {
            key,
            machine,
            form: Form::Tower,
            lines,
            cost,
            priced,
            checks,
            noise,
            wall,
            growth,
        }
    }

    /// The sum of the lines, if all have a price, and of those that have one.
    fn sums(&self, lines: &[Line]) -> (Option<Money>, Money) {
        let zero = Money::zero(self.market.region.currency);
        let priced = lines.iter().filter_map(Line::amount).fold(zero, |sum, one| sum + one);
        (lines.iter().all(|line| line.price.is_ok()).then_some(priced), priced)
    }
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

/// Cards of one kind in a build.
struct Card<'m, 'a> {
    id: &'a Id,
    gpu: &'a Gpu,
    count: u32,
    price: &'m Result<Price, NoPrice>,
}

/// Most units of a system that a plan makes one machine of: beyond, a home has no room, no quiet and no
/// switch for them.
const MOST_UNITS: u32 = 3;

/// Numbers of equal cards that builds are made with: engines cut layers over powers of two, and boards
/// and supplies of a home end at four.
const CARDS: [u32; 3] = [1, 2, 4];

/// Cards with less memory hold no model worth planning a machine around.
pub(crate) const LEAST_CARD_GIB: f64 = 12.0;

/// Smallest card worth mixing with another.
const LEAST_PAIR_GIB: f64 = 24.0;

fn fits_a_tower(gpu: &Gpu) -> bool {
    gpu.board.cooling != Some(Cooling::Passive)
}

fn memory_of(gpu: &Gpu) -> f64 {
    gpu.memory.sizes_gib.first().map_or(0.0, |size| size.written())
}

/// A card's name without its maker, for names of builds.
fn plain_name(gpu: &Gpu) -> &str {
    gpu.name.strip_prefix(gpu.vendor.as_str()).map_or(gpu.name.as_str(), str::trim_start)
}

fn growth(cards: &[&Gpu], base: Option<&Base<'_>>, rest: Watts) -> String {
    let Some(base) = base else { return "unknown: no base system".to_owned() };
    let slots = base.checks.iter().find(|check| check.rule == "slots");
    match (cards.len(), slots.map(|check| check.outcome)) {
        (1, _) => {
            let two: Vec<&Gpu> = [cards, cards].concat();
            let power = check::sustained(&two, base.cpu, rest);
            let power = power.map_or(String::new(), |power| {
                format!(" and a supply for {} W sustained", grouped(power.get().round() as i64))
            });
            format!("add a second card: needs a second long slot{power}")
        }
        (2, _) if check::long_slots(base.board, 4).len() >= 4 => {
            "add two more cards: the board has the slots; case and supply may have to go".to_owned()
        }
        (2, _) => "beyond two cards: a workstation or server board, new case and supply".to_owned(),
        _ => "full: replace cards by larger ones".to_owned(),
    }
}
