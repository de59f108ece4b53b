// The server speaks TLS itself: unmodified clients and the server library find their way to it.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { APP, start, within } from './kit.mjs';

/** An authority of this test and a certificate of 127.0.0.1 that it has signed: their files. */
function certificate(t) {
  const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'gema-tls-'));
  t.after(() => fs.rmSync(cwd, { recursive: true, force: true }));
  fs.writeFileSync(path.join(cwd, 'cnf'), '[req]\ndistinguished_name = name\n[name]\n');
  const request = (name, extensions, ...rest) => execFileSync('openssl', ['req', '-x509', '-config', 'cnf', '-nodes',
    '-days', '2', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', `/CN=${name}`, ...rest,
    '-keyout', `${name}.key`, '-out', `${name}.pem`, ...extensions.flatMap((extension) => ['-addext', extension]),
  ], { cwd, stdio: 'ignore' });
  request('ca', ['basicConstraints=critical,CA:TRUE']);
  request('server', ['subjectAltName=IP:127.0.0.1', 'basicConstraints=critical,CA:FALSE'], '-CA', 'ca.pem', '-CAkey',
    'ca.key');
  const file = (name) => path.join(cwd, name);
  return { root: file('ca.pem'), env: { GEMA_TLS_CERT: file('server.pem'), GEMA_TLS_KEY: file('server.key') } };
}

/** What a client in a process of its own reports until it ends. */
async function reports(t, gema, root, forceTLS) {
  const script = fileURLToPath(new URL('tls-client.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, gema.port, APP.id, APP.key, APP.secret, forceTLS], {
    env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: root }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = [];
  const read = async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(JSON.parse(line));
      if (line.startsWith('["news"')) return;
    }
  };
  await within(read(), `news, after ${JSON.stringify(lines)}`);
  return lines;
}

const CONNECTED = [['state', 'connected'], ['published', 200], ['news', { text: 'é 😀' }]];

test('pusher-js by wss and the server library by https', async (t) => {
  const { root, env } = certificate(t);
  const gema = await start(t, { env });
  assert.deepEqual(await reports(t, gema, root, true), CONNECTED);
});

test('pusher-js that comes by plain ws is sent away with 4000 and switches to wss by itself', async (t) => {
  const { root, env } = certificate(t);
  const gema = await start(t, { env });
  const lines = await reports(t, gema, root, false);
  assert.ok(lines.some(([what, code]) => what === 'error' && code === 4000), JSON.stringify(lines));
  assert.deepEqual(lines.slice(-CONNECTED.length), CONNECTED, JSON.stringify(lines));
});
