//! `localrig simulate` as people run it: exit code, standard output and standard error.

#![expect(clippy::disallowed_methods, reason = "the tests write and read files")]

use assert_cmd::Command;

fn simulate(args: &[&str]) -> String {
    let output = Command::cargo_bin("localrig")
        .expect("the binary is built")
        .env_remove("LOCALRIG_CATALOG")
        .env("XDG_DATA_HOME", "/nowhere")
        .arg("simulate")
        .args(args)
        .output()
        .expect("it runs");
    format!(
        "exit {}\n{}{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const HOME_OFFICE: [&str; 6] = [
    "--on",
    "2x RTX PRO 6000 Workstation",
    "--place",
    "main=gpt-oss-120b:mxfp4@0, sub=qwen3-coder-30b-a3b:q4_k_m@1, vision=qwen2.5-vl-7b:q4_k_m@1",
    "--replicates",
    "2",
];

#[test]
fn the_home_office_runs_on_two_cards() {
    insta::assert_snapshot!(simulate(&HOME_OFFICE), @"
    exit 0
    HOME OFFICE: ONE MAIN CODING AGENT, FOUR SUB-AGENTS, SCREENSHOTS ON 2X NVIDIA RTX PRO 6000 BLACKWELL WORKSTATION EDITION

    While everything runs, main gets 140 tok/s per stream; sub-agent gets 97 tok/s per stream; vision
    gets 100 tok/s per stream.

    - memory: 65.1 of 95.6 GiB usable on NVIDIA RTX PRO 6000 Blackwell Workstation Edition
    - memory: 39.7 of 95.6 GiB usable on NVIDIA RTX PRO 6000 Blackwell Workstation Edition

    Roles

    role       streams         tok/s per stream  slowest  tok/s  first   p95  gap  p99  cached  within
                                                     5 %     in  token         ms               limits
                                                            all      s
    ---------------------------------------------------------------------------------------------------
    main             1   140 (130 to 140; 87 to      110     60   0.46   6.2  8.5   10    91 %   100 %
                                           220)
    sub-agent        4     97 (92 to 110; 74 to       53    130   0.26   2.4  9.5   28    88 %   100 %
                                           120)
    vision        open   100 (100 to 100; 87 to       78     11   0.30  0.49  9.7   11    30 %   100 %
                                           120)

    Machine

    engine                              devices                             cache       of  cut  loads
                                                                             used   tokens  off
    ---------------------------------------------------------------------------------------------------
    gpt-oss-120b BF16 with MXFP4        NVIDIA RTX PRO 6000 Blackwell       100 %  131,072    0      0
    experts on llama.cpp                Workstation Edition
    Qwen3-Coder-30B-A3B-Instruct        NVIDIA RTX PRO 6000 Blackwell        93 %  131,072    0      0
    Q4_K_M on llama.cpp                 Workstation Edition
    Qwen2.5-VL-7B-Instruct Q4_K_M on    NVIDIA RTX PRO 6000 Blackwell        10 %   65,536    0      0
    llama.cpp                           Workstation Edition

    - device 0, NVIDIA RTX PRO 6000 Blackwell Workstation Edition: busy 60 %, 330 W on average (the
      accelerator alone)
    - device 1, NVIDIA RTX PRO 6000 Blackwell Workstation Edition: busy 78 %, 420 W on average (the
      accelerator alone)

    3.7 J per token generated, 1.0 kWh per million, by the accelerators alone.

    2 replicates of 900 s and 20 draws of the speed model's errors, seed 1. Ranges hold 80 % of the
    runs: the first is what differs from hour to hour, the second how far off the speed model may be.
    ");
}

#[test]
fn a_team_shares_one_model_and_the_curve_says_how_far() {
    insta::assert_snapshot!(simulate(&[
        "--on", "RTX 5090", "--workload", "chat-team", "--place", "chat=qwen3-8b:q4_k_m",
        "--replicates", "2", "--sweep", "streams=2..12",
    ]), @"
    exit 0
    CHAT: A TEAM OF TEN ON NVIDIA GEFORCE RTX 5090

    While everything runs, chat gets 180 tok/s per stream.

    - memory: 27.6 of 32.0 GiB usable on NVIDIA GeForce RTX 5090

    Roles

    role  streams              tok/s per stream  slowest  tok/s  first   p95  gap  p99  cached  within
                                                     5 %     in  token         ms               limits
                                                            all      s
    ---------------------------------------------------------------------------------------------------
    chat       10  180 (170 to 180; 140 to 220)      150     75  0.036  0.32  5.6  7.3    85 %   100 %

    Machine

    engine                        devices                  cache       of  cut  loads
                                                            used   tokens  off
    ----------------------------------------------------------------------------------
    Qwen3-8B Q4_K_M on llama.cpp  NVIDIA GeForce RTX 5090   27 %  163,840    0      0

    - device 0, NVIDIA GeForce RTX 5090: busy 36 %, 190 W on average (the accelerator alone)

    2.6 J per token generated, 0.72 kWh per million, by the accelerators alone.

    Concurrency

    streams   tok/s  tok/s  first  gap
                per     in  token   ms
             stream    all      s
    ---------------------------------------------------------------------------------------------------
          2     180     14  0.027  5.4
          3     180     22  0.036  5.4
          4     180     29  0.034  5.4
          6     180     45  0.034  5.5
          8     180     60  0.037  5.5
         12       -      -      -    -  device 0 (NVIDIA GeForce RTX 5090): 32.2 GiB needed, 32.0 GiB
                                        usable less 1.0 GiB to be kept free

    2 replicates of 1,200 s and 20 draws of the speed model's errors, seed 1. Ranges hold 80 % of the
    runs: the first is what differs from hour to hour, the second how far off the speed model may be.
    ");
}

#[test]
fn requests_that_come_at_the_end_do_not_saturate_an_idle_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.toml");
    let text = "name = \"Late\"\n[run]\nduration_s = 300\n[[role]]\nname = \"chat\"\n\
                context_tokens = 4096\n[role.open]\narrival = \"trace\"\ntrace = \"late.csv\"\n";
    std::fs::write(&file, text).unwrap();
    let rows = (0..40).map(|row| {
        let arrival = if row < 20 { f64::from(row) * 5.0 } else { 299.0 };
        format!("{arrival},1000,300\n")
    });
    let rows = std::iter::once("arrival_s,prompt_tokens,output_tokens\n".to_owned()).chain(rows);
    std::fs::write(folder.path().join("late.csv"), rows.collect::<String>()).unwrap();
    let said = simulate(&[
        "--on",
        "RTX 3090",
        "--workload",
        file.to_str().unwrap(),
        "--place",
        "chat=qwen3-14b:q4_k_m",
        "--replicates",
        "2",
    ]);
    insta::assert_snapshot!(said.lines().skip(3).take(1).collect::<String>(), @"While everything runs, chat gets 70 tok/s per stream.");
}

#[test]
fn more_than_can_be_done_is_called_saturated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flood.toml");
    let text = "name = \"Flood\"\n[run]\nduration_s = 300\n[[role]]\nname = \"chat\"\n\
                context_tokens = 4096\n[role.open]\narrival = \"poisson\"\nrate_per_s = 3\n\
                prompt_tokens = { fixed = 1000 }\noutput_tokens = { fixed = 300 }\n";
    std::fs::write(&file, text).unwrap();
    insta::assert_snapshot!(simulate(&[
        "--on", "RTX 3090", "--workload", file.to_str().unwrap(), "--place",
        "chat=qwen3-14b:q4_k_m", "--replicates", "2",
    ]), @"
    exit 0
    FLOOD ON NVIDIA GEFORCE RTX 3090

    While everything runs, chat is saturated: 3.0 requests a second come, 0.40 can be answered.

    - memory: 11.1 of 24.0 GiB usable on NVIDIA GeForce RTX 3090

    Roles

    role  streams         tok/s per stream  slowest  tok/s      first        p95  gap  p99  cached  within
                                                5 %     in    token s              ms               limits
                                                       all
    -------------------------------------------------------------------------------------------------------
    chat     open  33 (32 to 34; 27 to 40)       32    120  saturated  saturated   26   26     0 %   100 %

    Machine

    engine                         devices                  cache      of  cut  loads
                                                             used  tokens  off
    ----------------------------------------------------------------------------------
    Qwen3-14B Q4_K_M on llama.cpp  NVIDIA GeForce RTX 3090   32 %  16,384    0      0

    - device 0, NVIDIA GeForce RTX 3090: busy 100 %, 330 W on average (the accelerator alone)

    2.7 J per token generated, 0.76 kWh per million, by the accelerators alone.

    2 replicates of 300 s and 20 draws of the speed model's errors, seed 1. Ranges hold 80 % of the
    runs: the first is what differs from hour to hour, the second how far off the speed model may be.
    ");
}

#[test]
fn what_cannot_be_simulated_says_why_and_what_to_do() {
    let on = |place| simulate(&["--on", "RTX 5090", "--place", place]);
    let said = [
        on("main=qwen3-32b"),
        on("chat=qwen3-32b"),
        on("main=qwen2.5-vl-7b@1,sub=qwen3-8b,vision=qwen2.5-vl-7b"),
        on("main qwen3-32b"),
        simulate(&[
            "--on",
            "4x RTX 3090",
            "--workload",
            "chat-team",
            "--place",
            "chat=phi-4:q4_k_m@0x1x2x3",
        ]),
        on("main=gpt-oss-120b,sub=gpt-oss-120b,vision=gemma-3-27b"),
        simulate(&["--on", "RTX 5090", "--workload", "home", "--place", "main=qwen3-8b"]),
    ]
    .join("\n");
    insta::assert_snapshot!(said, @"
    exit 3
    error: role `sub-agent` has no model
    hint: add `sub-agent=MODEL` to `--place`

    exit 3
    error: the workload has no role `chat`
    hint: its roles: main, sub-agent, vision

    exit 3
    error: Qwen2.5-VL-7B-Instruct is made for at most 128000 tokens of context, role `main` has 131072

    exit 3
    error: `main qwen3-32b` is no place: write ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES]

    exit 3
    error: layers of phi-4 cannot be cut over 4 devices: 40 heads with 10 of keys
    hint: spread the layers, `0+1`, or put a copy on each, `0/1`

    exit 5
    error: device 0 (NVIDIA GeForce RTX 5090): 92.3 GiB needed, 32.0 GiB usable less 1.0 GiB to be kept free
    hint: take smaller models or formats, a shorter context, or other devices

    exit 3
    error: no workload called `home`
    hint: shipped ones: batch, chat-team, home-office, sharegpt, trace-llama-3.1-8b, trace-qwen3-30b-a3b; or give the path of a file
    ");
}

#[test]
fn trace_and_picture_are_written_and_the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str| {
        let (trace, svg) =
            (folder.path().join(format!("{name}.json")), folder.path().join(format!("{name}.svg")));
        let mut args = HOME_OFFICE.to_vec();
        args.extend([
            "--trace",
            trace.to_str().unwrap(),
            "--svg",
            svg.to_str().unwrap(),
            "--format",
            "json",
        ]);
        let said = simulate(&args);
        (said, std::fs::read_to_string(trace).unwrap(), std::fs::read_to_string(svg).unwrap())
    };
    let (one, two) = (written("one"), written("two"));
    assert!(one == two, "the same bytes");
    let trace: serde_json::Value = serde_json::from_str(&one.1).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let steps = events.iter().filter(|event| event["ph"] == "X" && event["pid"] == 0).count();
    assert!(steps > 1_000, "{steps}");
    let late = events.iter().filter(|event| event["ph"] == "X").all(|event| {
        event["dur"].as_f64().is_some_and(|length| length >= 0.0)
            && event["ts"].as_f64().is_some_and(|begin| begin >= 120e6)
    });
    assert!(late, "nothing before the warm-up is over, nothing ends before it begins");
    assert!(one.2.starts_with("<svg") && one.2.matches("<rect").count() > 20);
}
