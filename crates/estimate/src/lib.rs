//! Memory and speed of a model on a machine: pure functions from facts.
//!
//! | question | module |
//! |---|---|
//! | which tensors does a model have? | [`architecture`] |
//! | how many bytes under a format? | [`recipe`], [`weights`] |
//! | how much memory does a context take? | [`context`] |
//! | how many tokens and requests does vLLM hold? | [`pool`] |
//! | what lies on the host and on each device? | [`placement`], [`graph`] |
//! | how many layers, how much context, how many streams fit? | [`room`] |
//! | what model is in this file? | [`from_file`] |
//! | how good are the bytes on measured rows? | [`memory_accuracy`] |
//! | how long does a step take, how long a prompt? | [`decode`], [`prefill`] |
//! | and on a CPU, in part or alone? | [`offload`], [`processor`] |
//! | which constants hold for an engine on a device? | [`calibration`], [`fit`] |
//! | how good are the speeds on measured rows? | [`case`], [`accuracy`] |
//! | what do the user's own measurements say? | [`import`], [`fit::local`] |

pub mod accuracy;
pub mod answer;
pub mod architecture;
pub mod calibration;
pub mod case;
pub mod context;
pub mod decode;
pub mod fit;
pub mod from_file;
pub mod graph;
pub mod import;
pub mod link;
pub mod memory;
pub mod memory_accuracy;
pub mod offload;
pub mod outline;
pub mod parameter;
pub mod placement;
pub mod pool;
pub mod power;
pub mod prefill;
pub mod processor;
pub mod rate;
pub mod recipe;
pub mod room;
pub mod run;
pub mod serving;
pub mod setup;
pub mod speculative;
pub mod speed;
pub mod term;
pub mod weights;
pub mod work;
