// Section 1: the handshake, the first frame, and how a connection is refused.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';
import { TEXT } from '../wire.mjs';

/** A refusal: an error that says why, then a close frame with the same code. */
async function refused(t, options, code) {
  const { wire, status } = await t.open(options);
  assert.ok(wire, `the upgrade is completed, not answered with ${status}`);
  const end = await wire.closed();
  assert.equal(end.messages.length, 1, 'one message comes before the end');
  const [{ event, content }] = end.messages;
  assert.deepEqual([event, content.code, end.code], ['pusher:error', code, code]);
  assert.ok(content.message, 'the error says why');
  return { ...end, message: content.message };
}

async function accepts(t, options) {
  await (await t.connect(options)).nothing();
}

/** An HTTP error, and the server goes on. */
async function noSwitch(t, options, statuses) {
  const { wire, status } = await t.open(options);
  assert.equal(wire, null, 'the server does not switch protocols');
  assert.ok(statuses.includes(status), `${status} is one of ${statuses}`);
  await accepts(t);
}

const QUERIES = [
  ['none', ''],
  ['version-5', 'protocol=5&client=java&version=2.4.0'],
  ['version-6', 'protocol=6&client=x&version=1.0.0'],
  ['unknown-parameters', 'protocol=7&client=js&version=8.6.0&flash=false&foo=bar&foo=baz&x=%F0%9F%98%80'],
  ['odd-client', 'protocol=7&client=%22%3E&version=not-a-version'],
];

export const cases = [
  rule('connect.first-frame', '1.2',
    'The first frame is connection_established and holds an id and a timeout', async (t) => {
    const { wire } = await t.open();
    const first = await wire.next();
    assert.equal(first.event, 'pusher:connection_established');
    assert.equal(typeof first.data, 'string', 'data is a JSON text');
    assert.match(first.content.socket_id, /^\d+\.\d+$/);
    await wire.nothing();
  }),
  rule('connect.activity-timeout', '1.2', 'activity_timeout is a number of seconds above 0', async (t) => {
    await t.connect();
    const { activity_timeout: seconds } = t.established.content;
    assert.ok(typeof seconds === 'number' && seconds > 0, `${seconds}`);
  }),
  rule('connect.activity-timeout-reverb', '17', 'activity_timeout is 30 s', async (t) => {
    await t.connect();
    assert.equal(t.established.content.activity_timeout, 30);
  }, { profile: 'reverb' }),
  rule('connect.activity-timeout-pusher', '17', 'activity_timeout is 120 s', async (t) => {
    await t.connect();
    assert.equal(t.established.content.activity_timeout, 120);
  }, { profile: 'pusher' }),
  rule('connect.socket-ids-differ', '1.2', 'Each connection has a socket id of its own', async (t) => {
    const ids = [];
    for (let count = 0; count < 20; count += 1) ids.push((await t.connect()).id);
    assert.equal(new Set(ids).size, 20);
  }),
  rule('connect.socket-id-not-reused', '1.2',
    'A socket id does not come back after its connection ended', async (t) => {
    const first = await t.connect();
    first.close();
    await first.closed();
    assert.notEqual((await t.connect()).id, first.id);
  }),
  ...QUERIES.map(([name, query]) => (
    rule(`connect.query-${name}`, '1',
      `A connection with the query "${query}" is accepted`, (t) => accepts(t, { query })))),
  rule('connect.subprotocol', '1', 'A client that offers subprotocols is accepted', (t) => (
    accepts(t, { headers: { 'Sec-WebSocket-Protocol': 'pusher, x' } }))),
  rule('connect.no-extensions', '1', 'A client that offers compression gets frames it can read', (t) => (
    // Reserved bits would be set on a compressed frame, and the wire client refuses those.
    accepts(t, { headers: { 'Sec-WebSocket-Extensions': 'x-unknown; a=1' } }))),
  rule('connect.header-names', '1', 'Names and tokens of headers may have any case', (t) => (
    accepts(t, {
      headers: { Upgrade: null, Connection: null, UPGRADE: 'WebSocket', CONNECTION: 'keep-alive, upgrade' },
    }))),
  rule('connect.without-origin', '1.3', 'A client without an Origin (Node, mobile) is accepted', (t) => accepts(t)),
  rule('connect.any-origin', '1.3', 'Without a list of origins every Origin is accepted', (t) => (
    accepts(t, { headers: { Origin: 'https://shop.example:8443' } }))),
  rule('connect.early-bytes', '1', 'A message that is sent before the first frame was read is not lost', async (t) => {
    const channel = t.name();
    const { wire } = await t.open();
    wire.send({ event: 'pusher:subscribe', data: { channel } });
    await wire.event('pusher:connection_established');
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
  }),
  rule('connect.plain-get', '1', 'A plain GET of the address is answered with 426 or 400', async (t) => {
    const answer = await t.request('GET', `/app/${t.target.key}?protocol=7`);
    assert.ok([400, 426].includes(answer.status), `${answer.status}`);
  }),
  rule('connect.no-websocket-key', '1', 'An upgrade without Sec-WebSocket-Key is a bad request', (t) => (
    noSwitch(t, { headers: { 'Sec-WebSocket-Key': null } }, [400, 426]))),
  rule('connect.websocket-version', '1', 'An upgrade to another WebSocket version is refused', (t) => (
    noSwitch(t, { headers: { 'Sec-WebSocket-Version': '8' } }, [400, 426]))),
  rule('connect.unknown-path', '1', 'Another path is 404', async (t) => {
    assert.equal((await t.request('GET', '/nothing/here')).status, 404);
  }),
  rule('reject.unknown-key', '1.1',
    'An unknown key completes the upgrade, gets an error and a close frame with 4001', (t) => (
    refused(t, { key: 'nosuchkey' }, 4001))),
  rule('reject.reason', '1.1', 'The reason of the close frame is the message of the error', async (t) => {
    const { reason, message } = await refused(t, { key: 'nosuchkey' }, 4001);
    assert.equal(reason, message);
  }),
  rule('reject.reverb-words', '1.1', 'The message is the one of Reverb', async (t) => {
    assert.equal((await refused(t, { key: 'nosuchkey' }, 4001)).message, 'Application does not exist');
  }, { profile: 'reverb' }),
  rule('reject.odd-key', '1.1', 'A key with escapes and quotes is just an unknown key', async (t) => {
    await refused(t, { key: '%22%3Cb%3E%27' }, 4001);
    await accepts(t);
  }, { marks: ['crash'] }),
  rule('reject.id-for-key', '1.1', 'The app id is not the key', (t) => refused(t, { key: t.target.id }, 4001)),
  rule('reject.secret-for-key', '1.1',
    'The app secret is not the key', (t) => refused(t, { key: t.target.secret }, 4001), {
    marks: ['auth'],
  }),
  rule('reject.sends-nothing-else', '1.1', 'A refused client that talks gets no answer', async (t) => {
    const { wire } = await t.open({ key: 'nosuchkey' });
    wire.frame(TEXT, JSON.stringify({ event: 'pusher:subscribe', data: { channel: t.name() } }));
    assert.deepEqual((await wire.closed()).messages.map(({ event }) => event), ['pusher:error']);
  }, { marks: ['auth'] }),
];
