//! `application/vnd.kubernetes.protobuf`: objects as Kubernetes writes them on the wire, in and out.
//!
//! An object is a message behind four bytes and an envelope, which says its apiVersion and kind: they are not in the
//! message, so that the items of a list have none. What is written is what Go writes, byte for byte: fields in the
//! order of their numbers, those that are no pointers in Go even if they are zero, maps in the order of their keys.
//! What is read is what Go would write of it as JSON, without nulls.

mod decode;
mod encode;
mod item;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use serde::de::Deserializer;
use serde_json::Value;

use crate::{field::quote, json, quantity::QuantityError};
use decode::{Part, parts, text};
use encode::Encoder;
use table::{Message, table};

/// The content type.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The content type of a watch.
pub const WATCH_CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// What every object begins with.
pub const MAGIC: [u8; 4] = *b"k8s\0";

/// Go's zero of times, the first second of the year 1, which JSON does not show.
const ZERO_TIME: i64 = -62_135_596_800;

/// Why bytes cannot be read as an object, or an object not be written; the words are those of apimachinery and of its
/// generated code where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are no bytes.
    #[error("empty data")]
    Empty,
    /// The bytes do not begin with [`MAGIC`].
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Magic,
    /// There is nothing behind it.
    #[error("empty body")]
    NoBody,
    /// A field ends behind the end of its message.
    #[error("unexpected EOF")]
    Truncated,
    /// A number has more than ten bytes.
    #[error("proto: integer overflow")]
    Overflow,
    /// A length is negative.
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    /// A field has no number.
    #[error("proto: {message}: illegal tag {number} (wire type {tag})")]
    IllegalTag {
        /// The message.
        message: &'static str,
        /// The number.
        number: i32,
        /// The tag as it stands.
        tag: u64,
    },
    /// A group ends that did not begin.
    #[error("proto: {0}: wiretype end group for non-group")]
    EndGroup(&'static str),
    /// There is no such wire type.
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    /// A field is not of its wire type.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WrongWireType {
        /// What it is of.
        wire_type: u8,
        /// The field's name, nearly as in Go.
        field: String,
    },
    /// Text is not UTF-8.
    #[error("proto: invalid UTF-8 in string")]
    Utf8,
    /// A quantity is none.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// A time of a year that has not four digits.
    #[error("time of {0} seconds: year outside of range [0,9999]")]
    Time(i64),
    /// Neither a number nor a string.
    #[error("impossible IntOrString.Type")]
    IntOrString,
    /// What is to be JSON is not.
    #[error("failed to parse RawExtension bytes as JSON: {0}")]
    Raw(String),
    /// Nested deeper than this.
    #[error("the object is nested deeper than {0}")]
    TooDeep(usize),
    /// More fields and items than an object may have.
    #[error("the object must have at most {} fields and items", json::MOST_VALUES)]
    TooManyValues,
    /// The kind is not said.
    #[error(
        r#"Object 'Kind' is missing in 'runtime.TypeMeta{{APIVersion:{}, Kind:""}}'"#,
        quote(.api_version)
    )]
    NoKind {
        /// What is said as apiVersion.
        api_version: String,
    },
    /// The version is not said.
    #[error(
        r#"Object 'apiVersion' is missing in 'runtime.TypeMeta{{APIVersion:"", Kind:{}}}'"#,
        quote(.kind)
    )]
    NoVersion {
        /// What is said as kind.
        kind: String,
    },
    /// There is no such kind.
    #[error(
        r#"no kind {} is registered for version {} in scheme "pkg/runtime/scheme.go:111""#,
        quote(.kind),
        quote(.api_version)
    )]
    UnknownKind {
        /// `apps/v1`.
        api_version: String,
        /// `Deployment`.
        kind: String,
    },
    /// An object to be written is not what its kind is: where and why, in words.
    #[error("the object cannot be encoded as protobuf: {0}")]
    Misfit(String),
}

/// Whether objects of a kind can be written and read. The group is "" for core. Options, such as DeleteOptions, are
/// kinds of every group version.
pub fn serves(group: &str, version: &str, kind: &str) -> bool {
    let group_version = crate::kinds::group_version(group, version);
    table().of(&group_version, kind).is_some()
}

fn message(api_version: &str, kind: &str) -> Result<&'static Message, Error> {
    table()
        .of(api_version, kind)
        .ok_or_else(|| Error::UnknownKind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        })
}

