// Section 6: members are users, whatever number of connections they have.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';

const ADDED = 'pusher_internal:member_added';
const REMOVED = 'pusher_internal:member_removed';
const person = (id, info) => JSON.stringify({ user_id: id, ...(info !== undefined && { user_info: info }) });
const leave = (channel) => ({ event: 'pusher:unsubscribe', data: { channel } });
const kinds = ['presence-', 'presence-cache-'];

/** What a subscriber heard of members before the fence: [event, content]. */
async function heard(t, channel, wire) {
  const [seen] = await t.fence(channel, wire);
  return seen.filter(({ event }) => event.startsWith('pusher_internal:')).map(({ event, content }) => [event, content]);
}

const both = kinds.flatMap((prefix) => {
  const kind = prefix.slice(0, -1);
  return [
    rule(`presence.${kind}.list`, '6',
      `${kind}: the confirmation lists count, ids and hash, the newcomer included`, async (t) => {
      const channel = t.name(prefix);
      const first = await t.member(channel, person('10', { name: 'A' }));
      assert.deepEqual(first.confirmed.content, { presence: { count: 1, ids: ['10'], hash: { 10: { name: 'A' } } } });
      const second = await t.member(channel, person('11', { name: 'B' }));
      const { count, ids, hash } = second.confirmed.content.presence;
      assert.deepEqual([count, [...ids].sort(), hash], [2, ['10', '11'], { 10: { name: 'A' }, 11: { name: 'B' } }]);
    }),
    rule(`presence.${kind}.member-added`, '6',
      `${kind}: the others hear who came, the newcomer does not`, async (t) => {
      const channel = t.name(prefix);
      const first = await t.member(channel, person('10', { name: 'A' }));
      const second = await t.member(channel, person('11', { name: 'B' }));
      assert.deepEqual(await heard(t, channel, first), [[ADDED, { user_id: '11', user_info: { name: 'B' } }]]);
      assert.deepEqual(await heard(t, channel, second), []);
    }),
    rule(`presence.${kind}.member-removed`, '6', `${kind}: the others hear who left`, async (t) => {
      const channel = t.name(prefix);
      const first = await t.member(channel, person('10'));
      const second = await t.member(channel, person('11'));
      await t.fence(channel, first);
      second.send(leave(channel));
      const { channel: where, content } = await first.event(REMOVED);
      assert.deepEqual([where, content], [channel, { user_id: '11' }]);
    }),
  ];
});

