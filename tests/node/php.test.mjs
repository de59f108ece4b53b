// PHP's own signatures, encodings and HTTP against the real server: what Laravel sends and answers. See tests/php.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { MASTER_KEY } from './back-end.mjs';
import { Journal } from './clients.mjs';
import { APP, atEnd, once, pusherClient, ROOT, start, state, subscribed, within } from './kit.mjs';
import { vector } from './vectors.mjs';

/** Lets PHP make these calls; resolves to their results. */
async function php(calls, { base = 'http://127.0.0.1:9', app = APP, time } = {}) {
  const child = spawn('php', [path.join(ROOT, 'tests/php/library.php')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => { child.on('error', reject).on('close', resolve); });
  const { id, key, secret } = app;
  child.stdin.end(JSON.stringify({ base, app: id, key, secret, masterKey: MASTER_KEY, time, calls }));
  let output = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) output += chunk;
  assert.equal(await within(ended, 'PHP ends'), 0, output);
  return JSON.parse(output);
}

const at = ({ port }, prefix = '') => ({ base: `http://127.0.0.1:${port}${prefix}` });

/** pusher-js with PHP as its back end. Keeps the texts that PHP answered. */
function phpClient(t, gema, { member, user } = {}) {
  const answers = [];
  const ask = async (...call) => {
    const [text] = await php([call]);
    answers.push(text);
    return JSON.parse(text);
  };
  const channelAuthorization = {
    customHandler: ({ socketId, channelName }, callback) => {
      const data = channelName.startsWith('presence-') ? [member] : [];
      ask('authorize', channelName, socketId, ...data).then((answer) => callback(null, answer), callback);
    },
  };
  const userAuthentication = {
    customHandler: ({ socketId }, callback) => {
      ask('authenticate', socketId, user).then((answer) => callback(null, answer), callback);
    },
  };
  return Object.assign(pusherClient(t, gema, { channelAuthorization, userAuthentication }), { answers });
}

