// The worker build of pusher-js: fetch for authorisation, the platform's own WebSocket, no page around it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { scene } from './clients.mjs';
import { APP, atEnd, browserOptions, once, subscribed, until } from './kit.mjs';

/** Starts a client in a thread; `is` compares what it reported of a channel, a user or its state. */
function worker(t, { gema, back }, token, channels) {
  const headers = { Authorization: `Bearer ${token}` };
  const options = {
    ...browserOptions(gema),
    channelAuthorization: { endpoint: `${back.base}/broadcasting/auth`, transport: 'ajax', headers },
    userAuthentication: { endpoint: `${back.base}/broadcasting/user-auth`, transport: 'ajax', headers },
  };
  // Node 20 has a WebSocket like a browser's only if asked.
  const execArgv = typeof WebSocket === 'undefined' ? ['--experimental-websocket'] : [];
  const thread = new Worker(new URL('worker-client.mjs', import.meta.url), {
    workerData: { key: APP.key, options, channels }, execArgv,
  });
  const reports = [];
  thread.on('message', (report) => reports.push(report)).on('error', (error) => reports.push(['error', String(error)]));
  atEnd(t, () => thread.terminate());
  const of = (name) => reports.filter(([of_]) => of_ === name).map(([, ...rest]) => rest);
  const is = async (name, expected) => {
    await until(() => of(name).length >= expected.length || of('error').length, `${name} in the worker`);
    assert.deepEqual(of('error'), []);
    assert.deepEqual(of(name), expected);
  };
  return { is, do: (...call) => thread.postMessage(call) };
}

test('the worker build: every kind of channel, whispers, sign-in, and the end', async (t) => {
  const stage = await scene(t);
  const [open, chat, room] = ['news', 'private-chat', 'presence-room'];
  const [vault, cache] = ['private-encrypted-vault', 'cache-a'];
  const client = worker(t, stage, 'ani', [open, chat, room, vault, cache, 'private-denied']);
  await client.is('private-denied', [['refused', 403]]);
  for (const name of [open, chat, vault]) await client.is(name, [['subscribed']]);
  await client.is(room, [['subscribed', 1]]);
  await client.is(cache, [['subscribed'], ['miss']]);
  for (const name of [open, chat, room, vault, cache]) await stage.server.trigger(name, 'news', { name });
  for (const name of [open, chat, vault]) await client.is(name, [['subscribed'], ['news', { name }]]);
  await client.is(room, [['subscribed', 1], ['news', { name: room }]]);

  const budi = await subscribed(stage.pusher('budi'), chat);
  const whispered = once(budi, 'client-typing');
  client.do('trigger', chat, 'client-typing', { who: 'Ani' });
  assert.deepEqual(await whispered, { who: 'Ani' });
  budi.trigger('client-typing', { who: 'Budi' });
  await client.is(chat, [['subscribed'], ['news', { name: chat }], ['client-typing', { who: 'Budi' }]]);

  client.do('signin');
  await client.is('signed in', [['10']]);
  await stage.server.sendToUser('10', 'mail', 1);
  await client.is('user', [['mail', 1]]);
  client.do('disconnect');
  await client.is('state', [['connected'], ['disconnected']]);
});
