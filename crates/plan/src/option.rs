//! What could serve a role: models in formats on engines, with what each takes and gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use localrig_estimate::architecture::{Layout, layout};
use localrig_estimate::context::KvType;
use localrig_estimate::memory::Ask;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::work::Work;
use localrig_facts::engine::Engine;
use localrig_facts::format::{Format, Precision};
use localrig_facts::model::{Modality, Model};
use localrig_facts::{Catalog, CatalogError, Date, Id};
use rayon::prelude::*;

use crate::quality::{Ability, abilities};
use crate::requirement::{FormatWish, Requirement, Role};

/// A model in a format on an engine, for one role.
#[derive(Clone, Debug)]
pub struct ModelOption<'a> {
    /// Model id.
    pub id: &'a Id,
    /// The model.
    pub model: &'a Model,
    /// Its tensors.
    pub layout: Arc<Layout>,
    /// Format id.
    pub format_id: &'a Id,
    /// The format.
    pub format: &'a Format,
    /// Engine id.
    pub engine_id: &'a Id,
    /// The engine.
    pub engine: &'a Engine,
    /// Demands per token.
    pub work: Arc<Work>,
    /// Contexts and streams of the role.
    pub ask: Ask,
    /// Ability at the role's task; `None` for models that the requirement names without scores.
    pub ability: Option<Ability>,
    /// Index points lost to the format.
    pub format_loss: f64,
}

impl ModelOption<'_> {
    /// The quality that counts: the lower end of the ability, less what the format costs.
    pub fn quality(&self) -> f64 {
        self.ability.as_ref().map_or(0.0, |ability| ability.index.low) - self.format_loss
    }

    /// Whether two roles could be served by one loaded model.
    pub fn is_same_model(&self, other: &Self) -> bool {
        self.id == other.id
            && self.format_id == other.format_id
            && self.engine_id == other.engine_id
    }
}

/// Engines considered, best known first: one general, one for serving many streams on CUDA, one
/// for Apple. The list is data of the plan, not of the catalog: which engines the calibration
/// knows well enough to rank by.
pub const ENGINES: [&str; 3] = ["llama.cpp", "vllm", "mlx-lm"];

/// Options of every role, in the order of the requirement's roles.
///
/// # Errors
/// When a catalog file is broken, or the requirement names a model that is not in the catalog.
pub fn options<'a>(
    catalog: &'a Catalog,
    requirement: &Requirement,
    date: Date,
) -> Result<Vec<Vec<ModelOption<'a>>>, CatalogError> {
    let losses = format_losses(catalog)?;
    let mut known: BTreeMap<&str, BTreeMap<String, Ability>> = BTreeMap::new();
    let mut chosen: Vec<Vec<(&Id, &Model, Form<'a>)>> = Vec::new();
    for role in &requirement.roles {
        if !known.contains_key(role.task.as_str()) {
            known.insert(&role.task, abilities(catalog, &role.task)?);
        }
        let known = &known[role.task.as_str()];
        let mut own = Vec::new();
        for (id, model) in models(catalog, role, known, date)? {
            let forms = forms(catalog, model, &requirement.format)?;
            own.extend(forms.into_iter().map(|form| (id, model, form)));
        }
        chosen.push(own);
    }
    let works = works(catalog, chosen.iter().flatten().copied().collect());
    Ok(requirement
        .roles
        .iter()
        .zip(chosen)
        .map(|(role, chosen)| {
            let ask = Ask {
                context: role.context_tokens,
                streams: role.streams,
                kv: KvType::F16,
                vision: role.images,
            };
            let known = &known[role.task.as_str()];
            let option = |(id, model, form): (&'a Id, &'a Model, Form<'a>)| {
                // Models with facts only have no layout: they cannot be planned with.
                let (layout, work) = works.get(&(id, form.format_id))?.clone();
                let native = is_native(model, form.format);
                Some(ModelOption {
                    id,
                    model,
                    layout,
                    format_id: form.format_id,
                    format: form.format,
                    engine_id: form.engine_id,
                    engine: form.engine,
                    work,
                    ask,
                    ability: known.get(id.within_folder()).cloned(),
                    format_loss: if native {
                        0.0
                    } else {
                        loss(&losses, form.format_id, form.format)
                    },
                })
            };
            chosen.into_iter().filter_map(option).collect()
        })
        .collect())
}

/// Models that could serve a role.
fn models<'a>(
    catalog: &'a Catalog,
    role: &Role,
    known: &BTreeMap<String, Ability>,
    date: Date,
) -> Result<Vec<(&'a Id, &'a Model)>, CatalogError> {
    if !role.models.is_empty() {
        return role.models.iter().map(|name| catalog.find::<Model>(name)).collect();
    }
    let all = catalog.all::<Model>()?.iter();
    Ok(all
        .filter(|(id, model)| known.contains_key(id.within_folder()) && serves(model, role, date))
        .collect())
}

type Works<'a> = BTreeMap<(&'a Id, &'a Id), (Arc<Layout>, Arc<Work>)>;

