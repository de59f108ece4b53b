// The official clients and server libraries, unmodified, and the recorded transcripts of what they send.

import assert from 'node:assert/strict';
import { assertHolds, rule } from '../case.mjs';
import { channelAuth, userAuth } from '../target.mjs';
import { transcript } from '../vectors.mjs';

const client = ['client-events'];
const library = ['no path-prefix'];

/** Collects [event, data] of a channel of pusher-js, without the protocol's own. */
function events(channel) {
  const seen = [];
  channel.bind_global((event, data) => event.startsWith('pusher:') || seen.push([event, data]));
  return seen;
}

/** A recorded frame for this server: names get an ending, signatures are made anew. */
function replayed(t, wire, text, ending) {
  const frame = JSON.parse(text);
  if (frame.event === 'pusher:signin') {
    const user = JSON.parse(frame.data.user_data);
    frame.data.user_data = JSON.stringify({ ...user, id: user.id + ending });
    frame.data.auth = userAuth(t.target, wire.id, frame.data.user_data);
  } else if (frame.data.channel) {
    frame.data.channel += ending;
    if (frame.data.auth) {
      frame.data.auth = channelAuth(t.target, wire.id, frame.data.channel, frame.data.channel_data);
    }
  } else if (frame.channel) {
    frame.channel += ending;
  }
  return frame;
}

/** Sends all frames of a transcript; each gets the answer that its client waits for. */
async function replay(t, id) {
  const [wire, ending] = [await t.connect(), `-${t.name()}`];
  for (const text of transcript(id).frames) {
    const frame = replayed(t, wire, text, ending);
    wire.send(frame);
    const [kind] = frame.event.split('-');
    if (frame.event === 'pusher:subscribe') {
      const { channel } = await wire.event('pusher_internal:subscription_succeeded');
      assert.equal(channel, frame.data.channel);
    } else if (frame.event === 'pusher:signin') {
      assert.equal((await wire.event('pusher:signin_success')).content.user_data, frame.data.user_data);
    } else if (kind !== 'client' || t.target.has.includes('client-events')) {
      await wire.nothing();
    } else {
      await wire.event('pusher:error');
    }
  }
}

const transcripts = [
  rule('transcript.pusherjs.connect_url', '1', 'The address that pusher-js asks for is answered', async (t) => {
    const { request_target: recorded } = transcript('pusherjs.connect_url');
    const path = recorded.replace('/my/prefix', t.target.prefix).replace('KEY', t.target.key);
    await (await t.connect({ path })).nothing();
  }),
  rule('transcript.pusherjs.client_frames', '5.3', 'What pusher-js sends is answered as it expects', (t) => (
    replay(t, 'pusherjs.client_frames'))),
  rule('transcript.echo.client_frames', '5.3', 'What laravel-echo sends is answered as it expects', (t) => (
    replay(t, 'echo.client_frames'))),
  rule('transcript.pusherjs.close_codes', '4',
    'After the refusal of an unknown key pusher-js stays away', async (t) => {
    const recorded = transcript('pusherjs.close_codes');
    const expected = recorded.find(({ name, during }) => name === 'close 4001' && during === 'handshake');
    const refused = t.pusherJs({ key: 'nosuchkey' });
    const [states, codes] = [[], []];
    refused.connection.bind('state_change', ({ current }) => states.push(current));
    refused.connection.bind('error', ({ data, error }) => codes.push((data ?? error?.data)?.code));
    await t.until(() => refused.connection.state === expected.final, expected.final);
    assert.deepEqual(states, expected.states);
    assert.ok(codes.includes(4001), `${codes}`);
  }),
];

