//! One run: events until the end of the workload.

use localrig_facts::unit::Seconds;

use crate::engine::{Policy, Steady};
use crate::meter::Meter;
use crate::queue::Queue;
use crate::record::{Record, StepSpan};
use crate::request::{Request, Sequence};
use crate::residency::{Ready, Residency};
use crate::scenario::Scenario;
use crate::sharing::{Sharing, rates, share_time};
use crate::source::{Effect, Sources};
use crate::step::{Batch, Cost};
use crate::time::Nanos;
use crate::workload::Workload;

/// What one run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Counts by role.
    pub meter: Meter,
    /// Counts by server.
    pub servers: Vec<ServerCount>,
    /// Time each device was busy while things were counted.
    pub busy: Vec<Nanos>,
    /// Time that was counted.
    pub window: Nanos,
    /// What happened, if it was to be recorded.
    pub record: Option<Record>,
}

/// Counts of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCount {
    /// Steps it took.
    pub steps: u64,
    /// Most tokens of cache it used.
    pub high_water: u64,
    /// Sequences that lost their cache.
    pub preemptions: u64,
    /// Times its model was loaded.
    pub loads: u64,
    /// Requests it had not answered in the middle of the counted time.
    pub outstanding_middle: u64,
    /// … and at the end.
    pub outstanding_end: u64,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A source wants to act.
    Wake(u32),
    /// A server has something new to look at.
    Look(u32),
    /// A model is loaded.
    Loaded(u32),
    /// Half of the counted time is over.
    Middle,
}

/// A server at work.
struct Working {
    policy: Box<dyn Policy>,
    /// The step in flight.
    flight: Option<Flight>,
    /// What is known of the steps after it.
    course: Course,
    /// Whether a look is due anyway.
    looked: bool,
    /// The servers that use one of its devices, itself among them.
    beside: Vec<usize>,
    count: ServerCount,
}

/// A step in flight.
#[derive(Clone, Copy, Debug)]
struct Flight {
    cost: Cost,
    began: Nanos,
    /// Nanoseconds it would still take alone, when it was last looked at.
    rest: f64,
    rate: f64,
    seen: Nanos,
}

/// A server's way from one step to others like it, that its policy has not been told of yet.
#[derive(Clone, Debug, Default)]
struct Course {
    /// Steps that are still certain after the one in flight.
    left: u32,
    /// Steps that have been done since the policy was told.
    done: u32,
    /// When the tokens of the step before were seen.
    seen: Nanos,
    lags: bool,
    /// Tokens in the context of each stream.
    depths: Vec<u32>,
    /// Roles with their numbers of streams.
    roles: Vec<(u32, u64)>,
}

/// A device at work.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    flights: u32,
    since: Nanos,
    busy: Nanos,
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    queue: Queue<Event>,
    sources: Sources,
    servers: Vec<Working>,
    /// When the step in flight of each server ends at its rate; [`Nanos::MAX`] when there is none.
    ends: Vec<Nanos>,
    devices: Vec<Load>,
    residency: Residency,
    /// The server each source was last sent to.
    last: Vec<Option<u32>>,
    meter: Meter,
    from: Nanos,
    batch: Batch,
    answered: Vec<Sequence>,
    effects: Vec<Effect>,
    record: Option<Record>,
    costs: Vec<Cost>,
    rates: Vec<f64>,
}

/// Runs a workload once.
///
/// The same scenario, workload, seed and replicate give the same run. With `record`, steps and
/// requests of the first part of the run are kept.
pub fn run(
    scenario: &Scenario,
    workload: &Workload,
    seed: u64,
    replicate: u64,
    record: Option<Record>,
) -> Run {
    let from = Nanos::of(Seconds::new(workload.run.warm_up_s));
    let until = workload.run.duration_s.map(|time| from + Nanos::of(Seconds::new(time)));
    let limits: Vec<_> = workload.roles.iter().map(|role| role.limit).collect();
    let sources = Sources::new(workload, seed, replicate);
    let servers = scenario.servers.iter().enumerate().map(|(index, server)| Working {
        policy: server.engine.policy(),
        flight: None,
        course: Course::default(),
        looked: false,
        beside: (0..scenario.servers.len())
            .filter(|other| {
                let used = &scenario.servers[*other].devices;
                *other == index || used.iter().any(|device| server.devices.contains(device))
            })
            .collect(),
        count: ServerCount::default(),
    });
    let mut simulation = Simulation {
        scenario,
        queue: Queue::default(),
        sources,
        servers: servers.collect(),
        ends: vec![Nanos::MAX; scenario.servers.len()],
        devices: vec![Load::default(); scenario.devices.len()],
        residency: Residency::new(scenario),
        last: Vec::new(),
        meter: Meter::new(&limits, from),
        from,
        batch: Batch::default(),
        answered: Vec::new(),
        effects: Vec::new(),
        record,
        costs: Vec::new(),
        rates: Vec::new(),
    };
    let end = simulation.go(until);
    simulation.finish(end)
}

