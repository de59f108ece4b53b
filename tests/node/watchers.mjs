// Dashboards without a page, for the chaos test: Echo and pusher-js as npm ships them, the list of examples/dashboard, and
// what that page does when its connection is lost: it joins again and fetches the list. It is told who watches what by one
// line of JSON on its standard input, `{web, port, key, watchers: [{name, token, channels}]}`, and answers each further line
// with one line about all of them. It ends with its standard input.

import { createInterface } from 'node:readline';
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';
import { createBook } from '../../examples/dashboard/src/store/attendances.js';

const PAUSE = 300;
const LIMIT = 8_000;
const EVENTS = ['.attendance.created', '.attendance.updated'];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const now = () => performance.timeOrigin + performance.now();

class Watcher {
  connections = 0;

  fetches = 0;

  /** Whether the list is younger than the last subscription. */
  fresh = false;

  /** [channel, event id, attendance, version, when it came] of everything that came. */
  heard = [];

  constructor({ web, port, key }, { name, token, channels }) {
    Object.assign(this, { name, token, web, book: createBook(), since: {} });
    this.echo = new Echo({
      broadcaster: 'reverb', Pusher, key, cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false,
      enabledTransports: ['ws'], authEndpoint: `${this.web}/broadcasting/auth`, auth: { headers: {} }, bearerToken: token,
    });
    this.connection.bind('connected', () => { this.connections += 1; });
    this.connection.bind('state_change', ({ current }) => {
      if (current !== 'connected') Object.assign(this, { since: {}, fresh: false });
    });
    for (const channel of channels) this.watch(channel);
  }

  get connection() {
    return this.echo.connector.pusher.connection;
  }

  watch(name) {
    const channel = name.startsWith('private-') ? this.echo.private(name.slice('private-'.length)) : this.echo.channel(name);
    for (const event of EVENTS) channel.listen(event, (data) => this.hear(name, data));
    channel.subscribed(() => {
      this.since[name] = now();
      this.refresh();
    });
    // While the back end is away nobody admits us: once more, as long as the connection is the same.
    channel.error(async () => {
      const socket = this.echo.socketId();
      await pause(PAUSE);
      if (socket && socket === this.echo.socketId()) channel.subscription.subscribe();
    });
  }

  hear(channel, event) {
    const { event_id: id, attendance } = event;
    this.book.apply(event);
    this.heard.push([channel, id, attendance.id, attendance.version, now()]);
  }

  async refresh() {
    this.again = true;
    this.fresh = false;
    if (this.fetching) return;
    this.fetching = true;
    while (this.again) {
      this.again = false;
      const mark = this.book.mark();
      const records = await this.fetchAll().catch(() => null);
      if (records) this.book.replace(records, mark);
      else {
        this.again = true;
        await pause(PAUSE);
      }
    }
    this.fetching = false;
    this.fresh = true;
  }

  async fetchAll() {
    const records = [];
    for (let before = ''; before !== null;) {
      const answer = await fetch(`${this.web}/api/attendances?limit=200${before && `&before=${before}`}`, {
        headers: { Accept: 'application/json', Authorization: `Bearer ${this.token}` }, signal: AbortSignal.timeout(LIMIT),
      });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const { data, next } = await answer.json();
      records.push(...data);
      before = next;
    }
    this.fetches += 1;
    return records;
  }

  /** What a test wants to know. `since`: when each channel that is subscribed now was. */
  tell() {
    const { name, connections, fetches, fresh, since, heard } = this;
    const list = [...this.book.rows.values()].map((row) => [row.id, row.version, row.check_out]);
    return { name, state: this.connection.state, connections, fetches, fresh, since, heard, list };
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value);
const watchers = setup.watchers.map((watcher) => new Watcher(setup, watcher));
for await (const line of lines) {
  const told = watchers.map((watcher) => watcher.tell());
  if (line !== 'all') for (const one of told) one.heard = one.heard.length;
  console.log(JSON.stringify(told));
}
process.exit(0);
