//! Whether parts fit together: one small function per rule, each with its reason.
//!
//! An attribute nobody has recorded gives [`Outcome::NotChecked`], never a pass.

use std::collections::BTreeMap;

use localrig_facts::calibration::Adapter;
use localrig_facts::gpu::{Connector, Cooling, Gpu, Plug};
use localrig_facts::machine::PcieSlot;
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu};
use localrig_facts::region::Socket;
use localrig_facts::unit::Watts;
use serde::Serialize;

use crate::candidate::{Wall, WallBasis};
use crate::figure::grouped;

/// What a rule found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It fits.
    Pass,
    /// A fact is missing.
    NotChecked,
    /// It works with a limitation.
    Warn,
    /// It does not work.
    Fail,
}

impl Outcome {
    /// The word used in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotChecked => "not checked",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A rule applied to a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the rule.
    pub rule: &'static str,
    /// What it found.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// What the rule rests on; the attributes it compares have their sources in the parts' entries.
    pub source: &'static str,
}

pub(crate) fn check(rule: &'static str, outcome: Outcome, reason: impl Into<String>) -> Check {
    Check { rule, outcome, reason: reason.into(), source: source_of(rule) }
}

/// What a rule rests on beside the parts' entries.
fn source_of(rule: &str) -> &'static str {
    match rule {
        "slots" => "entries; PCI-SIG, PCI Express Base Specification",
        "power supply" => "entries; Intel, ATX 3.1 design guide (336521)",
        "plugs" => "entries; PCI-SIG, Card Electromechanical Specification",
        "cut of matrices" => "the catalog's models",
        "airflow" => "entries; judgement (`calibration/machine`)",
        "cord" | WALL_SOCKET => "the region's entry",
        "cluster link" => "the maker's guides",
        "base system" => "the catalog's parts",
        _ => "entries",
    }
}

fn pass_if(rule: &'static str, holds: bool, reason: impl Into<String>) -> Check {
    check(rule, if holds { Outcome::Pass } else { Outcome::Fail }, reason)
}

/// The processor fits the board's socket, and is of a platform that the board takes where its socket
/// carries several.
pub fn socket(cpu: &Cpu, board: &Motherboard) -> Check {
    let platform = board.platforms.is_empty() || board.platforms.contains(&cpu.platform);
    pass_if(
        "socket",
        cpu.socket == board.socket && platform,
        format!("{} ({}) in {} ({})", cpu.platform, cpu.socket, board.socket, board.chipset),
    )
}

/// The memory is of the kind the board takes, in number and size.
pub fn memory(kit: &Memory, kits: u32, board: &Motherboard) -> Check {
    const RULE: &str = "memory";
    if kit.memory_type != board.memory_type {
        return check(
            RULE,
            Outcome::Fail,
            format!("{} does not work in a board for {}", kit.memory_type, board.memory_type),
        );
    }
    let modules = kit.modules * kits;
    let capacity = kit.capacity_gib.written() * f64::from(kits);
    if board.memory_slots.is_some_and(|slots| modules > slots) {
        return check(RULE, Outcome::Fail, format!("{modules} modules, fewer slots"));
    }
    if board.memory_max_gib.is_some_and(|most| capacity > most.written()) {
        return check(RULE, Outcome::Fail, format!("{capacity} GiB is more than the board takes"));
    }
    match board.memory_slots {
        Some(slots) => {
            check(RULE, Outcome::Pass, format!("{modules} of {slots} slots, {}", kit.memory_type))
        }
        None => check(RULE, Outcome::NotChecked, "number of memory slots not recorded"),
    }
}

/// Fewest lanes of a slot that a card is put into: with fewer, loading a model takes minutes.
const LEAST_LANES: u32 = 4;

/// Fewest lanes of each card for a model that is split over cards.
const SPLIT_LANES: u32 = 8;

