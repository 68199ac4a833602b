#!/usr/bin/env python3
"""What programs written with Python's `kubernetes` package do with a Kubernetes API, case by case.

  client.py --server URL [CASE …]

URL is an API root, such as http://127.0.0.1:6443/orgs/acme/projects/web. Each case has a namespace of
its own. A line is printed for each, and the exit status is 1 if one has failed. CASE is a name, or the
beginning of one.
"""

import argparse
import datetime
import json
import sys
import tempfile
import threading
import time
import traceback

from kubernetes import client, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import (
    ConflictError,
    DynamicApiError,
    NotFoundError,
    ResourceNotFoundError,
)

CASES = {}


def case(function):
    """Makes a function a case."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def same(found, expected):
    """Checks that two values are equal."""
    assert found == expected, f"expected {expected!r}, not {found!r}"


def refused(status, reason, call, *args, **kwargs):
    """Makes a call that must be refused with this status and reason; returns the message."""
    try:
        call(*args, **kwargs)
    except ApiException as error:
        same(error.status, status)
        body = json.loads(error.body)
        same((body["kind"], body["reason"]), ("Status", reason))
        return body["message"]
    raise AssertionError(f"{call.__name__} was not refused")


def pod(name, **labels):
    """A pod of one container, of the typed model."""
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels=labels or None),
        spec=client.V1PodSpec(
            containers=[
                client.V1Container(
                    name="c",
                    image="nginx:1.27",
                    ports=[client.V1ContainerPort(container_port=80)],
                    readiness_probe=client.V1Probe(http_get=client.V1HTTPGetAction(path="/", port="web")),
                    resources=client.V1ResourceRequirements(requests={"cpu": "250m", "memory": "64Mi"}),
                )
            ]
        ),
    )


def deployment(name, replicas=3):
    """A Deployment as a plain dictionary."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
            },
        },
    }


@case
def typed_core(api, namespace):
    core = client.CoreV1Api(api)
    made = core.create_namespaced_pod(namespace, pod("web", app="web"))
    same(
        (made.metadata.namespace, made.spec.restart_policy, made.status.phase),
        (namespace, "Always", "Pending"),
    )
    same(isinstance(made.metadata.creation_timestamp, datetime.datetime), True)
    same(made.spec.containers[0].readiness_probe.http_get.port, "web")
    message = refused(409, "AlreadyExists", core.create_namespaced_pod, namespace, pod("web"))
    same(message, 'pods "web" already exists')
    message = refused(404, "NotFound", core.read_namespaced_pod, "none", namespace)
    same(message, 'pods "none" not found')
    message = refused(422, "Invalid", core.create_namespaced_pod, namespace, pod("Bad_"))
    assert message.startswith('Pod "Bad_" is invalid: metadata.name: Invalid value: "Bad_"'), message

    # What was read can be written, once.
    made.metadata.labels["tier"] = "front"
    changed = core.replace_namespaced_pod("web", namespace, made)
    same(changed.metadata.labels, {"app": "web", "tier": "front"})
    message = refused(409, "Conflict", core.replace_namespaced_pod, "web", namespace, made)
    assert "the object has been modified" in message, message
    changed.status.phase = "Running"
    same(core.replace_namespaced_pod_status("web", namespace, changed).status.phase, "Running")

    found = core.list_namespaced_pod(
        namespace, label_selector="tier in (front)", field_selector="status.phase=Running"
    )
    same([item.metadata.name for item in found.items], ["web"])
    same(core.list_namespaced_pod(namespace, label_selector="tier=back").items, [])
    same("web" in [i.metadata.name for i in core.list_pod_for_all_namespaces().items], True)
    gone = core.delete_namespaced_pod("web", namespace, grace_period_seconds=0)
    same(gone.metadata.name, "web")
    refused(404, "NotFound", core.read_namespaced_pod, "web", namespace)

    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"word": "hush"})
    same(core.create_namespaced_secret(namespace, secret).data, {"word": "aHVzaA=="})
    service = client.V1Service(
        metadata=client.V1ObjectMeta(name="s"),
        spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)], selector={"app": "web"}),
    )
    made = core.create_namespaced_service(namespace, service)
    same(
        (made.spec.type, bool(made.spec.cluster_ip), made.spec.ports[0].target_port), ("ClusterIP", True, 80)
    )
    binding = client.V1Binding(
        metadata=client.V1ObjectMeta(name="b"), target=client.V1ObjectReference(kind="Node", name="far")
    )
    core.create_namespaced_pod(namespace, pod("b"))
    core.create_namespaced_pod_binding("b", namespace, binding, _preload_content=False)
    same(core.read_namespaced_pod("b", namespace).spec.node_name, "far")


