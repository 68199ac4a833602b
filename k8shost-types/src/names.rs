//! The forms that names have in Kubernetes: DNS labels and subdomains, label keys and values, port
//! names, environment variables.
//!
//! Each function returns what is wrong, in Kubernetes' words; nothing is wrong when the list is
//! empty, and then nothing was allocated.

use std::borrow::Cow;

/// What is wrong with a name.
pub type Faults = Vec<Cow<'static, str>>;

/// Judges a name; with `true` it is a prefix that random letters will follow.
pub type NameRule = fn(&str, bool) -> Faults;

const LABEL_1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_1123: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN_UNDERSCORE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV_NAME: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";
const HEADER_NAME: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
const C_IDENTIFIER: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// The longest DNS label.
pub const LABEL_MAX: usize = 63;
/// The longest DNS subdomain.
pub const SUBDOMAIN_MAX: usize = 253;

const fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// `first` at the start, `last` at the end, `inner` between; not empty.
fn shaped(text: &str, first: fn(u8) -> bool, inner: fn(u8) -> bool, last: fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [] => false,
        [only] => first(*only),
        [head, middle @ .., tail] => {
            first(*head) && last(*tail) && middle.iter().all(|b| inner(*b))
        }
    }
}

fn is_label(text: &str) -> bool {
    shaped(
        text,
        lower_or_digit,
        |b| lower_or_digit(b) || b == b'-',
        lower_or_digit,
    )
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_key_name(text: &str) -> bool {
    shaped(
        text,
        |b| b.is_ascii_alphanumeric(),
        |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'),
        |b| b.is_ascii_alphanumeric(),
    )
}

fn too_long(max: usize) -> Cow<'static, str> {
    Cow::Owned(format!("must be no more than {max} characters"))
}

/// `text` without a trailing dash, where it is a prefix: the name made of it goes on.
fn masked(text: &str, prefix: bool) -> Cow<'_, str> {
    match text.strip_suffix('-') {
        Some(head) if prefix && !head.is_empty() => {
            let keep = head.char_indices().next_back().map_or(0, |(at, _)| at);
            Cow::Owned(format!("{}a", &head[..keep]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// A DNS-1123 label: lower case letters, digits and `-`, 63 at most.
pub fn dns1123_label(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > LABEL_MAX {
        faults.push(too_long(LABEL_MAX));
    }
    if !is_label(text) {
        faults.push(Cow::Borrowed(if is_subdomain(text) {
            "must not contain dots"
        } else {
            LABEL_1123
        }));
    }
    faults
}

/// A DNS-1123 subdomain: labels with dots between, 253 characters at most.
pub fn dns1123_subdomain(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > SUBDOMAIN_MAX {
        faults.push(too_long(SUBDOMAIN_MAX));
    }
    if !is_subdomain(text) {
        faults.push(Cow::Borrowed(SUBDOMAIN_1123));
    }
    faults
}

/// A DNS-1123 subdomain in which labels may have `_`, as some DNS searches have.
pub fn dns1123_subdomain_with_underscore(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > SUBDOMAIN_MAX {
        faults.push(too_long(SUBDOMAIN_MAX));
    }
    let label = |label: &str| {
        shaped(
            label.strip_prefix('_').unwrap_or(label),
            lower_or_digit,
            |b| lower_or_digit(b) || matches!(b, b'-' | b'_'),
            lower_or_digit,
        )
    };
    if !text.split('.').all(label) {
        faults.push(Cow::Borrowed(SUBDOMAIN_UNDERSCORE));
    }
    faults
}

/// A DNS-1035 label: as DNS-1123, but starting with a letter.
pub fn dns1035_label(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > LABEL_MAX {
        faults.push(too_long(LABEL_MAX));
    }
    if !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        faults.push(Cow::Borrowed(LABEL_1035));
    }
    faults
}

/// A subdomain after `*.`.
pub fn wildcard_dns1123_subdomain(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > SUBDOMAIN_MAX {
        faults.push(too_long(SUBDOMAIN_MAX));
    }
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        faults.push(Cow::Borrowed(WILDCARD));
    }
    faults
}

/// The key of a label, an annotation, a resource or a finalizer: a name of 63 characters at most,
/// with a DNS subdomain and `/` before it or not.
pub fn qualified_name(text: &str) -> Faults {
    let mut faults = Faults::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, rest)) if rest.contains('/') => return vec![Cow::Borrowed(KEY)],
        Some((prefix, name)) => {
            if prefix.is_empty() {
                faults.push(Cow::Borrowed("prefix part must be non-empty"));
            } else {
                if prefix.len() > SUBDOMAIN_MAX {
                    faults.push(Cow::Owned(format!(
                        "prefix part must be no more than {SUBDOMAIN_MAX} bytes"
                    )));
                }
                if !is_subdomain(prefix) {
                    faults.push(Cow::Owned(format!("prefix part {SUBDOMAIN_1123}")));
                }
            }
            name
        }
    };
    if name.is_empty() {
        faults.push(Cow::Borrowed("name part must be non-empty"));
    } else if name.len() > LABEL_MAX {
        faults.push(Cow::Owned(format!(
            "name part must be no more than {LABEL_MAX} bytes"
        )));
    }
    if !is_key_name(name) {
        faults.push(Cow::Borrowed(KEY_NAME));
    }
    faults
}

