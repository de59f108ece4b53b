// Section 7: events from one client to the others.

import assert from 'node:assert/strict';
import { isPresence, rule } from '../case.mjs';
import { TEXT, encode } from '../wire.mjs';

const needs = ['client-events'];
const marks = ['auth'];
const person = (id) => JSON.stringify({ user_id: id });

const KINDS = {
  private: 'private-', presence: 'presence-', encrypted: 'private-encrypted-', 'private-cache': 'private-cache-',
  'presence-cache': 'presence-cache-',
};
/** As it stands on the wire; the last is a field that is absent. */
const DATA = {
  object: '{"a":1}', text: '"hello"', number: '5', array: '[1,"x"]', true: 'true', null: 'null',
  'json-text': '"{\\"text\\":\\"test!\\"}"', spaced: '{ "b" : 1.50, "a" : "\\u00eb" }', empty: '""',
};

/** Two connections in a channel, and the first has heard of the second. */
async function pair(t, prefix) {
  const channel = t.name(prefix);
  const as = (id) => (isPresence(channel) ? person(id) : undefined);
  const [other, wire] = [await t.member(channel, as('o')), await t.member(channel, as('10'))];
  await t.fence(channel, other, wire);
  return { channel, other, wire };
}

async function rejected(t, { wire, other, channel }, send) {
  send(wire);
  await wire.event('pusher:error');
  await wire.nothing();
  if (other) await t.nobodyHeard(channel, other);
}

const everyKind = Object.entries(KINDS).map(([kind, prefix]) => (
  rule(`client-event.${kind}`, '7', `${kind}: a client event reaches the others, not its sender`, async (t) => {
    const { channel, other, wire } = await pair(t, prefix);
    wire.send({ event: 'client-typing', data: { a: 1 }, channel });
    const { user_id: sender, ...event } = (await other.event('client-typing')).json;
    assert.deepEqual(event, { event: 'client-typing', channel, data: { a: 1 } });
    assert.equal(sender, prefix.startsWith('presence') ? '10' : undefined);
    await wire.nothing();
  }, { needs })));

const data = Object.entries(DATA).map(([name, text]) => (
  rule(`client-event.data-${name}`, '7', `data of a client event arrives as sent: ${text}`, async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    wire.send(`{"event":"client-e","data":${text},"channel":"${channel}"}`);
    assert.deepEqual((await other.event('client-e')).json.data, JSON.parse(text));
  }, { needs })));

