//! Memory and speed of a model on a machine: pure functions from facts.
//!
//! | question | module |
//! |---|---|
//! | which tensors does a model have? | [`architecture`] |
//! | which type does each get under a format, and how many bytes is that? | [`recipe`], [`weights`] |
//! | how much memory does a context take? | [`context`] |
//! | how many tokens and requests does vLLM hold? | [`pool`] |
//! | what lies on the host and on each device? | [`placement`], [`graph`] |
//! | how many layers, how much context, how many streams fit? | [`fit`] |
//! | what model is in this file? | [`from_file`] |
//! | how good is that? | [`memory_accuracy`] |

pub mod answer;
pub mod architecture;
pub mod context;
pub mod decode;
pub mod fit;
pub mod from_file;
pub mod graph;
pub mod memory;
pub mod memory_accuracy;
pub mod placement;
pub mod pool;
pub mod prefill;
pub mod rate;
pub mod recipe;
pub mod setup;
pub mod speed;
pub mod term;
pub mod weights;
pub mod work;
