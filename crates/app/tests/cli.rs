//! The program as a user meets it: exit code, standard output and standard error together.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "writes overlays and requirements to try them")]

use assert_cmd::Command;
use tempfile::TempDir;

/// Runs the program and shows everything it says.
fn localrig(folder: &TempDir, args: &[&str]) -> String {
    let output = Command::cargo_bin("localrig")
        .unwrap()
        .args(args)
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("XDG_DATA_HOME", folder.path().join("data"))
        .env("TZ", "Europe/Zurich")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn run(args: &[&str]) -> String {
    localrig(&tempfile::tempdir().unwrap(), args)
}

macro_rules! shows {
    ($name:ident, $args:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(run(&$args));
        }
    };
}

// Answers.
shows!(
    estimate,
    ["estimate", "gpt-oss-120b", "--on", "RTX PRO 6000 Workstation", "--context", "131072"]
);
shows!(
    estimate_explained,
    ["estimate", "qwen3-8b", "--on", "RTX 3090", "--quant", "q4_k_m", "--explain"]
);
shows!(
    estimate_that_does_not_fit,
    ["estimate", "qwen3-32b", "--on", "RTX 5080", "--quant", "q8_0"]
);
shows!(
    estimate_that_needs_the_host,
    ["estimate", "gpt-oss-120b", "--on", "RTX 4090", "--context", "32768"]
);
shows!(
    estimate_of_experts_on_the_host,
    [
        "estimate",
        "gpt-oss-120b",
        "--on",
        "RTX 4090",
        "--context",
        "32768",
        "--n-cpu-moe",
        "27",
        "--host-memory",
        "64GB",
        "--host-bandwidth",
        "57",
        "--explain"
    ]
);
shows!(
    estimate_of_two_cards_and_a_host,
    [
        "estimate",
        "llama-3.3-70b",
        "--on",
        "2x RTX 3090",
        "--context",
        "16384",
        "--ngl",
        "70",
        "--tensor-split",
        "3,2",
        "--format",
        "markdown"
    ]
);
shows!(
    estimate_of_two_cards_explained,
    ["estimate", "qwen3-32b", "--on", "2x RTX 3090", "--quant", "q4_k_m", "--explain"]
);
shows!(
    estimate_of_a_host_that_is_too_small,
    [
        "estimate",
        "llama-3.3-70b",
        "--on",
        "RTX 3090",
        "--ngl",
        "40",
        "--host-memory",
        "16",
        "--format",
        "csv"
    ]
);
shows!(
    estimate_of_a_pool,
    [
        "estimate",
        "gpt-oss-20b",
        "--on",
        "RTX 5090",
        "--engine",
        "vllm",
        "--streams",
        "8",
        "--gpu-memory-utilization",
        "0.85",
        "--explain"
    ]
);
shows!(
    estimate_on_a_cpu,
    [
        "estimate",
        "qwen3-30b-a3b",
        "--on",
        "Ryzen 9 9950X",
        "--memory-kit",
        "CP2K48G56C46U5",
        "--context",
        "16384",
        "--streams",
        "2",
        "--explain"
    ]
);
shows!(
    estimate_on_a_cpu_whose_memory_was_tested,
    [
        "estimate",
        "llama-3.1-8b",
        "--on",
        "9950X",
        "--engine",
        "ollama",
        "--host-read-bandwidth",
        "65",
        "--host-memory",
        "4",
        "--format",
        "csv"
    ]
);
shows!(
    estimate_on_a_cpu_whose_memory_is_not_said,
    ["estimate", "llama-3.1-8b", "--on", "EPYC 9124", "--format", "markdown"]
);
shows!(fit_of_a_tier, ["fit", "--tier", "24gb", "--as-of", "2026-11-21"]);
shows!(need, ["need", "qwen3-32b", "--speed", "20", "--as-of", "2026-11-21"]);
shows!(plan_of_february, ["plan", "--as-of", "2026-02-17"]);
shows!(catalog_kinds, ["catalog", "list"]);
shows!(catalog_search, ["catalog", "list", "gpu", "--search", "pro 6000"]);
shows!(catalog_entry, ["catalog", "show", "RTX 5090"]);
shows!(catalog_check, ["catalog", "check"]);

