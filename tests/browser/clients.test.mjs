// The browser builds of pusher-js and Echo in Chromium: the code of our README, and what only a browser does.

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { APP, atEnd, start, until } from '../node/kit.mjs';
import { library } from '../node/clients.mjs';
import { record } from '../node/recorder.mjs';
import { transcript } from '../node/vectors.mjs';
import { handlers, heard, page, site, snippet } from './site.mjs';

const [ANI, BUDI] = [{ name: 'Ani' }, { name: 'Budi' }];
const NOTIFICATION = 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated';

const WORKER = `
importScripts('/pusher.worker.js');
onmessage = ({ data: { port } }) => {
  const client = new Pusher(${JSON.stringify(APP.key)}, {
    cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'],
    channelAuthorization: { endpoint: '/broadcasting/auth', transport: 'ajax' },
  });
  client.connection.bind('state_change', ({ current }) => postMessage(['state', current]));
  const room = client.subscribe('presence-room');
  room.bind('pusher:subscription_succeeded', ({ count }) => postMessage(['subscribed', count]));
  room.bind('news', (data) => postMessage(['news', data]));
};`;

/** Waits for a client in a page to be in a state. */
const inState = (view, wanted) => until(() => view.evaluate((state) => (
  window.Echo.connector.pusher.connection.state === state), wanted), `state ${wanted}`);

test('the code of the README: every kind of channel, whispers, notifications and a refusal', async (t) => {
  const { server, visit } = await site(t, { expected: /status of 403/ });
  const [ani, budi] = [await visit('ani'), await visit('budi')];
  await ani.evaluate(() => {
    window.Echo.private('chat').subscribed(note('chat')).listen('Said', note('Said'))
      .listenForWhisper('typing', note('typing')).notification(note('notification'));
  });
  const story = [['chat']];
  await heard(ani, story);
  await ani.evaluate(() => {
    window.Echo.join('room').here(note('here')).joining(note('joining')).leaving(note('leaving'));
  });
  await heard(ani, story.concat([['here', [ANI]]]));
  story.push(['here', [ANI]]);
  await ani.evaluate(() => {
    window.Echo.encryptedPrivate('vault').subscribed(note('vault')).listen('.opened', note('opened'));
  });
  story.push(['vault']);
  await heard(ani, story);
  await ani.evaluate(() => {
    window.Echo.channel('cache-news').subscribed(note('news')).on('pusher:cache_miss', note('miss'))
      .listen('.headline', note('headline'));
  });
  story.push(['news'], ['miss']);
  await heard(ani, story);
  await ani.evaluate(() => window.Echo.private('denied').error(({ type, status }) => note('denied')(type, status)));
  story.push(['denied', 'AuthError', 403]);
  await heard(ani, story);

  await budi.evaluate(() => window.Echo.private('chat').subscribed(note('chat')));
  await heard(budi, [['chat']]);
  await budi.evaluate(() => window.Echo.private('chat').whisper('typing', { who: 'Budi' }));
  story.push(['typing', { who: 'Budi' }]);
  await heard(ani, story);
  await budi.evaluate(() => window.Echo.join('room').here(note('here')));
  story.push(['joining', BUDI]);
  await heard(ani, story);
  await budi.close();
  story.push(['leaving', BUDI]);
  await heard(ani, story);

  for (const [channel, event, data, name] of [
    ['private-chat', 'App\\Events\\Said', { text: 'é 😀' }, 'Said'],
    ['private-chat', NOTIFICATION, { id: 'uuid', type: 'App\\Notifications\\Paid' }, 'notification'],
    ['private-encrypted-vault', 'opened', { text: 'é 😀' }, 'opened'],
    ['cache-news', 'headline', 'plain text', 'headline'],
  ]) {
    await server.trigger(channel, event, data);
    story.push([name, data]);
  }
  await heard(ani, story);
});

