//! The state of a tenant at one revision, the changes that lead from one to the next, and the
//! events that tell of them.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use imbl::{OrdMap, Vector};

use super::format;
use super::keys::{Key, Revision};
use super::pairs::Pairs;

/// So many released claims are remembered.
const RELEASED: usize = 512;

/// What is looked at without parsing an object's JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The labels.
    pub labels: Pairs,
    /// The selectable fields, such as `spec.nodeName`; not those that the key says.
    pub fields: Pairs,
    /// What the object holds exclusively, such as `ip/10.96.0.10`.
    pub claims: Box<[Box<str>]>,
}

impl Attributes {
    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name)
    }

    /// A selectable field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// About how many bytes they take.
    pub(crate) fn size(&self) -> usize {
        let claims = self.claims.iter().map(|claim| claim.len() + 16);
        self.labels.size() + self.fields.size() + claims.sum::<usize>()
    }
}

/// One version of one object. Immutable but for the slot of [`Object::cached`].
pub struct Object {
    /// Its key below the tenant's prefix.
    pub key: Key,
    /// The revision of the change that made this version.
    pub revision: Revision,
    /// The object's JSON.
    pub value: Bytes,
    /// What is looked at without parsing the JSON.
    pub attributes: Attributes,
    slot: Mutex<Option<Bytes>>,
}

impl Object {
    /// A version of an object, with nothing cached.
    pub fn new(key: Key, revision: Revision, value: Bytes, attributes: Attributes) -> Self {
        Self {
            key,
            revision,
            value,
            attributes,
            slot: Mutex::new(None),
        }
    }

    /// A derived encoding that was kept.
    pub fn cached(&self) -> Option<Bytes> {
        self.slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps a derived encoding, or forgets it. Who calls bounds how many bytes are kept.
    pub fn cache(&self, encoding: Option<Bytes>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = encoding;
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.revision)
    }
}

/// A change that a commit asks for.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new version of an object, which exists or not.
    Put {
        /// The object's key.
        key: Key,
        /// Its JSON.
        value: Bytes,
        /// What is looked at without parsing the JSON.
        attributes: Attributes,
    },
    /// The end of an object, which must exist.
    Delete {
        /// The object's key.
        key: Key,
    },
}

/// What an event's object was before.
#[derive(Clone, Debug)]
pub enum Previous {
    /// Nothing: it was created.
    None,
    /// The version before. Always so for a deletion.
    Object(Arc<Object>),
    /// What selectors look at in the version before: a put that is served from the log.
    Attributes(Attributes),
}

impl Previous {
    /// What selectors look at in the version before, if there was one.
    pub fn attributes(&self) -> Option<&Attributes> {
        match self {
            Self::None => None,
            Self::Object(object) => Some(&object.attributes),
            Self::Attributes(attributes) => Some(attributes),
        }
    }
}

/// One change, as a watch tells it.
#[derive(Debug)]
pub struct Event {
    /// The change's revision.
    pub revision: Revision,
    /// The object's key.
    pub key: Key,
    /// The new version; `None`: it was deleted.
    pub object: Option<Arc<Object>>,
    /// What was before.
    pub previous: Previous,
    ready: OnceLock<Bytes>,
    shown: OnceLock<Bytes>,
}

impl Event {
    pub(crate) fn new(
        revision: Revision,
        key: Key,
        object: Option<Arc<Object>>,
        previous: Previous,
    ) -> Self {
        Self {
            revision,
            key,
            object,
            previous,
            ready: OnceLock::new(),
            shown: OnceLock::new(),
        }
    }

    /// A form ready to be sent, made by the first watcher that needs it and shared by all others.
    pub fn ready(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.ready.get_or_init(make).clone()
    }

    /// The same of a second form.
    pub fn shown(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.shown.get_or_init(make).clone()
    }

    /// About how many bytes it keeps in memory.
    pub(crate) fn size(&self) -> usize {
        let object = |o: &Arc<Object>| o.value.len() + o.attributes.size() + 160;
        let previous = match &self.previous {
            Previous::Object(o) => object(o),
            Previous::None | Previous::Attributes(_) => 0,
        };
        self.object.as_ref().map_or(0, object) + previous + 160
    }
}

