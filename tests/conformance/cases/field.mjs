// What people ran into with other servers that are "almost compatible". Each case bears the number of the public issue.

import assert from 'node:assert/strict';
import { assertHolds, rule } from '../case.mjs';

const client = ['client-events'];
const ADDED = 'pusher_internal:member_added';
const REMOVED = 'pusher_internal:member_removed';
const person = (id, info) => JSON.stringify({ user_id: id, user_info: info });
const leave = (channel) => ({ event: 'pusher:unsubscribe', data: { channel } });

/** Somebody in a presence channel, and the channel. */
async function room(t) {
  const channel = t.name('presence-');
  return { channel, watcher: await t.member(channel, person('w', {})) };
}

/** A client event goes from one to another; resolves to what arrived. */
async function whispered(t, fields) {
  const channel = t.name('private-');
  const [one, two] = [await t.member(channel), await t.member(channel)];
  one.send({ event: 'client-e', ...fields, channel });
  const arrived = await two.event('client-e');
  await one.nothing();
  return arrived.json;
}

/** Two messages that no server may die of, and the type that is wrong in them. */
const WRONG_TYPES = [
  '{"event":"client-e","data":{},"channel":["private-a"]}',
  '{"event":"client-e","data":{},"channel":{"a":1}}',
  '{"event":["client-e"],"data":{},"channel":"private-a"}',
  '{"event":"pusher:subscribe","data":{"channel":["a"],"auth":{"a":1}}}',
  '{"event":"pusher:subscribe","data":{"channel":"presence-a","auth":"a:b","channel_data":["a"]}}',
  '{"event":"pusher:unsubscribe","data":{"channel":7}}',
];

const sockudo = [
  rule('field.r_sockudo_72_member_data', '6',
    'member_added holds a JSON text whose user_info is not nested in itself', async (t) => {
    const { channel, watcher } = await room(t);
    await t.member(channel, person('23099', { id: 23099, name: 'wov' }));
    const { data } = await watcher.event(ADDED);
    assert.deepEqual(JSON.parse(data), { user_id: '23099', user_info: { id: 23099, name: 'wov' } });
  }),
  rule('field.r_sockudo_115_send_to_user', '9', 'sendToUser and authenticateUser of the library work', async (t) => {
    const id = t.name();
    const wire = await t.connect();
    wire.send({ event: 'pusher:signin', data: t.library().authenticateUser(wire.id, { id }) });
    await wire.event('pusher:signin_success');
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: `#server-to-user-${id}` } });
    await wire.event('pusher_internal:subscription_succeeded');
    assert.equal((await t.library().sendToUser(id, 'e', {})).status, 200);
    await wire.event('e');
  }, { needs: ['no path-prefix'] }),
  rule('field.r_sockudo_405_comma_and_semicolon', '5.1',
    'Names with comma, semicolon, at sign and equals are taken', async (t) => {
    for (const letters of ['a,b', 'a;b', 'a@b', 'a=b']) {
      const channel = `${letters}-${t.name()}`;
      const wire = await t.member(channel);
      await t.publish(channel, 'e');
      await wire.event('e');
      assert.equal((await t.get(`/channels/${channel}`)).occupied, true);
    }
  }),
  rule('field.r_sockudo_371_frames_of_the_protocol', '2',
    'Frames have the fields of the protocol and no others', async (t) => {
    const { channel, watcher } = await room(t);
    await t.member(channel, person('10', {}));
    await t.publish(channel, 'e', '1');
    const seen = [t.established, watcher.confirmed, await watcher.event(ADDED), await watcher.event('e')];
    const fields = seen.map(({ json }) => Object.keys(json).sort().join());
    assert.deepEqual(fields, ['data,event', 'channel,data,event', 'channel,data,event', 'channel,data,event']);
  }),
  rule('field.r_sockudo_78_cached_event_names_its_channel', '8',
    'A kept event and a miss both name their channel', async (t) => {
    const channel = t.name('cache-');
    const first = await t.member(channel);
    assert.equal((await first.event('pusher:cache_miss')).channel, channel);
    await t.publish(channel, 'e', '1');
    assert.deepEqual((await (await t.member(channel)).next()).json, { event: 'e', channel, data: '1' });
  }),
  rule('field.r_sockudo_80_reserved_prefixes', '2',
    'A client cannot send pusher: or pusher_internal: events to others', async (t) => {
    const { channel, watcher } = await room(t);
    const wire = await t.member(channel, person('10', {}));
    await watcher.event(ADDED);
    for (const event of ['pusher:e', 'pusher_internal:e', REMOVED]) wire.send({ event, data: {}, channel });
    await wire.settle();
    await t.nobodyHeard(channel, watcher);
  }, { marks: ['auth'] }),
];

