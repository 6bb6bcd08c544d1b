//! Headers of model files: from disk, from a server, and from files that lie.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may panic; it makes files and serves them"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use localrig_facts::model_file::{ModelFile, Value};
use localrig_world::model_file::{
    HttpClient, Limits, Location, MemorySource, ModelFileError, parse_config, parse_gguf,
    parse_index, parse_safetensors, read,
};
use proptest::prelude::*;

mod real_size;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn limits() -> Limits {
    Limits { patience: Duration::from_millis(300), tries: 2, ..Limits::default() }
}

fn at(path: &Path) -> Result<ModelFile, ModelFileError> {
    read(&Location::Path(path.to_owned()), &limits())
}

#[test]
fn a_file_of_the_gguf_package_is_read() {
    let file = at(&data("tiny.gguf")).unwrap();
    assert_eq!(file.architecture(), Some("llama"));
    assert_eq!(file.get("llama.context_length").and_then(Value::count), Some(2048));
    // A vocabulary is passed over, its length kept.
    assert_eq!(file.get("tokenizer.ggml.tokens"), Some(&Value::Long { length: 5000 }));
    assert_eq!((file.tensors.len(), file.parts), (20, 1));
    let embedding = file.tensors.iter().find(|one| one.name == "token_embd.weight").unwrap();
    assert_eq!((&embedding.shape[..], embedding.kind.as_str()), (&[64, 300][..], "q8_0"));
    assert_eq!(embedding.bytes, 300 * 64 / 32 * 34);
    assert_eq!(file.file_bytes, std::fs::metadata(data("tiny.gguf")).unwrap().len());
}

#[test]
fn a_split_file_is_read_from_any_of_its_parts() {
    let whole = at(&data("tiny.gguf")).unwrap();
    for part in ["split-00001-of-00002.gguf", "split-00002-of-00002.gguf"] {
        let file = at(&data(part)).unwrap();
        assert_eq!(file.parts, 2);
        let names = |file: &ModelFile| {
            let mut names: Vec<_> = file.tensors.iter().map(|one| one.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&file), names(&whole));
    }
}

#[test]
fn parts_that_are_missing_or_swapped_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(data(from), folder.path().join(to)).unwrap();
    };
    let first = folder.path().join("m-00001-of-00002.gguf");
    copy("split-00001-of-00002.gguf", "m-00001-of-00002.gguf");
    let error = at(&first).unwrap_err().to_string();
    assert!(error.contains("m-00002-of-00002.gguf"), "{error}");
    // The second part is the first one again: a circle.
    copy("split-00001-of-00002.gguf", "m-00002-of-00002.gguf");
    let error = at(&first).unwrap_err().to_string();
    assert!(error.contains("should be part 2 of 2 and says it is 1"), "{error}");
    copy("split-00002-of-00002.gguf", "m-00002-of-00002.gguf");
    assert!(at(&first).is_ok());
    copy("split-00001-of-00002.gguf", "plain.gguf");
    let error = at(&folder.path().join("plain.gguf")).unwrap_err().to_string();
    assert!(error.contains("its name must end in -00001-of-00002.gguf"), "{error}");
}

/// A header that claims a tensor of 60 GB.
fn big_header() -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(b'w');
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend([30_000_000_000_u64, 1].map(u64::to_le_bytes).concat());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes
}

#[test]
fn of_a_file_of_60_gb_only_the_header_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.gguf");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&big_header()).unwrap();
    file.set_len(60_000_000_096).unwrap();
    let file = at(&path).unwrap();
    assert_eq!(file.tensor_bytes(), 60_000_000_000);
    assert!(file.read_bytes < file.header_bytes + (1 << 20), "{}", file.read_bytes);
}

#[test]
fn little_more_is_read_than_a_header_of_real_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.gguf");
    let header = real_size::write(&path).unwrap();
    let file = at(&path).unwrap();
    assert_eq!((file.header_bytes, file.tensors.len()), (header, 752));
    assert!(file.tensor_bytes() > 60_000_000_000 && header > 5 << 20, "{header}");
    // Long lists are passed over, so less than the header may be read, never much more.
    assert!(file.read_bytes < header + (1 << 20), "{} of {header}", file.read_bytes);
}

