// Section 14: publishing, alone and in batches.

import assert from 'node:assert/strict';
import http from 'node:http';
import { assertHolds, rule } from '../case.mjs';

const batchOf = (t, batch) => t.api('POST', '/batch_events', { body: { batch } });

/** The body is refused with this status and a reason, and the channel hears nothing. */
function refused(id, says, status, make) {
  return rule(`events.refused-${id}`, '14', says, async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const answer = await t.api('POST', '/events', { body: make(channel, t) });
    assert.equal(answer.status, status, answer.text);
    assert.ok(answer.text.length > 0, 'the answer says why');
    await t.nobodyHeard(channel, wire);
  });
}

const event = (channel, more) => ({ name: 'e', data: '{}', channels: [channel], ...more });
const many = (t, count) => Array.from({ length: count }, () => t.name());

const refusals = [
  refused('no-json', 'A body that is no JSON is 400', 400, () => 'no JSON'),
  refused('array', 'A body that is no object is 400', 400, () => '[]'),
  refused('empty-object', 'An empty object is 400', 400, () => '{}'),
  refused('no-name', 'name is required', 400, (channel) => event(channel, { name: undefined })),
  refused('empty-name', 'name must not be empty', 400, (channel) => event(channel, { name: '' })),
  refused('number-name', 'name is a text', 400, (channel) => event(channel, { name: 5 })),
  refused('null-name', 'name must not be null', 400, (channel) => event(channel, { name: null })),
  refused('long-name', 'A name of 201 characters is 400', 400, (channel) => event(channel, { name: 'x'.repeat(201) })),
  refused('pusher-name', 'Names that begin with pusher: are reserved', 400, (channel) => (
    event(channel, { name: 'pusher:x' }))),
  refused('internal-name', 'Names that begin with pusher_internal: are reserved', 400, (channel) => (
    event(channel, { name: 'pusher_internal:member_added' }))),
  refused('no-data', 'data is required', 400, (channel) => event(channel, { data: undefined })),
  refused('object-data', 'data is a text, not an object', 400, (channel) => event(channel, { data: { a: 1 } })),
  refused('number-data', 'data is a text, not a number', 400, (channel) => event(channel, { data: 5 })),
  refused('no-channel', 'channels or channel is required', 400, (channel) => event(channel, { channels: undefined })),
  refused('empty-channels', 'channels must not be empty', 400, (channel) => event(channel, { channels: [] })),
  refused('text-channels', 'channels is a list', 400, (channel) => event(channel, { channels: channel })),
  refused('number-channel', 'A channel is a text', 400, (channel) => event(channel, { channels: [channel, 5] })),
  refused('empty-channel-name', 'A channel has a name', 400, (channel) => event(channel, { channels: [channel, ''] })),
  refused('one-bad-channel', 'One bad channel refuses all', 400, (channel) => (
    event(channel, { channels: [channel, 'a b'] }))),
  refused('101-channels', 'More than 100 channels are 400', 400, (channel, t) => (
    event(channel, { channels: [channel, ...many(t, 100)] }))),
  refused('socket-id-number', 'socket_id is a text', 400, (channel) => event(channel, { socket_id: 5 })),
  refused('info-number', 'info is a text', 400, (channel) => event(channel, { info: 5 })),
  refused('large-data', 'data above 10,240 bytes is 413', 413, (channel) => (
    event(channel, { data: 'x'.repeat(10_241) }))),
  refused('large-data-in-bytes', 'The limit counts bytes, not letters', 413, (channel) => (
    event(channel, { data: 'é'.repeat(5_121) }))),
];

