// What a page notices when the server refuses something: an error with its code on a connection that stays, or an end
// that pusher-js understands.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal, joined, scene } from './clients.mjs';
import { once, state, subscribed, until } from './kit.mjs';

/** Notes the code of every error of a connection. */
function errorsOf(client) {
  const codes = [];
  client.connection.bind('error', ({ data, error }) => codes.push(data?.code ?? error?.data?.code));
  return codes;
}

test('client events where an app takes none: 4301 for each, and nobody hears them', async (t) => {
  const { pusher, server } = await scene(t, { env: { REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM: 'none' } });
  const [ani, budi] = [pusher('ani'), pusher('budi')];
  const heard = new Journal().follow(await subscribed(budi, 'private-chat'), 'client-typing', 'last');
  const chat = await subscribed(ani, 'private-chat');
  const codes = errorsOf(ani);
  chat.trigger('client-typing', {});
  chat.trigger('client-typing', {});
  await until(() => codes.length === 2, 'two errors');
  await server.trigger('private-chat', 'last', 1);
  await heard.is([['last', 1]]);
  assert.deepEqual([codes, ani.connection.state], [[4301, 4301], 'connected']);
});

test('client events on a public channel are refused unless the app wants them', async (t) => {
  for (const [env, expected] of [[{}, 'refused'], [{ REVERB_APP_CLIENT_EVENTS_ON_PUBLIC_CHANNELS: 'true' }, 'heard']]) {
    const { pusher } = await scene(t, { env });
    const [ani, budi] = [pusher('ani'), pusher('budi')];
    const [mine, theirs] = [await subscribed(ani, 'open'), await subscribed(budi, 'open')];
    const outcome = Promise.race([
      once(ani.connection, 'error').then(({ data }) => (assert.equal(data.code, 4301), 'refused')),
      once(theirs, 'client-typing').then(() => 'heard'),
    ]);
    mine.trigger('client-typing', {});
    assert.equal(await outcome, expected);
  }
});

test('more client events than a second may have: what is above it gets 4301, the rest arrives in order', async (t) => {
  const { pusher, server } = await scene(t, { env: { REVERB_APP_MAX_CLIENT_EVENTS_PER_SECOND: '5' } });
  const [ani, budi] = [pusher('ani'), pusher('budi')];
  const heard = new Journal().follow(await subscribed(budi, 'private-chat'), 'client-n', 'last');
  const chat = await subscribed(ani, 'private-chat');
  const codes = errorsOf(ani);
  const sent = 100;
  for (let n = 0; n < sent; n += 1) chat.trigger('client-n', n);
  // The next message is answered only after all of them.
  await subscribed(ani, 'private-barrier');
  await server.trigger('private-chat', 'last', sent);
  await until(() => heard.entries.at(-1)?.[0] === 'last', 'the last event');
  const numbers = heard.entries.map(([, n]) => n);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.equal(numbers.length - 1 + codes.length, sent, 'each is either delivered or refused');
  assert.ok(codes.length > 0 && codes.every((code) => code === 4301), `${codes}`);
  assert.equal(ani.connection.state, 'connected');
});

test('a client that is sent away for its rate comes back on its own', async (t) => {
  const { pusher } = await scene(t, { env: {
    REVERB_APP_RATE_LIMITING_ENABLED: 'true', REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS: '10',
    REVERB_APP_RATE_LIMIT_TERMINATE: 'true',
  } });
  const client = pusher('ani');
  const channel = await subscribed(client, 'private-chat');
  const codes = errorsOf(client);
  const first = client.connection.socket_id;
  for (let n = 0; n < 10; n += 1) channel.trigger('client-n', n);
  await until(() => client.connection.socket_id && client.connection.socket_id !== first, 'connected again');
  await until(() => channel.subscribed, 'subscribed again');
  assert.ok(codes.includes(4301) && codes.includes(4100), `${codes}`);
});

test('a full room: 4100, the connection stays, and a place that becomes free can be taken', async (t) => {
  const { pusher } = await scene(t, { env: { REVERB_APP_MAX_PRESENCE_MEMBERS: '2' } });
  const [ani, second, budi, citra] = ['ani', 'ani', 'budi', 'citra'].map((who) => pusher(who));
  for (const client of [ani, budi, second]) await subscribed(client, 'presence-room');
  await state(citra, 'connected');
  const error = once(citra.connection, 'error');
  const room = citra.subscribe('presence-room');
  assert.equal((await error).data.code, 4100);
  assert.deepEqual([room.subscribed, citra.connection.state], [false, 'connected']);
  const left = once(ani.channel('presence-room'), 'pusher:member_removed');
  budi.unsubscribe('presence-room');
  await left;
  // pusher-js does not ask again by itself: to it the refused subscription is still under way.
  room.subscribe();
  await until(() => room.subscribed, 'a member now');
  assert.deepEqual(Object.keys(room.members.members).sort(), ['10', '12']);
});

