// Pages for the browser builds of pusher-js and Echo: served by a back end of the test, with the code of our README.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BackEnd } from '../node/back-end.mjs';
import { library } from '../node/clients.mjs';
import { APP, ROOT, start, until } from '../node/kit.mjs';
import { launch, tab } from './kit.mjs';

const FILES = {
  '/pusher.js': 'pusher-js/dist/web/pusher.js',
  '/pusher-with-encryption.js': 'pusher-js/dist/web/pusher-with-encryption.js',
  '/pusher.worker.js': 'pusher-js/dist/worker/pusher.worker.js',
  '/echo.js': 'laravel-echo/dist/echo.js',
  '/echo.iife.js': 'laravel-echo/dist/echo.iife.js',
};

/** What a page of a test has besides the clients: a journal, as in tests/node/clients.mjs. */
const JOURNAL = `
window.heard = [];
window.note = (name) => (...args) => {
  if (args.length > 1 && typeof args[1] === 'object' && Object.keys(args[1]).length === 0) args.pop();
  while (args.length && args.at(-1) === undefined) args.pop();
  heard.push(JSON.parse(JSON.stringify([name, ...args])));
};`;

/** The JavaScript of a page of our documentation that begins with these words. */
function documented(file, begin) {
  const [, code] = fs.readFileSync(path.join(ROOT, file), 'utf8').split(`\`\`\`js\n${begin}`);
  return begin + code.split('\n```')[0];
}

/** The code that README.md gives for the browser. */
export const snippet = () => documented('README.md', 'window.Echo = new Echo(');

/** The handlers of docs/clients.md. */
export const handlers = () => documented('docs/clients.md', 'const { connection }');

/** A page with a bundler's `import.meta.env`, these builds of the libraries, and this code as its module. */
export function page({ port }, code, options = {}) {
  const { pusher = '/pusher-with-encryption.js', echo = '/echo.js', scheme = 'http' } = options;
  const iife = echo.includes('iife');
  const env = {
    VITE_REVERB_APP_KEY: APP.key, VITE_REVERB_HOST: '127.0.0.1', VITE_REVERB_PORT: port, VITE_REVERB_SCHEME: scheme,
  };
  return `<!doctype html><meta charset="utf-8"><title>A page with Echo</title><link rel="icon" href="data:,">
<script>${JOURNAL}</script><script src="${pusher}"></script>
${iife ? `<script src="${echo}"></script>` : ''}
<script type="module">
${iife ? 'const Echo = window.Echo.default' : `import Echo from '${echo}'`}
import.meta.env = ${JSON.stringify(env)}
${code}
</script>`;
}

/** A server, and a back end that has the libraries and our page at /. `visit` opens it as a person of the back end. */
export async function site(t, { env, people, expected, pages = (gema) => ({ '/': page(gema, snippet()) }) } = {}) {
  const gema = await start(t, { env });
  const back = await BackEnd.start(t, people);
  for (const [address, name] of Object.entries(FILES)) {
    back.serve(address, 'text/javascript', { file: path.join(ROOT, 'tests/node_modules', name) });
  }
  for (const [address, text] of Object.entries(await pages(gema))) {
    back.serve(address, address.endsWith('.js') ? 'text/javascript' : 'text/html', { text });
  }
  const session = await launch(t, back.base, { expected });
  const visit = async (who, address = '/') => {
    const context = await session();
    await context.addCookies([{ name: 'session', value: who, url: back.base }]);
    return address ? tab(context, address) : context.newPage();
  };
  return { gema, back, server: library(gema), visit };
}

/** Waits until a page has noted as much as expected, and compares all of it. */
export async function heard(view, expected) {
  const entries = await until(async () => {
    const all = await view.evaluate(() => window.heard);
    return all.length >= expected.length && all;
  }, `${expected.length} entries`).catch(async (error) => {
    throw new Error(`${error.message}; there are ${JSON.stringify(await view.evaluate(() => window.heard))}`);
  });
  assert.deepEqual(entries, expected);
}