export const cases = [
  ...everyKind,
  ...data,
  rule('client-event.data-absent', '7', 'A client event without data is delivered without', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    wire.send({ event: 'client-exit', channel });
    assert.equal((await other.event('client-exit')).json.data ?? null, null);
  }, { needs }),
  rule('client-event.all-others', '7', 'Every other subscriber gets it once', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    const third = await t.member(channel);
    wire.send({ event: 'client-e', data: 1, channel });
    await wire.settle();
    const seen = (await t.fence(channel, other, third)).map((messages) => messages.map(({ event }) => event));
    assert.deepEqual(seen, [['client-e'], ['client-e']]);
  }, { needs }),
  rule('client-event.order', '7', 'Client events arrive in the order they were sent', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    for (let n = 0; n < 9; n += 1) wire.send({ event: 'client-e', data: n, channel });
    for (let n = 0; n < 9; n += 1) assert.equal((await other.event('client-e')).json.data, n);
  }, { needs }),
  rule('client-event.own-second-tab', '7', 'Another connection of the same user gets it', async (t) => {
    const channel = t.name('presence-');
    const [one, two] = [await t.member(channel, person('10')), await t.member(channel, person('10'))];
    one.send({ event: 'client-e', data: 1, channel });
    assert.equal((await two.event('client-e')).user_id, '10');
  }, { needs }),
  rule('client-event.public', '7', 'On a public channel it is rejected', async (t) => {
    const pairOf = await pair(t, '');
    await rejected(t, pairOf, (wire) => wire.send({ event: 'client-e', data: 1, channel: pairOf.channel }));
  }, { needs, marks }),
  rule('client-event.public-cache', '7', 'On a public cache channel it is rejected', async (t) => {
    const channel = t.name('cache-');
    const wire = await t.member(channel);
    await wire.event('pusher:cache_miss');
    await rejected(t, { wire, channel }, () => wire.send({ event: 'client-e', data: 1, channel }));
  }, { needs, marks }),
  rule('client-event.not-a-member', '7',
    'From a connection outside the channel it is rejected with 4009', async (t) => {
    const { channel, other } = await pair(t, 'private-');
    const outside = await t.connect();
    outside.send({ event: 'client-e', data: 1, channel });
    await t.refused(outside, 4009);
    await t.nobodyHeard(channel, other);
  }, { needs, marks }),
  rule('client-event.after-leaving', '7', 'Who has left the channel cannot send to it', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    wire.send({ event: 'pusher:unsubscribe', data: { channel } });
    wire.send({ event: 'client-e', data: 1, channel });
    await t.refused(wire, 4009);
    await t.nobodyHeard(channel, other);
  }, { needs, marks }),
  rule('client-event.forged-user-id', '7',
    'user_id comes from the signed channel_data, never from the sender', async (t) => {
    const { channel, other, wire } = await pair(t, 'presence-');
    wire.send({ event: 'client-e', data: { x: 1 }, user_id: 'boss', channel });
    assert.equal((await other.event('client-e')).user_id, '10');
  }, { needs, marks }),
  rule('client-event.forged-user-id-private', '7',
    'A private channel has no user_id, not even one the sender wrote', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    wire.send({ event: 'client-e', data: { x: 1 }, user_id: 'boss', channel });
    assert.equal((await other.event('client-e')).user_id, undefined);
  }, { needs, marks }),
  rule('client-event.extra-fields', '7', 'Fields the sender added are not passed on', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    wire.send({ event: 'client-e', data: 1, channel, socket_id: '1.1', more: { a: 1 } });
    assert.deepEqual((await other.event('client-e')).json, { event: 'client-e', channel, data: 1 });
  }, { needs, marks }),
  rule('client-event.not-cached', '7', 'A client event is not kept by a cache channel', async (t) => {
    const channel = t.name('private-cache-');
    const wire = await t.member(channel);
    await wire.event('pusher:cache_miss');
    wire.send({ event: 'client-e', data: 1, channel });
    await wire.settle();
    const late = await t.member(channel);
    await late.event('pusher:cache_miss');
  }, { needs }),
  rule('client-event.name-length', '7', 'A name of 200 characters is delivered, one of 201 rejected', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    const name = 'client-'.padEnd(200, 'x');
    wire.send({ event: name, data: 1, channel });
    await other.event(name);
    await rejected(t, { wire, other, channel }, () => wire.send({ event: `${name}x`, data: 1, channel }));
  }, { needs }),
  rule('client-event.off', '7', 'Where client events are switched off they get 4301', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    wire.send({ event: 'client-e', data: 1, channel });
    await t.refused(wire, 4301);
    await t.nobodyHeard(channel, other);
  }, { needs: ['no client-events'] }),
  rule('client-event.rate-pusher', '7',
    'More than 10 a second are rejected with 4301, and the connection stays', async (t) => {
    const { channel, other, wire } = await pair(t, 'private-');
    const texts = Array.from({ length: 400 }, (_, n) => JSON.stringify({ event: 'client-e', data: n, channel }));
    wire.raw(Buffer.concat(texts.map((text) => encode(TEXT, text))));
    const errors = await wire.settle();
    assert.ok(errors.length > 0, 'some are rejected');
    for (const { event, content } of errors) assert.deepEqual([event, content.code], ['pusher:error', 4301]);
    const [seen] = await t.fence(channel, other);
    assert.ok(seen.length >= 10, `${seen.length} are delivered`);
    assert.equal(seen.length + errors.length, 400);
  }, { needs, profile: 'pusher' }),
];
