"""create, replace, edit, label, annotate, set: objects are made and changed."""

import json

from harness import (
    MERGE,
    case,
    config_map,
    deployment,
    eventually,
    has,
    lacks,
    like,
    pod,
    same,
)


@case
def create_from_a_manifest(k):
    same(k("create", "-f", "-", input=pod("web")), "pod/web created\n")
    err = k.fails("create", "-f", "-", input=pod("web"))
    has(
        err,
        'Error from server (AlreadyExists): error when creating "STDIN": pods "web" already exists',
    )
    file = k.file("all/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {k: v}\n")
    k.file(
        "all/b.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  word: hush\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports: [{port: 80}]\n",
    )
    same(
        k("create", "-f", file[: -len("/a.yaml")]),
        "configmap/a created\nsecret/b created\nservice/s created\n",
    )
    same(k("get", "secret", "b", "-o", "jsonpath={.data.word}"), "aHVzaA==")
    made = k("create", "-f", "-", input={**pod("x"), "metadata": {"generateName": "some-"}})
    like(made, r"^pod/some-[a-z0-9]{5} created$")


@case
def create_is_refused_in_plain_words(k):
    err = k.fails("create", "-f", "-", input=pod("Bad_Name"))
    has(err, 'The Pod "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123')
    wrong = pod("two")
    wrong["spec"]["containers"] = [{"name": "C_", "image": ""}]
    err = k.fails("create", "-f", "-", input=wrong)
    has(
        err,
        'The Pod "two" is invalid: \n',
        '* spec.containers[0].name: Invalid value: "C_": a lowercase RFC 1123 label must consist of',
        "* spec.containers[0].image: Required value",
    )
    err = k.fails("create", "-f", "-", "-n", "nowhere", input=pod("web"))
    has(err, 'Error from server (NotFound): error when creating "STDIN": namespaces "nowhere" not found')
    other = pod("web")
    other["metadata"]["namespace"] = "other"
    err = k.fails("create", "-f", "-", "-n", k.namespace, input=other)
    has(err, 'the namespace from the provided object "other" does not match the namespace')
    err = k.fails("create", "-f", "-", input={**pod("web"), "kind": "Pot"})
    # Where there are no custom resources yet, kubectl says that it has looked for one.
    like(err, 'no matches for kind "Pot" in version "v1"|failed to check CRD')


@case
def create_checks_the_fields(k):
    wrong = pod("web", nonsense=1)
    err = k.fails("create", "-f", "-", input=wrong)
    has(
        err,
        'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be '
        'handled as a Pod: strict decoding error: unknown field "spec.nonsense"',
    )
    out = k("create", "-f", "-", "--validate=warn", input=wrong)
    same(out, "pod/web created\n")
    has(out.err, 'Warning: unknown field "spec.nonsense"')
    same(k("create", "-f", "-", "--validate=ignore", input=pod("web-2", nonsense=1)).err, "")
    twice = (
        '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "name": "b"},'
        ' "spec": {"containers": [{"name": "c", "image": "i", "image": "j"}]}}'
    )
    # kubectl reads JSON into a map, so only the last of a duplicate field is sent: nothing to be told of.
    k("create", "-f", "-", "--dry-run=server", "--validate=warn", input=twice)
    err = k.fails("create", "-f", "-", input={**pod("t"), "spec": {"containers": "c"}})
    has(err, 'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be')


@case
def create_on_trial(k):
    same(k("create", "-f", "-", "--dry-run=client", input=pod("web")), "pod/web created (dry run)\n")
    same(k("create", "-f", "-", "--dry-run=server", input=pod("web")), "pod/web created (server dry run)\n")
    shown = k.json("create", "-f", "-", "--dry-run=server", input=pod("web"))
    same(shown["spec"]["dnsPolicy"], "ClusterFirst")
    same(bool(shown["metadata"]["uid"]), True)
    has(k.fails("get", "pod", "web"), 'Error from server (NotFound): pods "web" not found')
    err = k.fails("create", "-f", "-", "--dry-run=server", input=pod("Bad_"))
    has(err, 'The Pod "Bad_" is invalid')


@case
def create_from_kustomize(k):
    k.file("k/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata: {k: v}\n")
    path = k.file("k/kustomization.yaml", "namePrefix: pre-\nresources: [c.yaml]\n")
    same(k("apply", "-k", path[: -len("/kustomization.yaml")]), "configmap/pre-c created\n")
    same(k("delete", "-k", path[: -len("/kustomization.yaml")]).startswith('configmap "pre-c" deleted'), True)


