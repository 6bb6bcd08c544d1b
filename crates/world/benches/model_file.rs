//! Time to read the header of a model file of real size: 60 GB, 151,936 tokens, 752 tensors. It should
//! stay below 50 ms.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "writes the file that is read"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use localrig_world::model_file::{Limits, Location, read};

#[path = "../tests/real_size/mod.rs"]
mod real_size;

fn header(bench: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.gguf");
    let header_bytes = real_size::write(&path).unwrap();
    let location = Location::Path(path);
    let limits = Limits::default();
    let mut group = bench.benchmark_group("model file");
    group.throughput(Throughput::Bytes(header_bytes));
    group.bench_function("header of 60 GB", |bench| {
        bench.iter(|| black_box(read(&location, &limits).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, header);
criterion_main!(benches);
