"""The `pusher` library of PyPI, unmodified, against the real server."""
import hashlib
import hmac
import unittest

import pusher
import pusher.errors

from kit import APP, Gema


class Library(unittest.TestCase):
    """One server for all of these: they use channels of their own."""

    @classmethod
    def setUpClass(cls):
        cls.gema = cls.enterClassContext(Gema())

    def client(self, **overrides):
        """The library, pointed at the server."""
        options = {"app_id": APP["id"], "key": APP["key"], "secret": APP["secret"], "host": "127.0.0.1",
                   "port": self.gema.port, "ssl": False, **overrides}
        return pusher.Pusher(**options)

    def test_trigger(self):
        self.assertEqual(self.client().trigger("a", "e", {"text": "é 😀"}), {})
        self.assertEqual(self.client().trigger(["a", "private-b"], "e", "plain text", "1.2"), {})

    def test_trigger_batch(self):
        batch = [{"channel": "a", "name": "e", "data": {"n": n}} for n in range(10)]
        self.assertEqual(self.client().trigger_batch(batch), {})
        self.assertEqual(self.client().trigger_batch(batch, already_encoded=False), {})

    def test_gets_that_hash_the_empty_body(self):
        self.assertEqual(self.client().channels_info(), {"channels": {}})
        self.assertEqual(self.client().channels_info("room-", ["subscription_count"]), {"channels": {}})
        self.assertEqual(self.client().channel_info("a-_=@,.;"), {"occupied": False})
        self.assertEqual(self.client().channel_info("a", ["subscription_count"]),
                         {"occupied": False, "subscription_count": 0})

    def test_users_of_a_presence_channel(self):
        self.assertEqual(self.client().users_info("presence-a"), {"users": []})
        with self.assertRaises(pusher.errors.PusherBadRequest):
            self.client().users_info("a")

    def test_send_to_user(self):
        self.assertEqual(self.client().send_to_user("user-1", "e", {"n": 1}), {})

    def test_authenticate_signs_as_documented(self):
        signed = self.client().authenticate("private-a", "1.2")
        digest = hmac.new(APP["secret"].encode(), b"1.2:private-a", hashlib.sha256).hexdigest()
        self.assertEqual(signed, {"auth": f"{APP['key']}:{digest}"})

    def test_refusals(self):
        with self.assertRaises(pusher.errors.PusherBadAuth):
            self.client(secret="anothersecret9876543").trigger("a", "e", "x")
        with self.assertRaises(pusher.errors.PusherBadStatus):
            self.client(app_id="999999").trigger("a", "e", "x")
        with self.assertRaises(pusher.errors.PusherBadRequest):
            self.client().trigger("a", "pusher:error", "x")


if __name__ == "__main__":
    unittest.main()