// Questions that cannot be answered.
shows!(unknown_model, ["estimate", "gpt-oss-12b", "--on", "RTX 5090"]);
shows!(ambiguous_gpu, ["estimate", "gpt-oss-120b", "--on", "RTX PRO 6000"]);
shows!(open_memory_size, ["estimate", "qwen3-8b", "--on", "M4 Max"]);
shows!(unknown_format, ["estimate", "qwen3-8b", "--on", "RTX 5090", "--quant", "q9_9"]);
shows!(number_of_cards_said_twice, ["estimate", "qwen3-8b", "--on", "2x RTX 5090", "--count", "2"]);
shows!(negative_context, ["estimate", "qwen3-8b", "--on", "RTX 5090", "--context", "-5"]);
shows!(context_beyond_the_limit, ["estimate", "qwen3-8b", "--on", "RTX 5090", "--context", "1M"]);
shows!(
    engine_that_does_not_run_there,
    ["estimate", "qwen3-8b", "--on", "RTX 5090", "--engine", "mlx-lm", "--quant", "mlx-4bit"]
);
shows!(
    no_host_beside_unified_memory,
    ["estimate", "qwen3-8b", "--on", "Mac Studio M3 Ultra 96 GB", "--gpu-layers", "4"]
);
shows!(
    no_accelerator_beside_a_cpu_alone,
    ["estimate", "qwen3-8b", "--on", "Ryzen 9 9950X", "--gpu-layers", "0"]
);
shows!(
    cpu_backend_that_nobody_measured,
    ["estimate", "qwen3-8b", "--on", "9950X", "--engine", "vllm", "--quant", "awq-int4"]
);
shows!(
    engine_without_a_cpu_backend,
    ["estimate", "qwen3-8b", "--on", "9950X", "--engine", "mlx-lm", "--quant", "mlx-4bit"]
);
shows!(cpu_with_more_than_its_name, ["estimate", "qwen3-8b", "--on", "Ryzen 9 9950X 64 GB"]);
shows!(misspelt_cpu, ["estimate", "qwen3-8b", "--on", "Ryzen 9 9590X"]);
shows!(ambiguous_cpu, ["estimate", "qwen3-8b", "--on", "Threadripper PRO"]);
shows!(
    kit_for_another_platform,
    ["estimate", "qwen3-8b", "--on", "EPYC 9124", "--memory-kit", "CP2K48G56C46U5"]
);
shows!(
    kit_beside_a_card,
    ["estimate", "qwen3-8b", "--on", "RTX 3090", "--memory-kit", "CP2K48G56C46U5"]
);
shows!(cpu_where_accelerators_are_asked_for, ["fit", "Ryzen 9 9950X"]);
shows!(class_where_a_machine_is_asked_for, ["fit", "16 GB", "--as-of", "2026-11-21"]);
shows!(
    a_base_that_no_pc_has,
    ["estimate", "gpt-oss-20b", "--on", "2x GeForce RTX 5090 PC (AM5, x8)"]
);
shows!(price_of_an_observer, ["price", "show", "A100 PCIe 80", "--as-of", "2026-11-21"]);
shows!(
    build_by_its_name_in_a_plan,
    ["build", "2x GeForce RTX 5090 PC (AM5, x16+x4)", "--as-of", "2026-11-21", "--format", "csv"]
);
shows!(
    more_shares_than_cards,
    ["estimate", "qwen3-8b", "--on", "RTX 3090", "--tensor-split", "1,2"]
);
shows!(
    a_cache_type_the_engine_lacks,
    ["estimate", "qwen3-8b", "--on", "RTX 3090", "--engine", "ollama", "--kv-type", "q5_0"]
);
shows!(
    fit_with_nothing,
    ["fit", "RTX 3090", "--context", "32k", "--speed", "5000", "--as-of", "2026-11-21"]
);
shows!(plan_with_too_little_money, ["plan", "--budget", "100..200", "--as-of", "2026-11-21"]);
shows!(unknown_kind, ["catalog", "list", "gpus"]);
shows!(unknown_requirement, ["plan", "--require", "office"]);
shows!(missing_file, ["plan", "--require", "./office.toml"]);
shows!(wrong_budget, ["plan", "--budget", "9000..4000"]);
shows!(unknown_maker, ["plan", "--only", "nvidea"]);
shows!(no_command, []);