/// The board has a long slot for every card.
pub fn slots(cards: &[&Gpu], board: &Motherboard) -> Check {
    const RULE: &str = "slots";
    let slots = long_slots(board, cards.len());
    if slots.is_empty() {
        // Every board has a slot for one card; nobody should buy four on a guess.
        let outcome = if cards.len() > 1 { Outcome::Fail } else { Outcome::NotChecked };
        return check(RULE, outcome, "slots of the board not recorded");
    }
    if cards.len() > slots.len() {
        return check(
            RULE,
            Outcome::Fail,
            format!("{} cards, {} slots of at least four lanes", cards.len(), slots.len()),
        );
    }
    let used = || slots[..cards.len()].iter().map(|slot| slot.lanes);
    let generation =
        slots[..cards.len()].iter().filter_map(|slot| slot.generation).reduce(f64::min);
    let generation = generation.map_or_else(String::new, |one| format!(", PCIe {one:.1}"));
    let words = lanes(cards, board) + &generation;
    if used().any(|lanes| lanes.is_none()) {
        return check(RULE, Outcome::NotChecked, format!("{words}: lanes of a slot not recorded"));
    }
    if cards.len() > 1 && used().flatten().any(|lanes| lanes < SPLIT_LANES) {
        return check(
            RULE,
            Outcome::Warn,
            format!(
                "{words}: enough for one model per card; splitting a model over the cards is slow, \
                 and so is loading"
            ),
        );
    }
    check(RULE, Outcome::Pass, words)
}

/// Lanes that each card gets: `x8+x8`.
pub fn lanes(cards: &[&Gpu], board: &Motherboard) -> String {
    let slots = long_slots(board, cards.len());
    let word = |slot: &PcieSlot| slot.lanes.map_or("x?".to_owned(), |lanes| format!("x{lanes}"));
    slots.iter().take(cards.len()).map(word).collect::<Vec<_>>().join("+")
}

/// The slots that take a card, widest first, when `cards` of them are used.
pub fn long_slots(board: &Motherboard, cards: usize) -> Vec<PcieSlot> {
    let mut slots: Vec<PcieSlot> = Vec::new();
    for slot in &board.slots {
        if slot.lanes.is_some_and(|lanes| lanes < LEAST_LANES) {
            continue;
        }
        let lanes = if cards > 1 { slot.lanes_shared.or(slot.lanes) } else { slot.lanes };
        let slot_of_card = PcieSlot { generation: Some(slot.pcie_gen), lanes };
        slots.extend(std::iter::repeat_n(slot_of_card, slot.count as usize));
    }
    slots.sort_by_key(|slot| std::cmp::Reverse(slot.lanes.unwrap_or(0)));
    slots
}

/// The cards are not too long for the case.
pub fn length(cards: &[&Gpu], case: &Case) -> Check {
    const RULE: &str = "card length";
    let longest = cards.iter().map(|gpu| gpu.board.length_mm).collect::<Option<Vec<_>>>();
    let longest = longest.map(|all| all.iter().map(|one| one.get()).fold(0.0, f64::max));
    let partners = cards.iter().filter_map(|gpu| gpu.board.partner_length_mm);
    let partners = partners.map(|[_, most]| most.get()).fold(0.0, f64::max);
    match (longest, case.max_gpu_length_mm) {
        (Some(longest), Some(room)) if longest <= room.get() && partners > room.get() => check(
            RULE,
            Outcome::NotChecked,
            format!(
                "{longest:.0} of {:.0} mm, but cards of board partners are up to {partners:.0} mm \
                 long: look at the one that is ordered",
                room.get()
            ),
        ),
        (Some(longest), Some(room)) => {
            let or = if partners > longest {
                format!(", of board partners up to {partners:.0}")
            } else {
                String::new()
            };
            pass_if(
                RULE,
                longest <= room.get(),
                format!("{longest:.0}{or} of {:.0} mm", room.get()),
            )
        }
        (None, _) => check(RULE, Outcome::NotChecked, "length of a card not recorded"),
        (_, None) => check(RULE, Outcome::NotChecked, "room of the case not recorded"),
    }
}

