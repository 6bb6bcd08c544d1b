//! PC builds: the cheapest compatible base system around given cards.

use std::collections::BTreeMap;

use localrig_facts::calibration::{BaseRule, MachineConstants};
use localrig_facts::catalog::{Entry, Table};
use localrig_facts::gpu::Gpu;
use localrig_facts::model::Model;
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu, Storage};
use localrig_facts::{Catalog, CatalogError, Id, Money};
use serde::Serialize;

use crate::check::{self, Check, Outcome};
use crate::price::{Goods, Market, NoPrice, Price};

/// A part of a build with its price.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What it is for: `card`, `processor`, …
    pub role: &'static str,
    /// Catalog id.
    pub id: Id,
    /// Name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Price of one, or why there is none.
    pub price: Result<Price, NoPrice>,
}

impl Line {
    /// Price of all of them, in one parcel if they come from abroad.
    pub fn amount(&self) -> Option<Money> {
        self.price.as_ref().ok().map(|price| price.of(self.count))
    }
}

/// A base system around cards.
#[derive(Clone, Debug)]
pub struct Base<'a> {
    /// Parts, cards not included.
    pub lines: Vec<Line>,
    /// The rules that were applied.
    pub checks: Vec<Check>,
    /// The board.
    pub board: &'a Motherboard,
    /// The case, for noise.
    pub case: &'a Case,
    /// The processor, for power.
    pub cpu: &'a Cpu,
    /// The supply, for its cord.
    pub psu: &'a Psu,
}

/// What a base system must have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaseNeeds {
    /// System memory: models are loaded through it, and prompt caches live there.
    pub memory_gib: f64,
    /// Room for models.
    pub storage_gb: f64,
    /// Whether every card needs at least eight lanes: what a model split over cards takes.
    pub full_lanes: bool,
}

impl BaseNeeds {
    /// What the base of a build with so many cards has, by the first rule that holds (`base` of
    /// `calibration/machine.toml`); `None` when there is none for so many.
    pub fn for_cards(rules: &[BaseRule], count: usize) -> Option<Self> {
        let holds = |rule: &&BaseRule| rule.up_to_cards.is_none_or(|most| count <= most as usize);
        let rule = rules.iter().find(holds)?;
        let (memory_gib, storage_gb) = (rule.memory_gib.written(), rule.storage_gb);
        Some(Self { memory_gib, storage_gb, full_lanes: false })
    }
}

/// A part with its price, or why there is none.
struct Offered<'a, T> {
    id: &'a Id,
    part: &'a T,
    price: Result<Price, NoPrice>,
}

/// What a part adds to a choice: parts without a price first of all count as missing.
type Cost = (u32, i64);

impl<T> Offered<'_, T> {
    fn cost(&self, count: u32) -> Cost {
        match &self.price {
            Ok(price) => (0, price.of(count).minor),
            Err(_) => (1, 0),
        }
    }
}

fn sum(costs: impl IntoIterator<Item = Cost>) -> Cost {
    costs.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Parts with their prices, gathered once for all builds.
pub struct Shelf<'a> {
    cpus: Vec<Offered<'a, Cpu>>,
    boards: Vec<Offered<'a, Motherboard>>,
    kits: Vec<Offered<'a, Memory>>,
    psus: Vec<Offered<'a, Psu>>,
    cases: Vec<Offered<'a, Case>>,
    coolers: Vec<Offered<'a, Cooler>>,
    disks: Vec<Offered<'a, Storage>>,
    /// What the machine draws beside cards and processor, and what a supply passes on.
    pub(crate) constants: &'a MachineConstants,
    /// Attention heads of every model of the catalog, to see what engines can cut over cards.
    pub(crate) heads: Vec<u64>,
    /// For each board, by index, the processors that fit it.
    cpus_of: Vec<Vec<usize>>,
    /// For each socket and each case, by index, the cheapest cooler that fits both.
    cooler_for: BTreeMap<(&'a str, usize), usize>,
}

/// A part that somebody has decided on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FixedPart {
    /// The part.
    pub id: Id,
    /// How many of it.
    pub count: u32,
}

