//! The rules for containers, one by one, in the words of kube-apiserver.

use k8shost_types::{Reason, pod as pods};
use serde_json::{Value, json};

use crate::common::{check_pods, container, create, pod};

#[test]
fn containers() {
    check_pods(&[
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
    check_pods(&[
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
    check_pods(&[
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
    check_pods(&[
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
    check_pods(&[
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
    check_pods(&[
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
fn probes_and_hooks() {
    let probe = |fields: Value| container(json!({"livenessProbe": fields}));
    check_pods(&[
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
