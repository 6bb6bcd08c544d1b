//! What could serve a role: models in formats on engines, with what each takes and gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use localrig_estimate::architecture::{Layout, LayoutError, layout};
use localrig_estimate::context::{KV_TYPES, KvType};
use localrig_estimate::memory::Ask;
use localrig_estimate::recipe::Recipe;
use localrig_estimate::work::Work;
use localrig_facts::engine::{Allocation, Engine, EnginePlan, Planned, planned};
use localrig_facts::format::{Container, Format, Precision};
use localrig_facts::model::{Modality, Model};
use localrig_facts::{Catalog, CatalogError, Date, Id};
use rayon::prelude::*;

use crate::figure::grouped;
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
    /// Demands per token, with a cache of 16 bits: what a smaller type saves in reading, others
    /// measured from a gain to a loss, so that a plan takes it for room and not for speed.
    pub work: Arc<Work>,
    /// Contexts and streams of the role.
    pub ask: Ask,
    /// Ability at the role's task; `None` for models that the requirement names without scores.
    pub ability: Option<Ability>,
    /// Index points lost to the format and to the type of the KV cache.
    pub format_loss: f64,
}

impl ModelOption<'_> {
    /// The quality that counts: the lower end of the ability, less what the format costs.
    pub fn quality(&self) -> f64 {
        self.ability.as_ref().map_or(0.0, |ability| ability.index.low) - self.format_loss
    }

    /// Whether its engine has a slot for each request, as those that make room for all caches at
    /// start do: more requests wait.
    pub fn has_slots(&self) -> bool {
        self.engine.memory.allocation == Some(Allocation::Cells)
    }

    /// Model, format and engine by name.
    pub fn label(&self) -> String {
        let kv = self.ask.kv;
        let cache = if kv == KvType::F16 { String::new() } else { format!(", {} cache", kv.name) };
        format!("{} {} on {}{cache}", self.model.name, self.format.name, self.engine.name)
    }

    /// Whether two roles of a requirement could be served by one loaded model.
    pub fn is_same_model(&self, other: &Self) -> bool {
        self.is_same_but_cache(other) && self.ask.kv == other.ask.kv
    }

    /// Whether two options of one requirement differ in nothing but the type of the KV cache.
    pub fn is_same_but_cache(&self, other: &Self) -> bool {
        // Model and format have their demands in common.
        Arc::ptr_eq(&self.work, &other.work) && std::ptr::eq(self.engine, other.engine)
    }
}

/// Why a requirement's models cannot be considered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A catalog file is broken, or a name leads nowhere.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A model that was asked for by name is made for shorter contexts.
    #[error("{model} is made for at most {limit} tokens of context, {asked} were asked for")]
    ContextTooLong {
        /// The model.
        model: String,
        /// Its limit.
        limit: u64,
        /// The context asked for.
        asked: u64,
    },
    /// A model that was asked for by name cannot be computed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A model that was asked for by name takes no images.
    #[error("{model} takes no images")]
    NoVision {
        /// The model.
        model: String,
    },
    /// No model does what a role asks.
    #[error(
        "no model that was out by {date} and can be computed does what role `{role}` asks ({task}, {} tokens of context)",
        grouped(i64::try_from(*context).unwrap_or(i64::MAX))
    )]
    NoModel {
        /// The role.
        role: String,
        /// Its task.
        task: String,
        /// Context of a stream.
        context: u64,
        /// The day.
        date: String,
    },
    /// Nobody scored the model that a role's must equal.
    #[error("{role}: nobody is known to have scored {model} at {task}")]
    NoScore {
        /// The role.
        role: String,
        /// The model.
        model: String,
        /// The task.
        task: String,
    },
}

/// The least ability that a role takes, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar<'a> {
    /// Id of the model to equal.
    pub id: &'a Id,
    /// The model to equal.
    pub model: &'a Model,
    /// The middle of its ability.
    pub index: f64,
}

