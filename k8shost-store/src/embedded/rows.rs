//! Scanning: the rows of two keyspaces as one, and what is wrong with a row that can't be read.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use fjall::{Error, Guard, LsmError};

use super::store::owned;
use crate::kv::KvError;

/// A key and its value, either of which may be unreadable.
pub(super) struct Row {
    /// `None` if it is the key that can't be read.
    pub(super) key: Option<Bytes>,
    pub(super) value: Result<Bytes, Failure>,
}

/// Why something can't be read.
pub(super) enum Failure {
    Error(Error),
    /// Not all that the library reads is checked before it is trusted.
    Panic(String),
}

/// Whether a file is not as it was written, as opposed to a disk that does not answer.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::NotFound | ErrorKind::InvalidData
    )
}

/// What a panic said.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

impl Failure {
    pub(super) fn panic(payload: &(dyn Any + Send)) -> Self {
        Self::Panic(panic_text(payload).to_owned())
    }

    /// The error for a reader of this key. What is damaged is said to be corrupt; where the disk did not
    /// answer, it is worth trying again.
    pub(super) fn at(self, key: &[u8]) -> KvError {
        let io = match &self {
            Self::Error(Error::Io(error) | Error::Storage(LsmError::Io(error))) => Some(error),
            _ => None,
        };
        let detail = match io {
            Some(error) if is_damage(error) => format!("its file is damaged: {error}"),
            Some(error) => return KvError::Unavailable(format!("can't read: {error}")),
            None => match self {
                Self::Error(Error::Storage(LsmError::ChecksumMismatch { .. })) => {
                    "its checksum is wrong".to_owned()
                }
                Self::Error(error) => format!("it can't be decoded: {error}"),
                Self::Panic(text) => format!("reading it failed: {text}"),
            },
        };
        KvError::Corrupt {
            key: String::from_utf8_lossy(key).into_owned(),
            detail,
        }
    }
}

/// The rows of one keyspace. Ends after a row whose key can't be read.
pub(super) struct Rows {
    iter: Option<fjall::Iter>,
    values: bool,
}

impl Rows {
    /// Without `values`, the rows' values are empty and those stored apart are not read.
    pub(super) fn new(iter: fjall::Iter, values: bool) -> Self {
        Self {
            iter: Some(iter),
            values,
        }
    }

    fn read(&self, guard: Guard) -> Row {
        if !self.values {
            return match guard.key() {
                Ok(key) => Row {
                    key: Some(owned(key)),
                    value: Ok(Bytes::new()),
                },
                Err(error) => Row {
                    key: None,
                    value: Err(Failure::Error(error)),
                },
            };
        }
        let seen = RefCell::new(None);
        let note = |key: &fjall::UserKey| {
            seen.replace(Some(key.clone()));
            true
        };
        match guard.into_inner_if(note) {
            Ok((key, value)) => Row {
                key: Some(owned(key)),
                value: Ok(value.map(owned).unwrap_or_default()),
            },
            Err(error) => Row {
                key: seen.take().map(owned),
                value: Err(Failure::Error(error)),
            },
        }
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let iter = self.iter.as_mut()?;
        let guard = catch_unwind(AssertUnwindSafe(|| iter.next()));
        let row =
            guard.and_then(|guard| catch_unwind(AssertUnwindSafe(|| Some(self.read(guard?)))));
        let row = row.unwrap_or_else(|panic| {
            Some(Row {
                key: None,
                value: Err(Failure::panic(panic.as_ref())),
            })
        });
        if row.as_ref().is_none_or(|row| row.key.is_none()) {
            self.iter = None;
        }
        row
    }
}

/// Two keyspaces' rows in the order of their keys; what has no readable key comes at once.
pub(super) fn merge(
    a: impl Iterator<Item = Row>,
    b: impl Iterator<Item = Row>,
) -> impl Iterator<Item = Row> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(first), Some(second)) if first.key > second.key => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}
