// laravel-echo from npm, unmodified, against the real server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echoClient, joined, library } from './clients.mjs';
import { authEndpoint, start, until } from './kit.mjs';
import { record } from './recorder.mjs';
import { requestsOf, transcript, unsigned } from './vectors.mjs';

const echo = (t, gema, endpoint, options = {}) => echoClient(t, gema, {
  namespace: 'App.Events', authEndpoint: `${endpoint.base}/broadcasting/auth`, csrfToken: 'TOK', bearerToken: 'BT',
  userAuthentication: { endpoint: `${endpoint.base}/broadcasting/user-auth`, headers: {} }, ...options,
});

test('sends the frames and asks the back end as on record', async (t) => {
  const gema = await start(t);
  const person = '{"user_id":"10","user_info":{"id":10,"name":"A"}}';
  const endpoint = await authEndpoint(t, { person, user: '{"id":"10"}' });
  const seen = await record(t, gema);
  const client = echo(t, gema, endpoint, { wsPort: seen.port });
  await joined(client.channel('orders'));
  const chat = client.private('chat.1');
  await joined(chat);
  const denied = new Promise((resolve) => { client.private('denied').error(resolve); });
  assert.equal((await denied).status, 403);
  await joined(client.join('room.1'));
  chat.whisper('typing', { a: 1 });
  client.connector.signin();
  await seen.frame('{"event":"pusher:subscribe","data":{"auth":"","channel":"#server-to-user-10"}}');
  client.leave('chat.1');
  const expected = transcript('echo.client_frames');
  await seen.frame(expected.frames.at(-1));
  assert.deepEqual(unsigned(seen.frames), unsigned(expected.frames));
  assert.equal(seen.targets[0], expected.url.replace('KEY', gema.app.key));
  assert.deepEqual(endpoint.requests, requestsOf('echo.auth_requests', client.socketId()));
});

test('calls the handlers on record', async (t) => {
  const gema = await start(t);
  const endpoint = await authEndpoint(t, { person: '{"user_id":"10","user_info":{"id":10,"name":"A"}}' });
  const visitor = await authEndpoint(t, { person: '{"user_id":"11","user_info":{"id":11}}' });
  const client = echo(t, gema, endpoint);
  const calls = [];
  const note = (name) => (...args) => calls.push(JSON.parse(JSON.stringify([name, ...args])));
  const orders = client.channel('orders').subscribed(note('subscribed'))
    .listenToAll((event, data) => note('all')(event, data))
    .listen('OrderShipped', note('listen OrderShipped'))
    .listen('.attendance.created', note('listen .attendance.created'))
    .listen('Shop.OrderPaid', note('listen Shop.OrderPaid'));
  await joined(orders);
  client.private('denied').error(note('denied error'));
  await until(() => calls.length === 2, 'subscribed and denied');
  client.join('room.1').here(note('here')).joining(note('joining')).leaving(note('leaving'));
  await until(() => calls.length === 3, 'who is here');
  const chat = client.private('chat.1').listenForWhisper('typing', note('whisper'));
  const user = client.private('App.Models.User.1').notification(note('notification'));
  const second = echo(t, gema, visitor);
  const other = second.private('chat.1');
  await Promise.all([chat, user, other].map(joined));

  const server = library(gema);
  await server.trigger('orders', 'App\\Events\\OrderShipped', { id: 1 });
  await server.trigger('orders', 'attendance.created', { id: 2 });
  await server.trigger('orders', 'App\\Events\\Shop\\OrderPaid', { id: 3 });
  await until(() => calls.length === 9, 'three events, twice each');
  other.whisper('typing', { who: 1 });
  await until(() => calls.length === 10, 'a whisper');
  const notification = 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated';
  await server.trigger('private-App.Models.User.1', notification, { id: 'uuid', type: 'App\\Notifications\\X' });
  await until(() => calls.length === 11, 'a notification');
  await joined(second.join('room.1'));
  await until(() => calls.length === 12, 'somebody joins');
  second.leave('room.1');
  await until(() => calls.length === 13, 'somebody leaves');

  const text = JSON.stringify(transcript('echo.callbacks').events).replaceAll('http://app.test', endpoint.base);
  assert.deepEqual(calls, JSON.parse(text));
});

test('toOthers: the socket id that Echo reports is left out', async (t) => {
  const gema = await start(t);
  const endpoint = await authEndpoint(t);
  const [mine, theirs] = [echo(t, gema, endpoint), echo(t, gema, endpoint)];
  const heard = [];
  const listen = (client, name) => joined(client.channel('c').listenToAll((event, data) => heard.push([name, data])));
  await Promise.all([listen(mine, 'mine'), listen(theirs, 'theirs')]);
  await library(gema).trigger('c', 'e', 'first', { socket_id: mine.socketId() });
  await library(gema).trigger('c', 'e', 'second');
  await until(() => heard.length === 3, 'three deliveries');
  assert.deepEqual(heard.filter(([name]) => name === 'mine'), [['mine', 'second']]);
});
