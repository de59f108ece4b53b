#!/usr/bin/env python3
"""Fuzzes the pure functions of crates/protocol and crates/cluster with libFuzzer, and counts the inputs of each target.

usage: fuzz.py [TARGET...]   Every target by default; SECONDS=N gives each that long (60).

It starts from the vectors of the official SDKs and clients, and from what earlier runs have found, which stays in
target/fuzz. The first crash ends it: the log names the input, and `cargo fuzz run --fuzz-dir tests/fuzz TARGET INPUT`
repeats it.
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
FUZZ = TARGET / "fuzz"
CARGO_FUZZ = "0.13.2"
# A larger input says nothing new and takes longer.
MAX_BYTES = 2048
CUT = "\udcff"  # The byte 0xFF, which parts the texts of an input.


def frames(vectors):
    """What clients have sent."""
    for transcript in vectors["client_transcripts"]:
        expected = transcript["expected"]
        yield from expected.get("frames", []) if isinstance(expected, dict) else []
    for entry in vectors["vectors"]:
        for event in ("subscribe", "signin"):
            if event in entry:
                yield json.dumps({"event": f"pusher:{event}", "data": entry[event]})


def streams(vectors):
    """The size of pieces, and the frames of a client: masked with zeros, in the form their length needs."""
    for text in frames(vectors):
        payload = text.encode()
        short, wide = min(len(payload), 126), b"" if len(payload) < 126 else len(payload).to_bytes(2)
        yield bytes([7, 0x81, 0x80 | short]) + wide + bytes(4) + payload + bytes([0x89, 0x80, 0, 0, 0, 0])


def requests(vectors):
    """Method, path, raw query and body of what SDKs have sent."""
    for entry in vectors["vectors"]:
        request = entry.get("request", {})
        if "request_target" in request:
            path, _, query = request["request_target"].partition("?")
            yield request["method"], path, query, request.get("body") or ""


def identities(vectors):
    """What apps have signed about users."""
    for entry in vectors["vectors"]:
        for part in (entry.get("expected"), entry.get("subscribe"), entry.get("signin")):
            if isinstance(part, dict):
                yield from (part[name] for name in ("channel_data", "user_data") if isinstance(part.get(name), str))


def channels(vectors):
    """Names that a client or an SDK has used."""
    for found in re.findall(r'\\*"channel\\*":\s*\\*"([^"\\]+)', json.dumps(vectors)):
        yield b"\xc8" + found.encode()


def told():
    """What servers tell each other through Redis: a choice, and a message or some, each behind its length."""
    def field(text):
        return len(text).to_bytes(4) + text.encode()

    def several(*messages):
        return b"".join(len(message).to_bytes(2) + message for message in messages)

    node, count = (2).to_bytes(16), (1).to_bytes(8)
    event = (9).to_bytes(8) + b"\1" + field("12.34") + field('{"event":"e"}')
    entry, next_entry = b"\1" + node + count + event, b"\1" + node + (2).to_bytes(8) + event + event
    member = field("ann") + b"\1" + field('{"user_id":"ann"}')
    change = b"\1" + node + b"\0" + count + member
    farewell = b"\1" + node + b"\1" + bytes(8) + field("ann") + b"\0" + field("")
    parcel = b"\1" + (9).to_bytes(8) + field("e1") + field('{"events":[]}') + field("presence-a") + count + count
    yield from (b"\0" + entry, b"\1" + several(b"\1" + entry, b"\3" + next_entry, b"\5" + entry), b"\2" + change)
    yield from (b"\3" + several(change, farewell), b"\4" + parcel)
    yield from (b"\5" + b"r 0 ab12 -e1-e2- presence-a ann", b"\5" + b"s 7 ab - c ")


def seeds(vectors):
    """Inputs by target. A first byte is a limit or a profile: see each target's check."""
    asked = list(requests(vectors))
    secret = vectors["app"]["secret"]
    return {
        "message": frames(vectors),
        "frames": streams(vectors),
        "channel_name": channels(vectors),
        "signature": (chr(choice) + CUT.join([secret, method, path, "info", query, body])
                      for choice, (method, path, query, body) in enumerate(asked)),
        "query": (query for _, _, query, _ in asked),
        "publish": (profile + body for _, _, _, body in asked if body for profile in "\0\1"),
        "identity": identities(vectors),
        "cluster": told(),
    }


def plant(target, inputs):
    """Writes the seeds of a target, each under the name of its content."""
    folder = FUZZ / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    for text in inputs:
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return folder


def fuzz(target, seeded, seconds):
    """Runs one target for so long; the number of inputs it has tried."""
    corpus, found = FUZZ / "corpus" / target, FUZZ / "artifacts" / target
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    # cargo-fuzz wants a nightly compiler for the flags of the sanitizer; this lets the stable one take them.
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1", PATH=f"{TARGET / 'tools/bin'}:{os.environ['PATH']}")
    command = ["cargo", "fuzz", "run", "--fuzz-dir", "tests/fuzz", "--target-dir", str(FUZZ / "build"), target,
               str(corpus), str(seeded), "--", f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=10",
               f"-artifact_prefix={found}/", "-print_final_stats=1"]
    log = FUZZ / f"{target}.log"
    with log.open("w") as out:
        status = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT).returncode
    text = log.read_text(errors="replace")
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    if status or not executed:
        print(text[-8000:])
        sys.exit(f"fuzz.py: {target} has failed (status {status}); everything it said is in {log}")
    return int(executed[1])


def main():
    """Plants, fuzzes, counts."""
    seconds = int(os.environ.get("SECONDS") or 60)
    vectors = json.loads((ROOT / "crates/protocol/tests/vectors.json").read_text(encoding="utf-8"))
    inputs = seeds(vectors)
    wanted = sys.argv[1:] or list(inputs)
    if unknown := [name for name in wanted if name not in inputs]:
        sys.exit(f"fuzz.py: there is no target {unknown[0]!r}; there are {', '.join(inputs)}")
    subprocess.run([ROOT / "tests/tools/cargo-tool.sh", "cargo-fuzz", CARGO_FUZZ, TARGET / "tools"], cwd=ROOT, check=True)
    total = 0
    for name in wanted:
        executed = fuzz(name, plant(name, inputs[name]), seconds)
        total += executed
        print(f"» {name}: {executed} inputs in {seconds} s, no crash", flush=True)
    print(f"» {total} inputs in all")


if __name__ == "__main__":
    main()
