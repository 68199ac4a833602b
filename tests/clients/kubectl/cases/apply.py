"""apply, client-side and server-side; diff."""

import json

from harness import case, config_map, deployment, has, lacks, like, same

LAST = r"jsonpath={.metadata.annotations.kubectl\.kubernetes\.io/last-applied-configuration}"


@case
def apply_client_side(k):
    same(k("apply", "-f", "-", input=deployment("web")), "deployment.apps/web created\n")
    same(k("apply", "-f", "-", input=deployment("web")), "deployment.apps/web unchanged\n")
    same(k("apply", "-f", "-", input=deployment("web", 5)), "deployment.apps/web configured\n")
    same(k("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "5")
    # What somebody else has set stays; what the manifest has no more goes.
    k("set", "env", "deployment/web", "A=1")
    k("label", "deployment", "web", "team=net")
    manifest = deployment("web", 5, "nginx:1.28")
    manifest["metadata"]["labels"] = {"tier": "front"}
    same(k("apply", "-f", "-", input=manifest), "deployment.apps/web configured\n")
    found = k.json("get", "deployment", "web")
    container = found["spec"]["template"]["spec"]["containers"][0]
    same((container["image"], container["env"]), ("nginx:1.28", [{"name": "A", "value": "1"}]))
    same(found["metadata"]["labels"], {"team": "net", "tier": "front"})
    has(k("get", "deployment", "web", "-o", LAST), '"image":"nginx:1.28"')
    has(k("apply", "view-last-applied", "deployment/web"), "image: nginx:1.28")
    same(
        k("apply", "set-last-applied", "-f", "-", input=deployment("web")), "deployment.apps/web configured\n"
    )
    # set-last-applied stands for an apply that has not been.
    has(k("apply", "view-last-applied", "deployment/web"), "image: nginx:1.27")


@case
def apply_over_what_was_created(k):
    k("create", "-f", "-", input=config_map("c", {"k": "1"}))
    out = k("apply", "-f", "-", input=config_map("c", {"k": "2"}))
    same(out, "configmap/c configured\n")
    has(out.err, "is missing the kubectl.kubernetes.io/last-applied-configuration annotation")
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "2")


@case
def apply_on_trial(k):
    same(
        k("apply", "--dry-run=server", "-f", "-", input=config_map("c")),
        "configmap/c created (server dry run)\n",
    )
    k("apply", "-f", "-", input=config_map("c"))
    same(
        k("apply", "--dry-run=client", "-f", "-", input=config_map("c", {"k": "w"})),
        "configmap/c configured (dry run)\n",
    )
    same(
        k("apply", "--dry-run=server", "-f", "-", input=config_map("c", {"k": "w"})),
        "configmap/c configured (server dry run)\n",
    )
    same(
        k("apply", "--dry-run=server", "-f", "-", input=config_map("c")),
        "configmap/c unchanged (server dry run)\n",
    )
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "v")


@case
def apply_and_prune(k):
    both = [config_map("a", labels={"app": "x"}), config_map("b", labels={"app": "x"})]
    same(k("apply", "-f", "-", input=both), "configmap/a created\nconfigmap/b created\n")
    prune = ("apply", "--prune", "-l", "app=x", "-f", "-")
    listed = "--prune-allowlist=core/v1/ConfigMap"
    out = k(*prune, listed, "--dry-run=server", input=both[:1])
    has(out, "configmap/a unchanged (server dry run)", "configmap/b pruned (server dry run)")
    has(k(*prune, listed, "-n", k.namespace, input=both[:1]), "configmap/a unchanged", "configmap/b pruned")
    lacks(k("get", "cm", "-o", "name"), "configmap/b\n")


@case
def apply_a_set(k):
    env = {"KUBECTL_APPLYSET": "true"}
    words = ("apply", "-f", "-", "-n", k.namespace, "--prune", "--applyset=secrets/mine")
    two = [config_map("a"), config_map("b")]
    has(k(*words, input=two, env=env), "configmap/a created", "configmap/b created")
    has(k(*words, input=two[:1], env=env), "configmap/a unchanged", "configmap/b pruned")
    lacks(k("get", "cm", "-o", "name"), "configmap/b\n")
    like(
        k("get", "secret", "mine", "-o", "jsonpath={.metadata.labels}"),
        r'applyset.kubernetes.io/id":"applyset-',
    )


