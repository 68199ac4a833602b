//! Base64 as Go's decoder reads it from JSON: with padding, line ends left out.

use std::fmt::Write as _;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn value_of(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// The bytes, or the offset in the text of what cannot be read.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let letters: Vec<(usize, u8)> = text
        .bytes()
        .enumerate()
        .filter(|(_, letter)| !matches!(letter, b'\n' | b'\r'))
        .collect();
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3);
    let mut four = letters.chunks(4).peekable();
    while let Some(chunk) = four.next() {
        let padding = chunk.iter().position(|(_, letter)| *letter == b'=');
        let read = padding.unwrap_or(chunk.len());
        let mut bits = 0;
        for (at, letter) in &chunk[..read] {
            bits = bits << 6 | value_of(*letter).ok_or(*at)?;
        }
        match (padding, chunk.len()) {
            (None, 4) => {}
            (None, _) => return Err(chunk.first().map_or(0, |(at, _)| *at)),
            (Some(at @ (0 | 1)), _) => return Err(chunk[at].0),
            (Some(2), 3) => return Err(text.len()),
            (Some(2), _) if chunk[3].1 != b'=' => return Err(chunk[2].0),
            (Some(_), _) => {
                if let Some(next) = four.peek() {
                    return Err(next[0].0);
                }
            }
        }
        bits <<= 6 * (4 - read);
        let [_, group @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(&group[..read - 1]);
    }
    Ok(bytes)
}

/// The text that stands for some bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = if place <= group.len() {
                let six = usize::try_from(bits >> (18 - 6 * place) & 63).expect("6 bits");
                LETTERS[six]
            } else {
                b'='
            };
            text.write_char(char::from(letter))
                .expect("writing to a String cannot fail");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back() {
        for length in 0..20_u8 {
            let bytes: Vec<u8> = (0..length).map(|i| i.wrapping_mul(77)).collect();
            assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
        assert_eq!(encode(b"b"), "Yg==");
        assert_eq!(decode("Yg\n==\n"), Ok(b"b".to_vec()));
    }

    #[test]
    fn the_place_of_a_fault_is_told() {
        let cases = [
            ("!", 0),
            ("YQ", 0),
            ("YWJjYQ", 4),
            ("YQ=", 3),
            ("Y===", 1),
            ("YQ=a", 2),
            ("YQ==YQ==", 4),
            ("YW?j", 2),
            ("YWJjé", 4),
        ];
        for (text, at) in cases {
            assert_eq!(decode(text), Err(at), "{text}");
        }
    }
}
