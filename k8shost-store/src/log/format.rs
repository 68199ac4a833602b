//! How batches and floors are written: a version, a checksum, and a protobuf message.
//!
//! Nothing that was changed since it was written is read: a value that does not decode, or whose
//! checksum differs, is an error and never taken for absent.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::keys::Revision;
use super::pairs::Pairs;
use super::state::Attributes;

/// The version that is written, and the newest that is read.
const VERSION: u8 = 1;
/// The version's byte and the checksum.
const HEADER: usize = 9;

/// What one live object adds to the digest of a state.
pub fn digest(key: &str, revision: Revision) -> u128 {
    xxh3_128_with_seed(key.as_bytes(), revision)
}

/// What can be wrong with a stored value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is shorter than any value.
    #[error("the value is cut short")]
    Short,
    /// It was written by a newer k8shost.
    #[error("written in format {0}, which is newer than this server reads ({VERSION})")]
    Newer(u8),
    /// It is not what was written.
    #[error("the checksum does not match")]
    Checksum,
    /// It was written whole and does not make sense.
    #[error("{0}")]
    Content(String),
}

fn content(what: impl std::fmt::Display) -> FormatError {
    FormatError::Content(what.to_string())
}

/// Commits that were written together: the value at `@log/<first>`.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// The revision of the first change.
    #[prost(uint64, tag = "1")]
    pub first: Revision,
    /// The writer's id, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    writer: Vec<u8>,
    /// The writer's number for this batch.
    #[prost(uint64, tag = "3")]
    pub sequence: u64,
    /// The digest of the state after it, 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    digest: Vec<u8>,
    /// When it was written by the writer's clock, in milliseconds since 1970. For retention only.
    #[prost(uint64, tag = "5")]
    pub time: u64,
    /// The changes in order, at least one. Each has the revision after the one before it.
    #[prost(message, repeated, tag = "6")]
    pub records: Vec<Record>,
}

/// One change in a batch.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    /// The object's key; empty where the change is not about an object.
    #[prost(string, tag = "2")]
    pub key: String,
    /// The object's JSON; of a delete, as it was.
    #[prost(bytes = "bytes", tag = "3")]
    pub value: Bytes,
    #[prost(message, optional, tag = "4")]
    attributes: Option<Selectable>,
    /// The revision of the version before; 0 if there was none.
    #[prost(uint64, tag = "5")]
    pub previous_revision: Revision,
    /// Of a put, what selectors look at in the version before, if it differs.
    #[prost(message, optional, tag = "6")]
    previous: Option<Selectable>,
    /// Of a birth, the project's uid.
    #[prost(string, tag = "7")]
    pub uid: String,
}

/// What kind of change a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Not a change.
    Unspecified = 0,
    /// A new version of an object.
    Put = 1,
    /// The end of an object.
    Delete = 2,
    /// A project begins to live here: the state is empty at this revision.
    Birth = 3,
    /// It ends: the state is empty at this revision, and nothing is committed until a birth.
    Close = 4,
    /// An operator accepted the state as it was found, although its digest differed.
    Accept = 5,
}

#[derive(Clone, PartialEq, Message)]
struct Selectable {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Pair>,
    #[prost(string, repeated, tag = "3")]
    claims: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The value at `@floor`: what the log begins with, and what is known of before.
#[derive(Clone, PartialEq, Message)]
pub struct Floor {
    /// The oldest revision that is still in the log.
    #[prost(uint64, tag = "1")]
    pub revision: Revision,
    /// The revision of the last birth or close below it; 0 if there was none.
    #[prost(uint64, tag = "2")]
    pub since: Revision,
    /// Whether that was a birth.
    #[prost(bool, tag = "3")]
    pub alive: bool,
    /// The uid that was born.
    #[prost(string, tag = "4")]
    pub uid: String,
    /// The digest of the state below it, 16 bytes.
    #[prost(bytes = "vec", tag = "5")]
    digest: Vec<u8>,
}

impl Batch {
    /// A batch, ready to be encoded.
    pub fn new(first: Revision, writer: u128, sequence: u64, digest: u128, time: u64) -> Self {
        Self {
            first,
            writer: writer.to_be_bytes().to_vec(),
            sequence,
            digest: digest.to_be_bytes().to_vec(),
            time,
            records: Vec::new(),
        }
    }

