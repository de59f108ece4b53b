// Sections 8 and 12: channels that keep their last event, and encrypted channels.

import assert from 'node:assert/strict';
import { isPresence, rule } from '../case.mjs';
import { md5 } from '../target.mjs';

const KINDS = {
  cache: 'cache-', 'private-cache': 'private-cache-', 'presence-cache': 'presence-cache-',
  'encrypted-cache': 'private-encrypted-cache-',
};
const MISS = 'pusher:cache_miss';

const everyKind = Object.entries(KINDS).flatMap(([kind, prefix]) => [
  rule(`cache.${kind}.miss`, '8',
    `${kind}: who joins an empty channel is told so, after the confirmation`, async (t) => {
    const channel = t.name(prefix);
    const wire = await t.member(channel);
    const { event, channel: where, data, ...more } = (await wire.event(MISS)).json;
    assert.deepEqual([event, where, more], [MISS, channel, {}]);
    assert.ok([undefined, '{}'].includes(data), `${data}`);
    await wire.nothing();
  }),
  rule(`cache.${kind}.hit`, '8', `${kind}: who joins gets the last event, as an event of the channel`, async (t) => {
    const channel = t.name(prefix);
    const first = await t.member(channel);
    await first.event(MISS);
    await t.publish(channel, 'old', '1');
    await t.publish(channel, 'e', '{"n":2}');
    const late = await t.member(channel);
    assert.deepEqual((await late.next()).json, { event: 'e', channel, data: '{"n":2}' });
    await late.nothing();
  }),
  rule(`cache.${kind}.published-to-nobody`, '8', `${kind}: an event is kept when nobody is subscribed`, async (t) => {
    const channel = t.name(prefix);
    await t.publish(channel, 'e', 'x');
    const wire = await t.member(channel);
    assert.deepEqual((await wire.next()).json, { event: 'e', channel, data: 'x' });
  }),
  rule(`cache.${kind}.outlives`, '8', `${kind}: the last event outlives the last subscriber`, async (t) => {
    const channel = t.name(prefix);
    const wire = await t.member(channel);
    await t.publish(channel, 'e', 'x');
    wire.close();
    await t.until(async () => !(await t.get(`/channels/${channel}`)).occupied, 'the channel is empty');
    assert.equal((await (await t.member(channel)).next()).event, 'e');
  }),
]);

export const cases = [
  ...everyKind,
  rule('cache.again', '8', 'A repeated subscription gets the last event again', async (t) => {
    const channel = t.name('cache-');
    await t.publish(channel, 'e', 'x');
    const wire = await t.member(channel);
    await wire.event('e');
    await t.join(wire, channel);
    await wire.event('e');
  }),
  rule('cache.no-private-hit-without-auth', '8',
    'The last event of a private channel is for its subscribers only', async (t) => {
    const [wire, channel] = [await t.connect(), t.name('private-cache-')];
    await t.publish(channel, 'e', 'secret');
    wire.send({ event: 'pusher:subscribe', data: { auth: 'a:b', channel } });
    await t.refused(wire, 4009);
  }, { marks: ['auth'] }),
  rule('cache.not-members', '8', 'Comings and goings of members are not kept', async (t) => {
    const channel = t.name('presence-cache-');
    await t.publish(channel, 'e', 'x');
    const first = await t.member(channel, '{"user_id":"1"}');
    const second = await t.member(channel, '{"user_id":"2"}');
    await first.event('e');
    await first.event('pusher_internal:member_added');
    second.close();
    await first.event('pusher_internal:member_removed');
    const late = await t.member(channel, '{"user_id":"3"}');
    await late.event('e');
  }),
  rule('cache.excluded-socket', '8', 'An event that excludes a socket is kept for others', async (t) => {
    const channel = t.name('cache-');
    const wire = await t.member(channel);
    await wire.event(MISS);
    await t.publish(channel, 'e', 'x', { socket_id: wire.id });
    await (await t.member(channel)).event('e');
    await wire.nothing();
  }),
  rule('cache.not-on-others', '8', 'Channels of other kinds keep nothing', async (t) => {
    for (const prefix of ['', 'private-', 'presence-', 'private-encrypted-']) {
      const channel = t.name(prefix);
      await t.publish(channel, 'e', 'x');
      await (await t.member(channel)).nothing();
    }
  }),
  rule('cache.once-live-or-kept', '8', 'Who joins while something is published gets it once', async (t) => {
    for (let round = 0; round < 10; round += 1) {
      const channel = t.name('cache-');
      const wire = await t.connect();
      wire.send(t.subscription(wire, channel));
      await t.publish(channel, 'e', String(round));
      const events = (await t.fence(channel, wire))[0].filter(({ event }) => event === 'e');
      assert.equal(events.length, 1);
    }
  }),
  rule('cache.batch', '8', 'An event of a batch is kept, too', async (t) => {
    const channel = t.name('cache-');
    const batch = [1, 2].map((n) => ({ channel, name: 'e', data: String(n) }));
    assert.equal((await t.api('POST', '/batch_events', { body: { batch } })).status, 200);
    const wire = await t.member(channel);
    assert.equal((await wire.event('e')).data, '2');
  }),
  rule('cache.info', '14', 'info=cache answers with data and ttl of the last event, or null', async (t) => {
    const channel = t.name('cache-');
    await t.member(channel);
    assert.equal((await t.get(`/channels/${channel}`, { info: 'cache' })).cache, null);
    await t.publish(channel, 'e', '{"n":1}');
    const { cache } = await t.get(`/channels/${channel}`, { info: 'cache' });
    assert.equal(cache.data, '{"n":1}');
    assert.ok(cache.ttl > 0 && cache.ttl <= 1800, `${cache.ttl} s`);
  }),
  rule('encrypted.as-sent', '12', 'What a library encrypted arrives byte for byte', async (t) => {
    const channel = t.name('private-encrypted-');
    const wire = await t.member(channel);
    const sealed = '{"nonce":"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7","ciphertext":"D9ZlXw1NAK1p9kbP90qc4VhTFJSUGzZ="}';
    await t.publish(channel, 'e', sealed);
    assert.deepEqual((await wire.next()).json, { event: 'e', channel, data: sealed });
  }),
  rule('encrypted.not-inspected', '12', 'Data that is not encrypted passes an encrypted channel, too', async (t) => {
    const channel = t.name('private-encrypted-');
    const wire = await t.member(channel);
    await t.publish(channel, 'e', 'plain');
    assert.equal((await wire.event('e')).data, 'plain');
  }),
  rule('encrypted.largest', '12', 'The whole 10,240 bytes are there for what is encrypted', async (t) => {
    const channel = t.name('private-encrypted-');
    const wire = await t.member(channel);
    const text = `{"nonce":"n","ciphertext":"${'A'.repeat(10_240 - 30)}"}`;
    await t.publish(channel, 'e', text);
    assert.equal(md5((await wire.event('e')).data), md5(text));
  }),
  ...['private-encrypted-', 'private-encrypted-cache-'].map((prefix) => (
    rule(`encrypted.round-trip-${prefix.slice(0, -1)}`, '12', `${prefix}*: pusher-js reads what the library encrypted`,
      async (t) => {
        const name = t.name(prefix);
        const channel = await t.subscribed(t.pusherJs(), name);
        assert.equal(isPresence(name), false);
        const seen = [];
        channel.bind('e', (data) => seen.push(data));
        await t.library().trigger(name, 'e', { secret: 'Zoë 😀' });
        await t.until(() => seen.length, 'the event');
        assert.deepEqual(seen, [{ secret: 'Zoë 😀' }]);
      }, { needs: ['no path-prefix'] }))),
];
