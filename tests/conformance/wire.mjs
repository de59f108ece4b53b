// A WebSocket client (RFC 6455) over a plain socket: it shows what came as it came and sends whatever a case wants.
// What the protocol says about the content is in case.mjs.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
export const TEXT = 1;
export const BINARY = 2;
export const CONTINUATION = 0;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;
/** Events whose name begins like this are for `until` only. */
export const FENCE = 'conformance-fence-';

/** One frame of a client, masked as the standard wants it. `first` replaces the first byte, for reserved bits. */
export function encode(opcode, payload, { fin = true, first } = {}) {
  const body = Buffer.from(payload);
  const mask = randomBytes(4);
  const head = [first ?? ((fin ? 0x80 : 0) | opcode)];
  if (body.length < 126) head.push(0x80 | body.length);
  else if (body.length < 0x10000) head.push(0x80 | 126, body.length >> 8, body.length & 0xff);
  else head.push(0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (body.length >>> shift) & 0xff));
  return Buffer.concat([Buffer.from(head), mask, body.map((byte, index) => byte ^ mask[index % 4])]);
}

/** Cuts one frame of a server off the buffer: {opcode, fin, payload, size}, or null if it is not complete yet. */
export function decode(buffer) {
  if (buffer.length < 2) return null;
  const short = buffer[1] & 0x7f;
  const start = { 126: 4, 127: 10 }[short] ?? 2;
  if (buffer.length < start) return null;
  const long = { 126: () => buffer.readUInt16BE(2), 127: () => Number(buffer.readBigUInt64BE(2)) };
  const length = long[short]?.() ?? short;
  const size = start + length;
  if (buffer.length < size) return null;
  const broken = (buffer[1] & 0x80 && 'a masked frame from a server') || (buffer[0] & 0x70 && 'reserved bits are set');
  return {
    opcode: buffer[0] & 0x0f, fin: Boolean(buffer[0] & 0x80), payload: buffer.subarray(start, size), size, broken,
  };
}

/** A message of the server; `data` as it stands, `content` what clients read in it, be it a JSON text or an object. */
function message(text) {
  const json = JSON.parse(text);
  return {
    text,
    json,
    ...json,
    get content() {
      return typeof json.data === 'string' ? JSON.parse(json.data) : json.data ?? {};
    },
  };
}

/** One connection. Pings of both kinds are answered unasked; what else comes waits to be taken, in order. */
export class Wire {
  #socket;
  #buffer = Buffer.alloc(0);
  #inbox = [];
  #waiter = null;
  #parts = [];
  #ended = false;
  #patience;
  /** How often the server has pinged, in either way. */
  pings = 0;

