//! From a requirement to machines that meet it: prices, compatibility, search, ranking.

pub mod assign;
pub mod build;
pub mod candidate;
pub mod check;
pub mod group;
pub mod noise;
pub mod option;
pub mod plan;
pub mod price;
pub mod quality;
pub mod requirement;
pub mod score;
mod search;
pub mod verdict;
