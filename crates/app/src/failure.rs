//! Why a command gave no answer: a message, what to do next, and the exit code.
//!
//! Every error of the libraries is mapped here and nowhere else.

use std::fmt;

use localrig_estimate::accuracy::AccuracyError;
use localrig_estimate::answer::EstimateError;
use localrig_estimate::architecture::LayoutError;
use localrig_estimate::from_file::FromFileError;
use localrig_estimate::import::ImportError;
use localrig_estimate::memory::MemoryError;
use localrig_estimate::memory_accuracy::RowsError;
use localrig_estimate::processor::KitError;
use localrig_estimate::recipe::RecipeError;
use localrig_estimate::setup::SetupError;
use localrig_facts::CatalogError;
use localrig_facts::catalog::ENTRY_FOLDERS;
use localrig_facts::document::DocumentError;
use localrig_facts::machine::MachineError;
use localrig_facts::resolve::ResolveError;
use localrig_plan::build::PartsError;
use localrig_plan::configuration::ConfigurationError;
use localrig_plan::drift::DriftError;
use localrig_plan::option::OptionError;
use localrig_plan::requirement::RequirementError;
use localrig_plan::scenario::ScenarioError;
use localrig_simulate::workload::WorkloadError;
use localrig_world::WorldError;
use localrig_world::config::ConfigError;
use localrig_world::model_file::ModelFileError;
use localrig_world::price::error::SourceError;
use localrig_world::price::fetch::FetchError;
use localrig_world::store::StoreError;

/// A bug in localrig.
pub(crate) const BUG: u8 = 1;
/// An unknown name, a value that makes no sense, a broken file.
pub(crate) const INPUT: u8 = 3;
/// A fact that the answer needs is in no catalog file.
pub(crate) const MISSING_FACT: u8 = 4;
/// A server could not be reached, or answered that it cannot help.
pub(crate) const UNREACHABLE: u8 = 7;
/// Nothing fits.
pub(crate) const NOTHING_FITS: u8 = 5;

/// What was checked does not hold any more: statements of a text, a written report.
pub(crate) const MISLEADING: u8 = 6;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    message: String,
    details: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure with its exit code.
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), hints: Vec::new() }
    }

    /// What is wrong, in one line.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Something that should not happen.
    pub(crate) fn bug(error: impl fmt::Display) -> Self {
        Self::new(BUG, format!("this is a bug in localrig: {error}"))
    }

    /// Lines that say more.
    pub(crate) fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// What to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bold = anstyle::Style::new().bold();
        let red = bold.fg_color(Some(anstyle::AnsiColor::Red.into()));
        writeln!(f, "{red}error{red:#}: {}", self.message)?;
        for detail in &self.details {
            writeln!(f, "  {detail}")?;
        }
        for hint in &self.hints {
            writeln!(f, "{bold}hint{bold:#}: {hint}")?;
        }
        Ok(())
    }
}

