//! Platforms: what machines with the same kind of accelerator are called together.

use localrig_facts::generation::Generation;
use localrig_facts::gpu::Gpu;
use localrig_facts::system::System;
use localrig_facts::{Catalog, CatalogError, Id};

/// The platform a machine belongs to, as folders are called: of its chip's generation
/// (`apple-silicon`), else of its cards' maker (`nvidia-gpu`).
///
/// # Errors
/// When a catalog file is broken or not there.
pub fn folder(catalog: &Catalog, key: &str) -> Result<String, CatalogError> {
    let Some((_, gpu)) = accelerators(catalog, key)?.into_iter().next() else {
        return Ok("other".to_owned());
    };
    let generation = match &gpu.generation {
        Some(generation) => Some(catalog.get_in::<Generation>(generation)?.1),
        None => None,
    };
    Ok(generation
        .and_then(|one| one.platform.clone())
        .unwrap_or_else(|| format!("{}-gpu", gpu.vendor.to_lowercase().replace(' ', "-"))))
}

/// The accelerators of a machine by its key, each once: `2x gpu/nvidia/rtx-5090`,
/// `system/apple/mac-studio:256gb`, with ` + ` between unlike ones and the board in brackets.
///
/// # Errors
/// When a catalog file is broken.
pub fn accelerators<'a>(
    catalog: &'a Catalog,
    key: &str,
) -> Result<Vec<(&'a Id, &'a Gpu)>, CatalogError> {
    let gpus = catalog.all::<Gpu>()?;
    let systems = catalog.all::<System>()?;
    let mut found = Vec::new();
    for part in key.split(" + ") {
        // `2x ` before it.
        let counted = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let part = counted.strip_prefix("x ").filter(|_| counted != part).unwrap_or(part);
        let id = part.split([':', ' ']).next().unwrap_or(part);
        let chip = systems.get(id).map_or(id, |system| system.accelerator.as_str());
        found.extend(gpus.get_key_value(chip));
    }
    Ok(found)
}
