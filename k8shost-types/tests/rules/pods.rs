//! The rules for pods, one by one, in the words of kube-apiserver.

use k8shost_types::pod as pods;
use serde_json::{Value, json};

use crate::common::{check_pods, container, create, faults, merge, pod};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn with_metadata(fields: Value) -> Value {
    let mut pod = pod(json!({}));
    merge(&mut pod["metadata"], fields);
    pod
}

#[test]
fn messages_as_a_whole() {
    let message = |pod| create(&pods::STRATEGY, pod).expect_err("invalid").message;
    assert_eq!(
        message(with_metadata(json!({"name": "Bad_Name"}))),
        format!(
            "Pod \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": {SUBDOMAIN}"
        )
    );
    assert_eq!(
        message(pod(json!({"containers": []}))),
        "Pod \"b\" is invalid: spec.containers: Required value"
    );
    assert_eq!(
        message(pod(json!({"containers": [{"name": "C_", "image": ""}]}))),
        format!(
            "Pod \"b\" is invalid: [spec.containers[0].name: Invalid value: \"C_\": {LABEL}, spec.containers[0].image: Required value]"
        )
    );
}

#[test]
fn names() {
    let longest = "a".repeat(253);
    let long = "a".repeat(254);
    let faults_of = |name: &str| {
        faults(create(
            &pods::STRATEGY,
            with_metadata(json!({"name": name})),
        ))
    };
    assert_eq!(faults_of(&longest), [""; 0]);
    assert_eq!(
        faults_of(&long),
        [format!(
            "metadata.name: Invalid value: \"{long}\": must be no more than 253 characters"
        )]
    );
    check_pods(&[
        (
            with_metadata(json!({"name": null})),
            &["metadata.name: Required value: name or generateName is required"],
        ),
        (
            with_metadata(json!({"namespace": null})),
            &["metadata.namespace: Required value"],
        ),
        (
            with_metadata(json!({"name": null, "generateName": "a-"})),
            &[],
        ),
    ]);
}

#[test]
fn labels_and_annotations() {
    check_pods(&[
        (
            with_metadata(json!({"labels": {"a": "-x-"}})),
            &[
                "metadata.labels: Invalid value: \"-x-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ],
        ),
        (
            with_metadata(json!({"labels": {"a b": "x"}})),
            &[&format!("metadata.labels: Invalid value: \"a b\": {KEY}")],
        ),
        (
            with_metadata(json!({"annotations": {"a b": "x"}})),
            &[&format!(
                "metadata.annotations: Invalid value: \"a b\": {KEY}"
            )],
        ),
        (
            with_metadata(json!({"annotations": {"Example.COM/Key": "any\ntext"}})),
            &[],
        ),
        (
            with_metadata(json!({"annotations": {"a": "x".repeat(262_143)}})),
            &[],
        ),
        (
            with_metadata(json!({"annotations": {"a": "x".repeat(262_144)}})),
            &["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
    ]);
}

#[test]
fn owners_and_finalizers() {
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u", "controller": true});
    check_pods(&[
        (
            with_metadata(
                json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x"}]}),
            ),
            &["metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"],
        ),
        (
            with_metadata(
                json!({"ownerReferences": [{"apiVersion": "a/b/c", "kind": "Pod", "name": "x", "uid": "u"}]}),
            ),
            &[
                "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty",
            ],
        ),
        (
            with_metadata(json!({"finalizers": ["x"]})),
            &[
                "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
            ],
        ),
        (
            with_metadata(json!({"finalizers": ["orphan", "example.com/x"]})),
            &[],
        ),
    ]);
    let two = with_metadata(json!({"ownerReferences": [owner("a"), owner("b")]}));
    let found = faults(create(&pods::STRATEGY, two));
    assert!(found[0].ends_with("Only one reference can have Controller set to true. Found \"true\" in references for Pod/a and Pod/b"));
}

#[test]
fn volumes() {
    let volume = |fields: Value| pod(json!({"volumes": [fields]}));
    check_pods(&[
        (
            volume(json!({"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}})),
            &["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            volume(json!({"name": "v", "secret": {}})),
            &["spec.volumes[0].secret.secretName: Required value"],
        ),
        (
            volume(
                json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "/abs"}]}}),
            ),
            &[
                "spec.volumes[0].configMap.items[0].path: Invalid value: \"/abs\": must be a relative path",
            ],
        ),
        (
            volume(json!({"name": "v", "hostPath": {"path": "/x", "type": "Tape"}})),
            &[
                "spec.volumes[0].hostPath.type: Unsupported value: \"Tape\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            ],
        ),
        (
            volume(
                json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 60}}]}}),
            ),
            &[
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
                "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
            ],
        ),
        (
            pod(json!({"volumes": [{"name": "v"}, {"name": "v"}]})),
            &["spec.volumes[1].name: Duplicate value: \"v\""],
        ),
        (
            volume(
                json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}),
            ),
            &[
                "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
            ],
        ),
        (
            volume(
                json!({"name": "v", "iscsi": {"targetPortal": "p", "iqn": "iqn.2015-02.example.com:test", "lun": 300}}),
            ),
            &[
                "spec.volumes[0].iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive",
            ],
        ),
    ]);
}