/// The cards fit between the slots of the board and into those of the case.
pub fn width(cards: &[&Gpu], board: &Motherboard, case: &Case) -> Check {
    const RULE: &str = "card width";
    let Some(widths) = slots_wide(cards, |gpu| gpu.board.slots) else {
        return check(RULE, Outcome::NotChecked, "width of a card not recorded");
    };
    let whole: u32 = widths.iter().sum();
    if whole > case.expansion_slots {
        return check(
            RULE,
            Outcome::Fail,
            format!("{whole} slots wide together, the case has {}", case.expansion_slots),
        );
    }
    if cards.len() < 2 {
        return check(RULE, Outcome::Pass, format!("{whole} of {} slots", case.expansion_slots));
    }
    if board.slot_positions.is_empty() {
        return check(RULE, Outcome::NotChecked, "distance between the board's slots not recorded");
    }
    let Some(places) = placed(&widths, board) else {
        let words = widths.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        return check(
            RULE,
            Outcome::Fail,
            format!("cards of {words} slots do not fit in the slots of the board"),
        );
    };
    let lowest = |places: &[u32], widths: &[u32]| match (places.last(), widths.last()) {
        (Some(place), Some(width)) => place + width - 1,
        _ => 0,
    };
    if lowest(&places, &widths) > case.expansion_slots {
        return check(
            RULE,
            Outcome::Fail,
            format!(
                "the lowest card reaches to slot {}, the case has {}",
                lowest(&places, &widths),
                case.expansion_slots
            ),
        );
    }
    let most = |gpu: &Gpu| gpu.board.partner_slots.map(|[_, most]| most).or(gpu.board.slots);
    let partners = slots_wide(cards, most).unwrap_or_else(|| widths.clone());
    let fits = placed(&partners, board)
        .is_some_and(|places| lowest(&places, &partners) <= case.expansion_slots);
    let places = places.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    if fits {
        return check(RULE, Outcome::Pass, format!("in slots {places} from the top"));
    }
    check(
        RULE,
        Outcome::NotChecked,
        format!(
            "in slots {places} from the top; cards of board partners are up to {} slots wide and \
             would not fit: order one that does",
            partners.iter().max().unwrap_or(&whole)
        ),
    )
}

/// Whole slots that each card takes; `None` where the width of one is not known.
fn slots_wide(cards: &[&Gpu], width: impl Fn(&Gpu) -> Option<f64>) -> Option<Vec<u32>> {
    cards.iter().map(|gpu| width(gpu).map(|slots| slots.ceil() as u32)).collect()
}

/// Positions of the slots that cards take from the top down, each the first that the card above
/// leaves free; `None` where one finds none.
///
/// Taking the first free slot each time leaves most for those below, so no other order of places
/// fits where this one does not.
fn placed(widths: &[u32], board: &Motherboard) -> Option<Vec<u32>> {
    let each = board.slots.iter().flat_map(|slot| std::iter::repeat_n(slot, slot.count as usize));
    let mut long = each
        .zip(&board.slot_positions)
        .filter(|(slot, _)| slot.lanes.is_none_or(|lanes| lanes >= LEAST_LANES))
        .map(|(_, position)| *position);
    let mut free = 1;
    widths
        .iter()
        .map(|width| {
            let position = long.find(|position| *position >= free)?;
            free = position + width;
            Some(position)
        })
        .collect()
}

