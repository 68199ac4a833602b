//! Which families of addresses a Service has: ipFamilies and ipFamilyPolicy.

use serde_json::Value;

use super::{Allocator, Fault, policy, same, strings};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, text},
    service::{family_of, has_cluster_ip, has_selector, kind_of, validate_cluster_ips},
};

/// A PreferDualStack Service whose addresses are left alone is left alone, though the cluster may
/// have become dual stack, or single stack, meanwhile.
pub(super) fn is_settled(spec: &Value, old: &Value) -> bool {
    matches!(kind_of(spec), "ClusterIP" | "NodePort" | "LoadBalancer")
        && kind_of(spec) == kind_of(old)
        && policy(spec) == "PreferDualStack"
        && matches!(policy(old), "" | "PreferDualStack")
        && same(spec, old, "clusterIPs")
        && same(spec, old, "ipFamilies")
}

impl Allocator<'_> {
    /// Decides on ipFamilyPolicy and ipFamilies.
    pub(super) fn families(&self, spec: &mut Value, old: Option<&Value>) -> Result<(), Fault> {
        if !has_cluster_ip(spec) || old.is_some_and(|old| is_settled(spec, old)) {
            return Ok(());
        }
        let headless = text(spec, "clusterIP") == "None";
        if policy(spec).is_empty() {
            let before = old.map_or("", policy);
            let default = if !before.is_empty() {
                before
            } else if headless && !has_selector(spec) {
                "RequireDualStack"
            } else {
                "SingleStack"
            };
            tree::set(spec, "ipFamilyPolicy", default);
        }
        let path = Path::new("spec");
        let mut errors = Vec::new();
        validate_cluster_ips(spec, old, &path, &mut errors);
        if errors.is_empty() {
            self.reduce(spec, old, &mut errors);
            self.infer_families(spec, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Fault::Fields(errors));
        }
        let dual = policy(spec) != "SingleStack";
        // Endpoints that nobody selects may be of any family, whatever the cluster has.
        if headless && !has_selector(spec) {
            self.complete_families(spec, dual);
            return Ok(());
        }
        let policy_path = path.child("ipFamilyPolicy");
        if policy(spec) == "RequireDualStack" && self.network.cidrs.len() < 2 {
            errors.push(FieldError::invalid(
                &policy_path,
                policy(spec),
                "this cluster is not configured for dual-stack services",
            ));
        }
        let families_path = path.child("ipFamilies");
        for (i, family) in strings(spec, "ipFamilies").iter().enumerate() {
            if self.network.of_family(family).is_none() {
                errors.push(FieldError::invalid(
                    &families_path.index(i),
                    family,
                    "not configured on this cluster",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(Fault::Fields(errors));
        }
        self.complete_families(spec, dual && self.network.cidrs.len() == 2);
        Ok(())
    }

    /// Without families the Service has the cluster's first; with `both` also the other.
    fn complete_families(&self, spec: &mut Value, both: bool) {
        let mut families = strings(spec, "ipFamilies");
        if families.is_empty() {
            families.push(self.network.primary().to_owned());
        }
        if both && families.len() == 1 {
            let other = if families[0] == "IPv4" {
                "IPv6"
            } else {
                "IPv4"
            };
            families.push(other.to_owned());
        }
        tree::set(spec, "ipFamilies", families);
    }

    /// SingleStack gives the second address and family up; without it they may not be left out.
    fn reduce(&self, spec: &mut Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let path = path.child("ipFamilyPolicy");
        let single = policy(spec) == "SingleStack";
        let mut refuse = |spec: &Value, detail: &str| {
            errors.push(FieldError::invalid(&path, policy(spec), detail));
        };
        if let Some(old) = old {
            for (field, what) in [
                ("clusterIPs", "secondary cluster IP"),
                ("ipFamilies", "secondary IP family"),
            ] {
                let count = list(spec, field).len();
                if single && count > 1 && same(spec, old, field) {
                    let first = list(spec, field)[0].clone();
                    tree::set(spec, field, vec![first]);
                } else if !single && count > 0 && count < list(old, field).len() {
                    refuse(
                        spec,
                        &format!("must be 'SingleStack' to release the {what}"),
                    );
                }
            }
        }
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if single && list(spec, field).len() == 2 {
                let detail = format!(
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                );
                refuse(spec, &detail);
            }
        }
    }

    /// Addresses that are asked for say what families are.
    fn infer_families(&self, spec: &mut Value, errors: &mut Vec<FieldError>) {
        let mut families = strings(spec, "ipFamilies");
        let ips = strings(spec, "clusterIPs");
        let known = families.len();
        for (i, ip) in ips.iter().enumerate().skip(known) {
            if ip == "None" {
                break;
            }
            let family = family_of(ip);
            if self.network.of_family(family).is_some() {
                families.push(family.to_owned());
            } else {
                let path = Path::new("spec");
                let path = path.child("clusterIPs");
                let all = get(spec, "clusterIPs").unwrap_or(&Value::Null);
                let detail = format!("{family} is not configured on this cluster");
                errors.push(FieldError::invalid(&path.index(i), all, &detail));
            }
        }
        if families.len() > known {
            tree::set(spec, "ipFamilies", families);
        }
    }
}
