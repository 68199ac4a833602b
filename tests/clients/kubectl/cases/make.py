"""create of what kubectl makes itself, run, expose."""

import base64
import json

from harness import case, deployment, has, like, same


@case
def make_workloads(k):
    same(
        k("create", "deployment", "web", "--image=nginx", "--replicas=2", "--port=80"),
        "deployment.apps/web created\n",
    )
    spec = k.json("get", "deployment", "web")["spec"]
    same(
        (spec["replicas"], spec["selector"], spec["template"]["spec"]["containers"][0]["image"]),
        (2, {"matchLabels": {"app": "web"}}, "nginx"),
    )
    err = k.fails("create", "deployment", "web", "--image=nginx")
    has(err, 'error: failed to create deployment: deployments.apps "web" already exists')
    same(k("create", "job", "once", "--image=busybox", "--", "date"), "job.batch/once created\n")
    same(
        k("create", "cronjob", "often", "--image=busybox", "--schedule=*/5 * * * *", "--", "date"),
        "cronjob.batch/often created\n",
    )
    same(k("create", "job", "now", "--from=cronjob/often"), "job.batch/now created\n")
    owner = k.json("get", "job", "now")["metadata"]["ownerReferences"][0]
    same((owner["kind"], owner["name"]), ("CronJob", "often"))
    err = k.fails("create", "cronjob", "never", "--image=busybox", "--schedule=x")
    (
        has(err, 'The CronJob "never" is invalid')
        if "The CronJob" in err
        else has(err, "failed to create cronjob")
    )
    same(
        k("create", "deployment", "dry", "--image=nginx", "--dry-run=server"),
        "deployment.apps/dry created (server dry run)\n",
    )
    same(
        k("create", "pdb", "p", "--selector=app=web", "--min-available=1"),
        "poddisruptionbudget.policy/p created\n",
    )
    same(k("create", "quota", "q", "--hard=pods=20"), "resourcequota/q created\n")


@case
def make_services(k):
    same(k("create", "service", "clusterip", "a", "--tcp=80:8080"), "service/a created\n")
    same(k("create", "service", "nodeport", "b", "--tcp=80"), "service/b created\n")
    same(k("create", "service", "loadbalancer", "c", "--tcp=80"), "service/c created\n")
    same(k("create", "service", "externalname", "d", "--external-name=example.com"), "service/d created\n")
    same(k("create", "service", "clusterip", "e", "--clusterip=None"), "service/e created\n")
    out = k("get", "services")
    like(out, r"^a +ClusterIP +[0-9.]+ +<none> +80/TCP ")
    like(out, r"^b +NodePort +[0-9.]+ +<none> +80:3\d{4}/TCP ")
    like(out, r"^c +LoadBalancer +[0-9.]+ +<pending> +80:3\d{4}/TCP ")
    like(out, r"^d +ExternalName +<none> +example.com +<none> ")
    like(out, r"^e +ClusterIP +None +<none> +<none> ")
    address = k("get", "service", "a", "-o", "jsonpath={.spec.clusterIP}")
    err = k.fails("create", "service", "clusterip", "f", "--tcp=80", f"--clusterip={address}")
    has(
        err,
        f'spec.clusterIPs: Invalid value: ["{address}"]: failed to allocate IP {address}: provided IP is already allocated',
    )
    same(k("create", "ingress", "i", "--rule=a.example.com/*=a:80"), "ingress.networking.k8s.io/i created\n")
    like(k("get", "ingress", "i"), r"^i +<none> +a.example.com +80 ")


