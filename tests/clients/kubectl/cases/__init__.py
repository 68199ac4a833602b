"""The cases, by area."""

from harness import Failed

from . import access, apply, delete, details, make, nodes, patch, read, rollout, tenants, write

__all__ = [
    "access",
    "apply",
    "delete",
    "details",
    "make",
    "nodes",
    "patch",
    "read",
    "rollout",
    "tenants",
    "write",
    "nothing_is_there",
]


def nothing_is_there(root):
    """Whether a tenant has nothing but what a new one has: the line to print, and the outcome."""
    try:
        names = {i["metadata"]["name"] for i in root("GET", "/api/v1/namespaces")["items"]}
        if names != {"default", "kube-system", "kube-public", "kube-node-lease"}:
            raise Failed(f"it has the namespaces {sorted(names)}")
        for path in ("/api/v1/pods", "/api/v1/nodes", "/api/v1/secrets", "/apis/apps/v1/deployments"):
            items = root("GET", path)["items"]
            if items:
                raise Failed(f"{path} has {[i['metadata']['name'] for i in items]}")
    except Failed as failed:
        return f"FAIL  the other tenant is not as it was: {failed}", False
    return "ok    the other tenant has nothing of it", True
