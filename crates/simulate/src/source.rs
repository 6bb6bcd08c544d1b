//! Who asks: agents in their loops, users that think, requests that come by themselves.

use std::sync::Arc;

use crate::random::{Quantity, Stream};
use crate::request::{Content, Request, Sequence};
use crate::time::Nanos;
use crate::workload::distribution::{Distribution, Sampler};
use crate::workload::{Agent, Arrival, Closed, Open, Role, Workload};

/// What a source brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It asks something now.
    Ask(Request),
    /// A source wants to be woken.
    Wake(Nanos, u32),
}

/// All sources of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    roles: Vec<Setup>,
    all: Vec<Source>,
}

/// What the sources of a role have in common.
#[derive(Clone, Debug)]
struct Setup {
    system: u64,
    system_tokens: u32,
    context: u32,
    kind: Kind,
    /// Its sources, as a range.
    sources: [u32; 2],
    /// Requests it may still make.
    left: u32,
}

#[derive(Clone, Debug)]
enum Kind {
    Agent(Arc<AgentSetup>),
    User {
        think: Sampler,
        prompt: Sampler,
        output: Sampler,
        image: Option<Sampler>,
        turns: Option<Sampler>,
    },
    Open {
        open: Box<Open>,
        prompt: Option<Sampler>,
        output: Option<Sampler>,
        image: Option<Sampler>,
    },
}

#[derive(Clone, Copy, Debug)]
struct AgentSetup {
    first: Sampler,
    new: Sampler,
    output: Sampler,
    tool: Sampler,
    steps: Sampler,
    pause: Sampler,
    compact_above: u32,
    compact_to: u32,
    spawned: bool,
    spawn: Option<Spawning>,
}

#[derive(Clone, Copy, Debug)]
struct Spawning {
    role: usize,
    probability: f64,
    count: Sampler,
    join: bool,
}

/// One agent, one user, or the arrivals of one role.
#[derive(Clone, Debug)]
struct Source {
    role: u32,
    streams: Streams,
    /// Number of the conversation.
    lineage: u64,
    /// Tokens of the context so far.
    tokens: u32,
    /// Steps of the task or turns of the conversation that are left; rows of a trace that are done.
    count: u32,
    /// Whether an agent has a task.
    active: bool,
    compacting: bool,
    parent: Option<u32>,
    /// Sub-agents an agent waits for.
    children: u32,
    joining: bool,
}

#[derive(Clone, Debug)]
struct Streams {
    arrival: Stream,
    prompt: Stream,
    output: Stream,
    image: Stream,
    pause: Stream,
    steps: Stream,
    spawn: Stream,
}

impl Sources {
    /// The sources of a checked workload.
    pub(crate) fn new(workload: &Workload, seed: u64, replicate: u64) -> Self {
        let (mut roles, mut all) = (Vec::new(), Vec::new());
        for (index, role) in workload.roles.iter().enumerate() {
            let from = all.len() as u32;
            for agent in 0..role.streams().unwrap_or(1) {
                let stream =
                    |what| Stream::new(seed, replicate, &role.name, u64::from(agent), what);
                all.push(Source {
                    role: index as u32,
                    streams: Streams {
                        arrival: stream(Quantity::Arrival),
                        prompt: stream(Quantity::Prompt),
                        output: stream(Quantity::Output),
                        image: stream(Quantity::Image),
                        pause: stream(Quantity::Pause),
                        steps: stream(Quantity::Steps),
                        spawn: stream(Quantity::Spawn),
                    },
                    lineage: 0,
                    tokens: 0,
                    count: 0,
                    active: !role.agent.as_ref().is_some_and(|agent| agent.spawned),
                    compacting: false,
                    parent: None,
                    children: 0,
                    joining: false,
                });
            }
            roles.push(setup(workload, role, index, [from, all.len() as u32]));
        }
        Self { roles, all }
    }

    /// Wakes everybody for the first time.
    pub(crate) fn start(&mut self, effects: &mut Vec<Effect>) {
        for (index, source) in self.all.iter_mut().enumerate() {
            let at = match &self.roles[source.role as usize].kind {
                Kind::Agent(agent) if source.active => agent.tool.time(&mut source.streams.pause),
                Kind::Agent(_) => continue,
                Kind::User { think, .. } => think.time(&mut source.streams.pause),
                Kind::Open { open, .. } => match next_arrival(open, source) {
                    Some(gap) => gap,
                    None => continue,
                },
            };
            effects.push(Effect::Wake(at, index as u32));
        }
    }

