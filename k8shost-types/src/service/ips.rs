//! The rules for the addresses of a service.

use serde_json::Value;

use super::{NOTHING, is_headless, kind_of};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, text},
    net::{is_dual_stack, parse_ip, validate_ip},
    seen::Seen,
};

/// The rules for clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy, as far as they go without the
/// cluster's ranges.
pub(crate) fn validate_cluster_ips(
    spec: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if kind_of(spec) == "ExternalName" {
        return;
    }
    const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
    const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    let ips_path = path.child("clusterIPs");
    let all = get(spec, "clusterIPs").unwrap_or(&NOTHING);
    let ips: Vec<&str> = list(spec, "clusterIPs")
        .iter()
        .map(|ip| ip.as_str().unwrap_or_default())
        .collect();
    let single = text(spec, "clusterIP");
    match (single.is_empty(), ips.first()) {
        (false, None) => errors.push(FieldError::required(&ips_path, "")),
        (false, Some(first)) if *first != single => errors.push(FieldError::invalid(
            &ips_path,
            all,
            "first value must match `clusterIP`",
        )),
        (true, Some(_)) => errors.push(FieldError::invalid(
            &ips_path,
            all,
            "must be empty when `clusterIP` is not specified",
        )),
        _ => {}
    }
    let families: Vec<&str> = list(spec, "ipFamilies")
        .iter()
        .map(|f| f.as_str().unwrap_or_default())
        .collect();
    let families_path = path.child("ipFamilies");
    let mut seen = Seen::new();
    for (i, family) in families.iter().enumerate() {
        let path = families_path.index(i);
        if !FAMILIES.contains(family) {
            errors.push(FieldError::not_supported(&path, *family, &FAMILIES));
        }
        if !seen.add(*family) {
            errors.push(FieldError::duplicate(&path, *family));
        }
    }
    if let Some(Value::String(policy)) = get(spec, "ipFamilyPolicy")
        && !POLICIES.contains(&policy.as_str())
    {
        errors.push(FieldError::not_supported(
            &path.child("ipFamilyPolicy"),
            policy,
            &POLICIES,
        ));
    }
    let old_ips = old.map_or(&[][..], |old| list(old, "clusterIPs"));
    let mut readable = true;
    for (i, ip) in ips.iter().enumerate() {
        if i == 0 && *ip == "None" {
            if ips.len() > 1 {
                readable = false;
                errors.push(FieldError::invalid(
                    &ips_path,
                    all,
                    "'None' must be the first and only value",
                ));
            }
            continue;
        }
        readable &= validate_ip(
            &ips_path.index(i),
            ip,
            old_ips.iter().any(|old| old == ip),
            errors,
        );
    }
    if ips.len() > 2 {
        errors.push(FieldError::invalid(
            &ips_path,
            all,
            "may only hold up to 2 values",
        ));
    }
    if !readable {
        return;
    }
    if ips.len() > 1 && !is_dual_stack(ips.iter().copied()) {
        errors.push(FieldError::invalid(
            &ips_path,
            all,
            "may specify no more than one IP for each IP family",
        ));
    }
    if is_headless(spec) {
        return;
    }
    for (i, (ip, family)) in ips.iter().zip(&families).enumerate() {
        let is = family_of(ip);
        if FAMILIES.contains(family) && is != *family {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
            errors.push(FieldError::invalid(&ips_path.index(i), *ip, &detail));
        }
    }
}

/// The family of an address.
pub(crate) fn family_of(ip: &str) -> &'static str {
    if parse_ip(ip).is_some_and(|ip| ip.is_ipv6()) {
        "IPv6"
    } else {
        "IPv4"
    }
}

/// An address to which packets from outside may go.
pub(crate) fn validate_external_ip(text: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(ip) = parse_ip(text) else {
        return;
    };
    let link_local = match ip {
        std::net::IpAddr::V4(ip) => ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let link_multicast = match ip {
        std::net::IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        std::net::IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    if ip.is_unspecified() {
        let detail = format!("may not be unspecified ({text})");
        errors.push(FieldError::invalid(path, text, &detail));
    }
    for (bad, detail) in [
        (
            ip.is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            link_local,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (
            link_multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ] {
        if bad {
            errors.push(FieldError::invalid(path, text, detail));
        }
    }
}
