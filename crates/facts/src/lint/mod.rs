//! Checks on the whole catalog that types alone cannot make.
//!
//! Each check is a small function that adds [`Finding`]s. A catalog is sound when there are none;
//! the embedded one is held to that by a test, a user's overlay by `localrig catalog check` and by
//! every command that reads it.

mod claim;
mod name;
mod price;
mod range;
mod reference;
mod source;

use crate::catalog::{Catalog, ENTRY_FOLDERS, Entry, File, for_each_entry};
use crate::claim::Document;
use crate::document::from_toml;
use crate::engine::Engine;
use crate::format::{Format, TensorType};
use crate::generation::Generation;
use crate::gpu::Gpu;
use crate::model::{Architecture, Model};
use crate::part::{Cable, Case, Cooler, Cpu, Memory, Motherboard, Prebuilt, Psu, Storage, Switch};
use crate::region::Region;
use crate::shop::Shop;
use crate::survey::Platform;
use crate::system::{Cluster, System};
use crate::tier::Tier;

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// Path of the file, or id of the entry.
    pub path: String,
    /// Key path or CSV line it is about.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// The file it is about.
    pub fn file<'c>(&self, catalog: &'c Catalog) -> Option<&'c File> {
        catalog.file(&self.path).or_else(|| catalog.file(&format!("{}.toml", self.path)))
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.path, self.place, self.message)
    }
}

/// The findings so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: &str, place: impl Into<String>, message: impl Into<String>) {
        let (place, message) = (place.into(), message.into());
        self.0.push(Finding { path: path.to_owned(), place, message });
    }
}

/// Every finding, sorted by file.
pub fn lint(catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Findings::default();
    unknown_files(catalog, &mut findings);
    for_each_entry!(shape((catalog, &mut findings)));
    name::duplicates(catalog, &mut findings);
    reference::dangling(catalog, &mut findings);
    reference::platforms(catalog, &mut findings);
    range::implausible(catalog, &mut findings);
    price::rows(catalog, &mut findings);
    price::rents(catalog, &mut findings);
    price::scores(catalog, &mut findings);
    claim::claims(catalog, &mut findings);
    let mut findings = findings.0;
    findings.sort();
    findings.dedup();
    findings
}

/// CSV and TOML files outside the folders of entries.
const SINGLE_FILES: &[&str] = &[
    "calibration/class.toml",
    "calibration/fitted.toml",
    "calibration/interval.toml",
    "calibration/machine.toml",
    "calibration/own.toml",
    "calibration/prior.toml",
    "price/api.csv",
    "price/cloud.csv",
    "price/ownership.toml",
    "price/rate.csv",
    "price/source.toml",
    "price/total.csv",
    "price/unusable.csv",
    "quality/format_loss.csv",
    "quality/score.csv",
    "quality/task.toml",
];

/// Files that no part of the program reads would be silently useless.
fn unknown_files(catalog: &Catalog, findings: &mut Findings) {
    for (path, file) in catalog.files() {
        let folder = path.split('/').next().unwrap_or_default();
        let known = SINGLE_FILES.contains(&path)
            || match path.rsplit_once('.').map(|(_, extension)| extension) {
                Some("toml") => ENTRY_FOLDERS.contains(&folder),
                Some("csv") => folder == "measured" || price::is_price_file(path),
                Some("md") => true,
                _ => false,
            };
        if !known {
            let folders = ENTRY_FOLDERS.join(", ");
            findings.add(
                &file.path,
                "path",
                format!(
                    "no kind of file belongs here; entries go to {folders}; prices to \
                     price/<region>/<year-month>.csv"
                ),
            );
        }
    }
}

