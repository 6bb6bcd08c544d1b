//! A trial of an assignment: its models on its devices under the whole workload, simulated.

use localrig_estimate::context::KvType;
use localrig_facts::engine::first_planned;
use localrig_facts::machine::Machine;
use localrig_facts::unit::Seconds;
use localrig_facts::{Catalog, Estimate};
use localrig_simulate::answer::{Options, RoleAnswer, simulate};
use localrig_simulate::sharing::Sharing;
use serde::Serialize;

use crate::assign::{Assignment, Served, Simulated};
use crate::placement::{Devices, Place};
use crate::requirement::Requirement;
use crate::scenario::{Arrangement, arrange};
use crate::score::Weights;
use crate::search::value;
use crate::shift::Shift;

/// Runs of every trial, all with the same draws: so that machines differ by what they are. The
/// interval of a speed comes from the speed model; it is not drawn.
pub const REPLICATES: u32 = 2;
/// Seed of the draws.
pub const SEED: u64 = 1;

/// How speeds were simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationNote {
    /// The workload whose habits the roles have.
    pub habits: String,
    /// Runs of each machine.
    pub replicates: u32,
    /// Seed of the draws, the same for all machines.
    pub seed: u64,
    /// Time that is counted in each run; absent when a run ends with its requests.
    pub window_s: Option<Seconds>,
}

impl SimulationNote {
    pub(crate) fn new(habits: &str, shifts: &[Shift]) -> Self {
        let run = shifts.first().map(|shift| &shift.workload.run);
        Self {
            habits: habits.to_owned(),
            replicates: REPLICATES,
            seed: SEED,
            window_s: run.and_then(|run| run.duration_s).map(Seconds::new),
        }
    }
}

/// The places of a shift's roles, as `localrig simulate --place` reads them.
pub fn places(requirement: &Requirement, shift: &Shift, assignment: &Assignment<'_>) -> Vec<Place> {
    let place = |role: &usize| {
        let served = &assignment.served[*role];
        let option = served.option;
        Place {
            role: requirement.roles[*role].name.clone(),
            model: option.id.to_string(),
            format: Some(option.format_id.to_string()),
            engine: Some(option.engine_id.to_string()),
            kv: Some(option.ask.kv),
            devices: match &assignment.groups[served.group] {
                group if group.copies => Devices::Replicas(group.units.clone()),
                group => Devices::Layers(group.units.clone()),
            },
        }
    };
    shift.roles.iter().map(place).collect()
}

/// The assignment with the speeds that a simulation gives its roles; `None` when the machine
/// cannot be simulated: its models do not fit one of its devices, or a fact is missing.
pub(crate) fn trial<'a>(
    catalog: &'a Catalog,
    machine: &Machine<'a>,
    requirement: &Requirement,
    shifts: &[Shift],
    assignment: &Assignment<'a>,
) -> Option<Assignment<'a>> {
    let mut tried = assignment.clone();
    for shift in shifts {
        if shift.roles.iter().all(|role| tried.served[*role].simulated.is_some()) {
            continue;
        }
        let places = places(requirement, shift, assignment);
        let arrangement = Arrangement {
            engine: first_planned(catalog).ok()?.id.short(),
            kv: KvType::F16,
            faster_kv: false,
            sharing: Sharing::time_slice(catalog.machine_constants().ok()?),
            link: None,
        };
        let arranged = arrange(catalog, machine, &shift.workload, &places, arrangement).ok()?;
        let options = Options { seed: SEED, replicates: REPLICATES, models: 0 };
        let answer = simulate(&arranged.scenario, &shift.workload, options);
        for (place, role) in shift.roles.iter().enumerate() {
            let served = &mut tried.served[*role];
            if served.simulated.is_none() {
                let limit = shift.workload.roles[place].limit.ttft_s;
                apply(served, &answer.roles[place], limit.map(Seconds::new))?;
            }
        }
    }
    let served = tried.served.iter().map(|one| (one.option, (one.busy.value, one.in_time)));
    tried.value = value(requirement, served, &Weights::default());
    Some(tried)
}

/// Takes over a role's answer; `None` when it answered nothing.
fn apply(served: &mut Served<'_>, answer: &RoleAnswer, limit: Option<Seconds>) -> Option<()> {
    let speed = answer.tok_per_s?.value;
    let means = served.busy;
    // What the errors of the speed model do to the means, they do here.
    served.busy = Estimate {
        value: speed,
        low: speed * (means.low / means.value),
        high: speed * (means.high / means.value),
        basis: means.basis,
    };
    let or_zero = |time: Option<Seconds>| time.unwrap_or(Seconds::ZERO);
    served.in_time = answer.goodput_share.unwrap_or(0.0);
    served.simulated = Some(Simulated {
        slowest_20th_tok_per_s: answer.tok_per_s_p5.unwrap_or(speed),
        first_token_s: [or_zero(answer.ttft_s.p50), or_zero(answer.ttft_s.p95)],
        first_token_limit_s: limit,
        in_time_share: served.in_time,
        saturated: answer.saturated,
    });
    Some(())
}
