//! The order of groups and versions.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{Group, Kind};

/// Groups by falling priority, as kube-apiserver's list has them; equal ones go by name. Groups of
/// custom resources have 1000.
const GROUPS: &[(&str, u32)] = &[
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("admissionregistration.k8s.io", 16_700),
    ("apiextensions.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("resource.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
    ("internal.apiserver.k8s.io", 16_000),
    ("storagemigration.k8s.io", 15_800),
];

fn priority(group: &str) -> u32 {
    GROUPS
        .iter()
        .find(|(name, _)| *name == group)
        .map_or(1_000, |(_, priority)| *priority)
}

pub(super) fn groups<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> Vec<Group<'a>> {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in kinds {
        let versions = by_name.entry(&kind.group).or_default();
        if !versions.contains(&kind.version.as_ref()) {
            versions.push(&kind.version);
        }
    }
    let mut groups: Vec<Group<'_>> = by_name
        .into_iter()
        .map(|(name, mut versions)| {
            versions.sort_by(|a, b| compare_versions(a, b));
            Group { name, versions }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(priority(group.name)));
    groups
}

/// Which version comes first: v2, v1, v2beta1, v1beta2, v1alpha1; then what is no such version, by
/// its letters. Kubernetes' own priorities of the versions it serves come to the same.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// How stable, how new, how late in that: of `v1beta2` (1, 1, 2).
fn rank(version: &str) -> Option<(u8, u64, u64)> {
    let version = version.strip_prefix('v')?;
    let (stability, major, minor) = if let Some((major, minor)) = version.split_once("alpha") {
        (0, major, minor)
    } else if let Some((major, minor)) = version.split_once("beta") {
        (1, major, minor)
    } else {
        (2, version, "0")
    };
    let number = |digits: &str| -> Option<u64> {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    Some((stability, number(major)?, number(minor)?))
}
