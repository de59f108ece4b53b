"""What people deploy with fits the program: compose.yml, its example of settings, nginx' part of it, systemd's units."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

from kit import BINARY, ROOT

COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "gema"}
UNITS = ROOT / "deploy" / "systemd"
# What Laravel has in its file and Gema has no use for.
LARAVEL = {"APP_NAME", "APP_ENV", "APP_DEBUG", "BROADCAST_CONNECTION"}
KEYS = {"REVERB_APP_KEY": "some-key", "REVERB_APP_SECRET": "some-secret", "DB_PASSWORD": "some-password"}
# The file of the Laravel stack, with keys.
OF_LARAVEL = """
APP_NAME="Laravel Absensi"
APP_ENV=local
APP_DEBUG=true
APP_URL=http://localhost
DB_CONNECTION=mysql
DB_HOST=mysql
DB_PORT=3306
DB_DATABASE=laravel_absensi
DB_USERNAME=root
DB_PASSWORD=secret
REDIS_HOST=redis
REDIS_PORT=6379
QUEUE_CONNECTION=redis
BROADCAST_CONNECTION=reverb
REVERB_APP_ID=app1
REVERB_APP_KEY=some-key
REVERB_APP_SECRET=some-secret
REVERB_HOST=localhost
REVERB_PORT=8080
REVERB_SCHEME=http
"""


def variables(text):
    """The variables of a file such as .env.docker."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value.strip('"') for name, value in (line.split("=", 1) for line in lines)}


EXAMPLE = variables((ROOT / "docker" / ".env.docker.example").read_text())


