// Back after a break: every subscription returns by a fresh authorisation, and whoever may no longer join is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal, joined, scene } from './clients.mjs';
import { until } from './kit.mjs';
import { record } from './recorder.mjs';

const back = async (client, first) => until(() => (
  client.connectionStatus() === 'connected' && client.socketId() !== first), 'connected again');

test('all kinds of channels return, each authorised for the new socket, and deliver on', async (t) => {
  const { back: app, echo, gema, server } = await scene(t);
  const cable = await record(t, gema);
  const client = echo('ani', { wsPort: cable.port });
  const kinds = { channel: 'c', private: 'private-c', encryptedPrivate: 'private-encrypted-c', join: 'presence-c' };
  const journals = await Promise.all(Object.keys(kinds).map(async (kind) => {
    const heard = new Journal();
    const channel = client[kind]('c').subscribed(heard.note('subscribed')).error(heard.note('error'))
      .listen('.e', heard.note('e'));
    if (kind === 'join') channel.here(heard.note('here'));
    await joined(channel);
    return heard;
  }));
  const publish = async (n) => {
    for (const channel of Object.values(kinds)) await server.trigger(channel, 'e', n);
  };
  await publish(1);
  for (const heard of journals) await until(() => heard.entries.at(-1)[0] === 'e', 'the first event');
  const first = client.socketId();
  cable.cut();
  await back(client, first);
  for (const { subscription } of Object.values(client.connector.channels)) {
    await until(() => subscription.subscribed, `${subscription.name} again`);
  }
  await publish(2);
  const life = (n) => [['subscribed'], ['e', n]];
  for (const heard of journals.slice(0, 3)) await heard.is([...life(1), ...life(2)]);
  const here = ['here', [{ name: 'Ani' }]];
  await journals[3].is([['subscribed'], here, ['e', 1], ['subscribed'], here, ['e', 2]]);
  const asked = (socketId) => Object.values(kinds).slice(1).map((name) => ['channel', 'ani', socketId, name]);
  assert.deepEqual(app.requests.sort(), [...asked(first), ...asked(client.socketId())].sort());
});

test('r_echo_478 a session expired meanwhile: each channel says so, and a new token brings it back', async (t) => {
  const { back: app, echo, gema, server } = await scene(t, {
    people: { old: { id: '10', info: { name: 'Ani' } }, renewed: { id: '10', info: { name: 'Ani' } } },
  });
  const cable = await record(t, gema);
  const client = echo('old', { wsPort: cable.port });
  const [open, refused, heard] = [new Journal(), new Journal(), new Journal()];
  await joined(client.channel('news').listen('.e', open.note('e')));
  const closed = [client.private('chat'), client.join('room'), client.encryptedPrivate('vault')];
  for (const channel of closed) {
    channel.error(({ type, status }) => refused.note(channel.name)(type, status))
      .listen('.e', heard.note(channel.name));
    await joined(channel);
  }
  app.expired.add('old');
  const first = client.socketId();
  cable.cut();
  await back(client, first);
  await refused.reach(3);
  assert.deepEqual(refused.entries.sort(), closed.map(({ name }) => [name, 'AuthError', 403]).sort());
  assert.deepEqual(closed.map(({ subscription }) => subscription.subscribed), [false, false, false]);
  await until(() => client.channel('news').subscription.subscribed, 'the public channel is back');
  await server.trigger('news', 'e', 1);
  await open.is([['e', 1]]);

  client.connector.options.auth.headers.Authorization = 'Bearer renewed';
  for (const { subscription } of closed) subscription.subscribe();
  for (const channel of closed) await joined(channel);
  for (const { name } of closed) await server.trigger(name, 'e', 2);
  await heard.is(closed.map(({ name }) => [name, 2]));
  assert.equal(refused.length, 3);
});

test('people who come back at once are announced to the others, in order', async (t) => {
  const { echo, gema } = await scene(t);
  const cable = await record(t, gema);
  const seen = new Journal();
  await joined(echo('budi').join('room').here(seen.note('here')).joining(seen.note('joining'))
    .leaving(seen.note('leaving')));
  const client = echo('ani', { wsPort: cable.port });
  const room = await joined(client.join('room'));
  const first = client.socketId();
  cable.cut();
  await back(client, first);
  await joined(room);
  await seen.is([['here', [{ name: 'Budi' }]], ['joining', { name: 'Ani' }], ['leaving', { name: 'Ani' }],
    ['joining', { name: 'Ani' }]]);
});