/** What Echo's handlers are called with, as on record; only the back end's refusal is not this server's. */
async function echoCallbacks(t) {
  const [ending, calls] = [t.name('.'), []];
  const one = t.echo({ person: '{"user_id":"10","user_info":{"id":10,"name":"A"}}', namespace: 'App.Events' });
  const two = t.echo({ person: '{"user_id":"11","user_info":{"id":11}}' });
  const note = (name) => (...args) => calls.push(JSON.parse(JSON.stringify([name, ...args])));
  const heard = (count, what) => t.until(() => calls.length >= count, what);
  const joined = (channel) => t.until(() => channel.subscription.subscribed, `subscribed to ${channel.name}`);
  await joined(one.channel(`orders${ending}`).subscribed(note('subscribed'))
    .listenToAll((event, data) => note('all')(event, data))
    .listen('OrderShipped', note('listen OrderShipped'))
    .listen('.attendance.created', note('listen .attendance.created'))
    .listen('Shop.OrderPaid', note('listen Shop.OrderPaid')));
  one.join(`room.1${ending}`).here(note('here')).joining(note('joining')).leaving(note('leaving'));
  await heard(2, 'who is here');
  await joined(one.private(`chat.1${ending}`).listenForWhisper('typing', note('whisper')));
  await joined(one.private(`App.Models.User.1${ending}`).notification(note('notification')));
  const chat = two.private(`chat.1${ending}`);
  await joined(chat);
  const published = [['App\\Events\\OrderShipped', 1], ['attendance.created', 2], ['App\\Events\\Shop\\OrderPaid', 3]];
  for (const [name, id] of published) await t.publish(`orders${ending}`, name, JSON.stringify({ id }));
  await heard(8, 'three events, twice each');
  chat.whisper('typing', { who: 1 });
  await heard(9, 'a whisper');
  const notification = 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated';
  const data = '{"id":"uuid","type":"App\\\\Notifications\\\\X"}';
  await t.publish(`private-App.Models.User.1${ending}`, notification, data);
  await heard(10, 'a notification');
  await joined(two.join(`room.1${ending}`));
  await heard(11, 'somebody joins');
  two.leave(`room.1${ending}`);
  await heard(12, 'somebody leaves');
  assert.deepEqual(calls, transcript('echo.callbacks').events.filter(([name]) => name !== 'denied error'));
}

