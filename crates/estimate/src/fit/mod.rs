//! The fit: constants that make the model agree best with measured rows, given what is believed
//! before.
//!
//! Maximum a posteriori over the differences at every level, in logarithms:
//!
//! ```text
//! sum w_i rho((ln predicted_i - ln measured_i) / s)  +  sum (difference / sd)^2 / 2
//! ```
//!
//! with the pseudo-Huber loss `rho`, so that a mislabelled row pulls no more than a far-off one.
//! Gauss-Newton with numeric derivatives; no random numbers, so the same rows give the same bytes.

pub mod holdout;
pub mod interval;
pub mod local;
mod solve;

use std::collections::BTreeMap;

use localrig_facts::calibration::{Differences, Fitted, Intervals, Priors};
use localrig_facts::measured::SpeedRow;
use localrig_facts::{Catalog, CatalogError};

use crate::calibration::{Calibration, Level, PhaseRows, Site};
use crate::case::{Case, Cases, Counted};
use crate::parameter::{Constants, Parameter};
use crate::run::{Link, Split};
use solve::solve;

/// A row that the fit can use.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Place in the file.
    pub row: usize,
    /// The row as a run.
    pub case: Case,
    /// Logarithm of the speed of all streams.
    pub measured: f64,
    /// Logarithm of one stream's speed between its tokens, where the row has it beside a total that
    /// counts more.
    pub between_tokens: Option<f64>,
    /// The model, as the row names it.
    pub model: String,
    /// How much it counts.
    weight: f64,
    /// Rows of one source on one kind of hardware are not independent.
    pub group: usize,
}

/// Rows ready for a fit.
#[derive(Clone, Debug)]
pub struct Observations {
    /// The rows.
    pub all: Vec<Observation>,
    /// Names of the groups: source and hardware.
    pub groups: Vec<String>,
    /// Rows left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Date of the newest row.
    pub newest: String,
}

/// Spread of a good row around the model: noise between two sources in one cell is 6 to 10 %.
const SCALE: f64 = 0.10;

/// Weight of rows whose settings are only partly stated.
const TIER_B: f64 = 0.6;

/// A group of `n` rows counts like `n^(1 - GROUP_POWER)` of a row's weight each: its rows share errors.
const GROUP_POWER: f64 = 0.5;

/// Weight of a second figure of the same row.
const SECOND: f64 = 0.5;

impl Observations {
    /// Reads rows as runs of the model.
    pub fn new(catalog: &Catalog, rows: &[SpeedRow]) -> Self {
        let mut cases = Cases::new(catalog);
        let mut own = Self {
            all: Vec::new(),
            groups: Vec::new(),
            left_out: Vec::new(),
            newest: String::new(),
        };
        for (index, row) in rows.iter().enumerate() {
            let mut leave = |reason: String| own.left_out.push((row.row_id.clone(), reason));
            let Some(total) = row.tok_s_total.filter(|speed| *speed > 0.0) else {
                leave("no speed".to_owned());
                continue;
            };
            if row.speculative == Some(1.0) {
                leave("speculative decoding without its acceptance".to_owned());
                continue;
            }
            let case = match cases.case(row) {
                Ok(case) => case,
                Err(error) => {
                    leave(error.to_string());
                    continue;
                }
            };
            let name = format!("{} {}", row.source, row.hardware_id);
            let group = own.groups.iter().position(|one| *one == name).unwrap_or_else(|| {
                own.groups.push(name);
                own.groups.len() - 1
            });
            // Split, link or streams unknown: shown how it is predicted, but nothing is learnt from it.
            let known = is_split_known(&case.split, row) && !case.queued;
            let looped = case.counted == Counted::Loop && row.stream_basis == "tpot";
            let between = row.tok_s_per_stream.filter(|speed| *speed > 0.0 && looped);
            own.newest = row.date.clone().max(std::mem::take(&mut own.newest));
            own.all.push(Observation {
                row: index,
                case,
                measured: total.ln(),
                model: row.model_id.clone(),
                between_tokens: between.map(f64::ln),
                weight: match row.tier.as_str() {
                    _ if !known => 0.0,
                    "B" => TIER_B,
                    _ => 1.0,
                },
                group,
            });
        }
        let mut sizes: BTreeMap<(usize, Site), f64> = BTreeMap::new();
        for one in &own.all {
            *sizes.entry((one.group, one.case.site.clone())).or_default() += 1.0;
        }
        for one in &mut own.all {
            let size = sizes[&(one.group, one.case.site.clone())];
            one.weight *= (20.0 / size).powf(GROUP_POWER).min(1.0);
        }
        own
    }
}

