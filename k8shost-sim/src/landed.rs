//! What lands in the store is held against what was asked for: whose batch it is, whether it extends the
//! true log, and whether each commit in it is what its function gives.

use bytes::Bytes;

use crate::format::{Batch, Floor, digest};
use crate::history::{Fate, Revision, Run};
use crate::object::{Change, Obj, born, keys, project_slot};
use crate::op::Kind;
use crate::world::{Core, Sender, note};

impl Core {
    /// The store changed a key.
    pub(crate) fn observe(&mut self, key: &Bytes, value: Option<Bytes>, sender: Sender) {
        let text = String::from_utf8_lossy(key);
        let Some(tenant) = self.history.tenant_of(&text) else {
            return self.bad(format!("key {text} is no tenant's"));
        };
        let rest = &text[self.history.tenants[tenant].prefix.len()..];
        if rest == "@floor" {
            match value
                .as_deref()
                .map(|value| Floor::decode(tenant, value))
                .transpose()
            {
                Ok(floor) => self.observe_floor(tenant, floor),
                Err(error) => self.bad(format!("a floor that can't be read: {error}")),
            }
        } else if let Some(first) = rest.strip_prefix("@log/") {
            let Ok(first) = u64::from_str_radix(first, 16) else {
                return self.bad(format!("key {text} is no batch's"));
            };
            match value
                .as_deref()
                .map(|value| Batch::decode(tenant, first, value))
                .transpose()
            {
                Ok(Some(batch)) => self.observe_batch(tenant, first, batch, sender),
                Ok(None) => self.observe_deletion(tenant, first),
                Err(error) => self.bad(format!("a batch that can't be read: {error}")),
            }
        } else if let Some(slot) = keys(tenant).iter().position(|known| *known == rest) {
            let object = match value.as_deref().map(Obj::parse) {
                None => Obj::default(),
                Some(Some(object)) => object,
                Some(None) => return self.bad(format!("projection {text} can't be read")),
            };
            self.history.tenants[tenant].projections[slot] = object;
            self.ghost(tenant);
        } else {
            self.bad(format!("key {text} is no object's"));
        }
    }

    fn observe_floor(&mut self, tenant: usize, floor: Option<Floor>) {
        self.stats.floors += 1;
        note!(self, "T{tenant} floor {floor:?}");
        self.history.tenants[tenant].floor = floor;
        self.ghost(tenant);
    }

    fn observe_deletion(&mut self, tenant: usize, first: u64) {
        self.history.tenants[tenant].log.remove(&first);
        self.stats.deleted += 1;
        self.ghost(tenant);
    }

    fn observe_batch(&mut self, tenant: usize, first: u64, batch: Batch, sender: Sender) {
        let end = self.history.tenants[tenant].end();
        let batch = Batch {
            sender: Some(sender),
            ..batch
        };
        let server = sender.server;
        let last = first + batch.changes.len() as u64 - 1;
        note!(
            self,
            "T{tenant} batch {first}..{last} of S{server}: {:?}",
            batch.changes
        );
        self.history.tenants[tenant].log.insert(first, batch);
        self.spread(tenant, server, last);
        if first == end + 1 {
            self.extend(tenant);
        } else if first < self.history.tenants[tenant].floor() {
            self.stats.voids += 1;
            self.history.tenants[tenant].voids.insert(first);
            note!(self, "T{tenant} that batch is void");
        } else if self.history.white {
            let floor = self.history.tenants[tenant].floor();
            self.bad(format!(
                "1: a batch landed off the log, at {first}: the floor is {floor}, the end {end}"
            ));
        }
    }

    /// The log goes on as far as there are batches.
    fn extend(&mut self, tenant: usize) {
        while self.violation.is_none() {
            let it = &self.history.tenants[tenant];
            let Some(batch) = it.log.get(&(it.end() + 1)).cloned() else {
                break;
            };
            self.extend_by(tenant, &batch);
        }
    }

    fn extend_by(&mut self, tenant: usize, batch: &Batch) {
        let first = self.history.tenants[tenant].end() + 1;
        let mut rest = &batch.changes[..];
        while let Some(change) = rest.first() {
            let took = match *change {
                Change::Birth(uid) => self.landed_birth(tenant, uid, rest),
                Change::Close => self.landed_close(tenant),
                _ => self.landed_commit(tenant, batch, rest),
            };
            match took {
                Ok(took) => rest = &rest[took..],
                Err(violation) => return self.bad(violation),
            }
        }
        let it = &mut self.history.tenants[tenant];
        let Some(last) = it.revisions.last_mut() else {
            return;
        };
        last.end = true;
        if digest(tenant, &last.view) != batch.digest {
            self.bad(format!("5: the batch at {first} carries a wrong digest"));
        }
    }

    fn push(&mut self, tenant: usize, change: Change, op: Option<u32>) {
        let now = self.now;
        let gone = tenant != 0 && self.history.is_gone(tenant);
        let before: Vec<bool> = if tenant == 0 {
            (1..self.history.tenants.len())
                .map(|t| self.history.is_gone(t))
                .collect()
        } else {
            Vec::new()
        };
        let it = &mut self.history.tenants[tenant];
        if gone {
            it.gone_until = now;
        }
        let mut view = it.last_view();
        view.apply(change);
        it.revisions.push(Revision {
            change,
            op,
            landed: now,
            view,
            end: false,
        });
        for (i, was) in before.into_iter().enumerate() {
            if was {
                self.history.tenants[i + 1].gone_until = now;
            }
        }
    }

