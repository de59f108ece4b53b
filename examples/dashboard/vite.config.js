// Build settings. The pages run under `default-src 'self'`, so nothing may be inlined:
// no data: URLs, no module-preload script, and every file hashed under /assets/.
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

// `npm run dev` sends these to a running attendance API.
const API = process.env.GEMA_API ?? 'http://127.0.0.1:8000';
const proxied = ['/config.json', '/sanctum', '/logout', '/api', '/broadcasting'];

/** The first paint waits for the script, which knows the chosen theme: a dark page must not begin with a light flash. */
const paintOnce = {
  name: 'paint-once',
  transformIndexHtml: {
    order: 'post',
    handler: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
  },
};

export default defineConfig({
  plugins: [vue(), paintOnce],
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      ...Object.fromEntries(proxied.map((path) => [path, API])),
      // GET /login is a page, POST /login is the API's.
      '/login': { target: API, bypass: (request) => (request.method === 'GET' ? '/index.html' : undefined) },
    },
  },
});
