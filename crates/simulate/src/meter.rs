//! What is counted while a simulation runs.

use crate::histogram::Histogram;
use crate::request::Sequence;
use crate::time::Nanos;
use crate::workload::Limit;

/// Counts of a run, by role.
#[derive(Clone, Debug, PartialEq)]
pub struct Meter {
    /// Counts by role.
    pub roles: Vec<RoleCount>,
    /// When counting begins.
    from: Nanos,
}

/// Counts of a role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleCount {
    /// What counts as good.
    pub limit: Limit,
    /// Times to the first token.
    pub ttft: Histogram,
    /// Gaps between the tokens of an answer.
    pub gaps: Histogram,
    /// Mean gap of each answer of at least two tokens.
    pub mean_gaps: Histogram,
    /// Time of each answer from request to last token.
    pub whole: Histogram,
    /// Requests that came.
    pub asked: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were given up.
    pub refused: u64,
    /// Answers within the limits.
    pub good: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Tokens of prompts that were answered.
    pub prompt_tokens: u64,
    /// … of those, from the cache.
    pub cached_tokens: u64,
    /// Tokens that answered requests wanted, over the whole run.
    pub wanted_tokens: u64,
    /// Tokens they got, over the whole run.
    pub given_tokens: u64,
}

impl Meter {
    /// A meter that counts from a point in time on.
    pub fn new(limits: &[Limit], from: Nanos) -> Self {
        let role = |limit: &Limit| RoleCount { limit: *limit, ..RoleCount::default() };
        Self { roles: limits.iter().map(role).collect(), from }
    }

    /// A request came.
    pub fn asked(&mut self, role: u32, now: Nanos) {
        if now >= self.from {
            self.roles[role as usize].asked += 1;
        }
    }

    /// The first token of an answer came after `ttft`.
    pub fn first(&mut self, role: u32, ttft: Nanos, now: Nanos) {
        if now >= self.from {
            let role = &mut self.roles[role as usize];
            role.ttft.add(ttft, 1);
            role.output_tokens += 1;
        }
    }

    /// A further token of each of so many answers came, `gap` after the one before.
    pub fn gaps(&mut self, role: u32, gap: Nanos, answers: u64, now: Nanos) {
        if now >= self.from {
            let role = &mut self.roles[role as usize];
            role.gaps.add(gap, answers);
            role.output_tokens += answers;
        }
    }

    /// An answer is complete.
    pub fn answered(&mut self, sequence: &Sequence, now: Nanos) {
        let role = &mut self.roles[sequence.request.role as usize];
        role.wanted_tokens += u64::from(sequence.request.output);
        role.given_tokens += u64::from(sequence.generated);
        if now < self.from {
            return;
        }
        let request = &sequence.request;
        let ttft = sequence.first.since(request.arrival);
        let gap = (sequence.generated > 1).then(|| {
            Nanos::new(
                sequence.last.since(sequence.first).get() / u64::from(sequence.generated - 1),
            )
        });
        role.answered += 1;
        role.prompt_tokens += u64::from(request.content.tokens);
        role.cached_tokens += u64::from(sequence.cached);
        role.whole.add(sequence.last.since(request.arrival), 1);
        if let Some(gap) = gap {
            role.mean_gaps.add(gap, 1);
        }
        if role.limit.holds(ttft.seconds(), gap.map(Nanos::seconds)) {
            role.good += 1;
        }
    }

    /// A request was given up.
    pub fn refused(&mut self, role: u32, now: Nanos) {
        if now >= self.from {
            self.roles[role as usize].refused += 1;
        }
    }
}

impl RoleCount {
    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        self.ttft.merge(&other.ttft);
        self.gaps.merge(&other.gaps);
        self.mean_gaps.merge(&other.mean_gaps);
        self.whole.merge(&other.whole);
        self.asked += other.asked;
        self.answered += other.answered;
        self.refused += other.refused;
        self.good += other.good;
        self.output_tokens += other.output_tokens;
        self.prompt_tokens += other.prompt_tokens;
        self.cached_tokens += other.cached_tokens;
        self.wanted_tokens += other.wanted_tokens;
        self.given_tokens += other.given_tokens;
    }
}
