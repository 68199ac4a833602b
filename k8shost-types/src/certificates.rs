//! CertificateSigningRequest, the one kind of certificates.k8s.io/v1.

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Value, json};

use crate::{
    base64,
    error::{FieldError, FieldErrorKind},
    field::Path,
    json::{self as tree, int, list, text},
    names,
    rules::{self, Errors, Raw, Seen, faults, is_set, spec, status, strings},
    strategy::{Fields, Part, Strategy, Text},
    time,
};

/// The row of CertificateSigningRequest in the table of kinds. Who asked (spec.username, uid, groups
/// and extra) is the caller's to set in a new object.
pub static CERTIFICATE_SIGNING_REQUEST: Strategy = Strategy {
    kind: Text::Borrowed("CertificateSigningRequest"),
    api_version: Text::Borrowed("certificates.k8s.io/v1"),
    resource: Text::Borrowed("certificatesigningrequests"),
    namespaced: false,
    name_rule: names::path_segment,
    default: |request| {
        tree::ensure_object(request, "spec");
        rules::fill_absent(request, "status", json!({}));
    },
    prepare_create: |request| tree::set(request, "status", json!({})),
    validate_create: |request| rules::created(request, false, names::path_segment, validate),
    prepare_update: |new, old| {
        tree::keep(new, old, "spec");
        tree::keep(new, old, "status");
    },
    prepare_status_update: |new, old| {
        rules::prepare_status_update(new, old);
        take_decisions(new, old, true);
    },
    validate_status_update,
    selectable: &["metadata.name", "spec.signerName"],
    fields: |request| {
        let signer = text(spec(request), "signerName");
        let fields: Fields<'_> = vec![("spec.signerName", Cow::Borrowed(signer))];
        fields
    },
    has_status: true,
    parts: &[Part {
        name: "approval",
        prepare: prepare_approval_update,
        validate: validate_status_update,
    }],
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&CERTIFICATE_SIGNING_REQUEST];

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// The shortest that a certificate may be asked for, in seconds.
const SHORTEST: i64 = 600;

fn is_decision(condition: &Value) -> bool {
    matches!(text(condition, "type"), "Approved" | "Denied")
}

/// Of a write of the status, what is decided stays as it was; of a write of the approval, all else.
fn take_decisions(new: &mut Value, old: &Value, from_old: bool) {
    let (decisions, others) = if from_old { (old, &*new) } else { (&*new, old) };
    let of = |object: &Value, decided: bool| -> Vec<Value> {
        list(status(object), "conditions")
            .iter()
            .filter(|condition| is_decision(condition) == decided)
            .cloned()
            .collect()
    };
    let mut conditions = of(decisions, true);
    conditions.extend(of(others, false));
    if let Some(status) = tree::ensure_object(new, "status") {
        if conditions.is_empty() {
            tree::remove(status, "conditions");
        } else {
            tree::set(status, "conditions", conditions);
        }
    }
}

/// Says when conditions were made that do not say it themselves; the time of one that has not turned stays.
pub fn stamp(new: &mut Value, old: &Value, now: SystemTime) {
    let Some(state) = tree::get_mut(new, "status") else {
        return;
    };
    let before = list(status(old), "conditions");
    let now = time::format(now);
    for condition in tree::list_mut(state, "conditions") {
        if !is_set(condition, "lastUpdateTime") {
            tree::set(condition, "lastUpdateTime", now.as_str());
        }
        if !is_set(condition, "lastTransitionTime") {
            let same = |old: &&Value| {
                ["type", "status"].map(|field| text(old, field))
                    == ["type", "status"].map(|field| text(condition, field))
                    && is_set(old, "lastTransitionTime")
            };
            let turned = before.iter().find(same);
            let turned = turned.map_or(now.as_str(), |old| text(old, "lastTransitionTime"));
            tree::set(condition, "lastTransitionTime", turned.to_owned());
        }
    }
}

/// A write of the subresource `approval`: nothing but the decision is written.
pub fn prepare_approval_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
    let mut kept = json!({"status": status(old)});
    if let Some(kept) = tree::get_mut(&mut kept, "status") {
        tree::keep(kept, status(new), "conditions");
    }
    tree::keep(new, &kept, "status");
    take_decisions(new, old, false);
}