/// Objects that every project has from its birth without their being stored: a process holds them once. One that
/// is written is stored from then on; of one that is deleted a mark is stored, at [`Template::mark`].
///
/// Another version of a template, in another process or later, changes what of it nobody has touched, and no
/// digest.
#[derive(Clone, Default)]
pub struct Template {
    objects: OrdMap<Key, Arc<Object>>,
    claims: OrdMap<Arc<str>, Key>,
}

impl Template {
    /// The revision of its objects: a project's first one, at which it is born.
    pub const REVISION: Revision = 1;

    /// The template of these objects: their keys, and JSON that says their revision.
    pub fn new(objects: impl IntoIterator<Item = (Key, Bytes, Attributes)>) -> Self {
        let mut template = Self::default();
        for (key, value, attributes) in objects {
            for claim in &attributes.claims {
                template.claims.insert((**claim).into(), key.clone());
            }
            let object = Object::new(key.clone(), Self::REVISION, value, attributes);
            template.objects.insert(key, Arc::new(object));
        }
        template
    }

    /// The key of the mark of an object that was deleted.
    pub fn mark(key: &str) -> String {
        format!("{MARK}{key}")
    }

    fn has(&self, object: &Object) -> bool {
        let own = self.objects.get(&object.key);
        own.is_some_and(|own| std::ptr::eq(&raw const **own, object))
    }
}

/// Keys of marks begin so: before all others, so that marks are loaded first.
const MARK: &str = "DELETED/";

/// Whose life it is that a state belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Never born, or closed.
    None,
    /// The project with this uid.
    Project(Arc<str>),
    /// The system tenant's, which has no beginning and no end.
    System,
}

/// The state of a tenant at one revision. A snapshot: cheap to clone, and it never changes.
#[derive(Clone)]
pub struct State {
    pub(crate) revision: Revision,
    /// The revision of the last birth or close.
    pub(crate) since: Revision,
    pub(crate) life: Life,
    digest: u128,
    objects: OrdMap<Key, Arc<Object>>,
    claims: OrdMap<Arc<str>, Key>,
    released: Vector<Arc<str>>,
    template: Template,
}

impl State {
    /// The state without any object, at a revision.
    pub(crate) fn empty(revision: Revision, since: Revision, life: Life) -> Self {
        Self {
            revision,
            since,
            life,
            digest: 0,
            objects: OrdMap::new(),
            claims: OrdMap::new(),
            released: Vector::new(),
            template: Template::default(),
        }
    }

    /// The same state of a tenant with a template, nothing of which is changed yet.
    pub(crate) fn with(mut self, template: Template) -> Self {
        self.template = template;
        self.fill();
        self
    }

    /// Puts the template's objects in place, if a project lives here.
    fn fill(&mut self) {
        if matches!(self.life, Life::Project(_)) {
            self.objects = self.template.objects.clone();
            self.claims = self.template.claims.clone();
        }
    }

    /// The revision of the last change; 0 before the first.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision of the first change of the commit that is being decided.
    pub fn next_revision(&self) -> Revision {
        self.revision + 1
    }

    /// Whether the tenant was born and not closed.
    pub fn is_alive(&self) -> bool {
        self.life != Life::None
    }

    /// The uid of the project that lives here.
    pub fn uid(&self) -> Option<&str> {
        match &self.life {
            Life::Project(uid) => Some(uid),
            Life::None | Life::System => None,
        }
    }

