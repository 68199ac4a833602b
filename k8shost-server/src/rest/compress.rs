//! Large answers, compressed with gzip for those who accept it.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::stream;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use tonic::{Status, body::Body};

/// What is no larger goes as it is: Kubernetes' own limit, and as Kubernetes we take the fastest level.
const THRESHOLD: u64 = 128 << 10;

/// How much is compressed before others have their turn.
const STEP: usize = 64 << 10;

/// How much of the result is sent at a time.
const CHUNK: usize = 16 << 10;

/// Whether the caller takes gzip. As Kubernetes reads it: with a weight, it does not.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.split(',').any(|coding| coding.trim() == "gzip"))
}

/// The same answer, compressed as it is sent if it is large. A watch, which may be of any length, stays as it is.
pub(super) fn compressed(response: Response<Body>) -> Response<Body> {
    if response.body().size_hint().lower() <= THRESHOLD {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let gzip = HeaderValue::from_static("gzip");
    head.headers.insert(header::CONTENT_ENCODING, gzip);
    let vary = HeaderValue::from_static("Accept-Encoding");
    head.headers.append(header::VARY, vary);
    let start = Compressor {
        body,
        rest: Bytes::new(),
        gzip: GzEncoder::new(Vec::new(), Compression::fast()),
    };
    let chunks = stream::unfold(Some(start), async |compressor| {
        let (chunk, compressor) = compressor?.next().await;
        Some((chunk.map(Frame::data), compressor))
    });
    Response::from_parts(head, Body::new(StreamBody::new(chunks)))
}

struct Compressor {
    body: Body,
    /// Of the last piece of the body, what is not compressed yet.
    rest: Bytes,
    gzip: GzEncoder<Vec<u8>>,
}

impl Compressor {
    /// The next chunk, and what goes on, unless it was the last.
    async fn next(mut self) -> (Result<Bytes, Status>, Option<Self>) {
        while self.gzip.get_ref().len() < CHUNK {
            if self.rest.is_empty() {
                match self.body.frame().await {
                    Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                    Some(Err(error)) => return (Err(error), None),
                    None => return (self.gzip.finish().map(Bytes::from).map_err(failed), None),
                }
            }
            let step = self.rest.split_to(self.rest.len().min(STEP));
            if let Err(error) = self.gzip.write_all(&step) {
                return (Err(failed(error)), None);
            }
            tokio::task::yield_now().await;
        }
        let chunk = std::mem::take(self.gzip.get_mut());
        (Ok(chunk.into()), Some(self))
    }
}

fn failed(error: io::Error) -> Status {
    Status::internal(format!("the answer cannot be compressed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http_body_util::Full;

    use super::*;

    fn answer(body: Bytes) -> Response<Body> {
        compressed(Response::new(Body::new(Full::new(body))))
    }

    #[test]
    fn gzip_is_taken_as_kubernetes_reads_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("deflate, gzip", true),
            ("gzip;q=0", false),
            ("*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(is_accepted(&headers), accepted, "{value}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_large_is_read_back_as_it_was() {
        let threshold = usize::try_from(THRESHOLD).unwrap();
        let same = answer(Bytes::from(vec![b'a'; threshold]));
        assert!(!same.headers().contains_key(header::CONTENT_ENCODING));

        // Bytes that hardly compress, so that there are many chunks.
        let mut state = 1_u32;
        let large: Vec<u8> = (0..threshold * 10)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        let gzip = answer(large.clone().into());
        assert_eq!(gzip.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(gzip.headers()[header::VARY], "Accept-Encoding");
        let body = gzip.into_body().collect().await.unwrap().to_bytes();
        let mut read = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&body[..]);
        decoder.read_to_end(&mut read).unwrap();
        assert!(read == large, "what was compressed is not what is read");
    }
}
