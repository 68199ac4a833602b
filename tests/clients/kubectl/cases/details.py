"""What kubectl tells of the server and of an object: discovery, explain, describe, events, logs."""

import json

from harness import Root, case, columns, config_map, deployment, has, lacks, like, node, pod, rows, same


@case
def version(k):
    like(k("version"), r"^Server Version: .*v1\.35\.")
    found = json.loads(k("version", "-o", "json"))["serverVersion"]
    same((found["major"], found["minor"]), ("1", "35"))
    same(bool(found["gitVersion"] and found["platform"]), True)


@case
def cluster_info(k):
    like(k("cluster-info"), f"Kubernetes control plane.* is running at .*{k.root.url}")
    for path in ("/readyz", "/livez", "/healthz"):
        same((path, k("get", "--raw", path)), (path, "ok"))


# Some of `kubectl api-resources`: name, short names, version, namespaced, kind.
RESOURCES = """
bindings                            -       v1                               true   Binding
componentstatuses                   cs      v1                               false  ComponentStatus
configmaps                          cm      v1                               true   ConfigMap
endpoints                           ep      v1                               true   Endpoints
events                              ev      v1                               true   Event
limitranges                         limits  v1                               true   LimitRange
namespaces                          ns      v1                               false  Namespace
nodes                               no      v1                               false  Node
persistentvolumeclaims              pvc     v1                               true   PersistentVolumeClaim
persistentvolumes                   pv      v1                               false  PersistentVolume
pods                                po      v1                               true   Pod
podtemplates                        -       v1                               true   PodTemplate
replicationcontrollers              rc      v1                               true   ReplicationController
resourcequotas                      quota   v1                               true   ResourceQuota
secrets                             -       v1                               true   Secret
serviceaccounts                     sa      v1                               true   ServiceAccount
services                            svc     v1                               true   Service
mutatingwebhookconfigurations       -       admissionregistration.k8s.io/v1  false  MutatingWebhookConfiguration
validatingadmissionpolicies         -       admissionregistration.k8s.io/v1  false  ValidatingAdmissionPolicy
validatingadmissionpolicybindings   -       admissionregistration.k8s.io/v1  false  ValidatingAdmissionPolicyBinding
validatingwebhookconfigurations     -       admissionregistration.k8s.io/v1  false  ValidatingWebhookConfiguration
controllerrevisions                 -       apps/v1                          true   ControllerRevision
daemonsets                          ds      apps/v1                          true   DaemonSet
deployments                         deploy  apps/v1                          true   Deployment
replicasets                         rs      apps/v1                          true   ReplicaSet
statefulsets                        sts     apps/v1                          true   StatefulSet
selfsubjectreviews                  -       authentication.k8s.io/v1         false  SelfSubjectReview
tokenreviews                        -       authentication.k8s.io/v1         false  TokenReview
localsubjectaccessreviews           -       authorization.k8s.io/v1          true   LocalSubjectAccessReview
selfsubjectaccessreviews            -       authorization.k8s.io/v1          false  SelfSubjectAccessReview
selfsubjectrulesreviews             -       authorization.k8s.io/v1          false  SelfSubjectRulesReview
subjectaccessreviews                -       authorization.k8s.io/v1          false  SubjectAccessReview
horizontalpodautoscalers            hpa     autoscaling/v2                   true   HorizontalPodAutoscaler
cronjobs                            cj      batch/v1                         true   CronJob
jobs                                -       batch/v1                         true   Job
certificatesigningrequests          csr     certificates.k8s.io/v1           false  CertificateSigningRequest
leases                              -       coordination.k8s.io/v1           true   Lease
endpointslices                      -       discovery.k8s.io/v1              true   EndpointSlice
events                              ev      events.k8s.io/v1                 true   Event
flowschemas                         -       flowcontrol.apiserver.k8s.io/v1  false  FlowSchema
prioritylevelconfigurations         -       flowcontrol.apiserver.k8s.io/v1  false  PriorityLevelConfiguration
ingressclasses                      -       networking.k8s.io/v1             false  IngressClass
ingresses                           ing     networking.k8s.io/v1             true   Ingress
ipaddresses                         ip      networking.k8s.io/v1             false  IPAddress
networkpolicies                     netpol  networking.k8s.io/v1             true   NetworkPolicy
servicecidrs                        -       networking.k8s.io/v1             false  ServiceCIDR
runtimeclasses                      -       node.k8s.io/v1                   false  RuntimeClass
poddisruptionbudgets                pdb     policy/v1                        true   PodDisruptionBudget
clusterrolebindings                 -       rbac.authorization.k8s.io/v1     false  ClusterRoleBinding
clusterroles                        -       rbac.authorization.k8s.io/v1     false  ClusterRole
rolebindings                        -       rbac.authorization.k8s.io/v1     true   RoleBinding
roles                               -       rbac.authorization.k8s.io/v1     true   Role
deviceclasses                       -       resource.k8s.io/v1               false  DeviceClass
resourceclaims                      -       resource.k8s.io/v1               true   ResourceClaim
resourceclaimtemplates              -       resource.k8s.io/v1               true   ResourceClaimTemplate
resourceslices                      -       resource.k8s.io/v1               false  ResourceSlice
priorityclasses                     pc      scheduling.k8s.io/v1             false  PriorityClass
csidrivers                          -       storage.k8s.io/v1                false  CSIDriver
csinodes                            -       storage.k8s.io/v1                false  CSINode
csistoragecapacities                -       storage.k8s.io/v1                true   CSIStorageCapacity
storageclasses                      sc      storage.k8s.io/v1                false  StorageClass
volumeattachments                   -       storage.k8s.io/v1                false  VolumeAttachment
volumeattributesclasses             vac     storage.k8s.io/v1                false  VolumeAttributesClass
"""