@case
def apply_server_side(k):
    words = ("apply", "--server-side", "-f", "-")
    same(k(*words, input=deployment("web")), "deployment.apps/web serverside-applied\n")
    version = "jsonpath={.metadata.resourceVersion}"
    before = k("get", "deployment", "web", "-o", version)
    same(k(*words, input=deployment("web")), "deployment.apps/web serverside-applied\n")
    same(k("get", "deployment", "web", "-o", version), before)
    out = k("get", "deployment", "web", "--show-managed-fields", "-o", "json")
    fields = json.loads(out)["metadata"]["managedFields"]
    same([(f["manager"], f["operation"], f["apiVersion"]) for f in fields], [("kubectl", "Apply", "apps/v1")])
    same("f:replicas" in fields[0]["fieldsV1"]["f:spec"], True)
    lacks(k("get", "deployment", "web", "-o", "yaml"), "managedFields")
    # What the manifest has no more goes; what has a default gets it again.
    manifest = deployment("web", None)
    del manifest["metadata"]["labels"]
    k(*words, input=manifest)
    found = k.json("get", "deployment", "web")
    same((found["spec"]["replicas"], found["metadata"].get("labels")), (1, None))


@case
def apply_server_side_conflicts(k):
    words = ("apply", "--server-side", "-f", "-")
    k(*words, "--field-manager=one", input=config_map("c", {"k": "1", "own": "x"}))
    two = config_map("c", {"k": "2"})
    err = k.fails(*words, "--field-manager=two", input=two)
    has(
        err,
        'error: Apply failed with 1 conflict: conflict with "one": .data.k\n',
        "Please review the fields above--they currently have other managers.",
        "re-run the apply\n  command with the `--force-conflicts` flag.",
    )
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "1")
    same(k(*words, "--field-manager=two", "--force-conflicts", input=two), "configmap/c serverside-applied\n")
    same(k.json("get", "cm", "c")["data"], {"k": "2", "own": "x"})
    err = k.fails(*words, "--field-manager=one", input=config_map("c", {"k": "3", "own": "y"}))
    has(err, 'conflict with "two": .data.k')
    # The same value is no conflict: then both own it.
    k(*words, "--field-manager=one", input=config_map("c", {"k": "2", "own": "x"}))
    k(*words, "--field-manager=two", input=config_map("c", {}))
    same(k.json("get", "cm", "c")["data"], {"k": "2", "own": "x"})
    k(*words, "--field-manager=one", input=config_map("c", {"own": "x"}))
    same(k.json("get", "cm", "c")["data"], {"own": "x"})


@case
def apply_server_side_against_updates(k):
    words = ("apply", "--server-side", "-f", "-")
    k(*words, input=deployment("web"))
    k("scale", "deployment", "web", "--replicas=7")
    err = k.fails(*words, input=deployment("web"))
    has(
        err,
        'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
    )
    k("set", "image", "deployment/web", "c=nginx:1.28")
    err = k.fails(*words, input=deployment("web"))
    has(
        err,
        'Apply failed with 2 conflicts: conflicts with "kubectl',
        '.spec.template.spec.containers[name="c"].image',
    )
    same(k(*words, "--force-conflicts", input=deployment("web")), "deployment.apps/web serverside-applied\n")
    same(k("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "3")


@case
def apply_server_side_after_client_side(k):
    k("apply", "-f", "-", input=config_map("c", {"a": "1", "b": "2"}))
    # kubectl makes its former updates an apply first, so that it may remove what it had set.
    k("apply", "--server-side", "-f", "-", input=config_map("c", {"a": "2"}))
    same(k.json("get", "cm", "c")["data"], {"a": "2"})
    fields = json.loads(k("get", "cm", "c", "--show-managed-fields", "-o", "json"))["metadata"][
        "managedFields"
    ]
    managers = sorted((f["manager"], f["operation"]) for f in fields)
    same(managers, [("kubectl", "Apply"), ("kubectl-last-applied", "Apply")])


@case
def apply_server_side_on_trial(k):
    words = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    same(k(*words, input=config_map("c")), "configmap/c serverside-applied (server dry run)\n")
    has(k.fails("get", "cm", "c"), 'Error from server (NotFound): configmaps "c" not found')


@case
def diff(k):
    out = k("diff", "-f", "-", input=config_map("c", {"k": "1"}), code=1)
    has(out, "+kind: ConfigMap", '+  k: "1"')
    k("apply", "-f", "-", input=config_map("c", {"k": "1"}))
    same(k("diff", "-f", "-", input=config_map("c", {"k": "1"})), "")
    out = k("diff", "-f", "-", input=config_map("c", {"k": "2"}), code=1)
    has(out, '-  k: "1"', '+  k: "2"')
    lacks(out, "managedFields", "+  uid", "-  uid")
    out = k(
        "diff", "--server-side", "--force-conflicts", "-f", "-", input=config_map("c", {"k": "3"}), code=1
    )
    has(out, '-  k: "1"', '+  k: "3"')
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "1")
    k("apply", "-f", "-", input=deployment("web"))
    out = k("diff", "-f", "-", input=deployment("web", 5), code=1)
    has(out, "-  replicas: 3", "+  replicas: 5", "-  generation: 1", "+  generation: 2")
