//! The audit on texts in many phrasings: no false alarm on what holds, nothing missed of what does
//! not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use localrig_facts::Catalog;
use localrig_facts::claim::{Document, Verdict};
use localrig_facts::region::Region;
use localrig_plan::audit::{Finding, text};
use localrig_plan::price::Market;

fn findings(catalog: &Catalog, document: &str) -> Vec<Finding> {
    let (_, region) = catalog.get_in::<Region>("ch").unwrap();
    let date = "2026-02-17".parse().unwrap();
    let market = Market { catalog, region_id: "ch", region, date };
    text(&market, "x.md", document).unwrap().findings
}

fn told(one: &Finding) -> String {
    format!("{} {}: {} ({})", one.line, one.verdict.word(), one.said, one.holds)
}

#[test]
fn what_holds_raises_no_alarm_in_any_phrasing_and_is_recognised() {
    let document = include_str!("audit/right.md");
    let found = findings(&localrig_world::catalog(&[]).unwrap(), document);
    let alarms: Vec<String> =
        found.iter().filter(|one| one.verdict != Verdict::Right).map(told).collect();
    assert_eq!(alarms, [""; 0]);
    let lines: BTreeSet<usize> = found.iter().map(|one| one.line).collect();
    // All but the headings, the rows above figures, and what is said of nothing in particular.
    let silent: Vec<&str> = document
        .lines()
        .zip(1..)
        .filter(|(line, number)| {
            line.contains(|c: char| c.is_ascii_digit())
                && !line.starts_with('#')
                && !line.starts_with("|  ")
                && !lines.contains(number)
        })
        .map(|(line, _)| line)
        .collect();
    insta::assert_snapshot!(silent.join("\n"), @r#"
    KV-Cache bei 128K mit Qwen3-Coder-30B-A3B: siehe oben.
    On an RTX 5090 a 70B model needs 43 GB VRAM. With an RTX 5090 the system draws 850 W at the wall.
    Does the RTX 5090 have NVLink?
    A PSU of 1,600 W feeds two RTX 5090.
    At a context of 32K gpt-oss-120b answers well, and 8 users share one RTX PRO 6000.
    "#);
}

#[test]
fn what_does_not_hold_is_found_in_every_phrasing() {
    let document = include_str!("audit/wrong.md");
    let found = findings(&localrig_world::catalog(&[]).unwrap(), document);
    let misleading: BTreeSet<usize> =
        found.iter().filter(|one| one.verdict.misleads()).map(|one| one.line).collect();
    let mut first = 0;
    for (line, number) in document.lines().zip(1..) {
        if line.is_empty() {
            first = number + 1;
            continue;
        }
        // A sentence may run over several lines; the figure stands on one of them.
        let hit = (first..number + 2).any(|line| misleading.contains(&line));
        assert!(hit || line.starts_with('#'), "{number}: {line}");
    }
}

#[test]
fn sentences_of_blog_posts_are_judged_as_far_as_they_can_be_attributed() {
    let found = findings(&localrig_world::catalog(&[]).unwrap(), include_str!("audit/blog.md"));
    let told: Vec<String> = found
        .iter()
        .map(|one| format!("{} {}: {}", one.line, one.verdict.word(), one.said))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    3 right: RTX 5090: bandwidth 1,790 GB/s
    3 right: RTX 5090: memory 32 GB
    5 right: RTX PRO 6000 Blackwell Workstation: bandwidth 1,800 GB/s
    5 right: RTX PRO 6000 Blackwell Workstation: memory 96 GB
    7 right: 3090: bandwidth 936 GB/s
    7 right: 3090: memory 24 GB
    9 wrong: RTX 4090: power 250 W
    11 right: DGX Spark: bandwidth 273 GB/s
    13 right: M3 Ultra: bandwidth 819 GB/s
    15 wrong: M4 Max: bandwidth 1,092 GB/s
    17 wrong: RTX PRO 6000 Blackwell Workstation has NVLink
    19 right: 4090 has no NVLink
    21 right: H100 PCIe has no fan of its own
    23 wrong: RTX 5090 has no fan of its own
    25 right: B200 is not sold singly
    27 right: gpt-oss-120b is a mixture of experts
    27 right: gpt-oss-120b: active parameters 5.1 B
    27 right: gpt-oss-120b: parameters 117 B
    29 wrong: gpt-oss-120b is dense
    31 wrong: Qwen3-32B is a mixture of experts
    33 wrong: gpt-oss-20b: context 262,144 tokens
    35 right: Qwen3-Coder-30B-A3B: context 262,000 tokens
    37 right: gpt-oss-120b: q4_k_m 63 GB
    39 right: gpt-oss-120b: q4_k_m 63 GB
    41 wrong: a dense 70B: q4_k_m 28 GB
    43 imprecise: a dense 72B: q4_k_m 36 GB
    43 right: a dense 32B: q4_k_m 20 GB
    45 right: Llama 3.3 70B: KV cache of 131,072 tokens 42.9 GB
    47 right: Llama 3.3 70B: KV cache of 131,072 tokens 42.9 GB
    47 right: Llama 3.3 70B: KV cache of 32,768 tokens 10.7 GB
    47 right: Llama 3.3 70B: KV cache of 8,192 tokens 2.7 GB
    49 right: gpt-oss-20b on RTX 5090: speed 280 tok/s
    51 right: gpt-oss-120b on DGX Spark: speed 50 tok/s
    53 right: RTX 5090: price 2,224 CHF
    55 right: RTX PRO 6000 Workstation: bandwidth 1,790 GB/s
    55 right: RTX PRO 6000 Workstation: memory 96 GB
    57 wrong: RTX 4090 has NVLink
    59 right: DGX Spark: bandwidth 273 GB/s
    59 right: DGX Spark: memory 128 GB
    61 right: gpt-oss-120b: active parameters 5.1 B
    61 right: gpt-oss-120b: parameters 117 B
    63 wrong: Qwen3-32B on RTX 5090: speed 250 tok/s
    65 outdated: RTX 5090: price 1,499 CHF
    69 right: RTX 5090 has a fan of its own
    69 right: RTX 5090: bandwidth 1,790 GB/s
    69 right: RTX 5090: memory 32 GB
    69 right: RTX 5090: power 575 W
    70 right: H100 PCIe has no fan of its own
    70 right: H100 PCIe: bandwidth 2,000 GB/s
    70 right: H100 PCIe: memory 80 GB
    70 right: H100 PCIe: power 350 W
    71 wrong: RTX 4090 has no fan of its own
    71 wrong: RTX 4090: power 600 W
    71 right: RTX 4090: bandwidth 1,010 GB/s
    71 right: RTX 4090: memory 24 GB
    75 right: gpt-oss-120b: active parameters 5.1 B
    75 right: gpt-oss-120b: context 131,072 tokens
    75 right: gpt-oss-120b: parameters 117 B
    75 right: gpt-oss-120b: q4_k_m 63 GB
    76 imprecise: Q4 takes half a gigabyte per billion parameters: 70B is about 35 GB
    76 right: Llama 3.3 70B: active parameters 70 B
    76 right: Llama 3.3 70B: context 131,072 tokens
    76 right: Llama 3.3 70B: parameters 70 B
    80 right: gpt-oss-20b on RTX 5090: speed 280 tok/s
    81 wrong: Qwen3-32B on RTX 5090: speed 250 tok/s
    83 right: RTX 4090 has no NVLink
    85 right: A100 PCIe is sold singly
    85 right: TPU v5e is not sold singly
    89 right: a dense 32B: q4_k_m 20 GB
    89 right: a dense 8B: q4_k_m 5 GB
    91 right: Qwen3-32B is dense
    91 right: Qwen3-32B: KV cache of 32,768 tokens 8.6 GB
    93 right: DGX Spark: bandwidth 273 GB/s
    97 imprecise: A 70B in Q4 with 200K of INT8 KV cache takes 67 to 68 GB
    99 imprecise: RTX PRO 6000 Blackwell: power 600 W
    99 right: RTX PRO 6000 Blackwell: memory 96 GB
    103 right: RTX A6000 has NVLink
    103 right: RTX A6000: memory 48 GB
    105 right: RTX 5090 has no NVLink
    105 right: RTX PRO 6000 Workstation has no NVLink
    107 right: a dense 32B: q4_k_m 20 GB
    107 right: a dense 70B: q4_k_m 43 GB
    109 right: Strix Halo: bandwidth 256 GB/s
    109 right: Strix Halo: memory 128 GB
    111 right: Mac Studio M3 Ultra: bandwidth 819 GB/s
    111 right: Mac Studio M3 Ultra: memory 512 GB
    113 right: GLM-4.5-Air is a mixture of experts
    113 right: GLM-4.5-Air: active parameters 12 B
    113 right: GLM-4.5-Air: parameters 106 B
    115 right: DeepSeek-V3.1: active parameters 37 B
    115 right: DeepSeek-V3.1: q4_k_m 400 GB
    117 imprecise: Llama 3.1 8B: KV cache of 131,072 tokens 16 GB
    121 unverified: RX 7900 XTX: price 899 CHF
    121 right: RX 7900 XTX: bandwidth 960 GB/s
    121 right: RX 7900 XTX: memory 24 GB
    123 right: Gemma-3-27b is dense
    125 unverified: H100 SXM is not sold singly
    127 right: Qwen3-32B: q4_k_m 20 GB
    131 right: RTX 4090: bandwidth 1,000 GB/s
    131 right: RTX 5090: bandwidth 1,790 GB/s
    132 right: RTX 4090: power 450 W
    132 right: RTX 5090: power 575 W
    134 wrong: RTX 4090 has NVLink
    134 right: RTX 5090 has no NVLink
    140 right: gpt-oss-20b on RTX 5090: speed 280 tok/s
    146 imprecise: NVLink moves about 112.5 GB/s between RTX PRO 6000, A6000 or 3090
    146 right: RTX 3090 has NVLink
    ");
}

#[test]
fn no_claim_recorded_as_right_raises_an_alarm_when_it_is_read() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut read = 0;
    for document in catalog.all::<Document>().unwrap().values() {
        for claim in document.claims.iter().filter(|claim| claim.verdict == Verdict::Right) {
            let found = findings(&catalog, &claim.claim);
            let alarms: Vec<String> =
                found.iter().filter(|one| one.verdict.misleads()).map(told).collect();
            assert_eq!(alarms, [""; 0], "{} {}: {}", document.number, claim.key, claim.claim);
            read += found.len();
        }
    }
    assert!(read > 15, "{read}");
}

