// The unmodified libraries of npm as the tests use them, and a journal of what their handlers were told.

import assert from 'node:assert/strict';
import Echo from 'laravel-echo';
import PusherServer from 'pusher';
import Pusher from 'pusher-js';
import { BackEnd, MASTER_KEY } from './back-end.mjs';
import { APP, atEnd, browserOptions, pusherClient, start, until } from './kit.mjs';

/** The server library, as a back end beside the server would make it. */
export function library(gema, overrides = {}) {
  return new PusherServer({
    appId: APP.id, key: APP.key, secret: APP.secret, host: '127.0.0.1', port: String(gema.port), useTLS: false,
    encryptionMasterKeyBase64: MASTER_KEY, ...overrides,
  });
}

/** Echo over pusher-js, disconnected at the end of the test. */
export function echoClient(t, gema, options = {}) {
  const made = new Echo({ broadcaster: 'reverb', Pusher, key: APP.key, ...browserOptions(gema), ...options });
  atEnd(t, () => made.disconnect());
  return made;
}

/** Resolves to Echo's channel once it is subscribed. */
export async function joined(channel) {
  await until(() => channel.subscription.subscribed, `subscribed to ${channel.name}`);
  return channel;
}

/** What handlers were called with, in order. */
export class Journal {
  entries = [];

  /** A handler that writes down its name and its arguments: data, then metadata (who whispers) if there is any. */
  note(name) {
    return (...args) => {
      if (args.length > 1 && typeof args[1] === 'object' && Object.keys(args[1]).length === 0) args.pop();
      while (args.length && args.at(-1) === undefined) args.pop();
      this.entries.push(JSON.parse(JSON.stringify([name, ...args])));
    };
  }

  /** Notes these events of a channel, a connection or a user. */
  follow(emitter, ...events) {
    for (const event of events) emitter.bind(event, this.note(event));
    return this;
  }

  get length() {
    return this.entries.length;
  }

  /** Waits until there are that many entries. */
  async reach(count) {
    await until(() => this.length >= count, `entry ${count} of a journal`).catch((error) => {
      throw new Error(`${error.message}; there are ${JSON.stringify(this.entries)}`);
    });
  }

  /** Waits for as many entries as expected and compares all of them. */
  async is(expected, message) {
    await this.reach(expected.length);
    assert.deepEqual(this.entries, expected, message);
  }
}

/**
 * A server, a back end and ways to make their clients. The first argument of `echo` and `pusher` is the token of a
 * person of the back end.
 */
export async function scene(t, { people, env } = {}) {
  const gema = await start(t, { env });
  const back = await BackEnd.start(t, people);
  const bearer = (token) => ({ Authorization: `Bearer ${token}` });
  const echo = (token, options = {}) => echoClient(t, gema, {
    // Headers of its own: what Echo takes when there are none is one object for all instances of a process.
    authEndpoint: `${back.base}/broadcasting/auth`, bearerToken: token, auth: { headers: {} },
    userAuthentication: { endpoint: `${back.base}/broadcasting/user-auth`, transport: 'ajax', headers: {} }, ...options,
  });
  const pusher = (token, options = {}) => pusherClient(t, gema, {
    channelAuthorization: { endpoint: `${back.base}/broadcasting/auth`, transport: 'ajax', headers: bearer(token) },
    userAuthentication: { endpoint: `${back.base}/broadcasting/user-auth`, transport: 'ajax', headers: bearer(token) },
    ...options,
  });
  return { gema, back, echo, pusher, server: library(gema) };
}