/// Why parts that somebody has decided on make no machine.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// The catalog has no such part.
    #[error("`{id}` is no part of the catalog")]
    Unknown {
        /// Its id.
        id: Id,
    },
    /// A part that every machine has is not among them.
    #[error("there is no {kind} among the parts")]
    Missing {
        /// What it is.
        kind: &'static str,
    },
    /// Parts of which a machine has one kind only.
    #[error("{kind}: a machine has one kind, the parts have {}", listed(.ids))]
    Several {
        /// What they are.
        kind: &'static str,
        /// Their ids.
        ids: Vec<Id>,
    },
    /// A number of parts that no machine has.
    #[error("{kind}: a machine has {allowed}, not {count} of `{id}`")]
    Count {
        /// What it is.
        kind: &'static str,
        /// The part.
        id: Id,
        /// How many were asked for.
        count: u32,
        /// How many there can be, in words.
        allowed: &'static str,
    },
    /// A catalog file is broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

fn listed(ids: &[Id]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

/// What the search looks for, in its order: the stage that was never passed is what is lacking.
const STAGES: [&str; 5] = [
    "board with a slot for every card",
    "memory kit",
    "case with a cooler",
    "processor",
    "power supply",
];

/// Why there is no base system: no part of the catalog fits, whatever it costs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("the catalog has no {missing} that fits")]
pub struct NoBase {
    /// The part that could not be found.
    pub missing: &'static str,
}

impl<'a> Shelf<'a> {
    /// Every part, with its price as of the market's day.
    ///
    /// # Errors
    /// When a part file is broken.
    pub fn new(market: &Market<'a>) -> Result<Self, CatalogError> {
        let mut shelf = Self {
            cpus: offered(market, market.catalog.all()?),
            boards: offered(market, market.catalog.all()?),
            kits: kits(market)?,
            psus: {
                // The cheapest first.
                let mut psus = offered(market, market.catalog.all()?);
                psus.sort_by_key(|psu| (psu.cost(1), psu.id));
                psus
            },
            cases: offered(market, market.catalog.all()?),
            coolers: offered(market, market.catalog.all()?),
            disks: disks(market)?,
            constants: market.catalog.machine_constants()?,
            heads: heads(market.catalog)?,
            cpus_of: Vec::new(),
            cooler_for: BTreeMap::new(),
        };
        shelf.pair_up();
        Ok(shelf)
    }

    /// Which parts go together whatever the cards are.
    fn pair_up(&mut self) {
        let goes = |check: Check| check.outcome != Outcome::Fail;
        for board in &self.boards {
            let cpus = self.cpus.iter().enumerate();
            let fitting = cpus.filter(|(_, cpu)| goes(check::socket(cpu.part, board.part)));
            self.cpus_of.push(fitting.map(|(index, _)| index).collect());
        }
        for cpu in &self.cpus {
            for (case_index, case) in self.cases.iter().enumerate() {
                let coolers = self.coolers.iter().enumerate();
                let cheapest = coolers
                    .filter(|(_, one)| goes(check::cooler(one.part, cpu.part, case.part)))
                    .min_by_key(|(_, one)| (one.cost(1), one.id));
                if let Some((cooler, _)) = cheapest {
                    self.cooler_for.insert((cpu.part.socket.as_str(), case_index), cooler);
                }
            }
        }
    }

    /// The cheapest base system for the cards that fails no rule; one with the fewest unpriced
    /// parts where not everything has a price.
    ///
    /// Every rule looks at two parts at a time, so the search goes board by board: for each board
    /// the cheapest memory, case and cooler; for each processor on it the cheapest supply.
    ///
    /// # Errors
    /// When no combination of parts fits.
    pub fn cheapest(&self, cards: &[&Gpu], needs: BaseNeeds) -> Result<Base<'a>, NoBase> {
        let disks = self.disks.iter().filter(|disk| disk.part.capacity_gb >= needs.storage_gb);
        let disk = commodity(disks.map(|disk| (disk, 1)))
            .map(|(disk, _)| disk)
            .ok_or(NoBase { missing: "SSD" })?;
        let adapters = &self.constants.adapters;
        let plugged: Vec<(&Offered<'a, Psu>, Outcome)> = self
            .psus
            .iter()
            .map(|psu| (psu, check::plugs(cards, psu.part, adapters).outcome))
            .filter(|(_, plugs)| *plugs <= Outcome::Warn)
            .collect();
        let supplies: Vec<Option<&Offered<'a, Psu>>> =
            self.cpus.iter().map(|cpu| self.supply(cards, cpu.part, &plugged)).collect();
        let cases: Vec<usize> = (0..self.cases.len())
            .filter(|case| check::length(cards, self.cases[*case].part).outcome != Outcome::Fail)
            .collect();
        let mut best: Option<Choice<'_, 'a>> = None;
        let mut reached = 0;
        for (board, cpus) in self.boards.iter().zip(&self.cpus_of) {
            if !has_slots(cards, board.part, needs) {
                continue;
            }
            reached = reached.max(1);
            let Some((kit, kits)) = self.memory(board.part, needs.memory_gib) else { continue };
            reached = reached.max(2);
            let Some((case, cooler)) = self.housing(cards, board.part, &cases) else { continue };
            reached = reached.max(3);
            for cpu in cpus {
                reached = reached.max(4);
                let (Some(psu), cpu) = (supplies[*cpu], &self.cpus[*cpu]) else { continue };
                let constants = self.constants;
                let choice = Choice { constants, board, kit, kits, cpu, psu, case, cooler, disk };
                if best.as_ref().is_none_or(|best| choice.beats(best, cards)) {
                    best = Some(choice);
                }
            }
        }
        best.map(|choice| choice.base(cards)).ok_or(NoBase { missing: STAGES[reached] })
    }

    /// The base system of these very parts, whether they fit together or not: the rules say so.
    ///
    /// # Errors
    /// When a part is not in the catalog, or there is none of a kind that every machine has, several
    /// of one, or a number that no machine has.
    pub fn base_of(&self, parts: &[FixedPart], cards: &[&Gpu]) -> Result<Base<'a>, PartsError> {
        let known = |id: &Id| {
            let has = [
                has(&self.cpus, id),
                has(&self.boards, id),
                has(&self.kits, id),
                has(&self.psus, id),
                has(&self.cases, id),
                has(&self.coolers, id),
                has(&self.disks, id),
            ];
            has.contains(&true)
        };
        if let Some(unknown) = parts.iter().find(|part| !known(&part.id)) {
            return Err(PartsError::Unknown { id: unknown.id.clone() });
        }
        let (kit, kits) = some(&self.kits, parts, "memory")?;
        let choice = Choice {
            constants: self.constants,
            board: one(&self.boards, parts, "board")?,
            kit,
            kits,
            cpu: one(&self.cpus, parts, "processor")?,
            psu: one(&self.psus, parts, "power supply")?,
            case: one(&self.cases, parts, "case")?,
            cooler: one(&self.coolers, parts, "cooler")?,
            disk: one(&self.disks, parts, "SSD")?,
        };
        Ok(choice.base(cards))
    }

    fn memory(&self, board: &Motherboard, gib: f64) -> Option<(&Offered<'a, Memory>, u32)> {
        let kits = self
            .kits
            .iter()
            .map(|kit| (kit, (gib / kit.part.capacity_gib.written()).ceil() as u32))
            .filter(|(kit, kits)| check::memory(kit.part, *kits, board).outcome != Outcome::Fail);
        commodity(kits)
    }

    /// The cheapest supply, with headroom where that is worth its price, of those that have the
    /// plugs, in the order of their prices.
    fn supply<'s>(
        &self,
        cards: &[&Gpu],
        cpu: &Cpu,
        plugged: &[(&'s Offered<'a, Psu>, Outcome)],
    ) -> Option<&'s Offered<'a, Psu>> {
        /// How many times the price of a tight supply a roomy one may cost.
        const WORTH: i64 = 3;
        let rest = self.constants.rest_w;
        let cheapest = |least: Outcome| {
            let holds = |psu| check::supply(cards, cpu, rest, psu).outcome <= least;
            let mut fitting = plugged.iter().filter(|(_, plugs)| *plugs <= least);
            fitting.find(|(psu, _)| holds(psu.part)).map(|(psu, _)| *psu)
        };
        let (roomy, tight) = (cheapest(Outcome::NotChecked), cheapest(Outcome::Warn)?);
        // A supply without headroom is no bargain, so one that passes goes first; but not one of
        // many times the price, since a power limit of the cards gives the same headroom for nothing.
        let worth = |roomy: &&Offered<'a, Psu>| {
            let ((roomy_unpriced, roomy_amount), (tight_unpriced, tight_amount)) =
                (roomy.cost(1), tight.cost(1));
            roomy_unpriced <= tight_unpriced && roomy_amount <= tight_amount * WORTH
        };
        Some(roomy.filter(worth).unwrap_or(tight))
    }

    /// The cheapest case out of `cases`, by index, with a cooler.
    fn housing(
        &self,
        cards: &[&Gpu],
        board: &Motherboard,
        cases: &[usize],
    ) -> Option<(&Offered<'a, Case>, &Offered<'a, Cooler>)> {
        cases
            .iter()
            .filter_map(|index| {
                let cooler = self.cooler_for.get(&(board.socket.as_str(), *index))?;
                let (case, cooler) = (&self.cases[*index], &self.coolers[*cooler]);
                let fits = check::board_size(board, case.part).outcome != Outcome::Fail
                    && check::width(cards, board, case.part).outcome != Outcome::Fail;
                fits.then_some((case, cooler))
            })
            .min_by_key(|(case, cooler)| (sum([case.cost(1), cooler.cost(1)]), case.id, cooler.id))
    }
}

