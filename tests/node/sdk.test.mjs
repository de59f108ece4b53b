// The `pusher` server library from npm, unmodified, against the real server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import PusherServer from 'pusher';
import { Journal, library, scene } from './clients.mjs';
import { APP, once, pusherClient, start, subscribed } from './kit.mjs';

const json = async (answer) => (await answer).json();

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

test('get: the members of a room and what is cached', async (t) => {
  const { pusher, server } = await scene(t);
  const tabs = [pusher('ani'), pusher('ani'), pusher('budi')];
  for (const tab of tabs) await subscribed(tab, 'presence-a');
  await subscribed(tabs[0], 'private-cache-b');
  await server.trigger('private-cache-b', 'price', { n: 1 });
  const get = (path, params) => json(server.get({ path, params }));
  assert.deepEqual((await get('/channels/presence-a/users')).users.map(({ id }) => id).sort(), ['10', '11']);
  assert.deepEqual(await get('/channels/presence-a', { info: 'user_count' }), { occupied: true, user_count: 2 });
  assert.deepEqual(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count' }),
    { channels: { 'presence-a': { user_count: 2 } } });
  const { cache, occupied } = await get('/channels/private-cache-b', { info: 'cache' });
  assert.deepEqual([occupied, cache.data], [true, '{"n":1}']);
  assert.ok(cache.ttl > 0 && cache.ttl <= 1800, `${cache.ttl}`);
  await assert.rejects(server.get({ path: '/channels/a/users' }), (error) => error.status === 400);
});

test('socket_id: one socket is left out, of one channel, of several and of items of a batch', async (t) => {
  const gema = await start(t);
  const [mine, theirs] = [pusherClient(t, gema), pusherClient(t, gema)];
  const heard = await Promise.all([mine, theirs].map(async (client) => {
    const journal = new Journal();
    for (const name of ['a', 'b']) journal.follow(await subscribed(client, name), 'e');
    return journal;
  }));
  const socket_id = mine.connection.socket_id;
  const server = library(gema);
  await server.trigger('a', 'e', 1, { socket_id });
  await server.trigger(['a', 'b'], 'e', 2, { socket_id });
  const answer = await json(server.triggerBatch([
    { channel: 'a', name: 'e', data: 3, socket_id, info: 'subscription_count' }, { channel: 'b', name: 'e', data: 4 },
  ]));
  assert.deepEqual(answer, { batch: [{ subscription_count: 2 }, {}] });
  await heard[1].is([['e', 1], ['e', 2], ['e', 2], ['e', 3], ['e', 4]]);
  await heard[0].is([['e', 4]]);
});

test('encrypted events, alone and in a batch, up to a full payload', async (t) => {
  const { pusher, server } = await scene(t);
  const heard = new Journal().follow(await subscribed(pusher('ani'), 'private-encrypted-a'), 'e');
  await server.trigger('private-encrypted-a', 'e', { text: 'é 😀' });
  await server.triggerBatch([1, 2].map((n) => ({ channel: 'private-encrypted-a', name: 'e', data: n })));
  const full = 'x'.repeat(7_500);
  await server.trigger('private-encrypted-a', 'e', full);
  await heard.is([['e', { text: 'é 😀' }], ['e', 1], ['e', 2], ['e', full]]);
});

test('a hundred channels in one trigger', async (t) => {
  const gema = await start(t);
  const client = pusherClient(t, gema);
  const names = Array.from({ length: 100 }, (_, index) => `c-${index}`);
  const heard = new Journal();
  for (const name of names) heard.follow(await subscribed(client, name), 'e');
  const { channels } = await json(library(gema).trigger(names, 'e', {}, { info: 'subscription_count' }));
  assert.deepEqual(channels, Object.fromEntries(names.map((name) => [name, { subscription_count: 1 }])));
  await heard.is(names.map(() => ['e', {}]));
});

test('forURL, and events and terminations for ids with punctuation', async (t) => {
  const id = 'ani@example.com;a,b=c';
  const { gema, pusher } = await scene(t, { people: { ani: { id } } });
  const server = PusherServer.forURL(`http://${APP.key}:${APP.secret}@127.0.0.1:${gema.port}/apps/${APP.id}`);
  const client = pusher('ani');
  client.signin();
  const heard = new Journal().follow(client.user, 'mail');
  const channel = await once(client.connection, 'message');
  assert.equal(channel.event, 'pusher:signin_success');
  await once(client.connection, 'message');
  await server.sendToUser(id, 'mail', 1);
  await heard.is([['mail', 1]]);
  const gone = once(client.connection, 'disconnected');
  await server.terminateUserConnections(id);
  await gone;
});

test('authorizeChannel makes what the server accepts, for every kind and every character of a name', async (t) => {
  const gema = await start(t);
  const server = library(gema);
  const member = { user_id: '1/é😀', user_info: { name: 'é / 😀 "quoted"' } };
  const customHandler = ({ socketId, channelName }, callback) => (
    callback(null, server.authorizeChannel(socketId, channelName, channelName.startsWith('presence-') && member)));
  const client = pusherClient(t, gema, { channelAuthorization: { customHandler } });
  for (const prefix of ['private-', 'private-cache-', 'private-encrypted-', 'private-encrypted-cache-']) {
    await subscribed(client, `${prefix}a_=@,.;`);
  }
  for (const prefix of ['presence-', 'presence-cache-']) {
    const { members } = await subscribed(client, `${prefix}a_=@,.;`);
    assert.deepEqual(members.me, { id: member.user_id, info: member.user_info });
  }
});

test('a refusal reaches the caller with its status and its reason', async (t) => {
  const gema = await start(t);
  const wrong = library(gema, { secret: 'anothersecret9876543' });
  await assert.rejects(wrong.trigger('a', 'e', {}), (error) => error.status === 401 && /signature/i.test(error.body));
  await assert.rejects(library(gema, { appId: '999999' }).trigger('a', 'e', {}), (error) => error.status === 404);
  await assert.rejects(library(gema).trigger('a', 'e', 'x'.repeat(10_241)), (error) => error.status === 413);
});