@case
def typed_apps(api, namespace):
    apps = client.AppsV1Api(api)
    made = apps.create_namespaced_deployment(namespace, deployment("web"))
    same(
        (made.spec.replicas, made.spec.strategy.rolling_update.max_surge, made.metadata.generation),
        (3, "25%", 1),
    )
    same(apps.read_namespaced_deployment_scale("web", namespace).spec.replicas, 3)
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 5}})
    same(apps.read_namespaced_deployment("web", namespace).spec.replicas, 5)
    apps.patch_namespaced_deployment_status(
        "web", namespace, {"status": {"replicas": 5, "observedGeneration": 2}}
    )
    same(apps.read_namespaced_deployment_status("web", namespace).status.replicas, 5)
    message = refused(404, "NotFound", apps.read_namespaced_deployment, "none", namespace)
    same(message, 'deployments.apps "none" not found')
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    held = apps.read_namespaced_deployment("web", namespace)
    same(held.metadata.finalizers, ["foregroundDeletion"])
    apps.patch_namespaced_deployment("web", namespace, {"metadata": {"finalizers": None}})
    refused(404, "NotFound", apps.read_namespaced_deployment, "web", namespace)
    for name in ("a", "b"):
        apps.create_namespaced_deployment(namespace, deployment(name))
    apps.delete_collection_namespaced_deployment(namespace, label_selector="app=a")
    same([i.metadata.name for i in apps.list_namespaced_deployment(namespace).items], ["b"])


@case
def patches(api, namespace):
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment("web"))

    def containers(body, kind):
        answer = apps.patch_namespaced_deployment("web", namespace, body, _content_type=kind)
        return [(c.name, c.image) for c in answer.spec.template.spec.containers]

    more = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}}
    same(
        sorted(containers(more, "application/strategic-merge-patch+json")),
        [("c", "nginx:1.27"), ("side", "busybox")],
    )
    same(containers(more, "application/merge-patch+json"), [("side", "busybox")])
    change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "busybox:2"}]
    same(containers(change, "application/json-patch+json"), [("side", "busybox:2")])
    # A list is a JSON patch, of itself.
    answer = apps.patch_namespaced_deployment(
        "web", namespace, [{"op": "replace", "path": "/spec/replicas", "value": 1}]
    )
    same(answer.spec.replicas, 1)


@case
def server_side_apply(api, namespace):
    core = client.CoreV1Api(api)

    def applied(manager, data, **more):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}
        return core.patch_namespaced_config_map(
            "c", namespace, body, field_manager=manager, _content_type="application/apply-patch+yaml", **more
        )

    applied("one", {"a": "1", "b": "1"})
    message = refused(409, "Conflict", applied, "two", {"a": "2"})
    same(message, 'Apply failed with 1 conflict: conflict with "one": .data.a')
    same(applied("two", {"a": "2"}, force=True).data, {"a": "2", "b": "1"})
    made = applied("one", {})
    same(made.data, {"a": "2"})
    same(
        sorted((m.manager, m.operation) for m in made.metadata.managed_fields),
        [("one", "Apply"), ("two", "Apply")],
    )


@case
def watches(api, namespace):
    core = client.CoreV1Api(api)
    begun = core.list_namespaced_pod(namespace).metadata.resource_version
    found = []

    def read():
        for event in watch.Watch().stream(
            core.list_namespaced_pod,
            namespace,
            label_selector="app=web",
            resource_version=begun,
            timeout_seconds=20,
        ):
            found.append((event["type"], event["object"].metadata.name, event["object"].status.phase))
            if event["type"] == "DELETED":
                return

    reader = threading.Thread(target=read)
    reader.start()
    core.create_namespaced_pod(namespace, pod("other"))
    core.create_namespaced_pod(namespace, pod("web", app="web"))
    core.patch_namespaced_pod_status("web", namespace, {"status": {"phase": "Running"}})
    core.delete_namespaced_pod("web", namespace, grace_period_seconds=0)
    reader.join(30)
    same(found[:2], [("ADDED", "web", "Pending"), ("MODIFIED", "web", "Running")])
    same(found[-1], ("DELETED", "web", "Running"))

    # From the present on, until the time is over.
    core.create_namespaced_pod(namespace, pod("late", app="web"))
    events = list(
        watch.Watch().stream(core.list_namespaced_pod, namespace, label_selector="app=web", timeout_seconds=1)
    )
    same([(e["type"], e["object"].metadata.name) for e in events], [("ADDED", "late")])


