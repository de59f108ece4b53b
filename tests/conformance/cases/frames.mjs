// Sections 2 and 4: what a message looks like, and what happens to one that is none.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';
import { userAuth } from '../target.mjs';
import { BINARY, CONTINUATION, TEXT, encode } from '../wire.mjs';

const PING = '{"event":"pusher:ping","data":{}}';

/** Nobody can mean anything by these. */
const MALFORMED = {
  'not-json': 'this is not JSON',
  'cut-off': '{"event":"pusher:ping"',
  empty: '',
  'empty-object': '{}',
  array: '["pusher:ping"]',
  number: '5',
  null: 'null',
  'event-number': '{"event":1,"data":{}}',
  'event-null': '{"event":null,"data":{}}',
  'subscribe-without-data': '{"event":"pusher:subscribe"}',
  'subscribe-data-array': '{"event":"pusher:subscribe","data":[]}',
  'subscribe-data-number': '{"event":"pusher:subscribe","data":7}',
  'subscribe-data-no-json': '{"event":"pusher:subscribe","data":"no JSON"}',
  'subscribe-without-channel': '{"event":"pusher:subscribe","data":{"auth":""}}',
  'subscribe-channel-number': '{"event":"pusher:subscribe","data":{"channel":5}}',
  'subscribe-channel-null': '{"event":"pusher:subscribe","data":{"channel":null}}',
  'subscribe-channel-empty': '{"event":"pusher:subscribe","data":{"channel":""}}',
  'subscribe-channel-array': '{"event":"pusher:subscribe","data":{"channel":["a"]}}',
  'subscribe-auth-array': '{"event":"pusher:subscribe","data":{"auth":[],"channel":"private-a"}}',
  'subscribe-channel-data-object': '{"event":"pusher:subscribe","data":{"channel_data":{},"channel":"presence-a"}}',
  'unsubscribe-without-channel': '{"event":"pusher:unsubscribe","data":{}}',
  'signin-without-data': '{"event":"pusher:signin"}',
  'signin-without-auth': '{"event":"pusher:signin","data":{"user_data":"{}"}}',
  'signin-user-data-object': '{"event":"pusher:signin","data":{"auth":"a:b","user_data":{"id":"1"}}}',
  'unknown-pusher-event': '{"event":"pusher:no-such-event","data":{}}',
  'client-event-without-channel': '{"event":"client-a","data":{}}',
  'client-event-channel-number': '{"event":"client-a","data":{},"channel":7}',
};

const malformed = Object.entries(MALFORMED).map(([name, text]) => (
  rule(`frame.malformed-${name}`, '2', `\`${text}\` is answered with 4200 and the connection stays`, async (t) => {
    const wire = await t.connect();
    wire.send(text);
    await t.refused(wire, 4200);
  }, { marks: ['crash'] })));

/** Another client's connection lives through this. */
function harmless(id, says, send) {
  return rule(id, '2', says, async (t) => {
    const [other, wire] = [await t.connect(), await t.connect()];
    await send(wire);
    // What becomes of the sender is its own business; the other one must not notice.
    await other.nothing();
    await (await t.connect()).nothing();
  }, { marks: ['crash'] });
}

const nested = (depth) => `{"event":"client-a","channel":"private-a","data":${'['.repeat(depth)}${']'.repeat(depth)}}`;

