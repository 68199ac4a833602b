//! References to images, as far as the default of imagePullPolicy needs them.

/// Whether the image's tag is `latest`, by name or for want of any tag and digest. What is no valid
/// reference has no tag.
pub(super) fn is_latest(image: &str) -> bool {
    parse(image).is_some_and(|(tag, digest)| match tag {
        Some(tag) => tag == "latest",
        None => digest.is_none(),
    })
}

/// Tag and digest of a valid reference: `[domain/]path[:tag][@digest]`.
fn parse(image: &str) -> Option<(Option<&str>, Option<&str>)> {
    if image.len() == 64
        && image
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let (domain, rest) = match rest.split_once('/') {
        Some((first, rest)) if is_domain_like(first) => (first, rest),
        _ => ("", rest),
    };
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    // What is implied, docker.io/library/, counts too.
    let implied = if domain.is_empty() {
        "docker.io/library/".len()
    } else {
        domain.len() + 1
    };
    let valid = path.len() + implied <= 255
        && (domain.is_empty() || is_domain(domain))
        && path.split('/').all(is_path_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    valid.then_some((tag, digest))
}

fn is_domain_like(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let valid_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(ip) => !ip.is_empty() && ip.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    };
    valid_host
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Lower case letters and digits with single `.`, one or two `_`, or any number of `-` between.
fn is_path_component(part: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = bytes.first().is_some_and(|b| inner(*b)) && bytes.last().is_some_and(|b| inner(*b));
    ends && bytes.split(|b| inner(*b)).all(|between| {
        matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|b| *b == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::is_latest;

    #[test]
    fn a_tag_is_found_where_there_is_one() {
        for image in [
            "nginx",
            "nginx:latest",
            "library/nginx",
            "quay.io/a/b",
            "r.io:5000/a",
            "a__b",
            "a---b",
        ] {
            assert!(is_latest(image), "{image}");
        }
        let digest = format!("nginx@sha256:{}", "a".repeat(64));
        let both = format!("nginx:latest@sha256:{}", "a".repeat(64));
        for image in ["nginx:1.27", "r.io:5000/a:1", digest.as_str()] {
            assert!(!is_latest(image), "{image}");
        }
        assert!(is_latest(&both));
    }

    #[test]
    fn what_is_no_reference_has_no_tag() {
        let long = "a".repeat(300);
        for image in [
            "",
            " ",
            "nginx ",
            "Nginx",
            "a//b",
            "a:",
            "a@b",
            "a._b",
            "-a",
            &"0".repeat(64),
            &long,
        ] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
