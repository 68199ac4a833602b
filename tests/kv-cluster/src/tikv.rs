//! A store's face: TiKV's gRPC service, its raw half.

use std::sync::Arc;

use prost::Message;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::data::Write;
use crate::net::{Incoming, Line};
use crate::proto::kvrpcpb::{
    KeyError, KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest,
    RawBatchGetResponse, RawBatchPutRequest, RawBatchPutResponse, RawBatchScanRequest,
    RawBatchScanResponse, RawCasRequest, RawCasResponse, RawDeleteRangeRequest,
    RawDeleteRangeResponse, RawDeleteRequest, RawDeleteResponse, RawGetKeyTtlRequest,
    RawGetKeyTtlResponse, RawGetRequest, RawGetResponse, RawPutRequest, RawPutResponse,
    RawScanRequest, RawScanResponse,
};
use crate::proto::tikvpb::tikv_server::{Tikv, TikvServer};
use crate::proto::{errorpb, kvrpcpb};
use crate::raw::{self, Core, Failure, Op, Outcome, Raw, Scan};

/// Serves one store on these connections.
pub(crate) async fn serve(core: Arc<Core>, store: u64, server: Server, incoming: Incoming) {
    // The answer's limit is ours to check: TiKV says RESOURCE_EXHAUSTED, tonic would not.
    let service = TikvServer::new(Store { core, id: store })
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let server = server
        .max_concurrent_streams(1024)
        .initial_stream_window_size(2 << 20)
        .initial_connection_window_size(8 << 20)
        .add_service(service);
    // Ends when the node is stopped, which aborts it.
    let _ = server.serve_with_incoming(incoming).await;
}

#[derive(Debug)]
struct Store {
    core: Arc<Core>,
    id: u64,
}

/// An answer that has a place for errors.
trait Answer: Message + Default {
    fn set_region_error(&mut self, error: errorpb::Error);
    fn set_error(&mut self, text: String);
}

macro_rules! answers {
    ($($name:ident),*) => { $(
        impl Answer for $name {
            fn set_region_error(&mut self, error: errorpb::Error) {
                self.region_error = Some(error);
            }
            fn set_error(&mut self, text: String) {
                self.error = text;
            }
        }
    )* };
}

/// Those whose errors are in a pair.
macro_rules! answers_in_pairs {
    ($($name:ident: $pairs:ident),*) => { $(
        impl Answer for $name {
            fn set_region_error(&mut self, error: errorpb::Error) {
                self.region_error = Some(error);
            }
            fn set_error(&mut self, text: String) {
                self.$pairs = vec![KvPair {
                    error: Some(KeyError { abort: text, ..Default::default() }),
                    ..Default::default()
                }];
            }
        }
    )* };
}

answers!(
    RawGetResponse,
    RawPutResponse,
    RawBatchPutResponse,
    RawDeleteResponse,
    RawBatchDeleteResponse,
    RawDeleteRangeResponse,
    RawGetKeyTtlResponse,
    RawCasResponse
);
answers_in_pairs!(RawBatchGetResponse: pairs, RawScanResponse: kvs, RawBatchScanResponse: kvs);

/// The fields that all requests have.
struct Head {
    method: &'static str,
    context: Option<kvrpcpb::Context>,
    cf: String,
    bytes: usize,
    line: Option<Arc<Line>>,
}

macro_rules! head {
    ($request:ident, $method:literal) => {{
        let line = $request.extensions().get::<Arc<Line>>().cloned();
        let $request = $request.into_inner();
        let bytes = $request.encoded_len();
        let head = Head {
            method: $method,
            context: $request.context,
            cf: $request.cf.clone(),
            bytes,
            line,
        };
        (head, $request)
    }};
}

