// People who sign in: events to them alone, who is online, and the end of their connections.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal, library, scene } from './clients.mjs';
import { once, state, subscribed, until } from './kit.mjs';
import { PEOPLE } from './back-end.mjs';
import { record } from './recorder.mjs';

/** Signs a client in; resolves when it can be reached as that person. */
async function signedIn(client) {
  client.signin();
  await until(() => client.user.serverToUserChannel?.subscribed, 'signed in');
  return client;
}

test('events to a person reach every tab of theirs in order, and nobody else', async (t) => {
  const { pusher, server } = await scene(t);
  const tabs = await Promise.all(['ani', 'ani', 'budi'].map((who) => signedIn(pusher(who))));
  assert.deepEqual(tabs[0].user.user_data, { id: '10', user_info: { name: 'Ani' } });
  const [one, two, other] = tabs.map(({ user }) => new Journal().follow(user, 'mail', 'call'));
  await server.sendToUser('10', 'mail', { n: 1 });
  await server.sendToUser('10', 'call', 'plain text');
  await server.sendToUser('11', 'mail', { n: 2 });
  for (const heard of [one, two]) await heard.is([['mail', { n: 1 }], ['call', 'plain text']]);
  await other.is([['mail', { n: 2 }]]);
  const { channels } = await (await server.get({ path: '/channels' })).json();
  assert.deepEqual(channels, {}, 'these channels are nobody else’s business');
});

test('a sign-in lasts over a reconnect: signed in again, by a new authentication', async (t) => {
  const { back, gema, pusher, server } = await scene(t);
  const cable = await record(t, gema);
  const client = await signedIn(pusher('ani', { wsPort: cable.port }));
  const first = client.connection.socket_id;
  const heard = new Journal().follow(client.user, 'mail');
  cable.cut();
  await until(() => client.connection.socket_id !== first, 'connected again');
  await until(() => client.user.serverToUserChannel?.subscribed, 'signed in again');
  await server.sendToUser('10', 'mail', 1);
  await heard.is([['mail', 1]]);
  assert.deepEqual(back.requests, [first, client.connection.socket_id].map((id) => ['user', 'ani', id]));
});

test('r_echo_478 a sign-in that has expired at a reconnect: signin_error, and nothing for that person', async (t) => {
  const { back, gema, pusher, server } = await scene(t);
  const cable = await record(t, gema);
  const client = await signedIn(pusher('ani', { wsPort: cable.port }));
  const heard = new Journal().follow(client.user, 'mail', 'pusher:signin_error');
  back.expired.add('ani');
  cable.cut();
  await heard.reach(1);
  const [[event, { type, status }]] = heard.entries;
  assert.deepEqual([event, type, status], ['pusher:signin_error', 'AuthError', 403]);
  const open = new Journal().follow(await subscribed(client, 'open'), 'e');
  await server.sendToUser('10', 'mail', 1);
  await server.trigger('open', 'e', 2);
  await open.is([['e', 2]]);
  assert.equal(heard.length, 1);
});

test('a watchlist: how things are, then each change once, to every tab of the watcher', async (t) => {
  const people = { ...PEOPLE, dewi: { id: '13', info: { name: 'Dewi' }, watchlist: ['11', '12'] } };
  const { pusher } = await scene(t, { people });
  await signedIn(pusher('budi'));
  const watchers = [pusher('dewi'), pusher('dewi')];
  const journals = watchers.map(({ user }) => new Journal().follow(user.watchlist, 'online', 'offline'));
  for (const watcher of watchers) await signedIn(watcher);
  const now = [['online', { name: 'online', user_ids: ['11'] }], ['offline', { name: 'offline', user_ids: ['12'] }]];
  for (const seen of journals) await seen.is(now);

  const tabs = await Promise.all([pusher('citra'), pusher('citra')].map(signedIn));
  tabs[0].disconnect();
  // Nobody watches Ani; Citra still has a tab, so nothing is told of either.
  await signedIn(pusher('ani'));
  for (const seen of journals) await seen.reach(3);
  tabs[1].disconnect();
  const told = ['online', 'offline'].map((name) => [name, { name, user_ids: ['12'] }]);
  for (const seen of journals) await seen.is([...now, ...told]);
});

test('terminateUserConnections: every tab is closed with 4009 and stays away until it is told to', async (t) => {
  const { pusher, server } = await scene(t);
  const [signed, present, other] = [await signedIn(pusher('ani')), pusher('ani'), await signedIn(pusher('budi'))];
  await subscribed(present, 'presence-room');
  const room = await subscribed(other, 'presence-room');
  const seen = [signed, present].map(({ connection }) => {
    const journal = new Journal().follow(connection, 'connecting', 'disconnected');
    connection.bind('error', ({ data, error }) => journal.note('error')(data?.code ?? error?.data?.code));
    return journal;
  });
  const left = once(room, 'pusher:member_removed');
  const answer = await server.terminateUserConnections('10');
  assert.deepEqual([answer.status, await answer.json()], [200, {}]);
  for (const client of [signed, present]) await state(client, 'disconnected');
  assert.deepEqual(await left, { id: '10', info: { name: 'Ani' } });
  for (const { entries } of seen) {
    assert.ok(entries.some(([name, code]) => name === 'error' && code === 4009), JSON.stringify(entries));
    assert.ok(!entries.some(([name]) => name === 'connecting'), 'it does not come back on its own');
  }
  assert.equal(other.connection.state, 'connected');
  signed.connect();
  await state(signed, 'connected');
});

test('signin_error: the back end knows nobody of that name, and the connection serves on', async (t) => {
  const { back, pusher } = await scene(t);
  back.expired.add('ani');
  const client = pusher('ani');
  const failed = once(client.user, 'pusher:signin_error');
  client.signin();
  const { type, status } = await failed;
  assert.deepEqual([type, status, client.user.user_data], ['AuthError', 403, null]);
  await subscribed(client, 'orders');
});

test('a sign-in that the server does not believe is an error, and the connection serves on', async (t) => {
  const { gema, pusher } = await scene(t);
  const user = { id: '10' };
  const forged = [
    () => ({ auth: `${gema.app.key}:${'0'.repeat(64)}`, user_data: JSON.stringify(user) }),
    () => library(gema).authenticateUser('1.2', user),
    (socketId) => library(gema, { secret: 'anothersecret9876543' }).authenticateUser(socketId, user),
    (socketId) => library(gema, { key: 'anotherkey0123456789' }).authenticateUser(socketId, user),
    (socketId) => ({ ...library(gema).authenticateUser(socketId, user), user_data: '{"id":"11"}' }),
  ];
  for (const forge of forged) {
    const customHandler = ({ socketId }, callback) => callback(null, forge(socketId));
    const client = pusher('ani', { userAuthentication: { customHandler } });
    await state(client, 'connected');
    const error = once(client.connection, 'error');
    client.signin();
    assert.equal((await error).data.code, 4009);
    await subscribed(client, 'orders');
    assert.deepEqual([client.user.user_data, client.user.serverToUserChannel], [null, null]);
  }
});
