//! Discovery of the built-in kinds, as kube-apiserver 1.35 answers, and of rows made at run time.

use std::{borrow::Cow, collections::BTreeSet};

use k8shost_types::kinds::{
    BUILT_IN, CUSTOM_VERBS, Kind, Subresource, UPDATE_VERBS, compare_versions,
    discovery::{self, Root, Version},
    find, groups,
};
use serde_json::{Value, json};

const ALL: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Group, version, and of each resource: name, scope, kind, verbs, short names, categories, singular.
#[rustfmt::skip]
const LISTS: &[(&str, &str, &[&str])] = &[
    ("", "v1", &[
        "bindings ns Binding create - - binding",
        "componentstatuses - ComponentStatus get,list cs - componentstatus",
        "configmaps ns ConfigMap all cm - configmap",
        "endpoints ns Endpoints all ep - endpoints",
        "events ns Event all ev - event",
        "limitranges ns LimitRange all limits - limitrange",
        "namespaces - Namespace create,delete,get,list,patch,update,watch ns - namespace",
        "namespaces/finalize - Namespace update - - -",
        "namespaces/status - Namespace update - - -",
        "nodes - Node all no - node",
        "nodes/proxy - NodeProxyOptions create,delete,get,patch,update - - -",
        "nodes/status - Node update - - -",
        "persistentvolumeclaims ns PersistentVolumeClaim all pvc - persistentvolumeclaim",
        "persistentvolumeclaims/status ns PersistentVolumeClaim update - - -",
        "persistentvolumes - PersistentVolume all pv - persistentvolume",
        "persistentvolumes/status - PersistentVolume update - - -",
        "pods ns Pod all po all pod",
        "pods/attach ns PodAttachOptions create,get - - -",
        "pods/binding ns Binding create - - -",
        "pods/ephemeralcontainers ns Pod update - - -",
        "pods/eviction ns Eviction create - - -",
        "pods/exec ns PodExecOptions create,get - - -",
        "pods/log ns Pod get - - -",
        "pods/portforward ns PodPortForwardOptions create,get - - -",
        "pods/proxy ns PodProxyOptions create,delete,get,patch,update - - -",
        "pods/resize ns Pod update - - -",
        "pods/status ns Pod update - - -",
        "podtemplates ns PodTemplate all - - podtemplate",
        "replicationcontrollers ns ReplicationController all rc all replicationcontroller",
        "replicationcontrollers/scale ns Scale update - - -",
        "replicationcontrollers/status ns ReplicationController update - - -",
        "resourcequotas ns ResourceQuota all quota - resourcequota",
        "resourcequotas/status ns ResourceQuota update - - -",
        "secrets ns Secret all - - secret",
        "serviceaccounts ns ServiceAccount all sa - serviceaccount",
        "serviceaccounts/token ns TokenRequest create - - -",
        "services ns Service all svc all service",
        "services/proxy ns ServiceProxyOptions create,delete,get,patch,update - - -",
        "services/status ns Service update - - -",
    ]),
    ("apps", "v1", &[
        "controllerrevisions ns ControllerRevision all - - controllerrevision",
        "daemonsets ns DaemonSet all ds all daemonset",
        "daemonsets/status ns DaemonSet update - - -",
        "deployments ns Deployment all deploy all deployment",
        "deployments/scale ns Scale update - - -",
        "deployments/status ns Deployment update - - -",
        "replicasets ns ReplicaSet all rs all replicaset",
        "replicasets/scale ns Scale update - - -",
        "replicasets/status ns ReplicaSet update - - -",
        "statefulsets ns StatefulSet all sts all statefulset",
        "statefulsets/scale ns Scale update - - -",
        "statefulsets/status ns StatefulSet update - - -",
    ]),
    ("batch", "v1", &[
        "cronjobs ns CronJob all cj all cronjob",
        "cronjobs/status ns CronJob update - - -",
        "jobs ns Job all - all job",
        "jobs/status ns Job update - - -",
    ]),
    ("networking.k8s.io", "v1", &[
        "ingressclasses - IngressClass all - - ingressclass",
        "ingresses ns Ingress all ing - ingress",
        "ingresses/status ns Ingress update - - -",
        "ipaddresses - IPAddress all ip - ipaddress",
        "networkpolicies ns NetworkPolicy all netpol - networkpolicy",
        "servicecidrs - ServiceCIDR all - - servicecidr",
        "servicecidrs/status - ServiceCIDR update - - -",
    ]),
    ("rbac.authorization.k8s.io", "v1", &[
        "clusterrolebindings - ClusterRoleBinding all - - clusterrolebinding",
        "clusterroles - ClusterRole all - - clusterrole",
        "rolebindings ns RoleBinding all - - rolebinding",
        "roles ns Role all - - role",
    ]),
    ("policy", "v1", &[
        "poddisruptionbudgets ns PodDisruptionBudget all pdb - poddisruptionbudget",
        "poddisruptionbudgets/status ns PodDisruptionBudget update - - -",
    ]),
    ("autoscaling", "v2", &[
        "horizontalpodautoscalers ns HorizontalPodAutoscaler all hpa all horizontalpodautoscaler",
        "horizontalpodautoscalers/status ns HorizontalPodAutoscaler update - - -",
    ]),
    ("storage.k8s.io", "v1", &[
        "csidrivers - CSIDriver all - - csidriver",
        "csinodes - CSINode all - - csinode",
        "csistoragecapacities ns CSIStorageCapacity all - - csistoragecapacity",
        "storageclasses - StorageClass all sc - storageclass",
        "volumeattachments - VolumeAttachment all - - volumeattachment",
        "volumeattachments/status - VolumeAttachment update - - -",
        "volumeattributesclasses - VolumeAttributesClass all vac - volumeattributesclass",
    ]),
    ("coordination.k8s.io", "v1", &[
        "leases ns Lease all - - lease",
    ]),
    ("discovery.k8s.io", "v1", &[
        "endpointslices ns EndpointSlice all - - endpointslice",
    ]),
    ("certificates.k8s.io", "v1", &[
        "certificatesigningrequests - CertificateSigningRequest all csr - certificatesigningrequest",
        "certificatesigningrequests/approval - CertificateSigningRequest update - - -",
        "certificatesigningrequests/status - CertificateSigningRequest update - - -",
    ]),
    ("admissionregistration.k8s.io", "v1", &[
        "mutatingwebhookconfigurations - MutatingWebhookConfiguration all - api-extensions mutatingwebhookconfiguration",
        "validatingadmissionpolicies - ValidatingAdmissionPolicy all - api-extensions validatingadmissionpolicy",
        "validatingadmissionpolicies/status - ValidatingAdmissionPolicy update - - -",
        "validatingadmissionpolicybindings - ValidatingAdmissionPolicyBinding all - api-extensions validatingadmissionpolicybinding",
        "validatingwebhookconfigurations - ValidatingWebhookConfiguration all - api-extensions validatingwebhookconfiguration",
    ]),
    ("events.k8s.io", "v1", &[
        "events ns Event all ev - event",
    ]),
    ("authorization.k8s.io", "v1", &[
        "localsubjectaccessreviews ns LocalSubjectAccessReview create - - localsubjectaccessreview",
        "selfsubjectaccessreviews - SelfSubjectAccessReview create - - selfsubjectaccessreview",
        "selfsubjectrulesreviews - SelfSubjectRulesReview create - - selfsubjectrulesreview",
        "subjectaccessreviews - SubjectAccessReview create - - subjectaccessreview",
    ]),
    ("authentication.k8s.io", "v1", &[
        "selfsubjectreviews - SelfSubjectReview create - - selfsubjectreview",
        "tokenreviews - TokenReview create - - tokenreview",
    ]),
];