test('the IIFE build of Echo over the plain build of pusher-js: sign-in, events to a user, the end', async (t) => {
  const { server, visit } = await site(t, {
    people: { ani: { id: '10', info: ANI, watchlist: ['11'] }, budi: { id: '11', info: BUDI } },
    pages: ({ port }) => ({
      '/': page({ port }, snippet(), { pusher: '/pusher.js', echo: '/echo.iife.js' }),
    }),
  });
  const ani = await visit('ani');
  await ani.evaluate(() => {
    const { user, connection } = window.Echo.connector.pusher;
    connection.bind('message', ({ event }) => {
      if (event === 'pusher:signin_success') note('signed in')(user.user_data.id);
    });
    user.watchlist.bind('online', ({ user_ids: ids }) => note('online')(ids));
    user.watchlist.bind('offline', ({ user_ids: ids }) => note('offline')(ids));
    user.bind('mail', note('mail'));
    window.Echo.connector.signin();
  });
  const story = [['signed in', '10'], ['offline', ['11']]];
  await heard(ani, story);
  const budi = await visit('budi');
  await budi.evaluate(() => window.Echo.connector.signin());
  story.push(['online', ['11']]);
  await heard(ani, story);
  await until(() => ani.evaluate(() => window.Echo.connector.pusher.user.serverToUserChannel.subscribed), 'reachable');
  await server.sendToUser('10', 'mail', { n: 1 });
  story.push(['mail', { n: 1 }]);
  await heard(ani, story);
  await server.terminateUserConnections('11');
  await inState(budi, 'disconnected');
  story.push(['offline', ['11']]);
  await heard(ani, story);
  assert.equal(await ani.evaluate(() => window.Echo.connectionStatus()), 'connected');
});

test('a server that stops sends its pages to the next one, at once and with all their channels', async (t) => {
  const next = await start(t);
  let balancer;
  const { gema, visit } = await site(t, {
    pages: async (first) => {
      balancer = await record(t, first);
      return { '/': page(balancer, snippet()) };
    },
  });
  const ani = await visit('ani');
  await ani.evaluate(() => {
    window.Echo.channel('open').subscribed(note('open')).listen('.e', note('e'));
  });
  await heard(ani, [['open']]);
  await ani.evaluate(() => {
    const { connection } = window.Echo.connector.pusher;
    connection.bind('state_change', ({ current }) => note('state')(current));
    connection.bind('error', ({ data, error }) => note('error')(data?.code ?? error.data.code));
  });
  balancer.gema = next;
  assert.equal(await gema.stop('SIGTERM'), 0);
  const { states, errors } = transcript('pusherjs.close_codes')
    .find(({ name, during }) => name === 'close 4200' && during === 'connected');
  assert.deepEqual(states, ['connected', 'connecting', 'connected']);
  const times = () => ani.evaluate(() => window.heard.filter(([name]) => name === 'open').length);
  await until(async () => (await times()) === 2, 'subscribed again');
  await library(next).trigger('open', 'e', 1);
  await until(() => ani.evaluate(() => window.heard.at(-1)[0] === 'e'), 'an event from the next server');
  const all = await ani.evaluate(() => window.heard);
  assert.deepEqual(all.filter(([name]) => name !== 'error'), [['open'], ['state', 'connecting'], ['state', 'connected'],
    ['open'], ['e', 1]]);
  assert.deepEqual(all.filter(([name]) => name === 'error').map(([, code]) => code), errors.map(() => 4200));
});

/** A server that ends each connection before a word is said. */
async function hangsUp(t) {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => server.close());
  return server.address();
}

test('r_soketi_408 without WebSocket a page with the code of the README asks no foreign host', async (t) => {
  const careless = snippet().replace(/^ *enabledTransports.*\n/m, '');
  assert.notEqual(careless, snippet());
  const foreign = [];
  const closed = await hangsUp(t);
  const { visit } = await site(t, {
    expected: /WebSocket connection to 'wss?:..127\.0\.0\.1|asks http.+sockjs\.pusher\.com|net::ERR_NAME_NOT_RESOLVED/,
    pages: () => ({
      '/': page(closed, snippet()),
      '/careless': page(closed, careless),
      '/tls': page(closed, snippet(), { scheme: 'https' }),
    }),
  });
  const visited = async (address, { forbidden = false } = {}) => {
    const view = await visit('ani', null);
    view.on('request', (request) => {
      const { hostname } = new URL(request.url());
      if (hostname !== '127.0.0.1') foreign.push([address, hostname]);
    });
    if (forbidden) await view.addInitScript(() => { delete window.WebSocket; });
    await view.clock.install();
    await view.goto(address);
    return view;
  };
  const pages = [await visited('/'), await visited('/tls'), await visited('/', { forbidden: true })];
  const control = await visited('/careless');
  // A minute of their clocks. pusher-js falls back after two to five seconds.
  for (const view of [...pages, control]) {
    for (let second = 0; second < 60; second += 5) await view.clock.runFor(5_000);
  }
  await until(() => foreign.some(([address]) => address === '/careless'), 'the careless page asks a foreign host');
  assert.deepEqual(foreign.filter(([address]) => address !== '/careless'), []);
  for (const [index, state] of ['unavailable', 'unavailable', 'failed'].entries()) await inState(pages[index], state);
});

