"""scale, autoscale, rollout. The cases play the controllers."""

import json

from harness import case, deployment, has, like, pod, rows, same


def replica_set(owner, number, image):
    """A ReplicaSet that a Deployment has, of a revision."""
    labels = {"app": owner["metadata"]["name"], "pod-template-hash": str(number)}
    made = deployment(f"{owner['metadata']['name']}-{number}", 0, image, "ReplicaSet")
    made["metadata"].update(
        labels=labels,
        annotations={"deployment.kubernetes.io/revision": str(number)},
        ownerReferences=[reference(owner)],
    )
    made["spec"]["selector"]["matchLabels"] = labels
    made["spec"]["template"]["metadata"]["labels"] = labels
    return made


def reference(owner):
    """An owner reference to the controller of something."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


@case
def scale(k):
    k.create(
        deployment("web"),
        deployment("set", kind="StatefulSet", serviceName="set"),
        deployment("rs", kind="ReplicaSet"),
    )
    same(k("scale", "deployment", "web", "--replicas=5"), "deployment.apps/web scaled\n")
    same(k("get", "deployment", "web", "-o", "jsonpath={.spec.replicas} {.metadata.generation}"), "5 2")
    same(
        k("scale", "statefulset/set", "replicaset/rs", "--replicas=2"),
        "statefulset.apps/set scaled\nreplicaset.apps/rs scaled\n",
    )
    err = k.fails("scale", "deployment", "web", "--current-replicas=3", "--replicas=1")
    has(err, "error: Expected replicas to be 3, was 5")
    same(
        k("scale", "deployment", "web", "--current-replicas=5", "--replicas=1"),
        "deployment.apps/web scaled\n",
    )
    err = k.fails("scale", "deployment", "none", "--replicas=1")
    like(err, 'no objects passed to scale|deployments.apps "none" not found')
    k.create(pod("x"))
    has(k.fails("scale", "pod", "x", "--replicas=1"), "could not find the requested resource")
    found = k.json("get", "deployment", "web", "--subresource=scale")
    same((found["kind"], found["apiVersion"], found["spec"]["replicas"]), ("Scale", "autoscaling/v1", 1))
    same(found["status"], {"replicas": 0, "selector": "app=web"})
    out = k("get", "deployment", "web", "--subresource=scale")
    like(out, r"^NAME +DESIRED +AVAILABLE +AGE$") if "DESIRED" in out else like(out, r"^web ")
    k("patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":4}}')
    same(k("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "4")
    k("scale", "deployment", "web", "--replicas=9", "--dry-run=server")
    same(k("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "4")


@case
def autoscale(k):
    k.create(deployment("web"))
    same(
        k("autoscale", "deployment", "web", "--min=2", "--max=5", "--cpu-percent=70"),
        "horizontalpodautoscaler.autoscaling/web autoscaled\n",
    )
    row = rows(k("get", "hpa", "web"))[0]
    same((row[0], row[1], row[3:6]), ("web", "Deployment/web", ["2", "5", "0"]))
    # One object, in two versions.
    first = k.json("get", "horizontalpodautoscalers.v1.autoscaling", "web")
    same((first["apiVersion"], first["spec"]["targetCPUUtilizationPercentage"]), ("autoscaling/v1", 70))
    second = k.json("get", "horizontalpodautoscalers.v2.autoscaling", "web")
    same(
        second["spec"]["metrics"][0]["resource"]["target"], {"averageUtilization": 70, "type": "Utilization"}
    )
    same(first["metadata"]["uid"], second["metadata"]["uid"])
    err = k.fails("autoscale", "deployment", "none", "--max=5")
    has(err, 'Error from server (NotFound): deployments.apps "none" not found')


@case
def rollout_status(k):
    made = k.create(deployment("web"))
    err = k.fails("rollout", "status", "deployment/web", "--timeout=1s")
    has(err, "error: timed out waiting for the condition")
    watching = k.start("rollout", "status", "deployment/web")
    watching.shows("Waiting for deployment spec update to be observed...")
    status = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1}
    k.write_status(made, status)
    watching.shows(
        'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...'
    )
    k.write_status(made, {**status, "updatedReplicas": 3, "availableReplicas": 2, "readyReplicas": 2})
    watching.shows('Waiting for deployment "web" rollout to finish: 2 of 3 updated replicas are available...')
    k.write_status(made, {"availableReplicas": 3, "readyReplicas": 3})
    has(watching.ends(), 'deployment "web" successfully rolled out')
    same(k("rollout", "status", "deployment/web"), 'deployment "web" successfully rolled out\n')
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    k.write_status(made, {"conditions": [condition]})
    err = k.fails("rollout", "status", "deployment/web")
    has(err, 'error: deployment "web" exceeded its progress deadline')


@case
def rollout_status_of_other_kinds(k):
    daemons = k.create(deployment("web", None, kind="DaemonSet"))
    numbers = {
        "currentNumberScheduled": 2,
        "desiredNumberScheduled": 2,
        "numberMisscheduled": 0,
        "numberReady": 1,
    }
    k.write_status(
        daemons, {**numbers, "observedGeneration": 1, "updatedNumberScheduled": 2, "numberAvailable": 1}
    )
    watching = k.start("rollout", "status", "daemonset/web")
    watching.shows('Waiting for daemon set "web" rollout to finish: 1 of 2 updated pods are available...')
    k.write_status(daemons, {"numberAvailable": 2, "numberReady": 2})
    has(watching.ends(), 'daemon set "web" successfully rolled out')
    state = k.create(deployment("web", 2, kind="StatefulSet", serviceName="web"))
    watching = k.start("rollout", "status", "statefulset/web")
    watching.shows("Waiting for statefulset spec update to be observed...")
    k.write_status(state, {"observedGeneration": 1, "replicas": 2, "readyReplicas": 1})
    watching.shows("Waiting for 1 pods to be ready...")
    k.write_status(
        state, {"readyReplicas": 2, "currentRevision": "a", "updateRevision": "a", "updatedReplicas": 2}
    )
    like(watching.ends(), r"^(statefulset rolling update|partitioned roll out) complete.*2 .*$")


@case
def rollout_history_and_undo(k):
    made = k.create(deployment("web"))
    k.create(replica_set(made, 1, "nginx:1.26"), replica_set(made, 2, "nginx:1.27"))
    k("annotate", "deployment", "web", "deployment.kubernetes.io/revision=2")
    k("annotate", "replicaset", "web-1", "kubernetes.io/change-cause=the first")
    same(
        rows("x\n" + k("rollout", "history", "deployment/web")),
        [["deployment.apps/web"], ["REVISION", "CHANGE-CAUSE"], ["1", "the first"], ["2", "<none>"]],
    )
    out = k("rollout", "history", "deployment/web", "--revision=1")
    has(out, "deployment.apps/web with revision #1", "Image:\tnginx:1.26")
    err = k.fails("rollout", "history", "deployment/web", "--revision=7")
    has(err, "error: unable to find the specified revision")
    same(k("rollout", "undo", "deployment/web", "--to-revision=1"), "deployment.apps/web rolled back\n")
    out = k("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    same(out, "nginx:1.26")


@case
def rollout_history_of_a_stateful_set(k):
    made = k.create(deployment("web", 2, kind="StatefulSet", serviceName="web"))
    k.create(
        *[
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "name": f"web-{n}",
                    "labels": {"app": "web"},
                    "ownerReferences": [reference(made)],
                },
                "data": {
                    "spec": {
                        "template": {
                            "$patch": "replace",
                            "metadata": {"labels": {"app": "web"}},
                            "spec": {"containers": [{"name": "c", "image": f"nginx:1.2{n}"}]},
                        }
                    }
                },
                "revision": n,
            }
            for n in (5, 6)
        ]
    )
    out = k("rollout", "history", "statefulset/web")
    has(out, "statefulset.apps/web", "REVISION  CHANGE-CAUSE\n5         <none>\n6         <none>\n")
    same(k("rollout", "undo", "statefulset/web", "--to-revision=5"), "statefulset.apps/web rolled back\n")
    out = k("get", "statefulset", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    same(out, "nginx:1.25")


@case
def rollout_restart_and_pause(k):
    k.create(deployment("web"))
    same(k("rollout", "restart", "deployment/web"), "deployment.apps/web restarted\n")
    found = k.json("get", "deployment", "web")
    like(
        found["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"],
        r"^\d{4}-\d\d-\d\dT",
    )
    same(found["metadata"]["generation"], 2)
    same(k("rollout", "pause", "deployment/web"), "deployment.apps/web paused\n")
    same(k("get", "deployment", "web", "-o", "jsonpath={.spec.paused}"), "true")
    has(k.fails("rollout", "pause", "deployment/web"), 'error: deployments.apps "web" is already paused')
    has(k.fails("rollout", "restart", "deployment/web"), "can't restart paused deployment")
    same(k("rollout", "resume", "deployment/web"), "deployment.apps/web resumed\n")
    same(json.dumps(k.json("get", "deployment", "web")["spec"].get("paused", False)), "false")
