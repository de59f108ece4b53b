// Cache channels of all kinds: what a newcomer is told, and in which order.

import { test } from 'node:test';
import { Journal, joined, scene } from './clients.mjs';
import { subscribed } from './kit.mjs';

const [READY, MISS] = ['pusher:subscription_succeeded', 'pusher:cache_miss'];

for (const prefix of ['cache-', 'private-cache-', 'presence-cache-', 'private-encrypted-cache-']) {
  test(`${prefix}: a miss; then the last event comes first, also if nobody was there to hear it`, async (t) => {
    const { pusher, server } = await scene(t);
    const channel = `${prefix}prices`;
    const newcomer = (who) => {
      const client = pusher(who);
      const heard = new Journal();
      const made = client.subscribe(channel);
      made.bind(READY, () => heard.note(READY)());
      heard.follow(made, MISS, 'price');
      return { client, heard };
    };
    const price = (n) => server.trigger(channel, 'price', { n });

    const first = newcomer('ani');
    await first.heard.is([[READY], [MISS]]);
    await price(1);
    await first.heard.reach(3);
    const second = newcomer('budi');
    await second.heard.is([[READY], ['price', { n: 1 }]]);
    await price(2);
    await first.heard.is([[READY], [MISS], ['price', { n: 1 }], ['price', { n: 2 }]]);
    await second.heard.is([[READY], ['price', { n: 1 }], ['price', { n: 2 }]]);

    first.client.disconnect();
    second.client.disconnect();
    await price(3);
    const third = newcomer('citra');
    await third.heard.is([[READY], ['price', { n: 3 }]]);
    await price(4);
    await third.heard.is([[READY], ['price', { n: 3 }], ['price', { n: 4 }]]);
  });
}

test('neither whispers nor the coming and going of members are cached', async (t) => {
  const { pusher, server } = await scene(t);
  const name = 'presence-cache-room';
  const [ani, budi] = [await subscribed(pusher('ani'), name), await subscribed(pusher('budi'), name)];
  await server.trigger(name, 'price', 1);
  const whispered = new Journal().follow(ani, 'client-typing');
  budi.trigger('client-typing', {});
  await whispered.reach(1);
  budi.pusher.unsubscribe(name);
  const heard = new Journal();
  heard.follow(pusher('citra').subscribe(name), 'price', 'client-typing', MISS);
  await heard.reach(1);
  await server.trigger(name, 'price', 2);
  await heard.is([['price', 1], ['price', 2]]);
});

test("through Echo's handlers", async (t) => {
  const { echo, server } = await scene(t);
  const heard = new Journal();
  const prices = echo('ani').private('cache-prices').subscribed(heard.note('subscribed'))
    .on(MISS, heard.note('miss')).listen('Price', heard.note('Price'));
  await joined(prices);
  await heard.reach(2);
  await server.trigger('private-cache-prices', 'App\\Events\\Price', 1);
  await heard.is([['subscribed'], ['miss'], ['Price', 1]]);
});