/// Whether a row says enough of how its devices share the model to learn from it: the split, and where
/// every layer's results pass over PCIe, the slots that the cards sit in.
fn is_split_known(split: &Split, row: &SpeedRow) -> bool {
    let over_pcie = split.tensor > 1 && matches!(split.link, Link::PciePeer(_) | Link::PcieHost(_));
    split.devices() == 1
        || row.parallelism != "unknown" && (!over_pcie || row.pcie_generation.is_some())
}

/// A difference that the fit looks for: what all levels that hold for the same sites add up to.
#[derive(Clone, Debug)]
struct Unknown {
    parameter: Parameter,
    shares: Vec<Share>,
}

/// What one level has of a difference, in proportion to its prior variance.
#[derive(Clone, Debug)]
struct Share {
    level: Level,
    key: String,
    variance: f64,
}

impl Unknown {
    /// One over the variance of its prior.
    fn precision(&self) -> f64 {
        1.0 / self.variance()
    }

    fn variance(&self) -> f64 {
        self.shares.iter().map(|share| share.variance).sum()
    }
}

/// Rows with their unknowns, ready to be solved for any subset of groups.
#[derive(Debug)]
pub struct Problem<'a> {
    observations: &'a Observations,
    base: Calibration,
    unknowns: Vec<Unknown>,
    /// Sites of the rows, and of each row.
    sites: Vec<Site>,
    site_of: Vec<usize>,
    /// By site and parameter: the unknowns whose sum it is.
    columns: Vec<Vec<Vec<usize>>>,
}

/// A solution: a value for every unknown.
pub type Solution = Vec<f64>;

impl<'a> Problem<'a> {
    /// The unknowns of the rows under the priors.
    ///
    /// # Errors
    /// When a constant has no prior.
    pub fn new(priors: &Priors, observations: &'a Observations) -> Result<Self, CatalogError> {
        Ok(Self::with_base(Calibration::prior(priors)?, priors, observations))
    }

    /// The unknowns of the rows as differences from known constants.
    pub(crate) fn with_base(
        base: Calibration,
        priors: &Priors,
        observations: &'a Observations,
    ) -> Self {
        let mut sites: Vec<Site> = Vec::new();
        let mut site_of = Vec::new();
        for one in &observations.all {
            let known = sites.iter().position(|site| *site == one.case.site);
            site_of.push(known.unwrap_or_else(|| {
                sites.push(one.case.site.clone());
                sites.len() - 1
            }));
        }
        let mut own =
            Self { observations, base, unknowns: Vec::new(), sites, site_of, columns: Vec::new() };
        own.columns = vec![vec![Vec::new(); Parameter::COUNT]; own.sites.len()];
        let moving = own.moving();
        // What differs between the same sites cannot be told apart: one unknown for all of it.
        let mut by_sites: BTreeMap<(Parameter, Vec<usize>), Vec<Share>> = BTreeMap::new();
        for parameter in Parameter::ALL {
            let spread = priors.parameters[parameter.key()].sd;
            for level in Level::ALL {
                let sd = level.sd(&spread);
                let mut of_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
                for (site, place) in own.sites.iter().enumerate() {
                    if sd > 0.0 && moving[site][*parameter as usize] {
                        of_key.entry(place.key(level)).or_default().push(site);
                    }
                }
                for (key, members) in of_key {
                    let share = Share { level, key: key.to_owned(), variance: sd * sd };
                    by_sites.entry((*parameter, members)).or_default().push(share);
                }
            }
        }
        // Narrow ones first: they touch few others, which keeps the factors sparse.
        let mut ordered: Vec<_> = by_sites.into_iter().collect();
        ordered.sort_by(|((p, a), _), ((q, b), _)| {
            (a.len() > 1, a.len() > 3, a.len(), a, p).cmp(&(
                b.len() > 1,
                b.len() > 3,
                b.len(),
                b,
                q,
            ))
        });
        for ((parameter, members), shares) in ordered {
            for site in &members {
                own.columns[*site][parameter as usize].push(own.unknowns.len());
            }
            own.unknowns.push(Unknown { parameter, shares });
        }
        own
    }

