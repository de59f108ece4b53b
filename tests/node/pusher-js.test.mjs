// pusher-js from npm, unmodified, against the real server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { library } from './clients.mjs';
import { APP, authEndpoint, once, pusherClient, start, state, subscribed, until } from './kit.mjs';
import { record } from './recorder.mjs';
import { requestsOf, transcript, unsigned } from './vectors.mjs';

/** Client options for private channels. */
const signing = ({ base }) => ({ channelAuthorization: { endpoint: `${base}/pusher/auth`, transport: 'ajax' } });

test('connects, subscribes and receives', async (t) => {
  const gema = await start(t);
  const client = pusherClient(t, gema);
  const channel = await subscribed(client, 'my-channel');
  assert.equal(client.connection.state, 'connected');
  assert.match(client.connection.socket_id, /^\d+\.\d+$/);
  const arrived = once(channel, 'my-event');
  await library(gema).trigger('my-channel', 'my-event', { text: 'é 😀', n: 1 });
  assert.deepEqual(await arrived, { text: 'é 😀', n: 1 });
});

test('data that is text arrives as the client reads it: a number, or the text itself', async (t) => {
  const gema = await start(t);
  const channel = await subscribed(pusherClient(t, gema), 'c');
  for (const [sent, received] of [['123', 123], ['not json', 'not json'], ['', ''], ['"quoted"', 'quoted']]) {
    const arrived = once(channel, 'e');
    await library(gema).trigger('c', 'e', sent);
    assert.deepEqual(await arrived, received);
  }
});

test('the target, the frames and the requests to the back end are those on record', async (t) => {
  const gema = await start(t, { env: { REVERB_APP_PING_INTERVAL: '1' } });
  const seen = await record(t, gema);
  const endpoint = await authEndpoint(t, {
    person: '{"user_id":10,"user_info":{"name":"A"}}', user: '{"id":"user-1","user_info":{"name":"N"}}',
  });
  const headers = { 'X-CSRF-Token': 'tok' };
  const client = pusherClient(t, gema, {
    wsPort: seen.port,
    channelAuthorization: {
      endpoint: `${endpoint.base}/pusher/auth`, transport: 'ajax', params: { p1: 'v 1' }, headers,
    },
    userAuthentication: { endpoint: `${endpoint.base}/pusher/user-auth`, transport: 'ajax' },
  });
  await subscribed(client, 'my-channel');
  const channel = await subscribed(client, 'private-a');
  const { members } = await subscribed(client, 'presence-a');
  assert.deepEqual([members.count, members.me], [1, { id: 10, info: { name: 'A' } }]);
  await subscribed(client, 'private-encrypted-foobar');
  const mail = [];
  client.user.bind('for-you', (data) => mail.push(data));
  client.signin();
  await seen.frame('{"event":"pusher:subscribe","data":{"auth":"","channel":"#server-to-user-user-1"}}');
  channel.trigger('client-typing', { a: 1 });
  channel.trigger('client-str', 'hello');
  await seen.frame('{"event":"pusher:pong","data":{}}');
  client.unsubscribe('my-channel');
  await seen.frame('{"event":"pusher:unsubscribe","data":{"channel":"my-channel"}}');

  const withoutPongs = (frames) => unsigned(frames).filter((frame) => !frame.includes('pusher:pong'));
  assert.deepEqual(withoutPongs(seen.frames), withoutPongs(transcript('pusherjs.client_frames').frames));
  const { request_target: target } = transcript('pusherjs.connect_url');
  assert.equal(seen.targets[0], target.replace('/my/prefix', '').replace('KEY', APP.key));
  assert.deepEqual(endpoint.requests, requestsOf('pusherjs.auth_requests', client.connection.socket_id));
  await library(gema).sendToUser('user-1', 'for-you', { n: 1 });
  assert.deepEqual(await until(() => mail[0], 'an event for the user'), { n: 1 });
});

test('r_reverb_368 connects below a path prefix', async (t) => {
  const gema = await start(t, { env: { REVERB_SERVER_PATH: '/my/prefix' } });
  const seen = await record(t, gema);
  await subscribed(pusherClient(t, gema, { wsPort: seen.port, wsPath: '/my/prefix' }), 'c');
  assert.equal(seen.targets[0], transcript('pusherjs.connect_url').request_target.replace('KEY', APP.key));
});