/// An object that was not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `apps/v1`, or "" if it is not said.
    pub api_version: &'a str,
    /// `Deployment`, or "" if it is not said.
    pub kind: &'a str,
    /// The message.
    pub message: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Opens the envelope.
    ///
    /// # Errors
    /// The bytes are none, do not begin with [`MAGIC`], or do not follow the wire format.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        const RUNS: [(&str, u8); 4] = [
            ("typeMeta", wire::BYTES),
            ("raw", wire::BYTES),
            ("contentEncoding", wire::BYTES),
            ("contentType", wire::BYTES),
        ];
        const TYPE_META: [(&str, u8); 2] = [("aPIVersion", wire::BYTES), ("kind", wire::BYTES)];
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        let unknown = bytes.strip_prefix(&MAGIC).ok_or(Error::Magic)?;
        if unknown.is_empty() {
            return Err(Error::NoBody);
        }
        let [type_meta, Part { run, .. }, ..] = parts("Unknown", RUNS, unknown)?;
        let [api_version, kind] = parts("TypeMeta", TYPE_META, type_meta.run)?;
        Ok(Self {
            api_version: text(api_version.run)?,
            kind: text(kind.run)?,
            message: run,
        })
    }

    /// The same with what is not said taken from a default: apiVersion and kind.
    #[must_use]
    pub fn or(self, (api_version, kind): (&'a str, &'a str)) -> Self {
        let or = |said: &'a str, default: &'a str| if said.is_empty() { default } else { said };
        Self {
            api_version: or(self.api_version, api_version),
            kind: or(self.kind, kind),
            ..self
        }
    }

    /// Reads the object, with apiVersion and kind.
    ///
    /// # Errors
    /// The kind is not said or not served, the message does not follow the wire format, or it holds too much.
    pub fn decode(self) -> Result<Value, Error> {
        if self.kind.is_empty() {
            let api_version = self.api_version.to_owned();
            return Err(Error::NoKind { api_version });
        }
        if self.api_version.is_empty() {
            let kind = self.kind.to_owned();
            return Err(Error::NoVersion { kind });
        }
        let message = message(self.api_version, self.kind)?;
        let mut object = decode::object(message, self.message)?;
        object.insert("apiVersion".to_owned(), self.api_version.into());
        object.insert("kind".to_owned(), self.kind.into());
        Ok(Value::Object(object))
    }
}

/// Reads an object behind its envelope. What the envelope does not say is taken from the default: apiVersion and kind.
///
/// # Errors
/// As [`Envelope::open`] and [`Envelope::decode`].
pub fn decode(bytes: &[u8], default: Option<(&str, &str)>) -> Result<Value, Error> {
    let envelope = Envelope::open(bytes)?;
    match default {
        Some(default) => envelope.or(default).decode(),
        None => envelope.decode(),
    }
}

/// Writes an object, as its apiVersion and kind say, behind its envelope.
///
/// # Errors
/// The kind is not served, or the object is not what it is.
pub fn encode(object: &Value) -> Result<Vec<u8>, Error> {
    let (api_version, kind) = (json::text(object, "apiVersion"), json::text(object, "kind"));
    Kind::of(api_version, kind)?.encode(object)
}

/// A kind whose objects can be written.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    api_version: &'a str,
    kind: &'a str,
    message: &'static Message,
}

impl<'a> Kind<'a> {
    /// The kind of that name: `Kind::of("apps/v1", "Deployment")`.
    ///
    /// # Errors
    /// It is not served.
    pub fn of(api_version: &'a str, kind: &'a str) -> Result<Self, Error> {
        Ok(Self {
            api_version,
            kind,
            message: message(api_version, kind)?,
        })
    }

    /// Writes an object behind its envelope. The object may leave out apiVersion and kind.
    ///
    /// # Errors
    /// The object is not what the kind is.
    pub fn encode(&self, object: &Value) -> Result<Vec<u8>, Error> {
        Ok(self.seal(&self.message(object)?))
    }

    /// As [`Kind::encode`], of an object's JSON, without making a tree of it.
    ///
    /// # Errors
    /// The object is not what the kind is, or not JSON.
    pub fn encode_json(&self, object: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.seal(&self.message_of_json(object)?))
    }

    /// The message of an object, without an envelope, as [`Kind::seal`] and [`List::push_message`] take it.
    ///
    /// # Errors
    /// The object is not what the kind is.
    pub fn message(&self, object: &Value) -> Result<Vec<u8>, Error> {
        self.bare(object, 0)
    }

    /// As [`Kind::message`], of an object's JSON.
    ///
    /// # Errors
    /// The object is not what the kind is, or not JSON.
    pub fn message_of_json(&self, object: &[u8]) -> Result<Vec<u8>, Error> {
        // The message is the shorter of the two.
        let mut json = serde_json::Deserializer::from_slice(object);
        self.bare(&mut json, object.len())
    }

    fn bare<'de, D: Deserializer<'de, Error = serde_json::Error>>(
        &self,
        object: D,
        room: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut encoder = Encoder::new(Vec::with_capacity(room));
        encoder.object(self.message, None, object).map_err(misfit)?;
        Ok(encoder.out)
    }

    /// Puts a message into its envelope.
    pub fn seal(&self, message: &[u8]) -> Vec<u8> {
        let mut out = self.head(message.len(), message.len() + FOOT.len());
        out.extend_from_slice(message);
        out.extend_from_slice(FOOT);
        out
    }

    /// The envelope up to a message of that length, with room for what follows.
    fn head(&self, length: usize, room: usize) -> Vec<u8> {
        let mut type_meta = Vec::new();
        wire::put_field(&mut type_meta, 1, self.api_version.as_bytes());
        wire::put_field(&mut type_meta, 2, self.kind.as_bytes());
        let mut out = Vec::with_capacity(MAGIC.len() + type_meta.len() + 16 + room);
        out.extend_from_slice(&MAGIC);
        wire::put_field(&mut out, 1, &type_meta);
        out.push(2 << 3 | wire::BYTES);
        wire::put_varint(&mut out, wire::length(length));
        out
    }
}

