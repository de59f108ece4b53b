"""Pysher of PyPI, unmodified: a client of its own making, of protocol 6, whose pings carry an empty text as data."""
import json
import logging
import queue
import unittest

import pusher
import pysher

from kit import APP, PATIENCE, Gema


class Pysher(unittest.TestCase):
    """One server; each client has channels of its own."""

    @classmethod
    def setUpClass(cls):
        cls.gema = cls.enterClassContext(Gema())

    def setUp(self):
        self.library = pusher.Pusher(app_id=APP["id"], key=APP["key"], secret=APP["secret"], host="127.0.0.1",
                                     port=self.gema.port, ssl=False)

    def client(self, **user):
        """A connected client, and the queue of all that its connection and its channels are told."""
        told = queue.Queue()
        client = pysher.Pusher(APP["key"], secret=APP["secret"], user_data=user, secure=False, port=self.gema.port,
                               custom_host="127.0.0.1", log_level=logging.CRITICAL)
        for event in ("pusher:connection_established", "pusher:pong", "pusher:error"):
            client.connection.bind(event, lambda data, event=event: told.put((event, data)))
        # It sends a subscription before it can be listened to, so handlers of a channel may miss the answer.
        client.connection.event_handler = lambda event, data, channel: told.put((event, data))
        client.connect()
        # Its thread may sleep for 100 s before it notices; it does not keep the process.
        self.addCleanup(client.disconnect, timeout=0)
        self.expect(told, "pusher:connection_established")
        self.expect(told, "pusher:pong")
        return client, told

    def expect(self, told, event):
        """The data of the next event, which must be this one."""
        name, data = told.get(timeout=PATIENCE)
        self.assertEqual(name, event)
        return data

    def subscribe(self, client, told, name):
        """Joins a channel; the channel and the data of the confirmation."""
        return client.subscribe(name), json.loads(self.expect(told, "pusher_internal:subscription_succeeded"))

    def test_r_reverb_237_its_empty_ping_is_answered_and_nobody_is_harmed(self):
        client, told = self.client()
        self.subscribe(client, told, "news")
        self.client()
        self.library.trigger("news", "e", "here")
        self.assertEqual(self.expect(told, "e"), "here")

    def test_private_and_presence_channels(self):
        ani, told = self.client(user_id="10", user_info={"name": "Ani"})
        self.subscribe(ani, told, "private-orders")
        _, members = self.subscribe(ani, told, "presence-room")
        self.assertEqual(members["presence"], {"count": 1, "ids": ["10"], "hash": {"10": {"name": "Ani"}}})

        budi, heard = self.client(user_id="11")
        orders, _ = self.subscribe(budi, heard, "private-orders")
        _, members = self.subscribe(budi, heard, "presence-room")
        self.assertEqual(members["presence"]["count"], 2)
        self.assertEqual(json.loads(self.expect(told, "pusher_internal:member_added"))["user_id"], "11")
        orders.trigger("client-typing", {"who": "Budi"})
        self.assertEqual(self.expect(told, "client-typing"), {"who": "Budi"})
        self.library.trigger("private-orders", "e", {"n": 1})
        for events in (told, heard):
            self.assertEqual(json.loads(self.expect(events, "e")), {"n": 1})


if __name__ == "__main__":
    unittest.main()