impl Bar<'_> {
    /// Whether a model is certainly as good, in its format; the model itself is in any.
    pub fn is_met_by(&self, option: &ModelOption<'_>) -> bool {
        option.id == self.id || option.quality() >= self.index
    }
}

/// The least ability that a role takes; `None` when it takes any.
fn bar<'a>(
    catalog: &'a Catalog,
    role: &Role,
    known: &BTreeMap<String, Ability>,
) -> Result<Option<Bar<'a>>, OptionError> {
    let Some(name) = &role.at_least_as_good_as else { return Ok(None) };
    let (id, model) = catalog.find::<Model>(name)?;
    let ability = known.get(id.within_folder()).ok_or_else(|| OptionError::NoScore {
        role: role.name.clone(),
        model: model.name.clone(),
        task: role.task.clone(),
    })?;
    Ok(Some(Bar { id, model, index: ability.index.value }))
}

/// What could serve a role.
#[derive(Clone, Debug)]
pub struct RoleOptions<'a> {
    /// Its options.
    pub options: Vec<ModelOption<'a>>,
    /// The least ability it takes; `None` = any.
    pub bar: Option<Bar<'a>>,
}

/// Options of every role, in the order of the requirement's roles.
///
/// # Errors
/// When a catalog file is broken, or a model that the requirement names is not in the catalog or
/// cannot do what its role asks.
pub fn options<'a>(
    catalog: &'a Catalog,
    requirement: &Requirement,
    date: Date,
) -> Result<Vec<RoleOptions<'a>>, OptionError> {
    let mut known: BTreeMap<&str, BTreeMap<String, Ability>> = BTreeMap::new();
    for role in &requirement.roles {
        if !known.contains_key(role.task.as_str()) {
            known.insert(&role.task, abilities(catalog, &role.task)?);
        }
    }
    let asked = requirement.roles.iter().map(|role| {
        let known = &known[role.task.as_str()];
        Ok((role, models(catalog, role, known, date)?, known))
    });
    let asked: Vec<_> = asked.collect::<Result<_, OptionError>>()?;
    let all = expand(catalog, &asked, &requirement.format)?;
    let roles = asked.iter().zip(all).map(|((role, _, known), mut options)| {
        let bar = bar(catalog, role, known)?;
        if let Some(bar) = bar.as_ref().filter(|_| role.models.is_empty()) {
            options.retain(|option| bar.is_met_by(option));
        }
        if options.is_empty() {
            return Err(OptionError::NoModel {
                role: role.name.clone(),
                task: role.task.clone(),
                context: role.context_tokens,
                date: date.to_string(),
            });
        }
        Ok(RoleOptions { options, bar })
    });
    roles.collect()
}

/// A role with models for it and the known abilities at its task.
pub(crate) type Asked<'r, 'a> = (&'r Role, Vec<(&'a Id, &'a Model)>, &'r BTreeMap<String, Ability>);

/// Every model of every role in every format it is to be had in.
///
/// Models with facts only have no layout: they are left out.
///
/// # Errors
/// When a catalog file is broken.
pub(crate) fn expand<'a>(
    catalog: &'a Catalog,
    asked: &[Asked<'_, 'a>],
    wish: &FormatWish,
) -> Result<Vec<Vec<ModelOption<'a>>>, CatalogError> {
    let (losses, stand_ins) = (format_losses(catalog)?, stand_ins(catalog)?);
    let mut chosen: Vec<Vec<(&Id, &Model, Form<'a>)>> = Vec::new();
    for (_, models, _) in asked {
        let mut own = Vec::new();
        for (id, model) in models {
            for form in forms(catalog, model, wish)? {
                let kinds = cache_types(form.engine, &losses).into_iter();
                own.extend(kinds.map(|kv| (*id, *model, Form { kv, ..form })));
            }
        }
        chosen.push(own);
    }
    let works = works(catalog, chosen.iter().flatten().copied().collect());
    let options = asked.iter().zip(chosen).map(|((role, _, known), chosen)| {
        let option = |(id, model, form): (&'a Id, &'a Model, Form<'a>)| {
            let (layout, work) = works.get(&(id, form.format_id))?.clone();
            // A latent cache is compressed already; engines keep it as it is.
            if work.latent && form.kv != KvType::F16 {
                return None;
            }
            let native = form.format.keeps(model.native_precision.as_deref());
            let ask = Ask {
                context: role.context_tokens,
                streams: role.streams,
                kv: form.kv,
                vision: role.images,
            };
            let lost = || loss(&stand_ins, &losses, form.format_id, form.format);
            let format_loss = if native { 0.0 } else { lost() };
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
                format_loss: format_loss + cache_loss(&losses, form.kv),
            })
        };
        chosen.into_iter().filter_map(option).collect()
    });
    Ok(options.collect())
}

