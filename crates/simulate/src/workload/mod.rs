//! A workload: who asks for what, how often, and what counts as good, as data.

pub mod distribution;
pub mod trace;

use std::collections::BTreeMap;

use localrig_facts::document::{DocumentError, from_toml};
use localrig_facts::unit::{Seconds, TokensPerSec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::distribution::Distribution;
use self::trace::{TraceRow, parse_trace};

/// A workload file: `workloads/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What it is, for people.
    pub name: String,
    /// How long it runs.
    pub run: Extent,
    /// Who asks; the first role is the main one.
    #[serde(rename = "role")]
    pub roles: Vec<Role>,
}

/// How long a workload runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// Simulated time before anything is counted.
    #[serde(default)]
    pub warm_up_s: f64,
    /// Simulated time that is counted; absent = until every request is answered, which only
    /// workloads with a known number of requests come to.
    pub duration_s: Option<f64>,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Name.
    pub name: String,
    /// Longest context of one stream in tokens: prompt and answer together.
    pub context_tokens: u32,
    /// System prompt and tools: the same first tokens in every prompt of the role.
    #[serde(default)]
    pub system_tokens: u32,
    /// Agents that work in loops of model and tools.
    pub agent: Option<Agent>,
    /// Users that wait for their answer before they ask again.
    pub closed: Option<Closed>,
    /// Requests that come whether or not earlier ones are answered.
    pub open: Option<Open>,
    /// What counts as good.
    #[serde(default)]
    pub limit: Limit,
}

/// Agents that work in loops: every step sends the whole context, most of which is cached, and adds
/// the answer and the result of a tool to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// How many.
    pub streams: u32,
    /// First prompt of a task, behind the system prompt.
    pub first_tokens: Distribution,
    /// Tokens each further step adds: results of tools.
    pub new_tokens: Distribution,
    /// Tokens each step generates.
    pub output_tokens: Distribution,
    /// Time of a tool.
    pub tool_s: Distribution,
    /// Steps of a task.
    pub steps: Distribution,
    /// Time between two tasks.
    #[serde(default)]
    pub pause_s: Option<Distribution>,
    /// Share of the context at which it is compacted.
    #[serde(default = "usual_compact_at")]
    pub compact_at: f64,
    /// What is left of the context then, behind the system prompt.
    #[serde(default)]
    pub compact_to_tokens: u32,
    /// Whether it waits until another role starts it, instead of working on its own.
    #[serde(default)]
    pub spawned: bool,
    /// Sub-agents it starts.
    pub spawn: Option<Spawn>,
}

const fn usual_compact_at() -> f64 {
    0.8
}

/// Sub-agents that an agent starts between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// Role of the sub-agents, which must be `spawned`.
    pub role: String,
    /// How likely a step is to start some.
    pub probability: f64,
    /// How many at once, as far as that many are idle.
    pub count: Distribution,
    /// Whether the agent waits until all of them are done.
    pub join: bool,
}

/// Users that wait for their answer, think, and ask again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// How many.
    pub streams: u32,
    /// Time between an answer and the next question.
    pub think_s: Distribution,
    /// Tokens of a question.
    pub prompt_tokens: Distribution,
    /// Tokens of an answer.
    pub output_tokens: Distribution,
    /// Tokens of the images of a question.
    pub image_tokens: Option<Distribution>,
    /// Questions of a conversation, each of which sends what was said before; 1 = none does.
    pub turns: Option<Distribution>,
    /// Questions of all users together; absent = without end.
    pub requests: Option<u32>,
}

