#!/usr/bin/env python3
"""Runs the checks and tests of the project and says at the end how long each took.

usage: check.py test | chaos | lint | audit | STEP...

A step starts as soon as the steps it needs are done, so that downloads run beside compilers. Its output goes to
artefacts/logs/STEP.log and is shown when it fails. Lines that begin with "» " are figures and are always shown.
The last line is the sum of all tests: "N passed, N failed"; a step that fails without counting tests is one failure.
"""
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = "tests/tools"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
LOGS = ROOT / "artefacts" / "logs"
DENY = "0.20.2"
DENY_ROOT = TARGET / "tools"
VENV = TARGET / "venv"

# name: (command, steps that must have succeeded, steps that must only be over)
STEPS = {
    "tools": (f"{TOOLS}/need.sh cargo cc node npm", [], []),
    "setup": (f"{TOOLS}/setup.sh", [], []),
    "format": ("cargo fmt --all --check", ["tools"], []),
    "house": (f"{sys.executable} {TOOLS}/house.py", [], []),
    "build": ("cargo build --locked -p gema", ["tools"], ["setup"]),
    # Most of them wait, for servers and for faults: more at once than there are processors.
    "rust tests": ("env RUST_TEST_THREADS=4 cargo test --locked --workspace --no-fail-fast", ["build", "npm"], []),
    # What the other languages' tests start; `rust tests` has built it by then.
    "stack": ("cargo build --locked --workspace --examples", ["build"], ["rust tests"]),
    "chaos": ("env GEMA_FAULTS=long cargo test --locked -p gema-tests --test faults --test stack --no-fail-fast",
              ["build", "npm"], ["setup"]),
    "clippy": ("cargo clippy --locked --workspace --all-targets -- -D warnings", ["tools"], ["rust tests"]),
    "fuzz targets": (f"{TOOLS}/fuzz-check.sh", ["tools"], ["clippy"]),
    # Long and in no hurry: it gets what the tests leave of the processors while they wait.
    "cargo-deny": (f"nice -n 19 {TOOLS}/cargo-tool.sh cargo-deny {DENY} {DENY_ROOT}", ["tools"],
                   ["node tests", "conformance", "python tests"]),
    "dependencies": (f"{DENY_ROOT}/bin/cargo-deny --locked check --hide-inclusion-graph bans licenses sources",
                     ["cargo-deny"], []),
    "advisories": (f"{DENY_ROOT}/bin/cargo-deny --locked check advisories", ["cargo-deny"], []),
    "npm": (f"{TOOLS}/npm-ci.sh tests", ["tools"], []),
    "dashboard": (f"{TOOLS}/dashboard.sh", ["tools"], ["npm"]),
    "pip": (f"{TOOLS}/venv.sh {VENV}", ["setup"], ["dashboard"]),
    "page tests": ("npm --prefix examples/dashboard test", ["dashboard"], []),
    # Clients that come back after a second spend their time waiting: three files at once take half the time.
    "node tests": (f"{TOOLS}/node-tests.sh tests/node --test-concurrency=3", ["build", "npm", "setup"], []),
    "conformance": ("node tests/conformance/gema.mjs", ["build", "npm"], []),
    "python tests": (f"{VENV}/bin/python -m unittest discover -v -s tests/python", ["build", "pip"], []),
    # Last and alone: it measures, too.
    "browser tests": (f"{TOOLS}/node-tests.sh tests/browser", ["build", "stack", "npm", "dashboard", "setup"],
                      ["rust tests", "clippy", "fuzz targets", "dependencies", "node tests", "conformance",
                       "python tests", "page tests"]),
}
GROUPS = {
    "lint": ["format", "house", "clippy", "fuzz targets", "dependencies"],
    "audit": ["advisories"],
    "test": [name for name in STEPS if name not in ("advisories", "chaos")],
}
PASSED = re.compile(r"^test result: \w+\. (\d+) passed|^(?:ℹ|#) pass (\d+)$|^Ran (\d+) tests? in", re.M)
FAILED = re.compile(r"^test result: FAILED\. \d+ passed; (\d+) failed|^(?:ℹ|#) fail (\d+)$"
                    r"|^FAILED \((?:failures=(\d+))?(?:, )?(?:errors=(\d+))?", re.M)


