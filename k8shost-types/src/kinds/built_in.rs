//! The rows of the built-in kinds.

use super::{ALL_VERBS, Kind, Subresource, Text, UPDATE_VERBS};

const CREATE: &[&str] = &["create"];
const GET: &[&str] = &["get"];
const CONNECT: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];
/// Namespaces go one by one.
const NAMESPACE_VERBS: &[&str] = &[
    "create", "delete", "get", "list", "patch", "update", "watch",
];

const fn text(text: &'static str) -> Text {
    Text::Borrowed(text)
}

const fn sub(
    name: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Subresource {
    foreign(name, "", "", kind, verbs)
}

/// A subresource of another group's kind.
const fn foreign(
    name: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource {
        name: text(name),
        group: text(group),
        version: text(version),
        kind: text(kind),
        verbs,
    }
}

const fn status(kind: &'static str) -> Subresource {
    sub("status", kind, UPDATE_VERBS)
}

const fn scale() -> Subresource {
    foreign("scale", "autoscaling", "v1", "Scale", UPDATE_VERBS)
}

/// A row: group, version, kind, plural, singular, scope, short names, categories, verbs, subresources.
macro_rules! kind {
    ($group:literal, $version:literal, $kind:literal, $plural:literal, $singular:literal, $namespaced:ident,
     [$($short:literal),*], [$($category:literal),*], $list:expr, $verbs:expr, [$($sub:expr),*]) => {
        Kind {
            group: text($group),
            version: text($version),
            kind: text($kind),
            list_kind: text($list),
            plural: text($plural),
            singular: text($singular),
            namespaced: kind!(@scope $namespaced),
            short_names: std::borrow::Cow::Borrowed(&[$(text($short)),*]),
            categories: std::borrow::Cow::Borrowed(&[$(text($category)),*]),
            verbs: $verbs,
            subresources: std::borrow::Cow::Borrowed(&[$($sub),*]),
            custom: false,
        }
    };
    (@scope Namespaced) => { true };
    (@scope Cluster) => { false };
}

/// What is stored: all verbs, a list kind.
macro_rules! stored {
    ($group:literal, $version:literal, $kind:literal, $plural:literal, $singular:literal, $scope:ident,
     [$($short:literal),*], [$($category:literal),*], [$($sub:expr),*]) => {
        kind!($group, $version, $kind, $plural, $singular, $scope, [$($short),*], [$($category),*],
              concat!($kind, "List"), ALL_VERBS, [$($sub),*])
    };
}

/// What is only ever sent: create, and the answer.
macro_rules! sent {
    ($group:literal, $version:literal, $kind:literal, $plural:literal, $singular:literal, $scope:ident) => {
        kind!(
            $group,
            $version,
            $kind,
            $plural,
            $singular,
            $scope,
            [],
            [],
            "",
            CREATE,
            []
        )
    };
}

/// Every kind in every version, sorted by group, version and plural.
#[rustfmt::skip]
pub static BUILT_IN: &[Kind] = &[
    sent!("", "v1", "Binding", "bindings", "binding", Namespaced),
    kind!("", "v1", "ComponentStatus", "componentstatuses", "componentstatus", Cluster, ["cs"], [],
          "ComponentStatusList", &["get", "list"], []),
    stored!("", "v1", "ConfigMap", "configmaps", "configmap", Namespaced, ["cm"], [], []),
    stored!("", "v1", "Endpoints", "endpoints", "endpoints", Namespaced, ["ep"], [], []),
    stored!("", "v1", "Event", "events", "event", Namespaced, ["ev"], [], []),
    stored!("", "v1", "LimitRange", "limitranges", "limitrange", Namespaced, ["limits"], [], []),
    kind!("", "v1", "Namespace", "namespaces", "namespace", Cluster, ["ns"], [],
          "NamespaceList", NAMESPACE_VERBS, [sub("finalize", "Namespace", &["update"]), status("Namespace")]),
    stored!("", "v1", "Node", "nodes", "node", Cluster, ["no"], [],
            [sub("proxy", "NodeProxyOptions", PROXY), status("Node")]),
    stored!("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim", Namespaced,
            ["pvc"], [], [status("PersistentVolumeClaim")]),
    stored!("", "v1", "PersistentVolume", "persistentvolumes", "persistentvolume", Cluster, ["pv"], [],
            [status("PersistentVolume")]),
    stored!("", "v1", "Pod", "pods", "pod", Namespaced, ["po"], ["all"], [
        sub("attach", "PodAttachOptions", CONNECT),
        sub("binding", "Binding", CREATE),
        sub("ephemeralcontainers", "Pod", UPDATE_VERBS),
        foreign("eviction", "policy", "v1", "Eviction", CREATE),
        sub("exec", "PodExecOptions", CONNECT),
        sub("log", "Pod", GET),
        sub("portforward", "PodPortForwardOptions", CONNECT),
        sub("proxy", "PodProxyOptions", PROXY),
        sub("resize", "Pod", UPDATE_VERBS),
        status("Pod")
    ]),
    stored!("", "v1", "PodTemplate", "podtemplates", "podtemplate", Namespaced, [], [], []),
    stored!("", "v1", "ReplicationController", "replicationcontrollers", "replicationcontroller", Namespaced,
            ["rc"], ["all"], [scale(), status("ReplicationController")]),
    stored!("", "v1", "ResourceQuota", "resourcequotas", "resourcequota", Namespaced, ["quota"], [],
            [status("ResourceQuota")]),
    stored!("", "v1", "Secret", "secrets", "secret", Namespaced, [], [], []),
    stored!("", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount", Namespaced, ["sa"], [],
            [foreign("token", "authentication.k8s.io", "v1", "TokenRequest", CREATE)]),
    stored!("", "v1", "Service", "services", "service", Namespaced, ["svc"], ["all"],
            [sub("proxy", "ServiceProxyOptions", PROXY), status("Service")]),

    stored!("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", Cluster, [], ["api-extensions"], []),
    stored!("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy",
            "validatingadmissionpolicies", "validatingadmissionpolicy", Cluster, [], ["api-extensions"],
            [status("ValidatingAdmissionPolicy")]),
    stored!("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", Cluster, [],
            ["api-extensions"], []),
    stored!("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations", "validatingwebhookconfiguration", Cluster, [],
            ["api-extensions"], []),

    stored!("apps", "v1", "ControllerRevision", "controllerrevisions", "controllerrevision", Namespaced,
            [], [], []),
    stored!("apps", "v1", "DaemonSet", "daemonsets", "daemonset", Namespaced, ["ds"], ["all"],
            [status("DaemonSet")]),
    stored!("apps", "v1", "Deployment", "deployments", "deployment", Namespaced, ["deploy"], ["all"],
            [scale(), status("Deployment")]),
    stored!("apps", "v1", "ReplicaSet", "replicasets", "replicaset", Namespaced, ["rs"], ["all"],
            [scale(), status("ReplicaSet")]),
    stored!("apps", "v1", "StatefulSet", "statefulsets", "statefulset", Namespaced, ["sts"], ["all"],
            [scale(), status("StatefulSet")]),

    sent!("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", Cluster),
    sent!("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "tokenreview", Cluster),

    sent!("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews",
          "localsubjectaccessreview", Namespaced),
    sent!("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews",
          "selfsubjectaccessreview", Cluster),
    sent!("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews",
          "selfsubjectrulesreview", Cluster),
    sent!("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews",
          "subjectaccessreview", Cluster),

    stored!("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
            "horizontalpodautoscaler", Namespaced, ["hpa"], ["all"], [status("HorizontalPodAutoscaler")]),
    stored!("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
            "horizontalpodautoscaler", Namespaced, ["hpa"], ["all"], [status("HorizontalPodAutoscaler")]),

    stored!("batch", "v1", "CronJob", "cronjobs", "cronjob", Namespaced, ["cj"], ["all"], [status("CronJob")]),
    stored!("batch", "v1", "Job", "jobs", "job", Namespaced, [], ["all"], [status("Job")]),

    stored!("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests",
            "certificatesigningrequest", Cluster, ["csr"], [],
            [sub("approval", "CertificateSigningRequest", UPDATE_VERBS), status("CertificateSigningRequest")]),

    stored!("coordination.k8s.io", "v1", "Lease", "leases", "lease", Namespaced, [], [], []),

    stored!("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice", Namespaced, [], [], []),

    stored!("events.k8s.io", "v1", "Event", "events", "event", Namespaced, ["ev"], [], []),

    stored!("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", "flowschema", Cluster, [], [],
            [status("FlowSchema")]),
    stored!("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
            "prioritylevelconfiguration", Cluster, [], [], [status("PriorityLevelConfiguration")]),

    stored!("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "ingressclass", Cluster, [], [], []),
    stored!("networking.k8s.io", "v1", "Ingress", "ingresses", "ingress", Namespaced, ["ing"], [],
            [status("Ingress")]),
    stored!("networking.k8s.io", "v1", "IPAddress", "ipaddresses", "ipaddress", Cluster, ["ip"], [], []),
    stored!("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "networkpolicy", Namespaced,
            ["netpol"], [], []),
    stored!("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", "servicecidr", Cluster, [], [],
            [status("ServiceCIDR")]),

    stored!("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "runtimeclass", Cluster, [], [], []),

    stored!("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget", Namespaced,
            ["pdb"], [], [status("PodDisruptionBudget")]),

    stored!("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings",
            "clusterrolebinding", Cluster, [], [], []),
    stored!("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "clusterrole", Cluster, [], [], []),
    stored!("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "rolebinding", Namespaced,
            [], [], []),
    stored!("rbac.authorization.k8s.io", "v1", "Role", "roles", "role", Namespaced, [], [], []),

    stored!("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", "deviceclass", Cluster, [], [], []),
    stored!("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", "resourceclaim", Namespaced, [], [],
            [status("ResourceClaim")]),
    stored!("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates",
            "resourceclaimtemplate", Namespaced, [], [], []),
    stored!("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", "resourceslice", Cluster, [], [], []),

    stored!("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "priorityclass", Cluster,
            ["pc"], [], []),

    stored!("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "csidriver", Cluster, [], [], []),
    stored!("storage.k8s.io", "v1", "CSINode", "csinodes", "csinode", Cluster, [], [], []),
    stored!("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", "csistoragecapacity",
            Namespaced, [], [], []),
    stored!("storage.k8s.io", "v1", "StorageClass", "storageclasses", "storageclass", Cluster, ["sc"], [], []),
    stored!("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "volumeattachment", Cluster,
            [], [], [status("VolumeAttachment")]),
    stored!("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses",
            "volumeattributesclass", Cluster, ["vac"], [], []),
];
