// Starts the pages: configuration first (time zone and socket address), then the socket, then Vue.
// Next: router.js for the pages, realtime.js for the socket.
import { createApp } from 'vue';
import App from './App.vue';
import { loadConfig } from './config.js';
import { locale } from './i18n.js';
import { startRealtime } from './realtime.js';
import { createAppRouter } from './router.js';

document.documentElement.lang = locale;
// Without a configuration the pages still open; realtime.js keeps asking for it.
await loadConfig().catch(() => undefined);
startRealtime();
createApp(App).use(createAppRouter()).mount('#app');
