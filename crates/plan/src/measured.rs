//! What others measured, beside what the model of speed says of the very same runs.

use std::collections::{BTreeMap, BTreeSet};

use localrig_estimate::accuracy::{Judged, judge_rows};
use localrig_estimate::calibration::Seen;
use localrig_estimate::case::hardware::device_of;
use localrig_estimate::case::model::model_of;
use localrig_estimate::fit::interval::{Kind, stratum};
use localrig_facts::calibration::Intervals;
use localrig_facts::measured::{Phase, SpeedRow};
use localrig_facts::model::Model;
use localrig_facts::unit::TokensPerSec;
use localrig_facts::{Catalog, CatalogError, Date, Estimate, Id, PartialDate};
use serde::Serialize;

/// The file of the measurements.
pub const ROWS: &str = "measured/speed.csv";

/// Measurements on some accelerators.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// All measurements in the catalog.
    pub all_rows: usize,
    /// Those on the accelerators asked for.
    pub rows_here: usize,
    /// Those of them that were made after the day asked for, and are left out.
    pub later: usize,
    /// Those of them that carry no date, and are not left out.
    pub undated: usize,
    /// A selection of them.
    pub shown: Vec<MeasuredRow>,
    /// How many of the selected lie inside the interval of our prediction.
    pub inside: usize,
    /// How far off predictions of such runs are when the runs are left out of the fit.
    pub held_out: Vec<HeldOutError>,
}

/// Errors of predictions of one kind of run whose source and hardware the fit had not seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldOutError {
    /// What was run: `generation, one stream`.
    pub run: &'static str,
    /// Whether the models are mixtures of experts.
    pub mixture: bool,
    /// What of the engine and the device others had measured.
    pub seen: &'static str,
    /// Rows of this kind that are shown.
    pub shown: usize,
    /// Those of them inside the interval of our prediction.
    pub inside: usize,
    /// Rows that were held out.
    pub rows: u32,
    /// Independent groups of them: one source on one kind of hardware.
    pub groups: u32,
    /// Half of the held-out rows lie within this factor of the prediction.
    pub factor_50: f64,
    /// 80 % lie within this factor: the interval shown.
    pub factor_80: f64,
}

/// A measurement.
#[derive(Clone, Debug, Serialize)]
pub struct MeasuredRow {
    /// Key of the row.
    pub row_id: String,
    /// Accelerator, with the number of them.
    pub hardware: String,
    /// Model.
    pub model: String,
    /// Format, as its source calls it.
    pub format: String,
    /// Engine and what it runs on.
    pub engine: String,
    /// What was measured.
    pub phase: &'static str,
    /// Tokens of the prompt; absent = generation without one, or not said.
    pub prompt_tokens: Option<u64>,
    /// Tokens in the context before.
    pub depth_tokens: u64,
    /// Requests in flight.
    pub streams: u64,
    /// Speed of all streams together, as measured.
    pub measured_tok_per_s: TokensPerSec,
    /// What we say of the same run; absent when a fact for it is missing.
    pub predicted_tok_per_s: Option<Estimate<TokensPerSec>>,
    /// When it was measured.
    pub date: String,
    /// Whose measurement it is.
    pub source: String,
    /// The page it was read from.
    pub link: String,
}

/// Accelerators shown, and models shown on each.
const ACCELERATORS: usize = 8;
const MODELS_EACH: usize = 3;

/// Every measurement of the catalog with the accelerator it was made on.
#[derive(Clone, Debug)]
pub struct Measurements<'a> {
    catalog: &'a Catalog,
    rows: Vec<SpeedRow>,
    /// The accelerator of each row; `None` where its name leads nowhere.
    devices: Vec<Option<&'a Id>>,
}

impl<'a> Measurements<'a> {
    /// The measurements of a catalog.
    ///
    /// # Errors
    /// When the catalog's rows cannot be read.
    pub fn new(catalog: &'a Catalog) -> Result<Self, CatalogError> {
        let rows: Vec<SpeedRow> = catalog.rows(ROWS)?;
        let mut known: BTreeMap<(&str, u64), Option<&Id>> = BTreeMap::new();
        let mut devices = Vec::with_capacity(rows.len());
        for row in &rows {
            let memory = row.hardware_memory_gb;
            let key = (row.hardware_id.as_str(), memory.unwrap_or(0.0) as u64);
            devices.push(*known.entry(key).or_insert_with(|| {
                device_of(catalog, &row.hardware_id, memory).ok().map(|one| one.id)
            }));
        }
        Ok(Self { catalog, rows, devices })
    }

