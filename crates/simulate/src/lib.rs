//! What happens when several models and streams share devices: a discrete-event simulator.
//!
//! | question | module |
//! |---|---|
//! | who asks for what, and how often? | [`workload`] |
//! | which engines run on which devices? | [`scenario`] |
//! | what does an engine put into a step? | [`engine`] |
//! | how long does a step take? | [`step`], and [`pace`] for the speed model of `estimate` |
//! | what happens in one run? | [`run`], [`record`] |
//! | what comes out of many runs? | [`answer`] |
//! | what can be said without a run? | [`load`] |
//!
//! Time is whole nanoseconds; random numbers come from one stream for each agent and quantity. The
//! crate knows neither hardware names nor models nor prices.

pub mod answer;
pub mod engine;
pub mod histogram;
pub mod load;
pub mod meter;
pub mod pace;
pub mod queue;
pub mod random;
pub mod record;
pub mod request;
mod residency;
pub mod run;
pub mod scenario;
pub mod sharing;
mod source;
pub mod step;
pub mod time;
pub mod workload;

pub use sharing::share_time;
