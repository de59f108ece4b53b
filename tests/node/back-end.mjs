// A back end as a Laravel app has it, on the official server library: it knows people by a token or a cookie, admits
// them to channels, signs them in, and serves pages to a browser.

import fs from 'node:fs/promises';
import http from 'node:http';
import PusherServer from 'pusher';
import { APP, atEnd } from './kit.mjs';

export const MASTER_KEY = Buffer.alloc(32, 7).toString('base64');

/** Who there is unless a test says otherwise: token → person. The ids are those of a PHP app, digits in a string. */
export const PEOPLE = {
  ani: { id: '10', info: { name: 'Ani' } },
  budi: { id: '11', info: { name: 'Budi' } },
  citra: { id: '12', info: { name: 'Citra' } },
};

/** The answer of a route: status, text and its type. */
const answer = (status, body, type = 'application/json') => ({
  status, type, body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
});

/** The back end. `requests` are the authorisations it was asked for: [route, token, socket id, channel]. */
export class BackEnd {
  requests = [];
  expired = new Set();
  pages = new Map();

  constructor(people) {
    this.people = people;
    this.useKey(MASTER_KEY);
  }

  /** Starts one on a free port, for one test. */
  static async start(t, people = PEOPLE) {
    const back = new BackEnd(people);
    const server = http.createServer(async (request, response) => {
      const { status, type, body } = await back.answer(request);
      response.writeHead(status, { 'Content-Type': type }).end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(t, () => {
      server.closeAllConnections();
      server.close();
    });
    back.base = `http://127.0.0.1:${server.address().port}`;
    return back;
  }

  /** Encrypted channels use this master key from now on. */
  useKey(encryptionMasterKeyBase64) {
    this.library = new PusherServer({ appId: APP.id, key: APP.key, secret: APP.secret, encryptionMasterKeyBase64 });
  }

  /** Serves a text, or the file at a path, to browsers. */
  serve(address, type, { text, file }) {
    this.pages.set(address, { type, text, file });
  }

  async answer(request) {
    const page = this.pages.get(request.url);
    if (page) return answer(200, page.text ?? await fs.readFile(page.file), page.type);
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const { authorization, cookie } = request.headers;
    const token = (/^Bearer (.+)$/.exec(authorization) ?? /\bsession=(\w+)/.exec(cookie))?.[1] ?? null;
    const [socketId, channel] = [form.get('socket_id'), form.get('channel_name')];
    const route = { '/broadcasting/auth': 'channel', '/broadcasting/user-auth': 'user' }[request.url];
    if (!route) return answer(404, {});
    this.requests.push([route, token, socketId, ...(channel ? [channel] : [])]);
    const person = this.expired.has(token) ? undefined : this.people[token];
    if (!person || channel?.includes('denied')) return answer(403, { message: 'Forbidden' });
    return answer(200, route === 'user' ? this.signIn(socketId, person) : this.admit(socketId, channel, person));
  }

  /** Authorises a channel. Whoever is signed in needs no data of a member in rooms that trust the sign-in. */
  admit(socketId, channel, { id, info }) {
    const member = channel.startsWith('presence-') && !channel.includes('trusting');
    return this.library.authorizeChannel(socketId, channel, member ? { user_id: id, user_info: info } : undefined);
  }

  signIn(socketId, { id, info, watchlist }) {
    return this.library.authenticateUser(socketId, { id, user_info: info, ...(watchlist && { watchlist }) });
  }
}