fn has<T>(offered: &[Offered<'_, T>], id: &Id) -> bool {
    offered.iter().any(|one| one.id == id)
}

/// The part of a kind that is named, and how many of it.
fn some<'s, 'a, T>(
    offered: &'s [Offered<'a, T>],
    parts: &[FixedPart],
    kind: &'static str,
) -> Result<(&'s Offered<'a, T>, u32), PartsError> {
    let of_kind = |part: &FixedPart| {
        offered.iter().find(|one| *one.id == part.id).map(|one| (one, part.count))
    };
    let found: Vec<_> = parts.iter().filter_map(of_kind).collect();
    match found[..] {
        [] => Err(PartsError::Missing { kind }),
        [(part, 0)] => {
            let (id, allowed) = (part.id.clone(), "at least one");
            Err(PartsError::Count { kind, id, count: 0, allowed })
        }
        [one] => Ok(one),
        _ => {
            let ids = found.iter().map(|(part, _)| part.id.clone()).collect();
            Err(PartsError::Several { kind, ids })
        }
    }
}

/// The part of a kind that a machine has one of.
fn one<'s, 'a, T>(
    offered: &'s [Offered<'a, T>],
    parts: &[FixedPart],
    kind: &'static str,
) -> Result<&'s Offered<'a, T>, PartsError> {
    match some(offered, parts, kind)? {
        (part, 1) => Ok(part),
        (part, count) => {
            Err(PartsError::Count { kind, id: part.id.clone(), count, allowed: "one" })
        }
    }
}

