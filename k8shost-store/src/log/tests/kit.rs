//! What the tests share: a world with a paused clock, a schema of plain text, and a store whose
//! answers can be lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8shost_types::{Error, Reason};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::env::Env;
use crate::kv::{Kv, KvError, Pair, Safety, Swap};
use crate::log::scan::behind;
use crate::log::{
    Attributes, Change, CommitFn, Committed, Config, Engine, Pairs, Revision, Schema, State,
    TenantId, TenantLog,
};
use crate::memory::MemoryKv;

/// `W` in these tests.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// Tokio's paused clock, and numbers instead of randomness.
pub(super) struct TestEnv {
    pub(super) start: Instant,
    next: AtomicU64,
}

impl TestEnv {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            next: AtomicU64::new(1),
        })
    }
}

impl Env for TestEnv {
    fn now(&self) -> Duration {
        self.start.elapsed() + Duration::from_secs(1)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn random(&self) -> u128 {
        self.next.fetch_add(1, Ordering::Relaxed).into()
    }
}

/// Objects are `<revision>:<text>`, with the claim `<text>` if the text begins with `ip/`; projects
/// are a table.
#[derive(Default)]
pub(super) struct TestSchema {
    projects: Mutex<BTreeMap<TenantId, String>>,
    pub(super) asked: AtomicU64,
}

impl TestSchema {
    pub(super) fn set(&self, id: &TenantId, uid: Option<&str>) {
        let mut projects = self.projects.lock().unwrap();
        match uid {
            Some(uid) => projects.insert(id.clone(), uid.to_owned()),
            None => projects.remove(id),
        };
    }
}

pub(super) fn attributes(text: &str) -> Attributes {
    let claims = text.starts_with("ip/").then(|| text.into());
    Attributes {
        labels: [("text", text.chars().take(20).collect::<String>())]
            .into_iter()
            .collect(),
        fields: Pairs::default(),
        claims: claims.into_iter().collect(),
    }
}

impl Schema for TestSchema {
    fn read(&self, _: &str, value: &[u8]) -> Result<(Revision, Attributes), String> {
        let text = std::str::from_utf8(value).map_err(|e| e.to_string())?;
        let (revision, text) = text.split_once(':').ok_or("no revision")?;
        let revision = revision.parse().map_err(|_| "no number")?;
        Ok((revision, attributes(text)))
    }

    fn project(&self, tenant: &TenantId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let uid = self.projects.lock().unwrap().get(tenant).cloned();
        async move { Ok(uid) }.boxed()
    }

    fn born(&self, _: &TenantId, uid: &str, first: Revision) -> Vec<Change> {
        vec![change("namespaces/default", first, uid)]
    }
}

fn change(key: &str, revision: Revision, text: &str) -> Change {
    Change::Put {
        key: key.into(),
        value: format!("{revision}:{text}").into(),
        attributes: attributes(text),
    }
}

/// A commit that puts objects.
pub(super) fn put(pairs: &[(&str, &str)]) -> CommitFn {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(k, t)| (k.to_string(), t.to_string()))
        .collect();
    Box::new(move |state| {
        let each = (state.next_revision()..).zip(&pairs);
        Ok(each.map(|(r, (key, text))| change(key, r, text)).collect())
    })
}

/// A commit that creates an object, or says that it exists.
pub(super) fn create(key: &str, text: &str) -> CommitFn {
    let (key, text) = (key.to_owned(), text.to_owned());
    Box::new(move |state| {
        if state.get(&key).is_some() {
            return Err(Error::new(Reason::AlreadyExists, key.clone()));
        }
        Ok(vec![change(&key, state.next_revision(), &text)])
    })
}

/// A commit that deletes objects.
pub(super) fn delete(keys: &[&str]) -> CommitFn {
    let keys: Vec<String> = keys.iter().map(|k| k.to_string()).collect();
    Box::new(move |_| {
        let each = keys.iter().map(|key| Change::Delete {
            key: key.as_str().into(),
        });
        Ok(each.collect())
    })
}

