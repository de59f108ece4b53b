// The socket: builds Laravel Echo from the run-time configuration, shows the connection's state,
// and lends channels to pages. What the events mean is decided in store/attendances.js.
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';
import { readonly, ref } from 'vue';
import { loadConfig } from './config.js';

const CONFIG_RETRY_MS = 5000;
/** Pause before a channel is asked for again, when the API could not say whether it is allowed. */
const AUTH_RETRY_MS = 3000;

const state = ref('initialized');
/** pusher-js' own word: initialized, connecting, connected, unavailable, failed or disconnected. */
export const connectionState = readonly(state);

const lost = ref(null);
/** When the connection that stood was lost, in milliseconds; null while it stands and before it first did. */
export const lostAt = readonly(lost);

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
  connection.bind('state_change', ({ previous, current }) => {
    state.value = current;
    if (current === 'connected') lost.value = null;
    else if (previous === 'connected') lost.value = Date.now();
  });
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
  if (name.startsWith('presence-')) return echo.join(name.slice('presence-'.length));
  return name.startsWith('private-') ? echo.private(name.slice('private-'.length)) : echo.channel(name);
}

function release(echo, name) {
  holders.set(name, holders.get(name) - 1);
  if (holders.get(name) === 0) echo.leaveChannel(name);
}

/**
 * Binds callbacks to pusher-js' own events of a channel: Echo wraps callbacks, so its could not be unbound.
 * @returns {() => void} unbinds them
 */
function bindOwn(subscription, callbacks) {
  const pairs = Object.entries(callbacks);
  for (const [event, callback] of pairs) subscription.bind(`pusher:${event}`, callback);
  return () => pairs.forEach(([event, callback]) => subscription.unbind(`pusher:${event}`, callback));
}

/** pusher-js gives up on a channel whose authorisation failed, also when the API was only away. */
function retryUnlessRefused(channel, { status }) {
  if (status === 401 || status === 403) return;
  setTimeout(() => {
    const { subscription } = channel;
    if (holders.get(channel.name) && !subscription.subscribed && !subscription.subscriptionPending) channel.subscribe();
  }, AUTH_RETRY_MS);
}

/**
 * Listens on a channel until the returned function is called.
 * @param {string} name wire name, `private-` or `presence-` included
 * @param {Record<string, (data: any) => void>} listeners event name (with Echo's leading dot) to callback
 * @param {(members: any) => void} [onSubscribed] after the first subscription and after each reconnect: events
 *   sent before this moment did not arrive here, so a list must be fetched again. A presence channel gives its members
 * @param {Record<string, (data: any) => void>} [own] pusher-js' own events, without `pusher:`
 */
export function subscribe(name, listeners, onSubscribed = () => {}, own = {}) {
  let stopped = false;
  let stop = () => {};
  echoReady.then((echo) => {
    if (stopped) return;
    const channel = open(echo, name);
    for (const [event, callback] of Object.entries(listeners)) channel.listen(event, callback);
    const { subscription } = channel;
    const unbind = bindOwn(subscription, {
      subscription_succeeded: onSubscribed, subscription_error: (error) => retryUnlessRefused(channel, error), ...own,
    });
    if (subscription.subscribed) onSubscribed(subscription.members);
    stop = () => {
      for (const [event, callback] of Object.entries(listeners)) channel.stopListening(event, callback);
      unbind();
      release(echo, name);
    };
  });
  return () => {
    stopped = true;
    stop();
    stop = () => {};
  };
}
