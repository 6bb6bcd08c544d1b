//! Whether parts fit together: one small function per rule, each with its reason.
//!
//! An attribute nobody has recorded gives [`Outcome::NotChecked`], never a pass.

mod room;

use std::collections::BTreeMap;

use localrig_facts::calibration::Adapter;
use localrig_facts::gpu::{Connector, Cooling, Gpu, Plug};
use localrig_facts::part::{Case, Cooler, Cpu, Memory, Motherboard, Psu};
use localrig_facts::region::Socket;
use localrig_facts::unit::Watts;
use serde::Serialize;

use crate::candidate::{Wall, WallBasis};
use crate::figure::grouped;

pub use room::{gap, lanes, length, long_slots, slots, width};

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
