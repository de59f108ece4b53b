// A page that signs in with axios, as Laravel's own do: unmodified, its defaults, nothing said about CSRF.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { start } from '../node/kit.mjs';
import { browser, tab } from './kit.mjs';

const AXIOS = path.join(path.dirname(createRequire(import.meta.url).resolve('axios/package.json')), 'dist/axios.min.js');

test('issue 6: axios signs in, works and signs out without a word about CSRF', async (t) => {
  const gema = await start(t, { role: 'serve' });
  // The console names every answer that is no success, and those are wanted here.
  const context = await browser(t, gema, { expected: /status of (401|419)/ });
  const page = await tab(context, '/login');
  await page.evaluate(fs.readFileSync(AXIOS, 'utf8'));
  const ask = (method, url, data, more) => page.evaluate(
    (call) => window.axios({ ...call, validateStatus: () => true }).then(({ status, data }) => [status, data]),
    { method, url, data, ...more });
  const credentials = { email: 'admin@example.com', password: 'password' };

  const [known] = await ask('get', '/sanctum/csrf-cookie');
  assert.equal(known, 204);
  const [signedIn, { user }] = await ask('post', '/login', credentials);
  assert.equal(signedIn, 200);
  assert.equal((await ask('post', '/api/attendances/check-in', { notes: 'by axios' }))[0], 201);
  const [allowed, { auth }] = await ask('post', '/broadcasting/auth',
    new URLSearchParams({ socket_id: '1.2', channel_name: `private-user.${user.id}` }).toString());
  assert.ok(allowed === 200 && auth.includes(':'), 'Echo may subscribe');
  const [refused, body] = await ask('post', '/api/attendances/check-out', {}, { withXSRFToken: false });
  assert.deepEqual([refused, body], [419, { message: 'CSRF token mismatch.' }]);
  assert.equal((await ask('post', '/api/attendances/check-out'))[0], 200);
  assert.equal((await ask('post', '/logout'))[0], 204);
  assert.equal((await ask('get', '/api/user'))[0], 401);
  assert.equal((await ask('post', '/login', credentials))[0], 200, 'the token of after the sign-out will do');
});
