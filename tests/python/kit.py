"""The test kit for Python: starts the real `gema` on a free port and owns its end. Mirrors tests/src/gema.rs."""
import os
import pathlib
import re
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GEMA_BIN") or ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "gema"
PATIENCE = 30
APP = {"id": "424242", "key": "testkey0123456789abc", "secret": "testsecret0123456789"}


class Gema:
    """One running broadcast server, as a context."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gema-")
        self.log_path = pathlib.Path(self.folder.name) / "gema.log"
        environment = {"PATH": os.environ["PATH"], "REVERB_APP_ID": APP["id"], "REVERB_APP_KEY": APP["key"],
                       "REVERB_APP_SECRET": APP["secret"]}
        # The kernel picks the port, so nothing can clash.
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen([BINARY, "broadcast", "--host", "127.0.0.1", "--port", "0"],
                                            cwd=self.folder.name, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"broadcast server on http://[^:]+:(\d+)\b.*\n", self.log())):
            assert self.process.poll() is None, f"gema ended before it was ready:\n{self.log()}"
            assert time.monotonic() < end, f"gema is not ready after {PATIENCE} s:\n{self.log()}"
            time.sleep(0.01)
        self.port = int(found[1])
        return self

    def log(self):
        """What the process has written so far."""
        return self.log_path.read_text(errors="replace")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        log = self.log()
        self.folder.cleanup()
        assert "panicked" not in log, f"gema panicked:\n{log}"
