// What a case gets as `t`: names of its own, connections and requests to the server under test, the official clients.

import assert from 'node:assert/strict';
import http from 'node:http';
import Echo from 'laravel-echo';
import PusherServer from 'pusher';
import Pusher from 'pusher-js';
import { channelAuth, hmac, signedQuery, userAuth } from './target.mjs';
import { FENCE, Wire } from './wire.mjs';

const PROTOCOL = 'protocol=7&client=js&version=8.6.0&flash=false';

/** Declares a case. `marks` may hold 'auth', 'crash' and 'own', `needs` a feature, `profile` the one it is for. */
export function rule(id, section, says, run, { marks = [], needs = [], profile } = {}) {
  return { id, section, says, run, marks, needs, profile };
}

/** Part of an answer: it holds at least what is expected; what a server adds to objects is its own business. */
export function assertHolds(actual, expected) {
  const part = (whole, wanted) => {
    if (Array.isArray(wanted) && Array.isArray(whole)) return whole.map((one, index) => part(one, wanted[index]));
    const plain = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
    if (!plain(wanted) || !plain(whole)) return whole;
    return Object.fromEntries(Object.keys(wanted).map((key) => [key, part(whole[key], wanted[key])]));
  };
  assert.deepEqual(part(actual, expected), expected);
}

/** Whether a kind of channel, told by its name, has members. */
export const isPresence = (channel) => channel.startsWith('presence-');
export const isSigned = (channel) => isPresence(channel) || channel.startsWith('private-');

export class Case {
  #ends = [];
  #count = 0;

  constructor(target, run, patience) {
    Object.assign(this, { target, run, patience });
  }

