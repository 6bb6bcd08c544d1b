//! Every `console` block of the documentation shows what the program prints.
//!
//! `UPDATE_DOCS=1 cargo nextest run -p localrig --test docs` writes what it prints today.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "reads and writes the documentation")]

use std::path::Path;

use assert_cmd::Command;

/// What a line such as `$ localrig plan | head -20` prints.
fn output(line: &str) -> String {
    let (command, lines) = match line.split_once(" | head -") {
        Some((command, lines)) => (command, lines.trim().parse().unwrap()),
        None => (line, usize::MAX),
    };
    let home = tempfile::tempdir().unwrap();
    let output = Command::cargo_bin("localrig")
        .unwrap()
        .args(words(command.strip_prefix("$ localrig").unwrap()))
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    text.lines().take(lines).flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// Words of a shell line with double quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// The text with every block's output replaced by today's.
fn current(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line != "```console" {
            continue;
        }
        let command = lines.next().unwrap();
        out.push_str(command);
        out.push('\n');
        out.push_str(&output(command));
        for skipped in lines.by_ref() {
            if skipped == "```" {
                break;
            }
        }
        out.push_str("```\n");
    }
    out
}

fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("```console"), "{file} shows no run");
    let current = current(&text);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, current).unwrap();
    } else if text != current {
        let first = text.lines().zip(current.lines()).find(|(old, new)| old != new);
        panic!("{file} is not what the program prints: {first:#?}; run again with UPDATE_DOCS=1");
    }
}

#[test]
fn readme() {
    check("README.md");
}

#[test]
fn cli_reference() {
    check("docs/cli.md");
}

#[test]
fn comparison() {
    check("docs/compare.md");
}