fn shown(resource: &Value) -> String {
    let text = |field: &str| match resource[field].as_str() {
        None | Some("") => "-",
        Some(text) => text,
    };
    let all = |field: &str| -> Vec<&str> {
        let items = resource[field].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).collect()
    };
    let verbs = all("verbs");
    let verbs = match verbs.as_slice() {
        verbs if verbs == ALL => "all".to_owned(),
        ["get", "patch", "update"] => "update".to_owned(),
        verbs => verbs.join(","),
    };
    let scope = if resource["namespaced"] == true {
        "ns"
    } else {
        "-"
    };
    let names = ["shortNames", "categories"].map(|field| match all(field).join(",") {
        none if none.is_empty() => "-".to_owned(),
        names => names,
    });
    let [short, categories] = names;
    let (name, kind, singular) = (text("name"), text("kind"), text("singularName"));
    format!("{name} {scope} {kind} {verbs} {short} {categories} {singular}")
}

#[test]
fn resource_lists_are_those_of_kube_apiserver() {
    for &(group, version, expected) in LISTS {
        let list = discovery::api_resource_list(BUILT_IN, group, version).expect("it is served");
        let resources = list["resources"].as_array().expect("a list");
        let have: Vec<String> = resources.iter().map(shown).collect();
        assert_eq!(have, expected, "{group}/{version}");
        let api_version = list.get("apiVersion").and_then(Value::as_str);
        assert_eq!(api_version, (!group.is_empty()).then_some("v1"));
    }
    assert_eq!(discovery::api_resource_list(BUILT_IN, "apps", "v7"), None);
}

