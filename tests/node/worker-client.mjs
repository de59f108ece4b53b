// The worker build of pusher-js in a worker thread: subscribes to what it is given and reports every event.

import { parentPort, workerData } from 'node:worker_threads';

// A browser's worker calls itself so; a thread of Node has everything else that the build asks for.
globalThis.self = globalThis;
const { default: Pusher } = await import('pusher-js/worker/with-encryption/index.js');
const { key, options, channels } = workerData;
const client = new Pusher(key, options);
const report = (...entry) => parentPort.postMessage(JSON.parse(JSON.stringify(entry)));

client.connection.bind('state_change', ({ current }) => report('state', current));
client.connection.bind('message', ({ event, channel }) => {
  const ready = event === 'pusher_internal:subscription_succeeded' && channel.startsWith('#');
  if (ready) report('signed in', client.user.user_data.id);
});
client.user.bind('mail', (data) => report('user', 'mail', data));
for (const name of channels) {
  const channel = client.subscribe(name);
  channel.bind('pusher:subscription_succeeded', ({ count }) => report(name, 'subscribed', ...(count ? [count] : [])));
  channel.bind('pusher:subscription_error', ({ status }) => report(name, 'refused', status));
  channel.bind('pusher:cache_miss', () => report(name, 'miss'));
  channel.bind('news', (data) => report(name, 'news', data));
  channel.bind('client-typing', (data) => report(name, 'client-typing', data));
}

parentPort.on('message', ([method, ...args]) => {
  if (method === 'trigger') client.channel(args[0]).trigger(args[1], args[2]);
  else client[method](...args);
});
