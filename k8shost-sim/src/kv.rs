//! The simulated store behind the engine's trait, as one server sees it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use k8shost_store::kv::{Kv, KvError, Pair, Safety, Swap};

use crate::mix::WINDOW;
use crate::request::{Answer, Request};
use crate::world::World;

/// The store, as one start of one server sees it.
pub(crate) struct SimKv {
    pub(crate) world: World,
    pub(crate) server: usize,
    pub(crate) incarnation: u64,
    pub(crate) exclusive: bool,
}

/// A request, sent when first polled. To drop it cancels nothing.
struct Call {
    world: World,
    server: usize,
    incarnation: u64,
    request: Option<Request>,
    slot: Option<u32>,
}

impl Future for Call {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = &mut *self;
        let mut core = this.world.core();
        if let Some(request) = this.request.take() {
            // A process that is no more can't send; it is about to be dropped.
            if !core.is_current(this.server, this.incarnation) {
                return Poll::Pending;
            }
            this.slot = Some(core.request(this.server, this.incarnation, request));
        }
        let Some(slot) = this.slot else {
            return Poll::Pending;
        };
        match core.poll_answer(slot, context.waker()) {
            Some(answer) => {
                this.slot = None;
                Poll::Ready(answer)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.world.core().abandon(slot);
        }
    }
}

impl SimKv {
    fn call(&self, request: Request) -> Call {
        Call {
            world: self.world.clone(),
            server: self.server,
            incarnation: self.incarnation,
            request: Some(request),
            slot: None,
        }
    }
}

/// An answer that the store never gives to such a request.
fn mismatch<T>(answer: Answer) -> Result<T, KvError> {
    match answer {
        Answer::Failed(error) => Err(error),
        other => Err(KvError::Unknown(format!(
            "the simulation answered with {other:?}"
        ))),
    }
}

impl Kv for SimKv {
    fn safety(&self) -> Safety {
        if self.exclusive {
            Safety::Exclusive
        } else {
            Safety::Shared {
                window: Duration::from_millis(WINDOW),
            }
        }
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>> {
        let call = self.call(Request::Get(key));
        Box::pin(async move {
            match call.await {
                Answer::Value(value) => Ok(value),
                other => mismatch(other),
            }
        })
    }

    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>> {
        let call = self.call(Request::BatchGet(keys));
        Box::pin(async move {
            match call.await {
                Answer::Values(values) => Ok(values),
                other => mismatch(other),
            }
        })
    }

    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>> {
        let call = self.call(Request::Scan(start, end, limit));
        Box::pin(async move {
            match call.await {
                Answer::Pairs(pairs) => Ok(pairs),
                other => mismatch(other),
            }
        })
    }

    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>> {
        let call = self.call(Request::Swap(key, expected, new));
        Box::pin(async move {
            match call.await {
                Answer::Swap(swap) => Ok(swap),
                other => mismatch(other),
            }
        })
    }

    fn write(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> BoxFuture<'_, Result<(), KvError>> {
        let call = self.call(Request::Write(writes));
        Box::pin(async move {
            match call.await {
                Answer::Done => Ok(()),
                other => mismatch(other),
            }
        })
    }

    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>> {
        let call = self.call(Request::DeleteRange(start, end));
        Box::pin(async move {
            match call.await {
                Answer::Done => Ok(()),
                other => mismatch(other),
            }
        })
    }
}