#[test]
fn json_holds_the_whole_estimate() {
    let args = [
        "estimate",
        "gpt-oss-120b",
        "--on",
        "RTX PRO 6000 Workstation",
        "--context",
        "131072",
        "--format",
        "json",
    ];
    let shown = run(&args);
    let text = shown.split("-----").nth(2).unwrap();
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let gib = |key: &str| json["memory"][key].as_f64().unwrap() / 1_073_741_824.0;
    // llama.cpp b6099 reports 59.02 GiB for this file, and 4.53 GiB of KV cache.
    assert!((gib("weights_bytes") / 59.0 - 1.0).abs() < 0.005, "{}", gib("weights_bytes"));
    assert!((gib("kv_cache_bytes") / 4.53 - 1.0).abs() < 0.01, "{}", gib("kv_cache_bytes"));
}

#[test]
fn every_format_of_the_plan_tells_the_same_machines() {
    let shown = |format: &str| run(&["plan", "--as-of", "2026-11-21", "--format", format]);
    let json: serde_json::Value =
        serde_json::from_str(shown("json").split("-----").nth(2).unwrap()).unwrap();
    let names: Vec<&str> = json["ranked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(names.len() > 10);
    let (csv, markdown) = (shown("csv"), shown("markdown"));
    for name in &names {
        assert!(csv.contains(name), "{name} is not in the CSV");
    }
    for name in &names[..10] {
        assert!(markdown.contains(name), "{name} is not in the Markdown");
    }
}

#[test]
fn a_misspelt_key_of_a_requirement_is_shown_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = localrig_world::requirement("home-office").unwrap();
    let text = text.replacen("context_tokens", "contxt_tokens", 1);
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    insta::assert_snapshot!(localrig(&folder, &["plan", "--require", "mine.toml"]));
}

#[test]
fn a_socket_that_the_region_lacks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = localrig_world::requirement("home-office").unwrap();
    let text = text.replacen("socket = \"T13\"", "socket = \"T99\"", 1);
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    insta::assert_snapshot!(localrig(&folder, &["plan", "--require", "mine.toml"]));
}

#[test]
fn a_requirement_that_contradicts_itself_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let text = localrig_world::requirement("home-office").unwrap();
    let text = text.replacen("range = [4000, 15000]", "range = [15000, 4000]", 1);
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    insta::assert_snapshot!(localrig(&folder, &["plan", "--require", "mine.toml"]));
}

#[test]
fn an_overlay_that_breaks_a_rule_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cards = folder.path().join("mine/gpu/nvidia");
    std::fs::create_dir_all(&cards).unwrap();
    let embedded = localrig_world::catalog(&[]).unwrap();
    let text = &embedded.file("gpu/nvidia/rtx-5090.toml").unwrap().text;
    let text = text.replacen("tdp_w = 575", "tdp_w = 57500", 1);
    std::fs::write(cards.join("rtx-5090.toml"), text).unwrap();
    insta::assert_snapshot!(localrig(
        &folder,
        &["catalog", "show", "RTX 5090", "--catalog", "mine"]
    ));
}

#[test]
fn an_overlay_adds_a_machine() {
    let folder = tempfile::tempdir().unwrap();
    let cards = folder.path().join("data/localrig/catalog/gpu/nvidia");
    std::fs::create_dir_all(&cards).unwrap();
    let embedded = localrig_world::catalog(&[]).unwrap();
    let text = &embedded.file("gpu/nvidia/rtx-5090.toml").unwrap().text;
    let text = text
        .replacen("GeForce RTX 5090", "GeForce RTX 5091", 1)
        .lines()
        .filter(|line| !line.starts_with("aliases"))
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(cards.join("rtx-5091.toml"), text).unwrap();
    let shown = localrig(&folder, &["catalog", "list", "gpu", "--search", "5091"]);
    assert!(shown.contains("gpu/nvidia/rtx-5091"), "{shown}");
}

#[test]
fn colour_goes_only_where_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let run = |force: bool| {
        let mut command = Command::cargo_bin("localrig").unwrap();
        command.args(["catalog", "list"]).env_clear().env("HOME", folder.path());
        if force {
            command.env("CLICOLOR_FORCE", "1");
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(!run(false).contains('\u{1b}'));
    assert!(run(true).contains('\u{1b}'));
}
