//! Requests, what their prompts have in common, and sequences: requests that an engine works on.

use crate::meter::Meter;
use crate::time::Nanos;

/// What a prompt or a cache consists of: a system part that several streams may share, and a part
/// that only grows at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Which system part; prompts with the same number start with the same tokens. 0 = none.
    pub system: u64,
    /// Tokens of the system part.
    pub system_tokens: u32,
    /// Which conversation: of two contents with the same number, one continues the other.
    pub own: u64,
    /// Tokens of both parts together.
    pub tokens: u32,
}

impl Content {
    /// Tokens that both start with.
    pub fn common(&self, other: &Self) -> u32 {
        let shorter = self.tokens.min(other.tokens);
        if self.own == other.own && self.system == other.system {
            shorter
        } else if self.system == other.system && self.system != 0 {
            shorter.min(self.system_tokens)
        } else {
            0
        }
    }
}

/// Something a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number of the role.
    pub role: u32,
    /// Number of the stream that asks.
    pub source: u32,
    /// When it came.
    pub arrival: Nanos,
    /// Prompt.
    pub content: Content,
    /// Tokens it will generate.
    pub output: u32,
    /// Tokens of its images, part of the prompt.
    pub image_tokens: u32,
}

/// A request that an engine works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The request.
    pub request: Request,
    /// Tokens whose cache is computed.
    pub computed: u32,
    /// Tokens to be computed before the next one can be generated: the prompt, and after a
    /// preemption what was generated as well.
    pub known: u32,
    /// Tokens that the step in flight computes.
    pub scheduled: u32,
    /// Tokens generated.
    pub generated: u32,
    /// Tokens of the prompt that were in the cache.
    pub cached: u32,
    /// When the first token came.
    pub first: Nanos,
    /// When the last token came.
    pub last: Nanos,
    /// Whether its images are encoded.
    pub encoded: bool,
    /// Order of admission; the latest is preempted first.
    pub order: u64,
    /// Blocks of the cache that it shares with others, and those it has alone.
    pub blocks: [u32; 2],
}

impl Sequence {
    /// A sequence of which nothing is computed.
    pub fn new(request: Request) -> Self {
        Self {
            request,
            computed: 0,
            known: request.content.tokens,
            scheduled: 0,
            generated: 0,
            cached: 0,
            first: Nanos::ZERO,
            last: Nanos::ZERO,
            encoded: request.image_tokens == 0,
            order: 0,
            blocks: [0; 2],
        }
    }

    /// Whether the next step generates a token and computes nothing else.
    pub fn decodes(&self) -> bool {
        self.generated > 0 && self.computed + 1 == self.known
    }

    /// Tokens that are not computed yet.
    pub fn rest(&self) -> u32 {
        self.known - self.computed
    }

    /// Takes over a part of the prompt from a cache. The last token is always computed: its
    /// logits are needed.
    pub fn reuse(&mut self, tokens: u32) {
        self.computed = tokens.min(self.known - 1);
        self.cached = self.computed.min(self.request.content.tokens);
    }

    /// The step is done: what was scheduled is computed, and if that was all, a token comes.
    /// Whether it was the last one. Tokens are seen `lag` later than they are computed.
    pub fn advance(&mut self, now: Nanos, lag: Nanos, meter: &mut Meter) -> bool {
        self.computed += self.scheduled;
        self.scheduled = 0;
        self.encoded = true;
        if self.computed < self.known {
            return false;
        }
        self.known += 1;
        self.generated += 1;
        if self.generated == 1 {
            self.first = now + lag;
            meter.first(self.request.role, self.first.since(self.request.arrival), now);
        } else {
            meter.gaps(self.request.role, (now + lag).since(self.last), 1, now);
        }
        self.last = now + lag;
        self.generated >= self.request.output
    }

    /// So many tokens more, one in each of as many steps; another one is in flight.
    pub fn generate(&mut self, tokens: u32, seen: Nanos) {
        self.computed += tokens;
        self.known += tokens;
        self.generated += tokens;
        self.last = seen;
    }

    /// What its cache contains.
    pub fn content(&self) -> Content {
        Content { tokens: self.computed, ..self.request.content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_share_their_system_part_or_their_conversation() {
        let one = Content { system: 1, system_tokens: 100, own: 7, tokens: 500 };
        let grown = Content { tokens: 800, ..one };
        let other = Content { own: 8, tokens: 90, ..one };
        let foreign = Content { system: 2, own: 9, ..one };
        assert_eq!(one.common(&grown), 500);
        assert_eq!(one.common(&other), 90);
        assert_eq!(grown.common(&Content { own: 8, ..one }), 100);
        assert_eq!(one.common(&foreign), 0);
        let alone = Content { system: 0, system_tokens: 0, own: 1, tokens: 10 };
        assert_eq!(alone.common(&Content { own: 2, ..alone }), 0);
    }
}