#[test]
fn subresources_tell_a_group_that_is_not_their_own() {
    let list = discovery::api_resource_list(BUILT_IN, "", "v1").expect("it is served");
    let entry = |name: &str| -> Value {
        let resources = list["resources"].as_array().expect("a list");
        let found = resources.iter().find(|resource| resource["name"] == name);
        found.expect("it is served").clone()
    };
    assert_eq!(
        entry("pods/eviction"),
        json!({"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy",
               "version": "v1", "kind": "Eviction", "verbs": ["create"]})
    );
    assert_eq!(
        entry("replicationcontrollers/scale")["group"],
        "autoscaling"
    );
    assert_eq!(
        entry("serviceaccounts/token")["group"],
        "authentication.k8s.io"
    );
    assert_eq!(entry("pods/status").get("group"), None);
}

#[test]
fn groups_come_by_priority() {
    let names: Vec<&str> = groups(BUILT_IN).iter().map(|group| group.name).collect();
    let expected = [
        "",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "admissionregistration.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "node.k8s.io",
        "discovery.k8s.io",
        "resource.k8s.io",
        "flowcontrol.apiserver.k8s.io",
    ];
    assert_eq!(names, expected);
    let list = discovery::api_group_list(BUILT_IN);
    assert_eq!(
        list["groups"].as_array().map(Vec::len),
        Some(expected.len() - 1)
    );
    assert_eq!(list["groups"][0]["name"], "apps");
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("APIGroupList"), &json!("v1"))
    );
}

#[test]
fn a_group_tells_its_versions_and_the_preferred_one() {
    let version = |group: &str, version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    assert_eq!(
        discovery::api_group(BUILT_IN, "apps"),
        Some(json!({
            "kind": "APIGroup", "apiVersion": "v1", "name": "apps",
            "versions": [version("apps", "v1")], "preferredVersion": version("apps", "v1"),
        }))
    );
    let group = discovery::api_group(BUILT_IN, "autoscaling").expect("it is served");
    assert_eq!(
        group["versions"],
        json!([version("autoscaling", "v2"), version("autoscaling", "v1")])
    );
    assert_eq!(group["preferredVersion"], version("autoscaling", "v2"));
    for nothing in ["", "nope.example.com"] {
        assert_eq!(discovery::api_group(BUILT_IN, nothing), None);
    }
}

#[test]
fn the_core_group_has_a_list_of_versions() {
    assert_eq!(
        discovery::api_versions("10.0.0.1:6443"),
        json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.0.0.1:6443"}],
        })
    );
}

