//! The agent skill: its front matter is valid, every command in it runs, every question is answered
//! in the first lines.
#![expect(clippy::disallowed_methods, reason = "tests run the program and read its files")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use assert_cmd::Command;

fn skill(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../skills/localrig");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn run(line: &str, folder: &Path) -> (Option<i32>, String, String) {
    let mut words = Vec::new();
    let mut quoted = false;
    let mut word = String::new();
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    assert_eq!(words.remove(0), "localrig");
    let result = Command::cargo_bin("localrig")
        .unwrap()
        .current_dir(folder)
        .env("XDG_DATA_HOME", folder)
        .args(words)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (result.status.code(), text(result.stdout), text(result.stderr))
}

/// Rules of the agent-skills specification.
#[test]
fn the_front_matter_is_valid() {
    let text = skill("SKILL.md");
    let (front, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    let keys: Vec<&str> = front.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    for key in &keys {
        assert!(
            ["name", "description", "license", "compatibility", "metadata", "allowed-tools"]
                .contains(key),
            "{key}"
        );
    }
    let value = |key: &str| {
        let line = front.lines().find_map(|line| line.strip_prefix(&format!("{key}: "))).unwrap();
        line.trim_matches('"').to_owned()
    };
    assert_eq!(value("name"), "localrig", "as its folder is called");
    assert!((1..=1024).contains(&value("description").chars().count()));
    assert!(value("compatibility").chars().count() <= 500);
    assert!(!value("description").contains('"'), "plain inside its quotes");
    assert!(body.lines().count() < 500);
    for part in body.split("](").skip(1) {
        let target = part.split(')').next().unwrap();
        assert!(!skill(target).is_empty(), "{target}");
    }
}

#[test]
fn every_command_in_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for file in ["references/commands.md", "references/pitfalls.md"] {
        for line in skill(file).lines().filter(|line| line.starts_with("localrig ")) {
            let (code, out, errors) = run(line, folder.path());
            assert_eq!(code, Some(0), "{line}\n{errors}");
            assert!(!out.is_empty(), "{line}");
            count += 1;
        }
    }
    assert!(count > 12, "{count}");
}

/// What must stand in the first lines of the answer to each question.
const ANSWERS: [(&str, &str); 11] = [
    ("What GPU do I need for Llama 3.3 70B?", "Cheapest: "),
    ("How fast will this model run?", " tok/s"),
    ("How fast will GPT-OSS-120B run on a Mac Studio M3 Ultra?", " tok/s"),
    ("Mac Studio or NVIDIA?", "Most memory: "),
    ("Mac Studio or NVIDIA workstation, whole machines?", "Buy: "),
    ("VRAM for concurrent models?", " GiB usable on "),
    ("Build an AI machine", "Buy: "),
    ("RTX 5090 vs PRO 6000", "Fastest with "),
    ("VRAM for 128K context?", " GiB usable"),
    ("I need a local coding agent with 200K context. What hardware?", "Cheapest: "),
    ("I need 3 concurrent coding agents with 200K context", "Cheapest: "),
];

#[test]
fn every_question_has_a_command_whose_first_lines_answer_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = skill("SKILL.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("`localrig "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), ANSWERS.len());
    let readme = skill("../../README.md");
    for (row, (question, expected)) in rows.iter().zip(ANSWERS) {
        assert_eq!(row[0], question);
        let same = format!("| {question} | {} |", row[1]);
        assert!(readme.lines().any(|line| line == same), "README lacks {same}");
        let (code, out, errors) = run(row[1].trim_matches('`'), folder.path());
        assert_eq!(code, Some(0), "{question}\n{errors}");
        let head: Vec<&str> = out.lines().take(16).collect();
        assert!(head.join("\n").contains(expected), "{question}\n{}", head.join("\n"));
    }
}

#[test]
fn it_installs_itself_whole() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("localrig skill --install {}", folder.path().display());
    let (code, out, _) = run(&line, folder.path());
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().count(), 3);
    let installed = std::fs::read_to_string(folder.path().join("localrig/SKILL.md")).unwrap();
    assert_eq!(installed, skill("SKILL.md"));
}