/// Requests that come whether or not earlier ones are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// How they come.
    pub arrival: Arrival,
    /// Requests per second; not with a trace.
    pub rate_per_s: Option<f64>,
    /// Shape of the gamma distribution of the gaps: 1 is Poisson, less is burstier.
    pub burstiness: Option<f64>,
    /// File with the requests: columns `arrival_s`, `prompt_tokens`, `output_tokens`.
    pub trace: Option<String>,
    /// Requests in all; absent = without end.
    pub requests: Option<u32>,
    /// Tokens of a prompt; not with a trace.
    pub prompt_tokens: Option<Distribution>,
    /// Tokens of an answer; not with a trace.
    pub output_tokens: Option<Distribution>,
    /// Tokens of the images of a prompt.
    pub image_tokens: Option<Distribution>,
    /// Requests the engine has room for at the same time; absent = the default of the engine.
    pub slots: Option<u32>,
    /// What the trace file contains.
    #[serde(skip)]
    pub rows: Vec<TraceRow>,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// At equal distances.
    Constant,
    /// Independently of each other.
    Poisson,
    /// With gaps of a gamma distribution.
    Gamma,
    /// When a file says.
    Trace,
    /// All at the start.
    Burst,
}

/// What counts as a good answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Longest time to the first token in seconds.
    pub ttft_s: Option<f64>,
    /// Least speed of a stream after the first token.
    pub speed_minimum_tok_per_s: Option<TokensPerSec>,
}

impl Limit {
    /// Whether an answer is good: its time to the first token, and the mean gap between its tokens.
    pub fn holds(&self, ttft: Seconds, gap: Option<Seconds>) -> bool {
        let slowest = self.speed_minimum_tok_per_s.map(|speed| 1.0 / speed.get());
        self.ttft_s.is_none_or(|most| ttft.get() <= most)
            && slowest.is_none_or(|most| gap.is_none_or(|gap| gap.get() <= most))
    }
}

impl Role {
    /// Streams it has at the same time; `None` for requests that come by themselves.
    pub fn streams(&self) -> Option<u32> {
        self.agent
            .as_ref()
            .map(|agent| agent.streams)
            .or_else(|| self.closed.as_ref().map(|closed| closed.streams))
    }

    /// Requests the engine has room for at the same time: its streams; for requests that come by
    /// themselves what the workload says, if it does.
    pub fn slots(&self) -> Option<u32> {
        self.streams().or_else(|| self.open.as_ref()?.slots)
    }

    /// Whether its prompts have images.
    pub fn has_images(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.image_tokens.is_some())
            || self.open.as_ref().is_some_and(|open| open.image_tokens.is_some())
    }

    /// The same role with another number of streams; open loops keep theirs.
    pub fn set_streams(&mut self, streams: u32) {
        if let Some(agent) = &mut self.agent {
            agent.streams = streams;
        }
        if let Some(closed) = &mut self.closed {
            closed.streams = streams;
        }
    }

    /// Every distribution with the key it stands under.
    fn distributions(&self) -> Vec<(&'static str, Distribution)> {
        let mut found = Vec::new();
        if let Some(agent) = &self.agent {
            found.extend([
                ("agent.first_tokens", agent.first_tokens),
                ("agent.new_tokens", agent.new_tokens),
                ("agent.output_tokens", agent.output_tokens),
                ("agent.tool_s", agent.tool_s),
                ("agent.steps", agent.steps),
            ]);
            found.extend(agent.pause_s.map(|one| ("agent.pause_s", one)));
            found.extend(agent.spawn.as_ref().map(|one| ("agent.spawn.count", one.count)));
        }
        if let Some(closed) = &self.closed {
            found.extend([
                ("closed.think_s", closed.think_s),
                ("closed.prompt_tokens", closed.prompt_tokens),
                ("closed.output_tokens", closed.output_tokens),
            ]);
            found.extend(closed.image_tokens.map(|one| ("closed.image_tokens", one)));
            found.extend(closed.turns.map(|one| ("closed.turns", one)));
        }
        if let Some(open) = &self.open {
            found.extend(open.prompt_tokens.map(|one| ("open.prompt_tokens", one)));
            found.extend(open.output_tokens.map(|one| ("open.output_tokens", one)));
            found.extend(open.image_tokens.map(|one| ("open.image_tokens", one)));
        }
        found
    }
}

/// A workload that contradicts itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// It does not have its shape.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A value makes no sense.
    #[error("{path}: {key}: {problem}")]
    Value {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A trace that a role names was not given.
    #[error("{path}: role {role}: open.trace: there is no file `{trace}`")]
    NoTrace {
        /// The workload.
        path: String,
        /// The role.
        role: String,
        /// The file.
        trace: String,
    },
}

