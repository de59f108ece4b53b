// The socket: builds Laravel Echo from the run-time configuration, shows the connection's state,
// and lends channels to pages. What the events mean is decided in store/attendances.js.
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';
import { readonly, ref } from 'vue';
import { loadConfig } from './config.js';

const CONFIG_RETRY_MS = 5000;

const state = ref('initialized');
/** pusher-js' own word: initialized, connecting, connected, unavailable, failed or disconnected. */
export const connectionState = readonly(state);

let echoIsThere;
/** @type {Promise<import('laravel-echo').default<'reverb'>>} */
const echoReady = new Promise((resolve) => { echoIsThere = resolve; });
/** How many pages hold a channel: the last one to let go leaves it. */
const holders = new Map();

/** @param {import('./config.js').Config} config */
function build({ key, host, port, scheme }) {
  const echo = new Echo({
    broadcaster: 'reverb',
    key,
    wsHost: host || location.hostname,
    wsPort: port,
    wssPort: port,
    forceTLS: scheme === 'https',
    enabledTransports: ['ws', 'wss'],
    enableStats: false,
    Pusher,
  });
  const { connection } = echo.connector.pusher;
  state.value = connection.state;
  connection.bind('state_change', ({ current }) => { state.value = current; });
  return echo;
}

/** Connects, and asks again for the configuration as long as the server does not give it. */
export async function startRealtime() {
  try {
    window.Echo = build(await loadConfig());
    echoIsThere(window.Echo);
  } catch {
    state.value = 'unavailable';
    setTimeout(startRealtime, CONFIG_RETRY_MS);
  }
}

function open(echo, name) {
  holders.set(name, (holders.get(name) ?? 0) + 1);
  return name.startsWith('private-') ? echo.private(name.slice('private-'.length)) : echo.channel(name);
}

function release(echo, name) {
  holders.set(name, holders.get(name) - 1);
  if (holders.get(name) === 0) echo.leaveChannel(name);
}

/**
 * Listens on a channel until the returned function is called.
 * @param {string} name wire name, `private-` included
 * @param {Record<string, (data: any) => void>} listeners event name (with Echo's leading dot) to callback
 * @param {() => void} [onSubscribed] after the first subscription and after each reconnect: events
 *   sent before this moment did not arrive here, so a list must be fetched again
 */
export function subscribe(name, listeners, onSubscribed = () => {}) {
  let stopped = false;
  let stop = () => {};
  echoReady.then((echo) => {
    if (stopped) return;
    const channel = open(echo, name);
    for (const [event, callback] of Object.entries(listeners)) channel.listen(event, callback);
    // Bound on pusher-js' channel: Echo's `subscribed` wraps the callback, so it could not be unbound.
    const { subscription } = channel;
    subscription.bind('pusher:subscription_succeeded', onSubscribed);
    if (subscription.subscribed) onSubscribed();
    stop = () => {
      for (const [event, callback] of Object.entries(listeners)) channel.stopListening(event, callback);
      subscription.unbind('pusher:subscription_succeeded', onSubscribed);
      release(echo, name);
    };
  });
  return () => {
    stopped = true;
    stop();
    stop = () => {};
  };
}