/** A TCP proxy before the server; `sent` is what clients wrote. */
async function eavesdrop(t, gema) {
  const ear = { sent: '' };
  const server = net.createServer((client) => {
    const upstream = net.connect(gema.port, '127.0.0.1');
    client.on('data', (chunk) => { ear.sent += chunk; }).pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => client.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => server.close());
  ear.port = server.address().port;
  return ear;
}

test('Laravel’s events arrive as they were meant, and leave out the socket that caused them', async (t) => {
  const gema = await start(t);
  const [mine, theirs] = [pusherClient(t, gema), pusherClient(t, gema)];
  const [own, other] = await Promise.all([mine, theirs].map(async (client) => {
    const heard = new Journal();
    for (const name of ['orders', 'bills']) heard.follow(await subscribed(client, name), 'App\\Events\\Order/Placed');
    return heard;
  }));
  const payload = { text: 'é / 😀 "quoted" \\ </script>', n: 1.5, none: null, list: [], nested: { a: [1] } };
  const event = 'App\\Events\\Order/Placed';
  const answers = await php([
    ['trigger', ['orders'], event, payload, mine.connection.socket_id],
    ['trigger', ['orders', 'bills'], event, payload],
    ['triggerBatch', [['orders', event, { n: 1 }, mine.connection.socket_id, 'subscription_count'],
      ['bills', event, { n: 2 }]]],
  ], at(gema));
  assert.deepEqual(answers, [{ status: 200, body: {} }, { status: 200, body: {} },
    { status: 200, body: { batch: [{ subscription_count: 2 }, {}] } }]);
  await other.is([[event, payload], [event, payload], [event, payload], [event, { n: 1 }], [event, { n: 2 }]]);
  await own.is([[event, payload], [event, payload], [event, { n: 2 }]]);
});

test('r_reverb_121 an event whose cause has left meanwhile is published all the same', async (t) => {
  const gema = await start(t);
  const [mine, theirs] = [pusherClient(t, gema), pusherClient(t, gema)];
  await state(mine, 'connected');
  const gone = mine.connection.socket_id;
  mine.disconnect();
  const heard = new Journal().follow(await subscribed(theirs, 'orders'), 'e');
  assert.deepEqual(await php([['trigger', ['orders'], 'e', { n: 1 }, gone]], at(gema)), [{ status: 200, body: {} }]);
  await heard.is([['e', { n: 1 }]]);
});

test('events that PHP seals are opened by the page', async (t) => {
  const gema = await start(t);
  const channel = 'private-encrypted-orders';
  const heard = new Journal().follow(await subscribed(phpClient(t, gema), channel), 'e');
  const payload = { text: 'é / 😀' };
  assert.deepEqual(await php([['triggerEncrypted', channel, 'e', payload]], at(gema)), [{ status: 200, body: {} }]);
  await heard.is([['e', payload]]);
});

test('a body over a megabyte, before which curl asks whether it may', async (t) => {
  const gema = await start(t);
  const heard = new Journal().follow(await subscribed(pusherClient(t, gema), 'bulk'), 'e');
  const ear = await eavesdrop(t, gema);
  const batch = Array.from({ length: 110 }, (_, n) => ['bulk', 'e', { n, text: 'x'.repeat(10_000) }]);
  const [answer] = await php([['triggerBatch', batch]], at(ear));
  assert.deepEqual(answer, { status: 200, body: {} });
  assert.match(ear.sent, /\r\nExpect: 100-continue\r\n/i);
  await heard.reach(110);
  assert.deepEqual(heard.entries.map(([, { n }]) => n), batch.map((_, n) => n));
});

test('what PHP writes on the wire: the order of keys, the list in a query, a type on a GET', async (t) => {
  const gema = await start(t);
  const ear = await eavesdrop(t, gema);
  const answers = await php([
    ['trigger', ['a'], 'App\\Events\\E', { url: 'a/b', text: 'é' }, '1.2'],
    ['trigger', ['a', 'b'], 'e', {}],
    ['get', '/channels', { info: ['user_count', 'subscription_count'], filter_by_prefix: 'presence-' }],
    ['get', '/channels/presence-a_=@,.;', { info: 'user_count,subscription_count' }],
  ], at(ear));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200]);
  const signed = String.raw`auth_key=${APP.key}&auth_timestamp=\d{10}&auth_version=1\.0`;
  const [one, several, list, channel] = ear.sent.split(/(?=(?:POST|GET) \/apps)/);
  const signature = 'auth_signature=[0-9a-f]{64} HTTP/1.1';
  const data = String.raw`{\"url\":\"a\\\/b\",\"text\":\"\\u00e9\"}`;
  const body = String.raw`{"name":"App\\Events\\E","data":"${data}","channel":"a","socket_id":"1.2"}`;
  assert.match(one, new RegExp(`^POST /apps/${APP.id}/events\\?${signed}&body_md5=[0-9a-f]{32}&${signature}`));
  assert.ok(one.endsWith(body), one);
  assert.ok(several.endsWith('{"name":"e","data":"[]","channels":["a","b"]}'), several);
  const names = 'filter_by_prefix=presence-&info%5B0%5D=user_count&info%5B1%5D=subscription_count';
  assert.match(list, new RegExp(`^GET /apps/${APP.id}/channels\\?${signed}&${names}&${signature}`));
  assert.match(list, /\r\nContent-Type: application\/json\r\n/);
  assert.match(channel, /^GET \/apps\/\d+\/channels\/presence-a_=@,\.;\?.*&info=user_count%2Csubscription_count&/);
});

test('the list in a query is signed as on record', async () => {
  const expected = vector('pos.http.php_array_param');
  const { app_id: id, key, secret } = vector('app');
  const params = { info: ['user_count', 'subscription_count'] };
  const [query] = await php([['query', 'GET', '/channels/presence-foobar', params]],
    { app: { id, key, secret }, time: expected.server_time });
  const sorted = (text) => text.split('&').sort();
  assert.deepEqual(sorted(query), sorted(expected.request.request_target.split('?')[1]));
});