/// Layout and demands of every model in every format, each worked out once.
fn works<'a>(catalog: &'a Catalog, mut wanted: Vec<(&'a Id, &'a Model, Form<'a>)>) -> Works<'a> {
    wanted.sort_by_key(|(id, _, form)| (*id, form.format_id));
    wanted.dedup_by_key(|(id, _, form)| (*id, form.format_id));
    let recipes: BTreeMap<&Id, Recipe<'a>> = wanted
        .iter()
        .filter_map(|(_, _, form)| {
            Some((form.format_id, Recipe::new(catalog, form.format_id, form.format).ok()?))
        })
        .collect();
    let by_model: Vec<&[(&Id, &Model, Form<'_>)]> = wanted.chunk_by(|a, b| a.0 == b.0).collect();
    by_model
        .into_par_iter()
        .filter_map(|same| {
            let (id, model, _) = same[0];
            let layout = Arc::new(layout(catalog, id, model).ok()?);
            let of_form = |(_, _, form): &(&'a Id, &'a Model, Form<'a>)| {
                let recipe = recipes.get(form.format_id)?;
                let work = Work::new(&layout, recipe, KvType::F16);
                Some(((id, form.format_id), (Arc::clone(&layout), Arc::new(work))))
            };
            Some(same.iter().filter_map(of_form).collect::<Vec<_>>())
        })
        .flatten()
        .collect()
}

fn serves(model: &Model, role: &Role, date: Date) -> bool {
    let billions = model.parameters.total as f64 / 1e9;
    model.architecture.is_some()
        && model.context_tokens >= role.context_tokens
        && model.released.is_none_or(|released| released.latest() <= date)
        && role.parameters_b.is_none_or(|[low, high]| (low..=high).contains(&billions))
        && (!role.images || (model.modality.contains(&Modality::Image) && model.vision.is_some()))
}

/// A format with the engine that reads it.
#[derive(Clone, Copy, Debug)]
struct Form<'a> {
    format_id: &'a Id,
    format: &'a Format,
    engine_id: &'a Id,
    engine: &'a Engine,
}

/// Formats a model is to be had in, with the engine that reads them.
///
/// GGUF where somebody publishes GGUF files; 8- and 4-bit floats for vLLM where the maker publishes
/// them; MLX for everything, since the converter is part of the engine.
fn forms<'a>(
    catalog: &'a Catalog,
    model: &Model,
    wish: &FormatWish,
) -> Result<Vec<Form<'a>>, CatalogError> {
    let wanted =
        |precision: Precision| precision == wish.preferred || wish.acceptable.contains(&precision);
    let native_fp4 = is_mxfp4(model);
    let native_fp8 = model.native_precision.as_deref() == Some("fp8");
    let published = |word: &str| model.published_as.keys().any(|key| key.starts_with(word));
    let mut names: Vec<(&str, &str)> = Vec::new();
    if !model.gguf_repositories.is_empty() {
        let gguf: &[&str] = if native_fp4 { &["mxfp4_moe"] } else { &["q8_0", "q6_k", "q4_k_m"] };
        names.extend(gguf.iter().map(|format| (*format, "llama.cpp")));
    }
    if native_fp4 {
        names.push(("mxfp4", "vllm"));
        names.push(("mlx-mxfp4", "mlx-lm"));
    } else {
        if native_fp8 || published("fp8") {
            names.push(("fp8-block", "vllm"));
        }
        if published("nvfp4") {
            names.push(("nvfp4", "vllm"));
        }
        names.extend([("mlx-8bit", "mlx-lm"), ("mlx-6bit", "mlx-lm"), ("mlx-4bit", "mlx-lm")]);
    }
    let mut found = Vec::new();
    for (format, engine) in names {
        let (format_id, format) = catalog.get_in::<Format>(format)?;
        let (engine_id, engine) = catalog.get_in::<Engine>(engine)?;
        if wanted(format.precision) {
            found.push(Form { format_id, format, engine_id, engine });
        }
    }
    Ok(found)
}

fn is_mxfp4(model: &Model) -> bool {
    model.native_precision.as_deref().is_some_and(|native| native.starts_with("mxfp4"))
}

/// Whether a format is what the maker released: nothing is lost then.
fn is_native(model: &Model, format: &Format) -> bool {
    match model.native_precision.as_deref() {
        Some(native) if native.starts_with("mxfp4") => {
            format.native.as_deref() == Some("fp4") || format.name.contains("MXFP4")
        }
        Some("fp8") => format.precision >= Precision::EightBit,
        _ => false,
    }
}

/// Index points lost per nat of mean Kullback-Leibler divergence from the full-precision model.
///
/// Assumed: 0.03 nats cost about one point in a hundred. Of the formats with both figures in
/// `quality/format_loss.csv`, Q4_K_M (0.016 nats) loses less than a point on MMLU and Aider, Q2_K
/// (0.39 nats) about ten.
const POINTS_PER_NAT: f64 = 33.0;

/// Median divergence of every format that somebody measured, by short id.
fn format_losses(catalog: &Catalog) -> Result<BTreeMap<String, f64>, CatalogError> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in catalog.format_losses()? {
        if row.metric == "mean_kld" {
            values.entry(row.format.clone()).or_default().extend(row.value);
        }
    }
    Ok(values.into_iter().filter_map(|(format, values)| Some((format, median(values)?))).collect())
}

/// Index points a format costs: from its own measurements, else from its storage class.
fn loss(losses: &BTreeMap<String, f64>, id: &Id, format: &Format) -> f64 {
    let stand_in = match format.precision {
        Precision::ThirtyTwoBit | Precision::SixteenBit => return 0.0,
        Precision::EightBit => "q8_0",
        Precision::SixBit => "q6_k",
        Precision::FourBit => "q4_k_m",
        Precision::BelowFourBit => "q3_k_m",
    };
    let nats = losses.get(id.short()).or_else(|| losses.get(stand_in));
    nats.map_or(0.0, |nats| nats * POINTS_PER_NAT)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    Some(f64::midpoint(values[middle], values[values.len() / 2]))
}
