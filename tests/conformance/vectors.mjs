// The recorded vectors of the official SDKs, as the protocol crate keeps them, made anew for the server under test.
//
// A vector was signed for an app, a time and a socket of its own. What was signed and how stays; app, time and socket
// are replaced, names of channels and users get an ending of their own, and it is signed again. A wrong signature stays
// wrong in the same way.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hmac, md5, now } from './target.mjs';

const FILE = fileURLToPath(new URL('../../crates/protocol/tests/vectors.json', import.meta.url));
const { app, vectors, client_transcripts: transcripts } = JSON.parse(fs.readFileSync(FILE, 'utf8'));
const VECTOR_APP = { id: app.app_id, key: app.key, secret: app.secret };
/** A vector about the age of a request is moved this far from the edge of the window, in seconds. */
const MARGIN = 10;

/** All vectors there are, and those of some kinds. */
export const ALL = vectors;
export const ofKind = (...kinds) => vectors.filter(({ kind }) => kinds.includes(kind));
/** What a transcript expects. */
export const transcript = (id) => transcripts.find((entry) => entry.id === id).expected;

/** Names in an event's body that others may use, too. */
function namesIn(body) {
  if (!body) return [];
  const event = JSON.parse(body);
  return [event, ...(event.batch ?? [])].flatMap(({ channels, channel }) => [channels ?? [], channel ?? []].flat());
}

/** An ending for every name of an event, with the rest of the body as it was. */
function renamed(body, ending) {
  return namesIn(body).reduce((text, name) => text.replace(JSON.stringify(name), JSON.stringify(name + ending)), body);
}

/** What the vector's app would have sent as the signature: right, in upper case, missing, or of another secret. */
function signatureLike(theirs, theirText, secret, text) {
  const right = hmac(VECTOR_APP.secret, theirText);
  if (theirs === undefined) return undefined;
  if (theirs === right) return hmac(secret, text);
  if (theirs === right.toUpperCase()) return hmac(secret, text).toUpperCase();
  return hmac(`not ${secret}`, text);
}

/** The query of a vector as it stands, in its order: [name, value, as it was sent]. */
function queryOf({ request, string_to_sign: text, signature }) {
  const raw = request.request_target?.split('?')[1]
    ?? (request.query && Object.entries(request.query).map(([name, value]) => `${name}=${value}`).join('&'))
    ?? `${text.split('\n')[2]}&auth_signature=${signature}`;
  return raw.split('&').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
}

/** {method, path, body, query} of an HTTP vector for this target; `ending` makes its names unique. */
export function requestFor(vector, target, ending) {
  const { request, string_to_sign: theirText, server_time: serverTime, server_path_prefix: prefix = '' } = vector;
  const query = queryOf(vector);
  const value = (name) => query.find(([known]) => known === name)?.[1];
  const body = renamed(request.body ?? '', ending);
  const time = Number(value('auth_timestamp'));
  const age = serverTime === undefined ? 0 : serverTime - time;
  const moment = now() - age + Math.sign(age) * (vector.valid ? MARGIN : -MARGIN);
  const replaced = new Map([
    [VECTOR_APP.key, target.key],
    [`/apps/${VECTOR_APP.id}/`, `/apps/${target.id}/`],
    // Another app than the vector's: one that this server does not have either.
    ['/apps/4/', `/apps/${target.id}4/`],
    [md5(request.body ?? ''), md5(body)],
    ['/terminate_connections', `${ending}/terminate_connections`],
    ...(Number.isNaN(time) ? [] : [[String(time), String(moment)]]),
  ]);
  const moved = (text) => [...replaced].reduce((made, [from, to]) => made.replace(from, to), text);
  const signature = signatureLike(value('auth_signature'), theirText, target.secret, moved(theirText));
  const sent = query.filter(([name]) => name !== 'auth_signature').map(([name, text]) => `${name}=${moved(text)}`);
  return {
    method: request.method,
    path: moved(request.path).slice(prefix.length),
    body,
    query: [...sent, ...(signature === undefined ? [] : [`auth_signature=${signature}`])].join('&'),
  };
}

/** Which text was signed, for the vectors that do not say so: of socket id, channel and the signed channel_data. */
const SIGNED = {
  'neg.auth.other_channel': ({ socket }) => `${socket}:private-foobar`,
  'neg.auth.other_socket': ({ channel }) => `1.1:${channel}`,
  'neg.signin.channel_signature': ({ socket, data }) => `${socket}:${data}`,
  'neg.signin.tampered': ({ socket }) => `${socket}::user::{"id":"1"}`,
};
const PLAIN = ({ socket, channel }) => `${socket}:${channel}`;
const WITH_MEMBER = ({ socket, channel }) => `${socket}:${channel}:{"user_id":"10","user_info":{"name":"A"}}`;
const AS_SENT = ({ socket, channel, data }) => [socket, channel, data].filter((part) => part !== undefined).join(':');
const AS_USER = ({ socket, data }) => `${socket}::user::${data}`;

/** Finds the text whose signature the vector carries; undefined if it is signed in a way of its own. */
function signedText(id, parts, hex) {
  const known = SIGNED[id] ? [SIGNED[id]] : [PLAIN, AS_SENT, AS_USER, WITH_MEMBER];
  return known.find((make) => hmac(VECTOR_APP.secret, make(parts)) === hex?.toLowerCase()) ?? SIGNED[id];
}

/** The message that a channel_auth_verify vector stands for, from this target's socket. */
export function verifyMessage({ id, subscribe, signin, socket_id: theirSocket }, target, socket) {
  const { auth, channel, channel_data: member, user_data: user } = subscribe ?? signin;
  const data = member ?? user;
  const [key, hex] = auth?.includes(':') ? auth.split(':') : [undefined, auth];
  const make = signedText(id, { socket: theirSocket, channel, data }, hex);
  const text = (make ?? PLAIN)({ socket, channel, data });
  let signature = hex && hmac(make ? target.secret : `not ${target.secret}`, text);
  if (hex && hex !== hex.toLowerCase()) signature = signature.toUpperCase();
  const ours = key === VECTOR_APP.key ? target.key : key;
  const again = hex && [...(ours === undefined ? [] : [ours]), signature].join(':');
  const fields = { ...(subscribe ?? signin), ...(auth !== undefined && { auth: again }) };
  return { event: subscribe ? 'pusher:subscribe' : 'pusher:signin', data: fields };
}

/** Every vector whose signature could not be told apart from "signed with another secret" says that it is one. */
export function assertKnown() {
  for (const { id, subscribe, signin, socket_id: socket } of ofKind('channel_auth_verify')) {
    const { auth, channel, channel_data: member, user_data: user } = subscribe ?? signin;
    const hex = auth?.split(':').at(-1);
    const make = signedText(id, { socket, channel, data: member ?? user }, hex);
    assert.ok(!hex || make || id === 'neg.auth.other_secret', `${id}: nobody knows what was signed`);
  }
}
assertKnown();
