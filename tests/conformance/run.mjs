#!/usr/bin/env node
// Holds a running server against the Pusher protocol, from outside, and says which rules it keeps.

import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { CASES } from './cases/index.mjs';
import { targetOf } from './target.mjs';

const USAGE = `usage: HOST=… PORT=… APP_ID=… KEY=… SECRET=… node tests/conformance/run.mjs [options]

  --only PREFIX      run only the cases whose id begins with PREFIX; may be given several times
  --profile NAME     whose limits the app has: reverb (default) or pusher
  --patience SECONDS how long anything that must come may take (default 5)
  --comeback SECONDS how long a server that ended may take to be back (default 0)
  --json FILE        write all results to FILE
  --quiet            list only what failed
  --list             list the cases and end

PATH_PREFIX is the prefix of the server's routes, if it has one. HAS lists what the app has switched on of
client-events (assumed in the profile reverb), subscription-count, short-ping (the server pings after a few seconds of
silence) and older-forms (requests of libraries of the past). For the cases about webhooks, start sink.mjs, make the
server post all its webhooks there, and give the same address as WEBHOOK_SINK. A case that needs something that the
server does not have is skipped.
`;

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [''] },
      profile: { type: 'string', default: 'reverb' },
      patience: { type: 'string', default: '5' },
      comeback: { type: 'string', default: '0' },
      json: { type: 'string' },
      quiet: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (!['reverb', 'pusher'].includes(values.profile)) throw new Error('--profile is reverb or pusher');
  const seconds = (name) => {
    if (!(Number(values[name]) >= 0)) throw new Error(`--${name} is a number of seconds`);
    return Number(values[name]) * 1000;
  };
  return { ...values, times: { patience: seconds('patience'), comeback: seconds('comeback') } };
}

/** Why a case cannot be run against this target; undefined if it can. */
function unfit({ needs, profile }, target) {
  if (profile && profile !== target.profile) return `for the profile ${profile}`;
  const missing = needs.find((need) => target.has.includes(need.replace(/^no /, '')) === need.startsWith('no '));
  return missing && (missing.startsWith('no ') ? `for a server without ${missing.slice(3)}` : `needs ${missing}`);
}

/**
 * Runs cases in a thread of their own. A case that ends the thread, or makes it hang, has failed; the rest goes on in a
 * new one.
 */
async function runAll(ids, target, times, report) {
  let dead;
  while (ids.length) {
    if (dead) {
      report({ id: ids.shift(), error: dead });
      continue;
    }
    const { done, error } = await runThread([...ids], target, times, (result) => {
      ids.shift();
      report(result);
    });
    if (error && ids.length) report({ id: ids.shift(), error });
    dead = done?.dead;
  }
}

function runThread(ids, target, { patience, comeback }, report) {
  return new Promise((resolve) => {
    const workerData = { ids, target, patience, comeback };
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData });
    let watchdog;
    const finish = (outcome) => {
      clearTimeout(watchdog);
      worker.removeAllListeners();
      worker.on('error', () => {});
      worker.terminate().then(() => resolve(outcome));
    };
    const watch = () => {
      clearTimeout(watchdog);
      // A case waits several times, and each wait has its own end; this is for one that never waits.
      watchdog = setTimeout(() => finish({ error: 'the case hangs' }), patience * 10 + comeback + 30_000);
    };
    worker.on('message', (message) => {
      if (message.done) return finish({ done: message });
      watch();
      return report(message);
    });
    worker.on('error', (error) => finish({ error: `uncaught: ${error?.stack ?? error}` }));
    worker.on('exit', (code) => finish({ error: `the thread ended with ${code}` }));
    watch();
  });
}

function print({ id, section, says, status, error, why }, quiet) {
  if (status === 'failed') {
    console.log(`✖ ${id} (§${section}): ${says}\n    ${error.trim().replaceAll('\n', '\n    ')}`);
  } else if (!quiet) console.log(`${status === 'passed' ? '✔' : '-'} ${id}${why ? ` (${why})` : ''}`);
}

async function main() {
  const { help, list, only, profile, times, json, quiet } = options();
  if (help) return console.log(USAGE);
  const cases = CASES.filter(({ id }) => only.some((prefix) => id.startsWith(prefix)));
  if (!cases.length) throw new Error(`no case begins with ${only}`);
  if (list) return cases.forEach(({ id, section, says }) => console.log(`${id} (§${section}): ${says}`));
  const target = targetOf(process.env, profile);
  const results = new Map(cases.map(({ run, ...about }) => [about.id, { ...about, why: unfit(about, target) }]));
  for (const result of results.values()) {
    result.status = result.why ? 'skipped' : 'failed';
    if (result.why) print(result, quiet);
  }
  const wanted = [...results.values()].filter(({ why }) => !why).map(({ id }) => id);
  await runAll(wanted, target, times, ({ id, error, crashed }) => {
    const result = Object.assign(results.get(id), { status: error ? 'failed' : 'passed', error, crashed });
    print(result, quiet);
  });
  const all = [...results.values()];
  const count = (status) => all.filter((result) => result.status === status).length;
  if (json) fs.writeFileSync(json, `${JSON.stringify({ profile, prefix: target.prefix, results: all }, null, 1)}\n`);
  console.log(`# pass ${count('passed')}\n# fail ${count('failed')}\n# skip ${count('skipped')}`);
  process.exitCode = count('failed') ? 1 : 0;
  return undefined;
}

main().catch((error) => {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
});
