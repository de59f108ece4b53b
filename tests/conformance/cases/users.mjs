// Sections 9 and 10: sign-in, events for one user, watchlists, and terminate_connections.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';
import { channelAuth, userAuth } from '../target.mjs';

const marks = ['auth'];
const NEWS = 'pusher_internal:watchlist_events';
const own = (id) => `#server-to-user-${id}`;
const user = (id, more = {}) => JSON.stringify({ id, ...more });

async function signedIn(t, id, more) {
  const wire = await t.connect();
  wire.signed = await t.signIn(wire, user(id, more));
  return wire;
}

async function inOwnChannel(t, id) {
  const wire = await signedIn(t, id);
  wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: own(id) } });
  assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, own(id));
  return wire;
}

/** Sign-ins that must not succeed: the fields sent, made of target, socket id and the text that would be right. */
const WRONG = {
  'other-secret': ({ target, id, text }) => ({ auth: userAuth({ ...target, secret: 'x' }, id, text), user_data: text }),
  'foreign-key': ({ target, id, text }) => ({
    auth: userAuth(target, id, text).replace(target.key, 'otherkey'), user_data: text,
  }),
  'no-key': ({ target, id, text }) => ({ auth: userAuth(target, id, text).split(':')[1], user_data: text }),
  'upper-case': ({ target, id, text }) => ({
    auth: userAuth(target, id, text).replace(/:(.*)/, (_, hex) => `:${hex.toUpperCase()}`), user_data: text,
  }),
  'other-socket': ({ target, text }) => ({ auth: userAuth(target, '1.1', text), user_data: text }),
  'other-user': ({ target, id, text }) => ({ auth: userAuth(target, id, text), user_data: text.replace('u-', 'v-') }),
  respaced: ({ target, id, text }) => ({ auth: userAuth(target, id, text), user_data: text.replace(':', ': ') }),
  'channel-signature': ({ target, id, text }) => ({ auth: channelAuth(target, id, text), user_data: text }),
  'no-id': ({ target, id }) => ({ auth: userAuth(target, id, '{"name":"x"}'), user_data: '{"name":"x"}' }),
  'numeric-id': ({ target, id }) => ({ auth: userAuth(target, id, '{"id":1}'), user_data: '{"id":1}' }),
  'empty-id': ({ target, id }) => ({ auth: userAuth(target, id, '{"id":""}'), user_data: '{"id":""}' }),
  'null-id': ({ target, id }) => ({ auth: userAuth(target, id, '{"id":null}'), user_data: '{"id":null}' }),
  'no-json': ({ target, id }) => ({ auth: userAuth(target, id, 'no JSON'), user_data: 'no JSON' }),
};

const wrong = Object.entries(WRONG).map(([way, make]) => (
  rule(`signin.refused-${way}`, '9',
    `A sign-in with ${way.replaceAll('-', ' ')} gets 4009 and the connection stays`, async (t) => {
    const wire = await t.connect();
    const id = `u-${t.name()}`;
    wire.send({ event: 'pusher:signin', data: make({ target: t.target, id: wire.id, text: user(id) }) });
    await t.refused(wire, 4009);
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: own(id) } });
    await t.refused(wire, 4009);
  }, { marks })));

const signIn = [
  rule('signin.success', '9', 'signin_success holds the very user_data that was signed', async (t) => {
    const wire = await t.connect();
    const text = `{ "id" : "${t.name()}", "user_info": {"name":"Zo\\u00eb 😀"}, "x": [1.0] }`;
    const { content } = await t.signIn(wire, text);
    assert.equal(content.user_data, text);
    await wire.nothing();
  }),
  rule('signin.no-auth-echo', '9', 'signin_success does not repeat the signature', async (t) => {
    const wire = await signedIn(t, t.name());
    assert.ok(!wire.signed.text.includes('auth'));
  }),
  rule('signin.again', '9', 'A second sign-in as the same user succeeds', async (t) => {
    const id = t.name();
    const wire = await signedIn(t, id);
    await t.signIn(wire, user(id));
    await wire.nothing();
  }),
  rule('signin.as-another', '9', 'A second sign-in as another user is an error, the first stays', async (t) => {
    const [id, other] = [t.name(), t.name()];
    const wire = await inOwnChannel(t, id);
    const auth = userAuth(t.target, wire.id, user(other));
    wire.send({ event: 'pusher:signin', data: { auth, user_data: user(other) } });
    await wire.event('pusher:error');
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: own(other) } });
    await t.refused(wire, 4009);
    await t.publish(own(id), 'e');
    await wire.event('e');
  }, { marks }),
  rule('signin.presence-without-data', '6',
    'Who is signed in joins a presence channel without channel_data', async (t) => {
    const [id, channel] = [t.name(), t.name('presence-')];
    const watcher = await t.member(channel, '{"user_id":"w"}');
    const wire = await signedIn(t, id, { user_info: { name: 'A' } });
    wire.send(t.subscription(wire, channel));
    const { content } = await wire.event('pusher_internal:subscription_succeeded');
    assert.deepEqual(content.presence.hash[id], { name: 'A' });
    const added = (await watcher.event('pusher_internal:member_added')).content;
    assert.deepEqual(added, { user_id: id, user_info: { name: 'A' } });
  }),
  rule('signin.channel-data-wins', '6', 'channel_data wins over the sign-in', async (t) => {
    const channel = t.name('presence-');
    const wire = await signedIn(t, t.name());
    const { content } = await t.join(wire, channel, '{"user_id":"other"}');
    assert.deepEqual(content.presence.ids, ['other']);
  }),
  rule('signin.no-way-in', '9', 'A sign-in does not open private channels', async (t) => {
    const wire = await signedIn(t, t.name());
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: t.name('private-') } });
    await t.refused(wire, 4009);
  }, { marks }),
];