/// Shape, sources and links of every file of a kind.
fn shape<T: Entry>((catalog, findings): (&Catalog, &mut Findings)) {
    for (id, file) in catalog.toml_files(T::FOLDER) {
        let entry: T = match from_toml(&file.path, &file.text) {
            Ok(entry) => entry,
            Err(error) => {
                let place =
                    error.line.map_or_else(|| "file".to_owned(), |line| format!("line {line}"));
                let hint = error.nearest.map(|name| format!("; did you mean `{name}`?"));
                let hint = hint.unwrap_or_default();
                findings.add(&file.path, place, format!("{}{hint}", error.message));
                continue;
            }
        };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-+".contains(c);
        if !id.as_str().chars().all(allowed) {
            findings.add(&file.path, "path", "ids are lower-case ASCII letters, digits and ._-+");
        }
        let Ok(raw) = file.text.parse::<toml::Table>() else {
            continue;
        };
        source::vouching(&file.path, entry.sources(), &raw, findings);
        source::notes(&file.path, entry.sources(), entry.notes(), findings);
        source::tracking_links(&file.path, &raw, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::borrow::Cow;

    fn findings(files: &[(&str, &str)]) -> String {
        let catalog = Catalog::from_files(files.iter().map(|(path, text)| {
            let path = (*path).to_owned();
            (path.clone(), File { text: Cow::Owned((*text).to_owned()), path })
        }));
        lint(&catalog).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    const SOURCE: &str = "[sources.sheet]\nkind = \"vendor\"\nurl = \"https://example.org/4090\"\naccessed = \"2026-11-20\"\n";

    fn gpu(body: &str, covers: &str) -> String {
        format!(
            "name = \"RTX 4090\"\nvendor = \"NVIDIA\"\nkind = \"card\"\nstatus = [\"used\"]\n{body}{SOURCE}covers = {covers}\n"
        )
    }

    #[test]
    fn a_sound_file_has_no_findings() {
        assert_eq!(findings(&[("gpu/nvidia/rtx-4090.toml", &gpu("", "[\"*\"]"))]), "");
    }

    #[test]
    fn a_fact_nobody_vouches_for_is_named() {
        let text = gpu(
            "[board]\ntdp_w = 450\nslots = 3\n",
            "[\"name\", \"vendor\", \"kind\", \"status\", \"board.tdp_w\"]",
        );
        insta::assert_snapshot!(findings(&[("gpu/nvidia/rtx-4090.toml", &text)]), @"gpu/nvidia/rtx-4090.toml: board.slots: nobody vouches for this fact: add it to a source's covers");
    }

    #[test]
    fn boards_of_a_socket_name_their_platforms_all_or_none() {
        let board = |name: &str, platforms: &str| {
            format!(
                "name = \"{name}\"\nsocket = \"S\"\nchipset = \"C\"\nmemory_type = \"M\"\nplatforms = [{platforms}]\n{SOURCE}covers = [\"*\"]\n"
            )
        };
        let (named, bare) = (board("Named", "\"P\""), board("Bare", ""));
        let found = findings(&[("board/named.toml", &named), ("board/bare.toml", &bare)]);
        assert_eq!(
            found,
            "board/bare: platforms: other boards with S name the platforms they take"
        );
        assert_eq!(findings(&[("board/bare.toml", &bare)]), "");
    }

    #[test]
    fn a_module_on_a_carrier_has_the_bandwidth_of_its_nvlink() {
        let text = gpu("[link]\nnvlink = \"carrier\"\n", "[\"*\"]");
        let found = findings(&[("gpu/nvidia/rtx-4090.toml", &text)]);
        assert!(
            found.contains("link.nvlink_gb_per_s_per_direction: a module on a carrier"),
            "{found}"
        );
    }

    #[test]
    fn every_kind_of_trouble_is_found_in_one_run() {
        let card = gpu(
            "aliases = [\"4090\"]\ngeneration = \"ada\"\n[memory]\nbandwidth_gb_per_s = 1.008\n",
            "[\"*\", \"board.tdp_w\"]",
        );
        let twin = card.replace("RTX 4090", "4090");
        let bare = "name = \"x\"\nvendor = \"x\"\nkind = \"card\"\nstatus = []\n[sources.a]\nkind = \"vendor\"\naccessed = \"2026\"\n";
        let tracked =
            gpu("part_numbers = [\"see https://shop.example/x?srsltid=AfmB\"]\n", "[\"*\"]");
        let prices = "item,variant,product,amount,amount_high,currency,condition,kind,vat,shop,date,read,link,source,note\n\
            gpu/nvidia/rtx-9999,,RTX 9999,-1,,CHF,new,offer,included,nowhere,2026-03-01,2026-01-01,https://a.example/?utm_source=x,nobody,\n";
        insta::assert_snapshot!(findings(&[
            ("gpu/nvidia/rtx-4090.toml", &card),
            ("gpu/other/twin.toml", &twin),
            ("gpu/other/bare.toml", bare),
            ("gpu/other/tracked.toml", &tracked.replace("RTX 4090", "tracked")),
            ("psu/typo.toml", "nmae = \"x\"\n"),
            ("price/ch/2026-02.csv", prices),
            ("price/source.toml", "[sources]\n"),
            ("price/rate.csv", "date,base,quote,rate,source\n"),
            ("psuu/x.toml", ""),
        ]), @r#"
        gpu/nvidia/rtx-4090: generation: `generation/ada` is not in the catalog
        gpu/nvidia/rtx-4090: memory.bandwidth_gb_per_s: 1.008 is outside 10 to 100000: wrong unit or slipped digit?
        gpu/nvidia/rtx-4090: name: `4090` also names gpu/other/twin
        gpu/nvidia/rtx-4090.toml: sources.sheet: covers `board.tdp_w`, which this file does not have
        gpu/other/bare.toml: kind: nobody vouches for this fact: add it to a source's covers
        gpu/other/bare.toml: name: nobody vouches for this fact: add it to a source's covers
        gpu/other/bare.toml: sources.a: covers nothing: list key paths, or "*" for the whole file
        gpu/other/bare.toml: sources.a: neither url nor title
        gpu/other/bare.toml: status: nobody vouches for this fact: add it to a source's covers
        gpu/other/bare.toml: vendor: nobody vouches for this fact: add it to a source's covers
        gpu/other/tracked.toml: part_numbers: link with tracking (`srsltid=`): cut it off
        gpu/other/twin: generation: `generation/ada` is not in the catalog
        gpu/other/twin: memory.bandwidth_gb_per_s: 1.008 is outside 10 to 100000: wrong unit or slipped digit?
        gpu/other/twin.toml: sources.sheet: covers `board.tdp_w`, which this file does not have
        price/ch/2026-02.csv: line 2: -1 is no amount
        price/ch/2026-02.csv: line 2: `shop/nowhere` is not in the catalog
        price/ch/2026-02.csv: line 2: dated 2026-03-01 but read 2026-01-01
        price/ch/2026-02.csv: line 2: dated 2026-03-01 in the file of 2026-02
        price/ch/2026-02.csv: line 2: item `gpu/nvidia/rtx-9999` is not in the catalog
        price/ch/2026-02.csv: line 2: link with tracking (`utm_`): cut it off
        price/ch/2026-02.csv: line 2: price/source.toml has no source `nobody`
        price/ch/2026-02.csv: path: `region/ch` is not in the catalog
        psu/typo.toml: line 1: unknown key `nmae`; did you mean `name`?
        psuu/x.toml: path: no kind of file belongs here; entries go to gpu, generation, system, cpu, board, memory, psu, case, cooler, storage, cable, switch, prebuilt, model, architecture, format, tensor_type, engine, shop, region, tier, survey, claim; prices to price/<region>/<year-month>.csv
        "#);
    }

    #[test]
    fn a_claim_must_lead_to_what_it_names_and_say_what_a_correction_changes() {
        let claims = "name = \"002\"\nnumber = \"002\"\ndated = \"2026-02\"\n\
            [[claim]]\nkey = \"a\"\nclaim = \"x\"\nverdict = \"wrong\"\nfact = \"y\"\n\
            about = [\"gpu/nvidia/rtx-4090\", \"gpu/nvidia/rtx-9999\"]\nsources = [\"nobody\"]\n\
            checks = [{ quantity = \"power\", machine = \"RTX 4091\", says = [450, 300] }]\n\
            [[claim]]\nkey = \"a\"\nclaim = \"x\"\nverdict = \"right\"\nfact = \"y\"\nsources = []\n\
            checks = [{ quantity = \"size\", machine = \"RTX 4090\", says = [1, 1] },\n\
            { quantity = \"power\", machine = \"RTX 4091\", says = [1, 1] }]\n";
        insta::assert_snapshot!(findings(&[
            ("gpu/nvidia/rtx-4090.toml", &gpu("", "[\"*\"]")),
            ("claim/002.toml", &format!("{claims}{SOURCE}covers = [\"*\"]\n")),
        ]), @"
        claim/002: claim `a`: `gpu/nvidia/rtx-9999` is not in the catalog
        claim/002: claim `a`: a second claim with this key
        claim/002: claim `a`: check of power: 450 to 300 is no range
        claim/002: claim `a`: check of power: no machine called `RTX 4091`
        claim/002: claim `a`: check of size: names another subject than this quantity has
        claim/002: claim `a`: no source called `nobody`
        claim/002: claim `a`: no source: name who says what holds
        claim/002: claim `a`: wrong without `effect`: say what it changes
        ");
    }
}