/// Attention heads of the catalog's models, as far as they are recorded.
fn heads(catalog: &Catalog) -> Result<Vec<u64>, CatalogError> {
    let models = catalog.all::<Model>()?;
    Ok(models.values().filter_map(|model| model.dims.get("heads").copied()).collect())
}

fn has_slots(cards: &[&Gpu], board: &Motherboard, needs: BaseNeeds) -> bool {
    let outcome = check::slots(cards, board).outcome;
    if needs.full_lanes { outcome == Outcome::Pass } else { outcome != Outcome::Fail }
}

fn kits<'a>(market: &Market<'a>) -> Result<Vec<Offered<'a, Memory>>, CatalogError> {
    let kits = offered(market, market.catalog.all()?);
    Ok(at_newest_rate(kits, |kit: &Memory| &kit.memory_type, |kit| kit.capacity_gib.written()))
}

fn disks<'a>(market: &Market<'a>) -> Result<Vec<Offered<'a, Storage>>, CatalogError> {
    let disks = offered(market, market.catalog.all()?);
    Ok(at_newest_rate(disks, |_: &Storage| "SSD", |disk| disk.capacity_gb))
}

/// What a memory kit or an SSD costs now, an old price raised to what goods of its kind cost; `None`
/// for everything else and where it has no price.
///
/// # Errors
/// When a part file is broken.
pub fn present_price(market: &Market<'_>, item: &Id) -> Result<Option<Price>, CatalogError> {
    fn of<T>(all: Vec<Offered<'_, T>>, item: &Id) -> Option<Price> {
        all.into_iter().find(|one| one.id == item).and_then(|one| one.price.ok())
    }
    Ok(match item.folder() {
        "memory" => of(kits(market)?, item),
        "storage" => of(disks(market)?, item),
        _ => None,
    })
}

