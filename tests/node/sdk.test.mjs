// The `pusher` server library from npm, unmodified, against the real server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import PusherServer from 'pusher';
import { APP, once, pusherClient, start, subscribed } from './kit.mjs';

function library(gema, overrides = {}) {
  return new PusherServer({
    appId: APP.id, key: APP.key, secret: APP.secret, host: '127.0.0.1', port: String(gema.port), useTLS: false,
    ...overrides,
  });
}

test('trigger to several channels, with info', async (t) => {
  const gema = await start(t);
  const channel = await subscribed(pusherClient(t, gema), 'a');
  const arrived = once(channel, 'e');
  const answer = await library(gema).trigger(['a', 'b'], 'e', { n: 1 }, { info: 'subscription_count' });
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { channels: { a: { subscription_count: 1 }, b: { subscription_count: 0 } } });
  assert.deepEqual(await arrived, { n: 1 });
});

test('triggerBatch keeps the order', async (t) => {
  const gema = await start(t);
  const channel = await subscribed(pusherClient(t, gema), 'a');
  const seen = [];
  channel.bind('e', (data) => seen.push(data.n));
  const last = once(channel, 'last');
  const batch = [1, 2, 3].map((n) => ({ channel: 'a', name: 'e', data: { n } }));
  await library(gema).triggerBatch([...batch, { channel: 'a', name: 'last', data: {} }]);
  await last;
  assert.deepEqual(seen, [1, 2, 3]);
});

test('get: channels, one channel, with punctuation in its name', async (t) => {
  const gema = await start(t);
  const name = 'a-_=@,.;b';
  const client = pusherClient(t, gema);
  await subscribed(client, name);
  await subscribed(client, 'other');
  const get = async (path, params) => (await library(gema).get({ path, params })).json();
  assert.deepEqual(await get('/channels'), { channels: { [name]: {}, other: {} } });
  assert.deepEqual(await get('/channels', { filter_by_prefix: 'oth', info: 'subscription_count,user_count' }),
    { channels: { other: { subscription_count: 1 } } });
  assert.deepEqual(await get(`/channels/${name}`, { info: 'subscription_count' }),
    { occupied: true, subscription_count: 1 });
  assert.deepEqual(await get('/connections'), { connections: 1 });
});

test('authorizeChannel makes what the server accepts', async (t) => {
  const gema = await start(t);
  const server = library(gema);
  const customHandler = ({ socketId, channelName }, callback) => (
    callback(null, server.authorizeChannel(socketId, channelName)));
  const client = pusherClient(t, gema, { channelAuthorization: { customHandler } });
  await subscribed(client, 'private-a_=@,.;');
});

test('a refusal reaches the caller with its status and its reason', async (t) => {
  const gema = await start(t);
  const wrong = library(gema, { secret: 'anothersecret9876543' });
  await assert.rejects(wrong.trigger('a', 'e', {}), (error) => error.status === 401 && /signature/i.test(error.body));
  await assert.rejects(library(gema, { appId: '999999' }).trigger('a', 'e', {}), (error) => error.status === 404);
  await assert.rejects(library(gema).trigger('a', 'e', 'x'.repeat(10_241)), (error) => error.status === 413);
});