/// A commit that changes nothing.
pub(super) fn nothing() -> CommitFn {
    Box::new(|_| Ok(Vec::new()))
}

/// What a state says, as text: `key=value` in order.
pub(super) fn text(state: &State) -> String {
    let each = state.range("").map(|object| {
        let value = String::from_utf8_lossy(&object.value).into_owned();
        format!("{}={value}", object.key)
    });
    each.collect::<Vec<_>>().join(" ")
}

/// What happens to a request.
#[derive(Clone)]
pub(super) enum Fault {
    /// It is carried out and the answer is lost.
    Lost,
    /// It is not carried out and there is no answer.
    Dropped,
    /// There is no answer now, and it is carried out when told so.
    Late(Arc<Notify>),
    /// It is carried out, and the answer waits until told so.
    Slow(Arc<Notify>),
    /// It waits until told so, and is then carried out.
    Held(Arc<Notify>),
    /// There is no room.
    Full,
    /// The store is away.
    Away,
}

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Get,
    Cas,
    Write,
    Delete,
}

/// A handle to a store in memory that can be made to fail. Each handle has faults of its own.
pub(super) struct TestKv {
    kv: MemoryKv,
    faults: Mutex<VecDeque<(On, String, Fault)>>,
    /// Requests that were made: what, and on which key.
    pub(super) requests: Mutex<Vec<(On, String)>>,
}

impl TestKv {
    pub(super) fn new(kv: MemoryKv) -> Arc<Self> {
        Arc::new(Self {
            kv,
            faults: Mutex::default(),
            requests: Mutex::default(),
        })
    }

    /// The next request of this kind whose key has `part` in it meets a fault.
    pub(super) fn fault(&self, on: On, part: &str, fault: Fault) {
        let mut faults = self.faults.lock().unwrap();
        faults.push_back((on, part.to_owned(), fault));
    }

    fn take(&self, on: On, key: &Bytes) -> Option<Fault> {
        let key = String::from_utf8_lossy(key).into_owned();
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|f| f.0 == on && key.contains(&f.1));
        self.requests.lock().unwrap().push((on, key));
        at.and_then(|at| faults.remove(at)).map(|f| f.2)
    }

    pub(super) fn count(&self, on: On, part: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|r| r.0 == on && r.1.contains(part))
            .count()
    }

    async fn meet<T: Send + 'static>(
        &self,
        fault: Option<Fault>,
        request: impl Future<Output = Result<T, KvError>> + Send + 'static,
    ) -> Result<T, KvError> {
        let unknown = || Err(KvError::Unknown("no answer".to_owned()));
        match fault {
            None => request.await,
            Some(Fault::Lost) => {
                drop(request.await);
                unknown()
            }
            Some(Fault::Dropped) => unknown(),
            Some(Fault::Late(when)) => {
                tokio::spawn(async move {
                    when.notified().await;
                    drop(request.await);
                });
                unknown()
            }
            Some(Fault::Slow(when)) => {
                let answer = request.await;
                when.notified().await;
                answer
            }
            Some(Fault::Held(when)) => {
                when.notified().await;
                request.await
            }
            Some(Fault::Full) => Err(KvError::Full("no room".to_owned())),
            Some(Fault::Away) => Err(KvError::Unavailable("away".to_owned())),
        }
    }
}

impl Kv for TestKv {
    fn safety(&self) -> Safety {
        self.kv.safety()
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>> {
        let (fault, kv) = (self.take(On::Get, &key), self.kv.clone());
        self.meet(fault, async move { kv.get(key).await }).boxed()
    }

    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>> {
        self.kv.batch_get(keys)
    }

    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>> {
        self.kv.scan(start, end, limit)
    }

    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>> {
        let (fault, kv) = (self.take(On::Cas, &key), self.kv.clone());
        let request = async move { kv.compare_and_swap(key, expected, new).await };
        self.meet(fault, request).boxed()
    }

    fn write(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> BoxFuture<'_, Result<(), KvError>> {
        let first = writes.first().map(|w| w.0.clone()).unwrap_or_default();
        let (fault, kv) = (self.take(On::Write, &first), self.kv.clone());
        self.meet(fault, async move { kv.write(writes).await })
            .boxed()
    }

    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>> {
        let (fault, kv) = (self.take(On::Delete, &start), self.kv.clone());
        let request = async move { kv.delete_range(start, end).await };
        self.meet(fault, request).boxed()
    }
}

/// One server, and what it runs on.
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) kv: Arc<TestKv>,
}