    /// By site and parameter: whether any of the site's rows depends on it at the priors.
    fn moving(&self) -> Vec<[bool; Parameter::COUNT]> {
        let mut moving = vec![[false; Parameter::COUNT]; self.sites.len()];
        let priors: Vec<Constants> =
            self.sites.iter().map(|site| self.base.constants(site)).collect();
        for (index, site) in self.site_of.iter().enumerate() {
            let base = priors[*site];
            let (total, between) = self.predicted(index, &base);
            for (parameter, moves) in moving[*site].iter_mut().enumerate().filter(|one| !*one.1) {
                let mut constants = base;
                constants.0[parameter] *= 1.01;
                let (moved, moved_between) = self.predicted(index, &constants);
                *moves = (moved - total).abs() + (moved_between - between).abs() > 1e-6;
            }
        }
        moving
    }

    /// The constants of every site under a solution.
    fn constants(&self, solution: &[f64]) -> Vec<Constants> {
        let of_site = |(columns, site): (&Vec<Vec<usize>>, &Site)| {
            let mut constants = self.base.constants(site);
            for (parameter, own) in columns.iter().enumerate() {
                let sum: f64 = own.iter().map(|column| solution[*column]).sum();
                constants.0[parameter] *= sum.exp();
            }
            constants
        };
        self.columns.iter().zip(&self.sites).map(of_site).collect()
    }

    /// Logarithm of the predicted speed of a row.
    fn predicted(&self, index: usize, constants: &Constants) -> (f64, f64) {
        let served = self.observations.all[index].case.predict(constants);
        (served.total.ln(), served.per_stream.ln())
    }

    /// The best solution for the rows that are not held out, from a first guess, in at most `steps`
    /// steps.
    pub fn solve(
        &self,
        start: &[f64],
        held_out: &dyn Fn(&Observation) -> bool,
        steps: usize,
    ) -> Solution {
        let mut solution = start.to_vec();
        for _ in 0..steps {
            let step = solve(self, &solution, held_out);
            let largest = step.iter().fold(0.0f64, |most, one| most.max(one.abs()));
            // A long step of a curved problem overshoots: take it in part.
            let damping = (0.5 / largest).min(1.0);
            for (value, change) in solution.iter_mut().zip(&step) {
                *value += damping * change;
            }
            if largest < CONVERGED {
                break;
            }
        }
        solution
    }

    /// A solution as a calibration.
    pub fn calibration(&self, solution: &[f64]) -> Calibration {
        let mut calibration = self.base.clone();
        for ((level, key), (values, rows)) in self.by_key(solution) {
            calibration.set(level, &key, values, rows);
        }
        calibration
    }

