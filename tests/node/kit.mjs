// The test kit for Node: starts the real `gema` on free ports and ends it with the test. Mirrors tests/src/gema.rs.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Pusher from 'pusher-js';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const BINARY = process.env.GEMA_BIN ?? path.join(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'debug', 'gema');
/** How long anything that must come may take, in milliseconds. */
export const PATIENCE = 30_000;

export const APP = { id: '424242', key: 'testkey0123456789abc', secret: 'testsecret0123456789' };

/** Rejects after PATIENCE with a sentence that says what did not come. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${PATIENCE} ms`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks again until the answer is truthy. */
export async function until(question, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    assert.ok(Date.now() < end, `${what}: not after ${PATIENCE} ms`);
    await pause(10);
  }
}

const endings = new WeakMap();

/** Runs `end` when the test is over. Unlike with `t.after` what came last ends first: clients before their server. */
export function atEnd(t, end) {
  if (!endings.has(t)) {
    const all = [];
    endings.set(t, all);
    t.after(async () => {
      const failures = [];
      for (const one of all.reverse()) await Promise.resolve().then(one).catch((error) => failures.push(error));
      if (failures.length) throw failures[0];
    });
  }
  endings.get(t).push(end);
}

/** One running process. */
export class Gema {
  constructor(role, env) {
    Object.assign(this, { role, app: APP });
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gema-'));
    this.logPath = path.join(this.folder, 'gema.log');
    this.env = {
      PATH: process.env.PATH,
      REVERB_APP_ID: APP.id,
      REVERB_APP_KEY: APP.key,
      REVERB_APP_SECRET: APP.secret,
      // The kernel picks them, so nothing can clash.
      REVERB_SERVER_PORT: '0',
      APP_PORT: '0',
      ATTENDANCE_DASHBOARD_DIR: path.join(ROOT, 'examples/dashboard/dist'),
      ...env,
    };
    if (role === 'serve') this.run('migrate', '--seed');
    this.spawn();
  }

  /** Runs another command of gema in the same folder, to its end. */
  run(...args) {
    const { status, stderr, stdout } = spawnSync(BINARY, args, { cwd: this.folder, env: this.env, encoding: 'utf8' });
    assert.equal(status, 0, `gema ${args.join(' ')} failed: ${stderr}`);
    return stdout;
  }

  spawn() {
    const log = fs.openSync(this.logPath, 'a');
    this.from = fs.fstatSync(log).size;
    const options = { cwd: this.folder, env: this.env, stdio: ['ignore', log, log] };
    this.child = spawn(BINARY, [this.role, '--host', '127.0.0.1'], options);
    fs.closeSync(log);
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject).once('exit', (code, signal) => resolve(code ?? signal));
    });
    this.ended.catch(() => {});
  }

  log() {
    return fs.readFileSync(this.logPath, 'utf8');
  }

  /** Where the attendance API answers. */
  get web() {
    return `http://127.0.0.1:${this.webPort}`;
  }

  /** Waits until it has printed where it listens. */
  async ready() {
    let ended = false;
    this.ended.then(() => { ended = true; }, () => { ended = true; });
    const port = (words) => new RegExp(`${words} on https?://[^:]+:(\\d+)\\b.*\\n`).exec(this.log().slice(this.from))?.[1];
    await until(() => {
      [this.port, this.webPort] = ['broadcast server', 'attendance API'].map(port).map(Number);
      assert.ok(!ended, `gema ended before it was ready:\n${this.log()}`);
      return this.port && (this.webPort || this.role !== 'serve');
    }, 'gema is ready');
  }

  /** Ends it with the given signal; resolves to its status. */
  async stop(signal = 'SIGTERM') {
    this.child.kill(signal);
    return within(this.ended, 'gema has ended');
  }

  /** Starts it again on the same ports. */
  async again() {
    Object.assign(this.env, { REVERB_SERVER_PORT: String(this.port), APP_PORT: String(this.webPort || 0) });
    this.spawn();
    await this.ready();
  }

  /** The end of the test: kills what runs, and looks for panics. */
  async end() {
    this.child.kill('SIGKILL');
    await this.ended.catch(() => {});
    const log = this.log();
    fs.rmSync(this.folder, { recursive: true, force: true });
    assert.ok(!log.includes('panicked'), `gema panicked:\n${log}`);
  }
}

/** Starts `gema broadcast` or `gema serve` for one test (or one suite). */
export async function start(t, { role = 'broadcast', env = {} } = {}) {
  const gema = new Gema(role, env);
  atEnd(t, () => gema.end());
  await gema.ready();
  return gema;
}

/** What pusher-js and Echo need to find the server, as our documentation recommends it. */
export function browserOptions(gema) {
  return { cluster: '', wsHost: '127.0.0.1', wsPort: gema.port, forceTLS: false, enabledTransports: ['ws'] };
}

/** An unmodified pusher-js client, disconnected at the end of the test. */
export function pusherClient(t, gema, { key = APP.key, ...options } = {}) {
  const client = new Pusher(key, { ...browserOptions(gema), ...options });
  atEnd(t, () => client.disconnect());
  return client;
}

/** Resolves when the connection reaches a state. */
export function state(client, wanted) {
  return until(() => client.connection.state === wanted, `state ${wanted}, not ${client.connection.state}`);
}

/** Resolves to the data of the next event of that name on a channel or connection. */
export function once(emitter, event) {
  return within(new Promise((resolve) => {
    const take = (data) => {
      emitter.unbind(event, take);
      resolve(data);
    };
    emitter.bind(event, take);
  }), `event ${event}`);
}

/** Resolves to the channel once it is subscribed. */
export async function subscribed(client, name) {
  const channel = client.subscribe(name);
  if (!channel.subscribed) await once(channel, 'pusher:subscription_succeeded');
  return channel;
}

const digest = (text) => createHmac('sha256', APP.secret).update(text).digest('hex');

/** What a back end answers a client that wants to join a channel. */
function admission(socketId, channel, person) {
  const data = channel.startsWith('presence-') ? person : undefined;
  const answer = { auth: `${APP.key}:${digest([socketId, channel, data].filter(Boolean).join(':'))}` };
  if (data) answer.channel_data = data;
  if (channel.startsWith('private-encrypted-')) {
    answer.shared_secret = createHash('sha256').update(channel).digest('base64');
  }
  return answer;
}

/**
 * A back end of a few lines: admits to every channel but those called denied, and remembers the requests.
 * `person` is the text of channel_data on presence channels, `user` that of user_data.
 */
export async function authEndpoint(t, { person = '{"user_id":"1"}', user = '{"id":"1"}' } = {}) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const { method, url, headers } = request;
    const socketId = form.get('socket_id');
    const channel = form.get('channel_name');
    requests.push({
      method, url, ct: headers['content-type'], csrf: headers['x-csrf-token'], authz: headers.authorization, body,
    });
    response.statusCode = channel?.includes('denied') ? 403 : 200;
    response.end(JSON.stringify(url.endsWith('/user-auth')
      ? { auth: `${APP.key}:${digest(`${socketId}::user::${user}`)}`, user_data: user }
      : admission(socketId, channel, person)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { requests, base: `http://127.0.0.1:${server.address().port}` };
}