test('offline: the page asks at once whether the server is there; online: it returns at once', async (t) => {
  let cable;
  const { gema, visit } = await site(t, {
    pages: async (server) => {
      cable = await record(t, server);
      return { '/': page(cable, snippet()) };
    },
  });
  const view = await visit('ani', null);
  await view.clock.install();
  await view.goto('/');
  await inState(view, 'connected');
  await view.evaluate(() => {
    window.Echo.connector.pusher.connection.bind('state_change', ({ current }) => note('state')(current));
    window.dispatchEvent(new Event('offline'));
  });
  await cable.frame('{"event":"pusher:ping","data":{}}');

  // Its clock stands still from here on but for what it is given: no timer of a retry can be what brings it back.
  await view.clock.pauseAt(await view.evaluate(() => Date.now() + 1_000));
  await gema.stop('SIGKILL');
  cable.cut();
  await until(async () => {
    await view.clock.runFor(500);
    return view.evaluate(() => window.heard.length === 2);
  }, 'the page gives the server up');
  await gema.again();
  await view.context().setOffline(true);
  await view.context().setOffline(false);
  let passed = 0;
  await until(async () => {
    await view.clock.runFor(1);
    passed += 1;
    return view.evaluate(() => window.heard.length > 3);
  }, 'the page connects again');
  const states = ['connecting', 'unavailable', 'connecting', 'connected'];
  await heard(view, states.map((state) => ['state', state]));
  assert.ok(passed < 1_000, `before it would have tried on its own: after ${passed} ms of its clock`);
});

/** What docs/clients.md leaves to the page. */
const OWN = `
const [showState, report] = [note('state'), note('report')]
const renewSession = async () => {
  note('renew')()
  document.cookie = 'session=renewed'
}
`;

test('r_echo_478 the handlers of the documentation renew a session that expired, or lead to the login', async (t) => {
  let cable;
  const person = { id: '10', info: ANI };
  const { back, server, visit } = await site(t, {
    people: { old: person, renewed: person },
    expected: /status of 403/,
    pages: async (gema) => {
      cable = await record(t, gema);
      const code = snippet() + OWN + handlers();
      return { '/': page(cable, code), '/login': '<!doctype html><link rel="icon" href="data:,">' };
    },
  });
  const view = await visit('old');
  const joined = () => until(() => view.evaluate(() => {
    const channels = Object.values(window.Echo.connector.channels);
    return channels.length === 2 && channels.every(({ subscription }) => subscription.subscribed);
  }), 'both channels are subscribed');
  await joined();
  await view.evaluate(() => window.heard.splice(0));
  back.expired.add('old');
  cable.cut();
  const story = [['report', { code: 1006 }], ['state', 'connecting'], ['state', 'connected'], ['renew']];
  await heard(view, story);
  await joined();
  await view.evaluate(() => window.Echo.private('orders').listen('.e', note('e')));
  await server.trigger('private-orders', 'e', 1);
  await heard(view, [...story, ['e', 1]]);
  back.expired.add('renewed');
  cable.cut();
  // Both channels lead there, so that one navigation ends the other.
  await until(() => view.url() === `${back.base}/login`, 'the login');
});

test('the worker build in a Web Worker', async (t) => {
  const { back, gema, server, visit } = await site(t, {
    pages: () => ({
      '/': '<!doctype html><title>A page</title><link rel="icon" href="data:,"><script>window.heard = []</script>',
      '/worker.js': WORKER,
    }),
  });
  const view = await visit('ani');
  await view.evaluate((port) => {
    window.worker = new Worker('/worker.js');
    window.worker.onmessage = ({ data }) => window.heard.push(data);
    window.worker.postMessage({ port });
  }, gema.port);
  await heard(view, [['state', 'connected'], ['subscribed', 1]]);
  await server.trigger('presence-room', 'news', { n: 1 });
  await heard(view, [['state', 'connected'], ['subscribed', 1], ['news', { n: 1 }]]);
  const asked = back.requests.map(([route, who, , channel]) => [route, who, channel]);
  assert.deepEqual(asked, [['channel', 'ani', 'presence-room']]);
});
