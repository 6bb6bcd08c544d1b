//! Memory and speed of a model on a machine: pure functions from facts.
//!
//! | question | module |
//! |---|---|
//! | which tensors does a model have? | [`architecture`] |
//! | how many bytes under a format? | [`recipe`], [`weights`] |
//! | how much memory does a context take? | [`context`] |
//! | how long does a step take, how long a prompt? | [`decode`], [`prefill`] |
//! | which constants hold for an engine on a device? | [`calibration`], [`fit`] |
//! | how good is that on measured rows? | [`case`], [`accuracy`] |
//! | what do the user's own measurements say? | [`import`], [`fit::local`] |

pub mod accuracy;
pub mod answer;
pub mod architecture;
pub mod calibration;
pub mod case;
pub mod context;
pub mod decode;
pub mod fit;
pub mod graph;
pub mod import;
pub mod link;
pub mod memory;
pub mod offload;
pub mod outline;
pub mod parameter;
pub mod power;
pub mod prefill;
pub mod rate;
pub mod recipe;
pub mod run;
pub mod serving;
pub mod setup;
pub mod speculative;
pub mod speed;
pub mod term;
pub mod weights;
pub mod work;