test('queries: objects where PHP needs them, lists, commas, spaces and every other character', async (t) => {
  const gema = await start(t);
  assert.deepEqual(await php([['channels']], at(gema)), [[]], 'none is an empty array, not an error');
  const client = phpClient(t, gema, { member: { user_id: '5' } });
  for (const name of ['presence-a', 'a_=@,.;', 'plain']) await subscribed(client, name);
  const info = ['user_count', 'subscription_count'];
  const single = { subscription_count: 1 };
  const all = { 'presence-a': { user_count: 1 }, 'a_=@,.;': single, plain: single };
  const [lists, commas, prefix, plain, space, one, users] = await php([
    ['channels', { info }], ['channels', { info: info.join(',') }], ['channels', { filter_by_prefix: 'a_=@,.;' }],
    ['plainGet', '/channels', { info, filter_by_prefix: 'a_=@,.;' }],
    ['plainGet', '/channels', { filter_by_prefix: 'a b+c%&' }],
    ['get', '/channels/a_=@,.;', { info }], ['get', '/channels/presence-a/users'],
  ], at(gema));
  assert.deepEqual([lists, commas], [all, all]);
  assert.deepEqual(prefix, { 'a_=@,.;': [] });
  assert.deepEqual(plain.body, { channels: { 'a_=@,.;': single } });
  assert.deepEqual(space.body, { channels: {} });
  assert.deepEqual(one, { status: 200, body: { occupied: true, subscription_count: 1 } });
  assert.deepEqual(users, { status: 200, body: { users: [{ id: '5' }] } });
});

test('Laravel’s answer to /broadcasting/auth is accepted letter by letter, escapes and all', async (t) => {
  const gema = await start(t);
  const info = { id: 5, name: 'Zoë / 😀', html: '<b>"&\'</b>', url: 'https://example.com/a' };
  const client = phpClient(t, gema, { member: { user_id: '5', user_info: info } });
  const { members } = await subscribed(client, 'presence-room_=@,.;');
  assert.deepEqual([members.me, members.count], [{ id: '5', info }, 1]);
  assert.match(JSON.parse(client.answers[0]).channel_data, /Zo\\u00eb \\\/ \\ud83d\\ude00/);
  await subscribed(client, 'private-App.Models.User.5');
});

test('Laravel’s answer to /broadcasting/user-auth, an event to the user, the end of their connections', async (t) => {
  const gema = await start(t);
  const client = phpClient(t, gema, { user: { id: '5', user_info: { name: 'Zoë / 😀' } } });
  await state(client, 'connected');
  client.signin();
  assert.equal((await once(client.connection, 'message')).event, 'pusher:signin_success');
  assert.deepEqual(client.user.user_data, { id: '5', user_info: { name: 'Zoë / 😀' } });
  await once(client.connection, 'message');
  const heard = new Journal().follow(client.user, 'mail');
  const gone = once(client.connection, 'disconnected');
  const answers = await php([['trigger', ['#server-to-user-5'], 'mail', { n: 1 }], ['terminate', '5']], at(gema));
  assert.deepEqual(answers, [{ status: 200, body: {} }, { status: 200, body: {} }]);
  await heard.is([['mail', { n: 1 }]]);
  await gone;
});

test('r_reverb_368 below a path prefix, which PHP keeps in the address and out of the signature', async (t) => {
  const gema = await start(t, { env: { REVERB_SERVER_PATH: '/ws' } });
  const [kept, published] = await php([['get', '/channels'], ['trigger', ['a'], 'e', {}]], at(gema, '/ws/'));
  assert.deepEqual([kept.status, published.status], [200, 200]);
  const [dropped] = await php([['get', '/channels']], at(gema, '/ws'));
  assert.equal(dropped.status, 404, 'without a slash at its end an address loses its last part, and so the prefix');
});
