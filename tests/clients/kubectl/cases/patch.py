"""patch: JSON, merge and strategic merge."""

from harness import case, config_map, deployment, has, pod, same


@case
def patch_merge(k):
    k("create", "-f", "-", input=config_map("c", {"a": "1", "b": "2"}))
    same(k("patch", "cm", "c", "--type=merge", "-p", '{"data":{"a":null,"c":"3"}}'), "configmap/c patched\n")
    same(k.json("get", "cm", "c")["data"], {"b": "2", "c": "3"})
    same(
        k("patch", "cm", "c", "--type=merge", "-p", '{"data":{"c":"3"}}'), "configmap/c patched (no change)\n"
    )
    same(k("patch", "cm", "c", "--type=merge", "-p", "data: {c: '4'}"), "configmap/c patched\n")
    err = k.fails("patch", "cm", "none", "--type=merge", "-p", "{}")
    has(err, 'Error from server (NotFound): configmaps "none" not found')
    err = k.fails("patch", "cm", "c", "--type=merge", "-p", '{"metadata":{"resourceVersion":"1"}}')
    has(
        err,
        'Error from server (Conflict): Operation cannot be fulfilled on configmaps "c": the object has been modified',
    )
    err = k.fails("patch", "cm", "c", "--type=merge", "-p", '{"data":{"a b":"x"}}')
    has(err, 'The ConfigMap "c" is invalid: data[a b]: Invalid value: "a b"')


@case
def patch_json(k):
    k("create", "-f", "-", input=config_map("c", {"a": "1"}))
    patch = '[{"op":"test","path":"/data/a","value":"1"},{"op":"add","path":"/data/b","value":"2"},{"op":"remove","path":"/data/a"}]'
    same(k("patch", "cm", "c", "--type=json", "-p", patch), "configmap/c patched\n")
    same(k.json("get", "cm", "c")["data"], {"b": "2"})
    err = k.fails("patch", "cm", "c", "--type=json", "-p", '[{"op":"remove","path":"/data/none"}]')
    has(err, "The request is invalid: the server rejected our request due to an error in our request")
    err = k.fails("patch", "cm", "c", "--type=json", "-p", '[{"op":"test","path":"/data/b","value":"9"}]')
    has(err, "The request is invalid: the server rejected our request due to an error in our request")
    err = k.fails("patch", "cm", "c", "--type=json", "-p", '{"data":{}}')
    has(err, "Error from server (BadRequest): ")


@case
def patch_strategic(k):
    k("create", "-f", "-", input=deployment("web"))
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}'
    same(k("patch", "deployment", "web", "-p", patch), "deployment.apps/web patched\n")
    out = k("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[*].name}")
    same(out, "side c")
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}'
    k("patch", "deployment", "web", "-p", patch)
    patch = '{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}'
    k("patch", "deployment", "web", "-p", patch)
    spec = k.json("get", "deployment", "web")["spec"]
    same([c["name"] for c in spec["template"]["spec"]["containers"]], ["c"])
    same(spec["strategy"], {"type": "Recreate"})
    err = k.fails("patch", "deployment", "web", "-p", '{"spec":{"selector":{"matchLabels":{"x":"y"}}}}')
    has(err, 'The Deployment "web" is invalid', "spec.selector: Invalid value", "field is immutable")
    err = k.fails("patch", "deployment", "web", "-p", '{"spec":{"replicas":"many"}}')
    has(
        err,
        'The request is invalid: patch: Invalid value: "map[spec:map[replicas:many]]": unrecognized type: int32',
    )


@case
def patch_the_status(k):
    k("create", "-f", "-", input=pod("web"))
    patch = '{"status":{"conditions":[{"type":"Ready","status":"True"}],"phase":"Running"}}'
    same(k("patch", "pod", "web", "--subresource=status", "-p", patch), "pod/web patched\n")
    same(k("get", "pod", "web", "-o", "jsonpath={.status.phase}"), "Running")
    same(
        k("patch", "pod", "web", "--type=merge", "-p", '{"status":{"phase":"Failed"}}'),
        "pod/web patched (no change)\n",
    )


@case
def patch_on_trial(k):
    k("create", "-f", "-", input=config_map("c"))
    out = k.json("patch", "cm", "c", "-p", '{"data":{"k":"w"}}', "--dry-run=server")
    same(out["data"], {"k": "w"})
    same(k.json("get", "cm", "c")["data"], {"k": "v"})
