//! What happened in a run, step by step, and as a trace that viewers open.

use serde_json::{Value, json};

use crate::request::Sequence;
use crate::time::Nanos;

/// Steps and requests of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Steps in the order they began.
    pub steps: Vec<StepSpan>,
    /// Requests in the order they were answered.
    pub requests: Vec<RequestSpan>,
    /// When it begins.
    from: Nanos,
    /// Most steps that are kept.
    most: usize,
    /// Where the step in flight of each server is.
    open: Vec<Option<usize>>,
}

/// A step of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepSpan {
    /// The server.
    pub server: u32,
    /// When it began.
    pub begin: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// Streams that generated a token.
    pub streams: u32,
    /// Prompt tokens.
    pub prompt_tokens: u32,
}

/// A request from beginning to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSpan {
    /// The role.
    pub role: u32,
    /// The stream.
    pub source: u32,
    /// When it came.
    pub arrival: Nanos,
    /// When its first token came.
    pub first: Nanos,
    /// When its last token came.
    pub last: Nanos,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// … of those, from the cache.
    pub cached_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
}

impl Record {
    /// A record of what begins at `from` or later, that keeps at most so many steps.
    pub fn new(from: Nanos, most: usize) -> Self {
        Self { steps: Vec::new(), requests: Vec::new(), from, most, open: Vec::new() }
    }

    pub(crate) fn step_begin(&mut self, span: StepSpan) {
        let server = span.server as usize;
        if server >= self.open.len() {
            self.open.resize(server + 1, None);
        }
        if span.begin >= self.from && self.steps.len() < self.most {
            self.open[server] = Some(self.steps.len());
            self.steps.push(span);
        }
    }

    pub(crate) fn step_end(&mut self, server: u32, now: Nanos) {
        if let Some(index) = self.open.get_mut(server as usize).and_then(Option::take) {
            self.steps[index].end = now;
        }
    }

    pub(crate) fn request(&mut self, sequence: &Sequence) {
        let request = &sequence.request;
        if request.arrival >= self.from && self.steps.len() < self.most {
            self.requests.push(RequestSpan {
                role: request.role,
                source: request.source,
                arrival: request.arrival,
                first: sequence.first,
                last: sequence.last,
                prompt_tokens: request.content.tokens,
                cached_tokens: sequence.cached,
                output_tokens: sequence.generated,
            });
        }
    }

    /// When the record begins.
    pub fn begin(&self) -> Nanos {
        self.from
    }

    /// When the record ends.
    pub fn end(&self) -> Nanos {
        let steps = self.steps.iter().map(|span| span.end).filter(|end| *end < Nanos::MAX);
        steps.max().unwrap_or(Nanos::ZERO)
    }

    /// The record in the trace event format of Chrome, which Perfetto and `chrome://tracing` open:
    /// a process for the servers with a row each, and a process for each role with a row for every
    /// stream, in which waiting for the first token and generating are told apart.
    pub fn chrome_trace(&self, servers: &[String], roles: &[String]) -> Value {
        let micros = |time: Nanos| json!(time.get() as f64 / 1e3);
        let mut events = Vec::new();
        let mut name = |kind: &str, process: usize, thread: usize, name: &str| {
            events.push(json!({
                "ph": "M", "name": kind, "pid": process, "tid": thread, "args": { "name": name },
            }));
        };
        name("process_name", 0, 0, "engines");
        for (index, server) in servers.iter().enumerate() {
            name("thread_name", 0, index, server);
        }
        for (index, role) in roles.iter().enumerate() {
            name("process_name", index + 1, 0, role);
        }
        for span in self.steps.iter().filter(|span| span.end < Nanos::MAX) {
            let what = match (span.streams, span.prompt_tokens) {
                (_, 0) => "generate",
                (0, _) => "prompt",
                _ => "generate and prompt",
            };
            events.push(json!({
                "ph": "X", "name": what, "pid": 0, "tid": span.server,
                "ts": micros(span.begin), "dur": micros(span.end.since(span.begin)),
                "args": { "streams": span.streams, "prompt_tokens": span.prompt_tokens },
            }));
        }
        for span in &self.requests {
            let mut part = |what: &str, begin: Nanos, end: Nanos| {
                events.push(json!({
                    "ph": "X", "name": what, "pid": span.role + 1, "tid": span.source,
                    "ts": micros(begin), "dur": micros(end.since(begin)),
                    "args": {
                        "prompt_tokens": span.prompt_tokens,
                        "cached_tokens": span.cached_tokens,
                        "output_tokens": span.output_tokens,
                    },
                }));
            };
            part("until the first token", span.arrival, span.first);
            part("answer", span.first, span.last);
        }
        json!({ "displayTimeUnit": "ms", "traceEvents": events })
    }
}
