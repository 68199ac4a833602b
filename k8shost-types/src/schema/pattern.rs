//! Regular expressions as Go reads them, by which schemas say what text may be.

use regex::{Regex, RegexBuilder};

/// What a compiled expression may take, in bytes.
const LARGEST: usize = 1 << 20;

/// Compiles an expression. Where the two readers differ it means what it means to Go: classes are those of ASCII, and
/// in brackets nothing but `]`, `^`, `-` and `\` is special.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&translated(pattern))
        .size_limit(LARGEST)
        .build()
}

fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut within = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[\\t\\n\\f\\r ]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some(edge @ ('b' | 'B')) if !within => {
                    out.push_str("(?-u:\\");
                    out.push(edge);
                    out.push(')');
                }
                other => out.extend(['\\'].into_iter().chain(other)),
            },
            '[' if !within => {
                within = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // The first is no end.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if chars.peek() == Some(&':') => {
                // A class by name, up to its end.
                out.push('[');
                while let Some(c) = chars.next_if(|c| *c != ']') {
                    out.push(c);
                }
                out.extend(chars.next());
            }
            ']' if within => {
                within = false;
                out.push(']');
            }
            '[' | '&' | '~' if within => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_to_go() {
        for (pattern, text, matches) in [
            ("^a+$", "aaa", true),
            ("a", "bab", true),
            (r"^\d$", "7", true),
            (r"^\d$", "٧", false),
            (r"^[\w.]+$", "a_.9", true),
            (r"^\w$", "ä", false),
            (r"\ba\b", "ä a", true),
            ("^[a[]+$", "[a", true),
            ("^[a&&b]+$", "a&b", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]+$", "bc", true),
            ("^[[:digit:]x]+$", "1x", true),
            ("^.$", "ä", true),
        ] {
            let compiled = compile(pattern).unwrap();
            assert_eq!(compiled.is_match(text), matches, "{pattern} {text}");
        }
        for wrong in ["(", "[", "\\", "(?=a)", "a{1000}{1000}"] {
            assert!(compile(wrong).is_err(), "{wrong}");
        }
    }
}