/// What follows the message in the envelope: contentEncoding and contentType, which are empty.
const FOOT: &[u8] = &[3 << 3 | wire::BYTES, 0, 4 << 3 | wire::BYTES, 0];

/// A list that is written item by item. Each is written once, in its place.
#[derive(Debug)]
pub struct List<'a> {
    kind: Kind<'a>,
    items: &'static Message,
    encoder: Encoder,
}

impl<'a> List<'a> {
    const METADATA: u32 = wire::tag(1, wire::BYTES);
    const ITEMS: u32 = wire::tag(2, wire::BYTES);

    /// A list without items: `List::new("v1", "PodList", &json!({"resourceVersion": "5"}), 1 << 20)`. The last is how
    /// many bytes there is to be room for at first.
    ///
    /// # Errors
    /// The kind is not served or no list, or the metadata is none of a list.
    pub fn new(
        api_version: &'a str,
        kind: &'a str,
        metadata: &Value,
        room: usize,
    ) -> Result<Self, Error> {
        let kind = Kind::of(api_version, kind)?;
        let field = |name: &str| {
            let slot = kind.message.slot(name)?;
            kind.message.field(slot).base.message()
        };
        let no_list = || Error::Misfit(format!("{} is no list", kind.kind));
        let (meta, items) = field("metadata").zip(field("items")).ok_or_else(no_list)?;
        let mut encoder = Encoder::new(Vec::with_capacity(room));
        encoder
            .object(meta, Some(Self::METADATA), metadata)
            .map_err(misfit)?;
        Ok(Self {
            kind,
            items,
            encoder,
        })
    }

    /// Adds an object. After an error the list is as it was.
    ///
    /// # Errors
    /// The object is not what the list holds.
    pub fn push(&mut self, object: &Value) -> Result<(), Error> {
        let item = self.encoder.object(self.items, Some(Self::ITEMS), object);
        item.map_err(misfit)
    }

    /// As [`List::push`], of an object's JSON, without making a tree of it.
    ///
    /// # Errors
    /// The object is not what the list holds, or not JSON.
    pub fn push_json(&mut self, object: &[u8]) -> Result<(), Error> {
        let mut object = serde_json::Deserializer::from_slice(object);
        let item = self
            .encoder
            .object(self.items, Some(Self::ITEMS), &mut object);
        item.map_err(misfit)
    }

    /// Adds an object that [`Kind::message`] has written.
    pub fn push_message(&mut self, message: &[u8]) {
        wire::put_field(&mut self.encoder.out, 2, message);
    }

    /// The list: two pieces, which follow each other. The first, of some bytes, is not put before the second, which
    /// may be large.
    pub fn finish(self) -> [Vec<u8>; 2] {
        let mut body = self.encoder.out;
        let head = self.kind.head(body.len(), 0);
        body.extend_from_slice(FOOT);
        [head, body]
    }
}

/// Writes a list of objects in one piece.
///
/// # Errors
/// As [`List::new`] and [`List::push`].
pub fn encode_list<'v>(
    api_version: &str,
    kind: &str,
    metadata: &Value,
    items: impl IntoIterator<Item = &'v Value>,
) -> Result<Vec<u8>, Error> {
    let mut list = List::new(api_version, kind, metadata, 0)?;
    for item in items {
        list.push(item)?;
    }
    Ok(list.finish().concat())
}

/// An event of a watch, of an object that is behind its envelope: a frame of the stream, which is four bytes of length
/// and a WatchEvent without an envelope.
pub fn watch_event(event: &str, object: &[u8]) -> Vec<u8> {
    let raw = wire::field_length(object.len());
    let length = wire::field_length(event.len()) + wire::field_length(raw);
    let mut out = Vec::with_capacity(4 + length);
    let length = u32::try_from(length).expect("an object is far below 4 GB");
    out.extend_from_slice(&length.to_be_bytes());
    wire::put_field(&mut out, 1, event.as_bytes());
    out.push(2 << 3 | wire::BYTES);
    wire::put_varint(&mut out, wire::length(raw));
    wire::put_field(&mut out, 1, object);
    out
}

/// As [`watch_event`], of an object that has apiVersion and kind.
///
/// # Errors
/// As [`encode`].
pub fn encode_watch_event(event: &str, object: &Value) -> Result<Vec<u8>, Error> {
    Ok(watch_event(event, &encode(object)?))
}

fn misfit(error: serde_json::Error) -> Error {
    Error::Misfit(error.to_string())
}
