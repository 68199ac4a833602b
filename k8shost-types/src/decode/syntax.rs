//! What is wrong with a text that is no JSON, in the words of Go's decoder.

use serde_json::error::Category;

/// The words for what serde_json says of a body.
pub(super) fn words(body: &[u8], error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof {
        return "unexpected end of JSON input".to_owned();
    }
    let told = error.to_string();
    let place = match told.split(" at line ").next().unwrap_or_default() {
        "expected value" | "trailing comma" => "looking for beginning of value",
        "key must be a string" => "looking for beginning of object key string",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        "trailing characters" => "after top-level value",
        "invalid escape" => "in string escape code",
        "invalid number" => "in numeric literal",
        "expected ident" => "in literal",
        _ if told.starts_with("control character") => "in string literal",
        "recursion limit exceeded" => return "exceeded max depth".to_owned(),
        _ => return told,
    };
    let shown = match character(body, error) {
        '\'' => r"'\''".to_owned(),
        c if c.is_control() => format!("'\\x{:02x}'", u32::from(c)),
        c => format!("'{c}'"),
    };
    format!("invalid character {shown} {place}")
}

/// The character at which reading stopped.
fn character(body: &[u8], error: &serde_json::Error) -> char {
    let mut lines = body.split(|&byte| byte == b'\n');
    let line = lines
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let at = error.column().saturating_sub(1);
    // Go shows a byte as the character of its number.
    line.get(at).map_or('\n', |&byte| char::from(byte))
}
