//! From a family's list to the tensors, layers and caches of one model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::OnceLock;

use localrig_facts::Id;
use localrig_facts::model::{Architecture, Model};

use super::expression::{Expression, ExpressionError};
use super::line::{self, Line, LineError};
use super::pattern::{self, LayerKind};
use super::tensor::{Place, Role, Tensor};
use super::{Layer, LayerCache, Layout, LayoutError};

/// A line with its shape worked out.
struct Template {
    name: Arc<str>,
    role: Role,
    experts: bool,
    shape: Result<Arc<[u64]>, LayoutError>,
}

/// What layers with the same tags have in common.
struct Kind<'a> {
    /// The first of them.
    layer: &'a Layer,
    /// Whether they are main ones: others, for prediction, have a tag of their own and keep nothing.
    is_main: bool,
    templates: Vec<&'a (&'a Line, Template)>,
    caches: Vec<LayerCache>,
    state: u64,
}

/// Works a family's rules out for one model.
pub(super) struct Reader<'a> {
    id: &'a Id,
    model: &'a Model,
    family: &'a str,
    architecture: &'a Architecture,
    derived: BTreeMap<String, Expression>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        id: &'a Id,
        model: &'a Model,
        family: &'a str,
        architecture: &'a Architecture,
    ) -> Result<Self, LayoutError> {
        Ok(Self { id, model, family, architecture, derived: derived(architecture, family)? })
    }

    pub(super) fn read(&self) -> Result<Layout, LayoutError> {
        let list = |text: &str| {
            line::parse(text)
                .map_err(|source| LayoutError::Line { family: self.family.to_owned(), source })
        };
        let global = list(&self.architecture.global_tensors)?;
        let per_layer = list(&self.architecture.layer_tensors)?;
        let layers = self.layers()?;
        self.check_names(&layers, global.iter().chain(&per_layer))?;

        let main_layers = self.number("layers")?;
        let tied =
            !global.iter().any(|line| line.name == "output.weight" && self.applies(line, &[]));
        let (global, per_layer) = (self.templates(&global, tied), self.templates(&per_layer, tied));
        // Most layers are like others: what their tags stand for is worked out once.
        let mut kinds: Vec<Kind<'_>> = Vec::new();
        let mut kind_of: Vec<usize> = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let known = kinds.iter().position(|kind| kind.layer.tags == layer.tags);
            let kind = known.unwrap_or(kinds.len());
            if known.is_none() {
                let templates = self.applying(&per_layer, &layer.tags);
                let is_main = index < main_layers as usize;
                kinds.push(Kind { layer, is_main, templates, caches: Vec::new(), state: 0 });
            }
            kind_of.push(kind);
        }
        let global = self.applying(&global, &[]);
        let in_layers = kind_of.iter().map(|kind| kinds[*kind].templates.len()).sum::<usize>();
        let mut tensors = Vec::with_capacity(global.len() + in_layers);
        Self::instantiate(&global, None, &[], &mut tensors)?;
        for (index, kind) in kind_of.iter().enumerate() {
            let own = &kinds[*kind];
            let tags = &own.layer.tags;
            Self::instantiate(&own.templates, Some(index as u32), tags, &mut tensors)?;
        }
        let mut order: Vec<u32> = (0..tensors.len() as u32).collect();
        let place = |index: &u32| {
            let tensor: &Tensor = &tensors[*index as usize];
            (tensor.layer, &*tensor.name)
        };
        order.sort_by(|a, b| place(a).cmp(&place(b)));
        for kind in kinds.iter_mut().filter(|kind| kind.is_main) {
            (kind.caches, kind.state) = (self.caches(kind.layer)?, self.state(kind.layer)?);
        }
        let main = || kind_of[..main_layers as usize].iter().map(|kind| &kinds[*kind]);
        let caches = main().map(|kind| kind.caches.clone()).collect();
        let states = main().map(|kind| kind.state).collect();

        let mut dims = self.model.dims.clone();
        for name in self.derived.keys() {
            if let Some(value) = self.lookup(name, 0).map_err(|e| self.at(name, e))? {
                dims.insert(name.clone(), value);
            }
        }
        let first_has_attention =
            ["full", "sliding", "chunked"].iter().any(|tag| layers[0].is(tag));
        let heads = dims.get("heads").copied().unwrap_or(0);
        let kv_heads = match dims.get("kv_heads").copied().unwrap_or(0) {
            _ if self.architecture.kv_heads_per_layer && !first_has_attention => 0,
            // A family whose first layer is of the full kind with heads of its own.
            _ if layers[0].is("full") && dims.contains_key("global_kv_heads") => {
                dims["global_kv_heads"]
            }
            own => own,
        };
        let is_grouped = dims.get("heads") != dims.get("kv_heads");
        let seventy_b = self.architecture.seventy_b.is_some_and(|size| {
            u64::from(size.layers) == main_layers && (is_grouped || !size.grouped)
        });
        Ok(Layout {
            id: self.id.clone(),
            family: self.family.to_owned(),
            gguf: self.architecture.gguf.clone(),
            attention: self.architecture.attention,
            recurrence: self.architecture.recurrence,
            tied,
            tensors,
            order,
            main_layers: main_layers as u32,
            layers,
            caches,
            states,
            first_group: heads.checked_div(kv_heads).unwrap_or(0),
            dims,
            seventy_b,
            traits: OnceLock::new(),
        })
    }

    /// The layers with their tags, feed-forward part and prediction mark included.
    fn layers(&self) -> Result<Vec<Layer>, LayoutError> {
        let (place, text) = match &self.model.layers {
            Some(own) => (self.id.to_string(), own),
            None => (format!("architecture/{}", self.family), &self.architecture.layers),
        };
        let expand = |text: &str, count: u64| {
            pattern::expand(text, count)
                .map_err(|source| LayoutError::Pattern { place: place.clone(), source })
        };
        let count = self.number("layers")?;
        let dim = |name: &str| self.model.dims.get(name).copied().unwrap_or(0);
        let every = dim("moe_every").max(1);
        let is_mixture = |index: u64| {
            dim("experts") > 0 && index >= dim("dense_layers") && (index + 1).is_multiple_of(every)
        };
        let ffn = |kind: &LayerKind, index: u64| {
            let by_numbers = if is_mixture(index) { "moe" } else { "dense" };
            kind.ffn.clone().unwrap_or_else(|| by_numbers.to_owned())
        };
        let mut layers: Vec<Layer> = Vec::new();
        let mut push = |kind: LayerKind, mtp: bool| {
            let part = ffn(&kind, layers.len() as u64);
            let mut tags = kind.tags;
            if part != "none" {
                tags.push(part);
            }
            if mtp {
                tags.push("mtp".to_owned());
            }
            layers.push(Layer { tags });
        };
        for kind in expand(text, count)? {
            push(kind, false);
        }
        if let Some(text) = self.architecture.mtp_layer.as_ref().filter(|_| dim("mtp_layers") > 0) {
            for kind in expand(text, dim("mtp_layers"))? {
                push(kind, true);
            }
        }
        Ok(layers)
    }

    /// The tensors that lines stand for. Shapes do not differ between layers, so each is worked
    /// out once; a line that applies nowhere may lack its dimensions.
    fn templates<'b>(&self, lines: &'b [Line], tied: bool) -> Vec<(&'b Line, Template)> {
        lines
            .iter()
            .map(|line| {
                let shape = line
                    .shape
                    .iter()
                    .map(|expression| self.value(&line.name, expression))
                    .collect::<Result<Arc<_>, _>>();
                let (name, role) = (Arc::from(line.name.as_str()), Role::of(&line.name, tied));
                (line, Template { name, role, experts: Tensor::names_experts(&line.name), shape })
            })
            .collect()
    }

    fn applies(&self, line: &Line, tags: &[String]) -> bool {
        line.when.iter().all(|name| self.holds(name, tags))
            && !line.unless.iter().any(|name| self.holds(name, tags))
    }

    /// The lines that apply to a layer with these tags.
    fn applying<'b>(
        &self,
        lines: &'b [(&'b Line, Template)],
        tags: &[String],
    ) -> Vec<&'b (&'b Line, Template)> {
        lines.iter().filter(|(line, _)| self.applies(line, tags)).collect()
    }

    fn instantiate(
        lines: &[&(&Line, Template)],
        layer: Option<u32>,
        tags: &[String],
        tensors: &mut Vec<Tensor>,
    ) -> Result<(), LayoutError> {
        let mtp = tags.iter().any(|tag| tag == "mtp");
        for (line, template) in lines {
            tensors.push(Tensor {
                name: Arc::clone(&template.name),
                role: template.role,
                layer,
                shape: template.shape.clone()?,
                experts: template.experts,
                f32: line.f32,
                keep: line.keep,
                table: line.table,
                loaded: !mtp || line.loaded,
                copies: if line.twice { 2 } else { 1 },
                place: match layer {
                    Some(layer) => Place::Layer(layer),
                    None => Place::of(&line.name, line.table, &line.beside),
                },
            });
        }
        Ok(())
    }

    fn caches(&self, layer: &Layer) -> Result<Vec<LayerCache>, LayoutError> {
        let mut found = Vec::new();
        for (tag, rule) in &self.architecture.cache {
            if !layer.is(tag) || rule.unless.as_ref().is_some_and(|off| layer.is(off)) {
                continue;
            }
            let place = format!("cache.{tag}");
            let number = |text: &str| {
                let expression = Expression::parse(text).map_err(|error| self.at(&place, error))?;
                self.value(&place, &expression)
            };
            let option = |text: &Option<String>| text.as_deref().map(number).transpose();
            found.push(LayerCache {
                k: number(&rule.k)?,
                v: option(&rule.v)?.unwrap_or(0),
                window: option(&rule.window)?,
                selects: option(&rule.selects)?,
                pair: number(&rule.pair)?,
            });
        }
        Ok(found)
    }

    fn state(&self, layer: &Layer) -> Result<u64, LayoutError> {
        let mut elements = 0;
        for (tag, text) in self.architecture.state.iter().filter(|(tag, _)| layer.is(tag)) {
            let place = format!("state.{tag}");
            let expression = Expression::parse(text).map_err(|error| self.at(&place, error))?;
            elements += self.value(&place, &expression)?;
        }
        Ok(elements)
    }

    /// Whether a condition holds: a tag of the layer, a flag of the model, or a dimension it has.
    fn holds(&self, name: &str, tags: &[String]) -> bool {
        tags.iter().any(|tag| tag == name)
            || self.model.flags.iter().any(|flag| flag == name)
            || self.model.dims.get(name).is_some_and(|value| *value > 0)
    }

    fn number(&self, name: &str) -> Result<u64, LayoutError> {
        self.value(name, &Expression::Name(name.to_owned()))
    }

    fn value(&self, place: &str, expression: &Expression) -> Result<u64, LayoutError> {
        expression.value(&|name| self.lookup(name, 0)).map_err(|error| self.at(place, error))
    }

    fn lookup(&self, name: &str, depth: u32) -> Result<Option<u64>, ExpressionError> {
        // The list of a family may speak of the number of layers as a width.
        let name = if name == "layer_count" { "layers" } else { name };
        if let Some(value) = self.model.dims.get(name) {
            return Ok(Some(*value));
        }
        match self.derived.get(name) {
            Some(_) if depth > 8 => Err(ExpressionError::Value { text: name.to_owned() }),
            Some(expression) => expression.value(&|inner| self.lookup(inner, depth + 1)).map(Some),
            None => Ok(None),
        }
    }

    fn at(&self, place: &str, source: ExpressionError) -> LayoutError {
        LayoutError::Expression {
            model: self.id.clone(),
            family: self.family.to_owned(),
            place: place.to_owned(),
            source,
        }
    }

    /// Every condition, flag and dimension must mean something: a misspelt one would silently
    /// leave tensors out.
    fn check_names<'b>(
        &self,
        layers: &[Layer],
        lines: impl Iterator<Item = &'b Line>,
    ) -> Result<(), LayoutError> {
        let unknown = |place: &str, name: &str| LayoutError::UnknownName {
            place: place.to_owned(),
            family: self.family.to_owned(),
            name: name.to_owned(),
        };
        let mut dims: BTreeSet<String> = GENERAL_DIMS
            .into_iter()
            .map(str::to_owned)
            .chain(self.derived.keys().cloned())
            .collect();
        let mut add = |expression: &Expression| {
            let mut names = Vec::new();
            expression.names(&mut names);
            dims.extend(names.into_iter().map(str::to_owned));
        };
        self.derived.values().for_each(&mut add);
        let rules = self.architecture.cache.values().flat_map(|rule| {
            [
                Some(&rule.k),
                rule.v.as_ref(),
                rule.window.as_ref(),
                rule.selects.as_ref(),
                Some(&rule.pair),
            ]
        });
        for text in rules.flatten().chain(self.architecture.state.values()) {
            add(&Expression::parse(text).map_err(|error| self.at("cache or state", error))?);
        }
        let mut conditions = Vec::new();
        for line in lines {
            line.shape.iter().for_each(&mut add);
            conditions.extend(
                line.when.iter().chain(&line.unless).chain(&line.beside).map(|name| (line, name)),
            );
        }
        let tags: BTreeSet<&str> =
            layers.iter().flat_map(|layer| &layer.tags).map(String::as_str).collect();
        let cache_tags = self.architecture.cache.keys().chain(self.architecture.state.keys());
        let off_tags = self.architecture.cache.values().filter_map(|rule| rule.unless.as_ref());
        let cache_tags: BTreeSet<&str> = cache_tags.chain(off_tags).map(String::as_str).collect();
        // A tag also means something when a line of the list asks for it.
        let asked: BTreeSet<&str> = conditions.iter().map(|(_, name)| name.as_str()).collect();
        for (line, name) in &conditions {
            let known = GENERAL_TAGS.contains(&name.as_str())
                || tags.contains(name.as_str())
                || cache_tags.contains(name.as_str())
                || dims.contains(*name)
                || self.architecture.flags.contains_key(*name);
            if !known {
                return Err(unknown(&format!("architecture/{}: {}", self.family, line.name), name));
            }
        }
        for flag in &self.model.flags {
            if !self.architecture.flags.contains_key(flag) {
                return Err(unknown(&format!("{}: flags", self.id), flag));
            }
        }
        for dim in self.model.dims.keys() {
            if !dims.contains(dim) {
                return Err(unknown(&format!("{}: dims", self.id), dim));
            }
        }
        for tag in tags {
            if !GENERAL_TAGS.contains(&tag) && !cache_tags.contains(tag) && !asked.contains(tag) {
                return Err(unknown(&format!("{}: layers", self.id), tag));
            }
        }
        Ok(())
    }
}

/// Dimensions that mean something to every family.
pub(crate) const GENERAL_DIMS: [&str; 11] = [
    "layers",
    "hidden",
    "vocab",
    "heads",
    "kv_heads",
    "experts",
    "experts_used",
    "dense_layers",
    "moe_every",
    "mtp_layers",
    "layer_count",
];

/// Tags that mean something to every family, whether a model of it has such layers or not.
const GENERAL_TAGS: [&str; 15] = [
    "full",
    "sliding",
    "chunked",
    "recurrent",
    "dense",
    "moe",
    "mtp",
    "wide",
    "half",
    "quarter",
    "five_eighths",
    "narrow",
    "half_narrow",
    "hashed",
    "ngram",
];

fn derived(
    architecture: &Architecture,
    family: &str,
) -> Result<BTreeMap<String, Expression>, LayoutError> {
    architecture
        .derived
        .iter()
        .map(|(name, text)| {
            let expression = Expression::parse(text).map_err(|source| LayoutError::Line {
                family: family.to_owned(),
                source: LineError::Dimension { line: 0, source },
            })?;
            Ok((name.clone(), expression))
        })
        .collect()
}
