"""taint, cordon, drain, top. The cases play the kubelets."""

from harness import case, eventually, has, like, node, pod, same


def with_node(case_of_node):
    """A case that has a node of its own."""

    def run(k):
        name = f"n-{k.namespace}"
        k.create(node(name))
        try:
            case_of_node(k, name)
        finally:
            k("delete", "node", name, "--ignore-not-found")

    run.__name__ = case_of_node.__name__
    return case(run)


@with_node
def taint_and_cordon(k, name):
    same(k("taint", "node", name, "dedicated=x:NoSchedule"), f"node/{name} tainted\n")
    err = k.fails("taint", "node", name, "dedicated=y:NoSchedule")
    has(
        err, f"error: node {name} already has dedicated taint(s) with same effect(s) and --overwrite is false"
    )
    # A new node has a taint of its own, until it was seen to be ready.
    same(
        k.json("get", "node", name)["spec"]["taints"],
        [
            {"effect": "NoSchedule", "key": "dedicated", "value": "x"},
            {"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"},
        ],
    )
    same(k("taint", "node", name, "dedicated-"), f"node/{name} untainted\n")
    same(k("cordon", name), f"node/{name} cordoned\n")
    same(k("cordon", name), f"node/{name} already cordoned\n")
    like(k("get", "node", name), rf"^{name} +Ready,SchedulingDisabled ")
    same(k("cordon", name, "--dry-run=server"), f"node/{name} already cordoned (server dry run)\n")
    same(k("uncordon", name), f"node/{name} uncordoned\n")
    same(k.json("get", "node", name)["spec"].get("unschedulable", False), False)


@with_node
def drain(k, name):
    made = k.create(pod("web", {"app": "web"}, nodeName=name))
    err = k.fails("drain", name)
    has(err, "cannot delete", f"{k.namespace}/web")
    draining = k.start("drain", name, "--force", "--timeout=40s")
    draining.shows(f"evicting pod {k.namespace}/web")

    def marked():
        same("deletionTimestamp" in k.root("GET", k.path(made))["metadata"], True)

    eventually(marked)
    k.root("DELETE", k.path(made), {"gracePeriodSeconds": 0})
    has(draining.ends(), "pod/web evicted", f"node/{name} drained")
    same(k.json("get", "node", name)["spec"]["unschedulable"], True)


@with_node
def drain_keeps_to_a_budget(k, name):
    made = k.create(pod("web", {"app": "web"}, nodeName=name))
    k.write_status(made, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    k("create", "pdb", "b", "--selector=app=web", "--min-available=1")
    # The controller of budgets counts.
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}}
    counts = {
        "observedGeneration": 1,
        "expectedPods": 1,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "disruptionsAllowed": 0,
    }
    k.write_status(budget, counts)
    draining = k.start("drain", name, "--force", "--timeout=60s")
    draining.shows(
        f'error when evicting pods/"web" -n "{k.namespace}" (will retry after 5s): Cannot evict pod as it would '
        "violate the pod's disruption budget."
    )
    same("deletionTimestamp" in k.root("GET", k.path(made))["metadata"], False)
    k.write_status(budget, {**counts, "desiredHealthy": 0, "disruptionsAllowed": 1})

    def marked():
        same("deletionTimestamp" in k.root("GET", k.path(made))["metadata"], True)

    eventually(marked)
    k.root("DELETE", k.path(made), {"gracePeriodSeconds": 0})
    has(draining.ends(), "pod/web evicted")
    found = k.json("get", "pdb", "b")["status"]
    same((found["disruptionsAllowed"], list(found["disruptedPods"])), (0, ["web"]))


@with_node
def drain_on_trial(k, name):
    k.create(pod("web", nodeName=name))
    out = k("drain", name, "--force", "--dry-run=server")
    has(
        out,
        f"node/{name} cordoned (server dry run)",
        f"evicting pod {k.namespace}/web (server dry run)",
        f"node/{name} drained (server dry run)",
    )
    found = k.json("get", "pod", "web")
    same("deletionTimestamp" in found["metadata"], False)
    same(k.json("get", "node", name)["spec"].get("unschedulable", False), False)


@case
def top_has_no_metrics(k):
    has(k.fails("top", "pods"), "error: Metrics API not available")
    has(k.fails("top", "nodes"), "error: Metrics API not available")