/// The value of a label.
pub fn label_value(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > LABEL_MAX {
        faults.push(Cow::Owned(format!(
            "must be no more than {LABEL_MAX} bytes"
        )));
    }
    if !text.is_empty() && !is_key_name(text) {
        faults.push(Cow::Borrowed(LABEL_VALUE));
    }
    faults
}

/// A name that can be a segment of a URL's path, and no more than that.
pub fn path_segment(text: &str, prefix: bool) -> Faults {
    if !prefix && (text == "." || text == "..") {
        return vec![Cow::Owned(format!("may not be '{text}'"))];
    }
    ["/", "%"]
        .into_iter()
        .filter(|part| text.contains(part))
        .map(|part| Cow::Owned(format!("may not contain '{part}'")))
        .collect()
}

/// The name of a port: RFC 6335, in lower case.
pub fn port_name(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > 15 {
        faults.push(too_long(15));
    }
    if text.is_empty() || !text.bytes().all(|b| lower_or_digit(b) || b == b'-') {
        faults.push(Cow::Borrowed(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ));
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        faults.push(Cow::Borrowed("must contain at least one letter (a-z)"));
    }
    if text.contains("--") {
        faults.push(Cow::Borrowed("must not contain consecutive hyphens"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        faults.push(Cow::Borrowed("must not begin or end with a hyphen"));
    }
    faults
}

/// The name of an environment variable.
pub fn env_name(text: &str) -> Faults {
    if text.is_empty() {
        return vec![Cow::Borrowed("environment variable name must be non-empty")];
    }
    if text
        .bytes()
        .all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'=')
    {
        return Faults::new();
    }
    vec![Cow::Borrowed(ENV_NAME)]
}

/// The key of an item in a ConfigMap or a Secret.
pub fn config_key(text: &str) -> Faults {
    let mut faults = Faults::new();
    if text.len() > SUBDOMAIN_MAX {
        faults.push(too_long(SUBDOMAIN_MAX));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(allowed) {
        faults.push(Cow::Borrowed(CONFIG_KEY));
    }
    if text == "." || text == ".." {
        faults.push(Cow::Owned(format!("must not be '{text}'")));
    } else if text.starts_with("..") {
        faults.push(Cow::Borrowed("must not start with '..'"));
    }
    faults
}

/// The name of an HTTP header.
pub fn http_header_name(text: &str) -> Faults {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Faults::new();
    }
    vec![Cow::Borrowed(HEADER_NAME)]
}

/// An identifier of C.
pub fn c_identifier(text: &str) -> Faults {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if shaped(text, first, inner, inner) {
        return Faults::new();
    }
    vec![Cow::Borrowed(C_IDENTIFIER)]
}

/// A percentage: `93%`.
pub fn percent(text: &str) -> Faults {
    match text.strip_suffix('%') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Faults::new()
        }
        _ => vec![Cow::Borrowed(PERCENT)],
    }
}

/// [`NameRule`] of objects whose name is a DNS-1123 subdomain, as most are.
pub fn subdomain_rule(text: &str, prefix: bool) -> Faults {
    dns1123_subdomain(&masked(text, prefix))
}

/// [`NameRule`] of objects whose name is a DNS-1123 label, as a namespace's.
pub fn label_rule(text: &str, prefix: bool) -> Faults {
    dns1123_label(&masked(text, prefix))
}

/// [`NameRule`] of objects whose name is a DNS-1035 label, as a service's.
pub fn label1035_rule(text: &str, prefix: bool) -> Faults {
    dns1035_label(&masked(text, prefix))
}
