//! From the engine a row names to a catalog entry and the stack it ran on.

use localrig_facts::engine::{Engine, Planned, first_planned, planned};
use localrig_facts::gpu::{Gpu, Stack};
use localrig_facts::{Catalog, CatalogError, Id};

/// An engine as far as a row's words tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedEngine<'a> {
    /// Its id.
    pub id: &'a Id,
    /// The engine.
    pub engine: &'a Engine,
    /// Accelerator stack.
    pub stack: Stack,
    /// What was taken for granted.
    pub remark: Option<String>,
}

/// The engine of a name, with the spelling of the source as a second chance.
///
/// # Errors
/// When neither leads to an engine and no engine is known for the stack.
pub fn engine_of<'a>(
    catalog: &'a Catalog,
    name: &str,
    raw: &str,
    backend: &str,
    gpu: &Gpu,
) -> Result<NamedEngine<'a>, CatalogError> {
    let engines = catalog.all::<Engine>()?;
    let squeeze = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let exact = |text: &str| {
        let wanted = squeeze(text);
        let alike = |(id, engine): &(&Id, &Engine)| {
            squeeze(id.short()) == wanted
                || squeeze(&engine.name) == wanted
                || engine.aliases.iter().any(|alias| squeeze(alias) == wanted)
        };
        engines.iter().find(alike)
    };
    // `llama.cpp CUDA (mainline log)`: the longest run of first words that is a name.
    let leading = |text: &'_ str| {
        let words: Vec<&str> = text.split([' ', '(', ',', '+']).filter(|w| !w.is_empty()).collect();
        (1..=words.len()).rev().find_map(|count| exact(&words[..count].join(" ")))
    };
    // The source's own spelling says more than a family name such as `mlx`.
    let found = match exact(name) {
        Some(found) if found.0.short() == name => Some(found),
        family => leading(raw).or(family).or_else(|| leading(name)),
    };
    let wanted = stack_of(backend);
    if let Some((id, engine)) = found {
        let stack = engine_stack(engine, wanted, gpu);
        return Ok(NamedEngine { id, engine, stack, remark: None });
    }
    let stack = wanted.or_else(|| gpu.stacks.first().copied()).unwrap_or(Stack::Cuda);
    let runs_there = |one: &Planned<'_>| one.engine.stacks.contains(&stack);
    let usual = planned(catalog)?.into_iter().find(runs_there);
    let Planned { id, engine, .. } = usual.map_or_else(|| first_planned(catalog), Ok)?;
    let remark = format!("engine `{name}` is not in the catalog: taken as {}", engine.name);
    Ok(NamedEngine {
        id,
        engine,
        stack: engine_stack(engine, Some(stack), gpu),
        remark: Some(remark),
    })
}

/// The stack that a word means.
pub fn stack_of(word: &str) -> Option<Stack> {
    Some(match word.trim().to_lowercase().as_str() {
        "cuda" | "nvidia" | "cublas" => Stack::Cuda,
        "rocm" | "hip" => Stack::Rocm,
        "vulkan" => Stack::Vulkan,
        "metal" | "mtl" => Stack::Metal,
        "mlx" => Stack::Mlx,
        "sycl" => Stack::Sycl,
        "xpu" | "ipex" => Stack::Xpu,
        "openvino" => Stack::Openvino,
        _ => return None,
    })
}

/// The stack as this engine calls it: MLX engines run on `metal` too, vLLM calls SYCL `xpu`.
fn engine_stack(engine: &Engine, wanted: Option<Stack>, gpu: &Gpu) -> Stack {
    let has = |stack: Stack| engine.stacks.contains(&stack);
    match wanted {
        Some(Stack::Metal | Stack::Mlx) if has(Stack::Mlx) && !has(Stack::Metal) => Stack::Mlx,
        Some(Stack::Sycl) if has(Stack::Xpu) && !has(Stack::Sycl) => Stack::Xpu,
        Some(stack) => stack,
        None => gpu
            .stacks
            .iter()
            .copied()
            .find(|stack| has(*stack))
            .or(gpu.stacks.first().copied())
            .unwrap_or(Stack::Cuda),
    }
}
