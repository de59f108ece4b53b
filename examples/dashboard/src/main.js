// Starts the pages: configuration first (time zone and socket address), then the socket, then Vue.
// Next: router.js for the pages, realtime.js for the socket.
import { createApp } from 'vue';
import App from './App.vue';
import { loadConfig } from './config.js';
import { applyPreferences } from './preferences.js';
import { startPresence } from './presence.js';
import { startRealtime } from './realtime.js';
import { createAppRouter } from './router.js';

applyPreferences();
// Without a configuration the pages still open; realtime.js keeps asking for it.
await loadConfig().catch(() => undefined);
startRealtime();
startPresence();
createApp(App).use(createAppRouter()).mount('#app');
