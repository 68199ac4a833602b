//! Addresses and ranges of addresses in objects, read as leniently as Kubernetes' old fields are:
//! leading zeros in IPv4 are allowed, and mean nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{error::FieldError, field::Path};

/// An address; one of IPv4 within IPv6 is the IPv4 address.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return parse_ipv6(text).map(|ip| ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4));
    }
    parse_ipv4(text).map(IpAddr::V4)
}

fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = part.trim_start_matches('0');
        *octet = if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    // The IPv4 at the end may have leading zeros here too.
    let (head, tail) = text.rsplit_once(':')?;
    let tail = parse_ipv4(tail)?;
    format!("{head}:{tail}").parse().ok()
}

/// A range: its address and the length of its prefix.
pub(crate) fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = text.split_once('/')?;
    let six = ip.contains(':');
    let ip = parse_ip(ip)?;
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let length: u8 = length.parse().ok()?;
    (length <= if six { 128 } else { 32 }).then_some((ip, length))
}

/// Refuses what is no address, unless the object had it before.
pub(crate) fn validate_ip(
    path: &Path<'_>,
    text: &str,
    had_before: bool,
    errors: &mut Vec<FieldError>,
) -> bool {
    if had_before || parse_ip(text).is_some() {
        return true;
    }
    errors.push(FieldError::invalid(
        path,
        text,
        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    ));
    false
}

/// Refuses what is no range of addresses, unless the object had it before.
pub(crate) fn validate_cidr(
    path: &Path<'_>,
    text: &str,
    had_before: bool,
    errors: &mut Vec<FieldError>,
) {
    if !had_before && parse_cidr(text).is_none() {
        errors.push(FieldError::invalid(
            path,
            text,
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ));
    }
}

/// Whether a list of addresses has both families; an unreadable one counts as neither.
pub(crate) fn is_dual_stack<'a>(ips: impl Iterator<Item = &'a str>) -> bool {
    let (mut four, mut six) = (false, false);
    for ip in ips {
        match parse_ip(ip) {
            Some(IpAddr::V4(_)) => four = true,
            Some(IpAddr::V6(_)) => six = true,
            None => return false,
        }
    }
    four && six
}
