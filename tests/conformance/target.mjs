// The server under test: where it is, its app's credentials, and what the app signs with them.

import { createHash, createHmac } from 'node:crypto';

/** What a server may have beyond what every server has; given with HAS=a,b. */
export const FEATURES = ['client-events', 'subscription-count', 'short-ping', 'older-forms'];

function required(environment, name) {
  if (environment[name]) return environment[name];
  throw new Error(`${name} is not set: the suite needs HOST, PORT, APP_ID, KEY and SECRET of a running server`);
}

/** Reads the target from HOST, PORT, APP_ID, KEY, SECRET, PATH_PREFIX, HAS and WEBHOOK_SINK. */
export function targetOf(environment, profile) {
  const prefix = (environment.PATH_PREFIX ?? '').replace(/\/+$/, '');
  const has = environment.HAS?.split(',').filter(Boolean) ?? (profile === 'reverb' ? ['client-events'] : []);
  const unknown = has.filter((feature) => !FEATURES.includes(feature));
  if (unknown.length) throw new Error(`HAS names ${unknown}, there are ${FEATURES}`);
  return {
    host: required(environment, 'HOST'),
    port: Number(required(environment, 'PORT')),
    id: required(environment, 'APP_ID'),
    key: required(environment, 'KEY'),
    secret: required(environment, 'SECRET'),
    prefix: prefix && !prefix.startsWith('/') ? `/${prefix}` : prefix,
    sink: environment.WEBHOOK_SINK,
    has: [...has, ...(prefix ? ['path-prefix'] : []), ...(environment.WEBHOOK_SINK ? ['webhooks'] : [])],
    profile,
  };
}

export const hmac = (secret, text) => createHmac('sha256', secret).update(text).digest('hex');
export const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');

/** `auth` of a subscription; `data` is the text of channel_data, if there is any. */
export function channelAuth({ key, secret }, socketId, channel, data) {
  return `${key}:${hmac(secret, [socketId, channel, ...(data === undefined ? [] : [data])].join(':'))}`;
}

/** `auth` of a sign-in. */
export function userAuth({ key, secret }, socketId, data) {
  return `${key}:${hmac(secret, `${socketId}::user::${data}`)}`;
}

/** Seconds since 1970. */
export const now = () => Math.floor(Date.now() / 1000);

/** The query of a request, signed; `overrides` replace what is signed, undefined leaves a parameter out. */
export function signedQuery({ key, secret }, { method, path, params = {}, body = '', overrides = {} }) {
  const all = {
    auth_key: key, auth_timestamp: String(now()), auth_version: '1.0', ...(body && { body_md5: md5(body) }), ...params,
    ...overrides,
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  const lines = given.map(([name, value]) => `${name.toLowerCase()}=${value}`).sort();
  const signature = hmac(secret, [method, path, lines.join('&')].join('\n'));
  return new URLSearchParams([...given, ['auth_signature', signature]]).toString();
}
