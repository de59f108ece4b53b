"""The `pusher` library of PyPI, unmodified, against the real server."""
import base64
import json
import unittest

import pusher
import pusher.errors
from nacl.secret import SecretBox

from kit import APP, Client, Gema

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


class Library(unittest.TestCase):
    """One server for all of these: they use channels of their own."""

    @classmethod
    def setUpClass(cls):
        cls.gema = cls.enterClassContext(Gema())

    def library(self, **overrides):
        """The library, pointed at the server."""
        options = {"app_id": APP["id"], "key": APP["key"], "secret": APP["secret"], "host": "127.0.0.1",
                   "port": self.gema.port, "ssl": False, "encryption_master_key_base64": MASTER_KEY, **overrides}
        return pusher.Pusher(**options)

    def client(self):
        """A connected client, closed at the end of the test."""
        client = Client(self.gema)
        self.addCleanup(client.close)
        return client

    def member(self, channel, user_id, **info):
        """A client in a presence channel, authorised by the library."""
        client = self.client()
        data = {"user_id": user_id, "user_info": info}
        return client, client.subscribe(channel, **self.library().authenticate(channel, client.id, data))

    def signed_in(self, user_id):
        """A client signed in by the library, ready for events to its user."""
        client = self.client()
        client.send("pusher:signin", self.library().authenticate_user(client.id, {"id": user_id}))
        answer = client.expect("pusher:signin_success")
        self.assertEqual(json.loads(answer["user_data"]), {"id": user_id})
        client.subscribe(f"#server-to-user-{user_id}")
        return client

    def test_trigger_reaches_the_channel_as_it_was_sent(self):
        client = self.client()
        client.subscribe("news")
        self.assertEqual(self.library().trigger("news", "e", {"text": "é 😀"}), {})
        self.assertEqual(json.loads(client.expect("e", "news")), {"text": "é 😀"})
        self.assertEqual(self.library().trigger("news", "App\\Events\\Sent", "plain text"), {})
        self.assertEqual(client.expect("App\\Events\\Sent", "news"), "plain text")

    def test_trigger_leaves_one_socket_out(self):
        mine, theirs = self.client(), self.client()
        for client in (mine, theirs):
            client.subscribe("orders")
            client.subscribe("bills")
        self.assertEqual(self.library().trigger(["orders", "bills"], "e", "1", mine.id), {})
        self.assertEqual(self.library().trigger("orders", "last", "2"), {})
        self.assertEqual(theirs.expect("e", "orders") + theirs.expect("e", "bills"), "11")
        self.assertEqual((theirs.expect("last", "orders"), mine.expect("last", "orders")), ("2", "2"))

    def test_trigger_batch_in_order_with_one_socket_left_out(self):
        mine, theirs = self.client(), self.client()
        for client in (mine, theirs):
            client.subscribe("batch")
        batch = [{"channel": "batch", "name": "e", "data": {"n": n}} for n in range(10)]
        batch[3]["socket_id"] = mine.id
        self.assertEqual(self.library().trigger_batch(batch), {})
        numbers = [[json.loads(client.expect("e", "batch"))["n"] for _ in range(count)]
                   for client, count in ((theirs, 10), (mine, 9))]
        self.assertEqual(numbers, [list(range(10)), [0, 1, 2, 4, 5, 6, 7, 8, 9]])

    def test_encrypted_events_arrive_as_the_library_sealed_them(self):
        client = self.client()
        channel = "private-encrypted-vault"
        admission = self.library().authenticate(channel, client.id)
        client.subscribe(channel, auth=admission["auth"])
        self.library().trigger(channel, "e", {"text": "é 😀"})
        self.library().trigger_batch([{"channel": channel, "name": "e", "data": "second"}])
        box = SecretBox(base64.b64decode(admission["shared_secret"]))
        opened = []
        for _ in range(2):
            sealed = {key: base64.b64decode(text) for key, text in json.loads(client.expect("e", channel)).items()}
            opened.append(box.decrypt(sealed["ciphertext"], sealed["nonce"]).decode())
        self.assertEqual([json.loads(opened[0]), opened[1]], [{"text": "é 😀"}, "second"])

    def test_what_it_authorises_is_accepted(self):
        client = self.client()
        for channel in ("private-a_=@,.;", "private-cache-a"):
            client.subscribe(channel, **self.library().authenticate(channel, client.id))
            if "cache" in channel:
                client.expect("pusher:cache_miss", channel)
        _, members = self.member("presence-a_=@,.;", "1", name="é / 😀 \"quoted\"")
        self.assertEqual(members["presence"], {"count": 1, "ids": ["1"], "hash": {"1": {"name": "é / 😀 \"quoted\""}}})

    def test_gets_that_hash_the_empty_body(self):
        library = self.library()
        self.assertEqual(library.channels_info("room-"), {"channels": {}})
        self.assertEqual(library.channel_info("nobody-_=@,.;"), {"occupied": False})
        self.assertEqual(library.channel_info("nobody", ["subscription_count"]),
                         {"occupied": False, "subscription_count": 0})
        for user_id in ("1", "2", "2"):
            self.member("presence-room", user_id)
        self.client().subscribe("room-1")
        self.assertEqual(library.channels_info("room-", ["subscription_count"]),
                         {"channels": {"room-1": {"subscription_count": 1}}})
        self.assertEqual(library.channels_info("presence-room", ["user_count"]),
                         {"channels": {"presence-room": {"user_count": 2}}})
        self.assertIn("room-1", library.channels_info()["channels"])
        self.assertEqual(library.channel_info("presence-room", ["user_count"]), {"occupied": True, "user_count": 2})
        ids = [user["id"] for user in library.users_info("presence-room")["users"]]
        self.assertEqual(sorted(ids), ["1", "2"])

    def test_users_of_a_presence_channel_only(self):
        self.assertEqual(self.library().users_info("presence-nobody"), {"users": []})
        with self.assertRaises(pusher.errors.PusherBadRequest):
            self.library().users_info("a")

    def test_events_to_a_user_and_the_end_of_their_connections(self):
        user_id = "ani@example.com"
        tabs = [self.signed_in(user_id), self.signed_in(user_id)]
        other = self.signed_in("budi")
        self.assertEqual(self.library().send_to_user(user_id, "mail", {"n": 1}), {})
        for tab in tabs:
            self.assertEqual(json.loads(tab.expect("mail", f"#server-to-user-{user_id}")), {"n": 1})
        # This version of the library leaves /apps/{id} out of the path.
        self.assertEqual(self.library().terminate_user_connections(user_id), {})
        self.assertEqual([tab.ended() for tab in tabs], [4009, 4009])
        self.library().send_to_user("budi", "mail", "still here")
        self.assertEqual(other.expect("mail", "#server-to-user-budi"), "still here")

    def test_refusals(self):
        with self.assertRaises(pusher.errors.PusherBadAuth):
            self.library(secret="anothersecret9876543").trigger("a", "e", "x")
        with self.assertRaises(pusher.errors.PusherBadAuth):
            self.library(key="anotherkey0123456789").channels_info()
        with self.assertRaises(pusher.errors.PusherBadStatus):
            self.library(app_id="999999").trigger("a", "e", "x")
        with self.assertRaises(pusher.errors.PusherBadRequest):
            self.library().trigger("a", "pusher:error", "x")
        # The library itself stops at 30 KB.
        with self.assertRaisesRegex(pusher.errors.PusherBadStatus, "413"):
            self.library().trigger("a", "e", "x" * 10_241)


if __name__ == "__main__":
    unittest.main()