    /// The writer's id.
    pub fn writer(&self) -> u128 {
        wide(&self.writer).unwrap_or_default()
    }

    /// The digest of the state after the batch.
    pub fn digest(&self) -> u128 {
        wide(&self.digest).unwrap_or_default()
    }

    /// The revision of the last change.
    pub fn last(&self) -> Revision {
        self.first + self.records.len() as Revision - 1
    }

    /// The value to store. The one copy of the objects' bytes is made here.
    pub fn encode(&self) -> Bytes {
        seal(self)
    }

    /// Reads the value stored for the batch that begins at `first`. Its bytes are copies: nothing
    /// keeps `value` alive.
    pub fn decode(first: Revision, value: &[u8]) -> Result<Self, FormatError> {
        let batch: Self = open(value)?;
        if batch.first != first {
            return Err(content(format_args!(
                "the batch begins at revision {}",
                batch.first
            )));
        }
        if batch.records.is_empty() || first == 0 {
            return Err(content("the batch has no change"));
        }
        if wide(&batch.writer).is_none() || wide(&batch.digest).is_none() {
            return Err(content("the batch has no writer or no digest"));
        }
        if first.checked_add(batch.records.len() as Revision).is_none() {
            return Err(content("the batch goes beyond the last revision"));
        }
        Ok(batch)
    }
}

impl Record {
    /// A record about no object.
    pub fn marker(kind: Kind, uid: &str) -> Self {
        Self {
            kind: kind.into(),
            uid: uid.to_owned(),
            ..Self::default()
        }
    }

    /// A record about an object: of a put the new version, of a delete the last one.
    pub fn object(
        kind: Kind,
        key: &str,
        value: Bytes,
        attributes: &Attributes,
        previous: Option<(Revision, &Attributes)>,
    ) -> Self {
        let differs = |old: &&Attributes| {
            kind == Kind::Put
                && (old.labels != attributes.labels || old.fields != attributes.fields)
        };
        Self {
            kind: kind.into(),
            key: key.to_owned(),
            value,
            attributes: Some(attributes.into()),
            previous_revision: previous.map_or(0, |(revision, _)| revision),
            previous: previous
                .map(|(_, old)| old)
                .filter(differs)
                .map(|old| Selectable {
                    claims: Vec::new(),
                    ..old.into()
                }),
            uid: String::new(),
        }
    }

    /// What kind of change it is.
    pub fn change(&self) -> Kind {
        Kind::try_from(self.kind).unwrap_or(Kind::Unspecified)
    }

    /// The attributes of the version that the record carries.
    pub fn attributes(&self) -> Attributes {
        self.attributes.as_ref().map(Into::into).unwrap_or_default()
    }

    /// Of a put over a version, what selectors look at in that version.
    pub fn previous(&self) -> Option<Attributes> {
        if self.previous_revision == 0 {
            return None;
        }
        let differing = self.previous.as_ref().map(Into::into);
        Some(differing.unwrap_or_else(|| Attributes {
            claims: Box::default(),
            ..self.attributes()
        }))
    }
}

impl Floor {
    /// A floor.
    pub fn new(revision: Revision, since: Revision, uid: Option<&str>, digest: u128) -> Self {
        Self {
            revision,
            since,
            alive: uid.is_some(),
            uid: uid.unwrap_or_default().to_owned(),
            digest: digest.to_be_bytes().to_vec(),
        }
    }

    /// The digest of the state below the floor.
    pub fn digest(&self) -> u128 {
        wide(&self.digest).unwrap_or_default()
    }

    /// The value to store.
    pub fn encode(&self) -> Bytes {
        seal(self)
    }

    /// Reads the stored value; the floor of a tenant that has none is below its first revision.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, FormatError> {
        let Some(value) = value else {
            return Ok(Self::new(1, 0, None, 0));
        };
        let floor: Self = open(value)?;
        if floor.revision == 0 || floor.since >= floor.revision || wide(&floor.digest).is_none() {
            return Err(content("the floor does not make sense"));
        }
        Ok(floor)
    }
}

fn wide(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().map(u128::from_be_bytes).ok()
}

fn seal(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER + message.encoded_len());
    bytes.put_u8(VERSION);
    bytes.put_u64(0);
    message
        .encode(&mut bytes)
        .expect("a BytesMut grows as needed");
    let (header, payload) = bytes.split_at_mut(HEADER);
    header[1..].copy_from_slice(&xxh3_64(payload).to_be_bytes());
    bytes.freeze()
}