impl Store {
    async fn call<A: Answer>(
        &self,
        head: Head,
        op: Op,
        fill: impl FnOnce(Outcome, &mut A),
    ) -> Result<Response<A>, Status> {
        let raw = Raw {
            method: head.method,
            context: head.context.unwrap_or_default(),
            cf: head.cf,
            bytes: head.bytes,
            op,
        };
        let outcome = raw::call(&self.core, self.id, raw).await;
        let mut failed = outcome.is_err();
        let mut answer = A::default();
        let result = match outcome {
            Ok(outcome) => {
                fill(outcome, &mut answer);
                Ok(())
            }
            Err(Failure::Region(error)) => {
                answer.set_region_error(*error);
                Ok(())
            }
            Err(Failure::Text(text)) => {
                answer.set_error(text);
                Ok(())
            }
            Err(Failure::Status(status)) => Err(status),
            Err(Failure::Disconnect) => {
                head.line.inspect(|line| line.cut());
                Err(Status::unavailable("the connection is closed"))
            }
        };
        let bytes = answer.encoded_len();
        let limit = self.core.limits.answer;
        let result = result.and_then(|()| {
            if bytes > limit {
                failed = true;
                let text = format!("sent message larger than max ({bytes} vs. {limit})");
                return Err(Status::resource_exhausted(text));
            }
            Ok(Response::new(answer))
        });
        self.core.counters.add(head.method, |count| {
            count.errors += u64::from(failed);
            count.answer_bytes += result.as_ref().map_or(0, |_| bytes as u64);
        });
        result
    }
}

/// API V1 without TTL knows no time to live.
fn put(writes: Vec<Write>, atomic: bool, ttl: bool) -> Op {
    if ttl {
        return Op::Refused(Failure::Text(
            "ttl is not enabled, but get put request with ttl".to_owned(),
        ));
    }
    Op::Write { writes, atomic }
}

fn pairs(outcome: Outcome) -> Vec<KvPair> {
    let Outcome::Pairs(pairs) = outcome else {
        return Vec::new();
    };
    let pair = |(key, value)| KvPair {
        error: None,
        key,
        value,
    };
    pairs.into_iter().map(pair).collect()
}

#[tonic::async_trait]
impl Tikv for Store {
    async fn raw_get(
        &self,
        request: Request<RawGetRequest>,
    ) -> Result<Response<RawGetResponse>, Status> {
        let (head, request) = head!(request, "RawGet");
        let fill = |outcome, answer: &mut RawGetResponse| {
            if let Outcome::Value(value) = outcome {
                answer.not_found = value.is_none();
                answer.value = value.unwrap_or_default();
            }
        };
        self.call(head, Op::Get(request.key), fill).await
    }

    async fn raw_batch_get(
        &self,
        request: Request<RawBatchGetRequest>,
    ) -> Result<Response<RawBatchGetResponse>, Status> {
        let (head, request) = head!(request, "RawBatchGet");
        let fill = |outcome, answer: &mut RawBatchGetResponse| answer.pairs = pairs(outcome);
        self.call(head, Op::BatchGet(request.keys), fill).await
    }

    async fn raw_put(
        &self,
        request: Request<RawPutRequest>,
    ) -> Result<Response<RawPutResponse>, Status> {
        let (head, request) = head!(request, "RawPut");
        let writes = vec![Write::Put(request.key, request.value)];
        let op = put(writes, request.for_cas, request.ttl != 0);
        self.call(head, op, |_, _| {}).await
    }

    async fn raw_batch_put(
        &self,
        request: Request<RawBatchPutRequest>,
    ) -> Result<Response<RawBatchPutResponse>, Status> {
        let (head, request) = head!(request, "RawBatchPut");
        let writes = request.pairs.into_iter();
        let writes = writes.map(|pair| Write::Put(pair.key, pair.value));
        let ttl = request.ttls.iter().any(|ttl| *ttl != 0);
        let op = put(writes.collect(), request.for_cas, ttl);
        self.call(head, op, |_, _| {}).await
    }

