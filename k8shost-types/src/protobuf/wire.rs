//! The wire form of protobuf: variable-length numbers, tags, runs of bytes.

use super::Error;

pub(super) const VARINT: u8 = 0;
pub(super) const BYTES: u8 = 2;
const FIXED64: u8 = 1;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

pub(super) fn put_varint(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        // The low seven bits, and that there are more.
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// Bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, length(bytes.len()));
    out.extend_from_slice(bytes);
}

/// What a field begins with.
pub(super) const fn tag(number: u32, wire_type: u8) -> u32 {
    number << 3 | wire_type as u32
}

/// A field of bytes.
pub(super) fn put_field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, tag(number, BYTES).into());
    put_bytes(out, bytes);
}

/// How many bytes [`put_field`] writes for so many, of a number below 16.
pub(super) fn field_length(bytes: usize) -> usize {
    1 + varint_length(length(bytes)) + bytes
}

fn varint_length(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// A length as it is written.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a usize has 64 bits at most")
}

/// A field's number, and what follows.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    pub(super) number: u32,
    pub(super) wire_type: u8,
}

/// What is left to read of a message.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A number of ten bytes at most; of the tenth, the bits that do not fit are dropped, as in Go.
    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Overflow)
    }

    /// A run of bytes behind its length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = i64::from_le_bytes(self.varint()?.to_le_bytes());
        if length < 0 {
            return Err(Error::NegativeLength);
        }
        let length = usize::try_from(length).map_err(|_| Error::Truncated)?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The tag of the next field of a message, which the errors name.
    pub(super) fn tag(&mut self, message: &'static str) -> Result<Tag, Error> {
        let tag = self.varint()?;
        let [wire_type, ..] = (tag & 7).to_le_bytes();
        if wire_type == GROUP_END {
            return Err(Error::EndGroup(message));
        }
        // As in Go, a number is what fits into 32 bits.
        let [a, b, c, d, ..] = (tag >> 3).to_le_bytes();
        let number = i32::from_le_bytes([a, b, c, d]);
        match u32::try_from(number) {
            Ok(positive @ 1..) => Ok(Tag {
                number: positive,
                wire_type,
            }),
            _ => Err(Error::IllegalTag {
                message,
                number,
                tag,
            }),
        }
    }

    /// Passes over what follows a tag.
    pub(super) fn skip(&mut self, wire_type: u8) -> Result<(), Error> {
        let mut wire_type = wire_type;
        let mut depth = 0_usize;
        loop {
            match wire_type {
                VARINT => self.varint().map(|_| ())?,
                FIXED64 => self.take(8).map(|_| ())?,
                BYTES => self.bytes().map(|_| ())?,
                GROUP => depth += 1,
                GROUP_END => depth = depth.saturating_sub(1),
                FIXED32 => self.take(4).map(|_| ())?,
                other => return Err(Error::WireType(other)),
            }
            if depth == 0 {
                return Ok(());
            }
            [wire_type, ..] = (self.varint()? & 7).to_le_bytes();
        }
    }
}