/// Models that could serve a role.
fn models<'a>(
    catalog: &'a Catalog,
    role: &Role,
    known: &BTreeMap<String, Ability>,
    date: Date,
) -> Result<Vec<(&'a Id, &'a Model)>, OptionError> {
    if !role.models.is_empty() {
        return role.models.iter().map(|name| named(catalog, role, name)).collect();
    }
    let all = catalog.all::<Model>()?.iter();
    Ok(all
        .filter(|(id, model)| known.contains_key(id.within_folder()) && serves(model, role, date))
        .collect())
}

/// A model that a role names: it must be able to do what the role asks.
fn named<'a>(
    catalog: &'a Catalog,
    role: &Role,
    name: &str,
) -> Result<(&'a Id, &'a Model), OptionError> {
    let (id, model) = catalog.find::<Model>(name)?;
    if role.context_tokens > model.context_tokens {
        return Err(OptionError::ContextTooLong {
            model: model.name.clone(),
            limit: model.context_tokens,
            asked: role.context_tokens,
        });
    }
    if role.images && model.vision.is_none() {
        return Err(OptionError::NoVision { model: model.name.clone() });
    }
    layout(catalog, id, model)?;
    Ok((id, model))
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

/// Whether a model can do what a role asks and was out by a day.
pub(crate) fn serves(model: &Model, role: &Role, date: Date) -> bool {
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
    kv: KvType,
}

/// Types of the KV cache that are considered in an engine: 16 bits, and of at least 8 bits those
/// it offers for which somebody measured what they cost. Below 8 bits long contexts suffer, which
/// a mean over short texts does not show.
fn cache_types(engine: &Engine, losses: &BTreeMap<String, f64>) -> Vec<KvType> {
    let measured = |kind: &KvType| {
        engine.kv_cache.types.iter().any(|name| name == kind.name)
            && losses.contains_key(&format!("kv-{}", kind.name))
            && (1.0..2.0).contains(&kind.bytes_per_element())
    };
    std::iter::once(KvType::F16).chain(KV_TYPES.into_iter().filter(measured)).collect()
}

/// Index points that a type of the KV cache costs.
fn cache_loss(losses: &BTreeMap<String, f64>, kv: KvType) -> f64 {
    losses.get(&format!("kv-{}", kv.name)).map_or(0.0, |nats| nats * POINTS_PER_NAT)
}

/// Formats a model is to be had in, with the engine that reads them: those of each planned engine that
/// somebody publishes, or that its converter makes.
fn forms<'a>(
    catalog: &'a Catalog,
    model: &Model,
    wish: &FormatWish,
) -> Result<Vec<Form<'a>>, CatalogError> {
    let wanted =
        |precision: Precision| precision == wish.preferred || wish.acceptable.contains(&precision);
    let native = model.native_precision.as_deref();
    let mut found = Vec::new();
    for Planned { id: engine_id, engine, plan } in planned(catalog)? {
        for format in &plan.formats {
            let (format_id, format) = catalog.get_in::<Format>(format)?;
            if is_to_be_had(model, format, plan) {
                found.push(Form { format_id, format, engine_id, engine, kv: KvType::F16 });
            }
        }
    }
    let is_sole = |form: &Form<'_>| form.format.sole && form.format.keeps(native);
    if found.iter().any(is_sole) {
        found.retain(is_sole);
    }
    found.retain(|form| wanted(form.format.precision));
    Ok(found)
}