    /// A solution as the file that keeps it.
    pub fn fitted(&self, solution: &[f64]) -> Fitted {
        let mut fitted = Fitted {
            rows: self.observations.all.len() as u32,
            groups: self.observations.groups.len() as u32,
            newest: self.observations.newest.chars().take(7).collect(),
            ..Fitted::default()
        };
        for ((level, key), (values, rows)) in self.by_key(solution) {
            let by_parameter = values
                .into_iter()
                .map(|(parameter, value)| (parameter.key().to_owned(), round(value)))
                .filter(|(_, value)| *value != 0.0)
                .collect();
            let of_level = fitted.level.entry(level.key().to_owned()).or_default();
            let differences = Differences {
                decode_rows: rows.decode,
                prefill_rows: rows.prefill,
                decode_depth: rows.decode_depth,
                decode_streams: rows.decode_streams,
                prefill_depth: rows.prefill_depth,
                by_parameter,
            };
            of_level.insert(key, differences);
        }
        fitted
    }

    #[expect(clippy::type_complexity, reason = "read where it is made")]
    fn by_key(
        &self,
        solution: &[f64],
    ) -> BTreeMap<(Level, String), (Vec<(Parameter, f64)>, PhaseRows)> {
        let mut found: BTreeMap<(Level, String), (Vec<(Parameter, f64)>, PhaseRows)> =
            BTreeMap::new();
        for one in &self.observations.all {
            for level in Level::ALL {
                let key = (level, one.case.site.key(level).to_owned());
                let rows = &mut found.entry(key).or_default().1;
                let (depth, streams) = one.case.reach();
                rows.count(one.case.phase, depth, streams);
            }
        }
        for (unknown, value) in self.unknowns.iter().zip(solution) {
            for share in &unknown.shares {
                let known = found.get_mut(&(share.level, share.key.clone()));
                let part = value * share.variance / unknown.variance();
                known.expect("rows gave it").0.push((unknown.parameter, part));
            }
        }
        found
    }

    /// Unknowns to solve for.
    pub fn unknowns(&self) -> usize {
        self.unknowns.len()
    }
}

/// A solution moves no further than this: a thousandth of any constant.
const CONVERGED: f64 = 1e-3;

/// Steps that a fit from the priors may take.
pub const STEPS: usize = 25;

/// Four decimals of a logarithm: a hundredth of a percent.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A fit with everything that comes of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rows.
    pub observations: Observations,
    /// What differs from the priors.
    pub fitted: Fitted,
    /// The same, ready for use.
    pub calibration: Calibration,
    /// Rows predicted without their group.
    pub held_out: Vec<holdout::HeldOut>,
    /// Rows predicted without their model: the stack is known, the model on it is not.
    pub known_stack: Vec<holdout::HeldOut>,
    /// Half-widths from the rows without their group.
    pub intervals: Intervals,
}

/// The whole fit of measured rows: constants, held-out errors, intervals.
///
/// # Errors
/// When the catalog's priors or classes cannot be read.
pub fn calibrate(catalog: &Catalog, rows: &[SpeedRow]) -> Result<Found, CatalogError> {
    let observations = Observations::new(catalog, rows);
    let problem = Problem::new(catalog.priors()?, &observations)?;
    let solution = problem.solve(&vec![0.0; problem.unknowns()], &|_| false, STEPS);
    let held_out = problem.held_out(&solution);
    let known_stack = problem.known_stack(&solution);
    let intervals = interval::intervals(&observations, &held_out);
    let (fitted, calibration) = (problem.fitted(&solution), problem.calibration(&solution));
    Ok(Found { observations, fitted, calibration, held_out, known_stack, intervals })
}

/// The files that keep a fit, by name below `catalog/calibration/`.
///
/// # Errors
/// When a value cannot be written as TOML.
pub fn files(found: &Found) -> Result<[(&'static str, String); 2], toml::ser::Error> {
    const HEADER: &str = "# Written by `cargo run --release -p localrig-estimate --example calibrate`; not by hand.\n";
    Ok([
        ("fitted.toml", format!("{HEADER}{}", toml::to_string(&found.fitted)?)),
        ("interval.toml", format!("{HEADER}{}", toml::to_string(&found.intervals)?)),
    ])
}
