// Section 14: what a back end can ask, and the statuses of errors.

import assert from 'node:assert/strict';
import { assertHolds, rule } from '../case.mjs';
import { KINDS } from './channels.mjs';

const person = (id) => JSON.stringify({ user_id: id });

const channels = [
  rule('channels.empty', '14', 'No channel is `{"channels":{}}`, an object', async (t) => {
    const answer = await t.api('GET', '/channels', { params: { filter_by_prefix: t.name() } });
    assert.deepEqual([answer.status, answer.text.replaceAll(/\s/g, '')], [200, '{"channels":{}}']);
  }),
  rule('channels.occupied', '14', 'Occupied channels are listed, each as an object', async (t) => {
    const channel = t.name();
    await t.member(channel);
    assertHolds(await t.get('/channels'), { channels: { [channel]: {} } });
  }),
  rule('channels.every-kind', '14', 'Channels of all kinds are listed', async (t) => {
    for (const prefix of Object.values(KINDS)) {
      const channel = t.name(prefix);
      await t.member(channel);
      assert.ok(channel in (await t.get('/channels')).channels, channel);
    }
  }),
  rule('channels.filter', '14', 'filter_by_prefix lists only what begins so', async (t) => {
    const stem = t.name('presence-');
    await t.member(`${stem}a`);
    await t.member(`${stem}b`);
    await t.member(t.name());
    const { channels: listed } = await t.get('/channels', { filter_by_prefix: stem });
    assert.deepEqual(Object.keys(listed).sort(), [`${stem}a`, `${stem}b`]);
  }),
  rule('channels.user-count', '14', 'info=user_count counts users, not connections', async (t) => {
    const channel = t.name('presence-');
    for (const id of ['1', '1', '2']) await t.member(channel, person(id));
    const { channels: listed } = await t.get('/channels', { filter_by_prefix: channel, info: 'user_count' });
    assertHolds(listed, { [channel]: { user_count: 2 } });
  }),
  rule('channels.subscription-count', '14', 'info=subscription_count counts connections', async (t) => {
    const channel = t.name();
    await t.member(channel);
    await t.member(channel);
    const { channels: listed } = await t.get('/channels', { filter_by_prefix: channel, info: 'subscription_count' });
    assertHolds(listed, { [channel]: { subscription_count: 2 } });
  }, { profile: 'reverb' }),
  rule('channels.published-only', '14', 'Publishing does not make a channel occupied', async (t) => {
    const channel = t.name('cache-');
    await t.publish(channel, 'e');
    assert.ok(!(channel in (await t.get('/channels')).channels));
  }),
];

const channel = [
  rule('channel.occupied', '14', 'A channel with a subscriber is occupied', async (t) => {
    const name = t.name();
    await t.member(name);
    assertHolds(await t.get(`/channels/${name}`), { occupied: true });
  }),
  rule('channel.unoccupied', '14', 'A channel without is not, and not 404', async (t) => {
    assertHolds(await t.get(`/channels/${t.name()}`), { occupied: false });
  }),
  rule('channel.unoccupied-counts', '14', 'Counts of an empty channel are 0', async (t) => {
    for (const [prefix, info] of [['presence-', 'user_count'], ['', 'subscription_count']]) {
      assert.deepEqual(await t.get(`/channels/${t.name(prefix)}`, { info }), { occupied: false, [info]: 0 });
    }
  }),
  rule('channel.counts', '14', 'user_count and subscription_count of a channel', async (t) => {
    const [name, room] = [t.name(), t.name('presence-')];
    await t.member(name);
    await t.member(name);
    for (const id of ['1', '1', '2']) await t.member(room, person(id));
    assert.equal((await t.get(`/channels/${name}`, { info: 'subscription_count' })).subscription_count, 2);
    assert.equal((await t.get(`/channels/${room}`, { info: 'user_count' })).user_count, 2);
  }),
  rule('channel.wrong-kind-reverb', '17',
    'An attribute that the kind of channel does not have is left out', async (t) => {
    const answer = await t.get(`/channels/${t.name()}`, { info: 'user_count,cache' });
    assert.deepEqual(answer, { occupied: false });
  }, { profile: 'reverb' }),
  rule('channel.wrong-kind-pusher', '17', 'An attribute that the kind of channel does not have is 400', async (t) => {
    const answer = await t.api('GET', `/channels/${t.name()}`, { params: { info: 'user_count' } });
    assert.equal(answer.status, 400, answer.text);
  }, { profile: 'pusher' }),
  rule('channel.documented-example', '14',
    'A presence channel may be asked for user_count,subscription_count', async (t) => {
    const room = t.name('presence-');
    await t.member(room);
    assert.equal((await t.get(`/channels/${room}`, { info: 'user_count,subscription_count' })).user_count, 1);
  }),
  rule('channel.punctuation', '14', 'Every letter a name may hold can be asked for', async (t) => {
    const name = `${t.name()}_=@,.;-`;
    await t.member(name);
    assert.equal((await t.get(`/channels/${name}`)).occupied, true);
  }),
  rule('channel.bad-name', '14', 'A name no channel can have is 400 or 404', async (t) => {
    for (const name of ['a%20b', 'a%2Fb', 'a%3Ab', '%23a']) {
      assert.ok([400, 404].includes((await t.api('GET', `/channels/${name}`)).status), name);
    }
  }),
];