    /// Those on some accelerators: of each the models asked for, then those measured most, at the
    /// ends of what was varied. A row counts when it may have been made by `as_of`; one that is
    /// dated by its month or year alone counts from its first day.
    ///
    /// # Errors
    /// When the calibration cannot be read.
    pub fn on(
        &self,
        accelerators: &[&Id],
        models: &BTreeSet<&Id>,
        as_of: Date,
    ) -> Result<Measured, CatalogError> {
        let mut here: BTreeMap<&Id, Vec<&SpeedRow>> = BTreeMap::new();
        let (mut rows_here, mut later, mut undated) = (0, 0, 0);
        for (row, device) in self.rows.iter().zip(&self.devices) {
            let Some(device) = device.filter(|device| accelerators.contains(device)) else {
                continue;
            };
            rows_here += 1;
            // A row dated by its year alone cannot be older than its model.
            let model = self.catalog.get_in::<Model>(&row.model_id).ok();
            if model.and_then(|(_, model)| model.released).is_some_and(|day| day.earliest() > as_of)
            {
                later += 1;
                continue;
            }
            // `2025-04/05` began in April.
            match row.date.split('/').next().unwrap_or_default().parse::<PartialDate>() {
                Ok(made) if made.earliest() > as_of => {
                    later += 1;
                    continue;
                }
                Ok(_) => {}
                Err(_) => undated += 1,
            }
            here.entry(device).or_default().push(row);
        }
        let mut chosen: Vec<SpeedRow> = Vec::new();
        for device in accelerators.iter().filter(|id| here.contains_key(*id)).take(ACCELERATORS) {
            chosen.extend(of_device(self.catalog, &here[device], models).into_iter().cloned());
        }
        let judged = judge_rows(self.catalog, &chosen)?;
        let held_out = held_out(self.catalog.intervals()?, &judged);
        let shown: Vec<MeasuredRow> = chosen
            .iter()
            .zip(judged)
            .filter_map(|(row, judged)| {
                let predicted = judged.outcome.ok().map(|it| Estimate {
                    value: TokensPerSec::new(it.total),
                    low: TokensPerSec::new(it.low),
                    high: TokensPerSec::new(it.high),
                    basis: it.basis,
                });
                Some(shown(self.catalog, row, judged.measured?, predicted))
            })
            .collect();
        Ok(Measured {
            all_rows: self.rows.len(),
            rows_here,
            later,
            undated,
            inside: shown.iter().filter(|row| row.is_inside() == Some(true)).count(),
            shown,
            held_out,
        })
    }
}

impl MeasuredRow {
    /// Whether the measurement lies inside the interval of the prediction; `None` without one.
    pub fn is_inside(&self) -> Option<bool> {
        let own = self.measured_tok_per_s;
        self.predicted_tok_per_s.as_ref().map(|it| it.low <= own && own <= it.high)
    }
}

/// What the calibration says of runs like these when they are held out, by kind of run.
fn held_out(intervals: &Intervals, judged: &[Judged]) -> Vec<HeldOutError> {
    let mut kinds: BTreeMap<(Kind, bool, Seen), (usize, usize)> = BTreeMap::new();
    for one in judged {
        let (Ok(own), Some(measured)) = (&one.outcome, one.measured) else { continue };
        let mixture = one.about.model.starts_with("mixture");
        let kind = (Kind::of(one.about.phase, one.about.streams), mixture, own.seen);
        let (shown, inside) = kinds.entry(kind).or_default();
        *shown += 1;
        *inside += usize::from(own.low <= measured && measured <= own.high);
    }
    let told = |((kind, mixture, seen), (shown, inside)): ((Kind, bool, Seen), _)| {
        let known = intervals.stratum.get(&stratum(kind, mixture, seen))?;
        Some(HeldOutError {
            run: match kind {
                Kind::Decode => "generation, one stream",
                Kind::Batch => "generation, several streams",
                Kind::Prefill => "prompts",
            },
            mixture,
            seen: match seen {
                Seen::Unit => "engine measured on this device",
                Seen::Stack => "engine measured on similar devices",
                Seen::Neither => "not measured this far",
            },
            shown,
            inside,
            rows: known.rows,
            groups: known.groups,
            factor_50: known.factor_50,
            factor_80: known.factor_80,
        })
    };
    kinds.into_iter().filter_map(told).collect()
}

