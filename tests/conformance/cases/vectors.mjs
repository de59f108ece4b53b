// The recorded vectors of the official SDKs: what they sign and send is taken, what is forged is not.

import assert from 'node:assert/strict';
import { isPresence, rule } from '../case.mjs';
import { channelAuth, hmac, userAuth } from '../target.mjs';
import { ALL, ofKind, requestFor, verifyMessage } from '../vectors.mjs';

/** Channels of an event's body, with the name and data that must arrive there. */
function deliveries(body) {
  const event = JSON.parse(body);
  return (event.batch ?? [event]).flatMap(({ name, data, channels, channel }) => (
    (channels ?? [channel]).filter((one) => !one.startsWith('#')).map((one) => ({ channel: one, name, data }))));
}

/** Sends a request that must be accepted; events of it must arrive. */
async function accepted(t, vector) {
  const { method, path, query, body } = requestFor(vector, t.target, `-${t.name()}`);
  const expected = /\/(batch_)?events$/.test(path) ? deliveries(body) : [];
  const wires = [];
  for (const { channel } of expected) wires.push(await t.member(channel));
  const answer = await t.request(method, `${path}?${query}`, { body });
  assert.equal(answer.status, 200, answer.text);
  answer.json();
  for (const [index, { channel, name, data }] of expected.entries()) {
    assert.deepEqual((await wires[index].event(name)).json, { event: name, channel, data });
  }
}

async function refused(t, vector) {
  const { method, path, query, body } = requestFor(vector, t.target, `-${t.name()}`);
  const answer = await t.request(method, `${path}?${query}`, { body });
  // A path that names another app may also be an app that does not exist.
  const statuses = path.startsWith(`/apps/${t.target.id}/`) ? [401] : [401, 403, 404];
  assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.text}`);
}

/** Does an event ask a channel for what its kind does not have? With the limits of Pusher that is refused. */
function asksTooMuch({ request: { path, body } }) {
  if (!path.endsWith('/events')) return false;
  const { info = '', channels, channel } = JSON.parse(body);
  return info.includes('user_count') && !(channels ?? [channel]).every(isPresence);
}

function needsOf({ server_path_prefix: prefix, request: { path } }) {
  if (prefix) return ['path-prefix'];
  // The Python SDK forgets /apps/{id} here; nothing says that a server must put up with it.
  return path.startsWith('/users/') ? ['older-forms'] : [];
}

const http = ofKind('http_request', 'http_request_verify').map((vector) => {
  const { id, valid, reason, rule: why, note } = vector;
  const says = `${valid ? 'Taken' : 'Refused'}: ${reason ?? why ?? note ?? 'as the SDK signs and sends it'}`;
  return rule(`vector.${id}`, '13', says, (t) => (valid ? accepted : refused)(t, vector), {
    marks: valid ? [] : ['auth'], needs: needsOf(vector),
    profile: asksTooMuch(vector) ? 'reverb' : undefined,
  });
});

/** A subscription as an SDK signs it: the signed text with our socket in it. */
const channelAuths = ofKind('channel_auth').map(({ id, input, expected, string_to_sign: text, socket_id: socket }) => (
  rule(`vector.${id}`, '5.3', `Taken: the signature over \`${text ?? 'channel_data as given'}\``, async (t) => {
    const wire = await t.connect();
    const { channel } = input;
    const member = expected.channel_data ?? input.channel_data;
    const auth = channelAuth(t.target, wire.id, channel, member);
    if (text) {
      const signed = text.replace(socket ?? input.socket_id, wire.id);
      assert.equal(auth, `${t.target.key}:${hmac(t.target.secret, signed)}`, 'the vector signs the same text');
    }
    if (isPresence(channel) && member === undefined) await t.signIn(wire, `{"id":"${t.name()}"}`);
    wire.send({ event: 'pusher:subscribe', data: { auth, channel, ...(member && { channel_data: member }) } });
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
  })));

const userAuths = ofKind('user_auth').map(({ id, expected, string_to_sign: text, input }) => (
  rule(`vector.${id}`, '9', `Taken: the sign-in with \`${expected.user_data}\``, async (t) => {
    const wire = await t.connect();
    const { user_data: user } = expected;
    const auth = userAuth(t.target, wire.id, user);
    const signed = text.replace(input.socket_id, wire.id);
    assert.equal(auth, `${t.target.key}:${hmac(t.target.secret, signed)}`, 'the vector signs the same text');
    wire.send({ event: 'pusher:signin', data: { auth, user_data: user } });
    assert.equal((await wire.event('pusher:signin_success')).content.user_data, user);
  })));