    /// A source is woken.
    pub(crate) fn wake(&mut self, index: u32, now: Nanos, effects: &mut Vec<Effect>) {
        let role = self.all[index as usize].role as usize;
        match &self.roles[role].kind {
            Kind::Agent(agent) => {
                let agent = Arc::clone(agent);
                self.step(index, &agent, now, effects);
            }
            Kind::User { .. } => self.turn(index, now, effects),
            Kind::Open { .. } => self.arrive(index, now, effects),
        }
    }

    /// An answer came to a source, or its request was given up.
    pub(crate) fn ended(
        &mut self,
        index: u32,
        answer: Option<&Sequence>,
        now: Nanos,
        effects: &mut Vec<Effect>,
    ) {
        let source = &mut self.all[index as usize];
        let role = source.role as usize;
        match (&self.roles[role].kind, answer) {
            (Kind::Open { .. }, _) => {}
            (Kind::User { think, .. }, answer) => {
                match answer {
                    Some(answer) => source.tokens += answer.generated,
                    None => source.count = 0,
                }
                effects.push(Effect::Wake(now + think.time(&mut source.streams.pause), index));
            }
            (Kind::Agent(agent), answer) => {
                let agent = Arc::clone(agent);
                self.agent_ended(index, &agent, answer, now, effects);
            }
        }
    }

    /// The next step of an agent.
    fn step(&mut self, index: u32, agent: &AgentSetup, now: Nanos, effects: &mut Vec<Effect>) {
        let source = &mut self.all[index as usize];
        let setup = &self.roles[source.role as usize];
        if !source.active {
            return;
        }
        if source.count == 0 {
            source.count = agent.steps.count(&mut source.streams.steps, 1);
            source.lineage += 1;
            source.tokens = (setup.system_tokens
                + agent.first.count(&mut source.streams.prompt, 1))
            .min(agent.compact_above);
        } else {
            source.tokens += agent.new.count(&mut source.streams.prompt, 1);
        }
        if source.tokens > agent.compact_above {
            // What is left of the context is written by the model itself.
            source.compacting = true;
            let output = agent.compact_to.max(1);
            source.tokens = source.tokens.min(setup.context - output.min(setup.context - 1));
            effects.push(Effect::Ask(source.ask(setup, index, output, 0, now)));
        } else {
            let output = agent.output.count(&mut source.streams.output, 1);
            effects.push(Effect::Ask(source.ask(setup, index, output, 0, now)));
        }
    }

    fn agent_ended(
        &mut self,
        index: u32,
        agent: &AgentSetup,
        answer: Option<&Sequence>,
        now: Nanos,
        effects: &mut Vec<Effect>,
    ) {
        /// Somebody looks into it before the agent goes on.
        const TROUBLE: Nanos = Nanos::new(1_000_000_000);
        let source = &mut self.all[index as usize];
        let setup = &self.roles[source.role as usize];
        let Some(answer) = answer else {
            source.count = 0;
            source.compacting = false;
            self.task_done(index, now + TROUBLE, effects);
            return;
        };
        if source.compacting {
            source.compacting = false;
            source.lineage += 1;
            source.tokens = (setup.system_tokens + agent.compact_to).min(agent.compact_above);
            let output = agent.output.count(&mut source.streams.output, 1);
            effects.push(Effect::Ask(source.ask(setup, index, output, 0, now)));
            return;
        }
        source.tokens += answer.generated;
        source.count -= 1;
        let tool = agent.tool.time(&mut source.streams.pause);
        if let Some(spawning) = agent.spawn {
            self.spawn(index, spawning, now, effects);
        }
        let source = &mut self.all[index as usize];
        if source.children > 0 {
            source.joining = true;
        } else if source.count > 0 {
            effects.push(Effect::Wake(now + tool, index));
        } else {
            let pause = agent.pause.time(&mut source.streams.pause);
            self.task_done(index, now + pause, effects);
        }
    }