  /** Resolves to {wire, status, head}: `wire` is null if the server did not switch protocols. */
  static async open({ host, port, path, headers = {}, patience }) {
    const wire = new Wire(patience);
    const key = randomBytes(16).toString('base64');
    const lines = {
      Host: `${host}:${port}`, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key, ...headers,
    };
    const given = Object.entries(lines).filter(([, value]) => value !== null);
    wire.#start(net.connect(port, host));
    wire.raw(`GET ${path} HTTP/1.1\r\n${given.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    const { head, why } = await wire.#take('an answer to the handshake');
    assert.ok(head, `the connection ended during the handshake: ${why}`);
    const status = Number(head.split(' ')[1]);
    if (status !== 101) return { wire: null, status, head, end: () => wire.drop() };
    const accept = createHash('sha1').update(key + GUID).digest('base64');
    assert.match(head, new RegExp(`^sec-websocket-accept: ${accept.replace(/[+]/g, '\\+')}$`, 'im'));
    return { wire, status, head };
  }

  constructor(patience) {
    this.#patience = patience;
  }

  #start(socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', (error) => this.#over(error.code ?? error.message));
    socket.on('close', () => this.#over('closed without a close frame'));
  }

  #over(why) {
    if (!this.#ended) this.#put({ kind: 'end', code: 1006, reason: '', why });
    this.#ended = true;
  }

  #put(item) {
    this.#inbox.push(item);
    this.#waiter?.();
  }

  #read(chunk) {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    if (!this.head && !this.#readHead()) return;
    for (let frame = decode(this.#buffer); frame && !this.#ended; frame = decode(this.#buffer)) {
      this.#buffer = this.#buffer.subarray(frame.size);
      if (frame.broken) this.#fail(frame.broken);
      else this.#on(frame);
    }
  }

  #readHead() {
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end < 0) return false;
    this.head = this.#buffer.subarray(0, end).toString('latin1').replaceAll('\r\n', '\n');
    this.#buffer = this.#buffer.subarray(end + 4);
    this.#put({ kind: 'head', head: this.head });
    return this.head.split(' ')[1] === '101';
  }

  #fail(why) {
    this.#over(`the server broke RFC 6455: ${why}`);
    this.drop();
  }

  #on({ opcode, fin, payload }) {
    if (opcode === CLOSE) return this.#onClose(payload);
    if (opcode === PING) return this.#pinged(() => this.frame(PONG, payload));
    if (opcode === PONG) return this.#put({ kind: 'pong', payload: payload.toString() });
    this.#parts.push(payload);
    if (!fin) return undefined;
    const text = Buffer.concat(this.#parts).toString();
    this.#parts = [];
    return this.#onText(text);
  }

  #onText(text) {
    let read;
    try {
      read = message(text);
    } catch {
      return this.#fail(`not a JSON object: ${text}`);
    }
    if (read.event === 'pusher:ping') return this.#pinged(() => this.send({ event: 'pusher:pong', data: {} }));
    return this.#put({ kind: 'message', message: read });
  }

  #pinged(answer) {
    this.pings += 1;
    answer();
  }

  #onClose(payload) {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    this.#put({ kind: 'end', code, reason: payload.subarray(2).toString(), why: `closed with ${code}` });
    this.#ended = true;
    this.#socket.end(encode(CLOSE, payload.subarray(0, 2)));
  }

  async #take(what) {
    const end = Date.now() + this.#patience;
    while (!this.#inbox.length) {
      const left = end - Date.now();
      assert.ok(left > 0, `${what} did not come within ${this.#patience} ms`);
      let timer;
      await new Promise((resolve) => {
        this.#waiter = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    // The end of a connection stays, for everybody who asks later.
    return this.#inbox[0].kind === 'end' ? this.#inbox[0] : this.#inbox.shift();
  }

  /** Bytes as they are. */
  raw(bytes) {
    if (!this.#socket.writableEnded) this.#socket.write(bytes);
  }

  /** One frame. */
  frame(opcode, payload = '', options = {}) {
    this.raw(encode(opcode, payload, options));
  }

  /** A text message, or an object as JSON. */
  send(value) {
    this.frame(TEXT, typeof value === 'string' ? value : JSON.stringify(value));
  }

  async #message(what) {
    for (;;) {
      const item = await this.#take(what);
      assert.notEqual(item.kind, 'end', `${what} did not come, the connection was ${item.why} ${item.reason}`);
      if (item.kind === 'message') return item.message;
    }
  }

  /** The next message of the server. */
  async next(what = 'a message') {
    for (;;) {
      const next = await this.#message(what);
      if (!String(next.event).startsWith(FENCE)) return next;
    }
  }

  /** Reads to the event of that name, a fence; resolves to the messages before it. */
  async until(fence) {
    const seen = [];
    for (;;) {
      const next = await this.#message('the event published last');
      if (next.event === fence) return seen;
      if (!String(next.event).startsWith(FENCE)) seen.push(next);
    }
  }

  /** The next message, which must be this event. */
  async event(name) {
    const next = await this.next(name);
    assert.equal(next.event, name, `${next.text} came where ${name} was due`);
    return next;
  }

  /** The payload of the next pong control frame. */
  async pong() {
    for (;;) {
      const item = await this.#take('a pong frame');
      assert.notEqual(item.kind, 'end', `no pong frame came, the connection was ${item.why}`);
      if (item.kind === 'pong') return item.payload;
    }
  }

  /** Waits for the server to have handled all that was sent; resolves to the messages that came until then. */
  async settle() {
    this.send('{"event":"pusher:ping","data":{}}');
    const seen = [];
    for (;;) {
      const next = await this.next('pusher:pong');
      if (next.event === 'pusher:pong') return seen;
      seen.push(next);
    }
  }

  /** All that was sent is handled, the connection is open, and there was no answer. */
  async nothing() {
    assert.deepEqual((await this.settle()).map(({ text }) => text), [], 'nothing comes');
  }

  /** Reads to the end: {code, reason, messages}; 1006 when there was no close frame. */
  async closed() {
    const messages = [];
    for (;;) {
      const item = await this.#take('the end of the connection');
      if (item.kind === 'message') messages.push(item.message);
      if (item.kind === 'end') return { code: item.code, reason: item.reason, messages };
    }
  }

  /** Closes as the standard wants it. */
  close(code = 1000) {
    this.frame(CLOSE, Buffer.from([code >> 8, code & 0xff]));
  }

  /** Drops the connection without a word. */
  drop() {
    this.#socket.destroy();
  }
}
