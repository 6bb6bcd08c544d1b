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
    std::fs::write(folder.path().join("tiers.md"), "My own page").unwrap();
    assert_eq!(report(folder.path(), &["--update"]), Some(3));
    assert_eq!(std::fs::read_to_string(folder.path().join("tiers.md")).unwrap(), "My own page");
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
