"""What the cases are written with: kubectl against one API root, in a namespace of the case's own.

A case is a function with the decorator `case`. It gets a `Kubectl`, and raises `Failed` (or anything
else) when something is not as it must be.
"""

import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 60

JSON = "application/json"
MERGE = "application/merge-patch+json"

CASES = {}


class Failed(Exception):
    """Something is not as it must be."""


def case(function=None, *, since=(0, 0)):
    """Makes a function a case, for versions of kubectl that are not older than `since`."""

    def add(function):
        name = function.__name__.replace("_", "-")
        if name in CASES:
            raise ValueError(f"two cases are called {name}")
        CASES[name] = (function, since)
        return function

    return add(function) if function else add


def has(text, *words):
    """Checks that a text has each of these in it."""
    for word in words:
        if word not in text:
            raise Failed(f"{word!r} is not in:\n{text}")


def lacks(text, *words):
    """Checks that a text has none of these in it."""
    for word in words:
        if word in text:
            raise Failed(f"{word!r} is in:\n{text}")


def like(text, pattern):
    """Checks that a pattern is found in a text, and returns the match."""
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise Failed(f"{pattern!r} is not found in:\n{text}")
    return found


def same(found, expected):
    """Checks that two values are equal."""
    if found != expected:
        raise Failed(f"expected:\n{expected!r}\nbut it is:\n{found!r}")


def columns(text):
    """The heading of a table that kubectl has printed, as a list."""
    return re.split(r" {2,}", text.splitlines()[0].strip())


def rows(text):
    """The rows of a table that kubectl has printed, each as a list of cells."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()[1:] if line.strip()]


def eventually(check, seconds=20):
    """Calls `check` until it raises nothing, and returns what it returns."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except Failed:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


class Root:
    """A Kubernetes API by its URL, as a controller uses it, which the cases have to play."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.path = urllib.parse.urlsplit(self.url).path

    def call(self, method, path, body=None, kind=JSON):
        """The code and the JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": JSON}
        if data is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                return error.code, json.loads(text)
            except ValueError:
                return error.code, {"message": text.decode(errors="replace")}

    def __call__(self, method, path, body=None, kind=JSON):
        """The JSON of an answer, which must be of success."""
        code, answer = self.call(method, path, body, kind)
        if code >= 300:
            raise Failed(f"{method} {path}: {code} {answer.get('message')}")
        return answer


class Running:
    """A kubectl that runs while the case goes on."""

    def __init__(self, command, environment):
        self.command = command
        self.lines = queue.Queue()
        self.seen = []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def text(self):
        """What it has printed, as far as it was waited for."""
        return "\n".join(self.seen)

    def shows(self, word, seconds=20):
        """Waits for a line with this word, and returns it."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise Failed(f"{self.command[1:]} has not printed {word!r}, but:\n{self.text()}")
            self.seen.append(line)
            if word in line:
                return line

    def ends(self, code=0, seconds=30):
        """Waits for its end, which must be with this code; returns all that it has printed."""
        try:
            found = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"{self.command[1:]} has not ended, but printed:\n{self.all()}") from None
        text = self.all()
        if found != code:
            raise Failed(f"{self.command[1:]} has ended with {found}, not {code}:\n{text}")
        return text

    def all(self):
        """All that it has printed, once it has ended."""
        while (line := self.lines.get(timeout=5)) is not None:
            self.seen.append(line)
        return self.text()

    def stop(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()


class Output(str):
    """What a kubectl has printed: the text is that of stdout."""

    def __new__(cls, out, err):
        made = super().__new__(cls, out)
        made.err = err
        return made


class Kubectl:
    """One kubectl, one API root, one namespace."""

    def __init__(self, program, version, server, namespace, other, binary):
        self.version, self.namespace = version, namespace
        # The root itself, and that of another tenant.
        self.root = Root(server)
        self.other = Root(other) if other else None
        # The server's program, for what it does besides serving.
        self.binary = binary
        self.folder = tempfile.mkdtemp(prefix="kubectl-")
        # What manages a field is called as the program is.
        self.program = os.path.join(self.folder, "kubectl")
        os.symlink(os.path.abspath(program), self.program)
        self.running = []
        self.environment = dict(os.environ, HOME=self.folder, TZ="UTC", LC_ALL="C")
        self.environment["KUBECONFIG"] = self.file("kubeconfig", self.kubeconfig(self.root.url))

    def kubeconfig(self, url):
        """A kubeconfig for a URL, as JSON, which is YAML."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "k", "cluster": {"server": url}}],
                "users": [{"name": "k", "user": {}}],
                "contexts": [
                    {"name": "k", "context": {"cluster": "k", "user": "k", "namespace": self.namespace}}
                ],
                "current-context": "k",
            }
        )

    def close(self):
        """Ends what still runs, and removes the folder."""
        for running in self.running:
            running.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name, text):
        """Writes a file, and returns its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def outcome(self, *words, input=None, env=None):
        """Runs kubectl: its code, and what it has printed."""
        stdin = {"input": as_text(input)} if input is not None else {"stdin": subprocess.DEVNULL}
        try:
            done = subprocess.run(
                [self.program, *words],
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                env=dict(self.environment, **(env or {})),
                **stdin,
            )
        except subprocess.TimeoutExpired as late:
            text = ((late.stdout or b"") + (late.stderr or b"")).decode(errors="replace")
            raise Failed(f"kubectl {' '.join(words)} has not ended, but printed:\n{text}") from None
        return done.returncode, Output(done.stdout, done.stderr)

    def __call__(self, *words, input=None, code=0, env=None):
        """Runs kubectl, which must end with this code; returns what it has printed."""
        found, output = self.outcome(*words, input=input, env=env)
        if found != code:
            raise Failed(f"kubectl {' '.join(words)}: code {found}, not {code}:\n{output}{output.err}")
        return output

    def fails(self, *words, input=None, code=1, env=None):
        """Runs kubectl, which must fail; returns what it has printed to stderr."""
        return self(*words, input=input, code=code, env=env).err

    def json(self, *words, input=None):
        """Runs kubectl with `-o json`; returns the object."""
        return json.loads(self(*words, "-o", "json", input=input))

    def start(self, *words, env=None):
        """Runs kubectl beside the case."""
        running = Running([self.program, *words], dict(self.environment, **(env or {})))
        self.running.append(running)
        return running

    def create(self, *objects):
        """Creates objects through the API itself."""
        made = [self.root("POST", self.path(o, named=False), o) for o in objects]
        return made[0] if len(made) == 1 else made

    def path(self, o, named=True, subresource=""):
        """The path of an object, or of its collection."""
        group = o["apiVersion"]
        plural, namespaced = KINDS[o["kind"]]
        path = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        if namespaced:
            path += f"/namespaces/{o['metadata'].get('namespace', self.namespace)}"
        path += f"/{plural}"
        if named:
            path += f"/{o['metadata']['name']}"
        return path + (f"/{subresource}" if subresource else "")

    def write_status(self, o, status):
        """Writes an object's status, as its controller does."""
        body = {"status": status}
        return self.root("PATCH", self.path(o, subresource="status"), body, MERGE)

    def patch(self, o, body):
        """Patches an object, as a controller does."""
        return self.root("PATCH", self.path(o), body, MERGE)


