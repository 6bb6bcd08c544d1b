//! The research repository: deterministic, every link leads somewhere, people's text survives.
#![expect(clippy::disallowed_methods, reason = "tests run the program and read its files")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;

fn report(folder: &Path, more: &[&str]) -> Option<i32> {
    let result = Command::cargo_bin("localrig")
        .unwrap()
        .env("XDG_DATA_HOME", "/nonexistent")
        .arg("report")
        .arg(folder)
        .args(["--as-of", "2026-02-17"])
        .args(more)
        .output()
        .unwrap();
    result.status.code()
}

fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(inside, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn is(file: &str, kind: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == kind)
}

/// Targets of links and pictures that are no web addresses, resolved against the file's folder.
fn local_targets(file: &str, text: &str, marks: &[(&str, char)]) -> Vec<String> {
    let folder = Path::new(file).parent().unwrap();
    let mut found = Vec::new();
    for (mark, end) in marks {
        for part in text.split(mark).skip(1) {
            let target = part.split(*end).next().unwrap();
            if target.contains("://") || target.starts_with("data:") {
                continue;
            }
            let mut parts: Vec<&str> = folder.iter().map(|one| one.to_str().unwrap()).collect();
            for part in target.split('/') {
                if part == ".." {
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            found.push(parts.join("/"));
        }
    }
    found
}

#[test]
fn a_platform_that_misses_a_limit_is_described_after_saying_that_it_is_not_recommended() {
    let folder = tempfile::tempdir().unwrap();
    let text = localrig_world::requirement("home-office").unwrap();
    let text = text.replacen("speed_minimum_tok_per_s = 30", "speed_minimum_tok_per_s = 55", 1);
    let file = folder.path().join("fast.toml");
    std::fs::write(&file, text).unwrap();
    let out = folder.path().join("out");
    assert_eq!(report(&out, &["--require", file.to_str().unwrap()]), Some(0));
    let files = tree(&out);
    // No Mac is that fast under the whole workload; the folder says so all the same.
    let apple = &files["apple-silicon/README.md"];
    assert!(apple.contains("tok/s while everything runs, at least 55"), "{apple}");
    let guide = &files["apple-silicon/build-guide.md"];
    let first = guide.lines().find(|line| !line.is_empty() && !line.starts_with(['<', '#']));
    let first = first.unwrap();
    for said in ["**Not recommended", "CHF", "at least 55", "eligible with", "at most"] {
        assert!(first.contains(said), "{said}: {first}");
    }
    for part in ["### Parts", "### Checks", "### Room for growth", "## Set-up", "](https://"] {
        assert!(guide.contains(part), "{part}: {guide}");
    }
}

#[test]
fn it_is_whole_and_the_same_every_time() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(report(one.path(), &[]), Some(0));
    assert_eq!(report(two.path(), &[]), Some(0));
    let files = tree(one.path());
    assert_eq!(files, tree(two.path()));
    for wanted in [
        "README.md",
        "requirements.md",
        "decision-summary.md",
        "benchmarks.md",
        "model-quality.md",
        "alternative-platforms-research.md",
        "tiers.md",
        "claims.md",
        "nvidia-gpu/README.md",
        "nvidia-gpu/research.md",
        "nvidia-gpu/benchmarks.md",
        "nvidia-gpu/build-guide.md",
        "nvidia-gpu/vendor-options.md",
    ] {
        assert!(files.contains_key(wanted), "{wanted}");
    }
    for chart in ["speed", "depth", "streams", "total", "cost", "price-history"] {
        assert!(files.contains_key(&format!("nvidia-gpu/{chart}.svg")), "{chart}");
    }
    // A platform without one says why.
    for (file, text) in files.iter().filter(|(file, _)| file.ends_with("/README.md")) {
        let guide = file.replace("README.md", "build-guide.md");
        assert_ne!(files.contains_key(&guide), text.contains("There is no build guide"), "{file}");
    }
    assert!(files["amd-gpu/README.md"].contains("There is no build guide"));
    for folder in ["nvidia-gpu", "apple-silicon"] {
        let text = &files[&format!("{folder}/benchmarks.md")];
        let measured = text.split("## Measured by others").nth(1).unwrap();
        let rows =
            measured.lines().filter(|line| line.starts_with("| ") && line.contains("](http"));
        assert!(rows.count() >= 5, "{folder}: {measured}");
        for said in ["no test", "half within", "after 2026-02-17 and are left out"] {
            assert!(measured.contains(said), "{folder}: {said}");
        }
    }
    for chart in ["price-speed", "memory", "cost", "depth", "streams", "total", "price-history"] {
        let svg = &files[&format!("chart/{chart}.svg")];
        assert!(svg.contains("prefers-color-scheme:dark") && !svg.contains("NaN"), "{chart}");
        let shown = format!("chart/{chart}.svg)");
        assert!(files.values().any(|text| text.contains(&shown)), "{chart} is shown nowhere");
    }
    let mut links = 0;
    for (file, text) in files.iter().filter(|(file, _)| is(file, "md")) {
        for target in local_targets(file, text, &[("](", ')')]) {
            assert!(files.contains_key(&target), "{file} -> {target}");
            links += 1;
        }
    }
    assert!(links > 30, "{links}");
}

#[test]
fn a_check_finds_nothing_until_something_changes_and_an_update_keeps_own_text() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(report(folder.path(), &["--check"]), Some(3));
    assert_eq!(report(folder.path(), &[]), Some(0));
    assert_eq!(report(folder.path(), &["--check"]), Some(0));
    let readme = folder.path().join("README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let edited = format!("Mine.\n\n{}", text.replace("Bottom line", "Bottom"));
    std::fs::write(&readme, edited).unwrap();
    assert_eq!(report(folder.path(), &["--check"]), Some(6));
    assert_eq!(report(folder.path(), &["--update"]), Some(0));
    assert_eq!(std::fs::read_to_string(&readme).unwrap(), format!("Mine.\n\n{text}"));
    assert!(folder.path().join("CHANGELOG.md").exists());
    let log = std::fs::read_to_string(folder.path().join("CHANGELOG.md")).unwrap();
    std::fs::write(folder.path().join("tiers.md"), "My own page").unwrap();
    assert_eq!(report(folder.path(), &["--update"]), Some(3));
    assert_eq!(std::fs::read_to_string(folder.path().join("tiers.md")).unwrap(), "My own page");
    // What was kept was not rewritten, and would not be.
    assert_eq!(std::fs::read_to_string(folder.path().join("CHANGELOG.md")).unwrap(), log);
    assert_eq!(report(folder.path(), &["--check"]), Some(3));
}

#[test]
fn an_update_of_a_site_keeps_what_stands_around_its_pages() {
    let folder = tempfile::tempdir().unwrap();
    let site = ["--format", "html"];
    assert_eq!(report(folder.path(), &site), Some(0));
    let page = folder.path().join("claims.html");
    let text = std::fs::read_to_string(&page).unwrap();
    let edited = format!("{}<!-- mine -->\n", text.replace("<h1", "<h1 id=\"old\""));
    std::fs::write(&page, edited).unwrap();
    assert_eq!(report(folder.path(), &[&site[..], &["--update"]].concat()), Some(0));
    assert_eq!(std::fs::read_to_string(&page).unwrap(), format!("{text}<!-- mine -->\n"));
}

/// Lines of a text that another has not.
fn without<'t>(text: &'t str, other: &str) -> Vec<&'t str> {
    let known: std::collections::BTreeSet<&str> = other.lines().collect();
    text.lines().filter(|line| !known.contains(line)).collect()
}

