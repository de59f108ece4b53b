// A process that trusts the authority of a test (NODE_EXTRA_CA_CERTS counts only from the start of a process): pusher-js
// comes by plain ws, the server library publishes by https. Prints what happens, one line of JSON each.

import Pusher from 'pusher-js';
import PusherServer from 'pusher';

const [port, id, key, secret, forceTLS] = process.argv.slice(2);
const say = (...what) => console.log(JSON.stringify(what));

const client = new Pusher(key, {
  cluster: '', wsHost: '127.0.0.1', wsPort: port, wssPort: port, forceTLS: forceTLS === 'true',
  enabledTransports: ['ws', 'wss'],
});
client.connection.bind('state_change', ({ current }) => say('state', current));
client.connection.bind('error', (error) => say('error', error.data?.code ?? error.error?.data?.code ?? String(error)));
const channel = client.subscribe('room');
channel.bind('pusher:subscription_succeeded', async () => {
  const server = new PusherServer({ appId: id, key, secret, host: '127.0.0.1', port, useTLS: true });
  const arrived = new Promise((resolve) => { channel.bind('news', resolve); });
  say('published', (await server.trigger('room', 'news', { text: 'é 😀' })).status);
  say('news', await arrived);
  client.disconnect();
});
