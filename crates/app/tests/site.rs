//! What a report writes, judged by others' tools: a Markdown linter, an HTML validator, and Chromium
//! at the width of a desktop and of a phone, in light and dark.
//!
//! `scripts/site-env` installs them. Where it cannot, `scripts/test` sets `LOCALRIG_SITE_SKIP` to the
//! reason, which these tests repeat; without either they fail.
#![expect(clippy::disallowed_methods, reason = "tests run the program and the tools")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "says why it was skipped")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// The folder of the tools; `None` when they cannot be had.
fn tools() -> Option<PathBuf> {
    if let Ok(reason) = std::env::var("LOCALRIG_SITE_SKIP") {
        eprintln!("SKIPPED: nobody looks at the pages: {reason}");
        return None;
    }
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/site").canonicalize().unwrap();
    let installed = folder.join("node_modules/.installed").is_file();
    assert!(installed, "no tools: run scripts/site-env, or set LOCALRIG_SITE_SKIP");
    Some(folder)
}

fn report(folder: &Path, more: &[&str]) {
    let output = Command::cargo_bin("localrig")
        .unwrap()
        .env("XDG_DATA_HOME", "/nonexistent")
        .arg("report")
        .arg(folder)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a tool and shows what it says when it finds something.
fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_markdown_linter_finds_nothing_in_the_documents() {
    let Some(tools) = tools() else { return };
    for day in ["2026-02-17", "2026-11-21"] {
        let folder = tempfile::tempdir().unwrap();
        report(folder.path(), &["--as-of", day]);
        passes(
            Command::new("node")
                .arg(tools.join("node_modules/markdownlint-cli2/markdownlint-cli2-bin.mjs"))
                .arg("--config")
                .arg(tools.join("pages.markdownlint.json"))
                .arg("**/*.md")
                .current_dir(folder.path()),
        );
    }
}

#[test]
fn the_site_is_valid_and_looks_right_on_desktop_and_phone_in_light_and_dark() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().unwrap();
    report(folder.path(), &["--as-of", "2026-11-21", "--format", "html"]);
    passes(
        Command::new("node")
            .arg(tools.join("node_modules/html-validate/bin/html-validate.mjs"))
            .arg("--config")
            .arg(tools.join("htmlvalidate.json"))
            .arg("**/*.html")
            .current_dir(folder.path()),
    );
    passes(Command::new("node").arg(tools.join("check.mjs")).arg(folder.path()));
}