@case
def api_resources(k):
    expected = {tuple(line.split()) for line in RESOURCES.splitlines() if line}
    out = k("api-resources", "--no-headers")
    found = set()
    for line in out.splitlines():
        cells = line.split()
        found.add((cells[0], *(cells[1:] if len(cells) == 5 else ["-", *cells[1:]])))
    missing = expected - found
    same(sorted(missing), [])
    same(
        columns(k("api-resources", "-o", "wide")),
        ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"],
    )
    names = k("api-resources", "--namespaced=false", "--verbs=list", "-o", "name").split()
    same(("nodes" in names, "pods" in names, "namespaces" in names), (True, False, True))
    out = k("api-resources", "--categories=all", "-o", "name").split()
    same(
        sorted(out),
        [
            "cronjobs.batch",
            "daemonsets.apps",
            "deployments.apps",
            "horizontalpodautoscalers.autoscaling",
            "jobs.batch",
            "pods",
            "replicasets.apps",
            "replicationcontrollers",
            "services",
            "statefulsets.apps",
        ],
    )
    out = k("api-resources", "--api-group=batch", "--no-headers")
    same([line.split()[0] for line in out.splitlines()], ["cronjobs", "jobs"])


@case
def api_versions(k):
    found = k("api-versions").split()
    expected = {line.split()[2] for line in RESOURCES.splitlines() if line} | {"autoscaling/v1"}
    same(sorted(expected - set(found)), [])


@case
def explain(k):
    has(k("explain", "pods"), "KIND:       Pod", "VERSION:    v1", "DESCRIPTION:", "  spec\t<PodSpec>")
    has(k("explain", "pods.spec.containers.image"), "FIELD: image <string>", "DESCRIPTION:")
    has(
        k("explain", "deployment.spec.strategy"),
        "GROUP:      apps",
        "rollingUpdate\t<RollingUpdateDeployment>",
    )
    # Older ones show the values in the description alone.
    if k.version >= (1, 32):
        has(k("explain", "pod.spec.restartPolicy"), "ENUM:", "    Always\n", "    OnFailure\n", "    Never\n")
    has(k("explain", "service", "--recursive"), "    clusterIP\t<string>", "    ports\t<[]ServicePort>")
    has(k("explain", "hpa.spec", "--api-version=autoscaling/v1"), "targetCPUUtilizationPercentage")
    has(k.fails("explain", "pods.spec.nope"), 'error: field "nope" does not exist')
    has(k.fails("explain", "nonsense"), 'the server doesn\'t have a resource type "nonsense"')
    has(
        k("explain", "pods.spec", "--output=plaintext-openapiv2"),
        "KIND:     Pod",
        "containers\t<[]Object> -required-",
    )


@case
def describe_workloads(k):
    made = k.create(pod("web", {"app": "web"}))
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.1"},
        "involvedObject": {
            "kind": "Pod",
            "name": "web",
            "namespace": k.namespace,
            "uid": made["metadata"]["uid"],
        },
        "reason": "Scheduled",
        "message": "Successfully assigned",
        "type": "Normal",
        "source": {"component": "default-scheduler"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 1,
    }
    k.create(event)
    out = k("describe", "pod", "web")
    like(out, r"^Name: +web$")
    like(out, rf"^Namespace: +{k.namespace}$")
    like(out, r"^Labels: +app=web$")
    like(out, r"^Status: +Pending$")
    like(out, r"^ +Image: +nginx:1.27$")
    like(out, r"^QoS Class: +BestEffort$")
    like(out, r"^  Normal +Scheduled +\S+ +default-scheduler +Successfully assigned$")
    k.create(deployment("d"))
    out = k("describe", "deployment", "d")
    like(out, r"^Replicas: +3 desired \| 0 updated \| 0 total \| 0 available \| 0 unavailable$")
    like(out, r"^StrategyType: +RollingUpdate$")
    like(out, r"^RollingUpdateStrategy: +25% max unavailable, 25% max surge$")
    k("create", "job", "j", "--image=busybox")
    like(k("describe", "job", "j"), r"^Parallelism: +1$")
    k("create", "cronjob", "cj", "--image=busybox", "--schedule=0 0 * * *")
    like(k("describe", "cronjob", "cj"), r"^Schedule: +0 0 \* \* \*$")
    k("autoscale", "deployment", "d", "--max=4")
    like(k("describe", "hpa", "d"), r"^Max replicas: +4$")
    has(k.fails("describe", "pod", "none"), 'Error from server (NotFound): pods "none" not found')


