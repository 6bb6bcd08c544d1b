//! vLLM's cache: blocks of tokens, shared by prompts that start alike, the least recently used
//! freed first.
//!
//! vLLM keeps a hash for every block. Contents here only ever share a system part or continue one
//! another, so one entry per part stands for the chain of its blocks; the end of an entry is freed
//! first, as vLLM does.

use std::collections::{BTreeMap, BTreeSet};

use crate::request::{Content, Sequence};

/// A pool of blocks.
#[derive(Clone, Debug)]
pub struct Pool {
    capacity: u32,
    /// Tokens of a block.
    block: u32,
    /// Blocks of running sequences that nobody shares.
    private: u32,
    /// Blocks of all entries.
    cached: u32,
    /// Blocks of entries that nobody uses now.
    idle: u32,
    caching: bool,
    entries: BTreeMap<u64, Entry>,
    /// Entries that nobody uses now, by last use.
    order: BTreeSet<(u64, u64)>,
    clock: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    blocks: u32,
    users: u32,
    used: u64,
}

impl Pool {
    /// A pool of so many blocks of so many tokens, one at least; without `caching` nothing outlives
    /// its sequence.
    pub fn new(capacity: u32, block: u32, caching: bool) -> Self {
        Self {
            capacity,
            block: block.max(1),
            private: 0,
            cached: 0,
            idle: 0,
            caching,
            entries: BTreeMap::new(),
            order: BTreeSet::new(),
            clock: 0,
        }
    }

    /// Blocks in use by running sequences, shared ones counted once.
    pub fn used(&self) -> u32 {
        self.private + self.cached - self.idle
    }

    /// Blocks in the pool.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Blocks that can be had.
    pub fn available(&self) -> u32 {
        self.capacity - self.used()
    }

    /// Tokens of a prompt that are in the pool.
    pub fn hit(&self, content: Content) -> u32 {
        if !self.caching {
            return 0;
        }
        let blocks = |id: u64| self.entries.get(&id).map_or(0, |entry| entry.blocks);
        let [system, own] = self.parts(content);
        let shared = blocks(system_key(content)).min(system);
        // What comes after the system part is of use only when all of that is there.
        let rest = if shared == system { blocks(own_key(content)).min(own) } else { 0 };
        (shared + rest) * self.block
    }

    /// Takes the cached part of a sequence into use, as far as [`Pool::hit`] found it.
    pub fn take(&mut self, sequence: &mut Sequence, tokens: u32) {
        if !self.caching {
            return;
        }
        let content = sequence.request.content;
        let blocks = tokens / self.block;
        let [system, _] = self.parts(content);
        if blocks > 0 && system > 0 {
            self.pin(system_key(content));
        }
        if blocks > system {
            self.pin(own_key(content));
        }
        sequence.blocks = [blocks, 0];
    }

    /// Makes room for `tokens` of a sequence, `extra` blocks beside them; `false` when it is not
    /// to be had, and then nothing has changed.
    pub fn grow(&mut self, sequence: &mut Sequence, tokens: u32, extra: u32) -> bool {
        let [shared, private] = sequence.blocks;
        let wanted = (tokens.div_ceil(self.block) + extra).saturating_sub(shared);
        let Some(more) = wanted.checked_sub(private).filter(|more| *more > 0) else {
            return true;
        };
        if self.available() < more {
            return false;
        }
        while self.capacity - self.private - self.cached < more {
            self.evict();
        }
        self.private += more;
        sequence.blocks[1] = wanted;
        true
    }

    /// The prompt is computed: its system part is there for others.
    pub fn share(&mut self, sequence: &mut Sequence) {
        let content = sequence.request.content;
        let [system, _] = self.parts(content);
        let key = system_key(content);
        let [shared, private] = sequence.blocks;
        if !self.caching || system == 0 || shared > 0 || private < system {
            return;
        }
        if self.entries.contains_key(&key) {
            // Somebody else was faster; the copy goes with its sequence.
            return;
        }
        let used = self.tick();
        self.entries.insert(key, Entry { blocks: system, users: 1, used });
        self.cached += system;
        self.private -= system;
        sequence.blocks = [system, private - system];
    }

    /// Gives back the blocks of a sequence; with `keep` its content stays for the next prompt that
    /// starts with it.
    pub fn release(&mut self, sequence: &mut Sequence, keep: bool) {
        let [shared, private] = std::mem::take(&mut sequence.blocks);
        self.private -= private;
        if !self.caching {
            return;
        }
        let content = sequence.request.content;
        let [system, _] = self.parts(content);
        let [full_system, full_own] = self.parts(sequence.content());
        if keep {
            self.keep(system_key(content), full_system);
            self.keep(own_key(content), full_own);
        }
        if shared > 0 && system > 0 {
            self.unpin(system_key(content));
        }
        if shared > system {
            self.unpin(own_key(content));
        }
    }

    /// An entry has at least so many blocks.
    fn keep(&mut self, key: u64, blocks: u32) {
        if blocks == 0 {
            return;
        }
        let used = self.tick();
        let room = self.capacity - self.private - self.cached;
        let entry = self.entries.entry(key).or_default();
        let idle = entry.users == 0;
        if idle {
            self.order.remove(&(entry.used, key));
            entry.used = used;
            self.order.insert((used, key));
        }
        let more = blocks.saturating_sub(entry.blocks).min(room);
        entry.blocks += more;
        self.cached += more;
        if idle {
            self.idle += more;
        }
    }

    fn pin(&mut self, key: u64) {
        let used = self.tick();
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if entry.users == 0 {
            self.order.remove(&(entry.used, key));
            self.idle -= entry.blocks;
        }
        entry.users += 1;
        entry.used = used;
    }

    fn unpin(&mut self, key: u64) {
        let used = self.tick();
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.users -= 1;
        if entry.users == 0 {
            entry.used = used;
            self.order.insert((used, key));
            self.idle += entry.blocks;
        }
    }

    /// Frees a block of the entry that has not been used for longest.
    fn evict(&mut self) {
        let Some((used, key)) = self.order.first().copied() else { return };
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if entry.blocks > 0 {
            entry.blocks -= 1;
            self.cached -= 1;
            self.idle -= 1;
        }
        if entry.blocks == 0 {
            self.entries.remove(&key);
            self.order.remove(&(used, key));
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Full blocks of the system part, and those after it.
    fn parts(&self, content: Content) -> [u32; 2] {
        let system =
            if content.system == 0 { 0 } else { content.system_tokens.min(content.tokens) };
        let system = system / self.block;
        [system, content.tokens / self.block - system]
    }
}

// System parts and conversations are numbered on their own.
fn system_key(content: Content) -> u64 {
    content.system << 1
}

fn own_key(content: Content) -> u64 {
    content.own << 1 | 1
}
