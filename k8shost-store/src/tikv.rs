//! A TiKV cluster as the store, in raw mode: any number of servers share it.
//!
//! Two clients are needed, for compare-and-swap excludes only writes that are atomic like itself: the
//! atomic one reads and swaps; the plain one writes projections and deletes ranges, keys that are never
//! swapped (or never again). Nothing outside of this module knows the TiKV client, and nothing in it
//! leans on how the client retries what it must not: writes and swaps are sent once for each attempt,
//! and an attempt whose outcome is not clear is reported as that.

mod connect;
mod fault;
mod options;
mod page;
mod session;
mod slot;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use tikv_client::{Backoff, Config, RawClient};
use tokio::time::{Instant, timeout_at};

pub use self::options::{Options, OptionsError, Tls};
pub use self::stats::{Labeled, Stats};

use self::connect::connect;
use self::fault::{Fate, Fault};
use self::page::{Size, page};
use self::session::Session;
use self::slot::{Pauses, Slot};
use self::stats::{Client, Kind, Operation};
use crate::kv::{Kv, KvError, Pair, Safety, Swap};
use crate::log::TenantId;

/// A write that has no answer for so long takes its client along; less, where the window is short.
const ANSWER: Duration = Duration::from_secs(5);
/// The largest answer that is taken. A store sends 10 MiB at most.
const ANSWER_BYTES: usize = 16 << 20;
/// TiKV's limit for keys.
const KEY_BYTES: usize = 8 << 10;
/// A batch get asks for so many keys at a time.
const BATCH_KEYS: usize = 256;

