//! PC builds of one, two or four cards.

use localrig_facts::gpu::{Cooling, Gpu, GpuKind, Status};
use localrig_facts::machine::{Device, Machine, PcieSlot};
use localrig_facts::system::Form;
use localrig_facts::unit::{Bytes, Watts};
use localrig_facts::{CatalogError, Id};

use super::wall::{Wall, WallBasis, idle_of_cards};
use super::{Candidate, Site};
use crate::build::{Base, BaseNeeds, Line, NoBase, Shelf};
use crate::check::{self, Outcome};
use crate::figure::grouped;
use crate::noise::{MachineNoise, of_cards};
use crate::price::{NoPrice, Price, share_parcels};

impl<'a> Site<'_, 'a> {
    /// What one of each kind of card in the machine costs.
    pub(super) fn card_prices(&self, machine: &Machine<'_>) -> Vec<Result<Price, NoPrice>> {
        machine.devices.iter().map(|device| self.card_price(device.id, device.gpu)).collect()
    }

    fn card_price(&self, id: &Id, gpu: &Gpu) -> Result<Price, NoPrice> {
        let sold_new = gpu.status.contains(&Status::Retail);
        self.market.offer(id, None, sold_new, self.requirement.used.accepted)
    }

    /// Builds of each card that is sold, and of each pair worth mixing.
    pub(super) fn builds(&self, found: &mut Vec<Candidate<'a>>) -> Result<(), CatalogError> {
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
    pub(super) fn build(
        &self,
        shelf: &Shelf<'a>,
        cards: &[Card<'_, 'a>],
        found: &mut Vec<Candidate<'a>>,
    ) {
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

    /// The cards in a base system, with every rule applied; without one, with the reason.
    pub(super) fn around(
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
        share_parcels(&mut lines);
        let (cost, priced) = self.sums(&lines);
        Candidate {
            key,
            idle: idle_of_cards(&machine.devices),
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
}

/// The cards of a machine with their prices, in the same order.
pub(super) fn cards_of<'m, 'a>(
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
pub(super) fn each<'a>(cards: &[Card<'_, 'a>]) -> Vec<&'a Gpu> {
    cards.iter().flat_map(|card| std::iter::repeat_n(card.gpu, card.count as usize)).collect()
}

/// Cards of one kind in a build.
pub(super) struct Card<'m, 'a> {
    id: &'a Id,
    gpu: &'a Gpu,
    count: u32,
    price: &'m Result<Price, NoPrice>,
}

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