  /** Ends whatever the case started. */
  async end() {
    for (const end of this.#ends.reverse()) await end();
  }

  after(end) {
    this.#ends.push(end);
  }

  /** The same server under another name: with another prefix, key or secret. */
  elsewhere(changes) {
    const other = new Case({ ...this.target, ...changes }, `${this.run}-x`, this.patience);
    this.after(() => other.end());
    return other;
  }

  /** A name that nobody else on this server uses. */
  name(prefix = '') {
    this.#count += 1;
    return `${prefix}cf-${this.run}-${this.#count}`;
  }

  /** Asks again until the answer is truthy. */
  async until(question, what) {
    const end = Date.now() + this.patience;
    for (;;) {
      const answer = await question();
      if (answer) return answer;
      assert.ok(Date.now() < end, `${what}: not within ${this.patience} ms`);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
  }

  /** A handshake: {wire, status, head}. `query` replaces what pusher-js sends. */
  async open({ key = this.target.key, query = PROTOCOL, headers, path } = {}) {
    const { host, port, prefix } = this.target;
    const made = await Wire.open({
      host, port, headers, patience: this.patience, path: path ?? `${prefix}/app/${key}${query && '?'}${query}`,
    });
    this.after(() => (made.wire ? made.wire.drop() : made.end()));
    return made;
  }

  /** An open connection; its socket id is `id`. */
  async connect(options) {
    const { wire, status } = await this.open(options);
    assert.ok(wire, `the server switches protocols, and does not answer ${status}`);
    this.established = await wire.event('pusher:connection_established');
    wire.id = this.established.content.socket_id;
    return wire;
  }

  /** What makes a subscription: the auth that its channel asks for. `member` is the text of channel_data. */
  subscription(wire, channel, member) {
    if (!isSigned(channel)) return { event: 'pusher:subscribe', data: { auth: '', channel } };
    const auth = channelAuth(this.target, wire.id, channel, member);
    const data = member === undefined ? { auth, channel } : { auth, channel_data: member, channel };
    return { event: 'pusher:subscribe', data };
  }

  /** Subscribes and resolves to the confirmation. Members of presence channels get an id of their own unless given. */
  async join(wire, channel, member = isPresence(channel) ? `{"user_id":"u-${wire.id}"}` : undefined) {
    wire.send(this.subscription(wire, channel, member));
    const confirmed = await wire.event('pusher_internal:subscription_succeeded');
    assert.equal(confirmed.channel, channel);
    return confirmed;
  }

  /** A connection that is in a channel. */
  async member(channel, member) {
    const wire = await this.connect();
    wire.confirmed = await this.join(wire, channel, member);
    return wire;
  }

  /** Signs in and resolves to the confirmation; `user` is the text of user_data. */
  async signIn(wire, user) {
    wire.send({ event: 'pusher:signin', data: { auth: userAuth(this.target, wire.id, user), user_data: user } });
    return wire.event('pusher:signin_success');
  }

  /** A raw request: {status, headers, text, json()}. `path` is below the prefix and goes out as it is. */
  request(method, path, { body = '', headers = {}, agent = false } = {}) {
    const { host, port, prefix } = this.target;
    const all = { ...(body && { 'Content-Type': 'application/json' }), 'Content-Length': Buffer.byteLength(body) };
    const options = { host, port, method, path: prefix + path, headers: { ...all, ...headers }, agent };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${this.patience} ms`)), this.patience);
      const request = http.request(options, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk)).on('error', reject).on('end', () => {
          clearTimeout(timer);
          const text = Buffer.concat(chunks).toString();
          const { statusCode: status, headers: theirs } = response;
          resolve({ status, headers: theirs, text, json: () => JSON.parse(text), reused: request.reusedSocket });
        });
      });
      request.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end(body);
    });
  }

  /** A signed request to an endpoint below /apps/{id}; a body that is no text goes out as JSON. */
  api(method, endpoint, { params, body = '', overrides, headers, agent } = {}) {
    const path = `/apps/${this.target.id}${endpoint}`;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const query = signedQuery(this.target, { method, path, params, body: text, overrides });
    return this.request(method, `${path}?${query}`, { body: text, headers, agent });
  }

  /** What a GET answers with 200. */
  async get(endpoint, params) {
    const answer = await this.api('GET', endpoint, { params });
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
  }

  /** Publishes one event and resolves to the answer; anything but 200 fails. */
  async publish(channels, name, data = '{}', more = {}) {
    const answer = await this.api('POST', '/events', { body: { name, data, channels: [channels].flat(), ...more } });
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
  }

  /** Publishes a last event and resolves to what each of these subscribers got before it; the others do not see it. */
  async fence(channel, ...wires) {
    this.#count += 1;
    const name = `${FENCE}${this.run}-${this.#count}`;
    await this.publish(channel, name);
    return Promise.all(wires.map((wire) => wire.until(name)));
  }

  /** The fence, and nobody got anything before it. */
  async nobodyHeard(channel, ...wires) {
    const seen = await this.fence(channel, ...wires);
    assert.deepEqual(seen.flat().map(({ text }) => text), [], 'nothing is delivered');
  }

  /** The next message of a connection is this error; the connection stays. */
  async refused(wire, code) {
    const { content } = await wire.event('pusher:error');
    assert.equal(content.code, code, content.message);
    assert.equal(typeof content.message, 'string');
    await wire.nothing();
  }

  #clientOptions() {
    const { host, port, prefix } = this.target;
    return { cluster: '', wsHost: host, wsPort: port, wsPath: prefix, forceTLS: false, enabledTransports: ['ws'] };
  }

  /** What a back end answers to both clients, without HTTP. `person` and `user` are texts. */
  #backEnd({ person = '{"user_id":"1"}', user = '{"id":"1"}' }) {
    const admit = ({ socketId, channelName }, done) => {
      const data = isPresence(channelName) ? person : undefined;
      const secret = channelName.startsWith('private-encrypted-') && this.library().channelSharedSecret(channelName);
      done(null, {
        auth: channelAuth(this.target, socketId, channelName, data),
        ...(data && { channel_data: data }),
        ...(secret && { shared_secret: secret.toString('base64') }),
      });
    };
    const identify = ({ socketId }, done) => {
      done(null, { auth: userAuth(this.target, socketId, user), user_data: user });
    };
    return {
      channelAuthorization: { customHandler: admit },
      userAuthentication: { customHandler: identify },
    };
  }

  /** An unmodified pusher-js client. */
  pusherJs({ key = this.target.key, person, user, ...options } = {}) {
    const made = new Pusher(key, { ...this.#clientOptions(), ...this.#backEnd({ person, user }), ...options });
    this.after(() => made.disconnect());
    return made;
  }

  /** An unmodified laravel-echo client. */
  echo({ person, user, ...options } = {}) {
    const made = new Echo({
      broadcaster: 'reverb', Pusher, key: this.target.key, ...this.#clientOptions(),
      ...this.#backEnd({ person, user }), ...options,
    });
    this.after(() => made.disconnect());
    return made;
  }

  /** The unmodified `pusher` library. It knows no path prefix. */
  library(overrides = {}) {
    const { id, key, secret, host, port } = this.target;
    return new PusherServer({
      appId: id, key, secret, host, port: String(port), useTLS: false, timeout: this.patience,
      encryptionMasterKeyBase64: Buffer.from(hmac('master', secret), 'hex').toString('base64'), ...overrides,
    });
  }

  /** A channel of pusher-js once it is subscribed. */
  async subscribed(client, name) {
    const channel = client.subscribe(name);
    await this.until(() => channel.subscribed, `subscribed to ${name}`);
    return channel;
  }
}
