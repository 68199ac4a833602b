//! Continue tokens: where a list goes on.

use std::fmt::Write as _;

use crate::error::Error;

/// Where a list goes on. Opaque to callers: version, revision, the last key, and a check of these and of what is
/// listed, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContinueToken {
    /// The revision that the list shows, which is not 0; `None`: at the present.
    pub revision: Option<u64>,
    /// The last key that was listed, without the list's prefix.
    pub after: String,
}

const VERSION: u8 = 1;

/// Longer tokens are not read.
const LONGEST: usize = 4096;

impl ContinueToken {
    /// The token of a list of the keys with this prefix.
    #[must_use]
    pub fn write(&self, prefix: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.revision.unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(self.after.as_bytes());
        bytes.extend_from_slice(&check(&bytes, prefix));
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            write!(text, "{byte:02x}").expect("text is written to memory");
        }
        text
    }

    /// Reads a token of a list of the keys with this prefix.
    ///
    /// # Errors
    /// BadRequest, if it is not a token, or one of another list.
    pub fn read(text: &str, prefix: &str) -> Result<Self, Error> {
        Self::parse(text, prefix).ok_or_else(|| {
            Error::bad_request(
                "continue: not a token of this list: send back the token of the page before, with the same namespace",
            )
        })
    }

    fn parse(text: &str, prefix: &str) -> Option<Self> {
        if !text.is_ascii() || !text.len().is_multiple_of(2) || text.len() > LONGEST {
            return None;
        }
        let bytes: Vec<u8> = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
            .collect::<Option<_>>()?;
        let (bytes, sum) = bytes.split_last_chunk::<4>()?;
        if *sum != check(bytes, prefix) {
            return None;
        }
        let (version, rest) = bytes.split_first()?;
        let (revision, after) = rest.split_first_chunk::<8>()?;
        if *version != VERSION {
            return None;
        }
        let revision = u64::from_be_bytes(*revision);
        Some(Self {
            revision: (revision != 0).then_some(revision),
            after: String::from_utf8(after.to_vec()).ok()?,
        })
    }
}

/// Tells a token of another list, or a mistyped one; no secret (FNV-1a).
fn check(bytes: &[u8], prefix: &str) -> [u8; 4] {
    let all = bytes.iter().chain(prefix.as_bytes());
    let sum = all.fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    sum.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_for_its_own_list_only() {
        for revision in [None, Some(7), Some(u64::MAX)] {
            let token = ContinueToken {
                revision,
                after: "default/ä".to_owned(),
            };
            let text = token.write("pods/");
            assert_eq!(ContinueToken::read(&text, "pods/").unwrap(), token);
            assert!(ContinueToken::read(&text, "pods/default/").is_err());
        }
        for wrong in [
            "",
            "zz",
            "é",
            "00",
            "nonsense",
            &"0".repeat(10_000),
            "+1+1+1+1+1+1+1+1+1+1+1+1+1+1",
        ] {
            assert!(ContinueToken::read(wrong, "pods/").is_err(), "{wrong}");
        }
    }
}