    fn landed_birth(&mut self, tenant: usize, uid: u32, rest: &[Change]) -> Result<usize, String> {
        self.stats.births += 1;
        let view = self.history.tenants[tenant].last_view();
        let at = view.revision + 1;
        if view.alive {
            return Err(format!("birth: T{tenant} is born at {at}, and was alive"));
        }
        if tenant != 0 {
            let slot = project_slot(tenant);
            let system = &self.history.tenants[0].revisions;
            let was = system.iter().any(|r| {
                let project = r.view.objects[slot];
                project.is_some() && project.uid == uid && !project.marked
            });
            if !was {
                return Err(format!(
                    "birth: T{tenant} is born at {at} for {uid:x}, which never was"
                ));
            }
            // Once a project has gone, so has its life, for good.
            let now = self.history.tenants[0].last_view().objects[slot];
            if !now.is_some() || now.uid != uid {
                return Err(format!(
                    "birth: T{tenant} is born at {at} for {uid:x}, which is gone"
                ));
            }
        }
        let expected = born(uid, at + 1);
        if rest.get(1..=expected.len()) != Some(&expected[..]) {
            return Err(format!("birth: T{tenant} is born at {at} with {rest:?}"));
        }
        for change in &rest[..=expected.len()] {
            self.push(tenant, *change, None);
        }
        Ok(1 + expected.len())
    }

    fn landed_close(&mut self, tenant: usize) -> Result<usize, String> {
        self.stats.closes += 1;
        let view = self.history.tenants[tenant].last_view();
        if tenant == 0 {
            return Err("close: the system tenant is closed".into());
        }
        let project = self.history.tenants[0].last_view().objects[project_slot(tenant)];
        if view.alive && project.is_some() && project.uid == view.uid && !project.marked {
            return Err(format!(
                "close: T{tenant} is closed at {} in the life {:x}, which is not terminating",
                view.revision + 1,
                view.uid
            ));
        }
        self.push(tenant, Change::Close, None);
        Ok(1)
    }

    /// Finds whose commit it is, and holds it against what it should be.
    fn landed_commit(
        &mut self,
        tenant: usize,
        batch: &Batch,
        rest: &[Change],
    ) -> Result<usize, String> {
        let it = &self.history.tenants[tenant];
        let view = it.last_view();
        let at = view.revision + 1;
        let runs = it
            .runs
            .get(view.revision as usize)
            .map_or(&[][..], |runs| runs);
        // The last run before the batch was sent is the one that it was made of.
        let made = |run: &&Run| {
            batch.sender.is_some_and(|sender| {
                run.server == sender.server
                    && run.incarnation == sender.incarnation
                    && run.number < sender.runs
            }) && rest.starts_with(&run.changes)
        };
        let Some(run) = runs.iter().rev().find(made) else {
            return Err(format!(
                "3: T{tenant} has at {at} what no commit gave: {:?}",
                rest[0]
            ));
        };
        let (id, took) = (run.op, run.changes.len());
        let op = &self.history.ops[id as usize];
        if let Some(first) = op.landed {
            return Err(format!(
                "2: operation {id} {:?} took effect twice, at {first} and at {at}",
                op.kind
            ));
        }
        if op.fate == Fate::Refused {
            return Err(format!(
                "2: operation {id} {:?} was refused, and takes effect at {at}",
                op.kind
            ));
        }
        if !view.alive {
            return Err(format!(
                "3: operation {id} {:?} takes effect at {at}, before a birth",
                op.kind
            ));
        }
        let again = op.kind.run(id, &view, self.slots(tenant));
        if again.as_deref() != Ok(&rest[..took]) {
            return Err(format!(
                "3: operation {id} {:?} committed {:?} at {at} on a state that gives {again:?}",
                op.kind,
                &rest[..took]
            ));
        }
        if let Kind::Remove(_, uid) = op.kind {
            let removed = 1 + project_index(op.kind);
            let it = self.history.tenants[removed].last_view();
            if it.alive && it.uid == uid {
                return Err(format!(
                    "close: project {uid:x} is removed, and T{removed} lives"
                ));
            }
        }
        self.history.ops[id as usize].landed = Some(at);
        self.stats.commits += 1;
        for change in &rest[..took] {
            self.push(tenant, *change, Some(id));
        }
        Ok(took)
    }

    /// The slots that ordinary operations use.
    pub(crate) fn slots(&self, tenant: usize) -> std::ops::Range<usize> {
        crate::object::ordinary(tenant, self.mix.keys)
    }
}

/// Which project an operation on the system tenant is about, from 0.
fn project_index(kind: Kind) -> usize {
    match kind {
        Kind::Begin(slot) | Kind::Mark(slot) | Kind::Remove(slot, _) => slot - project_slot(1),
        _ => 0,
    }
}