# The path's word of each kind that cases create by themselves, and whether it has namespaces.
KINDS = {
    "ConfigMap": ("configmaps", True),
    "ControllerRevision": ("controllerrevisions", True),
    "CertificateSigningRequest": ("certificatesigningrequests", False),
    "CronJob": ("cronjobs", True),
    "DaemonSet": ("daemonsets", True),
    "Deployment": ("deployments", True),
    "EndpointSlice": ("endpointslices", True),
    "Event": ("events", True),
    "HorizontalPodAutoscaler": ("horizontalpodautoscalers", True),
    "Ingress": ("ingresses", True),
    "Job": ("jobs", True),
    "Lease": ("leases", True),
    "Namespace": ("namespaces", False),
    "NetworkPolicy": ("networkpolicies", True),
    "Node": ("nodes", False),
    "PersistentVolume": ("persistentvolumes", False),
    "PersistentVolumeClaim": ("persistentvolumeclaims", True),
    "Pod": ("pods", True),
    "PodDisruptionBudget": ("poddisruptionbudgets", True),
    "ReplicaSet": ("replicasets", True),
    "ReplicationController": ("replicationcontrollers", True),
    "ResourceQuota": ("resourcequotas", True),
    "Role": ("roles", True),
    "RoleBinding": ("rolebindings", True),
    "Secret": ("secrets", True),
    "Service": ("services", True),
    "ServiceAccount": ("serviceaccounts", True),
    "StatefulSet": ("statefulsets", True),
    "StorageClass": ("storageclasses", False),
}


def as_text(value):
    """A manifest's text: objects become JSON, several a list."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        value = {"apiVersion": "v1", "kind": "List", "items": value}
    return json.dumps(value)


def pod(name, labels=None, image="nginx:1.27", **spec):
    """A pod of one container, `c`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"containers": [{"name": "c", "image": image}], **spec},
    }


def config_map(name, data=None, **metadata):
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data if data is not None else {"k": "v"},
    }


def deployment(name, replicas=3, image="nginx:1.27", kind="Deployment", **spec):
    """A Deployment, or what else has a selector and a template in apps/v1."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    body = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    if replicas is not None:
        body["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": body,
    }


def node(name, **status):
    """A node that is ready."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kernelVersion": "6.1",
                "osImage": "Debian",
                "containerRuntimeVersion": "containerd://2.0",
                "kubeletVersion": "v1.35.0",
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
            **status,
        },
    }
