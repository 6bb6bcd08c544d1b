//! Room for the cards: slots with their lanes, width, length, and air between them.

use localrig_facts::gpu::{Cooling, Gpu};
use localrig_facts::machine::PcieSlot;
use localrig_facts::part::{Case, Motherboard};

use super::{Check, Outcome, check, pass_if};

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
    let partners = slots_wide(cards, widest).unwrap_or_else(|| widths.clone());
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

/// Slots that the widest card of a kind takes, those of board partners included.
fn widest(gpu: &Gpu) -> Option<f64> {
    gpu.board.partner_slots.map(|[_, most]| most).or(gpu.board.slots)
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
    let partners = slots_wide(cards, widest).unwrap_or_else(|| widths.clone());
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
