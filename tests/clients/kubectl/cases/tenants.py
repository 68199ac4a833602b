"""Two tenants share nothing."""

from harness import Failed, case, config_map, has, lacks, pod, same


@case
def tenants_share_nothing(k):
    if not k.other:
        raise Failed("this case needs --other")
    env = {"KUBECONFIG": k.file("other", k.kubeconfig(k.other.url))}
    name = f"x-{k.namespace}"
    k.create(pod("web"), config_map(name))
    # kubectl looks for the namespace when something in it is not found.
    has(k.fails("get", "pod", "web", env=env), f'namespaces "{k.namespace}" not found')
    lacks(k("get", "namespaces", env=env), k.namespace)
    lacks(k("get", "pods", "-A", "-o", "name", env=env), "web")
    has(k.fails("create", "configmap", "c", env=env), f'namespaces "{k.namespace}" not found')
    # The same name, in both.
    k("create", "configmap", name, "-n", "default", "--from-literal=whose=theirs", env=env)
    k("create", "configmap", name, "-n", "default", "--from-literal=whose=ours")
    whose = ("get", "configmap", name, "-n", "default", "-o", "jsonpath={.data.whose}")
    same((k(*whose), k(*whose, env=env)), ("ours", "theirs"))
    k("delete", "configmap", name, "-n", "default", env=env)
    same(k(*whose), "ours")
    k("delete", "configmap", name, "-n", "default")


@case
def tenants_that_are_not_there(k):
    if not k.other:
        raise Failed("this case needs --other")
    url = k.other.url.rsplit("/", 1)[0] + "/nobody"
    env = {"KUBECONFIG": k.file("nobody", k.kubeconfig(url))}
    err = k.fails("get", "pods", env=env)
    lacks(err, "forbidden")
