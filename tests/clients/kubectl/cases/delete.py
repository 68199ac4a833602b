"""delete, with each cascade, and wait for it."""

import json

from harness import MERGE, case, config_map, deployment, eventually, has, lacks, pod, same


@case
def delete(k):
    k("create", "-f", "-", input=[pod("a"), pod("b", {"x": "1"}), pod("c", {"x": "1"}), pod("d")])
    has(k("delete", "pod", "a"), 'pod "a" deleted')
    has(k.fails("delete", "pod", "a"), 'Error from server (NotFound): pods "a" not found')
    same(k("delete", "pod", "a", "--ignore-not-found"), "")
    out = k("delete", "pod", "-l", "x=1")
    has(out, 'pod "b" deleted', 'pod "c" deleted')
    has(k("delete", "pod", "d", "--dry-run=server"), 'pod "d" deleted', "(server dry run)")
    same(k("get", "pod", "-o", "name"), "pod/d\n")
    has(k("delete", "pods", "--all"), 'pod "d" deleted')
    same(k("get", "pods").err, f"No resources found in {k.namespace} namespace.\n")
    same(k("delete", "pods", "--all"), "No resources found\n")
    k("create", "-f", "-", input=pod("e"))
    has(k("delete", "-f", "-", input=pod("e")), 'pod "e" deleted')


@case
def delete_a_bound_pod(k):
    made = k.create(pod("web", nodeName="nowhere", terminationGracePeriodSeconds=20))
    waiting = k.start("delete", "pod", "web")
    waiting.shows('pod "web" deleted')

    def marked():
        has(json.dumps(k.root("GET", k.path(made))["metadata"]), '"deletionGracePeriodSeconds": 20')

    eventually(marked)
    has(k("get", "pod", "web"), "Terminating")
    # The kubelet has ended the containers.
    k.root("DELETE", k.path(made), {"gracePeriodSeconds": 0})
    waiting.ends()
    has(k.fails("get", "pod", "web"), 'pods "web" not found')


@case
def delete_at_once(k):
    k.create(pod("a", nodeName="nowhere"), pod("b", nodeName="nowhere"))
    out = k("delete", "pod", "a", "--grace-period=0", "--force")
    has(out, 'pod "a" force deleted')
    has(out.err, "Warning: Immediate deletion does not wait for confirmation")
    has(k.fails("get", "pod", "a"), 'pods "a" not found')
    k("delete", "pod", "b", "--now", "--wait=false")
    found = k.json("get", "pod", "b")["metadata"]
    same(found["deletionGracePeriodSeconds"], 1)


@case
def delete_in_the_background(k):
    k("create", "-f", "-", input=deployment("web"))
    has(k("delete", "deployment", "web"), 'deployment.apps "web" deleted')
    has(k.fails("get", "deployment", "web"), 'Error from server (NotFound): deployments.apps "web" not found')
    k("create", "-f", "-", input=deployment("web"))
    has(k("delete", "deployment", "web", "--cascade=background"), 'deployment.apps "web" deleted')


def collector(k, cascade, finalizer):
    """Deletes a Deployment, and takes the finalizer away as the collector of garbage does."""
    made = k.create(deployment("web"))
    waiting = k.start("delete", "deployment", "web", f"--cascade={cascade}")
    waiting.shows('deployment.apps "web" deleted')

    def marked():
        found = k.root("GET", k.path(made))["metadata"]
        same((found.get("finalizers"), "deletionTimestamp" in found), ([finalizer], True))

    eventually(marked)
    k.root("PATCH", k.path(made), {"metadata": {"finalizers": None}}, MERGE)
    waiting.ends()
    has(k.fails("get", "deployment", "web"), 'deployments.apps "web" not found')


@case
def delete_in_the_foreground(k):
    collector(k, "foreground", "foregroundDeletion")


@case
def delete_and_orphan(k):
    collector(k, "orphan", "orphan")


@case
def delete_and_do_not_wait(k):
    made = k.create(config_map("c", finalizers=["example.com/hold"]))
    has(k("delete", "cm", "c", "--wait=false"), 'configmap "c" deleted')
    has(k.fails("delete", "cm", "c", "--timeout=1s"), "timed out waiting for the condition on configmaps/c")
    k.root("PATCH", k.path(made), {"metadata": {"finalizers": None}}, MERGE)
    same(k("wait", "--for=delete", "cm/c", "--timeout=20s").err, "")
    lacks(k("get", "cm", "-o", "name"), "configmap/c\n")


@case
def delete_a_namespace(k):
    name = f"{k.namespace}-gone"
    same(k("create", "namespace", name), f"namespace/{name} created\n")
    k("create", "configmap", "c", "-n", name)
    k("delete", "namespace", name, "--wait=false")
    has(k("get", "namespace", name, "--ignore-not-found", "-o", "name") or "namespace/", "namespace/")
    out = k("wait", "--for=delete", f"namespace/{name}", "--timeout=40s")
    same(out.err, "")
    # kubectl looks for the namespace when something in it is not found.
    has(k.fails("get", "cm", "c", "-n", name), f'namespaces "{name}" not found')
    for name in ("default", "kube-system"):
        err = k.fails("delete", "namespace", name)
        has(
            err,
            f'Error from server (Forbidden): namespaces "{name}" is forbidden: this namespace may not be deleted',
        )


@case
def wait(k):
    made = k.create(pod("web"))
    ready = k.start("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    running = k.start("wait", "--for=jsonpath={.status.phase}=Running", "pod/web", "--timeout=30s")
    err = k.fails("wait", "--for=condition=Ready", "pod/web", "--timeout=1s")
    has(err, "error: timed out waiting for the condition on pods/web")
    k.write_status(made, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    same(ready.ends(), "pod/web condition met")
    same(running.ends(), "pod/web condition met")
    gone = k.start("wait", "--for=delete", "pod/web", "--timeout=30s")
    has(k("delete", "pod", "web"), 'pod "web" deleted')
    same(gone.ends() in ("", "pod/web condition met"), True)
    has(k.fails("wait", "--for=condition=Ready", "pod/none", "--timeout=1s"), 'pods "none" not found')


@case(since=(1, 31))
def wait_for_what_is_not_yet_there(k):
    waiting = k.start("wait", "--for=create", "cm/c", "--timeout=30s")
    k("create", "configmap", "c")
    same(waiting.ends(), "configmap/c condition met")
