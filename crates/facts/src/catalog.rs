//! The catalog: texts in, typed entries out, each kind parsed when it is first asked for.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::de::DeserializeOwned;

use crate::calibration::{Classes, Fitted, Intervals, MachineConstants, Priors};
use crate::document::{DocumentError, from_csv, from_toml};
use crate::id::Id;
use crate::money::Rate;
use crate::price::{Observation, PriceRow, UnusableRow};
use crate::quality::{FormatLossRow, ScoreRow, Task, Tasks};
use crate::resolve::{Candidate, ResolveError, resolve};
use crate::source::{Note, Sources};

/// Why a fact could not be had from the catalog.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A file does not have its shape.
    #[error("{0}")]
    Document(#[from] DocumentError),
    /// A name leads nowhere or to several entries.
    #[error("{0}")]
    Resolve(#[from] ResolveError),
    /// An id that a file refers to does not exist.
    #[error("no `{id}` in the catalog")]
    Missing {
        /// The id.
        id: String,
    },
}

/// Entries of one kind, by id.
pub type Table<T> = BTreeMap<Id, T>;

/// A kind of entry kept as one TOML file each.
pub trait Entry: DeserializeOwned + Send + Sync + 'static {
    /// Folder below `catalog/`.
    const FOLDER: &'static str;
    /// What one of them is called in messages.
    const WHAT: &'static str;

    /// Name for people.
    fn name(&self) -> &str;
    /// Other spellings.
    fn aliases(&self) -> &[String] {
        &[]
    }
    /// Who vouches for it.
    fn sources(&self) -> &Sources;
    /// Remarks.
    fn notes(&self) -> &[Note] {
        &[]
    }
    /// Where the catalog keeps the parsed entries.
    #[doc(hidden)]
    fn slot(tables: &Tables) -> &OnceLock<Result<Table<Self>, CatalogError>>
    where
        Self: Sized;
}

macro_rules! entries {
    ($($field:ident: $type:ty = $folder:literal, $what:literal $(, aliases $aliases:ident)? $(, notes $notes:ident)?;)*) => {
        /// Parsed entries by kind.
        #[doc(hidden)]
        #[derive(Debug, Default)]
        pub struct Tables {
            $($field: OnceLock<Result<Table<$type>, CatalogError>>,)*
        }

        $(
            impl Entry for $type {
                const FOLDER: &'static str = $folder;
                const WHAT: &'static str = $what;

                fn name(&self) -> &str {
                    &self.name
                }

                $(fn aliases(&self) -> &[String] {
                    &self.$aliases
                })?

                fn sources(&self) -> &Sources {
                    &self.sources
                }

                $(fn notes(&self) -> &[Note] {
                    &self.$notes
                })?

                fn slot(tables: &Tables) -> &OnceLock<Result<Table<Self>, CatalogError>> {
                    &tables.$field
                }
            }
        )*

        /// Every folder with one TOML file per entry.
        pub const ENTRY_FOLDERS: &[&str] = &[$($folder),*];

        /// Calls `$visit::<T>()` for every kind of entry.
        macro_rules! for_each_entry {
            ($visit:ident($with:expr)) => {{
                $($visit::<$type>($with);)*
            }};
        }
        pub(crate) use for_each_entry;
    };
}

entries! {
    gpus: crate::gpu::Gpu = "gpu", "accelerator", aliases aliases, notes notes;
    generations: crate::generation::Generation = "generation", "chip generation", notes notes;
    systems: crate::system::System = "system", "system", aliases aliases, notes notes;
    cpus: crate::part::Cpu = "cpu", "processor", aliases aliases, notes notes;
    boards: crate::part::Motherboard = "board", "board", aliases aliases, notes notes;
    memories: crate::part::Memory = "memory", "memory kit", aliases aliases, notes notes;
    psus: crate::part::Psu = "psu", "power supply", aliases aliases, notes notes;
    cases: crate::part::Case = "case", "case", aliases aliases, notes notes;
    coolers: crate::part::Cooler = "cooler", "cooler", aliases aliases, notes notes;
    storages: crate::part::Storage = "storage", "SSD", aliases aliases, notes notes;
    cables: crate::part::Cable = "cable", "cable", aliases aliases, notes notes;
    switches: crate::part::Switch = "switch", "switch", aliases aliases, notes notes;
    prebuilts: crate::part::Prebuilt = "prebuilt", "prebuilt base", aliases aliases, notes notes;
    models: crate::model::Model = "model", "model", aliases aliases, notes notes;
    architectures: crate::model::Architecture = "architecture", "architecture", notes notes;
    formats: crate::format::Format = "format", "format", aliases aliases, notes notes;
    tensor_types: crate::format::TensorType = "tensor_type", "tensor type";
    engines: crate::engine::Engine = "engine", "engine", aliases aliases, notes notes;
    shops: crate::shop::Shop = "shop", "shop", aliases aliases, notes notes;
    regions: crate::region::Region = "region", "region", notes notes;
    tiers: crate::tier::Tier = "tier", "tier", aliases aliases, notes notes;
    platforms: crate::survey::Platform = "survey", "surveyed platform", aliases aliases, notes notes;
    documents: crate::claim::Document = "claim", "document with claims";
}