const toUser = [
  rule('to-user.delivered', '9', 'An event for a user reaches all connections of that user', async (t) => {
    const id = t.name();
    const wires = [await inOwnChannel(t, id), await inOwnChannel(t, id)];
    await t.publish(own(id), 'e', '{"n":1}');
    const event = { event: 'e', channel: own(id), data: '{"n":1}' };
    for (const wire of wires) assert.deepEqual((await wire.next()).json, event);
  }),
  rule('to-user.not-signed-in', '9', 'Without a sign-in the channel of a user is closed', async (t) => {
    const wire = await t.connect();
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: own(t.name()) } });
    await t.refused(wire, 4009);
  }, { marks }),
  rule('to-user.signed-auth', '9', 'A channel signature does not open it either', async (t) => {
    const [wire, channel] = [await t.connect(), own(t.name())];
    wire.send({ event: 'pusher:subscribe', data: { auth: channelAuth(t.target, wire.id, channel), channel } });
    await t.refused(wire, 4009);
  }, { marks }),
  rule('to-user.only-own', '9', 'The channel of another user is closed', async (t) => {
    const [mine, theirs] = [t.name(), t.name()];
    const [wire, other] = [await inOwnChannel(t, mine), await inOwnChannel(t, theirs)];
    wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: own(theirs) } });
    await t.refused(wire, 4009);
    await t.publish(own(theirs), 'e');
    await other.event('e');
    await wire.nothing();
  }, { marks }),
  rule('to-user.prefix-of-id', '9', 'A name that begins like the own id is another user', async (t) => {
    const id = t.name();
    const wire = await signedIn(t, id);
    for (const other of [`${id}1`, id.slice(0, -1), `${id} `, id.toUpperCase(), '']) {
      wire.send({ event: 'pusher:subscribe', data: { auth: '', channel: own(other) } });
      await t.refused(wire, 4009);
    }
  }, { marks }),
  rule('to-user.unlisted', '9', 'These channels are not in /channels', async (t) => {
    const id = t.name();
    await inOwnChannel(t, id);
    const { channels } = await t.get('/channels');
    assert.deepEqual(Object.keys(channels).filter((name) => name.startsWith('#')), []);
  }),
  rule('to-user.no-client-events', '7', 'Client events cannot be sent into them', async (t) => {
    const id = t.name();
    const [wire, tab] = [await inOwnChannel(t, id), await inOwnChannel(t, id)];
    wire.send({ event: 'client-e', data: 1, channel: own(id) });
    await wire.event('pusher:error');
    await t.publish(own(id), 'e');
    await tab.event('e');
  }, { marks }),
];

/** Both lists of one watchlist frame. */
function lists({ content: { events } }) {
  return Object.fromEntries(events.map(({ name, user_ids: ids }) => [name, [...ids].sort()]));
}

