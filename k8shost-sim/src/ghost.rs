//! What stands in the store is held against the truth: a load that sees all of it at once, at every change,
//! and what must be left in the end.

use bytes::Bytes;

use crate::format::{Batch, Floor, digest};
use crate::object::{CLAIMS, Obj, View, keys};
use crate::world::Core;

impl Core {
    /// A load that sees the whole store at once: the state must be the one at the log's end.
    pub(crate) fn ghost(&mut self, tenant: usize) {
        self.stats.ghosts += 1;
        let it = &self.history.tenants[tenant];
        let mut view = View::empty(tenant);
        let mut since = 0;
        let mut sum = 0;
        if let Some(floor) = &it.floor {
            since = floor.since;
            sum = floor.digest;
            view.revision = floor.revision - 1;
            view.alive = floor.alive;
            view.uid = floor.uid;
        }
        for (slot, object) in it.projections.iter().enumerate() {
            if object.revision > since {
                view.objects[slot] = *object;
            }
        }
        while let Some(batch) = it.log.get(&(view.revision + 1)) {
            for change in &batch.changes {
                view.apply(*change);
            }
            sum = batch.digest;
        }
        // Who holds what follows from the objects; while they are loaded, old ones may hold the same.
        view.claims = [0; CLAIMS];
        for (slot, object) in view.objects.iter().enumerate() {
            if object.claim > 0 {
                view.claims[usize::from(object.claim) - 1] = slot as u8 + 1;
            }
        }
        let truth = it.last_view();
        if self.mix.broken_bound {
            // Then the store may be wrong; but nobody must take it for right.
        } else if view != truth {
            self.bad(format!(
                "5: a load of T{tenant} gives {view:?}, the truth is {truth:?}"
            ));
        } else if digest(tenant, &view) != sum {
            self.bad(format!("5: a load of T{tenant} gives another digest"));
        }
    }

    /// A crash took back what nobody had been told of.
    pub(crate) fn take_back(&mut self, key: &Bytes, old: Option<Bytes>) {
        let text = String::from_utf8_lossy(key).into_owned();
        let Some(tenant) = self.history.tenant_of(&text) else {
            return;
        };
        let rest = &text[self.history.tenants[tenant].prefix.len()..];
        let it = &mut self.history.tenants[tenant];
        if rest == "@floor" {
            it.floor = old
                .as_deref()
                .and_then(|old| Floor::decode(tenant, old).ok());
        } else if let Some(first) = rest.strip_prefix("@log/") {
            let first = u64::from_str_radix(first, 16).unwrap_or(0);
            match old
                .as_deref()
                .and_then(|old| Batch::decode(tenant, first, old).ok())
            {
                Some(batch) => {
                    it.log.insert(first, batch);
                }
                None => {
                    it.log.remove(&first);
                    self.stats.taken_back += 1;
                    for gone in it.revisions.drain((first as usize).saturating_sub(1)..) {
                        if let Some(op) = gone.op {
                            self.history.ops[op as usize].landed = None;
                        }
                    }
                }
            }
        } else if let Some(slot) = keys(tenant).iter().position(|known| *known == rest) {
            it.projections[slot] = old.as_deref().and_then(Obj::parse).unwrap_or_default();
        }
        // A load is made once the store is whole again.
    }

    /// What a load gives now, of every tenant.
    pub(crate) fn ghosts(&mut self) {
        for tenant in 0..self.history.tenants.len() {
            self.ghost(tenant);
        }
    }

    /// At rest the log is truncated, and the projections are the state.
    pub(crate) fn at_rest(&mut self) {
        for tenant in 0..self.history.tenants.len() {
            let it = &self.history.tenants[tenant];
            let (end, floor, truth) = (it.end(), it.floor(), it.last_view());
            if floor != end + 1 {
                self.bad(format!(
                    "liveness: T{tenant} is truncated to {floor}, and ends at {end}"
                ));
            } else if let Some(first) = it.log.keys().find(|first| !it.voids.contains(first)) {
                let what = format!(
                    "liveness: T{tenant} still has a batch at {first}, the floor is {floor}"
                );
                self.bad(what);
            } else if it.projections != truth.objects {
                let what = format!(
                    "5: at rest the projections of T{tenant} are {:?}, the state is {truth:?}",
                    it.projections
                );
                self.bad(what);
            }
        }
    }
}