#[test]
fn a_checkpoint_is_read_with_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(data("tiny.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let config = r#"{"model_type": "llama", "limit": [0, -Infinity], "text_config": {"x": 1.5}}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let file = at(folder.path()).unwrap();
    assert_eq!((file.tensors.len(), file.architecture()), (2, Some("llama")));
    assert_eq!(file.get("text_config.x"), Some(&Value::Float(1.5)));
    assert_eq!(file.by_type()[0].kind, "BF16");
    // With an index, every part must be there and hold what it should.
    let index = r#"{"weight_map": {"model.norm.weight": "model.safetensors", "lost": "model.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let error = at(folder.path()).unwrap_err().to_string();
    assert_eq!(error, "model.safetensors: the index places tensor lost in it, it is not there");
}

fn gguf(bytes: &[u8]) -> String {
    match parse_gguf(&mut MemorySource { bytes }, &limits()) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn patched(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = std::fs::read(data("tiny.gguf")).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn hostile_gguf_files_are_refused_with_the_reason() {
    let whole = std::fs::read(data("tiny.gguf")).unwrap();
    let key = whole.windows(20).position(|at| at == b"general.architecture").unwrap();
    let tensor = whole.windows(17).position(|at| at == b"token_embd.weight").unwrap();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("two bytes", b"GG".to_vec()),
        ("other kind", b"\x7fELF\x02\x01\x01\0".to_vec()),
        ("version 1", patched(4, &1_u32.to_le_bytes())),
        ("version 9", patched(4, &9_u32.to_le_bytes())),
        ("big-endian", patched(4, &3_u32.to_be_bytes())),
        ("absurd tensors", patched(8, &u64::MAX.to_le_bytes())),
        ("many tensors", patched(8, &100_000_u64.to_le_bytes())),
        ("absurd keys", patched(16, &u64::MAX.to_le_bytes())),
        ("long key", patched(key - 8, &u64::MAX.to_le_bytes())),
        ("key not UTF-8", patched(key, &[0xff, 0xfe])),
        ("unknown value type", patched(key + 20, &77_u32.to_le_bytes())),
        ("long text", patched(key + 24, &(1_u64 << 60).to_le_bytes())),
        ("no dimensions", patched(tensor + 17, &0_u32.to_le_bytes())),
        ("99 dimensions", patched(tensor + 17, &99_u32.to_le_bytes())),
        ("row off the block", patched(tensor + 21, &63_u64.to_le_bytes())),
        ("overflowing shape", patched(tensor + 29, &(u64::MAX / 2).to_le_bytes())),
        ("unknown storage", patched(tensor + 37, &999_u32.to_le_bytes())),
        ("data not aligned", patched(tensor + 41, &7_u64.to_le_bytes())),
        ("data beyond the end", patched(tensor + 41, &(1_u64 << 50).to_le_bytes())),
        ("cut in the keys", whole[..200].to_vec()),
        ("cut in the data", whole[..whole.len() - 4096].to_vec()),
    ];
    let said: Vec<_> =
        cases.iter().map(|(name, bytes)| format!("{name}: {}", gguf(bytes))).collect();
    insta::assert_snapshot!(said.join("\n"));
}

fn safetensors(header: &str, data: usize) -> String {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    match parse_safetensors(&mut MemorySource { bytes: &bytes }, &limits()) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hostile_safetensors_files_are_refused_with_the_reason() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let mut said = vec![
        safetensors(&one("F32", "[2,2]", "[0,16]"), 16),
        safetensors("[]", 0),
        safetensors("{", 0),
        safetensors(&one("F32", "[2,2]", "[0,16]"), 8),
        safetensors(&one("F32", "[2,2]", "[0,12]"), 16),
        safetensors(&one("F32", "[2,2]", "[16,0]"), 16),
        safetensors(&one("F99", "[2,2]", "[0,16]"), 16),
        safetensors(&one("F32", "[4294967296,4294967296,4]", "[0,16]"), 16),
        safetensors(&one("F32", "[-1]", "[0,4]"), 16),
        safetensors(
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
            8,
        ),
        safetensors(
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
            8,
        ),
    ];
    for bytes in [&b"abc"[..], &u64::MAX.to_le_bytes(), &100_u64.to_le_bytes()] {
        let error = parse_safetensors(&mut MemorySource { bytes }, &limits()).unwrap_err();
        said.push(error.to_string());
    }
    for index in [r#"{"weight_map":{"a":"../../etc/passwd"}}"#, r#"{"weight_map":{}}"#, "7"] {
        said.push(parse_index("index", index.as_bytes(), &limits()).unwrap_err().to_string());
    }
    said.push(parse_config("config.json", b"[1]").unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"));
}

proptest! {
    #[test]
    fn no_change_to_a_file_makes_a_reader_panic(
        at in 0..6000_usize, with in proptest::collection::vec(any::<u8>(), 1..16), cut in 0..6000_usize,
    ) {
        let mut bytes = std::fs::read(data("tiny.gguf")).unwrap();
        bytes[at..at + with.len()].copy_from_slice(&with);
        let _ = gguf(&bytes);
        let _ = gguf(&bytes[..cut]);
        let mut bytes = std::fs::read(data("tiny.safetensors")).unwrap();
        let at = at % 200;
        bytes[at..at + with.len()].copy_from_slice(&with);
        let _ = parse_safetensors(&mut MemorySource { bytes: &bytes }, &limits());
    }
}

#[test]
fn the_seeds_of_the_fuzzers_are_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut count = 0;
    for reader in ["gguf", "safetensors", "config"] {
        for entry in std::fs::read_dir(corpus.join(reader)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let _ = gguf(&bytes);
            let _ = parse_safetensors(&mut MemorySource { bytes: &bytes }, &limits());
            let _ = parse_config("config.json", &bytes);
            let _ = parse_index("index", &bytes, &limits());
            count += 1;
        }
    }
    assert!(count >= 12, "{count}");
}

/// What the server does with a request for a path.
type Answer = fn(&str, Option<(u64, u64)>, &mut TcpStream);

/// A server on this machine, and the heads of the requests it got.
fn serve(answer: Answer) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, log) = (stream.unwrap(), Arc::clone(&log));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let range = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": bytes=")?;
                    let (from, to) = value.split_once('-')?;
                    let is = name.eq_ignore_ascii_case("range");
                    is.then_some((from.parse().ok()?, to.trim().parse().ok()?))
                });
                log.lock().unwrap().push(head);
                answer(&path, range, &mut stream);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read(&mut [0; 64]);
            });
        }
    });
    (address, seen)
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Serves a file of `data` with ranges.
fn ranged(name: &str, range: Option<(u64, u64)>, stream: &mut TcpStream) {
    let Ok(bytes) = std::fs::read(data(name)) else {
        return reply(stream, "404 Not Found", "", b"");
    };
    let Some((from, to)) = range else { return reply(stream, "200 OK", "", &bytes) };
    let to = to.min(bytes.len() as u64 - 1);
    let headers = format!("Content-Range: bytes {from}-{to}/{}\r\n", bytes.len());
    reply(stream, "206 Partial Content", &headers, &bytes[from as usize..=to as usize]);
}

