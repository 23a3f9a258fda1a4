//! Uploads that wait, shared out among their systems.
//!
//! Systems take turns. Within a system the oldest upload comes first, which is not needed for the
//! result, but makes the memories of one machine arrive in the order in which they were made.
//! While others wait, no system has more than a quarter of the slots.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use akosha_core::{SystemId, UploadId};
use akosha_sync::intake::Candidate;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// Part of the slots that one system may have while others wait.
const SHARE: usize = 4;

/// Uploads that wait, and how many are in work.
#[derive(Debug)]
pub(crate) struct Queue {
    slots: usize,
    waiting: HashMap<SystemId, BTreeMap<UploadId, Candidate>>,
    /// The systems of which uploads wait, in the order of their turns.
    turns: VecDeque<SystemId>,
    in_work: HashMap<SystemId, usize>,
    /// What waits until a time, by that time.
    later: BTreeMap<(Instant, u64), Candidate>,
    next_number: u64,
    /// Everything that waits or is in work.
    known: HashSet<(SystemId, UploadId)>,
    ready: usize,
    working: usize,
}

impl Queue {
    /// Creates an empty queue for work on so many uploads at once.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots,
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            in_work: HashMap::new(),
            later: BTreeMap::new(),
            next_number: 0,
            known: HashSet::new(),
            ready: 0,
            working: 0,
        }
    }

    /// Adds an upload, unless it waits or is in work already.
    pub(crate) fn push(&mut self, candidate: Candidate) {
        let key = (candidate.system_id.clone(), candidate.upload_id.clone());
        if self.known.insert(key) {
            self.make_ready(candidate);
        }
    }

    /// Takes out the next upload to work on, as long as there is a slot for it.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Candidate> {
        self.wake(now);
        if self.working >= self.slots {
            return None;
        }
        let share = (self.slots / SHARE).max(1);
        let others_wait = self.turns.len() > 1;
        let turns = &self.turns;
        let at = turns.iter().position(|system_id| {
            !others_wait || self.in_work.get(system_id).copied().unwrap_or(0) < share
        })?;
        let system_id = self.turns.remove(at)?;
        let uploads = self.waiting.get_mut(&system_id)?;
        let (_, candidate) = uploads.pop_first()?;
        if uploads.is_empty() {
            self.waiting.remove(&system_id);
        } else {
            self.turns.push_back(system_id.clone());
        }
        *self.in_work.entry(system_id).or_default() += 1;
        self.ready -= 1;
        self.working += 1;
        Some(candidate)
    }

    /// Notes that work on an upload has ended.
    pub(crate) fn finish(&mut self, candidate: &Candidate) {
        self.end(candidate);
        let key = (candidate.system_id.clone(), candidate.upload_id.clone());
        self.known.remove(&key);
    }

    /// Gives back an upload in work, to be taken again after `pause`.
    pub(crate) fn put_back(&mut self, candidate: Candidate, now: Instant, pause: Duration) {
        self.end(&candidate);
        self.next_number += 1;
        self.later
            .insert((now + pause, self.next_number), candidate);
    }

    /// Forgets everything that waits.
    pub(crate) fn clear(&mut self) {
        for candidate in std::mem::take(&mut self.later).into_values() {
            let key = (candidate.system_id, candidate.upload_id);
            self.known.remove(&key);
        }
        for (system_id, uploads) in std::mem::take(&mut self.waiting) {
            for upload_id in uploads.into_keys() {
                self.known.remove(&(system_id.clone(), upload_id));
            }
        }
        self.turns.clear();
        self.ready = 0;
    }

    /// Returns how many uploads wait.
    pub(crate) fn len(&self) -> usize {
        self.ready + self.later.len()
    }

    /// Returns how many uploads are in work.
    pub(crate) fn in_work(&self) -> usize {
        self.working
    }

    /// Returns when an upload that was put back is due next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.later.keys().next().map(|(due, _)| *due)
    }

    /// Returns when the oldest upload that waits was written, as far as its system's oldest tells.
    pub(crate) fn oldest(&self) -> Option<DateTime<Utc>> {
        let ready = self.waiting.values().filter_map(|it| it.values().next());
        ready.chain(self.later.values()).map(|it| it.at).min()
    }

    fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let candidate = entry.remove();
            self.make_ready(candidate);
        }
    }

    fn make_ready(&mut self, candidate: Candidate) {
        let uploads = self.waiting.entry(candidate.system_id.clone()).or_default();
        if uploads.is_empty() {
            self.turns.push_back(candidate.system_id.clone());
        }
        uploads.insert(candidate.upload_id.clone(), candidate);
        self.ready += 1;
    }

    fn end(&mut self, candidate: &Candidate) {
        self.working = self.working.saturating_sub(1);
        if let Some(count) = self.in_work.get_mut(&candidate.system_id) {
            *count -= 1;
            if *count == 0 {
                self.in_work.remove(&candidate.system_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(system: &str, number: usize) -> Candidate {
        Candidate {
            system_id: system.parse().unwrap(),
            upload_id: format!("20260102_030405_{system}_{number:06x}")
                .parse()
                .unwrap(),
            at: DateTime::from_timestamp(number as i64, 0).unwrap(),
            seen: None,
        }
    }

    fn taken(queue: &mut Queue) -> Vec<Candidate> {
        std::iter::from_fn(|| queue.take(Instant::now())).collect()
    }

    #[tokio::test]
    async fn systems_take_turns_and_the_oldest_comes_first() {
        let mut queue = Queue::new(100);
        for number in (0..3).rev() {
            queue.push(upload("a", number));
            queue.push(upload("b", number));
        }
        let order: Vec<String> = taken(&mut queue)
            .iter()
            .map(|it| format!("{}{}", it.system_id, it.at.timestamp()))
            .collect();
        assert_eq!(order, ["a0", "b0", "a1", "b1", "a2", "b2"]);
    }

    #[tokio::test]
    async fn no_system_has_more_than_a_quarter_while_others_wait() {
        let mut queue = Queue::new(8);
        (0..1000).for_each(|number| queue.push(upload("greedy", number)));
        assert_eq!(taken(&mut queue).len(), 8, "alone it may have every slot");
        queue.push(upload("modest", 0));
        let mut queue = Queue::new(8);
        (0..1000).for_each(|number| queue.push(upload("greedy", number)));
        (0..100).for_each(|number| queue.push(upload("modest", number)));
        let started = taken(&mut queue);
        let greedy = |it: &&Candidate| it.system_id.as_str() == "greedy";
        assert_eq!(started.iter().filter(greedy).count(), 2);
        assert_eq!(started.len(), 4);
        queue.finish(&started[1]);
        assert_eq!(taken(&mut queue)[0].system_id.as_str(), "modest");
    }

    #[tokio::test]
    async fn the_share_leaves_no_slot_idle_once_nobody_else_waits() {
        let mut queue = Queue::new(4);
        (0..10).for_each(|number| queue.push(upload("greedy", number)));
        queue.push(upload("modest", 0));
        let started = taken(&mut queue);
        assert_eq!(started.len(), 4, "{started:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_not_added_twice_and_comes_back_when_it_is_due() {
        let mut queue = Queue::new(4);
        queue.push(upload("a", 0));
        queue.push(upload("a", 0));
        assert_eq!(queue.len(), 1);
        let started = taken(&mut queue).remove(0);
        queue.push(upload("a", 0));
        assert_eq!((queue.len(), queue.in_work()), (0, 1));
        queue.put_back(started, Instant::now(), Duration::from_secs(5));
        queue.push(upload("a", 0));
        assert_eq!((queue.len(), queue.in_work()), (1, 0));
        assert!(taken(&mut queue).is_empty());
        tokio::time::advance(Duration::from_secs(5)).await;
        let again = taken(&mut queue).remove(0);
        queue.finish(&again);
        queue.push(upload("a", 0));
        assert_eq!(queue.len(), 1);
        queue.clear();
        assert_eq!(queue.len(), 0);
        queue.push(upload("a", 0));
        assert_eq!(queue.len(), 1);
    }
}
