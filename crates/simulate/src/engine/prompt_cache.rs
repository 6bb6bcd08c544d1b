//! Caches of whole prompts, as llama.cpp keeps them in main memory and mlx-lm beside the model.

use crate::request::Content;

/// Prompts that were computed, the least recently used first.
#[derive(Clone, Debug)]
pub struct PromptCache {
    entries: Vec<Content>,
    most_tokens: u64,
    most_entries: usize,
}

impl PromptCache {
    /// A cache of at most so many tokens and entries.
    pub fn new(most_tokens: u64, most_entries: usize) -> Self {
        Self { entries: Vec::new(), most_tokens, most_entries }
    }

    /// Keeps a content; shorter stages of it go.
    pub fn save(&mut self, content: Content) {
        if content.tokens == 0 || u64::from(content.tokens) > self.most_tokens {
            return;
        }
        if self.entries.iter().any(|one| one.common(&content) == content.tokens) {
            return;
        }
        self.entries.retain(|one| one.common(&content) < one.tokens);
        self.entries.push(content);
        while self.tokens() > self.most_tokens || self.entries.len() > self.most_entries {
            self.entries.remove(0);
        }
    }

    /// Drops the oldest entries until at most so many tokens are left.
    pub fn trim(&mut self, tokens: u64) {
        while self.tokens() > tokens {
            self.entries.remove(0);
        }
    }

    /// Tokens that the best entry has in common with a prompt.
    pub fn best(&self, prompt: Content) -> u32 {
        self.entries.iter().map(|one| one.common(&prompt)).max().unwrap_or(0)
    }

    /// Takes out the entry that has most in common with a prompt.
    pub fn load(&mut self, prompt: Content) -> Option<Content> {
        let best =
            (0..self.entries.len()).max_by_key(|index| self.entries[*index].common(&prompt))?;
        (self.entries[best].common(&prompt) > 0).then(|| self.entries.remove(best))
    }

    /// Tokens of all entries.
    pub fn tokens(&self) -> u64 {
        self.entries.iter().map(|one| u64::from(one.tokens)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(own: u64, tokens: u32) -> Content {
        Content { system: 1, system_tokens: 10, own, tokens }
    }

    #[test]
    fn a_longer_stage_replaces_a_shorter_one_and_the_oldest_goes_first() {
        let mut cache = PromptCache::new(250, 8);
        cache.save(content(1, 100));
        cache.save(content(1, 120));
        cache.save(content(2, 100));
        assert_eq!(cache.tokens(), 220);
        cache.save(content(3, 100));
        assert_eq!(cache.best(content(1, 500)), 10, "the first conversation is gone");
        assert_eq!(cache.load(content(2, 500)), Some(content(2, 100)));
        assert_eq!(cache.tokens(), 100);
    }
}
