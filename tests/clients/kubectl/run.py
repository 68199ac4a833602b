#!/usr/bin/env python3
"""What a person with kubectl does with a Kubernetes API, case by case, with several kubectl at once.

  run.py --server URL --kubectl PATH [--kubectl PATH …] [--other URL] [--binary PATH] [CASE …]

URL is an API root, such as http://127.0.0.1:6443/orgs/acme/projects/web, in which nothing is; --other
that of another tenant, in which nothing may be afterwards; --binary is the server's program. Each case
has a namespace of its own, and plays the controllers and kubelets that it needs. A line is printed for
each, and the exit status is 1 if one has failed. CASE is a name, or the beginning of one.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import time
import traceback

import cases
from harness import CASES, Failed, Kubectl, Root


def version_of(program):
    """The version of a kubectl, as it says itself and as numbers."""
    text = subprocess.run(
        [program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True
    ).stdout
    said = json.loads(text)["clientVersion"]["gitVersion"]
    major, minor = said.lstrip("v").split(".")[:2]
    return said, (int(major), int(minor))


def run(name, program, said, version, options, number):
    """Runs a case: the line to print, and whether it has passed."""
    function, since = CASES[name]
    what = f"{said} {name}"
    if version < since:
        return f"skip  {what} (since {since[0]}.{since[1]})", True
    begun = time.monotonic()
    namespace = f"{name}-{number}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    kubectl = None
    try:
        Root(options.server)("POST", "/api/v1/namespaces", body)
        kubectl = Kubectl(program, version, options.server, namespace, options.other, options.binary)
        function(kubectl)
    except Failed as failed:
        # The case's own lines say where.
        at = [f.lineno for f in traceback.extract_tb(failed.__traceback__) if "cases" in f.filename]
        lines = str(failed).replace("\n", "\n      ")
        return f"FAIL  {what}, line {at[-1] if at else '?'}: {lines}", False
    except Exception:  # pylint: disable=broad-except
        lines = traceback.format_exc().replace("\n", "\n      ")
        return f"FAIL  {what}: {lines}", False
    finally:
        if kubectl:
            kubectl.close()
    return f"ok    {what} ({time.monotonic() - begun:.1f} s)", True


def main():
    """Runs the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--other")
    parser.add_argument("--binary")
    parser.add_argument("--kubectl", action="append", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()

    names = [n for n in CASES if not options.case or any(n.startswith(c) for c in options.case)]
    if options.list:
        print("\n".join(names))
        return 0
    if not names:
        print("there is no such case", file=sys.stderr)
        return 2
    programs = [(program, *version_of(program)) for program in options.kubectl]
    work = [(name, *program) for name in names for program in programs]
    # Namespaces of this run, so that it can be repeated on the same server.
    unique = int(time.time() * 1000) % 10_000_000
    counts = {True: 0, False: 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run, *task, options, f"{unique}-{number}") for number, task in enumerate(work)]
        for future in concurrent.futures.as_completed(futures):
            line, passed = future.result()
            counts[passed] += 1
            print(line, flush=True)
    failed = counts[False]
    if options.other:
        line, passed = cases.nothing_is_there(Root(options.other))
        failed += not passed
        print(line)
    print(f"{counts[True]} passed, {failed} failed, of {[said for _, said, _ in programs]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