impl Simulation<'_> {
    /// Handles events until nothing is left or the time is over; the time of the end.
    fn go(&mut self, until: Option<Nanos>) -> Nanos {
        if let Some(until) = until {
            let half = Nanos::new(until.since(self.from).get() / 2);
            self.queue.push(self.from + half, Event::Middle);
        }
        self.sources.start(&mut self.effects);
        self.apply(Nanos::ZERO);
        loop {
            // The ends of steps move whenever a step beside them starts or ends; there are few, so
            // they are looked through instead of queued anew each time.
            // At the same time steps end before anything else happens, those of the first server first.
            let (mut server, mut end) = (0, Nanos::MAX);
            for (index, own) in self.ends.iter().enumerate() {
                if *own < end {
                    (server, end) = (index, *own);
                }
            }
            if end < Nanos::MAX && self.queue.due().is_none_or(|due| end <= due) {
                if until.is_some_and(|until| end >= until) {
                    break;
                }
                if self.servers[server].course.left > 0 {
                    self.go_on(server, self.quiet_until(until));
                } else {
                    self.queue.advance(end);
                    self.step_end(server, end);
                }
                continue;
            }
            let (now, event) = match self.queue.pop() {
                Some((now, event)) if until.is_none_or(|until| now < until) => (now, event),
                _ => break,
            };
            match event {
                Event::Wake(source) => {
                    self.sources.wake(source, now, &mut self.effects);
                    self.apply(now);
                }
                Event::Look(server) => {
                    self.servers[server as usize].looked = false;
                    self.start(server as usize, now);
                }
                Event::Loaded(server) => {
                    self.residency.loaded(server as usize, now);
                    self.start(server as usize, now);
                }
                Event::Middle => {
                    for server in &mut self.servers {
                        server.count.outstanding_middle = server.policy.outstanding() as u64;
                    }
                }
            }
        }
        until.unwrap_or(self.queue.now())
    }

    fn finish(mut self, end: Nanos) -> Run {
        for index in 0..self.servers.len() {
            self.catch_up(index);
        }
        for device in &mut self.devices {
            if device.flights > 0 {
                device.busy += end.since(device.since.max(self.from));
            }
        }
        let servers = self.servers.into_iter().map(|server| ServerCount {
            preemptions: server.policy.preemptions(),
            outstanding_end: server.policy.outstanding() as u64,
            ..server.count
        });
        Run {
            servers: servers.collect(),
            meter: self.meter,
            busy: self.devices.iter().map(|device| device.busy).collect(),
            window: end.since(self.from),
            record: self.record,
        }
    }

    /// Carries out what sources brought about.
    fn apply(&mut self, now: Nanos) {
        let mut index = 0;
        // Effects may bring about further ones: a request that is given up at once.
        while index < self.effects.len() {
            match self.effects[index] {
                Effect::Wake(at, source) => self.queue.push(at.max(now), Event::Wake(source)),
                Effect::Ask(request) => self.submit(request, now),
            }
            index += 1;
        }
        self.effects.clear();
    }

    fn submit(&mut self, request: Request, now: Nanos) {
        self.meter.asked(request.role, now);
        let server = self.route(&request);
        self.catch_up(server as usize);
        let working = &mut self.servers[server as usize];
        working.policy.submit(request);
        if working.flight.is_none() && !working.looked {
            working.looked = true;
            // Behind everything that happens at the same time.
            self.queue.push(now, Event::Look(server));
        }
        self.give_up(server as usize, now);
    }

    /// The server for a request: the one with least to do; of equals the one that may have its
    /// context in the cache, then the first.
    fn route(&mut self, request: &Request) -> u32 {
        let replicas = &self.scenario.routes[request.role as usize];
        if let [only] = replicas[..] {
            return only;
        }
        let source = request.source as usize;
        if source >= self.last.len() {
            self.last.resize(source + 1, None);
        }
        let last = self.last[source];
        let least = replicas.iter().copied().min_by_key(|one| {
            let busy = self.servers[*one as usize].policy.outstanding();
            (busy, Some(*one) != last, *one)
        });
        let chosen = least.unwrap_or(replicas[0]);
        self.last[source] = Some(chosen);
        chosen
    }

    /// Tells the sources of requests that a server gave up.
    fn give_up(&mut self, server: usize, now: Nanos) {
        while let Some(request) = self.servers[server].policy.refused() {
            self.meter.refused(request.role, now);
            self.sources.ended(request.source, None, now, &mut self.effects);
        }
    }

    /// Starts the next step of a server, if it has something to do and may.
    fn start(&mut self, index: usize, now: Nanos) {
        if self.servers[index].flight.is_some() {
            return;
        }
        if self.scenario.servers[index].load.is_some() {
            if self.servers[index].policy.outstanding() == 0 {
                self.others_may_load(index, now);
                return;
            }
            let servers = &self.servers;
            let idle = |other: usize| {
                servers[other].flight.is_none() && servers[other].policy.outstanding() == 0
            };
            match self.residency.ready(self.scenario, index, now, idle) {
                Ready::Now => {}
                Ready::Wait => return,
                Ready::Loading(time) => {
                    self.servers[index].count.loads += 1;
                    self.queue.push(now + time, Event::Loaded(index as u32));
                    return;
                }
            }
        }
        let working = &mut self.servers[index];
        self.batch.clear();
        working.policy.schedule(now, &mut self.batch);
        let held = working.policy.cached_tokens();
        working.count.high_water = working.count.high_water.max(held);
        if self.batch.is_empty() {
            self.give_up(index, now);
            self.apply(now);
            return;
        }
        let cost = self.scenario.servers[index].steps.cost(&self.batch);
        let nanos = Nanos::of(cost.duration);
        working.count.steps += 1;
        let rest = nanos.get() as f64;
        working.flight = Some(Flight { cost, began: now, rest, rate: 1.0, seen: now });
        self.ends[index] = now + nanos;
        // A record is of every step; and after time beside the model the next steps are shorter.
        if self.record.is_none() && self.batch.extra == Seconds::ZERO {
            let course = &mut working.course;
            let steady = working.policy.steady(&mut course.roles);
            if let Some(Steady { steps, seen, lags }) = steady.filter(|steady| steady.steps > 0) {
                (course.left, course.seen, course.lags) = (steps, seen, lags);
                course.depths.clone_from(&self.batch.decode);
            }
        }
        for device in &self.scenario.servers[index].devices {
            let device = &mut self.devices[*device as usize];
            if device.flights == 0 {
                device.since = now;
            }
            device.flights += 1;
        }
        self.share(index, now);
        if self.record.is_some() {
            self.note_step(index);
        }
        self.give_up(index, now);
        self.apply(now);
    }

    /// A server without work lets others have its memory.
    fn others_may_load(&mut self, index: usize, now: Nanos) {
        for other in 0..self.servers.len() {
            let working = &mut self.servers[other];
            let waits = working.flight.is_none() && working.policy.outstanding() > 0;
            if other != index && waits && !working.looked {
                working.looked = true;
                self.queue.push(now, Event::Look(other as u32));
            }
        }
    }

    /// Until when no server does anything but steps that are like those before.
    fn quiet_until(&self, until: Option<Nanos>) -> Nanos {
        let next = self.queue.due().unwrap_or(Nanos::MAX).min(until.unwrap_or(Nanos::MAX));
        self.servers.iter().zip(&self.ends).fold(next, |next, (server, end)| {
            let Some(flight) = server.flight else { return next };
            // With every token there is more context to read: no step is shorter than this one.
            let step = Nanos::of(flight.cost.duration).get() as f64 / flight.rate;
            next.min(*end + Nanos::new((f64::from(server.course.left) * step) as u64))
        })
    }

    /// The ends of a server's steps before `horizon`, of the one in flight in any case, as long as
    /// others like them follow: tokens are counted, and the next step takes the same share of the
    /// devices. Nothing else can have changed.
    fn go_on(&mut self, index: usize, horizon: Nanos) {
        let steps = &self.scenario.servers[index].steps;
        let working = &mut self.servers[index];
        let (Some(flight), course) = (&mut working.flight, &mut working.course) else { return };
        let mut end = self.ends[index];
        loop {
            let now = end;
            let lag = if course.lags { now.since(flight.began) } else { Nanos::ZERO };
            let seen = now + lag;
            let gap = seen.since(course.seen);
            for (role, streams) in &course.roles {
                self.meter.gaps(*role, gap, *streams, now);
            }
            course.seen = seen;
            course.left -= 1;
            course.done += 1;
            for depth in &mut course.depths {
                *depth += 1;
            }
            flight.cost.duration = steps.generation(&course.depths);
            let nanos = Nanos::of(flight.cost.duration).get() as f64;
            (flight.began, flight.seen, flight.rest) = (now, now, nanos);
            end = now + Nanos::up_to(nanos / flight.rate);
            if course.left == 0 || end >= horizon {
                break;
            }
        }
        self.ends[index] = end;
    }

    /// Tells a server's policy of the steps it has not been told of; what follows is open again.
    fn catch_up(&mut self, index: usize) {
        let working = &mut self.servers[index];
        let course = &mut working.course;
        course.left = 0;
        let done = std::mem::take(&mut course.done);
        working.count.steps += u64::from(done);
        let Some(flight) = working.flight.filter(|_| done > 0) else { return };
        working.policy.catch_up(done, course.seen, flight.began);
        let held = working.policy.cached_tokens();
        working.count.high_water = working.count.high_water.max(held);
        self.residency.used(index, flight.began);
    }

    fn step_end(&mut self, index: usize, now: Nanos) {
        self.catch_up(index);
        let working = &mut self.servers[index];
        working.flight = None;
        self.ends[index] = Nanos::MAX;
        for device in &self.scenario.servers[index].devices {
            let device = &mut self.devices[*device as usize];
            device.flights -= 1;
            if device.flights == 0 {
                device.busy += now.since(device.since.max(self.from));
            }
        }
        working.policy.complete(now, &mut self.meter, &mut self.answered);
        if let Some(record) = &mut self.record {
            record.step_end(index as u32, now);
        }
        if !self.answered.is_empty() {
            self.answer(now);
        }
        self.start(index, now);
        // Whoever starts the next step at once takes as much from the others as before.
        if self.servers[index].flight.is_none() {
            self.share(index, now);
        }
    }

    /// Hands out answers.
    fn answer(&mut self, now: Nanos) {
        let mut answered = std::mem::take(&mut self.answered);
        for sequence in answered.drain(..) {
            self.meter.answered(&sequence, now);
            if let Some(record) = &mut self.record {
                record.request(&sequence);
            }
            self.sources.ended(sequence.request.source, Some(&sequence), now, &mut self.effects);
        }
        self.answered = answered;
        self.apply(now);
    }

    /// Sets the speeds of all steps on the devices of a server anew.
    fn share(&mut self, index: usize, now: Nanos) {
        if let [_] = self.servers[index].beside[..] {
            return;
        }
        for place in 0..self.servers[index].beside.len() {
            let other = self.servers[index].beside[place];
            if self.servers[other].flight.is_none() {
                continue;
            }
            let rate = self.rate(other);
            let Some(flight) = &mut self.servers[other].flight else { continue };
            if (flight.rate - rate).abs() < 1e-12 {
                continue;
            }
            flight.rest =
                (flight.rest - now.since(flight.seen).get() as f64 * flight.rate).max(0.0);
            flight.seen = now;
            flight.rate = rate;
            self.ends[other] = now + Nanos::up_to(flight.rest / rate);
        }
    }

    /// Speed of a server's step: that on its most crowded device.
    fn rate(&mut self, index: usize) -> f64 {
        let scenario = self.scenario;
        let devices = &scenario.servers[index].devices;
        if let Sharing::TimeSlice { loss } = scenario.sharing {
            let flights = devices.iter().map(|device| self.devices[*device as usize].flights);
            return share_time(flights.max().unwrap_or(1), loss);
        }
        let mut slowest: f64 = 1.0;
        for device in devices {
            let (mut own, mut rank) = (0, 0);
            self.costs.clear();
            for other in &self.servers[index].beside {
                let Some(flight) = &self.servers[*other].flight else { continue };
                if scenario.servers[*other].devices.contains(device) {
                    if *other == index {
                        own = rank;
                    }
                    rank += 1;
                    self.costs.push(flight.cost);
                }
            }
            rates(scenario.sharing, &self.costs, &mut self.rates);
            slowest = slowest.min(self.rates.get(own).copied().unwrap_or(1.0));
        }
        slowest
    }

    fn note_step(&mut self, index: usize) {
        let (Some(record), Some(flight)) = (&mut self.record, &self.servers[index].flight) else {
            return;
        };
        record.step_begin(StepSpan {
            server: index as u32,
            begin: flight.began,
            end: Nanos::MAX,
            streams: self.batch.decode.len() as u32,
            prompt_tokens: self.batch.prompt_tokens(),
        });
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            devices: Vec::new(),
            sharing: Sharing::TimeSlice { loss: 0.035 },
            routes: Vec::new(),
        }
    }
}