fn url(address: &str, path: &str) -> Location {
    Location::parse(&format!("{address}/{path}")).unwrap()
}

#[test]
fn a_header_comes_by_range_requests() {
    let (address, seen) = serve(|path, range, stream| ranged(&path[1..], range, stream));
    let small = Limits { chunk: 4096, ..limits() };
    let file = read(&url(&address, "tiny.gguf"), &small).unwrap();
    assert_eq!(file.tensors, at(&data("tiny.gguf")).unwrap().tensors);
    assert!(file.read_bytes < file.header_bytes + 4096);
    assert!(seen.lock().unwrap().iter().all(|head| head.to_lowercase().contains("range: bytes=")));
    let split = read(&url(&address, "split-00001-of-00002.gguf"), &limits()).unwrap();
    assert_eq!((split.parts, split.tensors.len()), (2, 20));
}

#[test]
fn servers_that_misbehave_end_in_an_error() {
    let endless: Answer = |_, range, stream| {
        let Some((from, _)) = range else { return };
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-9999999999/10000000000\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        while stream.write_all(&[0; 8_192]).is_ok() {}
    };
    let cases: [(&str, Answer); 7] = [
        ("no ranges", |_, _, stream| reply(stream, "200 OK", "", &[0; 16_000])),
        ("hangs", |_, _, _| std::thread::sleep(Duration::from_secs(5))),
        ("sends 10 GB", endless),
        ("other range", |_, _, stream| {
            reply(stream, "206 Partial Content", "Content-Range: bytes 7-9/100\r\n", b"abc");
        }),
        ("gated", |_, _, stream| reply(stream, "403 Forbidden", "", b"")),
        ("broken", |_, _, stream| reply(stream, "503 Service Unavailable", "", b"")),
        ("circle", |path, _, stream| {
            reply(stream, "302 Found", &format!("Location: {path}\r\n"), b"");
        }),
    ];
    let mut said = Vec::new();
    for (name, answer) in cases {
        let (address, _) = serve(answer);
        let error = read(&url(&address, "m.gguf"), &limits()).unwrap_err().to_string();
        said.push(format!("{name}: {}", error.replace(&address, "http://server")));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_passing_failure_is_tried_again() {
    static FAILED: Mutex<bool> = Mutex::new(false);
    let (address, seen) = serve(|path, range, stream| {
        let first = !std::mem::replace(&mut *FAILED.lock().unwrap(), true);
        if first {
            reply(stream, "502 Bad Gateway", "", b"");
        } else {
            ranged(&path[1..], range, stream);
        }
    });
    assert!(read(&url(&address, "tiny.gguf"), &limits()).is_ok());
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[test]
fn the_token_goes_to_its_own_host_alone_and_into_no_message() {
    static ELSEWHERE: Mutex<String> = Mutex::new(String::new());
    let (other, other_seen) = serve(|_, range, stream| ranged("tiny.gguf", range, stream));
    other.clone_into(&mut ELSEWHERE.lock().unwrap());
    let (home, home_seen) = serve(|path, _, stream| {
        if path.contains("gated") {
            return reply(stream, "401 Unauthorized", "", b"");
        }
        let next = format!("Location: {}/blob?signature=hidden\r\n", ELSEWHERE.lock().unwrap());
        reply(stream, "302 Found", &next, b"");
    });
    let client = HttpClient::with_endpoint(&home, Some("hf_secret"), &limits()).unwrap();
    let source = client.open(format!("{home}/a/b/resolve/main/m.gguf").parse().unwrap());
    assert!(source.is_ok());
    assert!(home_seen.lock().unwrap()[0].contains("Bearer hf_secret"));
    assert!(!other_seen.lock().unwrap()[0].contains("hf_secret"));
    let error = client.open(format!("{home}/gated/m.gguf").parse().unwrap()).unwrap_err();
    let said = format!("{error} {error:?} {client:?}");
    assert!(said.contains("HF_TOKEN") && !said.contains("hf_secret"), "{said}");
}
