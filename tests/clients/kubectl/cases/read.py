"""get, in its many forms, and watches."""

import json
import time

from harness import (
    case,
    columns,
    config_map,
    deployment,
    eventually,
    has,
    lacks,
    like,
    node,
    pod,
    rows,
    same,
)


@case
def get_pods(k):
    made = k.create(pod("web", {"app": "web"}, nodeName="far"))
    k.write_status(
        made,
        {
            "phase": "Running",
            "podIP": "10.1.0.7",
            "podIPs": [{"ip": "10.1.0.7"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "c",
                    "ready": True,
                    "restartCount": 2,
                    "image": "nginx:1.27",
                    "imageID": "",
                    "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}},
                }
            ],
        },
    )
    out = k("get", "pods")
    same(columns(out), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])
    same(rows(out)[0][:4], ["web", "1/1", "Running", "2"])
    out = k("get", "pod", "web", "-o", "wide")
    same(
        columns(out),
        ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"],
    )
    same(rows(out)[0][5:], ["10.1.0.7", "far", "<none>", "<none>"])
    out = k("get", "po", "-A", "--field-selector", f"metadata.namespace={k.namespace}")
    same(rows(out)[0][:3], [k.namespace, "web", "1/1"])
    out = k("get", "pods", "--show-labels", "-L", "app", "--no-headers")
    like(out, r"web +1/1 +Running +2 +\S+ +web +app=web$")
    waiting = pod("slow")
    waiting = k.create(waiting)
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {"name": "c", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": state}
    k.write_status(waiting, {"phase": "Running", "containerStatuses": [status]})
    same(rows(k("get", "pod", "slow"))[0][:4], ["slow", "0/1", "CrashLoopBackOff", "0"])


@case
def get_outputs(k):
    k.create(pod("web", {"app": "web"}), config_map("c", {"k": "v"}))
    same(k("get", "pod", "web", "-o", "name"), "pod/web\n")
    same(k("get", "pod", "web", "-o", "jsonpath={.spec.containers[0].image}"), "nginx:1.27")
    same(k("get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.name}{end}"), "web")
    out = k("get", "pods", "-o", "custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image,X:.x")
    same((columns(out), rows(out)), (["NAME", "IMAGE", "X"], [["web", "nginx:1.27", "<none>"]]))
    same(k("get", "pod", "web", "-o", "go-template={{.metadata.labels.app}}"), "web")
    text = k("get", "cm", "c", "-o", "yaml")
    has(text, "apiVersion: v1\ndata:\n  k: v\nkind: ConfigMap\nmetadata:\n  creationTimestamp: ", "  uid: ")
    found = k.json("get", "pods")
    same((found["kind"], found["items"][0]["kind"]), ("List", "Pod"))
    found = k.json("get", "pod/web", "cm/c")
    same([i["kind"] for i in found["items"]], ["Pod", "ConfigMap"])
    # kubectl takes this for a path of the server, not of the API's root.
    raw = json.loads(k("get", "--raw", f"{k.root.path}/api/v1/namespaces/{k.namespace}/pods"))
    same((raw["kind"], len(raw["items"])), ("PodList", 1))


@case
def get_several_kinds(k):
    k.create(pod("a"), deployment("d"))
    k("create", "service", "clusterip", "s", "--tcp=80")
    out = k("get", "all")
    has(out, "pod/a", "service/s", "deployment.apps/d", "UP-TO-DATE", "CLUSTER-IP")
    lacks(out, "configmap")
    out = k("get", "pods,services", "-o", "name")
    same(out, "pod/a\nservice/s\n")
    has(k("get", "pod", "a", "--show-kind"), "pod/a ")
    err = k.fails("get", "pod/a", "pod/none")
    has(err, 'Error from server (NotFound): pods "none" not found')
    has(k.fails("get", "nonsense"), 'error: the server doesn\'t have a resource type "nonsense"')
    same(k("get", "deploy.v1.apps", "d", "-o", "name"), "deployment.apps/d\n")
    same(k("get", "pod", "none", "--ignore-not-found"), "")
    same(k("get", "secrets").err, f"No resources found in {k.namespace} namespace.\n")


@case
def get_by_selectors(k):
    k.create(*[pod(f"p{n}", {"n": str(n), "even": str(n % 2 == 0).lower()}) for n in range(5)])

    def names(*words):
        return [name[len("pod/") :] for name in k("get", "pods", "-o", "name", *words).split()]

    same(names("-l", "even=true"), ["p0", "p2", "p4"])
    same(names("-l", "n in (1,2),even!=true"), ["p1"])
    same(names("-l", "!n"), [])
    same(names("--field-selector", "metadata.name!=p0,status.phase=Pending"), ["p1", "p2", "p3", "p4"])
    same(names("--chunk-size=2"), ["p0", "p1", "p2", "p3", "p4"])
    out = k("get", "pods", "--sort-by={.metadata.labels.even}", "--no-headers")
    same([line.split()[0] for line in out.splitlines()], ["p1", "p3", "p0", "p2", "p4"])
    err = k.fails("get", "pods", "--field-selector", "spec.nope=1")
    has(
        err,
        "Error from server (BadRequest): Unable to find",
        'that match label selector "", field selector "spec.nope=1": field label not supported: spec.nope',
    )
    err = k.fails("get", "pods", "-l", "a in (")
    has(err, "unable to parse requirement")


# The columns of each kind, as kubectl prints them, and more of them with `-o wide`.
COLUMNS = {
    "services": ("NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE", "SELECTOR"),
    "deployments": ("NAME READY UP-TO-DATE AVAILABLE AGE", "CONTAINERS IMAGES SELECTOR"),
    "replicasets": ("NAME DESIRED CURRENT READY AGE", "CONTAINERS IMAGES SELECTOR"),
    "statefulsets": ("NAME READY AGE", "CONTAINERS IMAGES"),
    "daemonsets": (
        "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR AGE",
        "CONTAINERS IMAGES SELECTOR",
    ),
    "jobs": ("NAME STATUS COMPLETIONS DURATION AGE", "CONTAINERS IMAGES SELECTOR"),
    "cronjobs": (
        "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST_SCHEDULE AGE",
        "CONTAINERS IMAGES SELECTOR",
    ),
    "configmaps": ("NAME DATA AGE", ""),
    "secrets": ("NAME TYPE DATA AGE", ""),
    "serviceaccounts": ("NAME AGE", None),
    "ingresses": ("NAME CLASS HOSTS ADDRESS PORTS AGE", ""),
    "networkpolicies": ("NAME POD-SELECTOR AGE", ""),
    "poddisruptionbudgets": ("NAME MIN_AVAILABLE MAX_UNAVAILABLE ALLOWED_DISRUPTIONS AGE", ""),
    "resourcequotas": ("NAME REQUEST LIMIT AGE", None),
    "persistentvolumeclaims": (
        "NAME STATUS VOLUME CAPACITY ACCESS_MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE",
        "VOLUMEMODE",
    ),
    "roles": ("NAME CREATED_AT", None),
    "rolebindings": ("NAME ROLE AGE", "USERS GROUPS SERVICEACCOUNTS"),
    "leases": ("NAME HOLDER AGE", ""),
    "endpointslices": ("NAME ADDRESSTYPE PORTS ENDPOINTS AGE", ""),
    "replicationcontrollers": ("NAME DESIRED CURRENT READY AGE", "CONTAINERS IMAGES SELECTOR"),
}


def words(text):
    return [word.replace("_", " ") for word in text.split()]


@case
def get_columns(k):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    rule = {
        "host": "a.example.com",
        "http": {
            "paths": [
                {
                    "path": "/",
                    "pathType": "Prefix",
                    "backend": {"service": {"name": "s", "port": {"number": 80}}},
                }
            ]
        },
    }
    job = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"}

    def of(version, kind, **fields):
        return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **fields}

    k.create(
        of("v1", "Service", spec={"ports": [{"port": 80}], "selector": {"a": "b"}}),
        deployment("x"),
        deployment("x", kind="ReplicaSet"),
        deployment("x", kind="StatefulSet", serviceName="x"),
        deployment("x", None, kind="DaemonSet"),
        of("batch/v1", "Job", spec={"template": job}),
        of("batch/v1", "CronJob", spec={"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": job}}}),
        config_map("x"),
        of("v1", "Secret", stringData={"a": "b"}),
        of("v1", "ServiceAccount"),
        of("networking.k8s.io/v1", "Ingress", spec={"rules": [rule]}),
        of("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}}),
        of(
            "policy/v1",
            "PodDisruptionBudget",
            spec={"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
        ),
        of("v1", "ResourceQuota", spec={"hard": {"pods": "5"}}),
        of("v1", "PersistentVolumeClaim", spec=claim),
        of("rbac.authorization.k8s.io/v1", "Role", rules=[]),
        of("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=role),
        of("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "me"}),
        of("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=[], ports=[]),
        of(
            "v1",
            "ReplicationController",
            spec={
                "replicas": 0,
                "selector": {"a": "b"},
                "template": {
                    **job,
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": job["spec"]["containers"]},
                },
            },
        ),
    )
    for kind, (plain, wide) in COLUMNS.items():
        same((kind, columns(k("get", kind, "x"))), (kind, words(plain)))
        if wide is not None:
            same((kind, columns(k("get", kind, "x", "-o", "wide"))), (kind, words(plain) + words(wide)))
    same(rows(k("get", "deployment", "x", "-o", "wide"))[0][1:4], ["0/3", "0", "0"])
    same(rows(k("get", "deployment", "x", "-o", "wide"))[0][5:], ["c", "nginx:1.27", "app=x"])
    same(rows(k("get", "cronjob", "x"))[0][1:6], ["0 * * * *", "<none>", "False", "0", "<none>"])
    like(k("get", "svc", "x"), r"^x +ClusterIP +10\.\S+ +<none> +80/TCP ")
    like(k("get", "pdb", "x"), r"^x +1 +N/A +0 ")


@case
def get_nodes(k):
    name = f"n-{k.namespace}"
    k.create(node(name))
    try:
        out = k("get", "node", name)
        same(columns(out), ["NAME", "STATUS", "ROLES", "AGE", "VERSION"])
        row = rows(out)[0]
        same((row[0], row[1], row[2], row[4]), (name, "Ready", "<none>", "v1.35.0"))
        out = k("get", "node", name, "-o", "wide")
        same(
            columns(out)[5:],
            ["INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"],
        )
        k("label", "node", name, "node-role.kubernetes.io/worker=")
        same(rows(k("get", "node", name))[0][2], "worker")
        same(rows(k("get", "namespace", k.namespace))[0][:2], [k.namespace, "Active"])
    finally:
        k("delete", "node", name)


@case
def watch(k):
    plain = k.start("get", "pods", "--watch")
    events = k.start("get", "pods", "--watch", "--output-watch-events", "--no-headers")
    only = k.start("get", "pods", "--watch-only", "-l", "app=web", "-o", "name")
    made = k.create(pod("web", {"app": "web"}), pod("other"))[0]
    plain.shows("web")
    like(plain.text(), r"^NAME +READY +STATUS +RESTARTS +AGE$")
    like(events.shows("web"), r"ADDED +web ")

    # Nothing says when this one has begun.
    def seen():
        k.patch(made, {"metadata": {"annotations": {"at": str(time.monotonic())}}})
        same(only.shows("web", 1), "pod/web")

    eventually(seen)
    k.write_status(made, {"phase": "Running"})
    like(plain.shows("Running"), r"^web +0/1 +Running +0 ")
    like(events.shows("MODIFIED"), r"MODIFIED +web")
    k("delete", "pod", "web")
    like(events.shows("DELETED"), r"DELETED +web")
    lacks(only.text(), "other")


@case
def watch_into_and_out_of_a_selector(k):
    watching = k.start("get", "pods", "-w", "--output-watch-events", "-l", "app=web", "--no-headers")
    k.create(pod("a", {"app": "web"}))
    like(watching.shows("ADDED"), r"ADDED +a ")
    k.create(pod("b"))
    k("label", "pod", "b", "app=web")
    like(watching.shows("ADDED"), r"ADDED +b ")
    k("label", "pod", "b", "app-")
    like(watching.shows("DELETED"), r"DELETED +b ")
