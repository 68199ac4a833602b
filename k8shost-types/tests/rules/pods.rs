//! The rules for pods, one by one, in the words of kube-apiserver.

use k8shost_types::{Reason, pod as pods};
use serde_json::{Value, json};

use crate::common::{container, create, faults, merge, pod};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn check(cases: &[(Value, &[&str])]) {
    for (pod, expected) in cases {
        let found = faults(create(&pods::STRATEGY, pod.clone()));
        assert_eq!(&found, expected, "{pod}");
    }
}

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
    check(&[
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
    check(&[
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
    check(&[
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
fn containers() {
    check(&[
        (
            pod(json!({"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]})),
            &["spec.containers[1].name: Duplicate value: \"c\""],
        ),
        (
            pod(json!({"initContainers": [{"name": "c", "image": "i"}]})),
            &["spec.initContainers[0].name: Duplicate value: \"c\""],
        ),
        (
            container(json!({"image": " nginx"})),
            &[
                "spec.containers[0].image: Invalid value: \" nginx\": must not have leading or trailing whitespace",
            ],
        ),
        (
            container(json!({"imagePullPolicy": "Sometimes"})),
            &[
                "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ],
        ),
        (
            container(json!({"terminationMessagePolicy": "Mail"})),
            &[
                "spec.containers[0].terminationMessagePolicy: Unsupported value: \"Mail\": supported values: \"File\", \"FallbackToLogsOnError\"",
            ],
        ),
        (
            pod(json!({"ephemeralContainers": [{"name": "e", "image": "i"}]})),
            &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
        (
            pod(
                json!({"initContainers": [{"name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}}}]}),
            ),
            &[
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            ],
        ),
        (
            pod(
                json!({"initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always", "livenessProbe": {"exec": {"command": ["x"]}}}]}),
            ),
            &[],
        ),
    ]);
}

#[test]
fn ports() {
    let port = |fields: Value| container(json!({"ports": [fields]}));
    check(&[
        (
            port(json!({"containerPort": 70000})),
            &[
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            port(json!({})),
            &["spec.containers[0].ports[0].containerPort: Required value"],
        ),
        (
            port(json!({"containerPort": 1, "protocol": "tcp"})),
            &[
                "spec.containers[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
        (
            port(json!({"containerPort": 1, "name": "123"})),
            &[
                "spec.containers[0].ports[0].name: Invalid value: \"123\": must contain at least one letter (a-z)",
            ],
        ),
        (
            container(
                json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            ),
            &["spec.containers[0].ports[1].name: Duplicate value: \"a\""],
        ),
        (
            container(
                json!({"ports": [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}, {"containerPort": 2, "hostPort": 9, "protocol": "UDP"}]}),
            ),
            &["spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//9\""],
        ),
        (
            pod(
                json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1, "hostPort": 9}]}]}),
            ),
            &[
                "spec.containers[0].ports[0].hostPort: Invalid value: 9: must match `containerPort` when `hostNetwork` is true",
            ],
        ),
    ]);
}

#[test]
fn environment() {
    let env = |variable: Value| container(json!({"env": [variable]}));
    check(&[
        (
            env(json!({"name": "a=b"})),
            &[
                "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            ],
        ),
        (
            env(json!({"value": "x"})),
            &["spec.containers[0].env[0].name: Required value"],
        ),
        (
            env(json!({"name": "A", "valueFrom": {}})),
            &[
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
            ],
        ),
        (
            env(
                json!({"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
            ),
            &[
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            ],
        ),
        (
            env(json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nope"}}})),
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.nope\": error converting fieldPath: field label not supported: metadata.nope",
            ],
        ),
        (
            env(
                json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}}),
            ),
            &[],
        ),
        (
            env(
                json!({"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}),
            ),
            &[
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
            ],
        ),
        (
            container(json!({"envFrom": [{}]})),
            &[
                "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
            ],
        ),
    ]);
}

#[test]
fn resources() {
    let resources = |fields: Value| container(json!({"resources": fields}));
    check(&[
        (
            resources(json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})),
            &[
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            resources(json!({"requests": {"cpu": "-1"}})),
            &[
                "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        ),
        (
            resources(json!({"limits": {"example.com/gpu": "1500m"}})),
            &[
                "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"1500m\": must be an integer",
                "spec.containers[0].resources.requests[example.com/gpu]: Invalid value: \"1500m\": must be an integer",
            ],
        ),
        (
            resources(json!({"requests": {"example.com/gpu": "1"}})),
            &[
                "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            ],
        ),
        (
            resources(json!({"requests": {"gold": "1"}})),
            &[
                "spec.containers[0].resources.requests[gold]: Invalid value: \"gold\": must be a standard resource type or fully qualified",
                "spec.containers[0].resources.requests[gold]: Invalid value: \"gold\": must be a standard resource for containers",
            ],
        ),
        (
            resources(json!({"limits": {"hugepages-2Mi": "3Mi", "cpu": "1"}})),
            &[
                "spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                "spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
            ],
        ),
        (
            resources(json!({"claims": [{"name": "gpu"}]})),
            &[
                "spec.containers[0].resources.claims[0]: Not found: \"gpu\": must be one of the names in pod.spec.resourceClaims which is empty",
            ],
        ),
    ]);
}

#[test]
fn what_is_no_quantity_is_not_understood() {
    let error = create(
        &pods::STRATEGY,
        container(json!({"resources": {"requests": {"cpu": "lots"}}})),
    )
    .expect_err("no quantity");
    assert_eq!(error.reason, Reason::BadRequest);
    assert_eq!(
        error.message,
        "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    assert_eq!(
        error.fields[0].field,
        "spec.containers[0].resources.requests[cpu]"
    );
}

#[test]
fn resources_of_the_pod() {
    let whole = |fields: Value, of_container: Value| {
        let mut pod = pod(json!({"resources": fields}));
        pod["spec"]["containers"][0]["resources"] = of_container;
        pod
    };
    check(&[
        (
            whole(
                json!({"limits": {"cpu": "2"}}),
                json!({"limits": {"cpu": "1"}}),
            ),
            &[],
        ),
        (
            whole(
                json!({"limits": {"cpu": "1"}}),
                json!({"limits": {"cpu": "2"}}),
            ),
            &[
                "spec.resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
                "spec.resources.containers[0][cpu].limits: Invalid value: \"2\": must be less than or equal to pod limits of 1",
            ],
        ),
        (
            whole(json!({"requests": {"storage": "1"}}), json!({})),
            &[
                "spec.resources.requests[storage]: Unsupported value: \"storage\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
            ],
        ),
    ]);
    let created = create(
        &pods::STRATEGY,
        whole(
            json!({"limits": {"cpu": "2", "memory": "1Gi"}}),
            json!({"requests": {"cpu": "500m"}}),
        ),
    );
    assert_eq!(
        created.expect("valid")["spec"]["resources"]["requests"],
        json!({"cpu": "500m", "memory": "1Gi"})
    );
}

#[test]
fn mounts_and_devices() {
    let mounts = |mounts: Value| {
        let mut pod = container(json!({"volumeMounts": mounts}));
        pod["spec"]["volumes"] =
            json!([{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]);
        pod
    };
    check(&[
        (
            container(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]})),
            &["spec.containers[0].volumeMounts[0].name: Not found: \"v\""],
        ),
        (
            mounts(json!([{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/a"}])),
            &[
                "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            ],
        ),
        (
            mounts(json!([{"name": "v", "mountPath": "/a", "subPath": "../x"}])),
            &[
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'",
            ],
        ),
        (
            mounts(json!([{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}])),
            &[
                "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
            ],
        ),
        (
            container(json!({"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]})),
            &["spec.containers[0].volumeDevices[0].name: Not found: \"v\""],
        ),
    ]);
}

#[test]
fn volumes() {
    let volume = |fields: Value| pod(json!({"volumes": [fields]}));
    check(&[
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
fn probes_and_hooks() {
    let probe = |fields: Value| container(json!({"livenessProbe": fields}));
    check(&[
        (
            probe(json!({"httpGet": {"path": "/"}})),
            &[
                "spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            probe(json!({})),
            &["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
        ),
        (
            probe(json!({"exec": {"command": ["x"]}, "grpc": {"port": 5}})),
            &[
                "spec.containers[0].livenessProbe.grpc: Forbidden: may not specify more than 1 handler type",
            ],
        ),
        (
            probe(json!({"exec": {"command": ["x"]}, "successThreshold": 2})),
            &["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            probe(json!({"exec": {"command": ["x"]}, "periodSeconds": -1})),
            &[
                "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            container(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}})),
            &[
                "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            ],
        ),
    ]);
}

#[test]
fn policies_and_seconds() {
    check(&[
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
    check(&[
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
    check(&[
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
