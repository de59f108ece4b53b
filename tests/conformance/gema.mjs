#!/usr/bin/env node
// Runs the suite against the real gema: as it comes, below a path prefix, with the limits of Pusher, with its options.
// usage: gema.mjs [--write]   Every case must pass, and docs/conformance.md must say so; --write writes it.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { APP, Gema, PATIENCE } from '../node/kit.mjs';
import { PAGE, page } from './page.mjs';
import { startSink } from './sink.mjs';

const SUITE = fileURLToPath(new URL('./run.mjs', import.meta.url));
const PUSHER = { profile: 'pusher', column: 'pusher' };

/** Takes the webhooks of the run that has them. */
const sink = await startSink();

const RUNS = [
  { name: 'as it comes', column: 'reverb', suite: { HAS: 'client-events,older-forms' } },
  {
    name: 'with its options', column: 'reverb', only: ['count.', 'ping.', 'webhook.'],
    server: { REVERB_APP_SUBSCRIPTION_COUNT: 'true', REVERB_APP_PING_INTERVAL: '1', REVERB_APP_WEBHOOK_URL: sink.url },
    suite: { HAS: 'client-events,subscription-count,short-ping', WEBHOOK_SINK: sink.url },
  },
  {
    name: 'below a path prefix', column: 'prefix',
    server: { REVERB_SERVER_PATH: '/my/prefix' }, suite: { PATH_PREFIX: '/my/prefix' },
  },
  {
    ...PUSHER, name: 'profile pusher with client events', suite: { HAS: 'client-events' },
    server: { REVERB_APP_PROFILE: 'pusher', REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM: 'members' },
  },
  { ...PUSHER, name: 'profile pusher', server: { REVERB_APP_PROFILE: 'pusher' }, only: ['client-event.'] },
];

/** Runs the suite to its end; resolves to its results and what it printed. */
async function suite(gema, { profile = 'reverb', suite: more, only = [''] }, file) {
  const options = ['--quiet', '--profile', profile, '--patience', String(PATIENCE / 1000), '--json', file];
  const target = { HOST: '127.0.0.1', PORT: String(gema.port), APP_ID: APP.id, KEY: APP.key, SECRET: APP.secret };
  const child = spawn(execPath, [SUITE, ...options, ...only.flatMap((prefix) => ['--only', prefix])], {
    env: { PATH: env.PATH, ...target, ...more }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const printed = [];
  child.stdout.on('data', (chunk) => printed.push(chunk));
  const status = await new Promise((resolve, reject) => { child.once('error', reject).once('close', resolve); });
  if (status) process.exitCode = 1;
  return { results: JSON.parse(fs.readFileSync(file, 'utf8')).results, printed: Buffer.concat(printed).toString() };
}

async function one(run, file) {
  const started = Date.now();
  const gema = new Gema('broadcast', run.server);
  try {
    await gema.ready();
    const { results, printed } = await suite(gema, run, file);
    console.log(`${run.name}:\n${printed.trimEnd()}\n» ${run.name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return { column: run.column, results };
  } finally {
    await gema.end();
  }
}

/** Two at a time: the suite mostly waits. */
async function all(folder) {
  const done = [];
  const todo = [...RUNS.keys()];
  const lane = async () => {
    for (let index = todo.shift(); index !== undefined; index = todo.shift()) {
      done[index] = await one(RUNS[index], path.join(folder, `${index}.json`));
    }
  };
  await Promise.all([lane(), lane()]);
  return done;
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-'));
try {
  const text = page(await all(folder));
  if (argv.includes('--write')) fs.writeFileSync(PAGE, text);
  else if (fs.readFileSync(PAGE, 'utf8') !== text) {
    console.log('docs/conformance.md is out of date: run `make conformance`');
    process.exitCode = 1;
  }
} finally {
  fs.rmSync(folder, { recursive: true });
  sink.close();
}