const reverb = [
  rule('field.r_reverb_213_one_member_per_user', '6',
    'A second tab is no second member, closing it is no departure', async (t) => {
    const { channel, watcher } = await room(t);
    const tabs = [await t.member(channel, person('b', {})), await t.member(channel, person('b', {}))];
    await watcher.event(ADDED);
    tabs[0].close();
    await tabs[0].closed();
    await t.nobodyHeard(channel, watcher);
    tabs[1].close();
    assert.equal((await watcher.event(REMOVED)).content.user_id, 'b');
  }),
  rule('field.r_reverb_216_list_is_unique', '6', 'The list of members names each user once', async (t) => {
    const { channel } = await room(t);
    for (let tab = 0; tab < 3; tab += 1) await t.member(channel, person('b', {}));
    const { presence } = (await t.member(channel, person('c', {}))).confirmed.content;
    assert.deepEqual([presence.count, [...presence.ids].sort()], [3, ['b', 'c', 'w']]);
  }),
  rule('field.r_reverb_337_presence_data_is_text', '6', 'data of all presence events is a JSON text', async (t) => {
    const { channel, watcher } = await room(t);
    const wire = await t.member(channel, person('b', {}));
    wire.send(leave(channel));
    const seen = [watcher.confirmed, await watcher.event(ADDED), await watcher.event(REMOVED)];
    assert.deepEqual(seen.map(({ data }) => typeof data), ['string', 'string', 'string']);
    assert.equal((await t.member(t.name())).confirmed.data, '{}');
  }),
  rule('field.r_reverb_352_client_event_with_json_text', '7',
    'A client event whose data is a text (Java) is delivered', async (t) => {
    const data = '{"text": "test!"}';
    const arrived = (await whispered(t, { data })).data;
    // Reverb hands it on decoded, which a client that reads JSON in data cannot tell apart.
    assert.deepEqual(typeof arrived === 'string' ? JSON.parse(arrived) : arrived, JSON.parse(data));
  }, { needs: client }),
  rule('field.r_reverb_315_client_event_without_data', '7',
    'A client event without data (whisper("exit")) is delivered', async (t) => {
    assert.equal((await whispered(t, {})).event, 'client-e');
  }, { needs: client }),
  rule('field.r_reverb_303_fields_of_wrong_types', '2',
    'Fields of the wrong type are an error, not a crash', async (t) => {
    const wire = await t.connect();
    for (const text of WRONG_TYPES) {
      wire.send(text);
      await t.refused(wire, 4200);
    }
  }, { marks: ['crash'] }),
  rule('field.r_reverb_92_ids_is_a_list', '6', 'ids is a list and hash an object', async (t) => {
    const { watcher } = await room(t);
    const { ids, hash } = watcher.confirmed.content.presence;
    assert.ok(Array.isArray(ids) && !Array.isArray(hash));
  }),
  rule('field.r_reverb_123_confirmation_has_data', '5.3',
    'The confirmation of a public channel has data "{}" (Swift)', async (t) => {
    assert.equal((await t.member(t.name())).confirmed.json.data, '{}');
  }),
  rule('field.r_reverb_272_client_event_from_outside', '7',
    'Nobody sends into a private channel without being in it', async (t) => {
    const channel = t.name('private-');
    const [inside, outside] = [await t.member(channel), await t.connect()];
    outside.send({ event: 'client-e', data: {}, channel });
    await outside.event('pusher:error');
    await t.nobodyHeard(channel, inside);
  }, { marks: ['auth'] }),
  rule('field.r_reverb_291_empty_channel_name', '5.1',
    'A subscription to the empty name is an error, not a crash', async (t) => {
    const wire = await t.connect();
    wire.send('{"event":"pusher:subscribe","data":{"auth":"","channel":""}}');
    await wire.event('pusher:error');
    await wire.nothing();
  }, { marks: ['crash'] }),
];

const soketi = [
  rule('field.r_soketi_1123_user_counts_of_a_list', '14', '/channels answers with user_count', async (t) => {
    const { channel } = await room(t);
    const { channels } = await t.get('/channels', { filter_by_prefix: channel, info: 'user_count' });
    assertHolds(channels, { [channel]: { user_count: 1 } });
  }),
];

export const cases = [...sockudo, ...reverb, ...soketi];