/// What is wrong with a write of the status, or of the approval.
pub fn validate_status_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let path = Path::new("status");
    let conditions_path = path.child("conditions");
    let mut seen = Seen::new();
    for (i, condition) in list(status(new), "conditions").iter().enumerate() {
        let path = conditions_path.index(i);
        let (kind, state) = (text(condition, "type"), text(condition, "status"));
        if kind.is_empty() {
            errors.push(FieldError::required(&path.child("type"), ""));
        }
        let states: &[&str] = if is_decision(condition) || kind == "Failed" {
            &["True"]
        } else {
            &["False", "True", "Unknown"]
        };
        let state_path = path.child("status");
        if state.is_empty() {
            errors.push(FieldError::required(&state_path, ""));
        } else if !states.contains(&state) {
            errors.push(FieldError::not_supported(&state_path, state, states));
        }
        if !seen.add(kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
    }
    if seen.has(&"Approved") && seen.has(&"Denied") {
        errors.push(FieldError::invalid(
            &conditions_path,
            &Raw(""),
            "Approved and Denied conditions are mutually exclusive",
        ));
    }
    for condition in list(status(old), "conditions") {
        let kind = text(condition, "type");
        if (is_decision(condition) || kind == "Failed") && !seen.has(&kind) {
            let kind = crate::field::quote(kind);
            let detail = format!("updates may not remove a condition of type {kind}");
            errors.push(FieldError::forbidden(&conditions_path, &detail));
        }
    }
    let certificate = path.child("certificate");
    if is_set(status(old), "certificate") && !rules::same(status(new), status(old), "certificate") {
        errors.push(FieldError::forbidden(
            &certificate,
            "updates may not change a certificate that is set",
        ));
    }
    if is_set(status(new), "certificate")
        && let Some(fault) = pem_fault(text(status(new), "certificate"), "CERTIFICATE")
    {
        errors.push(FieldError::invalid(
            &certificate,
            "<certificate data>",
            &fault,
        ));
    }
    errors
}

/// Why the base64 of PEM is not that of a block of some type.
fn pem_fault(text: &str, block: &str) -> Option<String> {
    let bytes = match base64::decode(text) {
        Ok(bytes) => bytes,
        Err(at) => return Some(format!("illegal base64 data at input byte {at}")),
    };
    let begin = format!("-----BEGIN {block}-----");
    let end = format!("-----END {block}-----");
    let pem = String::from_utf8_lossy(&bytes);
    let body = pem
        .split_once(begin.as_str())
        .and_then(|(_, rest)| rest.split_once(end.as_str()))
        .map(|(body, _)| body.split_whitespace().collect::<String>());
    let Some(body) = body else {
        return Some(format!("PEM block type must be {block}"));
    };
    // A sequence that begins with a sequence is what all of these are.
    let Ok(der) = base64::decode(&body) else {
        return Some(format!("PEM block type must be {block}"));
    };
    match sequence(&der) {
        Some((content, [])) if sequence(content).is_some() => None,
        Some((_, [_, ..])) => Some("asn1: syntax error: trailing data".to_owned()),
        _ if der.first() == Some(&0x30) => Some("asn1: syntax error: data truncated".to_owned()),
        _ => Some("asn1: structure error: tags don't match".to_owned()),
    }
}

/// The content of the sequence of DER that bytes begin with, and what follows it.
fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (0x30, rest) = der.split_first().map(|(tag, rest)| (*tag, rest))? else {
        return None;
    };
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            let length = digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
    };
    rest.split_at_checked(length)
}

fn validate(request: &Value, errors: &mut Errors) {
    let spec = spec(request);
    let path = Path::new("spec");
    let body = text(spec, "request");
    let request_path = path.child("request");
    if let Err(at) = base64::decode(body) {
        errors.push(FieldError {
            kind: FieldErrorKind::TypeInvalid,
            field: request_path.to_string(),
            message: format!("Invalid value: base64: illegal base64 data at input byte {at}"),
        });
    } else if let Some(fault) = pem_fault(body, "CERTIFICATE REQUEST") {
        errors.push(FieldError::invalid(&request_path, body, &fault));
    }
    let usages_path = path.child("usages");
    if !is_set(spec, "usages") {
        errors.push(FieldError::required(&usages_path, ""));
    }
    let mut seen = Seen::new();
    for (i, usage) in strings(spec, "usages").enumerate() {
        if !USAGES.contains(&usage) {
            errors.push(FieldError::not_supported(
                &usages_path.index(i),
                usage,
                &USAGES,
            ));
        }
        if !seen.add(usage) {
            errors.push(FieldError::duplicate(&usages_path.index(i), usage));
        }
    }
    validate_signer(text(spec, "signerName"), &path.child("signerName"), errors);
    if let Some(seconds) = int(spec, "expirationSeconds")
        && seconds < SHORTEST
    {
        errors.push(FieldError::invalid(
            &path.child("expirationSeconds"),
            &seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        ));
    }
}

fn validate_signer(signer: &str, path: &Path<'_>, errors: &mut Errors) {
    if signer.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    if signer == "kubernetes.io/legacy-unknown" {
        errors.push(FieldError::invalid(
            path,
            signer,
            "the legacy signerName is not allowed via this API version",
        ));
        return;
    }
    match signer.split_once('/') {
        Some((domain, name)) if !name.contains('/') => {
            faults(names::dns1123_subdomain(domain), domain, path, errors);
            if !domain.contains('.') {
                errors.push(FieldError::invalid(
                    path,
                    domain,
                    "should be a domain with at least two segments separated by dots",
                ));
            }
            faults(names::dns1123_subdomain(name), name, path, errors);
        }
        _ => errors.push(FieldError::invalid(
            path,
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )),
    }
}