export const cases = [
  ...malformed,
  rule('frame.malformed-words', '4', 'The error for a malformed message says "Invalid message format"', async (t) => {
    const wire = await t.connect();
    wire.send('{');
    const { content } = await wire.event('pusher:error');
    assert.deepEqual(content, { code: 4200, message: 'Invalid message format' });
  }, { profile: 'reverb' }),
  rule('frame.error-data', '2', 'data of pusher:error is a JSON text with code and message', async (t) => {
    const wire = await t.connect();
    wire.send('{');
    const { data, content } = await wire.event('pusher:error');
    assert.deepEqual([typeof data, typeof content.code, typeof content.message], ['string', 'number', 'string']);
  }),
  rule('frame.unknown-event', '2', 'An event that is neither pusher: nor client- is ignored', async (t) => {
    const wire = await t.connect();
    wire.send({ event: 'my-event', data: { a: 1 }, channel: 'c' });
    await wire.nothing();
  }),
  rule('frame.internal-event', '2', 'A client cannot speak for the server with pusher_internal: events', async (t) => {
    const channel = t.name('presence-');
    const [other, wire] = [await t.member(channel, '{"user_id":"1"}'), await t.member(channel, '{"user_id":"2"}')];
    await other.event('pusher_internal:member_added');
    wire.send({ event: 'pusher_internal:member_removed', channel, data: '{"user_id":"1"}' });
    await wire.settle();
    await t.nobodyHeard(channel, other);
  }, { marks: ['auth'] }),
  rule('frame.publish-attempt', '2', 'An event without the prefix client- is not delivered to others', async (t) => {
    const channel = t.name('private-');
    const [other, wire] = [await t.member(channel), await t.member(channel)];
    wire.send({ event: 'my-event', data: { a: 1 }, channel });
    await wire.settle();
    await t.nobodyHeard(channel, other);
  }, { marks: ['auth'] }),
  rule('frame.field-order', '2',
    'The fields of a message may come in any order, unknown ones are ignored', async (t) => {
    const [wire, channel] = [await t.connect(), t.name()];
    wire.send(`{"x":[],"data":{"more":{},"channel":"${channel}","auth":""},"event":"pusher:subscribe"}`);
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
  }),
  rule('frame.data-as-text', '2', 'data of a pusher: event may be a JSON text', async (t) => {
    const [wire, channel] = [await t.connect(), t.name()];
    const send = (event, data) => wire.send({ event: `pusher:${event}`, data: JSON.stringify(data) });
    send('subscribe', { channel });
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
    send('unsubscribe', { channel });
    await wire.settle();
    assert.equal((await t.get(`/channels/${channel}`)).occupied, false);
    const user = JSON.stringify({ id: t.name() });
    send('signin', { auth: userAuth(t.target, wire.id, user), user_data: user });
    assert.equal((await wire.event('pusher:signin_success')).content.user_data, user);
  }),
  rule('frame.white-space', '2', 'White space in a message means nothing', async (t) => {
    const [wire, channel] = [await t.connect(), t.name()];
    wire.send(` \n{ "event" : "pusher:subscribe",\t"data" : { "channel" : "${channel}" } }\r\n `);
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
  }),
  rule('frame.escapes', '2', 'Escapes in names mean what they mean in JSON', async (t) => {
    const [wire, channel] = [await t.connect(), t.name()];
    const escaped = [...channel].map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join('');
    wire.send(`{"event":"pusher:sub\\u0073cribe","data":{"channel":"${escaped}"}}`);
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
  }),
  rule('frame.fragments', '2', 'A message in several frames is one message', async (t) => {
    const wire = await t.connect();
    wire.frame(TEXT, PING.slice(0, 9), { fin: false });
    wire.frame(CONTINUATION, PING.slice(9, 20), { fin: false });
    wire.frame(CONTINUATION, PING.slice(20));
    await wire.event('pusher:pong');
  }),
  rule('frame.several-in-one-segment', '2', 'Messages that arrive together are handled in order', async (t) => {
    const wire = await t.connect();
    const channels = [t.name(), t.name(), t.name()];
    const frames = channels.map((channel) => JSON.stringify({ event: 'pusher:subscribe', data: { channel } }));
    wire.raw(Buffer.concat(frames.map((text) => encode(TEXT, text))));
    const seen = (await wire.settle()).map(({ channel }) => channel);
    assert.deepEqual(seen, channels);
  }),
  rule('frame.server-text', '2', 'What the server sends is a JSON object whose event is a text', async (t) => {
    const wire = await t.member(t.name());
    assert.deepEqual(Object.keys(wire.confirmed.json), ['event', 'channel', 'data']);
    assert.equal(typeof wire.confirmed.json.event, 'string');
  }),
  rule('frame.1009-too-long', '4', 'A message above the limit closes with 1009', async (t) => {
    const wire = await t.connect();
    wire.send({ event: 'client-x', channel: 'private-x', data: 'x'.repeat(200_000) });
    assert.equal((await wire.closed()).code, 1009);
  }),
  rule('frame.longest-reverb', '17',
    'A message of 10,000 bytes is taken, one of 10,001 closes with 1009', async (t) => {
    const wire = await t.connect();
    const filled = (size) => {
      const start = '{"event":"x","data":"';
      return `${start}${'x'.repeat(size - start.length - 2)}"}`;
    };
    wire.send(filled(10_000));
    await wire.nothing();
    wire.send(filled(10_001));
    assert.equal((await wire.closed()).code, 1009);
  }, { profile: 'reverb' }),
  rule('frame.longest-pusher', '17', 'A message with 10,240 bytes of data is taken', async (t) => {
    const wire = await t.connect();
    wire.send({ event: 'x', data: 'x'.repeat(10_240) });
    await wire.nothing();
  }, { profile: 'pusher' }),
  rule('frame.close-answered', '4', 'A close of the client is answered with its code', async (t) => {
    const wire = await t.connect();
    wire.close(1000);
    assert.equal((await wire.closed()).code, 1000);
  }),
  harmless('frame.binary', 'A binary frame harms nobody', async (wire) => wire.frame(BINARY, Buffer.from([0, 1, 254]))),
  harmless('frame.not-utf8', 'A text that is not UTF-8 harms nobody', async (wire) => {
    wire.frame(TEXT, Buffer.from([0x7b, 0xff, 0xfe]));
    await wire.closed();
  }),
  harmless('frame.reserved-bits', 'Reserved bits harm nobody', async (wire) => {
    wire.frame(TEXT, PING, { first: 0xf1 });
    await wire.closed();
  }),
  harmless('frame.deep-nesting', 'A message that nests 4,000 deep harms nobody', async (wire) => {
    wire.send(nested(4_000));
    await wire.settle();
  }),
  harmless('frame.gone-halfway', 'A client that goes away in the middle of a frame harms nobody', async (wire) => {
    wire.raw(Buffer.from([0x81, 0xfe, 0x04]));
    wire.drop();
  }),
  harmless('frame.surrogates', 'Half a surrogate pair in an escape harms nobody', async (wire) => {
    wire.send('{"event":"pusher:subscribe","data":{"channel":"\\ud800"}}');
    await wire.settle();
  }),
];