#[test]
fn aggregated_discovery_has_everything_at_once() {
    let own = |kind: &str| json!({"group": "", "version": "", "kind": kind});
    let of = |group: &str, kind: &str| json!({"group": group, "version": "v1", "kind": kind});
    let sub = |name: &str, kind: Value, verbs: &[&str]| json!({"subresource": name, "responseKind": kind, "verbs": verbs});
    let update = ["get", "patch", "update"];
    let proxy = ["create", "delete", "get", "patch", "update"];

    let core = discovery::aggregated(BUILT_IN, Root::Core, Version::V2);
    assert_eq!(
        (&core["kind"], &core["apiVersion"]),
        (
            &json!("APIGroupDiscoveryList"),
            &json!("apidiscovery.k8s.io/v2")
        )
    );
    assert_eq!(core["metadata"], json!({}));
    assert_eq!(core["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(core["items"][0]["metadata"], json!({}));
    let resources = core["items"][0]["versions"][0]["resources"]
        .as_array()
        .expect("a list");
    let pods = resources
        .iter()
        .find(|one| one["resource"] == "pods")
        .expect("it is served");
    assert_eq!(
        *pods,
        json!({
            "resource": "pods", "responseKind": own("Pod"), "scope": "Namespaced", "singularResource": "pod",
            "shortNames": ["po"], "categories": ["all"], "verbs": ALL,
            "subresources": [
                sub("attach", own("PodAttachOptions"), &["create", "get"]),
                sub("binding", own("Binding"), &["create"]),
                sub("ephemeralcontainers", own("Pod"), &update),
                sub("eviction", of("policy", "Eviction"), &["create"]),
                sub("exec", own("PodExecOptions"), &["create", "get"]),
                sub("log", own("Pod"), &["get"]),
                sub("portforward", own("PodPortForwardOptions"), &["create", "get"]),
                sub("proxy", own("PodProxyOptions"), &proxy),
                sub("resize", own("Pod"), &update),
                sub("status", own("Pod"), &update),
            ],
        })
    );

    let others = discovery::aggregated(BUILT_IN, Root::Groups, Version::V2Beta1);
    assert_eq!(others["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    let workload = |resource: &str, kind: &str, short: &str, scaled: bool| {
        let mut below = vec![sub("status", own(kind), &update)];
        if scaled {
            below.insert(0, sub("scale", of("autoscaling", "Scale"), &update));
        }
        json!({
            "resource": resource, "responseKind": own(kind), "scope": "Namespaced",
            "singularResource": kind.to_lowercase(), "shortNames": [short], "categories": ["all"],
            "verbs": ALL, "subresources": below,
        })
    };
    assert_eq!(
        others["items"][0],
        json!({
            "metadata": {"name": "apps"},
            "versions": [{"version": "v1", "freshness": "Current", "resources": [
                {"resource": "controllerrevisions", "responseKind": own("ControllerRevision"), "scope": "Namespaced",
                 "singularResource": "controllerrevision", "verbs": ALL},
                workload("daemonsets", "DaemonSet", "ds", false),
                workload("deployments", "Deployment", "deploy", true),
                workload("replicasets", "ReplicaSet", "rs", true),
                workload("statefulsets", "StatefulSet", "sts", true),
            ]}],
        })
    );
}

#[test]
fn rows_made_at_run_time_stand_beside_the_built_in_ones() {
    let custom = |version: &str| Kind {
        group: "x.example.com".into(),
        version: version.to_owned().into(),
        kind: "Thing".into(),
        list_kind: "ThingList".into(),
        plural: "things".into(),
        singular: "thing".into(),
        namespaced: false,
        short_names: Cow::Owned(vec!["th".into()]),
        categories: Cow::default(),
        verbs: CUSTOM_VERBS,
        subresources: Cow::Owned(vec![Subresource {
            name: "status".into(),
            group: "".into(),
            version: "".into(),
            kind: "Thing".into(),
            verbs: UPDATE_VERBS,
        }]),
        custom: true,
    };
    let made = [custom("v1beta1"), custom("v1"), custom("v1alpha1")];
    let all: Vec<&Kind> = made.iter().chain(BUILT_IN).collect();
    let last = groups(all.iter().copied()).pop().expect("there are groups");
    assert_eq!(
        (last.name, last.versions),
        ("x.example.com", vec!["v1", "v1beta1", "v1alpha1"])
    );
    let list = discovery::aggregated(all.iter().copied(), Root::Groups, Version::V2);
    let group = list["items"]
        .as_array()
        .and_then(|items| items.last())
        .expect("there are groups");
    let kind = json!({"group": "x.example.com", "version": "v1", "kind": "Thing"});
    let resource = &group["versions"][0]["resources"][0];
    assert_eq!(resource["responseKind"], kind);
    assert_eq!(resource["scope"], "Cluster");
    assert_eq!(resource["verbs"], json!(CUSTOM_VERBS));
    assert_eq!(resource["subresources"][0]["responseKind"], kind);
    let found = find(all, "x.example.com", "v1", "things").expect("it is there");
    assert_eq!(found.api_version(), "x.example.com/v1");
    assert!(found.subresource("status").is_some() && found.subresource("scale").is_none());
}

#[test]
fn versions_come_stable_and_new_first() {
    let mut versions = [
        "foo10",
        "v1",
        "v11alpha2",
        "v2",
        "foo1",
        "v3beta1",
        "v12alpha1",
        "v10",
        "v11beta2",
        "v1x",
    ];
    versions.sort_by(|a, b| compare_versions(a, b));
    let expected = [
        "v10",
        "v2",
        "v1",
        "v11beta2",
        "v3beta1",
        "v12alpha1",
        "v11alpha2",
        "foo1",
        "foo10",
        "v1x",
    ];
    assert_eq!(versions, expected);
}

#[test]
fn every_row_is_once_and_whole() {
    let mut seen = BTreeSet::new();
    for kind in BUILT_IN {
        assert!(
            seen.insert((&kind.group, &kind.version, &kind.plural)),
            "{kind:?}"
        );
        assert_eq!(kind.can("list"), !kind.list_kind.is_empty(), "{kind:?}");
        assert_eq!(kind.singular, kind.singular.to_lowercase());
        let names = kind.subresources.iter().map(|one| &one.name);
        assert!(names.is_sorted(), "{kind:?}");
    }
    let pods = find(BUILT_IN, "", "v1", "pods").expect("there are pods");
    assert_eq!(
        (pods.api_version().as_str(), pods.can("watch")),
        ("v1", true)
    );
}