impl Workload {
    /// Reads a workload; `traces` are the texts of the files its roles name, by those names.
    ///
    /// # Errors
    /// When the text has an unknown key or a value that makes no sense; the error names the place.
    pub fn parse(
        path: &str,
        text: &str,
        traces: &BTreeMap<String, String>,
    ) -> Result<Self, WorkloadError> {
        let mut workload: Self = from_toml(path, text)?;
        for role in &mut workload.roles {
            let Some(open) = &mut role.open else { continue };
            let Some(name) = &open.trace else { continue };
            let text = traces.get(name).ok_or_else(|| WorkloadError::NoTrace {
                path: path.to_owned(),
                role: role.name.clone(),
                trace: name.clone(),
            })?;
            open.rows = parse_trace(name, text)?;
        }
        workload.check(path)?;
        Ok(workload)
    }

    /// Names of the trace files that a workload's text refers to, without checking anything else.
    ///
    /// # Errors
    /// When the text does not have the shape of a workload.
    pub fn traces(path: &str, text: &str) -> Result<Vec<String>, WorkloadError> {
        let workload: Self = from_toml(path, text)?;
        let open = workload.roles.into_iter().filter_map(|role| role.open);
        Ok(open.filter_map(|open| open.trace).collect())
    }

    /// Checks what the types cannot; call it again after changing fields.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn check(&self, path: &str) -> Result<(), WorkloadError> {
        let wrong = |key: String, problem: &str| WorkloadError::Value {
            path: path.to_owned(),
            key,
            problem: problem.to_owned(),
        };
        if self.roles.is_empty() {
            return Err(wrong("role".to_owned(), "at least one role is needed"));
        }
        if !(self.run.warm_up_s >= 0.0 && self.run.warm_up_s.is_finite()) {
            return Err(wrong("run.warm_up_s".to_owned(), "must be at least 0"));
        }
        if self.run.duration_s.is_some_and(|time| !(time > 0.0 && time <= 1e6)) {
            return Err(wrong("run.duration_s".to_owned(), "must be above 0 and at most 1000000"));
        }
        for role in &self.roles {
            self.check_role(role)
                .map_err(|(key, problem)| wrong(format!("role {}: {key}", role.name), problem))?;
        }
        Ok(())
    }

    fn check_role(&self, role: &Role) -> Result<(), (&'static str, &'static str)> {
        if self.roles.iter().filter(|one| one.name == role.name).count() > 1 {
            return Err(("name", "stands twice"));
        }
        if role.context_tokens <= role.system_tokens {
            return Err(("context_tokens", "must be more than `system_tokens`"));
        }
        let kinds = [role.agent.is_some(), role.closed.is_some(), role.open.is_some()];
        if kinds.into_iter().filter(|one| *one).count() != 1 {
            return Err(("name", "needs exactly one of `agent`, `closed` and `open`"));
        }
        if role.streams() == Some(0) {
            return Err(("streams", "must be at least 1"));
        }
        for (key, distribution) in role.distributions() {
            distribution.sampler().map_err(|problem| (key, problem))?;
        }
        let endless = "never ends: give `run.duration_s`";
        if let Some(agent) = &role.agent {
            if !(agent.compact_at > 0.0 && agent.compact_at <= 1.0) {
                return Err(("agent.compact_at", "must be above 0 and at most 1"));
            }
            if self.run.duration_s.is_none() {
                return Err(("agent", endless));
            }
            if let Some(spawn) = &agent.spawn {
                let other = self.roles.iter().find(|one| one.name == spawn.role);
                if !other.and_then(|one| one.agent.as_ref()).is_some_and(|one| one.spawned) {
                    return Err(("agent.spawn.role", "is no role whose agents are `spawned`"));
                }
                if !(0.0..=1.0).contains(&spawn.probability) {
                    return Err(("agent.spawn.probability", "must be between 0 and 1"));
                }
            }
        }
        if role.closed.as_ref().is_some_and(|closed| closed.requests.is_none())
            && self.run.duration_s.is_none()
        {
            return Err(("closed.requests", endless));
        }
        role.open.as_ref().map_or(Ok(()), |open| self.check_open(open))
    }

    fn check_open(&self, open: &Open) -> Result<(), (&'static str, &'static str)> {
        let traced = open.arrival == Arrival::Trace;
        if traced != open.trace.is_some() {
            return Err(("open.trace", "is needed with `arrival = \"trace\"`, and only then"));
        }
        let paced = !traced && open.arrival != Arrival::Burst;
        if paced != open.rate_per_s.is_some() {
            return Err((
                "open.rate_per_s",
                "is needed unless requests come in a trace or a burst",
            ));
        }
        if open.rate_per_s.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err(("open.rate_per_s", "must be above 0"));
        }
        if (open.arrival == Arrival::Gamma) != open.burstiness.is_some()
            || open.burstiness.is_some_and(|shape| !(shape > 0.0 && shape.is_finite()))
        {
            return Err((
                "open.burstiness",
                "must be above 0 with `arrival = \"gamma\"`, and only then",
            ));
        }
        if open.slots == Some(0) {
            return Err(("open.slots", "must be at least 1"));
        }
        if traced == (open.prompt_tokens.is_some() || open.output_tokens.is_some())
            || open.prompt_tokens.is_some() != open.output_tokens.is_some()
        {
            return Err((
                "open.prompt_tokens",
                "prompt and output are both needed, unless a trace has them",
            ));
        }
        if open.arrival == Arrival::Burst && open.requests.is_none() {
            return Err(("open.requests", "is needed with `arrival = \"burst\"`"));
        }
        if !traced && open.requests.is_none() && self.run.duration_s.is_none() {
            return Err(("open.requests", "never ends: give `run.duration_s`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME_OFFICE: &str = include_str!("../../../../workloads/home-office.toml");

    fn parse(text: &str) -> Result<Workload, WorkloadError> {
        Workload::parse("mine.toml", text, &BTreeMap::new())
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_key() {
        let say = |from: &str, to: &str| {
            assert!(HOME_OFFICE.contains(from), "{from}");
            parse(&HOME_OFFICE.replacen(from, to, 1)).unwrap_err().to_string()
        };
        let said = [
            say("streams = 4", "streams = 0"),
            say("streams = 4", "strems = 4"),
            say("role = \"sub-agent\"", "role = \"main\""),
            say("duration_s = 900", "duration_s = -1"),
            say("duration_s = 900\n", "\n"),
            say("arrival = \"poisson\"", "arrival = \"trace\""),
            say("compact_at = 0.8", "compact_at = 8"),
            say("name = \"vision\"", "name = \"main\""),
        ]
        .join("\n");
        insta::assert_snapshot!(said, @r#"
        mine.toml: role sub-agent: streams: must be at least 1
        mine.toml:46:1: unknown key `strems`
           |
        46 | strems = 4
           | ^^^^^^
        mine.toml: role main: agent.spawn.role: is no role whose agents are `spawned`
        mine.toml: run.duration_s: must be above 0 and at most 1000000
        mine.toml: role main: agent: never ends: give `run.duration_s`
        mine.toml: role vision: open.trace: is needed with `arrival = "trace"`, and only then
        mine.toml: role main: agent.compact_at: must be above 0 and at most 1
        mine.toml: role main: name: stands twice
        "#);
    }

    #[test]
    fn a_trace_that_is_not_there_is_named() {
        let text = "name = \"x\"\n[run]\n[[role]]\nname = \"a\"\ncontext_tokens = 100\n\
                    [role.open]\narrival = \"trace\"\ntrace = \"mine.csv\"\n";
        assert_eq!(Workload::traces("mine.toml", text).unwrap(), ["mine.csv"]);
        insta::assert_snapshot!(
            parse(text).unwrap_err(),
            @"mine.toml: role a: open.trace: there is no file `mine.csv`"
        );
    }
}
