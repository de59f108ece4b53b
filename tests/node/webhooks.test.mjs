// The `pusher` library from npm, unmodified, judges webhooks of the real server.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { library } from './clients.mjs';
import { atEnd, pusherClient, start, subscribed, until } from './kit.mjs';

/** Takes webhooks as an application does: headers and body as they came. */
async function hookEndpoint(t) {
  const received = [];
  const server = http.createServer(async (request, response) => {
    let rawBody = '';
    for await (const chunk of request) rawBody += chunk;
    received.push({ headers: request.headers, rawBody });
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { received, url: `http://127.0.0.1:${server.address().port}/hook` };
}

/** What an app's settings add to the environment. */
const told = (hooks) => ({ env: { REVERB_APP_WEBHOOK_URL: hooks.url, REVERB_APP_SUBSCRIPTION_COUNT: 'true' } });

test('the library takes every webhook for genuine, and reads its events and time', async (t) => {
  const hooks = await hookEndpoint(t);
  const gema = await start(t, told(hooks));
  const client = pusherClient(t, gema);
  await subscribed(client, 'room');
  await subscribed(client, 'cache-room');
  client.unsubscribe('room');
  const events = () => hooks.received.flatMap((request) => library(gema).webhook(request).getEvents());
  await until(() => events().some(({ name }) => name === 'channel_vacated'), 'the room is told to be empty');
  for (const request of hooks.received) {
    const webhook = library(gema).webhook(request);
    assert.ok(webhook.isValid(), request.rawBody);
    assert.ok(Math.abs(webhook.getTime() - Date.now()) < 300_000, webhook.getTime());
  }
  assert.deepEqual(events().filter(({ channel }) => channel === 'room'), [
    { name: 'channel_occupied', channel: 'room' },
    { name: 'subscription_count', channel: 'room', subscription_count: 1 },
    { name: 'subscription_count', channel: 'room', subscription_count: 0 },
    { name: 'channel_vacated', channel: 'room' },
  ]);
  assert.ok(events().some(({ name, channel }) => name === 'cache_miss' && channel === 'cache-room'));
});

test('the library refuses a webhook of another app, and one that was changed on its way', async (t) => {
  const hooks = await hookEndpoint(t);
  const gema = await start(t, told(hooks));
  await subscribed(pusherClient(t, gema), 'room');
  await until(() => hooks.received.length, 'a webhook');
  const [request] = hooks.received;
  assert.ok(library(gema).webhook(request).isValid());
  assert.ok(!library(gema, { secret: 'anothersecret9876543' }).webhook(request).isValid());
  assert.ok(!library(gema, { key: 'anotherkey9876543210' }).webhook(request).isValid());
  const rawBody = request.rawBody.replace('room', 'hall');
  assert.ok(!library(gema).webhook({ ...request, rawBody }).isValid());
});
