//! The queue of events: earliest first, and first in first out among those of the same time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::time::Nanos;

/// Events that are due.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    sequence: u64,
    now: Nanos,
}

#[derive(Clone, Debug)]
struct Entry<E> {
    /// The time, and of the same time the order it was asked for.
    due: (Nanos, u64),
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0, now: Nanos::ZERO }
    }
}

impl<E> Queue<E> {
    /// Adds an event.
    ///
    /// # Panics
    /// When it lies before the event that was taken last: nothing happens in the past.
    pub fn push(&mut self, at: Nanos, event: E) {
        assert!(at >= self.now, "an event in the past");
        self.sequence += 1;
        self.heap.push(Entry { due: (at, self.sequence), event });
    }

    /// When the next event is due.
    pub fn due(&self) -> Option<Nanos> {
        self.heap.peek().map(|entry| entry.due.0)
    }

    /// Moves the clock to the time of an event that is kept elsewhere.
    pub fn advance(&mut self, at: Nanos) {
        self.now = at;
    }

    /// Takes the next event; the clock moves to its time.
    pub fn pop(&mut self) -> Option<(Nanos, E)> {
        let entry = self.heap.pop()?;
        let (at, _) = entry.due;
        self.now = at;
        Some((at, entry.event))
    }

    /// Time of the event that was taken last.
    pub fn now(&self) -> Nanos {
        self.now
    }
}

// The heap gives the greatest first: the earliest, and of those the first that came, is greatest.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[should_panic(expected = "an event in the past")]
    fn nothing_happens_in_the_past() {
        let mut queue = Queue::default();
        queue.push(Nanos::new(10), ());
        queue.pop();
        queue.push(Nanos::new(9), ());
    }

    proptest! {
        #[test]
        fn events_come_by_time_and_then_in_the_order_they_were_added(times in proptest::collection::vec(0_u64..20, 0..50)) {
            let mut queue = Queue::default();
            for (index, at) in times.iter().enumerate() {
                queue.push(Nanos::new(*at), index);
            }
            let mut expected: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
            expected.sort_unstable();
            let came: Vec<(u64, usize)> = std::iter::from_fn(|| queue.pop()).map(|(at, index)| (at.get(), index)).collect();
            prop_assert_eq!(came, expected);
        }
    }
}