const users = [
  rule('users.distinct', '14', 'Users are listed once each', async (t) => {
    const name = t.name('presence-');
    for (const id of ['1', '1', '2']) await t.member(name, person(id));
    const { users: listed } = await t.get(`/channels/${name}/users`);
    assert.deepEqual(listed.map(({ id }) => id).sort(), ['1', '2']);
  }),
  rule('users.shape', '14', 'A user is `{"id":"…"}`, the id a text however it was signed', async (t) => {
    const name = t.name('presence-');
    await t.member(name, '{"user_id":7,"user_info":{"secret":1}}');
    assert.deepEqual(await t.get(`/channels/${name}/users`), { users: [{ id: '7' }] });
  }),
  rule('users.nobody', '14', 'An empty presence channel has the users []', async (t) => {
    assert.deepEqual(await t.get(`/channels/${t.name('presence-')}/users`), { users: [] });
  }),
  rule('users.left', '14', 'Who left is not listed', async (t) => {
    const name = t.name('presence-');
    await t.member(name, person('1'));
    const wire = await t.member(name, person('2'));
    wire.send({ event: 'pusher:unsubscribe', data: { channel: name } });
    await wire.settle();
    assert.deepEqual(await t.get(`/channels/${name}/users`), { users: [{ id: '1' }] });
  }),
  rule('users.not-presence', '14', 'Users of another kind of channel are 400', async (t) => {
    for (const prefix of ['', 'private-', 'cache-']) {
      const name = t.name(prefix);
      await t.member(name);
      assert.equal((await t.api('GET', `/channels/${name}/users`)).status, 400, name);
    }
  }),
];

const others = [
  rule('connections.count', '14', 'connections counts the connections of the app', async (t) => {
    for (let count = 0; count < 3; count += 1) await t.connect();
    const { connections } = await t.get('/connections');
    assert.ok(Number.isInteger(connections) && connections >= 3, `${connections}`);
  }, { profile: 'reverb' }),
  rule('up.health', '14', 'GET /up needs no signature and says that the server is well', async (t) => {
    const answer = await t.request('GET', '/up');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json(), { health: 'OK' });
  }, { profile: 'reverb' }),
  rule('http.unknown-endpoint', '13', 'An endpoint that does not exist is 404', async (t) => {
    for (const path of ['/nothing', '/channels/a/b/c', '/users']) {
      assert.equal((await t.api('GET', path)).status, 404, path);
    }
  }),
  rule('http.wrong-method', '13', 'A method that an endpoint does not have is 405, with Allow', async (t) => {
    const wrong = [['GET', '/events', 'POST'], ['DELETE', '/channels', 'GET'], ['PUT', '/batch_events', 'POST']];
    for (const [method, path, allow] of wrong) {
      const answer = await t.api(method, path);
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.ok(answer.headers.allow?.includes(allow), `Allow: ${answer.headers.allow}`);
    }
  }),
  rule('http.error-is-text', '13', 'An error has a body that says what is wrong', async (t) => {
    const answer = await t.api('POST', '/events', { body: '{"name":"e"}' });
    assert.equal(answer.status, 400);
    assert.ok(answer.text.length > 10, answer.text);
  }),
  rule('http.giant-body', '14', 'A body of 8 MiB is 413, and the server goes on', async (t) => {
    const body = `{"name":"e","channels":["a"],"data":"${'x'.repeat(8 * 1024 * 1024)}"}`;
    // A server may also stop reading; the answer is then lost with the connection.
    const status = await t.api('POST', '/events', { body }).then((answer) => answer.status, (error) => error.code);
    assert.ok([413, 'ECONNRESET', 'EPIPE'].includes(status), `${status}`);
    await t.publish(t.name(), 'e');
  }, { marks: ['crash'] }),
  rule('http.deep-json', '14', 'A body that nests 100,000 deep is 400, and the server goes on', async (t) => {
    const body = `{"name":"e","channels":["a"],"data":"1","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const { status } = await t.api('POST', '/events', { body });
    assert.ok([200, 400, 413].includes(status), `${status}`);
    await t.publish(t.name(), 'e');
  }, { marks: ['crash'] }),
];

const needs = ['older-forms'];

const older = [
  rule('older.channel-events', '14',
    'POST /channels/{name}/events?name=… publishes its whole body, with 202', async (t) => {
    const name = t.name();
    const wire = await t.member(name);
    const answer = await t.api('POST', `/channels/${name}/events`, { params: { name: 'e' }, body: '{"n":1}' });
    assert.equal(answer.status, 202, answer.text);
    assert.equal((await wire.event('e')).data, '{"n":1}');
  }, { needs }),
  rule('older.query-parameters', '13', 'The fields of an event may stand in the query of a POST', async (t) => {
    const name = t.name();
    const wire = await t.member(name);
    const answer = await t.api('POST', '/events', { params: { channel: name, data: '1', name: 'e' } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await wire.event('e')).data, '1');
  }, { needs }),
  rule('older.stats', '14', 'GET /channels/{name}/stats says whether it is occupied', async (t) => {
    const name = t.name();
    await t.member(name);
    assert.equal((await t.get(`/channels/${name}/stats`)).occupied, true);
  }, { needs }),
];

export const cases = [...channels, ...channel, ...users, ...others, ...older];