#[test]
fn a_changed_price_changes_only_the_lines_that_it_should_and_a_check_says_why() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let overlay = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(overlay.path().join("price/ch")).unwrap();
    let embedded = localrig_world::catalog(&[]).unwrap();
    let rows = &embedded.file("price/ch/2026-02.csv").unwrap().text;
    let cheaper = rows.replacen("(cheapest model),2224,", "(cheapest model),2223,", 1);
    assert_ne!(*rows, cheaper);
    std::fs::write(overlay.path().join("price/ch/2026-02.csv"), cheaper).unwrap();
    let mine = ["--catalog", overlay.path().to_str().unwrap()];
    assert_eq!(report(before.path(), &[]), Some(0));
    assert_eq!(report(after.path(), &mine), Some(0));
    let (old, new) = (tree(before.path()), tree(after.path()));
    let mut changed = 0;
    for (file, text) in old.iter().filter(|(file, _)| is(file, "md")) {
        let bare = |lines: Vec<&str>| -> Vec<String> {
            lines.iter().map(|line| line.replace(|c: char| c.is_ascii_digit(), "")).collect()
        };
        let (gone, come) = (without(text, &new[file]), without(&new[file], text));
        changed += gone.len();
        assert_eq!(bare(gone), bare(come), "only figures differ in {file}");
        let about_it = file.starts_with("nvidia-gpu")
            || ["README.md", "decision-summary.md", "alternative-platforms-research.md"]
                .contains(&file.as_str());
        assert!(about_it || *text == new[file], "{file} says nothing of the card's price");
    }
    assert!((10..150).contains(&changed), "{changed}");

    let output = Command::cargo_bin("localrig")
        .unwrap()
        .env("XDG_DATA_HOME", "/nonexistent")
        .arg("report")
        .arg(before.path())
        .args(["--as-of", "2026-02-17", "--check"])
        .args(mine)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6));
    let said = String::from_utf8(output.stdout).unwrap();
    let moved = "- price moved: gpu/nvidia/rtx-5090 from CHF 2,224 to CHF 2,223";
    assert_eq!(said.lines().filter(|line| line.starts_with("- ")).collect::<Vec<_>>(), [moved]);
    let tree = said.split("decision-summary.md\n").nth(1).unwrap();
    assert!(tree.starts_with("├── - ") && tree.contains("├── + "), "{said}");
}

#[test]
fn the_site_works_from_the_file_system_and_fetches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(report(folder.path(), &["--format", "html"]), Some(0));
    let files = tree(folder.path());
    for (file, text) in files.iter().filter(|(file, _)| is(file, "html")) {
        for target in local_targets(file, text, &[("href=\"", '"'), ("src=\"", '"')]) {
            assert!(files.contains_key(&target), "{file} -> {target}");
        }
        for fetched in text.split("src=\"").skip(1) {
            assert!(!fetched.starts_with("http"), "{file}");
        }
        for tag in ["table", "ul", "li", "p", "tr", "td", "th", "main", "div", "a"] {
            let open = text.matches(&format!("<{tag}>")).count()
                + text.matches(&format!("<{tag} ")).count();
            assert_eq!(open, text.matches(&format!("</{tag}>")).count(), "{tag} in {file}");
        }
    }
    assert!(files["style.css"].contains("prefers-color-scheme:dark"));
    assert!(files["index.js"].starts_with("const PAGES = ["));
}