@case
def describe_the_rest(k):
    k("create", "configmap", "c", "--from-literal=a=words")
    has(k("describe", "configmap", "c"), "a:\n----\nwords\n")
    k("create", "secret", "generic", "s", "--from-literal=word=hush")
    has(k("describe", "secret", "s"), "word:  4 bytes")
    k("create", "service", "clusterip", "svc", "--tcp=80")
    like(k("describe", "service", "svc"), r"^TargetPort: +80/TCP$")
    k("create", "ingress", "i", "--rule=a.example.com/x=svc:80")
    has(k("describe", "ingress", "i"), "a.example.com", "/x   svc:80")
    k("create", "role", "r", "--verb=get", "--resource=pods")
    like(k("describe", "role", "r"), r"^  pods +\[\] +\[\] +\[get\]$")
    k("create", "quota", "q", "--hard=pods=4")
    like(k("describe", "quota", "q"), r"^Resource +Used +Hard$")
    out = k("describe", "namespace", k.namespace)
    like(out, r"^Status: +Active$")
    name = f"n-{k.namespace}"
    k.create(node(name))
    try:
        out = k("describe", "node", name)
        has(out, "Kubelet Version:            v1.35.0", "Non-terminated Pods:          (0 in total)")
    finally:
        k("delete", "node", name)


@case
def events(k):
    k.create(pod("web"))
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.1"},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": k.namespace},
        "reason": "BackOff",
        "message": "Back-off pulling image",
        "type": "Warning",
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 4,
    }
    k.create(event)
    out = k("events")
    same(columns(out), ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"])
    same(rows(out)[0][1:], ["Warning", "BackOff", "Pod/web", "Back-off pulling image"])
    has(k("events", "--for", "pod/web"), "BackOff")
    same(k("events", "--types=Normal").err, f"No events found in {k.namespace} namespace.\n")
    out = k("get", "events", "--field-selector", "reason=BackOff,involvedObject.name=web")
    same(rows(out)[0][1:], ["Warning", "BackOff", "pod/web", "Back-off pulling image"])
    # The same object, in the other group.
    other = k.json("get", "events.v1.events.k8s.io", "web.1")
    same(
        (other["apiVersion"], other["note"], other["deprecatedCount"]),
        ("events.k8s.io/v1", "Back-off pulling image", 4),
    )
    same(other["regarding"]["name"], "web")
    watching = k.start("events", "--watch")
    watching.shows("BackOff")
    event["metadata"] = {"name": "web.2"}
    event["reason"] = "Killing"
    k.create(event)
    watching.shows("Killing")


@case
def logs_and_exec_need_a_kubelet(k):
    k.create(pod("web"))
    # A pod that has no node has no log yet.
    same(k("logs", "web"), "")
    err = k.fails("exec", "web", "--", "date")
    has(err, "pod web does not have a host assigned")
    has(k.fails("logs", "none"), 'pods "none" not found')
    has(k.fails("exec", "none", "--", "date"), 'Error from server (NotFound): pods "none" not found')
    has(k.fails("logs", "web", "-c", "none"), "container none is not valid for pod web")
    k.create(pod("bound", nodeName="nowhere"))
    has(k.fails("logs", "bound"), "nowhere")
    has(k.fails("port-forward", "web", "8080:80"), "pod is not running. Current status=Pending")


@case
def debug_adds_a_container(k):
    k.create(pod("web"))
    k("debug", "web", "--image=busybox", "--container=debugger", "--quiet", "--attach=false")
    found = k.json("get", "pod", "web")["spec"]["ephemeralContainers"][0]
    same((found["name"], found["image"]), ("debugger", "busybox"))


@case
def proxy(k):
    k.create(config_map("c"))
    running = k.start("proxy", "--port=0", "--append-server-path")
    address = running.shows("Starting to serve on").split()[-1]
    root = Root(f"http://{address}")
    same(root("GET", f"/api/v1/namespaces/{k.namespace}/configmaps/c")["data"], {"k": "v"})


@case
def help_for_typing(k):
    k.create(pod("web"), pod("worker"))
    out = k("__complete", "get", "pods", "w")
    has(out, "web\n", "worker\n")
    lacks(out, "kube-")


@case
def deprecated_kinds_warn(k):
    words = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    has(k("get", "endpoints").err, words)
    has(k("get", "componentstatuses").err, "Warning: v1 ComponentStatus is deprecated in v1.19+")