#[test]
fn claims_with_figures_that_do_not_hold_are_found_in_other_words() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let mut missed = Vec::new();
    for document in catalog.all::<Document>().unwrap().values() {
        let misleading = document.claims.iter().filter(|claim| claim.verdict.misleads());
        for claim in misleading {
            if !findings(&catalog, &claim.claim).iter().any(|one| one.verdict.misleads()) {
                missed.push(format!("{} {}: {}", document.number, claim.key, claim.claim));
            }
        }
    }
    insta::assert_snapshot!(missed.join("\n"), @"
    000 prices-of-february: The market of February 2026 is the market to buy from
    001 datacenter-singly: Datacenter accelerators are not sold one by one
    001 mlx-only: Outside CUDA only MLX is ready for production
    002 no-coder-72b: Qwen2.5-Coder comes as a 72B, 128K long and 1M with YaRN
    002 glm-kind: GLM-4.7 and GLM-5: 200K, dense or mixture of experts
    002 glm-5-local: GLM-5 is a local option for 200K once deployment is checked
    002 kv-total-70b: A 70B in Q4 with 200K of INT8 KV cache takes 67 to 68 GB
    002 apple-available: Macs with 256 to 512 GB can be bought
    002 kv-quantization: INT8 or FP8 KV cache loses next to nothing on every model
    002 apple-all-usable: All of a Mac's 256 GB serve the model
    002 throughput-logic: Total throughput grows with the streams while each stream slows in proportion
    002 prices-of-february: Prices of February 2026: RTX PRO 6000 CHF 6,400–7,700, RTX 5090 from 2,100, used RTX 3090 550–650
    002 supply-rule: 1.5 times the system's power: 850 to 1,000 W for one card, 1,600 W for two
    002 gigabytes: Memory of cards and size of files are both called GB
    004 no-coder-72b: Qwen2.5-Coder comes as a 72B
    004 three-models-96gb: Three models of 88 GB leave 8 GB for KV cache on 96 GB
    004 prices-of-february: Totals of February 2026
    ");
}