/// What is alike in rows that differ by depth, streams and phase.
type Series<'r> = (&'r str, u32, &'r str, &'r str, &'r str);

fn of_device<'r>(
    catalog: &Catalog,
    rows: &[&'r SpeedRow],
    models: &BTreeSet<&Id>,
) -> Vec<&'r SpeedRow> {
    let mut series: BTreeMap<Series<'r>, Vec<&'r SpeedRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.tok_s_total.is_some_and(|speed| speed > 0.0)) {
        // Speculation and weights in host memory are other questions.
        if row.speculative == Some(1.0) || row.cpu_offload == Some(1.0) {
            continue;
        }
        let count = row.hardware_count.unwrap_or(1.0) as u32;
        let key = (
            row.model_id.as_str(),
            count,
            row.engine.as_str(),
            row.quant.as_str(),
            row.source.as_str(),
        );
        series.entry(key).or_default().push(row);
    }
    let mut known: BTreeMap<&str, bool> = BTreeMap::new();
    let mut ranked: Vec<(bool, usize, Series<'r>)> = series
        .iter()
        .map(|(key, rows)| {
            let wanted = *known.entry(key.0).or_insert_with(|| {
                model_of(catalog, rows[0]).is_ok_and(|named| models.contains(&named.id))
            });
            (wanted, rows.len(), *key)
        })
        .collect();
    ranked.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(&b.2)));
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut chosen = Vec::new();
    for (_, _, key) in ranked {
        if told.len() == MODELS_EACH {
            break;
        }
        if told.insert(key.0) {
            chosen.extend(ends(&series[&key]));
        }
    }
    chosen
}

/// The rows at the ends of what was varied: generation at the least and the greatest depth, with
/// the most streams, and the longest prompt.
fn ends<'r>(rows: &[&'r SpeedRow]) -> Vec<&'r SpeedRow> {
    let depth = |row: &SpeedRow| row.depth.unwrap_or(0.0) as u64;
    let streams = |row: &SpeedRow| row.concurrency.unwrap_or(1.0) as u64;
    let prompt = |row: &SpeedRow| row.prompt_tokens.unwrap_or(0.0) as u64;
    let of = |phase: Phase| rows.iter().copied().filter(move |row| row.phase == phase);
    let alone = || of(Phase::Decode).filter(|row| streams(row) <= 1);
    let picked = [
        alone().min_by_key(|row| (depth(row), &row.row_id)),
        alone().filter(|row| depth(row) > 0).max_by_key(|row| (depth(row), &row.row_id)),
        of(Phase::Decode)
            .filter(|row| streams(row) > 1)
            .max_by_key(|row| (streams(row), &row.row_id)),
        of(Phase::Prefill).max_by_key(|row| (prompt(row), depth(row), &row.row_id)),
    ];
    let mut chosen: Vec<&SpeedRow> = Vec::new();
    for row in picked.into_iter().flatten() {
        if !chosen.iter().any(|one| one.row_id == row.row_id) {
            chosen.push(row);
        }
    }
    chosen
}

fn shown(
    catalog: &Catalog,
    row: &SpeedRow,
    measured: f64,
    predicted_tok_per_s: Option<Estimate<TokensPerSec>>,
) -> MeasuredRow {
    let device = device_of(catalog, &row.hardware_id, row.hardware_memory_gb).ok();
    let name = device.map_or_else(|| row.hardware_id.clone(), |one| one.gpu.name.clone());
    let hardware = match row.hardware_count.unwrap_or(1.0) as u32 {
        0 | 1 => name,
        count => format!("{count}x {name}"),
    };
    let model = model_of(catalog, row);
    let engine = match row.backend.as_str() {
        "" => row.engine.clone(),
        backend => format!("{} ({backend})", row.engine),
    };
    MeasuredRow {
        row_id: row.row_id.clone(),
        hardware,
        model: model.map_or_else(|_| row.model_id.clone(), |named| named.model.name.clone()),
        format: row.quant.clone(),
        engine,
        phase: row.phase.word(),
        prompt_tokens: row.prompt_tokens.filter(|one| *one > 0.0).map(|one| one as u64),
        depth_tokens: row.depth.unwrap_or(0.0) as u64,
        streams: row.concurrency.unwrap_or(1.0).max(1.0) as u64,
        measured_tok_per_s: TokensPerSec::new(measured),
        predicted_tok_per_s,
        date: row.date.clone(),
        source: row.source.clone(),
        link: row.source_url.clone(),
    }
}
