#!/usr/bin/env python3
"""Runs a tour: the `sh` blocks of a Markdown file, in their order, as they are printed.

Comments in the Markdown, which no reader sees, say how:

    <!-- tour: terminal NAME -->     the next block is run in a terminal of its own, and goes on
    <!-- tour: fails -->             the next block has to fail
    <!-- tour: skip -->              the next block is not run
    <!-- tour: shows TEXT -->        the block before has printed TEXT
    <!-- tour: NAME shows TEXT -->   that terminal prints TEXT sooner or later
    <!-- tour: NAME ends -->         that terminal's block ends sooner or later

The tour starts a server on the port that it prints, with its data in ./data: both have to be free.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60.0
PORT = 6443
DATA = "data"
DIRECTIVE = re.compile(r"^<!-- tour: (.*) -->$")


class Failure(Exception):
    """The tour does not work as printed."""


def steps(path):
    """The directives and the `sh` blocks of a file, with their lines."""
    block, indent = None, ""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip("\n")
            if block is not None:
                if text.strip() == "```":
                    yield block[0], "block", "\n".join(block[1])
                    block = None
                else:
                    block[1].append(text.removeprefix(indent))
            elif text.strip() == "```sh":
                indent = text[: len(text) - len(text.lstrip())]
                block = (number, [])
            elif match := DIRECTIVE.match(text.strip()):
                yield number, "directive", match[1]


class Tour:
    """The terminals of a tour."""

    def __init__(self, folder):
        self.folder = folder
        self.terminals = {}
        self.output = ""
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("K8SHOST_")}

    def read(self, name):
        """What a terminal shows."""
        if name not in self.terminals:
            raise Failure(f"there is no terminal {name}")
        with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, what, condition):
        """Waits for something that a terminal does."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                shown = "".join(f"\n--- {name}:\n{self.read(name)}" for name in self.terminals)
                raise Failure(f"{what}: not within {PATIENCE:.0f} s{shown}")
            time.sleep(0.05)

    def run(self, script, fails):
        """Runs a block to its end."""
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            env=self.environment,
            check=False,
        )
        self.output = done.stdout
        if (done.returncode != 0) != fails:
            wanted = "fail" if fails else "work"
            raise Failure(f"the block has to {wanted}, and ended with {done.returncode}:\n{done.stdout}")

    def open(self, name, script):
        """Runs a block in a terminal of its own; what was there is ended."""
        self.close(name)
        output = open(os.path.join(self.folder, name), "w", encoding="utf-8")
        self.terminals[name] = subprocess.Popen(
            ["bash", "-eu", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
        )

    def close(self, name):
        """Ends what runs in a terminal."""
        process = self.terminals.pop(name, None)
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        except ProcessLookupError:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)

    def directive(self, text):
        """Carries out a directive that looks at what has happened."""
        name, _, rest = text.partition(" ")
        if name == "shows":
            if rest not in self.output:
                raise Failure(f'"{rest}" was not printed, but:\n{self.output}')
        elif rest.startswith("shows "):
            wanted = rest.removeprefix("shows ")
            self.wait(f'terminal {name} shows "{wanted}"', lambda: wanted in self.read(name))
        elif rest == "ends":
            self.wait(f"terminal {name} ends", lambda: self.terminals[name].poll() is not None)
        else:
            raise Failure(f"a directive that is not known: {text}")


def tour(path, folder):
    """Runs the tour of a file."""
    tour = Tour(folder)
    run, how = 0, ""
    try:
        for line, kind, text in steps(path):
            try:
                if kind == "directive":
                    if text in ("skip", "fails") or text.startswith("terminal "):
                        how = text
                    else:
                        tour.directive(text)
                    continue
                if how == "skip":
                    pass
                elif how.startswith("terminal "):
                    tour.open(how.removeprefix("terminal "), text)
                    run += 1
                else:
                    tour.run(text, how == "fails")
                    run += 1
                how = ""
            except Failure as failure:
                raise Failure(f"{path}:{line}: {failure}") from None
    finally:
        for name in list(tour.terminals):
            tour.close(name)
    if run == 0:
        raise Failure(f"{path} has no blocks to run")
    print(f"{path}: {run} blocks work as printed")


def main(path):
    if os.path.exists(DATA):
        sys.exit(f"./{DATA} is there already: the tour begins without data")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError as error:
            sys.exit(f"port {PORT}, which the tour prints, cannot be used: {error}")
    folder = tempfile.mkdtemp(prefix="k8shost-tour-")
    try:
        tour(path, folder)
    except Failure as failure:
        sys.exit(str(failure))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(DATA, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
