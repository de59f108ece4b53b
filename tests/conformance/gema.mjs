#!/usr/bin/env node
// Runs the suite against the real gema: as it comes, below a path prefix, and with the limits of Pusher.
// usage: gema.mjs [FOLDER]   With a folder the results are left there, as NAME.json.

import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { APP, Gema, PATIENCE } from '../node/kit.mjs';

const SUITE = fileURLToPath(new URL('./run.mjs', import.meta.url));

const RUNS = [
  { name: 'reverb' },
  { name: 'prefix', server: { REVERB_SERVER_PATH: '/my/prefix' }, suite: { PATH_PREFIX: '/my/prefix' } },
  { name: 'pusher', profile: 'pusher', server: { REVERB_APP_PROFILE: 'pusher' } },
  {
    name: 'pusher-client-events',
    profile: 'pusher',
    server: { REVERB_APP_PROFILE: 'pusher', REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM: 'members' },
    suite: { HAS: 'client-events' },
    only: 'client-event.',
  },
];

/** Resolves to the exit status of the suite. */
function suite(gema, { name, profile = 'reverb', suite: more, only = '' }, folder) {
  const options = ['--quiet', '--profile', profile, '--patience', String(PATIENCE / 1000), '--only', only];
  if (folder) options.push('--json', path.join(folder, `${name}.json`));
  const target = { HOST: '127.0.0.1', PORT: String(gema.port), APP_ID: APP.id, KEY: APP.key, SECRET: APP.secret };
  const child = spawn(process.execPath, [SUITE, ...options], {
    env: { PATH: process.env.PATH, ...target, ...more }, stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve, reject) => { child.once('error', reject).once('exit', resolve); });
}

for (const run of RUNS) {
  const started = Date.now();
  console.log(`${run.name}:`);
  const gema = new Gema('broadcast', run.server);
  try {
    await gema.ready();
    if (await suite(gema, run, process.argv[2])) process.exitCode = 1;
  } finally {
    await gema.end();
  }
  console.log(`» ${run.name} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
