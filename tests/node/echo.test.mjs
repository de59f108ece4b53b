// laravel-echo from npm, unmodified, against the real server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Echo from 'laravel-echo';
import PusherServer from 'pusher';
import Pusher from 'pusher-js';
import { APP, authEndpoint, browserOptions, start, until } from './kit.mjs';
import { record } from './recorder.mjs';
import { exists, transcript } from './vectors.mjs';

function echo(t, gema, endpoint, options = {}) {
  const made = new Echo({
    broadcaster: 'reverb', Pusher, key: APP.key, ...browserOptions(gema), namespace: 'App.Events',
    authEndpoint: `${endpoint.base}/broadcasting/auth`, csrfToken: 'TOK', bearerToken: 'BT', ...options,
  });
  t.after(() => made.disconnect());
  return made;
}

function publisher(gema) {
  return new PusherServer({
    appId: APP.id, key: APP.key, secret: APP.secret, host: '127.0.0.1', port: String(gema.port), useTLS: false,
  });
}

const joined = (channel) => until(() => channel.subscription.subscribed, `subscribed to ${channel.name}`);

test('sends the frames and asks for signatures as on record', async (t) => {
  const gema = await start(t);
  const endpoint = await authEndpoint(t);
  const seen = await record(t, gema);
  const client = echo(t, gema, endpoint, { wsPort: seen.port });
  await joined(client.channel('orders'));
  const chat = client.private('chat.1');
  await joined(chat);
  chat.whisper('typing', { a: 1 });
  client.leave('chat.1');
  const expected = transcript('echo.client_frames');
  await seen.frame(expected.frames.at(-1));
  const signed = seen.frames.map((frame) => frame.replace(/"auth":"[^"]+"/, '"auth":"KEY:sig"'));
  assert.deepEqual(signed, expected.frames.filter(exists));
  assert.equal(seen.targets[0], expected.url.replace('KEY', APP.key));
  const [request] = transcript('echo.auth_requests').requests;
  const socketId = /socket_id=([\d.]+)/.exec(endpoint.requests[0].body)[1];
  assert.deepEqual(endpoint.requests[0], { ...request, body: request.body.replace('5.6', socketId) });
});

test('calls the handlers on record', async (t) => {
  const gema = await start(t);
  const endpoint = await authEndpoint(t);
  const client = echo(t, gema, endpoint);
  const calls = [];
  const note = (name) => (...args) => calls.push(JSON.parse(JSON.stringify([name, ...args])));
  const orders = client.channel('orders').subscribed(note('subscribed')).listenToAll((event, data) => note('all')(event, data))
    .listen('OrderShipped', note('listen OrderShipped'))
    .listen('.attendance.created', note('listen .attendance.created'))
    .listen('Shop.OrderPaid', note('listen Shop.OrderPaid'));
  await joined(orders);
  client.private('denied').error(note('denied error'));
  await until(() => calls.length === 2, 'subscribed and denied');
  const chat = client.private('chat.1').listenForWhisper('typing', note('whisper'));
  const user = client.private('App.Models.User.1').notification(note('notification'));
  const other = echo(t, gema, endpoint).private('chat.1');
  await Promise.all([chat, user, other].map(joined));

  const server = publisher(gema);
  await server.trigger('orders', 'App\\Events\\OrderShipped', { id: 1 });
  await server.trigger('orders', 'attendance.created', { id: 2 });
  await server.trigger('orders', 'App\\Events\\Shop\\OrderPaid', { id: 3 });
  await until(() => calls.length === 8, 'three events, twice each');
  other.whisper('typing', { who: 1 });
  await until(() => calls.length === 9, 'a whisper');
  const notification = 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated';
  await server.trigger('private-App.Models.User.1', notification, { id: 'uuid', type: 'App\\Notifications\\X' });
  await until(() => calls.length === 10, 'a notification');

  const presence = new Set(['here', 'joining', 'leaving']);
  const expected = transcript('echo.callbacks').events.filter(([name]) => !presence.has(name));
  const text = JSON.stringify(expected).replaceAll('http://app.test', endpoint.base);
  assert.deepEqual(calls, JSON.parse(text));
});

test('toOthers: the socket id that Echo reports is left out', async (t) => {
  const gema = await start(t);
  const endpoint = await authEndpoint(t);
  const [mine, theirs] = [echo(t, gema, endpoint), echo(t, gema, endpoint)];
  const heard = [];
  const listen = (client, name) => joined(client.channel('c').listenToAll((event, data) => heard.push([name, data])));
  await Promise.all([listen(mine, 'mine'), listen(theirs, 'theirs')]);
  await publisher(gema).trigger('c', 'e', 'first', { socket_id: mine.socketId() });
  await publisher(gema).trigger('c', 'e', 'second');
  await until(() => heard.length === 3, 'three deliveries');
  assert.deepEqual(heard.filter(([name]) => name === 'mine'), [['mine', 'second']]);
});
