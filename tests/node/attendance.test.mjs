// From a check-in to Echo's handlers: the attendance API, its worker and the broadcast server in one process.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';
import { APP, atEnd, browserOptions, start, until } from './kit.mjs';
import { Person } from './office.mjs';

/** Echo as a mobile app would use it: by bearer token. */
function echo(t, gema, person) {
  const made = new Echo({
    broadcaster: 'reverb', Pusher, key: APP.key, ...browserOptions(gema),
    authEndpoint: `${gema.web}/broadcasting/auth`, bearerToken: person.token,
  });
  atEnd(t, () => made.disconnect());
  return made;
}

const joined = (channel) => until(() => channel.subscription.subscribed, `subscribed to ${channel.name}`);

/** Listens to both events on a channel and collects [event, data]. */
async function listener(channel) {
  const heard = [];
  for (const event of ['.attendance.created', '.attendance.updated']) {
    channel.listen(event, (data) => heard.push([event, data]));
  }
  await joined(channel);
  return heard;
}

test('a check-in and a check-out reach the public and the private channel, in order', async (t) => {
  const gema = await start(t, { role: 'serve', env: { NODE_ID: '3' } });
  const admin = await Person.login(gema);
  const ani = await admin.hire('Ani');
  const open = await listener(echo(t, gema, admin).channel('attendances'));
  const own = await listener(echo(t, gema, ani).private(`user.${ani.user.id}`));

  const record = await ani.checkIn();
  const closed = await ani.checkOut();
  await until(() => open.length === 2 && own.length === 2, 'two events on two channels');

  assert.deepEqual(own.map(([event]) => event), ['.attendance.created', '.attendance.updated']);
  const [[, created], [, updated]] = own;
  assert.deepEqual([created.version, updated.version], [1, 2]);
  assert.deepEqual(created.attendance, record, 'the event holds what the API answered');
  assert.deepEqual(updated.attendance, closed);
  assert.deepEqual(Object.keys(record).sort(), ['check_in', 'check_out', 'created_at', 'date', 'id', 'node_id', 'notes',
    'status', 'updated_at', 'user', 'user_id', 'version']);
  assert.deepEqual([record.node_id, created.node_id, record.user_id, record.check_out], [3, 3, ani.user.id, null]);
  assert.match(record.check_in, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.match(created.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.match(created.event_id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.notEqual(created.event_id, updated.event_id);

  for (const index of [0, 1]) {
    const [private_, public_] = [own[index][1], open[index][1]];
    assert.equal(public_.event_id, private_.event_id, 'both copies are one event');
    assert.equal(public_.attendance.user.name, 'Ani');
    assert.ok(!('email' in public_.attendance.user), 'anybody can read the public channel');
    assert.equal(public_.attendance.notes, null);
  }
});

test('one open attendance at a time, and only with a login', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const nobody = new Person(gema, null, null);
  assert.equal((await nobody.call('POST', '/api/attendances/check-in', {})).status, 401);
  assert.equal((await new Person(gema, 'forged', null).call('GET', '/api/attendances')).status, 401);
  const admin = await Person.login(gema);
  assert.equal((await admin.call('POST', '/api/attendances/check-out', {})).status, 409, 'nothing is open');
  await admin.checkIn();
  const racers = await Promise.all([1, 2, 3, 4].map(() => admin.call('POST', '/api/attendances/check-in', {})));
  assert.deepEqual(racers.map(({ status }) => status), [409, 409, 409, 409]);
  assert.ok(racers[0].body.message);
  await admin.checkOut();
  const many = await Promise.all([1, 2, 3, 4].map(() => admin.call('POST', '/api/attendances/check-in', {})));
  assert.deepEqual(many.map(({ status }) => status).sort(), [201, 409, 409, 409], 'the database decides');
});

test('an employee sees only their own, and hears only their own', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const admin = await Person.login(gema);
  const [ani, budi] = [await admin.hire('Ani'), await admin.hire('Budi')];
  await ani.checkIn();
  await budi.checkIn();
  const rows = (answer) => (Array.isArray(answer) ? answer : answer.data);
  const seenBy = async (person) => (
    rows(await person.must(200, 'GET', '/api/attendances')).map((row) => row.user_id).sort());
  assert.deepEqual(await seenBy(ani), [ani.user.id]);
  assert.deepEqual(await seenBy(admin), [ani.user.id, budi.user.id]);

  const client = echo(t, gema, ani);
  const errors = [];
  client.private(`user.${budi.user.id}`).error((error) => errors.push(error.status));
  await until(() => errors.length, 'a refusal');
  assert.deepEqual(errors, [403]);
  await joined(client.private(`user.${ani.user.id}`));
  await joined(echo(t, gema, admin).private(`user.${ani.user.id}`));
  const rival = { name: 'x', email: 'x@example.com', password: 'long enough', role: 'admin' };
  assert.equal((await ani.call('POST', '/api/users', rival)).status, 403);
});

/** Stands before the broadcast server and refuses publishers until it is opened. */
async function gate(t, gema) {
  const state = { open: false, refused: 0 };
  const server = http.createServer((request, response) => {
    if (!state.open) {
      state.refused += 1;
      request.resume();
      response.writeHead(503).end('closed for now');
      return;
    }
    const { method, headers, url: path } = request;
    const forward = http.request({ host: '127.0.0.1', port: gema.port, method, headers, path }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forward.on('error', () => response.destroy()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}` });
}

test('what was answered survives a crash and is delivered afterwards, once and in order', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const door = await gate(t, gema);
  await gema.stop();
  gema.env.REVERB_PUBLISH_URL = door.url;
  await gema.again();
  const admin = await Person.login(gema);
  const record = await admin.checkIn();
  await admin.checkOut();
  await until(() => door.refused > 0, 'a try to publish');
  await gema.stop('SIGKILL');
  await gema.again();
  const rows = await admin.must(200, 'GET', '/api/attendances');
  assert.deepEqual((Array.isArray(rows) ? rows : rows.data).map(({ id }) => id), [record.id], 'the login is kept, too');
  const heard = await listener(echo(t, gema, admin).channel('attendances'));
  door.open = true;
  await until(() => heard.length >= 2, 'both events');
  await admin.checkIn();
  await until(() => heard.length >= 3, 'a later event');
  assert.deepEqual(heard.map(([event, { version }]) => [event, version]),
    [['.attendance.created', 1], ['.attendance.updated', 2], ['.attendance.created', 1]]);
});
