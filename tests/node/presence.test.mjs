// Who is here: presence channels as Echo's handlers and pusher-js' members tell it, with several tabs per person.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Journal, joined, scene } from './clients.mjs';
import { subscribed, until } from './kit.mjs';
import { record } from './recorder.mjs';

const [ANI, BUDI, CITRA] = ['Ani', 'Budi', 'Citra'].map((name) => ({ name }));

test('r_reverb_213_216 people join and leave once, however many tabs they have', async (t) => {
  const { echo, gema } = await scene(t);
  const seen = new Journal();
  const watcher = await joined(echo('citra').join('room').here(seen.note('here')).joining(seen.note('joining'))
    .leaving(seen.note('leaving')).listenForWhisper('count', seen.note('count')));
  const cable = await record(t, gema);
  const open = async (who, options) => {
    const client = echo(who, options);
    return { client, room: await joined(client.join('room')) };
  };
  const [first, second, third] = [await open('ani'), await open('ani'), await open('ani', { wsPort: cable.port })];
  const budi = [await open('budi'), await open('budi')];
  // One leaves the room, one closes the tab, one loses its network; and each time somebody else speaks up after it.
  first.client.leave('room');
  second.client.disconnect();
  budi[0].room.whisper('count', 1);
  await seen.reach(4);
  third.client.connector.pusher.connection.bind('connecting', () => third.client.disconnect());
  cable.cut();
  await seen.reach(5);
  budi[0].client.disconnect();
  budi[1].room.whisper('count', 2);
  await seen.reach(6);
  budi[1].client.disconnect();
  const said = (n) => ['count', n, { user_id: '11' }];
  await seen.is([['here', [CITRA]], ['joining', ANI], ['joining', BUDI], said(1), ['leaving', ANI], said(2),
    ['leaving', BUDI]]);
  assert.deepEqual(watcher.subscription.members.count, 1);
});

test('r_reverb_273 everybody is here once, whoever looks and whenever they came', async (t) => {
  const names = [...'ABCDEFGH'];
  const people = Object.fromEntries(names.map((name) => [name, { id: `id-${name}`, info: { name } }]));
  const { echo, server } = await scene(t, { people });
  const tabs = await Promise.all([...names, ...names].map(async (who) => {
    const seen = new Journal();
    await joined(echo(who).join('room').here(seen.note('here')).joining(seen.note('joining'))
      .listen('.all', seen.note('all')));
    return seen;
  }));
  const list = (infos) => infos.map(({ name }) => name).sort();
  await server.trigger('presence-room', 'all', {});
  for (const seen of tabs) {
    await until(() => seen.entries.some(([name]) => name === 'all'), 'the event after everybody');
    assert.equal(seen.entries[0][0], 'here');
    const told = seen.entries.filter(([name]) => name === 'joining').map(([, info]) => info);
    assert.deepEqual(list([...seen.entries[0][1], ...told]), names, 'the list and those who joined are everybody');
  }
  const late = new Journal();
  await joined(echo('A').join('room').here(late.note('here')));
  assert.deepEqual(list(late.entries[0][1]), names);
  const { users } = await (await server.get({ path: '/channels/presence-room/users' })).json();
  assert.deepEqual(users.map(({ id }) => id).sort(), Object.values(people).map(({ id }) => id));
});

test('r_sockudo_72 members: me, count, get and each follow who comes and goes, with their info', async (t) => {
  const { pusher } = await scene(t);
  const [ani, budi] = [pusher('ani'), pusher('budi')];
  const room = ani.subscribe('presence-room');
  const seen = new Journal()
    .follow(room, 'pusher:subscription_succeeded', 'pusher:member_added', 'pusher:member_removed');
  await seen.reach(1);
  const each = () => {
    const all = [];
    room.members.each((member) => all.push(member));
    return all;
  };
  const me = { id: '10', info: ANI };
  assert.deepEqual([room.members.me, room.members.count, each()], [me, 1, [me]]);
  const theirs = await subscribed(budi, 'presence-room');
  assert.deepEqual([theirs.members.me, theirs.members.count, theirs.members.get('10')],
    [{ id: '11', info: BUDI }, 2, { id: '10', info: ANI }]);
  await seen.reach(2);
  assert.deepEqual([room.members.count, each()], [2, [{ id: '10', info: ANI }, { id: '11', info: BUDI }]]);
  budi.unsubscribe('presence-room');
  await seen.reach(3);
  assert.deepEqual([room.members.count, room.members.get('11')], [1, null]);
  assert.deepEqual(seen.entries.slice(1), [['pusher:member_added', { id: '11', info: BUDI }],
    ['pusher:member_removed', { id: '11', info: BUDI }]]);
});

test('r_reverb_229 what the back end says of somebody arrives as it is, whatever it is', async (t) => {
  const infos = [true, 0, '', 'text', [1, [2]], { id: 1, nested: { a: null } }];
  const people = Object.fromEntries(infos.map((info, index) => [`p${index}`, { id: `${index}`, info }]));
  const { echo } = await scene(t, { people });
  const seen = new Journal();
  await joined(echo('p0').join('room').here(seen.note('here')).joining(seen.note('joining'))
    .leaving(seen.note('leaving')));
  for (const who of Object.keys(people).slice(1)) {
    const before = seen.length;
    const client = echo(who);
    await joined(client.join('room'));
    await seen.reach(before + 1);
    client.disconnect();
    await seen.reach(before + 2);
  }
  const told = infos.slice(1).flatMap((info) => [['joining', info], ['leaving', info]]);
  await seen.is([['here', [true]], ...told]);
});

test('a whisper in a room says who whispers, by the word of the back end', async (t) => {
  const { pusher } = await scene(t);
  const clients = [pusher('ani'), pusher('budi'), pusher('budi')];
  const rooms = await Promise.all(clients.map((client) => subscribed(client, 'presence-room')));
  const [ani, budi, tab] = rooms.map((room) => new Journal().follow(room, 'client-typing'));
  rooms[1].trigger('client-typing', { user_id: '10' });
  await ani.is([['client-typing', { user_id: '10' }, { user_id: '11' }]]);
  await tab.is([['client-typing', { user_id: '10' }, { user_id: '11' }]], 'the other tab of the same person hears it');
  rooms[0].trigger('client-typing', {});
  await budi.is([['client-typing', {}, { user_id: '10' }]]);
  const plain = await Promise.all(clients.map((client) => subscribed(client, 'private-chat')));
  const heard = new Journal().follow(plain[0], 'client-typing');
  plain[1].trigger('client-typing', 1);
  await heard.is([['client-typing', 1]], 'on a private channel nobody is named');
});

test('whoever is signed in is a member without data of their own', async (t) => {
  const { pusher } = await scene(t);
  const [ani, budi] = [pusher('ani'), pusher('budi')];
  ani.signin();
  const room = await subscribed(ani, 'presence-trusting');
  assert.deepEqual(room.members.me, { id: '10', info: ANI });
  const seen = new Journal().follow(room, 'pusher:member_added', 'pusher:member_removed');
  budi.signin();
  const theirs = await subscribed(budi, 'presence-trusting');
  assert.deepEqual([theirs.members.me, theirs.members.count], [{ id: '11', info: BUDI }, 2]);
  budi.disconnect();
  const member = { id: '11', info: BUDI };
  await seen.is([['pusher:member_added', member], ['pusher:member_removed', member]]);
});