/// How much older than the newest a price of memory or an SSD may be to stand as it is.
///
/// From May 2025 to February 2026 a 64 GB kit went from CHF 170 to 629: a price a
/// quarter old says nothing.
pub const COMMODITY_DAYS: i32 = 30;

/// Raises old prices of parts that replace one another, such as memory kits and SSDs, to what a
/// gigabyte of the same kind costs by the newest prices.
///
/// What one of them costs now, the others cost about as well: an old price is not a bargain, and a
/// part twice as large is not needed because somebody saw its price lately. What is dearer anyway
/// keeps its price.
fn at_newest_rate<T: Entry>(
    mut parts: Vec<Offered<'_, T>>,
    kind: impl Fn(&T) -> &str,
    gb: impl Fn(&T) -> f64,
) -> Vec<Offered<'_, T>> {
    let mut newest: BTreeMap<String, i32> = BTreeMap::new();
    for part in &parts {
        if let Ok(price) = &part.price {
            let age = newest.entry(kind(part.part).to_owned()).or_insert(price.age_days);
            *age = price.age_days.min(*age);
        }
    }
    let is_new = |kind: &str, price: &Price| price.age_days - newest[kind] <= COMMODITY_DAYS;
    // Cheapest gigabyte of each kind: hundredths of the currency, whose part, and when.
    let mut rates: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for part in &parts {
        let Ok(price) = &part.price else { continue };
        let rate = price.amount.minor as f64 / gb(part.part);
        let known = rates.get(kind(part.part));
        if is_new(kind(part.part), price) && known.is_none_or(|(least, _)| rate < *least) {
            let of = format!("{} of {}", part.part.name(), price.date);
            rates.insert(kind(part.part).to_owned(), (rate, of));
        }
    }
    for part in &mut parts {
        let kind = kind(part.part);
        let Ok(price) = &mut part.price else { continue };
        if is_new(kind, price) {
            continue;
        }
        let (rate, of) = &rates[kind];
        // Never less than the part that the rate is of, were it as large.
        let minor = (rate * gb(part.part) - 1e-6).ceil() as i64;
        let today = Money { minor, ..price.amount };
        if today.minor > price.amount.minor {
            price.raise(today, &format!("{:.4} per GB, as {of}", rate / 100.0));
        }
    }
    parts
}