/// What servers share.
pub(super) struct World {
    pub(super) env: Arc<TestEnv>,
    pub(super) schema: Arc<TestSchema>,
    pub(super) kv: MemoryKv,
    pub(super) config: Config,
}

/// The tenant that most tests use.
pub(super) fn web() -> TenantId {
    TenantId::project("acme", "web").unwrap()
}

impl World {
    fn over(kv: MemoryKv) -> Self {
        let schema = Arc::new(TestSchema::default());
        schema.set(&web(), Some("u1"));
        Self {
            env: TestEnv::new(),
            schema,
            kv,
            config: Config::default(),
        }
    }

    /// One process has the store.
    pub(super) fn exclusive() -> Self {
        Self::over(MemoryKv::new())
    }

    /// Several servers share the store.
    pub(super) fn shared() -> Self {
        Self::over(MemoryKv::shared(WINDOW))
    }

    /// A server starts.
    pub(super) fn server(&self) -> Server {
        let kv = TestKv::new(self.kv.clone());
        Server {
            engine: Engine::new(
                kv.clone(),
                self.env.clone(),
                self.schema.clone(),
                self.config.clone(),
            ),
            kv,
        }
    }

    pub(super) fn kv_is_shared(&self) -> bool {
        self.kv.safety() != Safety::Exclusive
    }

    /// The value stored at a key.
    pub(super) async fn value(&self, key: &Bytes) -> Option<Bytes> {
        self.kv.get(key.clone()).await.unwrap()
    }

    /// Stores a value behind everybody's back.
    pub(super) async fn put(&self, key: &Bytes, value: Bytes) {
        let writes = vec![(key.clone(), Some(value))];
        self.kv.write(writes).await.unwrap();
    }

    async fn scan(&self, mut start: Bytes, end: Bytes) -> Vec<Pair> {
        let mut all = Vec::new();
        loop {
            let page = self.kv.scan(start, end.clone(), 100).await.unwrap();
            let Some((last, _)) = page.last() else {
                return all;
            };
            start = behind(last);
            all.extend(page);
        }
    }

    /// How many batches a tenant's log has in the store.
    pub(super) async fn batches(&self, id: &TenantId) -> usize {
        self.scan(id.log_key(0), id.log_end()).await.len()
    }

    /// The projections of a tenant, as text.
    pub(super) async fn projections(&self, id: &TenantId) -> String {
        let (start, end) = id.projections();
        let pairs = self.scan(start, end).await;
        let each = pairs.iter().map(|(key, value)| {
            let key = String::from_utf8_lossy(&key[id.prefix().len()..]).into_owned();
            format!("{key}={}", String::from_utf8_lossy(value))
        });
        each.collect::<Vec<_>>().join(" ")
    }

    /// What a server that starts now finds.
    pub(super) async fn found(&self) -> String {
        let server = self.server();
        let log = server.engine.tenant(&web()).await.unwrap();
        text(&log.read().await.unwrap())
    }
}

impl Server {
    pub(super) async fn web(&self) -> TenantLog {
        self.engine.tenant(&web()).await.unwrap()
    }
}

/// Runs something beside the test.
pub(super) fn beside<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move { drop(sender.send(task.await)) });
    receiver
}

/// A commit beside the test.
pub(super) fn commit(log: &TenantLog, f: CommitFn) -> oneshot::Receiver<Result<Committed, Error>> {
    let log = log.clone();
    beside(async move { log.commit(f).await })
}

/// Lets all tasks run until they wait for time, or for ever.
pub(super) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Time goes by, and what is due is done.
pub(super) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
    settle().await;
}