test('a watchlist of more than a hundred: signed in, told with 4302, and the first hundred are watched', async (t) => {
  const names = Array.from({ length: 101 }, (_, index) => `friend-${index}`);
  const people = { ani: { id: '10', watchlist: names }, first: { id: names[0] }, last: { id: names[100] } };
  const { pusher } = await scene(t, { people });
  const [ani, first, last] = ['ani', 'first', 'last'].map((who) => pusher(who));
  const codes = errorsOf(ani);
  const seen = new Journal().follow(ani.user.watchlist, 'online', 'offline');
  ani.signin();
  await seen.is([['offline', { name: 'offline', user_ids: names.slice(0, 100) }]]);
  assert.deepEqual(codes, [4302]);
  last.signin();
  await until(() => last.user.user_data, 'the last friend is signed in');
  first.signin();
  await seen.reach(2);
  assert.deepEqual(seen.entries[1], ['online', { name: 'online', user_ids: [names[0]] }]);
});

test("Echo's error() hears of a wrong signature where an app has that switched on", async (t) => {
  const customHandler = (_, callback) => callback(null, { auth: 'testkey0123456789abc:00' });
  for (const [env, expected] of [[{}, []], [{ REVERB_APP_SUBSCRIPTION_ERRORS: 'true' }, [['AuthError', 401]]]]) {
    const { echo } = await scene(t, { env });
    const client = echo('ani', { channelAuthorization: { customHandler } });
    const told = [];
    const { connection } = client.connector.pusher;
    await state(client.connector.pusher, 'connected');
    const error = once(connection, 'error');
    client.private('chat').error(({ type, status }) => told.push([type, status]));
    assert.equal((await error).data.code, 4009);
    await joined(client.channel('barrier'));
    assert.deepEqual([told, client.connectionStatus()], [expected, 'connected']);
  }
});

test('without an authorisation in time: closed with 4009 and away for good', async (t) => {
  const { pusher } = await scene(t, { env: { REVERB_APP_AUTHORIZATION_TIMEOUT: '1' } });
  const stranger = pusher('ani');
  const codes = errorsOf(stranger);
  await state(stranger, 'disconnected');
  assert.ok(codes.includes(4009), `${codes}`);
});

test('terminateUserConnections with 4200, if an app wants that: the client comes back at once', async (t) => {
  const { pusher, server } = await scene(t, { env: { REVERB_APP_TERMINATE_CLOSE_CODE: '4200' } });
  const client = pusher('ani');
  const room = await subscribed(client, 'presence-room');
  const first = client.connection.socket_id;
  await server.terminateUserConnections('10');
  await until(() => client.connection.socket_id && client.connection.socket_id !== first, 'connected again');
  await until(() => room.subscribed, 'in the room again');
});

test('names that are no channels are refused with 4009, without harm to the others', async (t) => {
  const { pusher, server } = await scene(t);
  const client = pusher('ani');
  const heard = new Journal().follow(await subscribed(client, 'orders'), 'e');
  const codes = errorsOf(client);
  const wrong = ['a b', 'a/b', 'a:b', 'é', 'x'.repeat(201)];
  for (const name of wrong) client.subscribe(name);
  await until(() => codes.length === wrong.length, 'an error for each');
  await server.trigger('orders', 'e', 1);
  await heard.is([['e', 1]]);
  assert.deepEqual(codes, wrong.map(() => 4009));
});

test('a change of mind while a subscription is under way: left, or kept, and each event once', async (t) => {
  const { pusher, server } = await scene(t);
  const client = pusher('ani');
  await state(client, 'connected');
  const [left, kept] = [client.subscribe('private-left'), client.subscribe('private-kept')];
  const heard = new Journal().follow(left, 'e').follow(kept, 'e');
  client.unsubscribe('private-left');
  client.unsubscribe('private-kept');
  client.subscribe('private-kept');
  await until(() => kept.subscribed, 'the kept channel is subscribed');
  await until(async () => {
    const { channels } = await (await server.get({ path: '/channels' })).json();
    return !('private-left' in channels) && 'private-kept' in channels;
  }, 'only the kept channel is occupied');
  await server.trigger('private-left', 'e', 'left');
  await server.trigger('private-kept', 'e', 'kept');
  await heard.is([['e', 'kept']]);
});