const verifies = ofKind('channel_auth_verify').map((vector) => (
  rule(`vector.${vector.id}`, vector.signin ? '9' : '5.3', `${vector.valid ? 'Taken' : 'Refused'}: ${vector.reason}`,
    async (t) => {
      const wire = await t.connect();
      wire.send(verifyMessage(vector, t.target, wire.id));
      if (vector.valid) await wire.event('pusher_internal:subscription_succeeded');
      else await t.refused(wire, 4009);
    }, { marks: vector.valid ? [] : ['auth'] })));

/** The value that an SDK complains about stands between quotes. */
const complaint = ({ expected }) => expected.message.split("'")[1];

/** What an SDK refuses to send, sent all the same; by the vector's rule. */
const SENT_ANYWAY = {
  'channel charset': badChannel,
  '# reserved': badChannel,
  'channel length (SDK limit 200, documented server limit 164)': badChannel,
  'event name length': (t, vector) => isBad(t, { name: complaint(vector), data: '', channels: [t.name()] }),
  'channels per trigger': (t) => (
    isBad(t, { name: 'e', data: '', channels: Array.from({ length: 101 }, () => t.name()) })),
  'socket id must match ^\\d+\\.\\d+$': async (t, vector) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.publish(channel, 'e', '1', { socket_id: complaint(vector) });
    await wire.event('e');
  },
  'user id must be a non-empty string': async (t, vector) => {
    const wire = await t.connect();
    const user = JSON.stringify({ id: vector.id.endsWith('numeric') ? Number(complaint(vector)) : complaint(vector) });
    wire.send({ event: 'pusher:signin', data: { auth: userAuth(t.target, wire.id, user), user_data: user } });
    await t.refused(wire, 4009);
  },
};

async function isBad(t, body) {
  const answer = await t.api('POST', '/events', { body });
  assert.equal(answer.status, 400, answer.text);
}

async function badChannel(t, vector) {
  const channel = complaint(vector);
  await isBad(t, { name: 'e', data: '', channels: [channel] });
  const wire = await t.connect();
  wire.send({ event: 'pusher:subscribe', data: { auth: channelAuth(t.target, wire.id, channel), channel } });
  await t.refused(wire, 4009);
}

/** The PHP SDK does send such requests, so a server has to take them. */
const SDK_ONLY = ['multi-channel with encrypted'];

const rejected = ofKind('sdk_rejects').filter((vector) => !SDK_ONLY.includes(vector.rule)).map((vector) => (
  rule(`vector.${vector.id}`, vector.id.includes('user_id') ? '9' : '5.1', `What the SDK does not send: ${vector.rule}`,
    (t) => SENT_ANYWAY[vector.rule](t, vector), { marks: ['auth'] })));

const encryption = ofKind('encryption').filter(({ expected }) => expected.ciphertext).map(({ id, input, expected }) => (
  rule(`vector.${id}`, '12', 'The recorded box passes as it is', async (t) => {
    const wire = await t.member(input.channel);
    const data = expected.data_string ?? JSON.stringify({ nonce: expected.nonce, ciphertext: expected.ciphertext });
    const name = t.name();
    await t.publish(input.channel, name, data);
    assert.equal((await wire.event(name)).data, data);
  })));

/** Vectors that no request to a server can show. */
const ELSEWHERE = {
  webhook: 'signed by servers: the library itself judges what comes, in the cases webhook.*',
  encryption: 'keys and broken boxes concern libraries and clients; the cases encrypted.round-trip-* open real ones',
  sdk_rejects: `${SDK_ONLY}: the PHP library does send such requests`,
};

export const cases = [...http, ...channelAuths, ...userAuths, ...verifies, ...rejected, ...encryption];

const run = new Set(cases.map(({ id }) => id.replace('vector.', '')));
const forgotten = ALL.filter(({ id, kind }) => !run.has(id) && !ELSEWHERE[kind]);
if (forgotten.length) throw new Error(`nobody runs the vectors ${forgotten.map(({ id }) => id)}`);