@case
def pages(api, namespace):
    core = client.CoreV1Api(api)
    for number in range(7):
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"c{number}"))
        core.create_namespaced_config_map(namespace, body)
    names, token, left = [], None, []
    while True:
        page = core.list_namespaced_config_map(namespace, limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        left.append(page.metadata.remaining_item_count)
        token = page.metadata._continue
        if not token:
            break
    same((names, left), ([f"c{number}" for number in range(7)], [4, 1, None]))


@case
def create_from_yaml(api, namespace):
    text = """
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {k: v}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}
"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        utils.create_from_yaml(api, file.name, namespace=namespace)
        same(client.AppsV1Api(api).read_namespaced_deployment("web", namespace).spec.replicas, 1)
        same(client.CoreV1Api(api).read_namespaced_service("s", namespace).spec.ports[0].port, 80)
        try:
            utils.create_from_yaml(api, file.name, namespace=namespace)
        except utils.FailToCreateError as error:
            same([e.reason for e in error.api_exceptions], ["Conflict", "Conflict", "Conflict"])
        else:
            raise AssertionError("it was created again")


@case
def dynamic_client(api, namespace):
    with tempfile.TemporaryDirectory() as folder:
        any_kind = dynamic.DynamicClient(api, cache_file=f"{folder}/cache")
        deployments = any_kind.resources.get(api_version="apps/v1", kind="Deployment")
        made = deployments.create(body=deployment("web", 2), namespace=namespace)
        same((made.spec.replicas, made.status.observedGeneration), (2, None))
        changed = deployments.patch(
            body={"spec": {"replicas": 4}},
            name="web",
            namespace=namespace,
            content_type="application/merge-patch+json",
        )
        same(changed.spec.replicas, 4)
        stale = made.to_dict()
        try:
            deployments.replace(body=stale, name="web", namespace=namespace)
        except ConflictError as error:
            same(error.status, 409)
        else:
            raise AssertionError("a stale update was taken")
        applied = deployments.server_side_apply(
            body={**deployment("web", 4)},
            name="web",
            namespace=namespace,
            field_manager="me",
            force_conflicts=True,
        )
        same(applied.spec.replicas, 4)
        same(deployments.scale.get(name="web", namespace=namespace).spec.replicas, 4)
        same(
            [i.metadata.name for i in deployments.get(namespace=namespace, label_selector="app=web").items],
            ["web"],
        )
        events = []
        for event in deployments.watch(namespace=namespace, timeout=2):
            events.append((event["type"], event["object"].metadata.name))
            break
        same(events, [("ADDED", "web")])
        deployments.delete(name="web", namespace=namespace)
        try:
            deployments.get(name="web", namespace=namespace)
        except NotFoundError as error:
            assert 'deployments.apps \\"web\\" not found' in str(error.body), error.body
        else:
            raise AssertionError("it is still there")
        try:
            any_kind.resources.get(api_version="example.com/v1", kind="Nope")
        except (ResourceNotFoundError, DynamicApiError):
            pass
        else:
            raise AssertionError("there is a kind Nope")
        same(any_kind.version["kubernetes"]["major"], "1")


@case
def evictions_and_reviews(api, namespace):
    core = client.CoreV1Api(api)
    core.create_namespaced_pod(namespace, pod("web", app="web"))
    body = client.V1Eviction(metadata=client.V1ObjectMeta(name="web", namespace=namespace))
    core.create_namespaced_pod_eviction("web", namespace, body)
    refused(404, "NotFound", core.read_namespaced_pod, "web", namespace)
    attributes = client.V1ResourceAttributes(namespace=namespace, verb="get", resource="pods")
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    )
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
    same(answer.status.allowed, True)
    same(client.VersionApi(api).get_code().minor, "35")
    same("apps" in [g.name for g in client.ApisApi(api).get_api_versions().groups], True)


@case
def on_trial(api, namespace):
    core = client.CoreV1Api(api)
    same(core.create_namespaced_pod(namespace, pod("web"), dry_run="All").metadata.name, "web")
    refused(404, "NotFound", core.read_namespaced_pod, "web", namespace)
    core.create_namespaced_pod(namespace, pod("web"))
    core.delete_namespaced_pod("web", namespace, dry_run="All")
    core.delete_namespaced_pod("web", namespace, body=client.V1DeleteOptions(dry_run=["All"]))
    same(core.read_namespaced_pod("web", namespace).metadata.name, "web")


def run(name, function, server, number):
    """Runs a case; whether it has passed."""
    configuration = client.Configuration()
    configuration.host = server
    namespace = f"{name}-py-{int(time.time() * 1000) % 10_000_000}-{number}"
    begun = time.monotonic()
    with client.ApiClient(configuration) as api:
        try:
            body = client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace))
            client.CoreV1Api(api).create_namespace(body)
            function(api, namespace)
        except Exception as error:  # pylint: disable=broad-except
            # Of the frames, those of the cases.
            lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
            text = f"{type(error).__name__}: {error}".strip().replace("\n", "\n      ")
            print(f"FAIL  {name}, lines {lines}: {text}", flush=True)
            return False
    print(f"ok    {name} ({time.monotonic() - begun:.1f} s)", flush=True)
    return True


def main():
    """Runs the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    names = [n for n in CASES if not options.case or any(n.startswith(c) for c in options.case)]
    if options.list:
        print("\n".join(names))
        return 0
    passed = sum(run(name, CASES[name], options.server.rstrip("/"), n) for n, name in enumerate(names))
    print(f"{passed} passed, {len(names) - passed} failed")
    return 0 if names and passed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