/// A text of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The text.
    pub text: Cow<'static, str>,
    /// Path for messages: inside the catalog, or where an overlay file lies.
    pub path: String,
}

/// Sources of CSV rows: `catalog/price/source.toml`.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceList {
    /// By the key that rows use.
    pub sources: Sources,
}

/// What was observed after the catalog was written: fetched, imported or typed in by the user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Prices.
    pub prices: Vec<Observation>,
    /// Exchange rates.
    pub rates: Vec<Rate>,
    /// Where they come from, by the key that rows use.
    pub sources: Sources,
}

/// All facts. Later files replace earlier ones with the same path, so overlays come last.
#[derive(Debug, Default)]
pub struct Catalog {
    files: BTreeMap<String, File>,
    observed: Observed,
    tables: Tables,
    prices: OnceLock<Result<Vec<Observation>, CatalogError>>,
    price_sources: OnceLock<Result<SourceList, CatalogError>>,
    rates: OnceLock<Result<Vec<Rate>, CatalogError>>,
    scores: OnceLock<Result<Vec<ScoreRow>, CatalogError>>,
    format_losses: OnceLock<Result<Vec<FormatLossRow>, CatalogError>>,
    priors: OnceLock<Result<Priors, CatalogError>>,
    machine_constants: OnceLock<Result<MachineConstants, CatalogError>>,
    classes: OnceLock<Result<Classes, CatalogError>>,
    fitted: OnceLock<Result<Fitted, CatalogError>>,
    intervals: OnceLock<Result<Intervals, CatalogError>>,
    own: OnceLock<Result<Fitted, CatalogError>>,
    tasks: OnceLock<Result<Tasks, CatalogError>>,
    derived: Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Catalog {
    /// A catalog from its texts: path below `catalog/` (`gpu/nvidia/rtx-5090.toml`) and content.
    pub fn from_files(files: impl IntoIterator<Item = (String, File)>) -> Self {
        Self { files: files.into_iter().collect(), ..Self::default() }
    }

    /// The catalog with newer observations beside its own; neither hides the other.
    #[must_use]
    pub fn with_observed(self, observed: Observed) -> Self {
        // Nothing that was read before may lack the new rows.
        Self { files: self.files, observed, ..Self::default() }
    }

    /// Every text with its path below `catalog/`.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// The text at a path below `catalog/`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// All entries of a kind, in the order of their ids.
    ///
    /// # Errors
    /// When any file of the kind does not parse.
    pub fn all<T: Entry>(&self) -> Result<&Table<T>, CatalogError> {
        T::slot(&self.tables)
            .get_or_init(|| {
                self.toml_files(T::FOLDER)
                    .map(|(id, file)| Ok((id, from_toml(&file.path, &file.text)?)))
                    .collect()
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// What another crate works out of the catalog, once for every type of it.
    ///
    /// # Errors
    /// What `work_out` fails with; nothing is kept then.
    pub fn derived<T: Any + Send + Sync>(
        &self,
        work_out: impl FnOnce(&Self) -> Result<T, CatalogError>,
    ) -> Result<Arc<T>, CatalogError> {
        let key = TypeId::of::<T>();
        let locked = || self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let known = locked().get(&key).cloned().and_then(|known| known.downcast().ok());
        if let Some(known) = known {
            return Ok(known);
        }
        // Not under the lock: it may ask for something derived itself.
        let new = Arc::new(work_out(self)?);
        let _ = locked().insert(key, new.clone());
        Ok(new)
    }

    /// The TOML files of a folder with their ids.
    pub(crate) fn toml_files(&self, folder: &str) -> impl Iterator<Item = (Id, &File)> {
        let prefix = format!("{folder}/");
        self.files
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, file)| Some((Id::new(path.strip_suffix(".toml")?), file)))
    }

    /// The entry with this id.
    ///
    /// # Errors
    /// When there is none, or its kind does not parse.
    pub fn get<T: Entry>(&self, id: &str) -> Result<&T, CatalogError> {
        self.all::<T>()?.get(id).ok_or_else(|| CatalogError::Missing { id: id.to_owned() })
    }

    /// The entry of a kind by its path inside the folder: `get_in::<Shop>("digitec")`.
    ///
    /// # Errors
    /// When there is none, or its kind does not parse.
    pub fn get_in<T: Entry>(&self, within: &str) -> Result<(&Id, &T), CatalogError> {
        let id = format!("{}/{within}", T::FOLDER);
        self.all::<T>()?.get_key_value(id.as_str()).ok_or(CatalogError::Missing { id })
    }

    /// The one entry of a kind that an id or a forgiving name means.
    ///
    /// # Errors
    /// When no entry or several have that name.
    pub fn find<T: Entry>(&self, query: &str) -> Result<(&Id, &T), CatalogError> {
        let table = self.all::<T>()?;
        if let Some(found) = table.get_key_value(query) {
            return Ok(found);
        }
        let candidates: Vec<_> = table
            .iter()
            .map(|(id, entry)| Candidate {
                value: (id, entry),
                id: id.as_str(),
                name: entry.name(),
                aliases: entry.aliases(),
            })
            .collect();
        Ok(resolve(T::WHAT, query, &candidates)?)
    }

    /// All price observations, in the order of their files.
    ///
    /// # Errors
    /// When a price file does not parse.
    pub fn prices(&self) -> Result<&[Observation], CatalogError> {
        self.prices
            .get_or_init(|| {
                let mut observations = Vec::new();
                for (path, file) in self.files.range("price/".to_owned()..) {
                    let Some(rest) = path.strip_prefix("price/") else {
                        break;
                    };
                    let Some((region, _)) = rest.split_once('/') else {
                        continue;
                    };
                    let rows = from_csv::<PriceRow>(&file.path, &file.text)?;
                    observations.extend(
                        rows.into_iter().map(|row| Observation { region: region.to_owned(), row }),
                    );
                }
                observations.extend(self.observed.prices.iter().cloned());
                Ok(observations)
            })
            .as_deref()
            .map_err(Clone::clone)
    }

    /// Sources of price rows and rates.
    ///
    /// # Errors
    /// When the list does not parse or is not there.
    pub fn price_sources(&self) -> Result<&Sources, CatalogError> {
        self.price_sources
            .get_or_init(|| {
                let file = self.required("price/source.toml")?;
                let mut list: SourceList = from_toml(&file.path, &file.text)?;
                for (key, source) in &self.observed.sources {
                    list.sources.entry(key.clone()).or_insert_with(|| source.clone());
                }
                Ok(list)
            })
            .as_ref()
            .map(|list| &list.sources)
            .map_err(Clone::clone)
    }

    /// Exchange rates.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn rates(&self) -> Result<&[Rate], CatalogError> {
        self.rates
            .get_or_init(|| {
                let mut rates: Vec<Rate> = self.rows("price/rate.csv")?;
                rates.extend(self.observed.rates.iter().cloned());
                Ok(rates)
            })
            .as_deref()
            .map_err(Clone::clone)
    }

    /// Benchmark scores.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn scores(&self) -> Result<&[ScoreRow], CatalogError> {
        self.scores.get_or_init(|| self.rows("quality/score.csv")).as_deref().map_err(Clone::clone)
    }

