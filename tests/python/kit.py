"""The test kit for Python: starts the real `gema` on a free port and owns its end. Mirrors tests/src/gema.rs."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GEMA_BIN") or ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "gema"
PATIENCE = 30
APP = {"id": "424242", "key": "testkey0123456789abc", "secret": "testsecret0123456789"}


class Gema:
    """One running broadcast server, as a context. Keywords become variables of its environment. With the role `serve` it
    is everything in one process, on a fresh database with the seeded admin; `api` is the port of the attendance API then.
    """

    def __init__(self, role="broadcast", **variables):
        self.role, self.variables = role, variables

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gema-")
        self.log_path = pathlib.Path(self.folder.name) / "gema.log"
        environment = {"PATH": os.environ["PATH"], "REVERB_APP_ID": APP["id"], "REVERB_APP_KEY": APP["key"],
                       "REVERB_APP_SECRET": APP["secret"], **self.variables}
        # The kernel picks the port, so nothing can clash.
        command = [BINARY, self.role, "--host", "127.0.0.1", "--port", "0"]
        if self.role == "serve":
            subprocess.run([BINARY, "migrate", "--seed"], cwd=self.folder.name, env=environment, check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            command += ["--app-port", "0"]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(command, cwd=self.folder.name, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        self.port = self.announced("broadcast server")
        if self.role == "serve":
            self.api = self.announced("attendance API")
        return self

    def announced(self, what):
        """The port of a listener, once the server has said it."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(what + r" on http://[^:]+:(\d+)\b.*\n", self.log())):
            assert self.process.poll() is None, f"gema ended before it was ready:\n{self.log()}"
            assert time.monotonic() < end, f"gema is not ready after {PATIENCE} s:\n{self.log()}"
            time.sleep(0.01)
        return int(found[1])

    def log(self):
        """What the process has written so far."""
        return self.log_path.read_text(errors="replace")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        log = self.log()
        self.folder.cleanup()
        assert "panicked" not in log, f"gema panicked:\n{log}"


class Client:
    """One connection that sees frames as they are."""

    def __init__(self, gema):
        address = f"ws://127.0.0.1:{gema.port}/app/{APP['key']}?protocol=7&client=test&version=1"
        self.ends = contextlib.ExitStack()
        self.socket = self.ends.enter_context(connect(address, open_timeout=PATIENCE, proxy=None))
        self.id = self.expect("pusher:connection_established")["socket_id"]

    def close(self):
        """Ends the connection."""
        self.ends.close()

    def send(self, event, data):
        """Sends one message."""
        self.socket.send(json.dumps({"event": event, "data": data}))

    def frame(self):
        """The next message, as an object."""
        return json.loads(self.socket.recv(timeout=PATIENCE))

    def expect(self, event, channel=None):
        """The data of the next message, which must be this one. The data of `pusher` events is decoded."""
        frame = self.frame()
        assert (frame["event"], frame.get("channel")) == (event, channel), f"{event} expected, not {frame}"
        return json.loads(frame.get("data", "null")) if event.startswith("pusher") else frame["data"]

    def subscribe(self, channel, **authorisation):
        """Joins a channel; the data of the confirmation."""
        self.send("pusher:subscribe", {"channel": channel, **authorisation})
        return self.expect("pusher_internal:subscription_succeeded", channel)

    def ended(self):
        """Reads to the end of the connection; the code it was closed with."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.frame()
        return self.socket.close_code
