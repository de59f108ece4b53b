// Echo's channels in the life of an app: several people, each handler called with the right thing in the right order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal, joined, library, scene } from './clients.mjs';
import { subscribed, until } from './kit.mjs';

const NOTIFICATION = 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated';

/** Waits until the server counts nobody on a channel. */
const empty = (server, channel) => until(async () => (
  !(await (await server.get({ path: `/channels/${channel}` })).json()).occupied), `${channel} is empty`);

test('private: events, whispers and notifications in the order they were sent, and nothing of its own', async (t) => {
  const { echo, server } = await scene(t);
  const [heard, other] = [new Journal(), new Journal()];
  const mine = echo('ani').private('chat').subscribed(heard.note('subscribed')).error(heard.note('error'))
    .listen('Said', heard.note('Said')).listenForWhisper('typing', heard.note('typing'))
    .notification(heard.note('notification'));
  const theirs = await joined(echo('budi').private('chat').listenForWhisper('typing', other.note('typing')));
  await joined(mine);
  await server.trigger('private-chat', 'App\\Events\\Said', { n: 1 });
  theirs.whisper('typing', { who: 'Budi' });
  await heard.reach(3);
  mine.whisper('typing', { who: 'Ani' });
  await other.reach(1);
  await server.trigger('private-chat', NOTIFICATION, { id: 'uuid', type: 'App\\Notifications\\Paid' });
  await server.trigger('private-chat', 'App\\Events\\Said', { n: 2 });
  await heard.is([['subscribed'], ['Said', { n: 1 }], ['typing', { who: 'Budi' }],
    ['notification', { id: 'uuid', type: 'App\\Notifications\\Paid' }], ['Said', { n: 2 }]]);
  await other.is([['typing', { who: 'Ani' }]]);
});

test('leave: nothing of the channel and its variants comes any more, and coming back works', async (t) => {
  const { echo, server } = await scene(t);
  const client = echo('ani');
  const heard = new Journal();
  const kinds = { channel: 'room', private: 'private-room', encryptedPrivate: 'private-encrypted-room',
    join: 'presence-room' };
  const enter = () => Promise.all(Object.keys(kinds).map((kind) => (
    joined(client[kind]('room').listen('.news', heard.note(kind))))));
  const publish = async () => {
    for (const channel of Object.values(kinds)) await server.trigger(channel, 'news', {});
    await server.trigger('barrier', 'news', {});
  };
  await joined(client.channel('barrier').listen('.news', heard.note('barrier')));
  await enter();
  client.leave('room');
  for (const channel of Object.values(kinds)) await empty(server, channel);
  await publish();
  await heard.is([['barrier', {}]]);
  await enter();
  await publish();
  await heard.is([['barrier', {}], ...Object.keys(kinds).map((kind) => [kind, {}]), ['barrier', {}]]);
});

test('encryptedPrivate: end to end, and over a change of the master key', async (t) => {
  const { back, echo, gema, server } = await scene(t);
  const heard = new Journal();
  const vault = await joined(echo('ani').encryptedPrivate('vault').listen('.opened', heard.note('opened')));
  await server.trigger('private-encrypted-vault', 'opened', { by: 'é 😀' });
  await heard.reach(1);
  assert.throws(() => vault.whisper('typing', {}), /not currently supported for encrypted channels/);

  const fresh = Buffer.alloc(32, 8).toString('base64');
  back.useKey(fresh);
  await library(gema, { encryptionMasterKeyBase64: fresh }).trigger('private-encrypted-vault', 'opened', 'plain text');
  await heard.is([['opened', { by: 'é 😀' }], ['opened', 'plain text']]);
  assert.equal(back.requests.length, 2, 'the client asked once more for the key');
});

test('error: a refusal of the back end reaches the channel, and the others are untouched', async (t) => {
  const { echo, server } = await scene(t);
  const client = echo('ani');
  const [refused, heard] = [new Journal(), new Journal()];
  const status = (name) => ({ status: code }) => refused.note(name)(code);
  client.private('denied').error(status('private'));
  await refused.reach(1);
  client.join('denied').error(status('presence'));
  await refused.reach(2);
  client.encryptedPrivate('denied').error(status('encrypted'));
  await joined(client.private('chat').listen('.e', heard.note('e')));
  await server.trigger('private-chat', 'e', 1);
  await heard.is([['e', 1]]);
  await refused.is([['private', 403], ['presence', 403], ['encrypted', 403]]);
  assert.equal(client.connectionStatus(), 'connected');
});

test('toOthers: every other tab hears it, on each kind of channel', async (t) => {
  const { echo, server } = await scene(t);
  const channels = ['orders', 'private-orders', 'presence-orders'];
  const tabs = await Promise.all(['ani', 'ani', 'budi'].map(async (who) => {
    const client = echo(who);
    const heard = new Journal();
    for (const kind of ['channel', 'private', 'join']) {
      await joined(client[kind]('orders').listen('Placed', heard.note(kind)));
    }
    return { client, heard };
  }));
  const socket_id = tabs[0].client.socketId();
  await server.trigger(channels, 'App\\Events\\Placed', 1, { socket_id });
  await server.trigger(channels, 'App\\Events\\Placed', 2);
  const [own, ...others] = [1, 2].map((n) => [['channel', n], ['private', n], ['join', n]]);
  await tabs[0].heard.is(others[0]);
  for (const { heard } of tabs.slice(1)) await heard.is([...own, ...others[0]]);
});

test('subscription counts, where an app has them: after each coming and going, on all but presence channels', async (t) => {
  const { pusher } = await scene(t, { env: { REVERB_APP_SUBSCRIPTION_COUNT: 'true' } });
  const [ready, count] = ['pusher:subscription_succeeded', 'pusher:subscription_count'];
  const told = (n) => [count, { subscription_count: n }];
  const [mine, theirs] = [pusher('ani'), pusher('budi')];
  for (const name of ['orders', 'private-orders', 'cache-orders']) {
    const channel = mine.subscribe(name);
    const seen = new Journal().follow(channel, ready, count);
    await seen.reach(2);
    const other = new Journal().follow(theirs.subscribe(name), ready, count);
    await other.is([[ready, {}], told(2)]);
    await seen.is([[ready, {}], told(1), told(2)]);
    theirs.unsubscribe(name);
    await seen.is([[ready, {}], told(1), told(2), told(1)]);
    assert.equal(channel.subscriptionCount, 1);
  }
  const room = await subscribed(mine, 'presence-orders');
  const seen = new Journal().follow(room, count, 'pusher:member_added', 'pusher:member_removed');
  await subscribed(theirs, 'presence-orders');
  theirs.disconnect();
  await seen.reach(2);
  assert.deepEqual(seen.entries.map(([event]) => event), ['pusher:member_added', 'pusher:member_removed']);
});