/// Cards that draw their air from the case have a free slot between them; blowers need none.
///
/// `None` for a single card.
pub fn gap(cards: &[&Gpu], board: &Motherboard) -> Option<Check> {
    const RULE: &str = "gap between cards";
    if cards.len() < 2 {
        return None;
    }
    if cards.iter().all(|gpu| gpu.board.cooling == Some(Cooling::Blower)) {
        return Some(check(RULE, Outcome::Pass, "blowers may stand side by side"));
    }
    let Some(widths) = slots_wide(cards, |gpu| gpu.board.slots) else {
        return Some(check(RULE, Outcome::NotChecked, "width of a card not recorded"));
    };
    if board.slot_positions.is_empty() {
        return Some(check(RULE, Outcome::NotChecked, "distance of the slots not recorded"));
    }
    // A card with a free slot below it is one slot wider to those that follow.
    let with_gap = |widths: &[u32]| {
        let wider: Vec<u32> = widths.iter().map(|width| width + 1).collect();
        placed(&wider, board).is_some()
    };
    let most = |gpu: &Gpu| gpu.board.partner_slots.map(|[_, most]| most).or(gpu.board.slots);
    let partners = slots_wide(cards, most).unwrap_or_else(|| widths.clone());
    Some(if !with_gap(&widths) {
        check(
            RULE,
            Outcome::Warn,
            "no free slot between two of them: the upper card's fans are covered",
        )
    } else if with_gap(&partners) {
        check(RULE, Outcome::Pass, "the board's slots leave one free between them")
    } else {
        check(
            RULE,
            Outcome::NotChecked,
            format!(
                "the board's slots leave one free between them; cards of board partners are up to \
                 {} wide and would leave none",
                partners.iter().max().unwrap_or(&0)
            ),
        )
    })
}

/// Engines cut the matrices of a layer over cards by whole heads: how many models allow it.
///
/// `None` for a single card.
pub fn tensor_split(cards: usize, heads: &[u64]) -> Option<Check> {
    const RULE: &str = "cut of matrices";
    /// Share of the models that makes a number of cards a good one.
    const MOST: f64 = 0.9;
    if cards < 2 || heads.is_empty() {
        return None;
    }
    let even = heads.iter().filter(|heads| **heads % cards as u64 == 0).count();
    let share = even as f64 / heads.len() as f64;
    let reason = format!("heads of {even} of {} models divide by {cards}", heads.len());
    Some(if share >= MOST {
        check(RULE, Outcome::Pass, reason)
    } else {
        check(RULE, Outcome::Warn, format!("{reason}; the others are cut by layers only"))
    })
}

/// The board fits the case.
pub fn board_size(board: &Motherboard, case: &Case) -> Check {
    const RULE: &str = "board size";
    match &board.form_factor {
        None => check(RULE, Outcome::NotChecked, "size of the board not recorded"),
        Some(size) => pass_if(
            RULE,
            case.boards.iter().any(|one| one == size),
            format!("{size} board, case for {}", case.boards.join(", ")),
        ),
    }
}

/// The cooler mounts on the socket and fits the case.
pub fn cooler(cooler: &Cooler, cpu: &Cpu, case: &Case) -> Check {
    const RULE: &str = "cooler";
    if !cooler.sockets.contains(&cpu.socket) {
        return check(RULE, Outcome::Fail, format!("does not mount on {}", cpu.socket));
    }
    match (cooler.height_mm, case.max_cooler_height_mm) {
        _ if cooler.liquid => {
            check(RULE, Outcome::NotChecked, "radiator place of the case not recorded")
        }
        (Some(height), Some(room)) => {
            pass_if(RULE, height <= room, format!("{:.0} of {:.0} mm", height.get(), room.get()))
        }
        _ => check(
            RULE,
            Outcome::NotChecked,
            "height of the cooler or room of the case not recorded",
        ),
    }
}

