//! Which models are loaded, for engines that load them when they are asked (Ollama, LM Studio,
//! llama.cpp's router).

use localrig_facts::unit::Bytes;

use crate::scenario::Scenario;
use crate::time::Nanos;

/// Models in memory.
#[derive(Clone, Debug)]
pub(crate) struct Residency {
    states: Vec<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Always there.
    Fixed,
    /// Not there.
    Out,
    /// On its way.
    Coming,
    /// There since it was last used.
    There(Nanos),
}

/// What a server that has something to do must wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Nothing.
    Now,
    /// Its model is being loaded, from now on for so long.
    Loading(Nanos),
    /// Its model is on its way, or there is no room until another is idle.
    Wait,
}

impl Residency {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let state = |load: bool| if load { State::Out } else { State::Fixed };
        Self { states: scenario.servers.iter().map(|one| state(one.load.is_some())).collect() }
    }

    /// Whether a server may take a step; `idle` says of others whether they may be unloaded.
    pub(crate) fn ready(
        &mut self,
        scenario: &Scenario,
        server: usize,
        now: Nanos,
        idle: impl Fn(usize) -> bool,
    ) -> Ready {
        match self.states[server] {
            State::Fixed => return Ready::Now,
            State::There(_) => {
                self.states[server] = State::There(now);
                return Ready::Now;
            }
            State::Coming => return Ready::Wait,
            State::Out => {}
        }
        let Some(load) = scenario.servers[server].load else { return Ready::Now };
        let devices = &scenario.servers[server].devices;
        let usable: Bytes = devices.iter().map(|one| scenario.devices[*one as usize].usable).sum();
        let shares = |other: &usize| {
            scenario.servers[*other].devices.iter().any(|one| devices.contains(one))
        };
        loop {
            let held: Bytes = (0..self.states.len())
                .filter(|other| *other != server && shares(other))
                .filter(|other| matches!(self.states[*other], State::There(_) | State::Coming))
                .filter_map(|other| scenario.servers[other].load)
                .map(|load| load.memory)
                .sum();
            if held + load.memory <= usable || held == Bytes::ZERO {
                self.states[server] = State::Coming;
                return Ready::Loading(Nanos::of(load.time));
            }
            let oldest = (0..self.states.len())
                .filter(|other| *other != server && shares(other) && idle(*other))
                .filter_map(|other| match self.states[other] {
                    State::There(used) => Some((used, other)),
                    _ => None,
                })
                .min();
            let Some((_, oldest)) = oldest else { return Ready::Wait };
            self.states[oldest] = State::Out;
        }
    }

    /// A server has taken steps, the last from `began` on.
    pub(crate) fn used(&mut self, server: usize, began: Nanos) {
        if let State::There(used) = &mut self.states[server] {
            *used = began;
        }
    }

    /// A model has been loaded.
    pub(crate) fn loaded(&mut self, server: usize, now: Nanos) {
        self.states[server] = State::There(now);
    }
}