/// The cheapest of parts that replace one another; of equal ones that whose price is newest, which was
/// asked and not raised.
fn commodity<'s, 'a, T>(
    parts: impl Iterator<Item = (&'s Offered<'a, T>, u32)>,
) -> Option<(&'s Offered<'a, T>, u32)> {
    let age = |part: &Offered<'a, T>| part.price.as_ref().map_or(i32::MAX, |price| price.age_days);
    parts.min_by_key(|(part, count)| (part.cost(*count), age(part), part.id))
}

fn offered<'a, T>(market: &Market<'a>, table: &'a Table<T>) -> Vec<Offered<'a, T>> {
    table
        .iter()
        .map(|(id, part)| Offered { id, part, price: market.price(id, None, Goods::New) })
        .collect()
}

struct Choice<'s, 'a> {
    constants: &'a MachineConstants,
    board: &'s Offered<'a, Motherboard>,
    kit: &'s Offered<'a, Memory>,
    kits: u32,
    cpu: &'s Offered<'a, Cpu>,
    psu: &'s Offered<'a, Psu>,
    case: &'s Offered<'a, Case>,
    cooler: &'s Offered<'a, Cooler>,
    disk: &'s Offered<'a, Storage>,
}

impl<'a> Choice<'_, 'a> {
    fn cost(&self) -> Cost {
        sum([
            self.board.cost(1),
            self.kit.cost(self.kits),
            self.cpu.cost(1),
            self.psu.cost(1),
            self.case.cost(1),
            self.cooler.cost(1),
            self.disk.cost(1),
        ])
    }

    /// Fewer parts without a price are better, then the cheaper; among equals, what passes more
    /// checks and then the first by name.
    fn beats(&self, other: &Self, cards: &[&Gpu]) -> bool {
        let doubts = |choice: &Self| {
            choice.checks(cards).iter().filter(|one| one.outcome != Outcome::Pass).count()
        };
        let names = |choice: &Self| (choice.board.id, choice.cpu.id);
        let order = self.cost().cmp(&other.cost());
        order
            .then_with(|| doubts(self).cmp(&doubts(other)))
            .then_with(|| names(self).cmp(&names(other)))
            .is_lt()
    }

    fn checks(&self, cards: &[&Gpu]) -> Vec<Check> {
        let mut checks = vec![
            check::socket(self.cpu.part, self.board.part),
            check::memory(self.kit.part, self.kits, self.board.part),
            check::slots(cards, self.board.part),
            check::width(cards, self.board.part, self.case.part),
            check::length(cards, self.case.part),
            check::board_size(self.board.part, self.case.part),
            check::cooler(self.cooler.part, self.cpu.part, self.case.part),
            check::airflow(cards, self.constants.others_heat_w),
            check::supply(cards, self.cpu.part, self.constants.rest_w, self.psu.part),
            check::plugs(cards, self.psu.part, &self.constants.adapters),
        ];
        checks.extend(check::gap(cards, self.board.part));
        checks
    }

    fn base(&self, cards: &[&Gpu]) -> Base<'a> {
        let line = |role, id: &Id, name: &str, count, price: &Result<Price, NoPrice>| Line {
            role,
            id: id.clone(),
            name: name.to_owned(),
            count,
            price: price.clone(),
        };
        Base {
            lines: vec![
                line("processor", self.cpu.id, &self.cpu.part.name, 1, &self.cpu.price),
                line("board", self.board.id, &self.board.part.name, 1, &self.board.price),
                line("memory", self.kit.id, &self.kit.part.name, self.kits, &self.kit.price),
                line("SSD", self.disk.id, &self.disk.part.name, 1, &self.disk.price),
                line("power supply", self.psu.id, &self.psu.part.name, 1, &self.psu.price),
                line("case", self.case.id, &self.case.part.name, 1, &self.case.price),
                line("cooler", self.cooler.id, &self.cooler.part.name, 1, &self.cooler.price),
            ],
            checks: self.checks(cards),
            board: self.board.part,
            case: self.case.part,
            cpu: self.cpu.part,
            psu: self.psu.part,
        }
    }
}