/// Cards without a fan need a server's airflow; cards that blow into the case heat each other, which
/// is too much beyond `bearable`.
pub fn airflow(cards: &[&Gpu], bearable: Watts) -> Check {
    const RULE: &str = "airflow";
    if cards.iter().any(|gpu| gpu.board.cooling == Some(Cooling::Passive)) {
        return check(RULE, Outcome::Fail, "a passive card needs a server chassis");
    }
    if cards.iter().any(|gpu| gpu.board.cooling.is_none()) {
        return check(RULE, Outcome::NotChecked, "cooler of a card not recorded");
    }
    let into_case = |gpu: &&&Gpu| {
        let cooling = gpu.board.cooling;
        matches!(cooling, Some(Cooling::OpenAir | Cooling::FlowThrough | Cooling::Partner))
    };
    let blowing = cards.iter().filter(into_case);
    let Some(heat) = blowing.map(|gpu| gpu.board.tdp_w).collect::<Option<Vec<Watts>>>() else {
        return check(RULE, Outcome::NotChecked, "power of a card not recorded");
    };
    let most =
        heat.iter().copied().fold(Watts::ZERO, |most, one| if one > most { one } else { most });
    let all: Watts = heat.iter().copied().sum();
    match heat.len() {
        0 => check(RULE, Outcome::Pass, "no card blows its heat into the case"),
        1 => check(RULE, Outcome::Pass, "one card blows its heat into the case"),
        several if all - most <= bearable => check(
            RULE,
            Outcome::Pass,
            format!("{several} cards blow {} W into the case, little enough", whole(all)),
        ),
        several => check(
            RULE,
            Outcome::Warn,
            format!(
                "{several} cards blow {} W into the case: the upper ones breathe it",
                whole(all)
            ),
        ),
    }
}

/// Sum of what cards, processor and the `rest` draw at most, sustained.
pub fn sustained(cards: &[&Gpu], cpu: &Cpu, rest: Watts) -> Option<Watts> {
    let cards: Watts =
        cards.iter().map(|gpu| gpu.board.tdp_w).collect::<Option<Vec<Watts>>>()?.into_iter().sum();
    Some(cards + cpu.ppt_w.unwrap_or(cpu.tdp_w) + rest)
}

/// The supply carries the sustained sum of cards, processor and the `rest` with headroom for load
/// steps.
///
/// Supplies to ATX 3.0 and later must ride out steps to twice their rating, so a sustained sum up
/// to 90 % of the rating passes and up to the rating is a warning. Of others nobody knows what steps
/// they ride out, unless steps to twice the sum stay within the rating.
pub fn supply(cards: &[&Gpu], cpu: &Cpu, rest: Watts, psu: &Psu) -> Check {
    const RULE: &str = "power supply";
    /// Share of the rating that leaves headroom.
    const ROOMY: f64 = 0.9;
    /// Share at which a step to twice the sum is the rating.
    const STEP: f64 = 0.5;
    let Some(load) = sustained(cards, cpu, rest) else {
        return check(RULE, Outcome::NotChecked, "power of a card not recorded");
    };
    let share = load / psu.output_w;
    let reason = format!("{} of {} W sustained", whole(load), whole(psu.output_w));
    let version = psu.atx_version.as_deref().and_then(|version| version.parse::<f64>().ok());
    let steps = match version {
        _ if share <= STEP => "",
        Some(version) if version >= 3.0 => "",
        Some(_) => "; built before ATX 3, so whether it rides out load steps is not known",
        None => "; whether it rides out load steps (ATX 3) is not recorded",
    };
    if share <= ROOMY {
        let outcome = if steps.is_empty() { Outcome::Pass } else { Outcome::NotChecked };
        check(RULE, outcome, reason + steps)
    } else if share <= 1.0 {
        check(RULE, Outcome::Warn, format!("{reason}: limit the cards' power a little{steps}"))
    } else {
        check(RULE, Outcome::Fail, reason)
    }
}

/// Most that a slot delivers: a card beyond it has a plug. A definition of the standard (PCI-SIG, PCI
/// Express Card Electromechanical Specification).
const SLOT_POWER: Watts = Watts::new(75.0);

