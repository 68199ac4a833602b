//! The rules for volumes of storage systems that have addresses of a form of their own.

use serde_json::Value;

use super::sources::{range, require};
use crate::{
    error::FieldError,
    field::Path,
    json::{flag, get, list, text},
};

/// The three forms of names of iSCSI nodes.
fn iscsi_name_fault(name: &str) -> Option<&'static str> {
    let alphanumeric = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    // `iqn.`, year and month, a domain, a colon, and the rest.
    let iqn = |name: &str| {
        let rest = &name[name.find("iqn.")? + 4..];
        let (date, rest) = (rest.get(..8)?, rest.get(8..)?);
        let dated = date.bytes().enumerate().all(|(i, b)| match i {
            4 => b == b'-',
            7 => b == b'.',
            _ => b.is_ascii_digit(),
        });
        let (domain, unique) = rest.split_once(':')?;
        let valid = dated
            && !domain.is_empty()
            && domain
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
            && !unique.is_empty()
            && !unique.contains([',', ';', '*', '&', '$', '|'])
            && !unique.contains(char::is_whitespace);
        valid.then_some(())
    };
    // After the letters any one character stands for the dot.
    let rest = |name: &str| name.get(4..).unwrap_or_default().to_owned();
    let valid = match name.get(..3) {
        Some("iqn") => iqn(name).is_some(),
        Some("eui") => alphanumeric(&rest(name), 16),
        Some("naa") => alphanumeric(&rest(name), 32),
        _ => return Some("must be valid format starting with iqn, eui, or naa"),
    };
    (!valid).then_some("must be valid format")
}

pub(super) fn iscsi(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "targetPortal", path, errors);
    require(source, "iqn", path, errors);
    let iqn = text(source, "iqn");
    if !iqn.is_empty()
        && let Some(fault) = iscsi_name_fault(iqn)
    {
        errors.push(FieldError::invalid(&path.child("iqn"), iqn, fault));
    }
    range(source, "lun", (0, 255), path, errors);
    let authenticates = flag(source, "chapAuthDiscovery") || flag(source, "chapAuthSession");
    if authenticates && get(source, "secretRef").is_none() {
        errors.push(FieldError::required(&path.child("secretRef"), ""));
    }
    if let Some(Value::String(name)) = get(source, "initiatorName")
        && let Some(fault) = iscsi_name_fault(name)
    {
        errors.push(FieldError::invalid(
            &path.child("initiatorname"),
            name,
            fault,
        ));
    }
}

pub(super) fn quobyte(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(source, "registry");
    if registry.is_empty() {
        errors.push(FieldError::required(&path.child("registry"), PAIRS));
    } else if text(source, "tenant").len() >= 65 {
        errors.push(FieldError::required(
            &path.child("tenant"),
            "must be a UUID and may not exceed a length of 64 characters",
        ));
    } else {
        for _ in registry.split(',').filter(|pair| !is_host_port(pair)) {
            errors.push(FieldError::invalid(
                &path.child("registry"),
                registry,
                PAIRS,
            ));
        }
    }
    require(source, "volume", path, errors);
}

/// `host:port`, with an IPv6 address in brackets.
fn is_host_port(pair: &str) -> bool {
    let Some((host, port)) = pair.rsplit_once(':') else {
        return false;
    };
    let host = match host.strip_prefix('[') {
        Some(inner) => match inner.strip_suffix(']') {
            Some(inner) => return !inner.contains(['[', ']']) && !port.contains(['[', ']']),
            None => return false,
        },
        None => host,
    };
    !host.contains([':', '[', ']']) && !port.contains(['[', ']'])
}

pub(super) fn fibre_channel(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let targets = list(source, "targetWWNs");
    let has_ids = !list(source, "wwids").is_empty();
    let targets_path = path.child("targetWWNs");
    if targets.is_empty() && !has_ids {
        errors.push(FieldError::required(
            &targets_path,
            "must specify either targetWWNs or wwids, but not both",
        ));
    }
    if targets.is_empty() {
        return;
    }
    if has_ids {
        let targets = get(source, "targetWWNs").unwrap_or(&Value::Null);
        errors.push(FieldError::invalid(
            &targets_path,
            targets,
            "targetWWNs and wwids can not be specified simultaneously",
        ));
    }
    if get(source, "lun").is_none() {
        errors.push(FieldError::required(
            &path.child("lun"),
            "lun is required if targetWWNs is specified",
        ));
    } else {
        range(source, "lun", (0, 255), path, errors);
    }
}