const pusherJs = [
  rule('pusher-js.reads-data', '2', 'pusher-js reads JSON in data and keeps what is none', async (t) => {
    const name = t.name();
    const seen = events(await t.subscribed(t.pusherJs(), name));
    const data = [['{"a":[1]}', { a: [1] }], ['123', 123], ['not json', 'not json'], ['', ''], ['"q"', 'q']];
    for (const [text] of data) await t.publish(name, 'e', text);
    await t.until(() => seen.length === data.length, 'all events');
    assert.deepEqual(seen, data.map(([, read]) => ['e', read]));
  }),
  rule('pusher-js.members', '6', 'pusher-js has the members, and hears who comes and goes', async (t) => {
    const name = t.name('presence-');
    const channel = await t.subscribed(t.pusherJs({ person: '{"user_id":"10","user_info":{"name":"A"}}' }), name);
    assert.deepEqual([channel.members.count, channel.members.me], [1, { id: '10', info: { name: 'A' } }]);
    const seen = [];
    for (const event of ['member_added', 'member_removed']) {
      channel.bind(`pusher:${event}`, ({ id }) => seen.push([event, id]));
    }
    const other = t.pusherJs({ person: '{"user_id":"11","user_info":{"name":"B"}}' });
    await t.subscribed(other, name);
    await t.until(() => channel.members.get('11')?.info.name === 'B', 'the newcomer');
    other.disconnect();
    await t.until(() => channel.members.count === 1, 'the departure');
    assert.deepEqual(seen, [['member_added', '11'], ['member_removed', '11']]);
  }),
  rule('pusher-js.numeric-member', '6', 'pusher-js finds itself by a numeric user_id', async (t) => {
    const channel = await t.subscribed(t.pusherJs({ person: '{"user_id":10}' }), t.name('presence-'));
    assert.equal(channel.members.me.id, 10);
  }),
  rule('pusher-js.trigger', '7', 'A client event tells pusher-js in a presence channel who sent it', async (t) => {
    const name = t.name('presence-');
    const one = await t.subscribed(t.pusherJs({ person: '{"user_id":"10"}' }), name);
    const two = await t.subscribed(t.pusherJs({ person: '{"user_id":"11"}' }), name);
    const seen = [];
    two.bind('client-typing', (data, metadata) => seen.push([data, metadata]));
    assert.ok(one.trigger('client-typing', { a: 1 }));
    await t.until(() => seen.length, 'the event');
    assert.deepEqual(seen, [[{ a: 1 }, { user_id: '10' }]]);
  }, { needs: client }),
  rule('pusher-js.cache', '8', 'pusher-js hears of a miss, and gets what was kept', async (t) => {
    const name = t.name('cache-');
    const misses = [];
    const first = t.pusherJs().subscribe(name);
    first.bind('pusher:cache_miss', () => misses.push(1));
    await t.until(() => misses.length, 'a miss');
    await t.publish(name, 'e', '{"n":1}');
    const seen = [];
    t.pusherJs().subscribe(name).bind('e', (data) => seen.push(data));
    await t.until(() => seen.length, 'the kept event');
    assert.deepEqual(seen, [{ n: 1 }]);
  }),
  rule('pusher-js.user', '9', 'pusher-js signs in and gets the events of its user', async (t) => {
    const id = t.name();
    const user = t.pusherJs({ user: JSON.stringify({ id }) });
    const seen = [];
    user.user.bind('for-you', (data) => seen.push(data));
    user.signin();
    await t.until(async () => {
      await t.publish(`#server-to-user-${id}`, 'for-you', '{"n":1}');
      return seen.length;
    }, 'an event');
    assert.deepEqual(seen[0], { n: 1 });
  }),
  rule('pusher-js.signin-then-presence', '6',
    'pusher-js that is signed in joins a presence channel by its user', async (t) => {
    const id = t.name();
    const customHandler = ({ socketId, channelName }, done) => (
      done(null, { auth: channelAuth(t.target, socketId, channelName) }));
    const signed = t.pusherJs({ user: JSON.stringify({ id }), channelAuthorization: { customHandler } });
    signed.signin();
    const channel = await t.subscribed(signed, t.name('presence-'));
    assert.equal(channel.members.me.id, id);
  }),
  rule('pusher-js.refused', '4',
    'pusher-js survives a refused channel: an error, and the connection stays', async (t) => {
    const customHandler = (_, done) => done(null, { auth: `${t.target.key}:${'0'.repeat(64)}` });
    const made = t.pusherJs({ channelAuthorization: { customHandler } });
    const codes = [];
    made.connection.bind('error', ({ data }) => codes.push(data?.code));
    const channel = made.subscribe(t.name('private-'));
    await t.until(() => codes.length, 'an error');
    assert.deepEqual([codes, channel.subscribed, made.connection.state], [[4009], false, 'connected']);
    await t.subscribed(made, t.name());
  }, { marks: ['auth'] }),
  rule('pusher-js.resubscribes', '5.3', 'pusher-js that disconnects and returns has its channels again', async (t) => {
    const name = t.name('private-');
    const made = t.pusherJs();
    const channel = await t.subscribed(made, name);
    const first = made.connection.socket_id;
    made.disconnect();
    made.connect();
    await t.until(() => channel.subscribed && made.connection.socket_id !== first, 'subscribed again');
    const seen = events(channel);
    await t.publish(name, 'e', '1');
    await t.until(() => seen.length, 'an event');
  }),
];