def total(pattern, text):
    """The sum of all numbers that a pattern finds."""
    return sum(int(number) for found in pattern.findall(text) for number in found if number)


class Step:
    """One command, its log and its result."""

    def __init__(self, name):
        self.name, (command, self.needs, self.after) = name, STEPS[name]
        self.command = shlex.split(command)
        self.over = threading.Event()
        self.state, self.seconds, self.passed, self.failed, self.process = "waiting", 0.0, 0, 0, None

    def run(self, steps):
        """Waits for its turn, runs, and tells the others."""
        for name in self.needs + self.after:
            if name in steps:
                steps[name].over.wait()
        if all(steps[name].state == "ok" for name in self.needs):
            self.execute()
        else:
            self.state = "skipped"
        self.over.set()

    def execute(self):
        """Runs the command to its end and reads the counts from its output."""
        path = LOGS / f"{self.name.replace(' ', '-')}.log"
        start = time.monotonic()
        environment = dict(os.environ, CARGO_TERM_COLOR="never", GEMA_BIN=str((ROOT / TARGET / "debug/gema").resolve()))
        with path.open("w") as log:
            try:
                self.process = subprocess.Popen(self.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=subprocess.STDOUT, env=environment, start_new_session=True)
                status = self.process.wait()
            except OSError as error:
                log.write(f"{self.command[0]} does not start: {error}\n")
                status = 1
        self.seconds = time.monotonic() - start
        text = path.read_text(errors="replace")
        self.failed = total(FAILED, text)
        # unittest counts what it ran, the others what passed.
        self.passed = total(PASSED, text) - (self.failed if "Ran " in text and self.name == "python tests" else 0)
        self.state = "ok" if status == 0 else "failed"
        if status and not self.failed:
            self.failed = 1
        self.report(text)

    def report(self, text):
        """One line, the figures, and on failure everything."""
        count = f", {self.passed} passed" if self.passed else ""
        lines = [f"{self.state:>7}  {self.name}  {self.seconds:.1f} s{count}"]
        if self.state == "failed":
            lines += [text.rstrip(), f"--- end of {self.name} ---"]
        else:
            lines += [f"         {line}" for line in text.splitlines() if line.startswith("» ")]
        print("\n".join(lines), flush=True)


def wanted(names):
    """The steps that were asked for, and all that these need, in the order of the table."""
    found = set()
    todo = [step for name in names for step in GROUPS.get(name, [name])]
    while todo:
        name = todo.pop()
        if name not in STEPS:
            sys.exit(f"check.py: there is no step {name!r}; there are {', '.join([*GROUPS, *STEPS])}")
        if name not in found:
            found.add(name)
            todo += STEPS[name][1]
    return {name: Step(name) for name in STEPS if name in found}


def stop(steps):
    """Ends the process groups that were started here."""
    for step in steps.values():
        if step.process and step.process.poll() is None:
            os.killpg(step.process.pid, signal.SIGTERM)


def main():
    """Runs the steps and prints the table."""
    steps = wanted(sys.argv[1:] or ["test"])
    try:
        LOGS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"make: {LOGS} cannot be written ({error.strerror}): let this user write there, or work in a copy elsewhere.")
    start = time.monotonic()
    threads = [threading.Thread(target=step.run, args=(steps,), daemon=True) for step in steps.values()]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop(steps)
    print("\nstep             seconds  result")
    for step in steps.values():
        print(f"{step.name:<15} {step.seconds:>8.1f}  {step.state}")
    print(f"{'wall time':<15} {time.monotonic() - start:>8.1f}\n")
    failed = sum(step.failed for step in steps.values())
    print(f"{sum(step.passed for step in steps.values())} passed, {failed} failed")
    sys.exit(0 if all(step.state == "ok" for step in steps.values()) else 1)


if __name__ == "__main__":
    main()
