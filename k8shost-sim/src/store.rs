//! The simulated store: what becomes of a request. It is drawn once, when the request is sent: when each
//! part of it takes effect, if at all, and when the sender hears of it, if at all.

use std::task::Waker;

use bytes::Bytes;
use k8shost_store::kv::{KvError, Swap};

use crate::mix::WINDOW;
use crate::request::{Answer, Request};
use crate::script::{Fate, Verb};
use crate::world::{Core, Event, Sender, note};

/// A request that was made and is not over.
pub(crate) struct InFlight {
    sender: Sender,
    request: Request,
    sent: u64,
    parts: u16,
    /// Events that will still look at this slot.
    events: u16,
    /// As far as it is known.
    answer: Answer,
    failure: Option<KvError>,
    /// How far the journal had come when a swap took effect.
    journaled: usize,
    answered: bool,
    /// Nobody waits any more.
    abandoned: bool,
    /// The store that it was sent to died before it took effect.
    dead: bool,
    pub(crate) waker: Option<Waker>,
}

/// Where a scan goes on behind a key.
fn after(key: &Bytes) -> Bytes {
    let mut next = key.to_vec();
    next.push(0);
    next.into()
}

impl Core {
    /// Takes a request from a server. A paused server's is sent when it runs again.
    pub(crate) fn request(&mut self, server: usize, incarnation: u64, request: Request) -> u32 {
        let answer = match &request {
            Request::Get(_) => Answer::Value(None),
            Request::BatchGet(keys) => Answer::Values(vec![None; keys.len()]),
            Request::Scan(..) => Answer::Pairs(Vec::new()),
            Request::Swap(..) => Answer::Swap(Swap::Swapped),
            Request::Write(_) | Request::DeleteRange(..) => Answer::Done,
        };
        let sender = Sender {
            server,
            incarnation,
            runs: self.runs_before(server, &request),
        };
        let is_write = matches!(request, Request::Write(_));
        let slot = self.requests.insert(InFlight {
            sender,
            request,
            sent: self.now,
            parts: 1,
            events: 0,
            answer,
            failure: None,
            journaled: 0,
            answered: false,
            abandoned: false,
            dead: false,
            waker: None,
        });
        // A pause may come at any instant, and so between a decision and the request that it leads to;
        // the one exception is the protocol's premise.
        if !is_write {
            self.maybe_pause(server);
            if self.is_paused(server) {
                self.processes[server].unsent.push(slot);
                return slot;
            }
        }
        self.send(slot);
        slot
    }

    /// How many runs of commits' functions there had been when a swap was first asked for.
    fn runs_before(&mut self, server: usize, request: &Request) -> u64 {
        let Request::Swap(key, _, new) = request else {
            return 0;
        };
        let runs = self.history.runs;
        let swaps = &mut self.processes[server].swaps;
        if let Some((.., runs)) = swaps.iter().find(|swap| swap.0 == *key && swap.1 == *new) {
            return *runs;
        }
        swaps.push_back((key.clone(), new.clone(), runs));
        if swaps.len() > 8 {
            swaps.pop_front();
        }
        runs
    }

    /// Sends what a server was about to send when it was paused.
    pub(crate) fn send_unsent(&mut self, server: usize) {
        for slot in std::mem::take(&mut self.processes[server].unsent) {
            if self.requests.get(slot).is_some_and(|r| r.abandoned) {
                self.requests.remove(slot);
            } else if self.requests.get(slot).is_some() {
                self.send(slot);
            }
        }
    }

    /// Draws what becomes of a request.
    fn send(&mut self, slot: u32) {
        self.stats.kv += 1;
        let Some(flight) = self.requests.get(slot) else {
            return;
        };
        let (server, verb) = (flight.sender.server, flight.request.verb());
        let keys = match &flight.request {
            Request::BatchGet(keys) => keys.len(),
            Request::Write(writes) => writes.len(),
            _ => 1,
        };
        if self.trace.is_some() {
            let line = format!("S{server} #{slot} {}", flight.request.describe());
            self.line(line);
        }
        self.stir(u64::from(slot) << 3 | verb as u64);
        let fate = self.fate(slot, verb, 0);
        if fate.unavailable {
            let delay = self.way();
            if let Some(flight) = self.requests.get_mut(slot) {
                flight.failure = Some(if self.rng.chance(3000) {
                    KvError::Full("simulated".into())
                } else {
                    KvError::Unavailable("simulated".into())
                });
            }
            self.schedule(slot, delay, Event::Deliver { slot, failed: true });
            return;
        }
        let parts = match verb {
            Verb::Write => keys as u16,
            Verb::BatchGet if keys > 1 && fate.split => 2,
            Verb::Scan | Verb::DeleteRange if fate.split => 2,
            _ => 1,
        };
        let mut over = 0;
        let mut dropped = false;
        for part in 0..parts {
            // The writes of one request go each its own way, and some not at all.
            let at = match verb {
                _ if part == 0 => fate.apply_after,
                Verb::Write => self.fate(slot, verb, usize::from(part)).apply_after,
                _ if dropped => None,
                _ => Some(over + self.rng.range(0, self.mix.way.1)),
            };
            let Some(at) = at else {
                dropped = true;
                continue;
            };
            over = over.max(at);
            self.schedule(slot, at, Event::Apply { slot, part });
            if fate.duplicate && part == 0 {
                let again = if verb == Verb::Write {
                    self.rng.range(at, at.max(WINDOW / 2 - 1))
                } else {
                    at + self.rng.below(5 * WINDOW)
                };
                self.schedule(
                    slot,
                    again,
                    Event::Apply {
                        slot,
                        part: u16::MAX,
                    },
                );
            }
        }
        if let Some(flight) = self.requests.get_mut(slot) {
            flight.parts = parts;
        }
        let answer = fate
            .answer_after
            .map(|way| over + way)
            .filter(|answer| !dropped && (fate.scripted || *answer <= self.mix.give_up));
        match answer {
            Some(answer) => self.schedule(
                slot,
                answer,
                Event::Deliver {
                    slot,
                    failed: false,
                },
            ),
            None => {
                // The sender may hear of a broken connection long before it would give up.
                let give_up = self.mix.give_up;
                let at = if !fate.scripted && self.rng.chance(3000) {
                    self.rng.range(give_up / 10, give_up)
                } else {
                    give_up
                };
                self.schedule(slot, at, Event::Deliver { slot, failed: true });
            }
        }
    }