const echo = [
  rule('echo.callbacks', '20', 'laravel-echo calls its handlers as on record', echoCallbacks, { needs: client }),
  rule('echo.to-others', '14', 'The socket id that laravel-echo reports is left out', async (t) => {
    const name = t.name();
    const made = [t.echo(), t.echo()];
    const seen = [[], []];
    for (const [index, one] of made.entries()) {
      const channel = one.channel(name).listenToAll((event, data) => seen[index].push(data));
      await t.until(() => channel.subscription.subscribed, 'subscribed');
    }
    await t.publish(name, 'e', '"first"', { socket_id: made[0].socketId() });
    await t.publish(name, 'e', '"second"');
    await t.until(() => seen.every((one) => one.includes('second')), 'the second event');
    assert.deepEqual(seen, [['second'], ['first', 'second']]);
  }),
  rule('echo.encrypted', '12', 'laravel-echo reads an encrypted channel', async (t) => {
    const name = t.name();
    const seen = [];
    const channel = t.echo().encryptedPrivate(name).listen('.e', (data) => seen.push(data));
    await t.until(() => channel.subscription.subscribed, 'subscribed');
    await t.library().trigger(`private-encrypted-${name}`, 'e', { n: 1 });
    await t.until(() => seen.length, 'the event');
    assert.deepEqual(seen, [{ n: 1 }]);
  }, { needs: library }),
];

const node = [
  rule('library.trigger', '14', 'The library publishes to one channel and to several', async (t) => {
    const [one, two] = [t.name(), t.name()];
    const wires = [await t.member(one), await t.member(two)];
    const answer = await t.library().trigger([one, two], 'e', { text: 'é 😀' });
    assert.equal(answer.status, 200);
    for (const wire of wires) assert.deepEqual((await wire.event('e')).content, { text: 'é 😀' });
    await t.library().trigger(one, 'e', 'plain');
    assert.equal((await wires[0].event('e')).data, 'plain');
  }, { needs: library }),
  rule('library.batch', '14', 'The library publishes a batch', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.library().triggerBatch([1, 2].map((n) => ({ channel, name: 'e', data: { n } })));
    for (const n of [1, 2]) assert.deepEqual((await wire.event('e')).content, { n });
  }, { needs: library }),
  rule('library.get', '14', 'The library asks for channels, one channel and users', async (t) => {
    const room = t.name('presence-');
    await t.member(room, '{"user_id":"1"}');
    const get = async (path, params) => (await t.library().get({ path, params })).json();
    const listed = await get('/channels', { filter_by_prefix: room, info: 'user_count' });
    assertHolds(listed, { channels: { [room]: { user_count: 1 } } });
    assertHolds(await get(`/channels/${room}`, { info: 'user_count' }), { occupied: true, user_count: 1 });
    assert.deepEqual(await get(`/channels/${room}/users`), { users: [{ id: '1' }] });
  }, { needs: library }),
  rule('library.user', '9', 'The library sends to a user and terminates its connections', async (t) => {
    const id = t.name();
    const wire = await t.connect();
    const { auth, user_data: user } = t.library().authenticateUser(wire.id, { id });
    wire.send({ event: 'pusher:signin', data: { auth, user_data: user } });
    await wire.event('pusher:signin_success');
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: `#server-to-user-${id}` } });
    await wire.event('pusher_internal:subscription_succeeded');
    await t.library().sendToUser(id, 'e', { n: 1 });
    assert.deepEqual((await wire.event('e')).content, { n: 1 });
    await t.library().terminateUserConnections(id);
    assert.equal((await wire.closed()).code, 4009);
  }, { needs: library }),
  rule('library.authorize', '5.3', 'What the library authorises is let in', async (t) => {
    const wire = await t.connect();
    for (const channel of [t.name('private-'), t.name('private-encrypted-'), `${t.name('private-')}_=@,.;`]) {
      const { auth } = t.library().authorizeChannel(wire.id, channel);
      wire.send({ event: 'pusher:subscribe', data: { auth, channel } });
      await wire.event('pusher_internal:subscription_succeeded');
    }
    const channel = t.name('presence-');
    const person = { user_id: '10', user_info: { name: 'Zoë 😀 "q" /\\' } };
    const admitted = t.library().authorizeChannel(wire.id, channel, person);
    wire.send({ event: 'pusher:subscribe', data: { ...admitted, channel } });
    await wire.event('pusher_internal:subscription_succeeded');
  }, { needs: library }),
];

export const cases = [...transcripts, ...pusherJs, ...echo, ...node];