fn open<M: Message + Default>(value: &[u8]) -> Result<M, FormatError> {
    let (header, payload) = value
        .split_first_chunk::<HEADER>()
        .ok_or(FormatError::Short)?;
    let [version, checksum @ ..] = header;
    if *version > VERSION {
        return Err(FormatError::Newer(*version));
    }
    if *version != VERSION || u64::from_be_bytes(*checksum) != xxh3_64(payload) {
        return Err(FormatError::Checksum);
    }
    M::decode(payload).map_err(content)
}

impl From<&Attributes> for Selectable {
    fn from(attributes: &Attributes) -> Self {
        Self {
            labels: attributes.labels.iter().map(Into::into).collect(),
            fields: attributes.fields.iter().map(Into::into).collect(),
            claims: attributes.claims.iter().map(|c| c.to_string()).collect(),
        }
    }
}

impl From<&Selectable> for Attributes {
    fn from(message: &Selectable) -> Self {
        Self {
            labels: pairs(&message.labels),
            fields: pairs(&message.fields),
            claims: message.claims.iter().map(|c| c.as_str().into()).collect(),
        }
    }
}

impl From<(&str, &str)> for Pair {
    fn from((name, value): (&str, &str)) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }
}

fn pairs(pairs: &[Pair]) -> Pairs {
    pairs.iter().map(|pair| (&pair.name, &pair.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(phase: &str) -> Attributes {
        Attributes {
            labels: [("app", "web")].into_iter().collect(),
            fields: [("status.phase", phase)].into_iter().collect(),
            claims: Box::new(["ip/10.96.0.10".into()]),
        }
    }

    fn batch() -> Batch {
        let mut batch = Batch::new(5, 1 << 100, 3, u128::MAX, 1_700_000_000_000);
        batch.records.push(Record::marker(Kind::Birth, "u1"));
        batch.records.push(Record::object(
            Kind::Put,
            "pods/a/x",
            Bytes::from_static(b"{}"),
            &attributes("Running"),
            Some((4, &attributes("Pending"))),
        ));
        batch
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let read = Batch::decode(5, &batch().encode()).unwrap();
        assert_eq!(read, batch());
        assert_eq!(
            (read.writer(), read.digest(), read.last()),
            (1 << 100, u128::MAX, 6)
        );
        assert_eq!(read.records[1].attributes(), attributes("Running"));
        let previous = read.records[1].previous().unwrap();
        assert_eq!(previous.field("status.phase"), Some("Pending"));
    }

    #[test]
    fn what_selectors_look_at_is_not_written_twice() {
        let same = attributes("Running");
        let put = Record::object(Kind::Put, "k", Bytes::new(), &same, Some((4, &same)));
        assert!(put.previous.is_none());
        assert_eq!(put.previous().unwrap().fields, same.fields);
        assert_eq!(put.previous().unwrap().claims.len(), 0);
        let created = Record::object(Kind::Put, "k", Bytes::new(), &same, None);
        assert_eq!(created.previous(), None);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let good = batch().encode();
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 0x40;
            assert!(Batch::decode(5, &bad).is_err(), "byte {at}");
            assert!(Batch::decode(5, &good[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut newer = batch().encode().to_vec();
        newer[0] = 2;
        assert_eq!(Batch::decode(5, &newer), Err(FormatError::Newer(2)));
    }

    #[test]
    fn a_batch_at_anothers_key_is_refused() {
        assert!(matches!(
            Batch::decode(6, &batch().encode()),
            Err(FormatError::Content(_))
        ));
        let empty = Batch::new(5, 1, 1, 0, 0);
        assert!(Batch::decode(5, &empty.encode()).is_err());
    }

    #[test]
    fn a_floor_is_read_as_it_was_written() {
        for floor in [Floor::new(9, 4, Some("u1"), 77), Floor::new(9, 8, None, 0)] {
            assert_eq!(Floor::decode(Some(&floor.encode())), Ok(floor));
        }
        assert_eq!(Floor::decode(None).unwrap().revision, 1);
        assert!(Floor::decode(Some(&Floor::new(9, 9, None, 0).encode())).is_err());
        assert!(Floor::decode(Some(b"")).is_err());
    }
}
