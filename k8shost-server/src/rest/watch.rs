//! A watch as a stream of JSON lines.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use k8shost_types::{Error, protobuf, table};
use serde_json::Value;
use tokio::time::Instant;
use tonic::body::Body;

use super::{
    Inner,
    answer::{self, Encoding, Form},
    shown::{Shown, unsayable},
    status,
};
use crate::{
    metrics::Held,
    registry::{
        json::{at_revision, shown},
        watch::{Version, Watch, WatchItem},
    },
};

/// How long a watch lasts that does not say: Kubernetes takes 30 minutes or more.
const USUAL: Duration = Duration::from_secs(45 * 60);

struct Stream {
    inner: Arc<Inner>,
    shown: Shown,
    /// A table has told its columns.
    headed: bool,
    watch: Watch,
    until: Instant,
    _held: Held,
}

/// Answers with the events of a watch until its time is over, the server stops, or it fails: then the
/// last event is an ERROR.
pub(super) fn answer(
    inner: Arc<Inner>,
    watch: Watch,
    timeout: Option<Duration>,
    shown: Shown,
) -> Response<Body> {
    let media = match shown.encoding {
        Encoding::Protobuf => HeaderValue::from_static(protobuf::WATCH_CONTENT_TYPE),
        Encoding::Json | Encoding::Yaml => Encoding::Json.media(),
    };
    let stream = Stream {
        shown,
        headed: false,
        until: Instant::now() + timeout.unwrap_or(USUAL),
        _held: Held::new(&inner.metrics.watches),
        inner,
        watch,
    };
    let body = StreamBody::new(stream::unfold(Some(stream), Stream::step));
    answer::stream(StatusCode::OK, media, body)
}

impl Stream {
    async fn step(
        stream: Option<Self>,
    ) -> Option<(Result<Frame<Bytes>, Infallible>, Option<Self>)> {
        let mut stream = stream?;
        let shutdown = stream.inner.shutdown.clone();
        let item = tokio::select! {
            biased;
            () = shutdown.wait() => return None,
            item = stream.watch.next() => item,
            () = tokio::time::sleep_until(stream.until) => return None,
        };
        match item.and_then(|item| stream.line(&item)) {
            Ok(line) => {
                stream.inner.metrics.watch_events.inc();
                Some((Ok(Frame::data(line)), Some(stream)))
            }
            Err(error) => {
                let line = stream.tell("ERROR", &status::status(&error));
                line.ok().map(|line| (Ok(Frame::data(line)), None))
            }
        }
    }

    fn line(&mut self, item: &WatchItem) -> Result<Bytes, Error> {
        let (event, version) = match item {
            WatchItem::Added(version) => ("ADDED", version),
            WatchItem::Modified(version) => ("MODIFIED", version),
            WatchItem::Deleted(version) => ("DELETED", version),
            WatchItem::Bookmark {
                revision,
                initial_end,
            } => {
                let mut object = self.watch.bookmark(*revision, *initial_end);
                object["apiVersion"] = (*self.shown.rules().api_version).into();
                if let Form::Metadata(version) = self.shown.form {
                    object = table::partial_metadata(&object, version);
                }
                return self.tell("BOOKMARK", &object);
            }
        };
        match version {
            // What most watchers ask for is made once for all of them.
            Version::Shared(change, object) if self.shown.is_plain() => {
                let shown = change.shown(|| shown(&object.value));
                Ok(line(event, &shown))
            }
            Version::Stored(object) | Version::Shared(_, object) => self.show(event, &object.value),
            Version::Former(change, object) => {
                self.show(event, &at_revision(&object.value, change.revision)?)
            }
        }
    }

    /// An event that tells of no stored object.
    fn tell(&self, event: &str, object: &Value) -> Result<Bytes, Error> {
        if self.shown.encoding != Encoding::Protobuf {
            return Ok(line(event, object.to_string().as_bytes()));
        }
        let object = protobuf::encode(object).map_err(|error| unsayable(&error))?;
        Ok(protobuf::watch_event(event, &object).into())
    }

    fn show(&mut self, event: &str, object: &Bytes) -> Result<Bytes, Error> {
        let Form::Table(version) = self.shown.form else {
            let object = self.shown.object(object)?;
            return Ok(match self.shown.encoding {
                Encoding::Protobuf => protobuf::watch_event(event, &object).into(),
                Encoding::Json | Encoding::Yaml => line(event, &object),
            });
        };
        let object = self.shown.tree(object)?;
        let headed = std::mem::replace(&mut self.headed, true);
        let table = self
            .shown
            .table(version, &object["metadata"], [&object], headed);
        Ok(line(event, table.to_string().as_bytes()))
    }
}

fn line(event: &str, object: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + 32);
    line.put_slice(b"{\"type\":\"");
    line.put_slice(event.as_bytes());
    line.put_slice(b"\",\"object\":");
    line.put_slice(object);
    line.put_slice(b"}\n");
    line.freeze()
}
