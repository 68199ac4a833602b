"""auth, certificates, tokens, kubeconfig."""

import base64
import json
import subprocess

from harness import Failed, case, has, like, rows, same


@case
def auth_can_i(k):
    same(k("auth", "can-i", "create", "pods"), "yes\n")
    same(k("auth", "can-i", "get", "pods", "--subresource=log"), "yes\n")
    same(k("auth", "can-i", "get", "/version"), "yes\n")
    same(k("auth", "can-i", "delete", "nodes", "-q"), "")
    same(k("auth", "can-i", "*", "*", "--all-namespaces"), "yes\n")
    out = k("auth", "can-i", "--list")
    like(out, r"^Resources +Non-Resource URLs +Resource Names +Verbs$")
    like(out, r"^\*\.\* +\[\] +\[\] +\[\*\]$")
    has(
        k("auth", "can-i", "get", "nonsense").err,
        "Warning: the server doesn't have a resource type 'nonsense'",
    )


@case(since=(1, 28))
def auth_whoami(k):
    out = k("auth", "whoami")
    same(rows(out)[0][0], "Username")
    found = k.json("auth", "whoami")
    same((found["kind"], found["apiVersion"]), ("SelfSubjectReview", "authentication.k8s.io/v1"))
    same(bool(found["status"]["userInfo"]["username"]), True)


@case
def auth_reconcile(k):
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": k.namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    has(k("auth", "reconcile", "-f", "-", input=role), "role.rbac.authorization.k8s.io/r reconciled")
    role["rules"][0]["verbs"] = ["get", "list"]
    has(k("auth", "reconcile", "-f", "-", input=role), "role.rbac.authorization.k8s.io/r reconciled")
    same([r["verbs"] for r in k.json("get", "role", "r")["rules"]][-1][-1], "list")


REQUEST = """-----BEGIN CERTIFICATE REQUEST-----
MIHPMHYCAQAwFDESMBAGA1UEAwwJc29tZS11c2VyMFkwEwYHKoZIzj0CAQYIKoZI
-----END CERTIFICATE REQUEST-----
"""


@case
def certificates(k):
    name = k.namespace
    request = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(REQUEST.encode()).decode(),
            "signerName": "example.com/signer",
            "usages": ["client auth"],
        },
    }
    err = k.fails("create", "-f", "-", input=request)
    has(err, f'The CertificateSigningRequest "{name}" is invalid: spec.request: Invalid value')
    request["spec"]["request"] = base64.b64encode(new_request()).decode()
    k("create", "-f", "-", input=request)
    try:
        same(rows(k("get", "csr", name))[0][-1], "Pending")
        same(
            k("certificate", "approve", name),
            f"certificatesigningrequest.certificates.k8s.io/{name} approved\n",
        )
        same(rows(k("get", "csr", name))[0][-1], "Approved")
        err = k.fails("certificate", "deny", name)
        has(err, f"error: certificate signing request {json.dumps(name)} is already Approved")
    finally:
        k("delete", "csr", name)


def new_request():
    """A certificate request, in PEM."""
    words = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", "/dev/null", "-subj", "/CN=some-user"]
    return subprocess.run(words, capture_output=True, check=True).stdout


def claims(token):
    """What a token says."""
    like(token, r"^[\w-]+\.[\w-]+\.[\w-]+$")
    part = token.strip().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def review(k, token, *audiences):
    """What the server says of a token."""
    body = {"spec": {"token": token.strip(), "audiences": audiences}}
    return k.root("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)["status"]


@case
def token(k):
    k("create", "serviceaccount", "robot")
    account = f"system:serviceaccount:{k.namespace}:robot"
    plain = k("create", "token", "robot")
    told = claims(plain)
    same((told["sub"], told["exp"] - told["iat"]), (account, 3600))
    status = review(k, plain)
    same((status["authenticated"], status["user"]["username"]), (True, account))
    same(status["audiences"], told["aud"])
    err = k.fails("create", "token", "none")
    has(err, 'error: failed to create token: serviceaccounts "none" not found')

    found = k.json("create", "token", "robot", "--duration=10m", "--audience=a", "--audience=b")
    same((found["kind"], found["metadata"]["name"]), ("TokenRequest", "robot"))
    told = claims(found["status"]["token"])
    same((told["aud"], told["exp"] - told["iat"]), (["a", "b"], 600))
    same(review(k, found["status"]["token"], "b", "c")["audiences"], ["b"])
    has(review(k, found["status"]["token"])["error"], 'token audiences ["a" "b"] is invalid')
    err = k.fails("create", "token", "robot", "--duration=5m")
    has(err, "may not specify a duration less than 10 minutes")

    k("create", "secret", "generic", "s")
    bound = ["create", "token", "robot", "--bound-object-kind=Secret", "--bound-object-name=s"]
    uid = k.json("get", "secret", "s")["metadata"]["uid"]
    plain = k(*bound, f"--bound-object-uid={uid}")
    same(claims(plain)["kubernetes.io"]["secret"], {"name": "s", "uid": uid})
    same(review(k, plain)["authenticated"], True)
    has(k.fails(*bound, "--bound-object-uid=x"), "does not match the UID in record")
    k("delete", "secret", "s")
    has(review(k, plain)["error"], "service account token has been invalidated")
    has(k.fails(*bound), 'error: failed to create token: secrets "s" not found')


@case
def kubeconfig(k):
    if not k.binary:
        raise Failed("this case needs --binary")
    parts = k.root.url.split("/")
    if "orgs" not in parts:
        raise Failed("this case needs a project's root")
    org, project = parts[parts.index("orgs") + 1], parts[parts.index("projects") + 1]
    server = "/".join(parts[:3])
    words = [k.binary, "kubeconfig", "--org", org, "--project", project, "--server", server]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    same((made.returncode, made.stderr), (0, ""))
    text = made.stdout
    env = {"KUBECONFIG": k.file("made", text)}
    has(k("config", "view", env=env), k.root.url)
    k("create", "configmap", "c", "-n", k.namespace, env=env)
    same(k("get", "cm", "c", "-o", "name"), "configmap/c\n")
    same(
        json.loads(k("config", "view", "-o", "json", env=env))["clusters"][0]["cluster"]["server"], k.root.url
    )


@case
def tls(k):
    if not k.binary:
        raise Failed("this case needs --binary")
    cert, key = k.file("cert.pem", ""), k.file("key.pem", "")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-out", cert, "-keyout", key]
    subprocess.run(words, capture_output=True, check=True)
    words = [k.binary, "--listen", "127.0.0.1:0", "--store", "memory", "--tls-cert", cert, "--tls-key", key]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            line = next((line for line in server.stdout if line.startswith("listening on ")), "")
            url = line.split()[-1] if line else ""
            same(url.startswith("https://127.0.0.1:"), True)
            words = [k.binary, "kubeconfig", "--server", url]
            made = subprocess.run(
                [*words, "--certificate-authority", cert], capture_output=True, text=True, check=True
            )
            env = {"KUBECONFIG": k.file("made", made.stdout)}
            has(k("get", "namespaces", "-o", "name", env=env), "namespace/default\n")
            made = subprocess.run(words, capture_output=True, text=True, check=True)
            env = {"KUBECONFIG": k.file("distrustful", made.stdout)}
            has(k.fails("get", "namespaces", env=env), "x509: certificate signed by unknown authority")
        finally:
            server.kill()