    /// Perhaps starts sub-agents.
    fn spawn(&mut self, index: u32, spawning: Spawning, now: Nanos, effects: &mut Vec<Effect>) {
        let stream = &mut self.all[index as usize].streams.spawn;
        let (chance, count) = (stream.unit(), spawning.count.count(stream, 1));
        if chance >= spawning.probability {
            return;
        }
        let [from, to] = self.roles[spawning.role].sources;
        let idle: Vec<u32> =
            (from..to).filter(|one| !self.all[*one as usize].active).take(count as usize).collect();
        for child in idle {
            let one = &mut self.all[child as usize];
            one.active = true;
            one.count = 0;
            one.parent = spawning.join.then_some(index);
            if spawning.join {
                self.all[index as usize].children += 1;
            }
            effects.push(Effect::Wake(now, child));
        }
    }

    /// An agent's task is done: a sub-agent goes to sleep, another one starts the next at `next`.
    fn task_done(&mut self, index: u32, next: Nanos, effects: &mut Vec<Effect>) {
        let source = &mut self.all[index as usize];
        let kind = &self.roles[source.role as usize].kind;
        if !matches!(kind, Kind::Agent(agent) if agent.spawned) {
            effects.push(Effect::Wake(next, index));
            return;
        }
        source.active = false;
        let Some(parent) = source.parent.take() else { return };
        let waiting = &mut self.all[parent as usize];
        waiting.children -= 1;
        if waiting.children == 0 && waiting.joining {
            waiting.joining = false;
            effects.push(Effect::Wake(next, parent));
        }
    }

    /// The next question of a user.
    fn turn(&mut self, index: u32, now: Nanos, effects: &mut Vec<Effect>) {
        let source = &mut self.all[index as usize];
        let setup = &mut self.roles[source.role as usize];
        let Kind::User { prompt, output, image, turns, .. } = &setup.kind else { return };
        if setup.left == 0 {
            return;
        }
        let question = prompt.count(&mut source.streams.prompt, 1);
        let images = image.map_or(0, |image| image.count(&mut source.streams.image, 1));
        let answer = output.count(&mut source.streams.output, 1);
        if source.count == 0 || source.tokens + question + images + answer > setup.context {
            source.count = turns.map_or(1, |turns| turns.count(&mut source.streams.steps, 1));
            source.lineage += 1;
            source.tokens = setup.system_tokens;
        }
        source.count -= 1;
        source.tokens = (source.tokens + question + images).min(setup.context - 1);
        setup.left -= 1;
        effects.push(Effect::Ask(source.ask(setup, index, answer, images, now)));
    }

    /// A request that comes by itself, and when the next one comes.
    fn arrive(&mut self, index: u32, now: Nanos, effects: &mut Vec<Effect>) {
        let source = &mut self.all[index as usize];
        let setup = &mut self.roles[source.role as usize];
        let Kind::Open { open, prompt, output, image } = &setup.kind else { return };
        let at_once = if open.arrival == Arrival::Burst { setup.left } else { 1.min(setup.left) };
        for _ in 0..at_once {
            let row = open.rows.get(source.count as usize);
            let mut draw = |sampler: &Option<Sampler>, given: Option<u32>| {
                given
                    .or_else(|| sampler.map(|sampler| sampler.count(&mut source.streams.prompt, 1)))
            };
            let question = draw(prompt, row.map(|row| row.prompt_tokens)).unwrap_or(1);
            let answer = row
                .map(|row| row.output_tokens)
                .or_else(|| output.map(|output| output.count(&mut source.streams.output, 1)));
            let images = image.map_or(0, |image| image.count(&mut source.streams.image, 1));
            source.count += 1;
            source.lineage += 1;
            source.tokens = (setup.system_tokens + question + images).min(setup.context - 1);
            setup.left -= 1;
            effects.push(Effect::Ask(source.ask_of(
                setup.system,
                setup.system_tokens,
                setup.context,
                index,
                answer.unwrap_or(1),
                images,
                now,
            )));
        }
        if setup.left > 0
            && let Some(gap) = next_arrival(open, source)
        {
            let at = if open.arrival == Arrival::Trace { gap.max(now) } else { now + gap };
            effects.push(Effect::Wake(at, index));
        }
    }
}

