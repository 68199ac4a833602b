//! What comes back: the messages of a stream, and bytes that are not copied together.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use h2::RecvStream;

use super::{CallError, Cause, PREFIX, Wire, outcome};

/// The length of the message behind a prefix, if it is not compressed.
pub(super) fn declared(prefix: &[u8; PREFIX]) -> Option<usize> {
    let [0, length @ ..] = prefix else {
        return None;
    };
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// The messages of a stream.
pub(crate) struct Messages {
    path: Bytes,
    wire: Wire,
    body: RecvStream,
    rest: Bytes,
}

impl Messages {
    pub(super) fn new(path: Bytes, wire: Wire, body: RecvStream) -> Self {
        Self {
            path,
            wire,
            body,
            rest: Bytes::new(),
        }
    }

    /// The next message; nothing at the stream's end, if that is a good one.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        self.step().await.map_err(|cause| CallError {
            path: self.path.clone(),
            cause,
        })
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Cause> {
        loop {
            if let Some(message) = split(&self.wire, &mut self.rest)? {
                return Ok(Some(message));
            }
            match self.body.data().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    self.body.flow_control().release_capacity(chunk.len())?;
                    self.append(chunk);
                }
                None if !self.rest.is_empty() => return Err(Cause::Framing),
                None if self.wire == Wire::Grpc => {
                    return outcome(self.body.trailers().await?.as_ref()).map(|()| None);
                }
                None => return Ok(None),
            }
        }
    }

    /// Mostly nothing is left over, and the chunk is taken as it is.
    fn append(&mut self, chunk: Bytes) {
        if self.rest.is_empty() {
            self.rest = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.rest.len() + chunk.len());
            joined.extend_from_slice(&self.rest);
            joined.extend_from_slice(&chunk);
            self.rest = joined.freeze();
        }
    }
}

/// Takes the first message away from the bytes, if all of it is there.
fn split(wire: &Wire, bytes: &mut Bytes) -> Result<Option<Bytes>, Cause> {
    match wire {
        Wire::Grpc => {
            let Some(head) = bytes.first_chunk::<PREFIX>() else {
                return Ok(None);
            };
            let length = declared(head).ok_or(Cause::Framing)?;
            if bytes.len() < PREFIX + length {
                return Ok(None);
            }
            bytes.advance(PREFIX);
            Ok(Some(bytes.split_to(length)))
        }
        Wire::Rest(_) => Ok(memchr::memchr(b'\n', bytes).map(|end| {
            let line = bytes.split_to(end);
            bytes.advance(1);
            line
        })),
    }
}

/// Bytes as they were received, not copied together.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: VecDeque<Bytes>,
    remaining: usize,
}

impl Chunks {
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.remaining += chunk.len();
        self.chunks.push_back(chunk);
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        let mut chunks = Self::default();
        chunks.push(bytes);
        chunks
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| &chunk[..])
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "no more is taken than there is");
        self.remaining -= count;
        while count > 0 {
            let front = self
                .chunks
                .front_mut()
                .expect("what remains is in the chunks");
            let part = count.min(front.len());
            front.advance(part);
            count -= part;
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if let Some(front) = self.chunks.front_mut().filter(|front| front.len() > count) {
            self.remaining -= count;
            return front.split_to(count);
        }
        let mut bytes = BytesMut::with_capacity(count);
        while bytes.len() < count {
            let part = self.chunk().len().min(count - bytes.len());
            bytes.extend_from_slice(&self.chunk()[..part]);
            self.advance(part);
        }
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn chunks_read_as_one() {
        let mut chunks = Chunks::default();
        for part in ["abc", "d", "efgh"] {
            chunks.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!(chunks.copy_to_bytes(2), "ab");
        assert_eq!(chunks.copy_to_bytes(3), "cde");
        chunks.advance(1);
        assert_eq!(chunks.remaining(), 2);
        assert_eq!(chunks.copy_to_bytes(2), "gh");
        assert!(!chunks.has_remaining());
    }

    #[test]
    fn a_compressed_message_is_not_taken_for_a_plain_one() {
        assert_eq!(declared(&[0, 0, 0, 1, 2]), Some(258));
        assert_eq!(declared(&[1, 0, 0, 1, 2]), None);
    }

    #[test]
    fn messages_are_taken_when_all_of_them_is_there() {
        let two = [
            (Wire::Grpc, &b"\0\0\0\0\x02ab\0\0\0\0\x01c"[..]),
            (Wire::Rest(Method::GET), b"ab\nc\n"),
        ];
        for (wire, bytes) in two {
            let mut part = Bytes::from_static(&bytes[..2]);
            assert_eq!(split(&wire, &mut part).unwrap(), None);
            let mut bytes = Bytes::from_static(bytes);
            assert_eq!(split(&wire, &mut bytes).unwrap().unwrap(), "ab");
            assert_eq!(split(&wire, &mut bytes).unwrap().unwrap(), "c");
            assert_eq!(split(&wire, &mut bytes).unwrap(), None);
        }
    }
}