@case
def replace(k):
    k("create", "-f", "-", input=config_map("c", {"k": "1"}))
    old = k.json("get", "cm", "c")
    same(k("replace", "-f", "-", input=config_map("c", {"k": "2"})), "configmap/c replaced\n")
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "2")
    err = k.fails("replace", "-f", "-", input=old)
    has(
        err,
        'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on '
        'configmaps "c": the object has been modified; please apply your changes to the latest version '
        "and try again",
    )
    err = k.fails("replace", "-f", "-", input=config_map("none"))
    has(err, 'Error from server (NotFound): error when replacing "STDIN": configmaps "none" not found')
    same(
        k("replace", "-f", "-", "--dry-run=server", input=config_map("c", {"k": "3"})),
        "configmap/c replaced (server dry run)\n",
    )
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "2")
    uid = k.json("get", "cm", "c")["metadata"]["uid"]
    out = k("replace", "--force", "-f", "-", input=config_map("c", {"k": "4"}))
    has(out, 'configmap "c" deleted', "configmap/c replaced")
    again = k.json("get", "cm", "c")
    same((again["data"]["k"], again["metadata"]["uid"] != uid), ("4", True))


@case
def replace_what_may_not_change(k):
    k("create", "-f", "-", input=pod("web"))
    err = k.fails("replace", "-f", "-", input=pod("web", restartPolicy="Never"))
    has(err, 'The Pod "web" is invalid: spec: Forbidden: pod updates may not change fields other than')
    k("create", "-f", "-", input={**config_map("fixed"), "immutable": True})
    err = k.fails("patch", "cm", "fixed", "-p", '{"data":{"k":"w"}}')
    has(err, 'The ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set')


@case
def replace_the_status(k):
    made = k.create(pod("web"))
    made["status"]["phase"] = "Running"
    same(k("replace", "--subresource=status", "-f", "-", input=made), "pod/web replaced\n")
    same(k("get", "pod", "web", "-o", "jsonpath={.status.phase}"), "Running")
    same(k.json("get", "pod", "web", "--subresource=status")["status"]["phase"], "Running")


@case
def edit(k):
    k("create", "-f", "-", input=config_map("c", {"k": "before"}))
    env = {"KUBE_EDITOR": "sed -i s/before/after/"}
    same(k("edit", "cm", "c", env=env), "configmap/c edited\n")
    same(k("get", "cm", "c", "-o", "jsonpath={.data.k}"), "after")
    same(k("edit", "cm", "c", env={"KUBE_EDITOR": "true"}).err, "Edit cancelled, no changes made.\n")
    err = k.fails("edit", "cm", "none", env=env)
    has(err, 'Error from server (NotFound): configmaps "none" not found')


@case
def edit_what_may_not_change(k):
    k("create", "-f", "-", input=pod("web"))
    seen = k.file("seen", "")
    editor = k.file(
        "editor",
        f'#!/bin/sh\ncat "$1" >>{seen}\nsed -i "s/restartPolicy: Always/restartPolicy: Never/" "$1"\n',
    )
    err = k.fails("edit", "pod", "web", env={"KUBE_EDITOR": f"sh {editor}"})
    has(err, 'error: pods "web" is invalid', "error: Edit cancelled, no valid changes were saved.")
    with open(seen, encoding="utf-8") as file:
        has(
            file.read(),
            '# pods "web" was not valid:',
            "# * spec: Forbidden: pod updates may not change fields",
        )


@case
def edit_the_status(k):
    k("create", "-f", "-", input=deployment("web"))
    env = {"KUBE_EDITOR": "sed -i 's/^status: {}/status: {replicas: 3}/'"}
    same(k("edit", "deployment", "web", "--subresource=status", env=env), "deployment.apps/web edited\n")
    same(k("get", "deployment", "web", "-o", "jsonpath={.status.replicas}"), "3")


@case
def label(k):
    k("create", "-f", "-", input=pod("web"))
    same(k("label", "pod", "web", "tier=front"), "pod/web labeled\n")
    err = k.fails("label", "pod", "web", "tier=back")
    has(err, "error: 'tier' already has a value (front), and --overwrite is false")
    same(k("label", "pod", "web", "tier=back", "--overwrite"), "pod/web labeled\n")
    same(k("label", "pod", "web", "tier=back", "--overwrite"), "pod/web not labeled\n")
    has(k("label", "pod", "web", "--list"), "tier=back")
    same(k("label", "pod", "--all", "team=net"), "pod/web labeled\n")
    same(k("label", "pod", "-l", "team=net", "team-"), "pod/web unlabeled\n")
    has(k("label", "pod", "web", "team-"), 'label "team" not found.\npod/web not labeled\n')
    version = k.json("get", "pod", "web")["metadata"]["resourceVersion"]
    err = k.fails("label", "pod", "web", "a=b", "--resource-version=1")
    has(err, "the object has been modified")
    same(k("label", "pod", "web", "a=b", f"--resource-version={version}"), "pod/web labeled\n")
    err = k.fails("label", "pod", "web", "a=-no-")
    has(err, "error: invalid label value")
    same(k("label", "pod", "web", "s=t", "--dry-run=server"), "pod/web labeled (server dry run)\n")
    same(k("get", "pod", "web", "-o", "jsonpath={.metadata.labels}"), '{"a":"b","tier":"back"}')