/// When the next request comes: a gap, or the time itself in a trace.
fn next_arrival(open: &Open, source: &mut Source) -> Option<Nanos> {
    let stream = &mut source.streams.arrival;
    let mean = 1.0 / open.rate_per_s.unwrap_or(1.0);
    let seconds = match open.arrival {
        Arrival::Constant => mean,
        Arrival::Poisson => mean * stream.exponential(),
        Arrival::Gamma => mean * stream.gamma(open.burstiness.unwrap_or(1.0)),
        Arrival::Trace => open.rows.get(source.count as usize)?.arrival_s,
        Arrival::Burst => 0.0,
    };
    Some(Nanos::of(localrig_facts::unit::Seconds::new(seconds)))
}

impl Source {
    fn ask(&self, setup: &Setup, index: u32, output: u32, images: u32, now: Nanos) -> Request {
        let (system, tokens) = (setup.system, setup.system_tokens);
        self.ask_of(system, tokens, setup.context, index, output, images, now)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a request, in one place")]
    fn ask_of(
        &self,
        system: u64,
        system_tokens: u32,
        context: u32,
        index: u32,
        output: u32,
        image_tokens: u32,
        now: Nanos,
    ) -> Request {
        Request {
            role: self.role,
            source: index,
            arrival: now,
            content: Content {
                system,
                system_tokens,
                own: (u64::from(index) + 1) << 32 | self.lineage,
                tokens: self.tokens,
            },
            output: output.min(context.saturating_sub(self.tokens)).max(1),
            image_tokens,
        }
    }
}

/// The samplers of a role; a checked workload has only distributions that can be drawn from.
fn setup(workload: &Workload, role: &Role, index: usize, sources: [u32; 2]) -> Setup {
    let sampler = |distribution: &Distribution| {
        distribution.sampler().expect("`Workload::check` has tried every distribution")
    };
    let (kind, left) = match role {
        Role { agent: Some(agent), .. } => {
            (Kind::Agent(Arc::new(agent_setup(workload, role, agent, &sampler))), u32::MAX)
        }
        Role { closed: Some(closed), .. } => {
            let Closed {
                think_s, prompt_tokens, output_tokens, image_tokens, turns, requests, ..
            } = closed;
            let kind = Kind::User {
                think: sampler(think_s),
                prompt: sampler(prompt_tokens),
                output: sampler(output_tokens),
                image: image_tokens.as_ref().map(sampler),
                turns: turns.as_ref().map(sampler),
            };
            (kind, requests.unwrap_or(u32::MAX))
        }
        Role { open, .. } => {
            let open = open.clone().expect("`Workload::check` has seen one of the three");
            let [prompt, output, image] =
                [&open.prompt_tokens, &open.output_tokens, &open.image_tokens]
                    .map(|one| one.as_ref().map(sampler));
            let rows =
                if open.arrival == Arrival::Trace { open.rows.len() as u32 } else { u32::MAX };
            let left = open.requests.unwrap_or(u32::MAX).min(rows);
            (Kind::Open { open: Box::new(open), prompt, output, image }, left)
        }
    };
    Setup {
        system: if role.system_tokens > 0 { index as u64 + 1 } else { 0 },
        system_tokens: role.system_tokens,
        context: role.context_tokens,
        kind,
        sources,
        left,
    }
}

fn agent_setup(
    workload: &Workload,
    role: &Role,
    agent: &Agent,
    sampler: &dyn Fn(&Distribution) -> Sampler,
) -> AgentSetup {
    let room = role.context_tokens - role.system_tokens;
    AgentSetup {
        first: sampler(&agent.first_tokens),
        new: sampler(&agent.new_tokens),
        output: sampler(&agent.output_tokens),
        tool: sampler(&agent.tool_s),
        steps: sampler(&agent.steps),
        pause: agent.pause_s.as_ref().map_or_else(|| sampler(&agent.tool_s), sampler),
        compact_above: ((f64::from(role.context_tokens) * agent.compact_at) as u32)
            .clamp(role.system_tokens + 1, role.context_tokens - 1),
        compact_to: agent.compact_to_tokens.min(room / 2),
        spawned: agent.spawned,
        spawn: agent.spawn.as_ref().and_then(|spawn| {
            Some(Spawning {
                role: workload.roles.iter().position(|one| one.name == spawn.role)?,
                probability: spawn.probability,
                count: sampler(&spawn.count),
                join: spawn.join,
            })
        }),
    }
}
