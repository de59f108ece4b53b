// Section 3: pings of both kinds, in both directions.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';
import { PING, PONG } from '../wire.mjs';

const DATA = { object: ',"data":{}', none: '', text: ',"data":"{}"', 'empty-text': ',"data":""', null: ',"data":null' };

const pings = Object.entries(DATA).map(([name, data]) => (
  rule(`ping.data-${name}`, '3', `\`{"event":"pusher:ping"${data}}\` is answered with pusher:pong`, async (t) => {
    const wire = await t.connect();
    wire.send(`{"event":"pusher:ping"${data}}`);
    await wire.event('pusher:pong');
    await wire.nothing();
  }, { marks: name === 'empty-text' ? ['crash'] : [] })));

export const cases = [
  ...pings,
  rule('ping.pong-data', '3', 'The pong is `{"event":"pusher:pong","data":"{}"}`, or without data', async (t) => {
    const wire = await t.connect();
    wire.send('{"event":"pusher:ping","data":{}}');
    const { event, data, ...more } = (await wire.next()).json;
    assert.deepEqual([event, more], ['pusher:pong', {}]);
    if (data !== undefined) assert.deepEqual(typeof data === 'string' ? JSON.parse(data) : data, {});
  }),
  rule('ping.control', '3', 'A WebSocket ping is answered with a pong of the same payload', async (t) => {
    const wire = await t.connect();
    for (const payload of ['', 'x', 'y'.repeat(125)]) {
      wire.frame(PING, payload);
      assert.equal(await wire.pong(), payload);
    }
    await wire.nothing();
  }),
  rule('ping.unasked-pong', '3', 'A pong nobody asked for is no error', async (t) => {
    const wire = await t.connect();
    wire.frame(PONG, 'unasked');
    wire.send('{"event":"pusher:pong","data":{}}');
    wire.send('{"event":"pusher:pong"}');
    await wire.nothing();
  }),
  rule('ping.between-fragments', '3', 'A control frame between two fragments is answered at once', async (t) => {
    const wire = await t.connect();
    wire.frame(1, '{"event":"pusher:', { fin: false });
    wire.frame(PING, 'now');
    assert.equal(await wire.pong(), 'now');
    wire.frame(0, 'ping"}');
    await wire.event('pusher:pong');
  }),
  rule('ping.from-server', '3', 'A silent connection is pinged, and stays while it answers', async (t) => {
    const wire = await t.connect();
    await t.until(() => wire.pings >= 2, 'two pings');
    await wire.nothing();
  }, { needs: ['short-ping'] }),
  rule('ping.pusher-js', '3', 'pusher-js that pings after a short silence stays connected', async (t) => {
    const client = t.pusherJs({ activityTimeout: 100, pongTimeout: t.patience });
    const [states, pongs] = [[], []];
    client.connection.bind('state_change', ({ current }) => states.push(current));
    client.connection.bind('message', ({ event }) => event === 'pusher:pong' && pongs.push(event));
    await t.until(() => pongs.length >= 2, 'two pongs');
    assert.deepEqual(states, ['connected'], 'it never had to reconnect');
  }),
];
