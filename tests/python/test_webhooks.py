"""The `pusher` library of PyPI, unmodified, judges webhooks of the real server."""
import http.server
import queue
import threading
import unittest

import pusher

from kit import APP, PATIENCE, Client, Gema


class Hooks:
    """Takes webhooks as an application does: headers and body as they came. A context."""

    def __enter__(self):
        received = self.received = queue.SimpleQueue()

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers everything with 204."""

            def do_POST(self):
                """Keeps the request."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put((self.headers["X-Pusher-Key"], self.headers["X-Pusher-Signature"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Webhooks(unittest.TestCase):
    """What `validate_webhook` says of real deliveries."""

    def setUp(self):
        self.hooks = self.enterContext(Hooks())
        self.gema = self.enterContext(Gema(REVERB_APP_WEBHOOK_URL=self.hooks.url))

    def library(self, **overrides):
        """The library, with the app's credentials unless others are given."""
        return pusher.Pusher(**{"app_id": APP["id"], "key": APP["key"], "secret": APP["secret"], **overrides})

    def test_events_of_a_member_are_genuine(self):
        client = Client(self.gema)
        client.subscribe("presence-a", **self.library().authenticate("presence-a", client.id, {"user_id": "7"}))
        client.close()
        events = []
        while {"name": "channel_vacated", "channel": "presence-a"} not in events:
            key, signature, body = self.hooks.received.get(timeout=PATIENCE)
            webhook = self.library().validate_webhook(key, signature, body.decode())
            self.assertIsNotNone(webhook, body)
            events += webhook["events"]
        self.assertEqual(events, [
            {"name": "channel_occupied", "channel": "presence-a"},
            {"name": "member_added", "channel": "presence-a", "user_id": "7"},
            {"name": "member_removed", "channel": "presence-a", "user_id": "7"},
            {"name": "channel_vacated", "channel": "presence-a"},
        ])

    def test_what_is_not_genuine_is_refused(self):
        client = Client(self.gema)
        self.addCleanup(client.close)
        client.subscribe("room")
        key, signature, body = self.hooks.received.get(timeout=PATIENCE)
        body = body.decode()
        self.assertIsNotNone(self.library().validate_webhook(key, signature, body))
        self.assertIsNone(self.library(secret="anothersecret9876543").validate_webhook(key, signature, body))
        self.assertIsNone(self.library().validate_webhook("anotherkey9876543210", signature, body))
        self.assertIsNone(self.library().validate_webhook(key, signature, body.replace("room", "hall")))


if __name__ == "__main__":
    unittest.main()