test('client events reach the other member, and an event excludes its own socket', async (t) => {
  const gema = await start(t);
  const endpoint = await authEndpoint(t);
  const [one, two] = [pusherClient(t, gema, signing(endpoint)), pusherClient(t, gema, signing(endpoint))];
  const [a, b] = [await subscribed(one, 'private-a'), await subscribed(two, 'private-a')];
  const own = [];
  a.bind_global((event) => own.push(event));
  const arrived = once(b, 'client-typing');
  assert.ok(a.trigger('client-typing', { who: 1 }));
  assert.deepEqual(await arrived, { who: 1 });
  const all = once(b, 'others');
  await library(gema).trigger('private-a', 'others', 'x', { socket_id: one.connection.socket_id });
  await all;
  const last = once(a, 'last');
  await library(gema).trigger('private-a', 'last', 'x');
  await last;
  assert.deepEqual(own.filter((event) => !event.startsWith('pusher')), ['last']);
});

test('a wrong signature is an error event, not a lost connection', async (t) => {
  const gema = await start(t);
  const client = pusherClient(t, gema, {
    channelAuthorization: { customHandler: (_, callback) => callback(null, { auth: `${APP.key}:${'0'.repeat(64)}` }) },
  });
  await state(client, 'connected');
  const error = once(client.connection, 'error');
  const channel = client.subscribe('private-a');
  assert.equal((await error).data.code, 4009);
  assert.equal(channel.subscribed, false);
  assert.equal(client.connection.state, 'connected');
});

/** Records the states and errors of a client from now on. */
function history(client) {
  const states = [];
  const errors = [];
  client.connection.bind('state_change', ({ current }) => states.push(current));
  client.connection.bind('error', (error) => errors.push(error.data?.code ?? error.error?.data?.code));
  return { states, errors };
}

/** What is on record for a close code. */
function recorded(name, during) {
  return transcript('pusherjs.close_codes').find((entry) => entry.name === name && entry.during === during);
}

const REFUSALS = [
  ['4001', { key: 'nosuchkey' }, {}],
  ['4004', {}, { REVERB_APP_MAX_CONNECTIONS: '1' }],
];
for (const [code, options, env] of REFUSALS) {
  test(`a refusal with ${code} tells the client to stay away, and it does`, async (t) => {
    const gema = await start(t, { env });
    await state(pusherClient(t, gema), 'connected');
    const refused = pusherClient(t, gema, options);
    const seen = history(refused);
    await state(refused, 'disconnected');
    const expected = recorded(`pusher:error event ${code} as first message, data string`, 'handshake')
      ?? recorded(`close ${code}`, 'handshake');
    assert.equal(refused.connection.state, expected.final);
    assert.ok(seen.errors.includes(Number(code)), `${seen.errors}`);
  });
}

test('r_soketi_816 a refused origin stays away, too', async (t) => {
  const gema = await start(t, { env: { REVERB_APP_ALLOWED_ORIGINS: 'shop.example' } });
  const refused = pusherClient(t, gema);
  const seen = history(refused);
  await state(refused, 'disconnected');
  assert.ok(seen.errors.includes(4009), `${seen.errors}`);
});

/** Something ends the connection; the client returns, has its channels again, and went through the states on record. */
async function comesBack(client, end, expected) {
  const channel = await subscribed(client, 'c');
  const first = client.connection.socket_id;
  const seen = history(client);
  const now = await end();
  await until(() => client.connection.state === 'connected' && client.connection.socket_id !== first, 'reconnected');
  await until(() => channel.subscribed, 'subscribed again');
  assert.deepEqual(['connected', ...seen.states], expected.states);
  const arrived = once(channel, 'e');
  await library(now).trigger('c', 'e', 'x');
  assert.equal(await arrived, 'x');
}

test('r_lw_49 a server that stops sends its clients to the next one at once', async (t) => {
  const [stopping, next] = [await start(t), await start(t)];
  const balancer = await record(t, stopping);
  const client = pusherClient(t, stopping, { wsPort: balancer.port });
  await comesBack(client, async () => {
    balancer.gema = next;
    assert.equal(await stopping.stop('SIGTERM'), 0);
    return next;
  }, recorded('close 4200', 'connected'));
});

test('a crash without a word: the client is back on its own', async (t) => {
  const gema = await start(t);
  await comesBack(pusherClient(t, gema), async () => {
    await gema.stop('SIGKILL');
    await gema.again();
    return gema;
  }, recorded('terminate (no close frame)', 'connected'));
});

test('a message over the limit closes with 1009, and the client is back on its own', async (t) => {
  const gema = await start(t);
  const client = pusherClient(t, gema);
  await comesBack(client, async () => {
    client.send_event('client-x', { x: 'x'.repeat(20_000) }, 'c');
    return gema;
  }, recorded('close 1009', 'connected'));
});