def gema(*arguments, environment=None):
    """Runs a command in an empty folder: its status, and all that it said."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([BINARY, *arguments], cwd=folder, env=environment or {}, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check(service, settings):
    """What `gema config check` says of the settings that a container gets."""
    own = {name: str(value) for name, value in service.get("environment", {}).items()}
    return gema("config", "check", "--role", service["command"][0], environment={**settings, **own})


class Compose(unittest.TestCase):
    """compose.yml and .env.docker.example."""

    def test_each_variable_is_a_setting(self):
        reference = gema("config", "reference")[1]
        known = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", reference))
        named = set(EXAMPLE).union(*(service.get("environment", {}) for service in OURS.values()))
        self.assertEqual(named - known - LARAVEL, set())

    def test_each_role_starts_with_these_settings(self):
        for name, service in OURS.items():
            for settings in ({**EXAMPLE, **KEYS}, variables(OF_LARAVEL)):
                with self.subTest(name):
                    self.assertEqual(check(service, settings), (0, "the settings are in order\n"))

    def test_without_keys_a_server_says_what_to_do(self):
        status, said = check(OURS["reverb"], EXAMPLE)
        self.assertEqual(status, 1)
        self.assertIn("REVERB_APP_KEY and REVERB_APP_SECRET must be set", said)

    def test_services_are_called_as_in_laravel_and_are_looked_after(self):
        names = {"nginx", "app_1", "app_2", "app_3", "mysql", "redis", "reverb", "queue"}
        self.assertEqual(set(SERVICES) - names, {"reverb_2", "migrate"})
        for name, service in SERVICES.items():
            with self.subTest(name):
                self.assertEqual("disable" in service["healthcheck"], name == "migrate")
                self.assertEqual(service["container_name"], f"laravel_absensi_{name}")
        nodes = [SERVICES[name]["environment"]["NODE_ID"] for name in ("app_1", "app_2", "app_3")]
        self.assertEqual(nodes, [1, 2, 3])

    def test_database_and_redis_are_reached_from_the_nodes_alone(self):
        self.assertTrue(COMPOSE["networks"]["back"]["internal"])
        for name in ("mysql", "redis"):
            self.assertEqual(SERVICES[name]["networks"], ["back"], name)
        self.assertEqual({name for name, service in SERVICES.items() if "ports" in service}, {"nginx"})
        self.assertEqual(set(SERVICES["nginx"]["networks"]), {"front"})

    def test_containers_have_few_rights_and_time_to_end(self):
        drain = int(EXAMPLE.get("GEMA_DRAIN_SECONDS", 20))
        for name, service in OURS.items():
            with self.subTest(name):
                self.assertTrue(service["read_only"])
                self.assertEqual((service["cap_drop"], "user" in service), (["ALL"], False))
                # The end of a broadcast server may take 20 s more than is set.
                self.assertGreater(int(service["stop_grace_period"].removesuffix("s")), drain + 20)
        dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
        self.assertRegex(dockerfile, r"FROM scratch\n(?s:.*)\nUSER [1-9]\d*:[1-9]\d*\n")

    def test_the_database_user_comes_from_where_the_migrations_run(self):
        address = SERVICES["migrate"]["networks"]["back"]["ipv4_address"]
        user = SERVICES["migrate"]["environment"]["DB_USERNAME"]
        self.assertIn(f"'{user}'@'{address}'", (ROOT / "docker" / "mysql" / "users.sh").read_text())


class Nginx(unittest.TestCase):
    """docker/nginx as compose.yml uses it."""

    def setUp(self):
        hosts = (line.split(":") for line in SERVICES["nginx"]["extra_hosts"])
        self.hosts = dict(hosts)

    def test_its_names_are_those_of_the_services(self):
        services = ["app_1", "app_2", "app_3", "reverb", "reverb_2"]
        addresses = [SERVICES[name]["networks"]["front"]["ipv4_address"] for name in services]
        self.assertEqual(list(self.hosts.values()), addresses)
        upstreams = (ROOT / "docker" / "nginx" / "upstreams.conf").read_text()
        self.assertEqual(set(re.findall(r"server ([\w-]+):", upstreams)), set(self.hosts))

    def test_the_nodes_trust_it_and_nobody_else(self):
        address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
        for name in ("app_1", "app_2", "app_3"):
            self.assertEqual(SERVICES[name]["environment"]["TRUSTED_PROXIES"], address)

    def test_nginx_takes_the_configuration(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copytree(ROOT / "docker" / "nginx", folder, dirs_exist_ok=True)
            for path in folder.rglob("*.conf"):
                text = re.sub(r"listen \d+ reuseport backlog=\d+", f"listen unix:{folder}/{path.stem}", path.read_text())
                text = re.sub("/(run|var/log/nginx)/", f"{folder}/", text)
                for host, address in self.hosts.items():
                    text = text.replace(f"{host}:", f"{address}:")
                own = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
                path.write_text(text + own if path.name == "upstreams.conf" else text)
            path = os.environ["PATH"] + ":/usr/sbin"
            done = subprocess.run(["nginx", "-t", "-p", folder, "-c", "nginx.conf", "-e", "error"], capture_output=True,
                                  env={"PATH": path}, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


class Systemd(unittest.TestCase):
    """deploy/systemd."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.units = pathlib.Path(self.folder.name) / "units"
        shutil.copytree(UNITS, self.units)
        for unit in self.units.glob("*.service"):
            # The program has to be there.
            unit.write_text(unit.read_text().replace("/usr/local/bin/gema", sys.executable))

    def analyze(self, *arguments):
        """What systemd-analyze says, which is nothing if all is well."""
        done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)
        return done.returncode, done.stderr

    def test_systemd_takes_each_unit(self):
        units = sorted(self.units.glob("*.service"))
        self.assertEqual(len(units), 4)
        for unit in units:
            with self.subTest(unit.name):
                # Version 252 mentions unknown keys and succeeds.
                self.assertEqual(self.analyze("verify", "--man=no", str(unit)), (0, ""))

    def test_a_misspelled_key_would_be_found(self):
        common = self.units / "gema-.service.d" / "common.conf"
        common.write_text(common.read_text() + "ProtectHouse=yes\n")
        self.assertIn("ProtectHouse", self.analyze("verify", "--man=no", str(self.units / "gema-worker.service"))[1])

    def test_services_have_few_rights(self):
        # Of 100; 16 today. Most services that Debian ships have above 90.
        arguments = ["security", "--offline=true", "--threshold=20", str(self.units / "gema-serve.service")]
        self.assertEqual(self.analyze(*arguments)[0], 0)

    def test_services_have_time_to_end(self):
        common = (self.units / "gema-.service.d" / "common.conf").read_text()
        self.assertGreater(int(re.search(r"^TimeoutStopSec=(\d+)$", common, re.M)[1]), 20 + 20)
        self.assertIn("\nKillSignal=SIGTERM\n", common)


if __name__ == "__main__":
    unittest.main()