    /// Measured losses of formats.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn format_losses(&self) -> Result<&[FormatLossRow], CatalogError> {
        self.format_losses
            .get_or_init(|| self.rows("quality/format_loss.csv"))
            .as_deref()
            .map_err(Clone::clone)
    }

    /// Constants of the speed model before any row is seen.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn priors(&self) -> Result<&Priors, CatalogError> {
        self.priors
            .get_or_init(|| {
                let file = self.required("calibration/prior.toml")?;
                Ok(from_toml(&file.path, &file.text)?)
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// What holds of any machine and is not fitted.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn machine_constants(&self) -> Result<&MachineConstants, CatalogError> {
        self.machine_constants
            .get_or_init(|| {
                let file = self.required("calibration/machine.toml")?;
                Ok(from_toml(&file.path, &file.text)?)
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Engines and chips that behave alike.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn classes(&self) -> Result<&Classes, CatalogError> {
        self.classes
            .get_or_init(|| {
                let file = self.required("calibration/class.toml")?;
                Ok(from_toml(&file.path, &file.text)?)
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// What the fit found on measured rows.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn fitted(&self) -> Result<&Fitted, CatalogError> {
        self.fitted
            .get_or_init(|| {
                let file = self.required("calibration/fitted.toml")?;
                Ok(from_toml(&file.path, &file.text)?)
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// What the user's own measurements say; `None` without any.
    ///
    /// # Errors
    /// When the file does not parse.
    pub fn own_fit(&self) -> Result<Option<&Fitted>, CatalogError> {
        let Some(file) = self.file("calibration/own.toml") else { return Ok(None) };
        self.own
            .get_or_init(|| Ok(from_toml(&file.path, &file.text)?))
            .as_ref()
            .map(Some)
            .map_err(Clone::clone)
    }

    /// Held-out errors of the speed model.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn intervals(&self) -> Result<&Intervals, CatalogError> {
        self.intervals
            .get_or_init(|| {
                let file = self.required("calibration/interval.toml")?;
                Ok(from_toml(&file.path, &file.text)?)
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Tasks and the benchmarks that speak of them.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn tasks(&self) -> Result<&[Task], CatalogError> {
        self.tasks
            .get_or_init(|| {
                let file = self.required("quality/task.toml")?;
                Ok(from_toml(&file.path, &file.text)?)
            })
            .as_ref()
            .map(|tasks| &tasks.tasks[..])
            .map_err(Clone::clone)
    }

    /// Prices that cannot be used, with the reason.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn unusable_prices(&self) -> Result<Vec<UnusableRow>, CatalogError> {
        self.rows("price/unusable.csv")
    }

    /// Rows of a CSV file of the catalog.
    ///
    /// # Errors
    /// When the file does not parse or is not there.
    pub fn rows<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, CatalogError> {
        let file = self.required(path)?;
        Ok(from_csv(&file.path, &file.text)?)
    }

    fn required(&self, path: &str) -> Result<&File, CatalogError> {
        self.files.get(path).ok_or_else(|| CatalogError::Missing { id: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Psu;
    use crate::shop::Shop;

    fn catalog(files: &[(&str, &'static str)]) -> Catalog {
        Catalog::from_files(files.iter().map(|(path, text)| {
            let path = (*path).to_owned();
            (path.clone(), File { text: Cow::Borrowed(text), path })
        }))
    }

    const SHOP: &str = "name = \"Digitec\"\ntier = \"primary-swiss\"\n\
        [sources.own]\nkind = \"vendor\"\nurl = \"https://www.digitec.ch\"\naccessed = \"2026-11-20\"\ncovers = [\"*\"]\n";

    #[test]
    fn an_entry_is_found_by_its_path_and_by_its_name() {
        let catalog = catalog(&[("shop/digitec.toml", SHOP)]);
        assert_eq!(catalog.get_in::<Shop>("digitec").unwrap().1.name, "Digitec");
        assert_eq!(catalog.find::<Shop>("DIGITEC").unwrap().0.as_str(), "shop/digitec");
    }

    #[test]
    fn what_was_observed_later_stands_beside_the_catalogs_own_rows() {
        const PRICES: &str = "item,variant,product,amount,amount_high,currency,condition,kind,vat,shop,date,read,link,source,note\n\
            gpu/x/y,,Y,100,,CHF,new,offer,included,digitec,2026-02-17,2026-11-20,,own,\n";
        let files = [
            ("price/ch/2026-02.csv", PRICES),
            ("price/rate.csv", "date,base,quote,rate,source\n2026-07-09,EUR,CHF,0.9227,own\n"),
            (
                "price/source.toml",
                "[sources.own]\nkind = \"vendor\"\nurl = \"https://a.example\"\naccessed = \"2026-11-20\"\n",
            ),
        ];
        let plain = catalog(&files);
        let mut later = plain.prices().unwrap()[0].clone();
        later.row.amount = 90.0;
        let mut rate = plain.rates().unwrap()[0].clone();
        rate.rate = 0.93;
        let own = plain.price_sources().unwrap()["own"].clone();
        let observed = Observed {
            prices: vec![later],
            rates: vec![rate],
            sources: [("fetched".to_owned(), own)].into(),
        };
        let both = plain.with_observed(observed);
        let amounts: Vec<f64> = both.prices().unwrap().iter().map(|one| one.row.amount).collect();
        assert_eq!(amounts, [100.0, 90.0]);
        assert_eq!(both.rates().unwrap().len(), 2);
        let keys: Vec<&String> = both.price_sources().unwrap().keys().collect();
        assert_eq!(keys, ["fetched", "own"]);
    }

    #[test]
    fn one_kind_can_be_read_while_another_is_broken() {
        let catalog = catalog(&[("shop/digitec.toml", SHOP), ("psu/broken.toml", "name = ")]);
        assert!(catalog.all::<Shop>().is_ok());
        let error = catalog.all::<Psu>().unwrap_err().to_string();
        assert!(error.starts_with("psu/broken.toml:1:"), "{error}");
    }

    #[test]
    fn a_folder_whose_name_begins_alike_is_not_read_as_the_same_kind() {
        let catalog = catalog(&[("shop/digitec.toml", SHOP), ("shop-window/x.toml", "nonsense")]);
        assert_eq!(catalog.all::<Shop>().unwrap().len(), 1);
    }
}