const publishing = [
  rule('events.channel', '14', 'channel names a single channel (PHP)', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const answer = await t.api('POST', '/events', { body: { name: 'e', data: '1', channel } });
    assert.deepEqual([answer.status, answer.json()], [200, {}]);
    await wire.event('e');
  }),
  rule('events.channels-win', '14', 'channels wins over channel', async (t) => {
    const [one, two] = [t.name(), t.name()];
    const [first, second] = [await t.member(one), await t.member(two)];
    await t.publish(one, 'e', '1', { channel: two });
    await first.event('e');
    await t.nobodyHeard(two, second);
  }),
  rule('events.several-channels', '14', 'An event reaches all its channels', async (t) => {
    const channels = [t.name(), t.name('private-'), t.name('presence-')];
    const wires = [];
    for (const channel of channels) wires.push(await t.member(channel));
    await t.publish(channels, 'e', '1');
    for (const [index, wire] of wires.entries()) assert.equal((await wire.event('e')).channel, channels[index]);
  }),
  rule('events.100-channels', '14', '100 channels with 10,240 bytes of data are taken', async (t) => {
    const channels = many(t, 100);
    const wire = await t.member(channels[99]);
    await t.publish(channels, 'e', 'x'.repeat(10_240));
    assert.equal((await wire.event('e')).data.length, 10_240);
  }),
  rule('events.twice-the-same', '14', 'A channel that is named twice gets the event once', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.publish([channel, channel], 'e');
    const [seen] = await t.fence(channel, wire);
    assert.equal(seen.length, 1);
  }),
  rule('events.in-two-channels', '14', 'Who is in two of the channels gets it for each', async (t) => {
    const [one, two] = [t.name(), t.name()];
    const wire = await t.member(one);
    await t.join(wire, two);
    await t.publish([one, two], 'e');
    assert.deepEqual([(await wire.event('e')).channel, (await wire.event('e')).channel].sort(), [one, two].sort());
  }),
  rule('events.to-nobody', '14', 'An event to an empty channel is a success', async (t) => {
    assert.deepEqual(await t.publish(t.name(), 'e'), {});
  }),
  rule('events.empty-data', '14', 'data may be empty', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.publish(channel, 'e', '');
    assert.equal((await wire.event('e')).json.data, '');
  }),
  rule('events.largest-data', '14', 'data of 10,240 bytes is delivered', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const text = 'é'.repeat(5_120);
    await t.publish(channel, 'e', text);
    assert.equal((await wire.event('e')).data, text);
  }),
  rule('events.key-order', '14',
    'The fields may come in any order, with any white space and unknown ones between (Python)',
    async (t) => {
      const channel = t.name();
      const wire = await t.member(channel);
      const body = `\n{ "channels" : [ "${channel}" ], "tags": {}, "data" : "1" ,\t"name" : "e" }\n`;
      assert.equal((await t.api('POST', '/events', { body })).status, 200);
      await wire.event('e');
    }),
  rule('events.null-options', '14', 'socket_id and info may be null', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    assert.deepEqual(await t.publish(channel, 'e', '1', { socket_id: null, info: null }), {});
    await wire.event('e');
  }),
  rule('events.exclude-socket', '14', 'socket_id leaves its connection out and nobody else', async (t) => {
    const channel = t.name();
    const [one, two] = [await t.member(channel), await t.member(channel)];
    await t.publish(channel, 'e', '1', { socket_id: one.id });
    const [mine, theirs] = await t.fence(channel, one, two);
    assert.deepEqual([mine.length, theirs.length], [0, 1]);
  }),
  rule('events.exclude-keeps-order', '14', 'Order is kept between events with and without socket_id', async (t) => {
    const channel = t.name();
    const [one, two] = [await t.member(channel), await t.member(channel)];
    for (let n = 0; n < 20; n += 1) await t.publish(channel, 'e', String(n), n % 2 ? { socket_id: one.id } : {});
    const [mine, theirs] = (await t.fence(channel, one, two)).map((seen) => seen.map(({ data }) => Number(data)));
    assert.deepEqual(theirs, Array.from({ length: 20 }, (_, n) => n));
    assert.deepEqual(mine, Array.from({ length: 10 }, (_, n) => 2 * n));
  }),
  ...['1.1', 'invalid-socket-id', '', '1234.1234:private-evil'].map((id) => (
    rule(`events.unknown-socket-${id.replace(/\W/g, '') || 'empty'}`, '14',
      `The socket_id "${id}" leaves nobody out`, async (t) => {
      const channel = t.name();
      const wire = await t.member(channel);
      await t.publish(channel, 'e', '1', { socket_id: id });
      await wire.event('e');
    }))),
  rule('events.to-user-channel', '14', '#server-to-user- channels may be published to', async (t) => {
    await t.publish(`#server-to-user-${t.name()}`, 'e');
  }),
  rule('events.keep-alive', '13', 'Several requests may use one connection', async (t) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const reused = [];
    for (let count = 0; count < 3; count += 1) {
      reused.push((await t.api('POST', '/events', { body: event(t.name()), agent })).reused);
    }
    assert.deepEqual(reused, [false, true, true]);
  }),
];

const infos = [
  rule('events.info', '14', 'info answers with one entry per channel', async (t) => {
    const [open, empty, room] = [t.name(), t.name(), t.name('presence-')];
    await t.member(open);
    await t.member(open);
    await t.member(room, '{"user_id":"1"}');
    await t.member(room, '{"user_id":"1"}');
    const { channels } = await t.publish([open, empty, room], 'e', '1', { info: 'subscription_count,user_count' });
    assert.deepEqual(Object.keys(channels).sort(), [open, empty, room].sort());
    assertHolds([channels[open], channels[empty]], [{ subscription_count: 2 }, { subscription_count: 0 }]);
    assert.equal(channels[room].user_count, 1);
  }, { profile: 'reverb' }),
  rule('events.info-counts', '14', 'info=subscription_count counts connections', async (t) => {
    const channel = t.name();
    await t.member(channel);
    await t.member(channel);
    const answer = await t.publish(channel, 'e', '1', { info: 'subscription_count' });
    assertHolds(answer, { channels: { [channel]: { subscription_count: 2 } } });
  }),
  rule('events.info-users', '14', 'info=user_count counts users', async (t) => {
    const channel = t.name('presence-');
    for (const id of ['1', '1', '2']) await t.member(channel, JSON.stringify({ user_id: id }));
    const answer = await t.publish(channel, 'e', '1', { info: 'user_count' });
    assertHolds(answer, { channels: { [channel]: { user_count: 2 } } });
  }),
  rule('events.info-unknown', '14', 'Unknown attributes are ignored', async (t) => {
    const channel = t.name();
    assertHolds(await t.publish(channel, 'e', '1', { info: 'connection_count' }), { channels: { [channel]: {} } });
  }),
  rule('events.info-wrong-kind-pusher', '17',
    'An attribute that the kind of channel does not have is 400', async (t) => {
    const body = { ...event(t.name()), info: 'user_count' };
    assert.equal((await t.api('POST', '/events', { body })).status, 400);
  }, { profile: 'pusher' }),
];