#[test]
fn policies_and_seconds() {
    check_pods(&[
        (
            pod(json!({"restartPolicy": "Sometimes"})),
            &[
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (
            pod(json!({"dnsPolicy": "x"})),
            &[
                "spec.dnsPolicy: Unsupported value: \"x\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
            ],
        ),
        (
            pod(json!({"activeDeadlineSeconds": 0})),
            &[
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            ],
        ),
        (
            pod(json!({"dnsPolicy": "None"})),
            &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            pod(json!({"dnsConfig": {"nameservers": ["x"]}})),
            &[
                "spec.dnsConfig.nameservers[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
        (
            pod(json!({"hostAliases": [{"ip": "127.0.0.300"}]})),
            &[
                "spec.hostAliases[0].ip: Invalid value: \"127.0.0.300\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
    ]);
}

#[test]
fn scheduling() {
    let required = |expression: Value| {
        pod(
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [expression]}]
            }}}}),
        )
    };
    check_pods(&[
        (
            pod(json!({"nodeSelector": {"a b": "c"}})),
            &[&format!("spec.nodeSelector: Invalid value: \"a b\": {KEY}")],
        ),
        (
            required(json!({"key": "k", "operator": "Near"})),
            &[
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: \"Near\": not a valid selector operator",
            ],
        ),
        (
            required(json!({"key": "k", "operator": "In"})),
            &[
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        ),
        (
            pod(json!({"tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]})),
            &[
                "spec.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
            ],
        ),
        (
            pod(json!({"tolerations": [{"operator": "Equal"}]})),
            &[
                "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ],
        ),
        (
            pod(
                json!({"topologySpreadConstraints": [{"topologyKey": "z", "whenUnsatisfiable": "Cry"}]}),
            ),
            &[
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Cry\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
            ],
        ),
        (
            pod(json!({"schedulingGates": [{"name": "a.io/x"}], "nodeName": "n"})),
            &[
                "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
            ],
        ),
        (
            pod(json!({"schedulingGates": [{"name": "a"}, {"name": "a"}]})),
            &["spec.schedulingGates[1]: Duplicate value: \"a\""],
        ),
        (
            pod(
                json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}}),
            ),
            &[
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must be non-empty",
                &format!(
                    "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": {KEY}"
                ),
            ],
        ),
    ]);
}

#[test]
fn security() {
    let context = |fields: Value| container(json!({"securityContext": fields}));
    check_pods(&[
        (
            context(json!({"runAsUser": -1})),
            &[
                "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ],
        ),
        (
            context(json!({"seccompProfile": {"type": "Localhost"}})),
            &[
                "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
            ],
        ),
        (
            context(json!({"procMount": "Unmasked"})),
            &[
                "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
            ],
        ),
        (
            pod(
                json!({"hostNetwork": true, "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}}),
            ),
            &[
                "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.somaxconn\": may not be specified when 'hostNetwork' is true",
            ],
        ),
        (
            pod(
                json!({"os": {"name": "windows"}, "hostPID": true, "securityContext": {"fsGroup": 1}}),
            ),
            &[
                "spec.hostPID: Forbidden: cannot be set for a windows pod",
                "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod",
            ],
        ),
        (
            pod(json!({"os": {"name": "plan9"}})),
            &["spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\""],
        ),
        (
            pod(json!({"hostUsers": false, "hostPID": true})),
            &["spec.HostPID: Forbidden: when `hostUsers` is false"],
        ),
        (
            pod(json!({"shareProcessNamespace": true, "hostPID": true})),
            &[
                "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
            ],
        ),
    ]);
}
