//! What the repository promises about itself: sound facts, current schemas, pure crates.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "reads the repository and runs cargo")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use localrig_plan::requirement::Requirement;
use schemars::generate::SchemaSettings;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn the_catalog_obeys_its_rules() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let findings: Vec<String> =
        localrig_facts::lint::lint(&catalog).iter().map(ToString::to_string).collect();
    assert_eq!(findings, Vec::<String>::new());
    assert!(catalog.files().count() > 500, "the catalog is inside the program");
}

/// `UPDATE_SCHEMAS=1 cargo nextest run -p localrig schemas` writes them.
#[test]
fn schemas_are_what_the_types_say() {
    let mut schemas = localrig_facts::schema::schemas();
    let settings = SchemaSettings::draft2020_12();
    let requirement = settings.into_generator().into_root_schema_for::<Requirement>();
    schemas.push(("requirement.schema.json".to_owned(), requirement));
    let folder = root().join("schemas");
    let mut outdated = Vec::new();
    for (name, schema) in &schemas {
        let path = folder.join(name);
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            outdated.push(name.clone());
        }
    }
    assert_eq!(outdated, Vec::<String>::new(), "run again with UPDATE_SCHEMAS=1");
    let known: BTreeSet<String> = schemas.into_iter().map(|(name, _)| name).collect();
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, known, "a schema without a type");
}

/// Crates that must not touch files, network, environment, processes or the clock.
const PURE: [&str; 5] = [
    "localrig-facts",
    "localrig-estimate",
    "localrig-simulate",
    "localrig-plan",
    "localrig-report",
];

#[test]
fn pure_crates_depend_on_nothing_that_does_input_or_output() {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap();
    let resolve = metadata.resolve.as_ref().unwrap();
    // What each crate may use besides the other pure crates: formats, numbers, text, threads.
    let allowed: BTreeSet<&str> = [
        "comfy-table",
        "csv",
        "jiff",
        "libm",
        "rand",
        "rayon",
        "regex",
        "schemars",
        "serde",
        "serde_json",
        "similar",
        "strsim",
        "thiserror",
        "toml",
    ]
    .into_iter()
    .chain(PURE)
    .collect();
    for name in PURE {
        let package =
            metadata.workspace_packages().into_iter().find(|one| one.name == name).unwrap();
        let node = resolve.nodes.iter().find(|node| node.id == package.id).unwrap();
        for dependency in &node.deps {
            let normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == cargo_metadata::DependencyKind::Normal);
            let used = &metadata[&dependency.pkg].name;
            assert!(!normal || allowed.contains(used.as_str()), "{name} depends on {used}");
        }
    }
}

#[test]
fn pure_crates_make_no_exception_from_the_purity_lints() {
    for name in PURE {
        let folder = root().join("crates").join(name.trim_start_matches("localrig-")).join("src");
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let own = text.split("#[cfg(test)]").next().unwrap();
                    for lint in ["disallowed_methods", "disallowed_types"] {
                        assert!(!own.contains(lint), "{} switches {lint} off", path.display());
                    }
                }
            }
        }
    }
}