const watchlist = [
  rule('watchlist.first', '10', 'After a sign-in one frame tells who is online and who is not', async (t) => {
    const [here, away] = [t.name('a'), t.name('b')];
    await signedIn(t, here);
    const wire = await signedIn(t, t.name(), { watchlist: [here, away] });
    const news = await wire.event(NEWS);
    assert.deepEqual([news.channel, typeof news.data], [undefined, 'string']);
    assert.deepEqual(lists(news), { online: [here], offline: [away] });
  }),
  rule('watchlist.comes', '10', 'The first connection of a watched user is news, the second is not', async (t) => {
    const id = t.name();
    const wire = await signedIn(t, t.name(), { watchlist: [id] });
    assert.deepEqual(lists(await wire.event(NEWS)), { offline: [id] });
    await signedIn(t, id);
    await signedIn(t, id);
    assert.deepEqual(lists(await wire.event(NEWS)), { online: [id] });
    await wire.nothing();
  }),
  rule('watchlist.goes', '10', 'The last connection of a watched user that ends is news', async (t) => {
    const id = t.name();
    const tabs = [await signedIn(t, id), await signedIn(t, id)];
    const wire = await signedIn(t, t.name(), { watchlist: [id] });
    await wire.event(NEWS);
    for (const tab of tabs) tab.close();
    assert.deepEqual(lists(await wire.event(NEWS)), { offline: [id] });
    await wire.nothing();
  }),
  rule('watchlist.unwatched', '10', 'Of users who are not on the list nothing is told', async (t) => {
    const wire = await signedIn(t, t.name(), { watchlist: [t.name()] });
    await wire.event(NEWS);
    await signedIn(t, t.name());
    await wire.nothing();
  }, { marks }),
  rule('watchlist.too-long', '10', 'Of more than 100 ids the first 100 are watched, and 4302 says so', async (t) => {
    const ids = Array.from({ length: 101 }, () => t.name());
    const wire = await t.connect();
    await t.signIn(wire, user(t.name(), { watchlist: ids }));
    const seen = await wire.settle();
    const error = seen.find(({ event }) => event === 'pusher:error');
    assert.equal(error.content.code, 4302);
    const { offline } = lists(seen.find(({ event }) => event === NEWS));
    assert.deepEqual(offline, ids.slice(0, 100).sort());
  }),
  rule('watchlist.pusher-js', '10', 'pusher-js reports it through user.watchlist', async (t) => {
    const id = t.name();
    const client = t.pusherJs({ user: user(t.name(), { watchlist: [id] }) });
    const seen = [];
    for (const name of ['online', 'offline']) {
      client.user.watchlist.bind(name, ({ user_ids: ids }) => seen.push([name, ids]));
    }
    client.signin();
    await t.until(() => seen.length === 1, 'the state');
    await signedIn(t, id);
    await t.until(() => seen.length === 2, 'the change');
    assert.deepEqual(seen, [['offline', [id]], ['online', [id]]]);
  }),
];

const terminate = (t, id) => t.api('POST', `/users/${id}/terminate_connections`, { body: '{}' });

const termination = [
  rule('terminate.signed-in', '14', 'All connections of a signed-in user are closed with 4009', async (t) => {
    const id = t.name();
    const [one, two, other] = [await signedIn(t, id), await signedIn(t, id), await signedIn(t, t.name())];
    const answer = await terminate(t, id);
    assert.deepEqual([answer.status, answer.json()], [200, {}]);
    for (const wire of [one, two]) assert.equal((await wire.closed()).code, 4009);
    await other.nothing();
  }),
  rule('terminate.by-presence', '14', 'Connections in a presence channel as that user are closed, too', async (t) => {
    const [id, channel] = [t.name(), t.name('presence-')];
    const [wire, other] = [await t.member(channel, JSON.stringify({ user_id: id })), await t.member(channel)];
    await terminate(t, id);
    assert.equal((await wire.closed()).code, 4009);
    assert.deepEqual((await other.event('pusher_internal:member_removed')).content, { user_id: id });
  }, { profile: 'reverb' }),
  rule('terminate.nobody', '14', 'A user without connections is no error', async (t) => {
    const answer = await terminate(t, t.name());
    assert.deepEqual([answer.status, answer.json()], [200, {}]);
  }),
  rule('terminate.comes-back', '14', 'The user may connect again', async (t) => {
    const id = t.name();
    const wire = await signedIn(t, id);
    await terminate(t, id);
    await wire.closed();
    await (await signedIn(t, id)).nothing();
  }),
  rule('terminate.pusher-js', '4', 'pusher-js stays away after it', async (t) => {
    const id = t.name();
    const client = t.pusherJs({ user: user(id) });
    const states = [];
    client.connection.bind('state_change', ({ current }) => states.push(current));
    let isSignedIn = false;
    client.bind_global((event) => { isSignedIn ||= event === 'pusher:signin_success'; });
    client.signin();
    await t.until(() => isSignedIn, 'signed in');
    await terminate(t, id);
    await t.until(() => client.connection.state === 'disconnected', 'disconnected');
    assert.deepEqual(states, ['connected', 'disconnected']);
  }),
  rule('terminate.unsigned', '14', 'An unsigned request terminates nobody', async (t) => {
    const id = t.name();
    const wire = await signedIn(t, id);
    const answer = await t.request('POST', `/apps/${t.target.id}/users/${id}/terminate_connections`, { body: '{}' });
    assert.equal(answer.status, 401);
    await wire.nothing();
  }, { marks }),
];

export const cases = [...signIn, ...wrong, ...toUser, ...watchlist, ...termination];
