//! PC builds: the cheapest compatible base system around given cards.

use localrig_facts::catalog::Table;
use localrig_facts::gpu::Gpu;
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu, Storage};
use localrig_facts::{CatalogError, Id, Money};
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
    /// Price of all of them.
    pub fn amount(&self) -> Option<Money> {
        self.price.as_ref().ok().map(|price| price.amount.times(self.count))
    }
}

/// A base system around cards.
#[derive(Clone, Debug)]
pub struct Base<'a> {
    /// Parts, cards not included.
    pub lines: Vec<Line>,
    /// The rules that were applied.
    pub checks: Vec<Check>,
    /// The case, for noise.
    pub case: &'a Case,
    /// The processor, for power.
    pub cpu: &'a Cpu,
    /// System memory in GiB.
    pub memory_gib: f64,
    /// What the parts cost.
    pub cost: Money,
}

/// What a base system must have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaseNeeds {
    /// System memory: models are loaded through it, and prompt caches live there.
    pub memory_gib: f64,
    /// Room for models.
    pub storage_gb: f64,
}

impl BaseNeeds {
    /// 64 GiB and 2 TB up to two cards, 128 GiB and 4 TB beyond.
    ///
    /// Source: the build guides of the February 2026 research; half the accelerator memory of the
    /// usual one- and two-card builds, and room for a dozen models.
    pub fn for_cards(count: usize) -> Self {
        if count <= 2 {
            Self { memory_gib: 64.0, storage_gb: 2000.0 }
        } else {
            Self { memory_gib: 128.0, storage_gb: 4000.0 }
        }
    }
}

/// A priced part.
struct Priced<'a, T> {
    id: &'a Id,
    part: &'a T,
    price: Price,
}

/// Parts with prices, gathered once for all builds.
pub struct Shelf<'a> {
    cpus: Vec<Priced<'a, Cpu>>,
    boards: Vec<Priced<'a, Motherboard>>,
    kits: Vec<Priced<'a, Memory>>,
    psus: Vec<Priced<'a, Psu>>,
    cases: Vec<Priced<'a, Case>>,
    coolers: Vec<Priced<'a, Cooler>>,
    disks: Vec<Priced<'a, Storage>>,
}

/// Why there is no base system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("no compatible {missing} with a price")]
pub struct NoBase {
    /// The part that could not be found.
    pub missing: String,
}

impl<'a> Shelf<'a> {
    /// Every part that has a price as of the market's day.
    ///
    /// # Errors
    /// When a part file is broken.
    pub fn new(market: &Market<'a>) -> Result<Self, CatalogError> {
        Ok(Self {
            cpus: priced(market, market.catalog.all()?),
            boards: priced(market, market.catalog.all()?),
            kits: priced(market, market.catalog.all()?),
            psus: priced(market, market.catalog.all()?),
            cases: priced(market, market.catalog.all()?),
            coolers: priced(market, market.catalog.all()?),
            disks: priced(market, market.catalog.all()?),
        })
    }

    /// The cheapest base system for the cards that fails no rule.
    ///
    /// Every rule but the supply's looks at two parts at a time, so the search goes board by board:
    /// for each board the cheapest memory, for each processor on it the cheapest supply, cooler and
    /// case; dearer branches are cut.
    ///
    /// # Errors
    /// When no combination of priced parts fits.
    pub fn cheapest(&self, cards: &[&Gpu], needs: BaseNeeds) -> Result<Base<'a>, NoBase> {
        let disk = self
            .disks
            .iter()
            .filter(|disk| disk.part.capacity_gb >= needs.storage_gb)
            .min_by_key(|disk| (disk.price.amount.minor, disk.id))
            .ok_or_else(|| missing("SSD"))?;
        let mut best: Option<Choice<'_, 'a>> = None;
        let mut lacking = "board with a slot for every card";
        for board in &self.boards {
            if check::slots(cards, board.part).outcome == Outcome::Fail {
                continue;
            }
            lacking = furthest(lacking, "memory kit");
            let Some((kit, kits)) = self.memory(board.part, needs.memory_gib) else { continue };
            lacking = furthest(lacking, "processor");
            for cpu in &self.cpus {
                if check::socket(cpu.part, board.part).outcome == Outcome::Fail {
                    continue;
                }
                lacking = furthest(lacking, "power supply");
                let Some(psu) = self.supply(cards, cpu.part) else { continue };
                lacking = furthest(lacking, "case and cooler");
                let Some((case, cooler)) = self.housing(cards, board.part, cpu.part) else {
                    continue;
                };
                let choice = Choice { board, kit, kits, cpu, psu, case, cooler, disk };
                if best.as_ref().is_none_or(|best| choice.rank(cards) < best.rank(cards)) {
                    best = Some(choice);
                }
            }
        }
        best.map(|choice| choice.base(cards)).ok_or_else(|| missing(lacking))
    }

    fn memory(&self, board: &Motherboard, gib: f64) -> Option<(&Priced<'a, Memory>, u32)> {
        self.kits
            .iter()
            .map(|kit| (kit, (gib / kit.part.capacity_gib.written()).ceil() as u32))
            .filter(|(kit, kits)| check::memory(kit.part, *kits, board).outcome != Outcome::Fail)
            .min_by_key(|(kit, kits)| (kit.price.amount.times(*kits).minor, kit.id))
    }

    fn supply(&self, cards: &[&Gpu], cpu: &Cpu) -> Option<&Priced<'a, Psu>> {
        let outcome = |psu: &Psu| {
            check::supply(cards, cpu, psu).outcome.max(check::plugs(cards, psu).outcome)
        };
        self.psus
            .iter()
            .filter(|psu| outcome(psu.part) != Outcome::Fail)
            .min_by_key(|psu| (psu.price.amount.minor, psu.id))
    }

    fn housing(
        &self,
        cards: &[&Gpu],
        board: &Motherboard,
        cpu: &Cpu,
    ) -> Option<(&Priced<'a, Case>, &Priced<'a, Cooler>)> {
        let fits = |case: &Case| {
            [
                check::length(cards, case),
                check::width(cards, board, case),
                check::board_size(board, case),
            ]
            .iter()
            .all(|check| check.outcome != Outcome::Fail)
        };
        let mut pairs = Vec::new();
        for case in self.cases.iter().filter(|case| fits(case.part)) {
            for cooler in &self.coolers {
                if check::cooler(cooler.part, cpu, case.part).outcome != Outcome::Fail {
                    pairs.push((case, cooler));
                }
            }
        }
        pairs.into_iter().min_by_key(|(case, cooler)| {
            (case.price.amount.minor + cooler.price.amount.minor, case.id, cooler.id)
        })
    }
}

