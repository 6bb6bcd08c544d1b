//! From a requirement to machines that meet it: prices, compatibility, search, ranking.

// What is wanted and what it costs.
pub mod drift;
pub mod figure;
pub mod price;
pub mod requirement;
pub mod trend;
pub mod workload;

// What could be bought.
pub mod build;
pub mod candidate;
pub mod check;
pub mod configuration;
pub mod noise;
pub mod ownership;

// What could run on it.
pub mod fit;
pub mod option;
pub mod placement;
pub mod quality;
pub mod scenario;

// Which serves best.
pub mod answer;
pub mod assign;
pub mod compare;
pub mod curve;
pub mod detail;
pub mod group;
pub mod knowledge;
pub mod lead;
pub mod near_miss;
pub mod plan;
pub mod platform;
pub mod reason;
pub mod score;
mod search;
pub mod shift;
mod shortlist;
pub mod survey;
pub mod trial;
pub mod verdict;

// What others say.
pub mod audit;
pub mod measured;