    async fn raw_delete(
        &self,
        request: Request<RawDeleteRequest>,
    ) -> Result<Response<RawDeleteResponse>, Status> {
        let (head, request) = head!(request, "RawDelete");
        let op = Op::Write {
            writes: vec![Write::Delete(request.key)],
            atomic: request.for_cas,
        };
        self.call(head, op, |_, _| {}).await
    }

    async fn raw_batch_delete(
        &self,
        request: Request<RawBatchDeleteRequest>,
    ) -> Result<Response<RawBatchDeleteResponse>, Status> {
        let (head, request) = head!(request, "RawBatchDelete");
        let op = Op::Write {
            writes: request.keys.into_iter().map(Write::Delete).collect(),
            atomic: request.for_cas,
        };
        self.call(head, op, |_, _| {}).await
    }

    async fn raw_delete_range(
        &self,
        request: Request<RawDeleteRangeRequest>,
    ) -> Result<Response<RawDeleteRangeResponse>, Status> {
        let (head, request) = head!(request, "RawDeleteRange");
        let op = Op::Write {
            writes: vec![Write::DeleteRange(request.start_key, request.end_key)],
            atomic: false,
        };
        self.call(head, op, |_, _| {}).await
    }

    async fn raw_scan(
        &self,
        request: Request<RawScanRequest>,
    ) -> Result<Response<RawScanResponse>, Status> {
        let (head, request) = head!(request, "RawScan");
        // Backwards the start key is the upper bound.
        let (start, end) = if request.reverse {
            (request.end_key, request.start_key)
        } else {
            (request.start_key, request.end_key)
        };
        let op = Op::Scan {
            ranges: vec![Scan { start, end }],
            limit: request.limit as usize,
            key_only: request.key_only,
            reverse: request.reverse,
        };
        let fill = |outcome, answer: &mut RawScanResponse| answer.kvs = pairs(outcome);
        self.call(head, op, fill).await
    }

    async fn raw_batch_scan(
        &self,
        request: Request<RawBatchScanRequest>,
    ) -> Result<Response<RawBatchScanResponse>, Status> {
        let (head, request) = head!(request, "RawBatchScan");
        let reverse = request.reverse;
        let range = |range: kvrpcpb::KeyRange| {
            let (start, end) = (range.start_key, range.end_key);
            if reverse {
                Scan {
                    start: end,
                    end: start,
                }
            } else {
                Scan { start, end }
            }
        };
        let op = Op::Scan {
            ranges: request.ranges.into_iter().map(range).collect(),
            limit: request.each_limit as usize,
            key_only: request.key_only,
            reverse,
        };
        let fill = |outcome, answer: &mut RawBatchScanResponse| answer.kvs = pairs(outcome);
        self.call(head, op, fill).await
    }

    async fn raw_get_key_ttl(
        &self,
        request: Request<RawGetKeyTtlRequest>,
    ) -> Result<Response<RawGetKeyTtlResponse>, Status> {
        let (head, _) = head!(request, "RawGetKeyTTL");
        // So TiKV ends the call where TTL is not enabled: not in the answer's own field.
        let status = Status::unknown("get ttl on non-ttl store");
        let op = Op::Refused(Failure::Status(status));
        self.call(head, op, |_, _| {}).await
    }

    async fn raw_compare_and_swap(
        &self,
        request: Request<RawCasRequest>,
    ) -> Result<Response<RawCasResponse>, Status> {
        let (head, request) = head!(request, "RawCompareAndSwap");
        let previous = request.previous_value;
        let op = if request.ttl != 0 {
            put(Vec::new(), true, true)
        } else {
            Op::Swap {
                key: request.key,
                previous: (!request.previous_not_exist).then_some(previous),
                value: request.value,
            }
        };
        let fill = |outcome, answer: &mut RawCasResponse| {
            if let Outcome::Swapped { previous, succeed } = outcome {
                answer.succeed = succeed;
                answer.previous_not_exist = previous.is_none();
                answer.previous_value = previous.unwrap_or_default();
            }
        };
        self.call(head, op, fill).await
    }
}