const batches = [
  rule('batch.delivers', '14', 'Each event of a batch reaches its channel, in order', async (t) => {
    const [one, two] = [t.name(), t.name()];
    const wire = await t.member(one);
    await t.join(wire, two);
    const batch = [one, two, one].map((channel, n) => ({ channel, name: `e${n}`, data: String(n) }));
    const answer = await batchOf(t, batch);
    assert.deepEqual([answer.status, answer.json()], [200, {}]);
    const seen = [await wire.next(), await wire.next(), await wire.next()];
    assert.deepEqual(seen.filter(({ channel }) => channel === one).map(({ event: name }) => name), ['e0', 'e2']);
    assert.equal(seen.filter(({ channel }) => channel === two).length, 1);
  }),
  rule('batch.info', '14', 'With info the answer has the length and order of the batch', async (t) => {
    const [one, two] = [t.name(), t.name()];
    await t.member(two);
    const base = { name: 'e', data: '1' };
    const answer = await batchOf(t, [
      { ...base, channel: one }, { ...base, channel: two, info: 'subscription_count' }, { ...base, channel: two },
    ]);
    assertHolds(answer.json(), { batch: [{}, { subscription_count: 1 }, {}] });
  }),
  rule('batch.exclude-socket', '14', 'socket_id counts for its own event only', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const base = { channel, data: '1' };
    await batchOf(t, [{ ...base, name: 'a', socket_id: wire.id }, { ...base, name: 'b' }]);
    assert.deepEqual((await t.fence(channel, wire))[0].map(({ event: name }) => name), ['b']);
  }),
  rule('batch.ten', '14', 'A batch of 10 events of 10,240 bytes is taken', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const answer = await batchOf(t, Array(10).fill({ channel, name: 'e', data: 'x'.repeat(10_240) }));
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await t.fence(channel, wire))[0].length, 10);
  }),
  rule('batch.eleven-pusher', '17', 'A batch of 11 events is 400', async (t) => {
    const base = { channel: t.name(), name: 'e', data: '1' };
    assert.equal((await batchOf(t, Array(11).fill(base))).status, 400);
  }, { profile: 'pusher' }),
  rule('batch.eleven-reverb', '17', 'A batch has no limit of its own', async (t) => {
    const base = { channel: t.name(), name: 'e', data: '1' };
    assert.equal((await batchOf(t, Array(50).fill(base))).status, 200);
  }, { profile: 'reverb' }),
  ...Object.entries({
    'bad-channel': { channel: 'a b', name: 'e', data: '1' },
    'no-data': { channel: 'a', name: 'e' },
    'no-name': { channel: 'a', data: '1' },
    'no-channel': { name: 'e', data: '1' },
    'reserved-name': { channel: 'a', name: 'pusher:error', data: '1' },
    'no-object': 'event',
  }).map(([id, bad]) => (
    rule(`batch.refused-${id}`, '14',
      `One event with ${id.replaceAll('-', ' ')} is 400, and nothing is published`, async (t) => {
      const channel = t.name();
      const wire = await t.member(channel);
      const good = { channel, name: 'e', data: '1' };
      assert.equal((await batchOf(t, [good, bad, good])).status, 400);
      await t.nobodyHeard(channel, wire);
    }))),
  rule('batch.large-data', '14', 'One event with too much data is 413, and nothing is published', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const good = { channel, name: 'e', data: '1' };
    assert.equal((await batchOf(t, [good, { ...good, data: 'x'.repeat(10_241) }])).status, 413);
    await t.nobodyHeard(channel, wire);
  }),
  rule('batch.no-list', '14', 'A batch that is no list, or missing, is 400', async (t) => {
    for (const body of ['{}', '{"batch":{}}', '{"batch":null}', '[]', 'x']) {
      assert.equal((await t.api('POST', '/batch_events', { body })).status, 400, body);
    }
  }),
];

export const cases = [...publishing, ...refusals, ...infos, ...batches];