    fn schedule(&mut self, slot: u32, delay: u64, event: Event) {
        if let Some(flight) = self.requests.get_mut(slot) {
            flight.events += 1;
        }
        self.after(delay, event);
    }

    fn way(&mut self) -> u64 {
        let (least, most) = self.mix.way;
        self.rng.range(least, most)
    }

    /// What becomes of a request, or of one write of several.
    fn fate(&mut self, slot: u32, verb: Verb, part: usize) -> Fate {
        if self.script.on
            && let Some(flight) = self.requests.get(slot)
        {
            let key = match &flight.request {
                Request::Write(writes) => writes.get(part).map_or(&[][..], |write| &write.0),
                request => request.key(),
            };
            let fate = self.script.fate(self.now, flight.sender.server, verb, key);
            if let Some(fate) = fate {
                return fate;
            }
        }
        self.draw(verb)
    }

    fn draw(&mut self, verb: Verb) -> Fate {
        let mut fate = Fate {
            apply_after: Some(self.way()),
            answer_after: Some(self.way()),
            unavailable: false,
            duplicate: false,
            split: false,
            scripted: false,
        };
        if !self.faults {
            return fate;
        }
        let mix = self.mix;
        let read = matches!(verb, Verb::Get | Verb::BatchGet | Verb::Scan);
        fate.split = self.rng.chance(mix.split);
        if self.rng.chance(mix.unavailable) {
            fate.unavailable = true;
        }
        if self.rng.chance(mix.drop) {
            fate.apply_after = None;
        } else if verb == Verb::Write {
            // Often as late as the bound allows.
            if self.rng.chance(mix.late_projection) {
                fate.apply_after = Some(if mix.broken_bound {
                    self.rng.range(1, 2 * WINDOW)
                } else if self.rng.chance(4000) {
                    WINDOW / 2 - 1
                } else {
                    self.rng.range(1, WINDOW / 2 - 1)
                });
            }
        } else if self.rng.chance(mix.late) {
            fate.apply_after = (!read).then(|| self.rng.range(1, 5 * WINDOW));
        }
        if self.rng.chance(mix.lost) {
            fate.answer_after = None;
        } else if self.rng.chance(mix.late / 2) {
            fate.answer_after = Some(self.rng.range(1, WINDOW));
        }
        fate.duplicate = !read && self.rng.chance(mix.duplicate);
        fate
    }