/// Whether somebody publishes a model in a format, or the engine's converter makes it.
fn is_to_be_had(model: &Model, format: &Format, plan: &EnginePlan) -> bool {
    let said = format.published_in.as_deref().map(|word| model.is_published_in(word));
    match format.container {
        Container::Gguf => !model.gguf_repositories.is_empty() && said.unwrap_or(true),
        _ => said.unwrap_or(plan.makes_files),
    }
}

/// The format to expect of a model in an engine when none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsualFormat<'a> {
    /// The format.
    pub id: &'a Id,
    /// Where it comes from.
    pub origin: Origin<'a>,
}

/// Where the files of a usual format come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Somebody publishes them.
    Published,
    /// This tool makes them of any model the engine reads; nobody is known to publish them.
    Made(&'a str),
    /// They are what the maker released; nobody is known to publish smaller ones.
    Released,
}

/// The format people use a model in with an engine when they name none: about 4 bits per weight, or
/// the first it is to be had in; else the one that a tool of the engine makes of any model; else
/// what its maker released, where the engine reads that.
///
/// `None` when nothing of this is known.
///
/// # Errors
/// When a catalog file is broken.
pub fn usual_format<'a>(
    catalog: &'a Catalog,
    model: &Model,
    engine_id: &Id,
) -> Result<Option<UsualFormat<'a>>, CatalogError> {
    let any = FormatWish {
        preferred: Precision::FourBit,
        acceptable: vec![Precision::EightBit, Precision::SixBit, Precision::SixteenBit],
    };
    let mut forms = forms(catalog, model, &any)?;
    let engine = catalog.get::<Engine>(engine_id.as_str())?;
    let own = |form: &Form<'_>| form.engine_id == engine_id;
    if forms.iter().any(own) {
        forms.retain(own);
    } else {
        // An engine that nobody offers files for by name reads those of its first kind.
        forms.retain(|form| engine.preference(form.format.container) == Some(0));
    }
    let four_bit = forms.iter().find(|form| form.format.precision == Precision::FourBit);
    if let Some(published) = four_bit.or(forms.first()) {
        return Ok(Some(UsualFormat { id: published.format_id, origin: Origin::Published }));
    }
    // That an engine reads a model is known only of one whose tensors are.
    if model.architecture.is_none() {
        return Ok(None);
    }
    if let Some(made) = &engine.usual_format {
        let (id, _) = catalog.get_in::<Format>(&made.format)?;
        return Ok(Some(UsualFormat { id, origin: Origin::Made(&made.tool) }));
    }
    let native = model.native_precision.as_deref();
    // Makers release safetensors.
    let is_release =
        |format: &Format| format.container == Container::Safetensors && format.keeps(native);
    let reads = engine.preference(Container::Safetensors) == Some(0);
    let released = catalog.all::<Format>()?.iter().find(|(_, format)| reads && is_release(format));
    Ok(released.map(|(id, _)| UsualFormat { id, origin: Origin::Released }))
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

/// Index points a format costs: from its own measurements, else from those of the format that stands in
/// for its storage class.
fn loss(stand_ins: &StandIns, losses: &BTreeMap<String, f64>, id: &Id, format: &Format) -> f64 {
    if format.precision >= Precision::SixteenBit {
        return 0.0;
    }
    let of_class = || losses.get(*stand_ins.get(&format.precision)?);
    let nats = losses.get(id.short()).or_else(of_class);
    nats.map_or(0.0, |nats| nats * POINTS_PER_NAT)
}

/// For each storage class, the format whose measured loss stands in for those that nobody measured.
type StandIns<'a> = BTreeMap<Precision, &'a str>;

fn stand_ins(catalog: &Catalog) -> Result<StandIns<'_>, CatalogError> {
    let all = catalog.all::<Format>()?.iter().filter(|(_, format)| format.stands_in);
    Ok(all.map(|(id, format)| (format.precision, id.short())).collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    Some(f64::midpoint(values[middle], values[values.len() / 2]))
}
