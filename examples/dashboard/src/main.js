// Starts the pages: configuration first (time zone and socket address), then the socket, then Vue.
// Next: router.js for the pages, realtime.js for the socket.
import { createApp } from 'vue';
import App from './App.vue';
import { startRealtime } from './realtime.js';
import { createAppRouter } from './router.js';
import { loadConfig } from './config.js';

// Without a configuration the pages still open; realtime.js keeps asking for it.
await loadConfig().catch(() => undefined);
startRealtime();
createApp(App).use(createAppRouter()).mount('#app');