@case
def make_configuration(k):
    file = k.file("some.txt", "words\n")
    same(k("create", "configmap", "c", "--from-literal=a=1", f"--from-file={file}"), "configmap/c created\n")
    same(k.json("get", "cm", "c")["data"], {"a": "1", "some.txt": "words\n"})
    same(k("create", "secret", "generic", "s", "--from-literal=word=hush"), "secret/s created\n")
    found = k.json("get", "secret", "s")
    same((found["type"], base64.b64decode(found["data"]["word"])), ("Opaque", b"hush"))
    same(
        k(
            "create",
            "secret",
            "docker-registry",
            "r",
            "--docker-username=u",
            "--docker-password=p",
            "--docker-server=x.example.com",
        ),
        "secret/r created\n",
    )
    found = k.json("get", "secret", "r")
    same(found["type"], "kubernetes.io/dockerconfigjson")
    same(list(json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))["auths"]), ["x.example.com"])
    binary = k.file("binary", "")
    with open(binary, "wb") as output:
        output.write(b"\xff\xfe\x00")
    k("create", "configmap", "b", f"--from-file={binary}")
    same(k.json("get", "cm", "b")["binaryData"], {"binary": "//4A"})


@case
def make_access(k):
    name = k.namespace
    same(k("create", "serviceaccount", "robot"), "serviceaccount/robot created\n")
    same(
        k("create", "role", "reader", "--verb=get,list", "--resource=pods,deployments.apps"),
        "role.rbac.authorization.k8s.io/reader created\n",
    )
    rules = k.json("get", "role", "reader")["rules"]
    same([r["apiGroups"] for r in rules], [[""], ["apps"]])
    same(
        k("create", "rolebinding", "b", "--role=reader", f"--serviceaccount={name}:robot"),
        "rolebinding.rbac.authorization.k8s.io/b created\n",
    )
    like(k("get", "rolebinding", "b", "-o", "wide"), rf"^b +Role/reader +\S+ +{name}/robot$")
    try:
        same(
            k("create", "clusterrole", name, "--verb=get", "--resource=nodes"),
            f"clusterrole.rbac.authorization.k8s.io/{name} created\n",
        )
        same(
            k("create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=ann"),
            f"clusterrolebinding.rbac.authorization.k8s.io/{name} created\n",
        )
        same(
            k("create", "priorityclass", name, "--value=5"),
            f"priorityclass.scheduling.k8s.io/{name} created\n",
        )
    finally:
        k("delete", "clusterrole,clusterrolebinding,priorityclass", name)


@case
def make_a_namespace(k):
    name = f"{k.namespace}-two"
    same(k("create", "namespace", name), f"namespace/{name} created\n")
    found = k.json("get", "namespace", name)
    same(found["metadata"]["labels"], {"kubernetes.io/metadata.name": name})
    same((found["spec"], found["status"]), ({"finalizers": ["kubernetes"]}, {"phase": "Active"}))
    k("delete", "namespace", name, "--wait=false")


@case
def run(k):
    same(k("run", "web", "--image=nginx", "--port=80", "--labels=app=web"), "pod/web created\n")
    found = k.json("get", "pod", "web")
    same((found["metadata"]["labels"], found["spec"]["containers"][0]["name"]), ({"app": "web"}, "web"))
    err = k.fails("run", "web", "--image=nginx")
    has(err, 'Error from server (AlreadyExists): pods "web" already exists')
    same(k("run", "dry", "--image=nginx", "--dry-run=server"), "pod/dry created (server dry run)\n")
    has(k("run", "dry", "--image=nginx", "--dry-run=client", "-o", "yaml"), "kind: Pod", "  name: dry")


@case
def expose(k):
    k("run", "web", "--image=nginx", "--port=80", "--labels=app=web")
    same(k("expose", "pod", "web", "--name=one"), "service/one exposed\n")
    k("create", "-f", "-", input=deployment("d"))
    same(
        k("expose", "deployment", "d", "--port=80", "--target-port=8080", "--type=NodePort"),
        "service/d exposed\n",
    )
    spec = k.json("get", "service", "d")["spec"]
    same((spec["selector"], spec["type"], spec["ports"][0]["targetPort"]), ({"app": "d"}, "NodePort", 8080))
    same(
        k("run", "both", "--image=nginx", "--port=80", "--expose"), "service/both created\npod/both created\n"
    )
