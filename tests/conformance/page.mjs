// Writes docs/conformance.md: how Gema scores, case by case, and the totals of other servers.
// usage: page.mjs NAME VERSION RESULTS.json   takes the totals of another server into peers.json.

import fs from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const PEERS = fileURLToPath(new URL('./peers.json', import.meta.url));
export const PAGE = fileURLToPath(new URL('../../docs/conformance.md', import.meta.url));

/** What the numbers of the sections stand for. */
const SECTIONS = {
  1: 'connecting', 2: 'messages', 3: 'liveness', 4: 'errors and close codes', 5: 'channels', 6: 'presence',
  7: 'client events', 8: 'cache channels', 9: 'users', 10: 'watchlists', 11: 'subscription counts',
  12: 'encrypted channels', 13: 'signed requests', 14: 'HTTP API', 15: 'libraries', 16: 'webhooks', 17: 'limits',
  20: 'laravel-echo',
};
const SIGNS = { passed: '✔', failed: '✖', skipped: '' };

/** How often each outcome occurs. */
function totals(results) {
  const count = (status) => results.filter((result) => result.status === status).length;
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
}

/** What counts for a comparison: no case that is marked, of a profile, about an option, or that ended the server. */
function comparable(results) {
  const isPlain = (need) => need === 'client-events' || need.startsWith('no ');
  return results.filter(({ marks, profile, needs, crashed }) => (
    !marks.length && !profile && needs.every(isPlain) && !crashed));
}

/** One outcome for a case that ran several times. */
function together(outcomes) {
  return ['failed', 'passed', 'skipped'].find((status) => outcomes.includes(status)) ?? 'skipped';
}

/** runs: [{column, results}] → [{id, section, says, marks, …, [column]: status}]. */
function byCase(runs) {
  const cases = new Map();
  for (const { column, results } of runs) {
    for (const { status, ...about } of results) {
      const known = cases.get(about.id) ?? about;
      cases.set(about.id, { ...known, [column]: together([known[column], status]) });
    }
  }
  return [...cases.values()];
}

/** Text in a table: nothing that would end its cell or cannot be seen. */
function cell(text) {
  const unseen = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replaceAll('|', '\\|').replace(/[\u0000-\u001f\u2028\u2029]/g, unseen);
}
const row = (...cells) => `| ${cells.join(' | ')} |`;

function caseTables(cases, columns) {
  const groupOf = ({ id }) => id.split('.')[0];
  return [...new Set(cases.map(groupOf))].flatMap((group) => [
    `### ${group}`, '', row('Case', '§', 'Rule', ...columns), row('---', '---', '---', ...columns.map(() => '---')),
    ...cases.filter((one) => groupOf(one) === group).map(({ id, section, says, ...outcome }) => (
      row(`\`${id}\``, section, cell(says), ...columns.map((column) => SIGNS[outcome[column] ?? 'skipped'])))),
    '',
  ]);
}

function peerRows(peers, cases) {
  const ours = totals(comparable(cases.map((one) => ({ ...one, status: one.reverb }))));
  return [
    row('Server', 'Version', 'Passed', 'Failed', 'Measured'), row('---', '---', '---', '---', '---'),
    row('Gema', 'this one', ours.passed, ours.failed, 'with every change'),
    ...peers.map(({ name, version, passed, failed, date }) => row(name, version, passed, failed, date)),
  ];
}

/** The whole page. */
export function page(runs) {
  const peers = JSON.parse(fs.readFileSync(PEERS, 'utf8'));
  const columns = [...new Set(runs.map(({ column }) => column))];
  const cases = byCase(runs);
  const sums = columns.map((column) => [column, totals(cases.map((one) => ({ status: one[column] ?? 'skipped' })))]);
  return `${[
    '# Conformance', '',
    'Written by `make conformance`; `make test` fails when it is out of date.', '',
    'The suite in `tests/conformance` talks to a server from outside, with a WebSocket client of its own and with',
    'pusher-js, laravel-echo and the `pusher` library as npm has them. It runs against any server that speaks the',
    'Pusher protocol and needs one app on it:', '',
    '```sh',
    'HOST=127.0.0.1 PORT=8080 APP_ID=… KEY=… SECRET=… node tests/conformance/run.mjs',
    '```', '',
    '`--help` names the options. The rules are what Pusher documents; where that is silent, or Laravel Reverb differs',
    'in a way its users would notice, they are what an app that comes from Reverb expects. Another server may have',
    'good reasons to differ. A vector is a request or signature of an official library on record, a transcript what an',
    'official client sends.', '',
    '## Gema', '',
    row('App', 'Passed', 'Failed', 'Not for it'), row('---', '---', '---', '---'),
    ...sums.map(([column, { passed, failed, skipped }]) => row(column, passed, failed, skipped)), '',
    '`reverb` is an app as it comes, `prefix` the same below a path prefix, `pusher` one with that profile.', '',
    '## Others', '',
    'Only totals. Left out, for all servers, are cases about authorisation and about crashes, what is peculiar to a',
    'profile, an option or our own decision, and a case that ended the server, which was then started again.', '',
    ...peerRows(peers, cases), '',
    ...peers.flatMap(({ name, version, notes, commands }) => [
      `${name} ${version}: ${notes}`, '', '```sh', ...commands, '```', '',
    ]),
    '## Case by case', '',
    `The numbers are ${Object.entries(SECTIONS).map(([number, name]) => `${number} ${name}`).join(', ')}.`, '',
    ...caseTables(cases, columns),
  ].join('\n').trimEnd()}\n`;
}

/** Takes the totals of another server over. */
function take(name, version, file) {
  const { results } = JSON.parse(fs.readFileSync(file, 'utf8'));
  const peers = JSON.parse(fs.readFileSync(PEERS, 'utf8'));
  const known = peers.find((peer) => peer.name === name) ?? { name, notes: '', commands: [] };
  const date = new Date().toISOString().slice(0, 10);
  const { passed, failed } = totals(comparable(results));
  const others = peers.filter((peer) => peer !== known);
  fs.writeFileSync(PEERS, `${JSON.stringify([...others, { ...known, version, passed, failed, date }], null, 2)}\n`);
}

if (argv[1] === fileURLToPath(import.meta.url)) take(...argv.slice(2));