export const cases = [
  ...both,
  rule('presence.data-is-text', '6', 'data of member_added and member_removed is a JSON text', async (t) => {
    const channel = t.name('presence-');
    const first = await t.member(channel);
    const second = await t.member(channel);
    assert.equal(typeof (await first.event(ADDED)).data, 'string');
    second.close();
    assert.equal(typeof (await first.event(REMOVED)).data, 'string');
  }),
  rule('presence.added-once', '6', 'Several connections of a user come as one member', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    for (let count = 0; count < 3; count += 1) await t.member(channel, person('10'));
    const seen = (await heard(t, channel, watcher)).map(([event, { user_id: id }]) => [event, id]);
    assert.deepEqual(seen, [[ADDED, '10']]);
    const late = await t.member(channel, person('x'));
    assert.equal(late.confirmed.content.presence.count, 3);
    assert.deepEqual([...late.confirmed.content.presence.ids].sort(), ['10', 'w', 'x']);
  }),
  rule('presence.removed-once', '6', 'A member has left when the last connection has', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    const tabs = [];
    for (let count = 0; count < 3; count += 1) tabs.push(await t.member(channel, person('10')));
    await watcher.event(ADDED);
    tabs[0].send(leave(channel));
    await tabs[0].settle();
    tabs[1].send(leave(channel));
    await tabs[1].settle();
    assert.deepEqual(await heard(t, channel, watcher), []);
    tabs[2].close();
    assert.deepEqual((await watcher.event(REMOVED)).content, { user_id: '10' });
    await t.nobodyHeard(channel, watcher);
  }),
  rule('presence.removed-by-close', '6', 'The end of a connection, clean or not, removes its member', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    for (const end of ['close', 'drop']) {
      const wire = await t.member(channel, person(end));
      await watcher.event(ADDED);
      wire[end]();
      assert.deepEqual((await watcher.event(REMOVED)).content, { user_id: end });
    }
  }),
  rule('presence.comes-back', '6', 'A member that left and returns is added again', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    const wire = await t.member(channel, person('10'));
    wire.send(leave(channel));
    await t.join(wire, channel, person('10'));
    for (const event of [ADDED, REMOVED, ADDED]) assert.equal((await watcher.event(event)).content.user_id, '10');
  }),
  rule('presence.first-info-wins', '6', 'A second connection does not change the user_info of a member', async (t) => {
    const channel = t.name('presence-');
    await t.member(channel, person('10', { name: 'first' }));
    await t.member(channel, person('10', { name: 'second' }));
    const late = await t.member(channel, person('x'));
    assert.deepEqual(late.confirmed.content.presence.hash['10'], { name: 'first' });
  }),
  rule('presence.own-tab-list', '6', 'A second connection of a user gets the same list', async (t) => {
    const channel = t.name('presence-');
    const first = await t.member(channel, person('10', 1));
    const second = await t.member(channel, person('10', 1));
    assert.deepEqual(second.confirmed.content, first.confirmed.content);
  }),
  rule('presence.subscribe-again', '6',
    'A repeated subscription is confirmed with the list and adds nobody', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    const wire = await t.member(channel, person('10'));
    await watcher.event(ADDED);
    const again = await t.join(wire, channel, person('10'));
    assert.equal(again.content.presence.count, 2);
    await t.nobodyHeard(channel, watcher);
    wire.send(leave(channel));
    await watcher.event(REMOVED);
  }),
  rule('presence.no-info', '6', 'A member without user_info stands with null in hash', async (t) => {
    const wire = await t.member(t.name('presence-'), person('10'));
    assert.deepEqual(wire.confirmed.content.presence.hash, { 10: null });
  }),
  rule('presence.any-info', '6', 'user_info may be any JSON and passes unchanged', async (t) => {
    for (const info of ['text', 5, [1, 'x'], { deep: { name: 'Zoë 😀 "q" /\\' } }, true, {}]) {
      const channel = t.name('presence-');
      const first = await t.member(channel, person('w'));
      const second = await t.member(channel, person('10', info));
      assert.deepEqual(second.confirmed.content.presence.hash['10'], info);
      assert.deepEqual((await first.event(ADDED)).content.user_info, info);
    }
  }),
  rule('presence.numeric-id', '6', 'A user_id that was signed as a number stays one in ids and events', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    const wire = await t.member(channel, person(10));
    assert.ok(wire.confirmed.content.presence.ids.includes(10));
    assert.ok('10' in wire.confirmed.content.presence.hash);
    assert.equal((await watcher.event(ADDED)).content.user_id, 10);
    wire.close();
    assert.equal((await watcher.event(REMOVED)).content.user_id, 10);
  }),
  rule('presence.text-and-number', '6', 'The ids 10 and "10" are one member', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    await t.member(channel, person('10'));
    await t.member(channel, person(10));
    assert.equal((await heard(t, channel, watcher)).length, 1);
    assert.equal((await t.get(`/channels/${channel}`, { info: 'user_count' })).user_count, 2);
  }),
  rule('presence.odd-ids', '6', 'Ids with quotes, escapes and letters of any language are kept', async (t) => {
    for (const id of ['a"b', 'é😀', 'a\\b', '__proto__', 'constructor', ' ']) {
      const channel = t.name('presence-');
      const watcher = await t.member(channel, person('w'));
      const wire = await t.member(channel, person(id, { id }));
      assert.equal((await watcher.event(ADDED)).content.user_id, id);
      assert.ok(wire.confirmed.content.presence.ids.includes(id));
      const [listed] = (await t.get(`/channels/${channel}/users`)).users.filter((user) => user.id !== 'w');
      assert.deepEqual(listed, { id });
      wire.close();
      assert.equal((await watcher.event(REMOVED)).content.user_id, id);
    }
  }),
  rule('presence.longest-id', '17', 'A user_id of 128 characters is taken, one of 129 refused', async (t) => {
    const [wire, channel] = [await t.connect(), t.name('presence-')];
    await t.join(wire, channel, person('x'.repeat(128)));
    const other = await t.connect();
    other.send(t.subscription(other, channel, person('x'.repeat(129))));
    await t.refused(other, 4009);
  }),
  rule('presence.many-reverb', '17', 'A presence channel has no limit of members', async (t) => {
    const channel = t.name('presence-');
    for (let n = 0; n < 101; n += 1) await t.member(channel, person(`${n}`));
    assert.equal((await t.get(`/channels/${channel}`, { info: 'user_count' })).user_count, 101);
  }, { profile: 'reverb' }),
  rule('presence.full-pusher', '17',
    'A presence channel takes 100 members, the next gets 4100 and stays connected', async (t) => {
    const channel = t.name('presence-');
    for (let n = 0; n < 100; n += 1) await t.member(channel, person(`${n}`));
    const wire = await t.connect();
    wire.send(t.subscription(wire, channel, person('100')));
    await t.refused(wire, 4100);
    await t.join(wire, channel, person('7'));
  }, { profile: 'pusher' }),
  rule('presence.info-size-pusher', '17', 'A user_info above 1,024 bytes is refused', async (t) => {
    const wire = await t.connect();
    await t.join(wire, t.name('presence-'), person('1', 'x'.repeat(1_022)));
    wire.send(t.subscription(wire, t.name('presence-'), person('1', 'x'.repeat(1_023))));
    await wire.event('pusher:error');
    await wire.nothing();
  }, { profile: 'pusher' }),
  rule('presence.other-channel', '6', 'Members of one channel are nothing to another', async (t) => {
    const [one, two] = [t.name('presence-'), t.name('presence-')];
    const watcher = await t.member(one, person('w'));
    const wire = await t.member(two, person('10'));
    wire.close();
    assert.deepEqual(await heard(t, one, watcher), []);
  }),
  rule('presence.event-order', '5.3',
    'The others hear of a member before anything that is published later', async (t) => {
    const channel = t.name('presence-');
    const watcher = await t.member(channel, person('w'));
    await t.member(channel, person('10'));
    await t.publish(channel, 'e');
    await watcher.event(ADDED);
    await watcher.event('e');
  }),
];