/// The supply has the cards' plugs, some of them by adapters. A card with an EPS plug leaves one for
/// the board.
pub fn plugs(cards: &[&Gpu], psu: &Psu, adapters: &[Adapter]) -> Check {
    const RULE: &str = "plugs";
    let adapter = |plug: Plug| adapters.iter().find(|one| one.makes == plug);
    let mut needed: BTreeMap<Plug, u32> = BTreeMap::new();
    for gpu in cards {
        if gpu.board.power_connectors.is_empty()
            && gpu.board.tdp_w.is_none_or(|power| power > SLOT_POWER)
        {
            return check(RULE, Outcome::NotChecked, format!("plugs of {} not recorded", gpu.name));
        }
        for Connector { plug, count } in &gpu.board.power_connectors {
            // By the plug of the supply.
            let (plug, count) = match adapter(*plug).filter(|one| one.always) {
                Some(one) => (one.of, count * one.count),
                None => (*plug, *count),
            };
            *needed.entry(plug).or_default() += count;
        }
    }
    if needed.is_empty() {
        return check(RULE, Outcome::Pass, "none needed");
    }
    // One is the board's.
    if let Some(count) = needed.get_mut(&Plug::Eps8) {
        *count += 1;
    }
    let has = |plug: Plug| psu.connectors.iter().find(|one| one.plug == plug).map(|one| one.count);
    let missing = |plug: Plug| {
        let wanted = needed.get(&plug).copied().unwrap_or(0);
        has(plug).map_or(0, |there| wanted.saturating_sub(there))
    };
    let adapted: Vec<(&Adapter, u32)> = adapters
        .iter()
        .map(|one| (one, missing(one.makes)))
        .filter(|(_, missing)| *missing > 0)
        .collect();
    for (one, missing) in &adapted {
        *needed.entry(one.of).or_default() += one.count * missing;
    }
    let judge = |(plug, count): (&Plug, &u32)| match has(*plug) {
        None => (
            Outcome::NotChecked,
            format!("number of {} plugs of the supply not recorded", plug.word()),
        ),
        Some(there) if there >= *count => (Outcome::Pass, format!("{count}x {}", plug.word())),
        Some(there) if adapter(*plug).is_some() => (
            Outcome::Warn,
            format!(
                "{there} of {count} {} plugs: adapters for 8-pin plugs are needed",
                plug.word()
            ),
        ),
        Some(there) => (Outcome::Fail, format!("{count} {} needed, {there} there", plug.word())),
    };
    let judged: Vec<(Outcome, String)> = needed.iter().map(judge).collect();
    let worst = judged.iter().map(|(outcome, _)| *outcome).max().unwrap_or(Outcome::Pass);
    let of_worst = judged.into_iter().filter(|(outcome, _)| *outcome == worst);
    check(RULE, worst, of_worst.map(|(_, said)| said).collect::<Vec<_>>().join("; "))
}

/// The supply's inlet takes the cord that comes with every supply.
pub fn cord(psu: &Psu, c19_above: Watts) -> Check {
    const RULE: &str = "cord";
    let rated = whole(psu.output_w);
    if psu.output_w > c19_above {
        check(
            RULE,
            Outcome::Warn,
            format!(
                "{rated} W: a C19 inlet, beyond {} W the rule; order the cord for your socket",
                whole(c19_above)
            ),
        )
    } else {
        check(RULE, Outcome::Pass, format!("{rated} W: a C13 cord"))
    }
}

fn whole(power: Watts) -> String {
    grouped(power.get().round() as i64)
}

/// The rule on the wall socket, which a requirement may make soft.
pub(crate) const WALL_SOCKET: &str = "wall socket";

/// The wall socket carries the machine for hours.
pub fn wall_socket(wall: &Wall, socket: &Socket) -> Check {
    const RULE: &str = WALL_SOCKET;
    let continuous = socket.max_w * socket.continuous_share;
    let power = wall.power_w;
    let reason = format!(
        "{} W {}at the wall, {} gives {} W for hours and {} W at most",
        whole(power),
        match wall.basis {
            WallBasis::Measured => "measured ",
            WallBasis::Alike => "assumed ",
            WallBasis::Limits | WallBasis::Stated | WallBasis::Supply => "",
        },
        socket.kind,
        whole(continuous),
        whole(socket.max_w)
    );
    if wall.basis == WallBasis::Alike {
        check(RULE, Outcome::NotChecked, reason)
    } else if power <= continuous {
        check(RULE, Outcome::Pass, reason)
    } else if power <= socket.max_w {
        check(RULE, Outcome::Warn, reason)
    } else {
        check(RULE, Outcome::Fail, reason)
    }
}