    /// The object at a key.
    pub fn get(&self, key: &str) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// All objects whose keys begin with `prefix`, in the order of their keys.
    pub fn range<'a>(
        &'a self,
        prefix: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Object>> + use<'a> {
        self.span(Bound::Included(prefix), prefix)
    }

    /// Those of [`State::range`] whose keys come behind `after`.
    pub fn range_after<'a>(
        &'a self,
        prefix: &str,
        after: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Object>> + use<'a> {
        // A position before the first key with the prefix leaves out nothing.
        let start = if after < prefix {
            Bound::Included(prefix)
        } else {
            Bound::Excluded(after)
        };
        self.span(start, prefix)
    }

    fn span<'a>(
        &'a self,
        start: Bound<&str>,
        prefix: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Object>> + use<'a> {
        let end = prefix_end(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        // A start behind the end makes an empty range, not a panic.
        let empty = matches!((start, end), (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b)) if a >= b);
        (!empty)
            .then(|| self.objects.range::<_, str>((start, end)))
            .into_iter()
            .flatten()
            .map(|(_, object)| object)
    }

    /// Whether a delete of this key has to leave a mark: it is of the template, and has none yet.
    pub fn needs_mark(&self, key: &str) -> bool {
        self.template.objects.contains_key(key)
            && !self.objects.contains_key(Template::mark(key).as_str())
    }

    /// All objects that are stored.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Arc<Object>> {
        let all = self.objects.values();
        all.filter(|object| !self.template.has(object))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Who holds a claim.
    pub fn claim(&self, claim: &str) -> Option<&Key> {
        self.claims.get(claim)
    }

    /// The claims that begin with `prefix`, and who holds them, in order.
    pub fn claims<'a>(
        &'a self,
        prefix: &str,
    ) -> impl DoubleEndedIterator<Item = (&'a str, &'a Key)> + use<'a> {
        let end = prefix_end(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.claims
            .range::<_, str>((Bound::Included(prefix), end))
            .map(|(claim, key)| (&**claim, key))
    }

    /// Whether a claim was given up a short time ago. Kept in memory only, and not for long.
    pub fn recently_released(&self, claim: &str) -> bool {
        self.released.iter().any(|released| **released == *claim)
    }

    /// The digest over the live objects.
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// Puts a version in place, and gives the one before.
    pub(crate) fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        if let Some(marked) = object.key.strip_prefix(MARK)
            && self
                .objects
                .get(marked)
                .is_some_and(|own| self.template.has(own))
        {
            // It was deleted, which a load sees by the mark alone.
            self.delete(marked);
        }
        let new = format::digest(&object.key, object.revision);
        self.digest = self.digest.wrapping_add(new);
        let previous = self.objects.insert(object.key.clone(), object.clone());
        if let Some(previous) = &previous {
            self.forget(previous);
            if previous.attributes.claims == object.attributes.claims {
                return Some(previous.clone());
            }
            self.release(previous, Some(&object));
        }
        for claim in &object.attributes.claims {
            self.claims.insert((**claim).into(), object.key.clone());
        }
        previous
    }

    /// Takes an object away, and gives it.
    pub(crate) fn delete(&mut self, key: &str) -> Option<Arc<Object>> {
        let previous = self.objects.remove(key)?;
        self.forget(&previous);
        self.release(&previous, None);
        Some(previous)
    }

    /// Finds out anew who holds what. While a tenant is loaded, projections that the log overrules later
    /// may have held what others hold.
    pub(crate) fn index_claims(&mut self) {
        self.claims.clear();
        self.released.clear();
        for object in self.objects.values() {
            for claim in &object.attributes.claims {
                self.claims.insert((**claim).into(), object.key.clone());
            }
        }
    }

    /// Empties the state but for the template, as a birth and a close do, and gives the keys of what was stored in it.
    pub(crate) fn reset(&mut self, life: Life) -> Vec<Key> {
        self.since = self.revision;
        self.life = life;
        self.digest = 0;
        self.claims.clear();
        self.released.clear();
        let before = self.stored().map(|object| object.key.clone()).collect();
        self.objects = OrdMap::new();
        self.fill();
        before
    }

    fn forget(&mut self, object: &Object) {
        if self.template.has(object) {
            return;
        }
        let old = format::digest(&object.key, object.revision);
        self.digest = self.digest.wrapping_sub(old);
    }

    fn release(&mut self, previous: &Object, kept: Option<&Object>) {
        for claim in &previous.attributes.claims {
            let keeps = kept.is_some_and(|object| object.attributes.claims.contains(claim));
            if keeps || self.claims.get(&**claim) != Some(&previous.key) {
                continue;
            }
            self.claims.remove(&**claim);
            self.released.push_back((**claim).into());
            if self.released.len() > RELEASED {
                self.released.pop_front();
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("revision", &self.revision)
            .field("since", &self.since)
            .field("life", &self.life)
            .field("objects", &self.range("").collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The first text behind all that begin with `prefix`; `None` if there is none.
fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next = match last {
            // The surrogates are not characters.
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, revision: Revision, claims: &[&str]) -> Arc<Object> {
        let attributes = Attributes {
            claims: claims.iter().map(|c| (*c).into()).collect(),
            ..Attributes::default()
        };
        Arc::new(Object::new(key.into(), revision, Bytes::new(), attributes))
    }

    fn state(keys: &[&str]) -> State {
        let mut state = State::empty(0, 0, Life::None);
        for (i, key) in keys.iter().enumerate() {
            state.put(object(key, i as Revision + 1, &[]));
        }
        state
    }

    fn keys<'a>(objects: impl Iterator<Item = &'a Arc<Object>>) -> Vec<&'a str> {
        objects.map(|o| o.key.as_str()).collect()
    }

    #[test]
    fn a_range_is_what_begins_with_the_prefix() {
        let s = state(&["nodes/a", "pods/a/x", "pods/a/y", "pods/b/x", "pods2/c"]);
        assert_eq!(keys(s.range("pods/")), ["pods/a/x", "pods/a/y", "pods/b/x"]);
        assert_eq!(
            keys(s.range("pods/").rev()),
            ["pods/b/x", "pods/a/y", "pods/a/x"]
        );
        assert_eq!(keys(s.range("pods/a/")), ["pods/a/x", "pods/a/y"]);
        assert_eq!(keys(s.range("services/")), [""; 0]);
        assert_eq!(s.range("").count(), 5);
    }

    #[test]
    fn a_range_goes_on_behind_a_key() {
        let s = state(&["pods/a/x", "pods/a/y", "pods/b/x", "pods2/c"]);
        assert_eq!(
            keys(s.range_after("pods/", "pods/a/x")),
            ["pods/a/y", "pods/b/x"]
        );
        assert_eq!(
            keys(s.range_after("pods/", "")),
            ["pods/a/x", "pods/a/y", "pods/b/x"]
        );
        assert_eq!(keys(s.range_after("pods/", "pods/b/x")), [""; 0]);
        assert_eq!(keys(s.range_after("pods/", "z")), [""; 0]);
    }

    #[test]
    fn the_digest_depends_on_what_is_there_and_not_on_the_way() {
        let mut a = state(&["a/x", "b/y"]);
        let mut b = State::empty(0, 0, Life::None);
        b.put(object("b/y", 9, &[]));
        b.put(object("c/z", 7, &[]));
        assert_ne!(a.digest(), b.digest());
        a.put(object("b/y", 9, &[]));
        a.delete("a/x");
        b.delete("c/z");
        assert_eq!(a.digest(), b.digest());
        a.delete("b/y");
        assert_eq!(a.digest(), 0);
        assert!(a.delete("b/y").is_none());
    }

    #[test]
    fn claims_follow_the_objects() {
        let mut s = state(&[]);
        s.put(object("services/a/x", 1, &["ip/1", "port/1"]));
        assert_eq!(s.claim("ip/1").map(Key::as_str), Some("services/a/x"));
        s.put(object("services/a/x", 2, &["ip/1", "port/2"]));
        assert!(s.claim("port/1").is_none());
        assert!(s.recently_released("port/1") && !s.recently_released("ip/1"));
        assert_eq!(s.claims("port/").count(), 1);
        s.delete("services/a/x");
        assert_eq!(s.claims("").count(), 0);
        assert!(s.recently_released("ip/1"));
    }

    #[test]
    fn a_snapshot_does_not_change() {
        let mut s = state(&["a/x"]);
        let snapshot = s.clone();
        s.put(object("a/y", 2, &[]));
        s.reset(Life::None);
        assert_eq!(keys(snapshot.range("")), ["a/x"]);
        assert!(s.is_empty());
    }

    #[test]
    fn the_end_of_a_prefix_is_found_over_odd_characters() {
        assert_eq!(prefix_end("pods/").as_deref(), Some("pods0"));
        assert_eq!(prefix_end("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(prefix_end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_end(""), None);
    }
}