@case
def annotate(k):
    k("create", "-f", "-", input=pod("web"))
    # 1.27 leaves the d out.
    like(k("annotate", "pod", "web", "note=some words"), "^pod/web annotated?$")
    err = k.fails("annotate", "pods", "web", "note=others")
    has(
        err,
        "error: --overwrite is false but found the following declared annotation(s): 'note' already has a value (some words)",
    )
    like(k("annotate", "pods", "web", "note=others", "--overwrite"), "^pod/web annotated?$")
    same(k("get", "pod", "web", "-o", r"jsonpath={.metadata.annotations.note}"), "others")
    has(k("annotate", "pod", "web", "--list"), "note=others")
    like(k("annotate", "pod", "web", "note-"), "^pod/web annotated?$")
    same(k("get", "pod", "web", "-o", r"jsonpath={.metadata.annotations}"), "")


@case
def set_fields(k):
    k("create", "-f", "-", input=deployment("web"))
    same(k("set", "image", "deployment/web", "c=nginx:1.28"), "deployment.apps/web image updated\n")
    same(k("set", "image", "deployment/web", "c=nginx:1.28"), "")
    has(k.fails("set", "image", "deployment/web", "none=x"), 'error: unable to find container named "none"')
    same(k("set", "env", "deployment/web", "A=1", "B=2"), "deployment.apps/web env updated\n")
    has(k("set", "env", "deployment/web", "--list"), "# Deployment web, container c\nA=1\nB=2\n")
    same(k("set", "env", "deployment/web", "A-"), "deployment.apps/web env updated\n")
    same(
        k("set", "resources", "deployment/web", "--limits=cpu=200m,memory=512Mi"),
        "deployment.apps/web resource requirements updated\n",
    )
    same(
        k("set", "serviceaccount", "deployment/web", "robot"), "deployment.apps/web serviceaccount updated\n"
    )
    spec = k.json("get", "deployment", "web")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    same(container["image"], "nginx:1.28")
    same(container["env"], [{"name": "B", "value": "2"}])
    same(container["resources"], {"limits": {"cpu": "200m", "memory": "512Mi"}})
    same(spec["serviceAccountName"], "robot")
    k("create", "service", "clusterip", "web", "--tcp=80")
    same(k("set", "selector", "service", "web", "app=web"), "service/web selector updated\n")
    same(k("get", "service", "web", "-o", "jsonpath={.spec.selector}"), '{"app":"web"}')
    k("create", "rolebinding", "b", "--role=r", "--user=ann")
    same(
        k("set", "subject", "rolebinding", "b", "--user=bob"),
        "rolebinding.rbac.authorization.k8s.io/b subjects updated\n",
    )
    same(k("get", "rolebinding", "b", "-o", "jsonpath={.subjects[*].name}"), "ann bob")


@case
def what_was_read_can_be_written(k):
    k("create", "-f", "-", input=[pod("web", {"a": "b"}), deployment("web"), config_map("c")])
    for what in ("pod/web", "deployment/web", "cm/c"):
        text = k("get", what, "-o", "yaml")
        before = k.json("get", what)
        k("replace", "-f", "-", input=text)
        same(k.json("get", what), before)


@case
def large_objects(k):
    big = {"big": "x" * ((1 << 20) + 1)}
    err = k.fails("create", "-f", "-", input=config_map("c", big))
    has(err, 'The ConfigMap "c" is invalid: []: Too long: may not be more than 1048576 bytes')
    k("create", "-f", "-", input=config_map("c", {"big": "x" * 900_000}))
    same(len(k.json("get", "cm", "c")["data"]["big"]), 900_000)
    # apply keeps the whole manifest in an annotation, which may not be as large.
    err = k.fails("apply", "-f", "-", input=config_map("d", {"big": "x" * 900_000}))
    has(
        err, 'The ConfigMap "d" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes'
    )
    same(
        k("apply", "--server-side", "-f", "-", input=config_map("d", {"big": "x" * 900_000})),
        "configmap/d serverside-applied\n",
    )


@case
def finalizers_hold(k):
    made = k.create(config_map("c", finalizers=["example.com/hold"]))
    waiting = k.start("delete", "configmap", "c")
    waiting.shows('configmap "c" deleted')

    def marked():
        has(json.dumps(k.root("GET", k.path(made))), "deletionTimestamp")

    eventually(marked)
    k.root("PATCH", k.path(made), {"metadata": {"finalizers": None}}, MERGE)
    waiting.ends()
    lacks(k("get", "cm", "-o", "name"), "configmap/c\n")