    /// A part of a request takes effect. Part `u16::MAX` is the first one again.
    pub(crate) fn apply(&mut self, slot: u32, part: u16) {
        let Some(flight) = self.requests.get_mut(slot) else {
            return;
        };
        flight.events -= 1;
        if flight.dead {
            return self.release(slot);
        }
        let again = part == u16::MAX;
        let part = if again { 0 } else { part };
        let (sender, parts) = (flight.sender, flight.parts);
        // The request is put back below: nothing that it does looks at the slot.
        let request = std::mem::replace(&mut flight.request, Request::Get(Bytes::new()));
        let mut answer = std::mem::replace(&mut flight.answer, Answer::Done);
        if self.trace.is_some()
            && !matches!(
                request,
                Request::Get(_) | Request::BatchGet(_) | Request::Scan(..)
            )
        {
            let sent = self.requests.get(slot).map_or(0, |f| f.sent);
            let line = format!(
                "KV #{slot} of S{}, sent {} ms ago, takes effect",
                sender.server,
                self.now - sent
            );
            self.line(line);
        }
        match &request {
            Request::Get(key) => answer = Answer::Value(self.map.get(key).cloned()),
            Request::BatchGet(keys) => {
                if let Answer::Values(values) = &mut answer {
                    let step = usize::from(parts);
                    for i in (usize::from(part)..keys.len()).step_by(step) {
                        values[i] = self.map.get(&keys[i]).cloned();
                    }
                }
            }
            Request::Scan(start, end, limit) => {
                if let Answer::Pairs(pairs) = &mut answer {
                    let start = pairs.last().map_or(start.clone(), |last| after(&last.0));
                    let room = limit - pairs.len();
                    let room = if part + 1 < parts || (self.faults && self.mix.split > 0) {
                        // A page may be cut anywhere but before its first pair.
                        room.min(1 + self.rng.below(4) as usize)
                    } else {
                        room
                    };
                    if start < *end {
                        let range = self.map.range(start..end.clone()).take(room);
                        pairs.extend(range.map(|(key, value)| (key.clone(), value.clone())));
                    }
                }
            }
            Request::Swap(key, expected, new) => {
                let found = self.map.get(key).cloned();
                let swap = if found == *expected {
                    self.set(key, Some(new.clone()), sender);
                    Swap::Swapped
                } else {
                    Swap::Found(found)
                };
                if !again {
                    answer = Answer::Swap(swap);
                }
            }
            Request::Write(writes) => {
                let (key, value) = &writes[usize::from(part)];
                self.set(key, value.clone(), sender);
            }
            Request::DeleteRange(start, end) => {
                let keys: Vec<_> = self
                    .map
                    .range(start.clone()..end.clone())
                    .map(|x| x.0.clone())
                    .collect();
                let all = again || part + 1 == parts;
                for key in keys.iter().step_by(if all { 1 } else { 2 }) {
                    self.set(key, None, sender);
                }
            }
        }
        let journaled = self.durable + self.journal.len();
        note!(self, "KV #{slot}: {}", answer.describe());
        if let Some(flight) = self.requests.get_mut(slot) {
            flight.request = request;
            flight.answer = answer;
            if !again {
                flight.journaled = journaled;
            }
        }
        self.release(slot);
    }

    /// Sets a key, and lets the history see it.
    fn set(&mut self, key: &Bytes, value: Option<Bytes>, sender: Sender) {
        let old = match value.clone() {
            Some(value) => self.map.insert(key.clone(), value),
            None => self.map.remove(key),
        };
        if self.mix.exclusive {
            self.journal.push((key.clone(), old));
        }
        self.observe(key, value, sender);
    }

    /// Tells the sender. What is not known yet stays unknown to it.
    pub(crate) fn deliver(&mut self, slot: u32, failed: bool) -> Option<Waker> {
        let flight = self.requests.get_mut(slot)?;
        flight.events -= 1;
        if flight.dead {
            self.release(slot);
            return None;
        }
        flight.answered = true;
        if failed {
            let failure = flight.failure.take();
            flight.answer =
                Answer::Failed(failure.unwrap_or_else(|| KvError::Unknown("simulated".into())));
        }
        let waker = flight.waker.take();
        let durable = match &flight.answer {
            Answer::Swap(_) => flight.journaled,
            _ => 0,
        };
        self.stir(u64::from(slot) << 3 | (6 + u64::from(failed)));
        if self.trace.is_some()
            && let Some(flight) = self.requests.get(slot)
        {
            let line = format!(
                "S{} #{slot} is answered: {}",
                flight.sender.server,
                flight.answer.describe()
            );
            self.line(line);
        }
        if durable > self.durable {
            self.journal.drain(..durable - self.durable);
            self.durable = durable;
        }
        self.release(slot);
        waker
    }

    /// The answer, once it is there.
    pub(crate) fn poll_answer(&mut self, slot: u32, waker: &Waker) -> Option<Answer> {
        let flight = self.requests.get_mut(slot)?;
        if !flight.answered {
            flight.waker = Some(waker.clone());
            return None;
        }
        let answer = std::mem::replace(&mut flight.answer, Answer::Done);
        self.abandon(slot);
        Some(answer)
    }

    /// Nobody waits for it any more.
    pub(crate) fn abandon(&mut self, slot: u32) {
        if let Some(flight) = self.requests.get_mut(slot) {
            flight.abandoned = true;
            flight.waker = None;
        }
        self.release(slot);
    }

    fn release(&mut self, slot: u32) {
        let Some(flight) = self.requests.get(slot) else {
            return;
        };
        if flight.events == 0
            && flight.abandoned
            && !self.processes[flight.sender.server].unsent.contains(&slot)
        {
            self.requests.remove(slot);
        }
    }

    /// The embedded store's process dies: what was not made durable may be gone, the last of it first, and
    /// nothing that was on its way happens any more.
    pub(crate) fn lose_power(&mut self) {
        for flight in self.requests.iter_mut() {
            flight.dead = true;
        }
        let keep = self.rng.below(self.journal.len() as u64 + 1) as usize;
        for (key, old) in self.journal.split_off(keep).into_iter().rev() {
            match old.clone() {
                Some(value) => self.map.insert(key.clone(), value),
                None => self.map.remove(&key),
            };
            self.take_back(&key, old);
        }
        self.journal.clear();
        self.durable = 0;
    }
}
