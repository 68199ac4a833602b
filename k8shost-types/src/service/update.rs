//! What an update, and a write of the status, may change in a service.

use serde_json::Value;

use super::{
    NOTHING, has_cluster_ip, has_health_check, is_headless, kind_of, spec_of,
    validate::{validate, validate_class},
};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    meta, names,
    net::{parse_ip, validate_ip},
    seen::Seen,
};

/// The rules for a new version of a service, its addresses given already.
pub fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    let path = Path::new("spec");
    let (spec, old_spec) = (spec_of(new), spec_of(old));
    if has_cluster_ip(spec) && has_cluster_ip(old_spec) {
        validate_ips_update(spec, old_spec, &path, &mut errors);
        validate_families_update(spec, old_spec, &path, &mut errors);
    }
    if kind_of(spec) == "LoadBalancer" && kind_of(old_spec) == "LoadBalancer" {
        let class = get(spec, "loadBalancerClass");
        if class != get(old_spec, "loadBalancerClass") {
            errors.push(FieldError::invalid(
                &path.child("loadBalancerClass"),
                class.unwrap_or(&NOTHING),
                "may not change once set",
            ));
        }
    }
    validate_class(spec, &path, &mut errors);
    if has_health_check(spec)
        && has_health_check(old_spec)
        && int(spec, "healthCheckNodePort") != int(old_spec, "healthCheckNodePort")
    {
        errors.push(FieldError::forbidden(
            &path.child("healthCheckNodePort"),
            "field is immutable",
        ));
    }
    validate(new, Some(old), &mut errors);
    errors
}

/// The primary address stays; the secondary may come, and may go with the policy.
fn validate_ips_update(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const FIXED: &str = "may not change once set";
    if is_headless(old) && is_headless(new) {
        return;
    }
    let (ips, old_ips) = (list(new, "clusterIPs"), list(old, "clusterIPs"));
    let all = get(new, "clusterIPs").unwrap_or(&NOTHING);
    let ips_path = path.child("clusterIPs");
    if ips.len() == old_ips.len() {
        for (i, (ip, old)) in ips.iter().zip(old_ips).enumerate() {
            if ip != old {
                errors.push(FieldError::invalid(&ips_path.index(i), all, FIXED));
            }
        }
        return;
    }
    match (ips.first(), old_ips.first()) {
        (None, Some(_)) => errors.push(FieldError::invalid(
            &ips_path.index(0),
            all,
            "primary clusterIP can not be unset",
        )),
        (Some(ip), Some(old)) if ip != old => {
            errors.push(FieldError::invalid(&ips_path.index(0), all, FIXED));
        }
        _ => {}
    }
    if old_ips.len() > 1 && ips.len() == 1 {
        released_by_policy(new, "secondary clusterIP", path, errors);
    }
}

fn released_by_policy(new: &Value, what: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let policy = get(new, "ipFamilyPolicy");
    if policy.and_then(Value::as_str) != Some("SingleStack") {
        let detail = format!("must be set to 'SingleStack' when releasing the {what}");
        let policy = policy.unwrap_or(&NOTHING);
        errors.push(FieldError::invalid(
            &path.child("ipFamilyPolicy"),
            policy,
            &detail,
        ));
    }
}

fn validate_families_update(
    new: &Value,
    old: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const FIXED: &str = "may not change once set";
    if is_headless(new) || is_headless(old) {
        return;
    }
    let (families, old_families) = (list(new, "ipFamilies"), list(old, "ipFamilies"));
    let shown = |field| get(new, field).unwrap_or(&NOTHING);
    let families_path = path.child("ipFamilies");
    let first = families_path.index(0);
    if families.len() == old_families.len() {
        for _ in families
            .iter()
            .zip(old_families)
            .filter(|(new, old)| new != old)
        {
            errors.push(FieldError::invalid(&first, shown("ipFamilies"), FIXED));
        }
        return;
    }
    let fewer = families.len() < old_families.len();
    if fewer && list(new, "clusterIPs").is_empty() {
        errors.push(FieldError::invalid(
            &first,
            shown("ipFamilies"),
            "primary ipFamily can not be unset",
        ));
    }
    if let (Some(family), Some(old)) = (families.first(), old_families.first())
        && family != old
    {
        errors.push(FieldError::invalid(&first, shown("clusterIPs"), FIXED));
    }
    if fewer && families.len() == 1 {
        released_by_policy(new, "secondary ipFamily", path, errors);
    }
}

/// The rules for a write of the status.
pub fn validate_status_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    let ingress = |service| {
        get(service, "status")
            .and_then(|status| get(status, "loadBalancer"))
            .map_or(&[][..], |balancer| list(balancer, "ingress"))
    };
    let path = Path::new("status");
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    if kind_of(spec_of(new)) != "LoadBalancer" {
        if !ingress(new).is_empty() {
            errors.push(FieldError::forbidden(
                &path,
                "may only be used when `spec.type` is 'LoadBalancer'",
            ));
        }
        return errors;
    }
    let before: Seen<&str> = ingress(old).iter().map(|old| text(old, "ip")).collect();
    for (i, point) in ingress(new).iter().enumerate() {
        validate_ingress(point, &before, &path.index(i), &mut errors);
    }
    errors
}

fn validate_ingress(
    point: &Value,
    before: &Seen<&str>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let ip = text(point, "ip");
    if !ip.is_empty() {
        validate_ip(&path.child("ip"), ip, before.has(&ip), errors);
    }
    let mode_path = path.child("ipMode");
    match (get(point, "ipMode").and_then(Value::as_str), ip.is_empty()) {
        (None, false) => errors.push(FieldError::required(
            &mode_path,
            "must be specified when `ip` is set",
        )),
        (Some(_), true) => errors.push(FieldError::forbidden(
            &mode_path,
            "may not be specified when `ip` is not set",
        )),
        (Some(mode), false) if !matches!(mode, "Proxy" | "VIP") => {
            errors.push(FieldError::not_supported(
                &mode_path,
                mode,
                &["Proxy", "VIP"],
            ));
        }
        _ => {}
    }
    let host = text(point, "hostname");
    if !host.is_empty() {
        let path = path.child("hostname");
        for fault in names::dns1123_subdomain(host) {
            errors.push(FieldError::invalid(&path, host, &fault));
        }
        if parse_ip(host).is_some() {
            errors.push(FieldError::invalid(
                &path,
                host,
                "must be a DNS name, not an IP address",
            ));
        }
    }
}