/// Why a cluster can't be used as it is named.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file for TLS can't be read.
    #[error("the {name} file {path} can't be read: {source}")]
    Unreadable {
        /// Which one: `ca`, `cert` or `key`.
        name: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// A TiKV cluster.
pub struct TikvKv {
    options: Options,
    stats: Arc<Stats>,
    atomic: Arc<Slot<RawClient>>,
    plain: Arc<Slot<Session>>,
}

impl TikvKv {
    /// A store in this cluster. It connects when it is first asked for something: until the cluster
    /// answers, requests fail as unavailable.
    ///
    /// # Errors
    /// A file for TLS can't be read.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        if let Some(Tls { ca, cert, key }) = &options.tls {
            for (name, path) in [("ca", ca), ("cert", cert), ("key", key)] {
                File::open(path).map_err(|source| OpenError::Unreadable {
                    name,
                    path: path.display().to_string(),
                    source,
                })?;
            }
        }
        let stats = Arc::new(Stats::default());
        let (endpoints, each) = (options.endpoints.clone(), config(&options, options.timeout));
        let atomic = Box::new(move || {
            let client = connect(endpoints.clone(), each.clone());
            client.map_ok(|client| client.with_atomic_for_cas()).boxed()
        });
        let bound = answer_bound(options.window);
        let (endpoints, each) = (options.endpoints.clone(), config(&options, bound));
        let plain = Box::new(move || Session::connect(endpoints.clone(), each.clone()).boxed());
        Ok(Self {
            atomic: Slot::new(Client::Atomic, stats.clone(), atomic),
            plain: Slot::new(Client::Plain, stats.clone(), plain),
            stats,
            options,
        })
    }

    /// What has been counted.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Where it is.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the cluster answers, and if not, why: reads a key that all servers need.
    ///
    /// # Errors
    /// It does not answer within the deadline.
    pub async fn reach(&self) -> Result<(), KvError> {
        self.get(TenantId::system().floor_key()).await.map(drop)
    }

    /// The key in the cluster.
    fn key(&self, key: &[u8]) -> Result<Vec<u8>, KvError> {
        let key = [self.options.prefix.as_bytes(), key].concat();
        if key.len() > KEY_BYTES {
            let text = format!("a key has {} bytes, more than {KEY_BYTES}", key.len());
            return Err(KvError::Unavailable(text));
        }
        Ok(key)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.options.deadline
    }

    /// One attempt with the atomic client. A patient one tries again by itself, and so learns where the
    /// regions are; the other is sent once.
    async fn attempt<T, F>(
        &self,
        operation: Operation,
        deadline: Instant,
        patient: bool,
        send: impl FnOnce(RawClient) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = tikv_client::Result<T>>,
    {
        let outcome = match timeout_at(deadline, self.atomic.client()).await {
            Err(_) => Err(Fault::unreached(self.atomic.why())),
            Ok(Err(text)) => Err(Fault::unreached(text)),
            Ok(Ok(numbered)) => {
                let client = match patient {
                    true => numbered.client,
                    false => numbered.client.with_backoff(Backoff::no_backoff()),
                };
                self.stats.sent(operation);
                // Looking for the region takes time too.
                let end = deadline.min(Instant::now() + self.options.timeout.mul_f64(1.5));
                let answer = AssertUnwindSafe(send(client)).catch_unwind();
                let outcome = match timeout_at(end, answer).await {
                    Ok(Ok(outcome)) => outcome.map_err(Fault::of),
                    Ok(Err(_)) => Err(Fault::broken("the client panicked".to_owned())),
                    Err(_) => Err(Fault::silence()),
                };
                match &outcome {
                    Err(fault) if fault.renew => self.atomic.replace(numbered.number),
                    _ => self.atomic.answered(),
                }
                outcome
            }
        };
        outcome.inspect_err(|fault| self.stats.failed(fault.kind))
    }

    /// Reads, as often as it takes within the deadline.
    async fn read<T, F>(
        &self,
        operation: Operation,
        deadline: Instant,
        send: impl Fn(RawClient) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = tikv_client::Result<T>>,
    {
        let (mut pauses, mut patient) = (Pauses::default(), false);
        loop {
            let fault = match self.attempt(operation, deadline, patient, &send).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let last = fault.fate == Fate::Rejected || fault.kind == Kind::TooLarge;
            if last || !pauses.wait(deadline).await {
                return Err(fault);
            }
            patient = fault.misled;
            self.stats.retried(operation);
        }
    }

    async fn swap(
        &self,
        key: Vec<u8>,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> Result<Swap, KvError> {
        let (deadline, mut pauses) = (self.deadline(), Pauses::default());
        loop {
            let send = |client: RawClient| {
                let (key, new) = (key.clone(), new.to_vec());
                let expected = expected.as_ref().map(|value| value.to_vec());
                async move { client.compare_and_swap(key, expected, new).await }
            };
            let operation = Operation::CompareAndSwap;
            let fault = match self.attempt(operation, deadline, false, send).await {
                Ok((_, true)) => return Ok(Swap::Swapped),
                Ok((previous, false)) => return Ok(Swap::Found(previous.map(Bytes::from))),
                Err(fault) => fault,
            };
            if fault.misled {
                // However this goes: the next attempt is told so too.
                let range = (key.clone(), [&key, &b"\0"[..]].concat());
                let look =
                    |client: RawClient| async move { client.batch_scan_keys([range], 1).await };
                drop(self.attempt(Operation::Scan, deadline, true, look).await);
            }
            // After an attempt that may have been made, being refused would say nothing.
            if fault.fate != Fate::Refused || !pauses.wait(deadline).await {
                return Err(fault.of_write());
            }
            self.stats.retried(operation);
        }
    }

    async fn values(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>, KvError> {
        let keys: Vec<Vec<u8>> = keys
            .iter()
            .map(|key| self.key(key))
            .collect::<Result<_, _>>()?;
        let mut wanted = keys.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found: HashMap<Vec<u8>, Bytes> = HashMap::with_capacity(wanted.len());
        let mut parts: Vec<&[Vec<u8>]> = wanted.chunks(BATCH_KEYS).collect();
        while let Some(part) = parts.pop() {
            let send = |client: RawClient| {
                let part = part.to_vec();
                async move { client.batch_get(part).await }
            };
            match self.read(Operation::BatchGet, self.deadline(), send).await {
                Ok(pairs) => {
                    found.extend(pairs.into_iter().map(|pair| (pair.0.into(), pair.1.into())));
                }
                Err(fault) if fault.kind == Kind::TooLarge && part.len() > 1 => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one, other]);
                }
                Err(fault) => return Err(fault.of_read()),
            }
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn pairs(
        &self,
        start: Vec<u8>,
        end: Vec<u8>,
        limit: usize,
    ) -> Result<Vec<Pair>, KvError> {
        let prefix = self.options.prefix.len();
        let (mut pairs, mut bytes, mut from) = (Vec::new(), 0, start);
        let mut size = Size::new(limit);
        // An empty range would be one without an end to the client.
        while from < end {
            let ask = size.ask();
            let send = |client: RawClient| {
                let range = (from.clone(), end.clone());
                async move {
                    client
                        .batch_scan([range], u32::try_from(ask).unwrap_or(u32::MAX))
                        .await
                }
            };
            let found = match self.read(Operation::Scan, self.deadline(), send).await {
                Ok(found) => page(found, (&from, &end), ask, prefix)?,
                Err(fault) if fault.kind == Kind::TooLarge && size.shrink() => continue,
                Err(fault) => return Err(fault.of_read()),
            };
            let all = found.len() < ask;
            bytes += found
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
            pairs.extend(found);
            let Some((last, _)) = pairs.last() else {
                break;
            };
            if all || !size.grow(pairs.len(), bytes, limit) {
                break;
            }
            from = [self.options.prefix.as_bytes(), last, b"\0"].concat();
        }
        Ok(pairs)
    }

    /// One attempt with the plain client, which is over when this ends, and never takes longer than the
    /// bound; whether anybody waits for it or not.
    async fn once<F>(
        &self,
        operation: Operation,
        range: (Vec<u8>, Vec<u8>),
        send: impl FnOnce(RawClient) -> F,
    ) -> Result<(), KvError>
    where
        F: Future<Output = Vec<tikv_client::Error>> + Send + 'static,
    {
        let deadline = Instant::now() + answer_bound(self.options.window);
        let unreached = |text| {
            let fault = Fault::unreached(text);
            self.stats.failed(fault.kind);
            fault.of_read()
        };
        let numbered = match timeout_at(deadline, self.plain.client()).await {
            Ok(client) => client.map_err(unreached)?,
            Err(_) => return Err(unreached(self.plain.why())),
        };
        let session = numbered.client;
        let (work, patient) = (send(session.client()), session.patient());
        let work = async move {
            let faults: Vec<Fault> = work.await.into_iter().map(Fault::of).collect();
            if faults.iter().any(|fault| fault.misled) && !faults.iter().any(|fault| fault.renew) {
                // So that the next attempt finds its way.
                drop(patient.batch_scan_keys([range], 1).await);
            }
            // The gravest counts.
            match faults
                .into_iter()
                .max_by_key(|fault| (fault.renew, fault.fate == Fate::Open))
            {
                Some(fault) => Err(fault),
                None => Ok(()),
            }
        };
        self.stats.sent(operation);
        let outcome = session.run(deadline, work).await;
        match &outcome {
            Err(fault) if fault.renew => self.plain.replace(numbered.number),
            _ => self.plain.answered(),
        }
        outcome.map_err(|fault| {
            self.stats.failed(fault.kind);
            match fault.kind {
                Kind::DiskFull => KvError::Full(fault.text),
                // Some of it may have been done, even if a part was refused.
                _ => KvError::Unknown(fault.text),
            }
        })
    }
}

/// The time within which a write with the plain client is answered, or never made: well within half of
/// the window.
fn answer_bound(window: Duration) -> Duration {
    ANSWER.min(window / 8)
}

fn config(options: &Options, timeout: Duration) -> Config {
    let config = Config::default()
        .with_timeout(timeout)
        .with_grpc_max_decoding_message_size(ANSWER_BYTES);
    match &options.tls {
        None => config,
        Some(Tls { ca, cert, key }) => config.with_security(ca, cert, key),
    }
}

impl Kv for TikvKv {
    fn safety(&self) -> Safety {
        Safety::Shared {
            window: self.options.window,
        }
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>> {
        async move {
            let key = self.key(&key)?;
            let send = |client: RawClient| {
                let key = key.clone();
                async move { client.get(key).await }
            };
            let value = self.read(Operation::Get, self.deadline(), send).await;
            value
                .map(|value| value.map(Bytes::from))
                .map_err(Fault::of_read)
        }
        .boxed()
    }

    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>> {
        self.values(keys).boxed()
    }

    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>> {
        async move { self.pairs(self.key(&start)?, self.key(&end)?, limit).await }.boxed()
    }

    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>> {
        async move { self.swap(self.key(&key)?, expected, new).await }.boxed()
    }

    fn write(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> BoxFuture<'_, Result<(), KvError>> {
        async move {
            // The last word for each key.
            let mut last: BTreeMap<Vec<u8>, Option<Bytes>> = BTreeMap::new();
            for (key, value) in writes {
                last.insert(self.key(&key)?, value);
            }
            let (Some((first, _)), Some((end, _))) =
                (last.first_key_value(), last.last_key_value())
            else {
                return Ok(());
            };
            let range = (first.clone(), [end, &b"\0"[..]].concat());
            let (mut puts, mut deletes) = (Vec::new(), Vec::new());
            for (key, value) in last {
                match value {
                    Some(value) => puts.push((key, value.to_vec())),
                    None => deletes.push(key),
                }
            }
            let send = |client: RawClient| async move {
                let put = async {
                    match puts.is_empty() {
                        true => Ok(()),
                        false => client.batch_put(puts).await,
                    }
                };
                let delete = async {
                    match deletes.is_empty() {
                        true => Ok(()),
                        false => client.batch_delete(deletes).await,
                    }
                };
                let (put, delete) = futures::join!(put, delete);
                [put, delete].into_iter().filter_map(Result::err).collect()
            };
            self.once(Operation::Write, range, send).await
        }
        .boxed()
    }

    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>> {
        async move {
            let range = (self.key(&start)?, self.key(&end)?);
            if range.0 >= range.1 {
                return Ok(());
            }
            let sent = range.clone();
            let send = |client: RawClient| async move {
                client.delete_range(sent).await.err().into_iter().collect()
            };
            self.once(Operation::DeleteRange, range, send).await
        }
        .boxed()
    }
}
