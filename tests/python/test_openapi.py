"""The attendance API against its own description: requests of all kinds, right and wrong, made up by Schemathesis."""
import json
import os
import pathlib
import subprocess
import sys
import unittest
import urllib.request

from kit import Gema

HERE = pathlib.Path(__file__).parent
# The routes that end the login which the other requests need, and those whose answers the throttle gives.
OTHERS = ["/api/logout", "/logout", "/login", "/api/login"]
# How much is made up for each operation, beside what its description suggests.
EXAMPLES = os.environ.get("GEMA_OPENAPI_EXAMPLES", "8")


def post(url, body):
    """The answer to a JSON request, as an object."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Description(unittest.TestCase):
    """The server does what `/openapi.json` says, and nothing makes it fail."""

    def test_every_operation_keeps_to_its_description(self):
        with Gema("serve", GEMA_LOG="warn") as gema:
            url = f"http://127.0.0.1:{gema.api}"
            login = post(f"{url}/api/login", {"email": "admin@example.com", "password": "password"})
            report = subprocess.run(
                [pathlib.Path(sys.executable).with_name("st"), "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json",
                 "--header", f"Authorization: Bearer {login['token']}", "--max-examples", EXAMPLES, "--seed", "1",
                 "--phases", "examples,coverage,fuzzing", "--checks", "all", "--no-color",
                 *[word for path in OTHERS for word in ("--exclude-path", path)]],
                cwd=gema.folder.name, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual(report.returncode, 0, report.stdout + gema.log())


if __name__ == "__main__":
    unittest.main()
