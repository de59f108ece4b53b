"""The test kit for Python: starts the real `gema` on a free port and owns its end. Mirrors tests/src/gema.rs."""
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GEMA_BIN") or ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "gema"
PATIENCE = 30
APP = {"id": "424242", "key": "testkey0123456789abc", "secret": "testsecret0123456789"}


def free_port():
    """A port that is free at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Gema:
    """One running broadcast server, as a context."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gema-")
        for _ in range(5):
            if self.listens(free_port()):
                return self
        raise AssertionError("five free ports were taken before gema could listen on them")

    def listens(self, port):
        """Starts the process on this port; False if somebody took the port first."""
        self.port, self.log_path = port, pathlib.Path(self.folder.name) / "gema.log"
        environment = {"PATH": os.environ["PATH"], "REVERB_APP_ID": APP["id"], "REVERB_APP_KEY": APP["key"],
                       "REVERB_APP_SECRET": APP["secret"]}
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen([BINARY, "broadcast", "--host", "127.0.0.1", "--port", str(port)],
                                            cwd=self.folder.name, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                assert "in use" in self.log(), f"gema ended before it was ready:\n{self.log()}"
                return False
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/up", timeout=PATIENCE).close()
                return True
            except urllib.error.URLError:
                time.sleep(0.01)
        raise AssertionError(f"gema is not ready after {PATIENCE} s:\n{self.log()}")

    def log(self):
        """What the process has written so far."""
        return self.log_path.read_text(errors="replace")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        log = self.log()
        self.folder.cleanup()
        assert "panicked" not in log, f"gema panicked:\n{log}"