fn missing(what: &str) -> NoBase {
    NoBase { missing: what.to_owned() }
}

/// The later of two stages of the search, so that the message names what was really lacking.
fn furthest(now: &'static str, reached: &'static str) -> &'static str {
    const STAGES: [&str; 5] = [
        "board with a slot for every card",
        "memory kit",
        "processor",
        "power supply",
        "case and cooler",
    ];
    let stage = |name: &str| STAGES.iter().position(|one| *one == name);
    if stage(reached) > stage(now) { reached } else { now }
}

fn priced<'a, T>(market: &Market<'a>, table: &'a Table<T>) -> Vec<Priced<'a, T>> {
    table
        .iter()
        .filter_map(|(id, part)| {
            let price = market.price(id, None, Goods::New).ok()?;
            Some(Priced { id, part, price })
        })
        .collect()
}

struct Choice<'s, 'a> {
    board: &'s Priced<'a, Motherboard>,
    kit: &'s Priced<'a, Memory>,
    kits: u32,
    cpu: &'s Priced<'a, Cpu>,
    psu: &'s Priced<'a, Psu>,
    case: &'s Priced<'a, Case>,
    cooler: &'s Priced<'a, Cooler>,
    disk: &'s Priced<'a, Storage>,
}

impl<'a> Choice<'_, 'a> {
    fn cost(&self) -> Money {
        self.board.price.amount
            + self.kit.price.amount.times(self.kits)
            + self.cpu.price.amount
            + self.psu.price.amount
            + self.case.price.amount
            + self.cooler.price.amount
            + self.disk.price.amount
    }

    /// Cheaper is better; among equals, what passes more checks and then the first by name.
    fn rank(&self, cards: &[&Gpu]) -> (i64, usize, &Id, &Id) {
        let doubts = self.checks(cards).iter().filter(|one| one.outcome != Outcome::Pass).count();
        (self.cost().minor, doubts, self.board.id, self.cpu.id)
    }

    fn checks(&self, cards: &[&Gpu]) -> Vec<Check> {
        vec![
            check::socket(self.cpu.part, self.board.part),
            check::memory(self.kit.part, self.kits, self.board.part),
            check::slots(cards, self.board.part),
            check::width(cards, self.board.part, self.case.part),
            check::length(cards, self.case.part),
            check::board_size(self.board.part, self.case.part),
            check::cooler(self.cooler.part, self.cpu.part, self.case.part),
            check::airflow(cards),
            check::supply(cards, self.cpu.part, self.psu.part),
            check::plugs(cards, self.psu.part),
        ]
    }

    fn base(&self, cards: &[&Gpu]) -> Base<'a> {
        let line = |role, id: &Id, name: &str, count, price: &Price| Line {
            role,
            id: id.clone(),
            name: name.to_owned(),
            count,
            price: Ok(price.clone()),
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
            case: self.case.part,
            cpu: self.cpu.part,
            memory_gib: self.kit.part.capacity_gib.written() * f64::from(self.kits),
            cost: self.cost(),
        }
    }
}