impl From<WorldError> for Failure {
    fn from(error: WorldError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let failure = Self::new(INPUT, error.to_string());
        failure.details(cause.into_iter().collect())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Self::new(INPUT, error.to_string()).details(cause.into_iter().collect())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Store(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Catalog(error) => error.into(),
            FetchError::Store(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Read(error) => error.into(),
            ConfigError::Document(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<ConfigurationError> for Failure {
    fn from(error: ConfigurationError) -> Self {
        match error {
            ConfigurationError::Catalog(error)
            | ConfigurationError::Parts(PartsError::Catalog(error)) => error.into(),
            ConfigurationError::Parts(error) => Self::new(INPUT, error.to_string()).hint(
                "`localrig catalog list cpu|board|memory|storage|psu|case|cooler` lists parts",
            ),
            ConfigurationError::NoSuchBase { ref others, .. } => {
                let others =
                    others.iter().map(|key| format!("`localrig build \"{key}\"`")).collect();
                Self::new(INPUT, error.to_string()).details(others).hint(
                    "it is built as listed, or with parts of your own from a file by `--lock`",
                )
            }
            other => Self::new(INPUT, other.to_string())
                .hint("name cards (\"2x RTX 5090\") or a system (\"Mac Studio M3 Ultra 256 GB\")"),
        }
    }
}

impl From<DriftError> for Failure {
    fn from(error: DriftError) -> Self {
        match error {
            DriftError::Catalog(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        let failure = Self::new(INPUT, error.to_string());
        match error.nearest {
            Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
            None => failure,
        }
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let failure = Self::new(INPUT, error.to_string());
        match error {
            ResolveError::Ambiguous { candidates, .. } => {
                failure.details(candidates).hint("use one of these ids, or more words of the name")
            }
            ResolveError::Unknown { close, what, .. } if close.is_empty() => {
                failure.hint(if ENTRY_FOLDERS.contains(&what) {
                    format!("`localrig catalog list {what}` shows what there is")
                } else {
                    format!("`localrig catalog list` shows what there is; is it a {what}?")
                })
            }
            ResolveError::Unknown { close, .. } => failure.hint(format!(
                "did you mean {}?",
                close.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" or ")
            )),
            _ => failure,
        }
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Document(error) => error.into(),
            CatalogError::Resolve(error) => error.into(),
            other => Self::new(INPUT, other.to_string())
                .hint("`localrig catalog list` shows what there is"),
        }
    }
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        let message = error.to_string();
        match error {
            MachineError::Catalog(error) => error.into(),
            MachineError::WhichMemory { choices, .. }
            | MachineError::Base { choices, .. }
            | MachineError::NoSuchMemory { choices, .. } => {
                Self::new(INPUT, message).details(choices).hint("write one of these")
            }
            MachineError::NoMemory { .. } => Self::missing(message),
            MachineError::NoAccelerator { name } => Self::new(INPUT, message).hint(format!(
                "name a card or a system here; `localrig estimate MODEL --on \"{name}\"` says what the CPU does alone"
            )),
            MachineError::CpuByItself { name, .. } => Self::new(INPUT, message).hint(format!(
                "write `--on \"{name}\"` and say its memory with `--memory-kit` or `--host-memory`; the CPU beside a \
                 card is said with `--host-cores` and `--host-bandwidth`"
            )),
            _ => Self::new(INPUT, message),
        }
    }
}

impl Failure {
    /// A fact that is in no catalog file.
    pub(crate) fn missing(message: String) -> Self {
        Self::new(MISSING_FACT, message)
            .hint("add it with its source to a file in an overlay: `--catalog DIR`")
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Catalog(error) => error.into(),
            other => Self::missing(other.to_string()),
        }
    }
}

impl From<RecipeError> for Failure {
    fn from(error: RecipeError) -> Self {
        match error {
            RecipeError::Catalog(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<EstimateError> for Failure {
    fn from(error: EstimateError) -> Self {
        let message = error.to_string();
        match error {
            EstimateError::Catalog(error) | EstimateError::Setup(SetupError::Catalog(error)) => {
                error.into()
            }
            EstimateError::Layout(error) => error.into(),
            EstimateError::Recipe(error) => error.into(),
            EstimateError::Memory(MemoryError::NoAccelerator { .. }) => Self::new(INPUT, message).hint(
                "leave away `--gpu-layers`, `--n-cpu-moe`, `--cpu-moe`, `--split-mode`, `--tensor-split` and \
                 `--gpu-memory-utilization`",
            ),
            EstimateError::Memory(MemoryError::OneMemory { .. }) => {
                Self::new(INPUT, message).hint("leave the flags of offload and splits away")
            }
            EstimateError::Memory(MemoryError::TooManyStreams { .. }) => {
                Self::new(INPUT, message).hint("ask for fewer streams, or take another `--engine`")
            }
            EstimateError::Memory(MemoryError::NoShare { .. }) => Self::new(INPUT, message)
                .hint("`--gpu-memory-utilization` and `--max-num-batched-tokens` are settings of `--engine vllm`"),
            EstimateError::Memory(MemoryError::NotSpread { .. }) => Self::new(INPUT, message)
                .hint("`--engine llama.cpp` keeps layers on the host; leave the flags away for others"),
            EstimateError::Memory(MemoryError::NoExperts { .. }) => {
                Self::new(INPUT, message).hint("use `--gpu-layers` for models without experts")
            }
            EstimateError::Memory(MemoryError::Shares { devices, .. }) => Self::new(INPUT, message)
                .hint(match devices {
                    1 => "leave `--tensor-split` away: there is one device".to_owned(),
                    _ => format!("give `--tensor-split` {devices} numbers with commas between them"),
                }),
            EstimateError::Memory(_) | EstimateError::Setup(SetupError::NoStacks { .. }) => {
                Self::missing(message)
            }
            EstimateError::KvType { .. } => {
                Self::new(INPUT, message).hint("choose another `--kv-type` or `--engine`")
            }
            EstimateError::ContextTooLong { limit, .. } => {
                Self::new(INPUT, message).hint(format!("use `--context {limit}` or less"))
            }
            EstimateError::Setup(SetupError::NotRead { .. }) => Self::new(INPUT, message)
                .hint("choose another `--quant` or `--engine`; `localrig catalog list format` lists formats"),
            EstimateError::Setup(
                SetupError::NoCpuBackend { .. } | SetupError::NotMeasuredOnCpu { .. },
            ) => Self::new(INPUT, message).hint("`--engine llama.cpp` and `--engine ollama` can be estimated there"),
            EstimateError::Setup(SetupError::NoStack { .. }) => {
                Self::new(INPUT, message).hint("choose another `--engine`")
            }
            _ => Self::new(INPUT, message),
        }
    }
}

impl From<KitError> for Failure {
    fn from(error: KitError) -> Self {
        let message = error.to_string();
        match error {
            KitError::NoSpeed { .. } => Self::missing(message),
            _ => Self::new(INPUT, message).hint("`localrig catalog list memory` lists kits"),
        }
    }
}

impl From<RequirementError> for Failure {
    fn from(error: RequirementError) -> Self {
        match error {
            RequirementError::Document(error) => error.into(),
            RequirementError::Catalog(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<OptionError> for Failure {
    fn from(error: OptionError) -> Self {
        let message = error.to_string();
        match error {
            OptionError::Catalog(error) => error.into(),
            OptionError::Layout(error) => error.into(),
            OptionError::NoModel { .. } => Self::new(NOTHING_FITS, message)
                .hint("a shorter context, other sizes or formats, or a later day may help"),
            OptionError::NoScore { .. } => Self::new(INPUT, error.to_string())
                .hint("`localrig fit --all` lists the models that have an index; name one of them under `at_least_as_good_as`"),
            OptionError::ContextTooLong { limit, .. } => {
                Self::new(INPUT, message).hint(format!("use {limit} tokens of context or less"))
            }
            _ => Self::new(INPUT, message),
        }
    }
}

impl From<ModelFileError> for Failure {
    fn from(error: ModelFileError) -> Self {
        let code = if error.is_unreachable() { UNREACHABLE } else { INPUT };
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Self::new(code, error.to_string()).details(cause.into_iter().collect())
    }
}

impl From<FromFileError> for Failure {
    fn from(error: FromFileError) -> Self {
        match error {
            FromFileError::Catalog(error) => error.into(),
            FromFileError::Layout(error) => error.into(),
            missing @ FromFileError::MissingDimension { .. } => {
                Self::new(INPUT, missing.to_string())
                    .hint("`localrig model inspect` shows what the header says")
                    .hint(
                        "a GGUF file of the same model says more; or describe the model in a \
                         folder of your own (`model/NAME.toml`, given by `--catalog FOLDER`), as \
                         `localrig catalog add` does for files it understands",
                    )
            }
            other => Self::new(INPUT, other.to_string())
                .hint("`localrig model inspect` shows what the header says"),
        }
    }
}

impl From<RowsError> for Failure {
    fn from(error: RowsError) -> Self {
        Self::new(INPUT, error.to_string())
    }
}

impl From<AccuracyError> for Failure {
    fn from(error: AccuracyError) -> Self {
        match error {
            AccuracyError::Rows(error) => error.into(),
            AccuracyError::Catalog(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        Self::new(INPUT, error.to_string()).hint(
            "what a report does not say can be given: `--on`, `--engine`, `--model`, `--quant`",
        )
    }
}

impl From<WorkloadError> for Failure {
    fn from(error: WorkloadError) -> Self {
        match error {
            WorkloadError::Document(error) => error.into(),
            other => Self::new(INPUT, other.to_string()),
        }
    }
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        let message = error.to_string();
        match error {
            ScenarioError::Catalog(error) => error.into(),
            ScenarioError::Layout(error) => error.into(),
            ScenarioError::Recipe(error) => error.into(),
            ScenarioError::Setup(error) => EstimateError::Setup(error).into(),
            ScenarioError::Memory(_)
            | ScenarioError::Speed(_)
            | ScenarioError::NoSchedule { .. } => Self::missing(message),
            ScenarioError::NoRole { known, .. } => {
                Self::new(INPUT, message).hint(format!("its roles: {}", known.join(", ")))
            }
            ScenarioError::NoPlace { role } => {
                Self::new(INPUT, message).hint(format!("add `{role}=MODEL` to `--place`"))
            }
            ScenarioError::NoFormat { .. } => Self::new(INPUT, message)
                .hint("name one: ROLE=MODEL:FORMAT; `localrig catalog list format` lists them"),
            ScenarioError::NotCut { .. } => Self::new(INPUT, message)
                .hint("spread the layers, `0+1`, or put a copy on each, `0/1`"),
            ScenarioError::TooSmall { .. } => Self::new(NOTHING_FITS, message)
                .hint("take smaller models or formats, a shorter context, or other devices"),
            _ => Self::new(INPUT, message),
        }
    }
}
