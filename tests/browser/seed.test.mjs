// The five tests that the Laravel system's own guide gives its users, word for word where that is possible, on the whole
// stack: nginx, three attendance nodes, two broadcast nodes, two workers, MariaDB, Redis.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../node/kit.mjs';
import { Person } from '../node/office.mjs';
import { Stack } from '../node/stack.mjs';
import { browser, connected, login, part, tab } from './kit.mjs';

const NODES = ['1', '2', '3'];

/** Refreshes until these nodes have answered, at least six times; each answer is a whole page. */
async function refresh(page, wanted) {
  const seen = new Set();
  for (let times = 0; times < 6 || ![...wanted].every((node) => seen.has(node)); times += 1) {
    const answer = await page.goto('/', { waitUntil: 'commit' });
    assert.equal(answer.status(), 200);
    seen.add(answer.headers()['x-node-id']);
    assert.ok(times < 200, `only the nodes ${[...seen]} answer`);
  }
  return [...seen].sort();
}

/** Three tabs with the dashboard, of an admin who signs in. */
async function dashboards(context) {
  const pages = [await tab(context, '/admin/dashboard')];
  await login(pages[0], 'admin@example.com', 'password');
  await pages[0].waitForURL(({ pathname }) => pathname === '/admin/dashboard');
  while (pages.length < 3) pages.push(await tab(context, '/admin/dashboard'));
  for (const page of pages) {
    await connected(page);
    await until(() => page.evaluate(() => {
      const channels = Object.values(window.Echo.connector.channels);
      return channels.length > 1 && channels.every(({ subscription }) => subscription.subscribed);
    }), 'all channels subscribed');
  }
  return pages;
}

/** Presses a button of the punch card; the record. */
async function press(page, button) {
  const answered = page.waitForResponse((response) => response.url().endsWith(`/api/attendances/${button}`));
  await part(page, button).click();
  const response = await answered;
  assert.ok(response.ok(), `${response.status()} ${await response.text()}`);
  return response.json();
}

const shows = (page, { id, version }) => part(page, 'attendance-row')
  .and(page.locator(`[data-attendance-id="${id}"][data-version="${version}"]`)).waitFor();

test('the five tests of the guide', async (t) => {
  const stack = await Stack.start(t);

  await t.test('1 load balancing: refreshed pages come from all nodes, and the log says from which', async (t) => {
    const page = await tab(await browser(t, stack), '/');
    assert.deepEqual(await refresh(page, NODES), NODES);
    const log = await stack.log('nginx');
    for (const node of stack.nodes) assert.match(log, new RegExp(`"GET /" (200|304) .* to ${new URL(node).host}\\b.*: (200|304),`));
  });

  await t.test('2 and 5 three dashboards show a check-in of a fourth tab; their sockets are connected', async (t) => {
    const context = await browser(t, stack);
    const pages = await dashboards(context);
    for (const page of pages) {
      await page.evaluate(() => { window.notReloaded = true; });
      assert.equal(await page.evaluate(() => window.Echo.connector.pusher.connection.state), 'connected');
      assert.ok(await page.evaluate(() => 'attendances' in window.Echo.connector.channels));
    }
    const fourth = await tab(context, '/attendances');
    const record = await press(fourth, 'check-in');
    for (const page of [...pages, fourth]) await shows(page, record);
    const [row] = (await stack.sql(`SELECT node_id, version FROM attendances WHERE id = ${record.id}`)).split('\n');
    assert.equal(row, `${record.node_id}\t1`);
    const log = await stack.log(`app_${record.node_id}`);
    const told = new RegExp(`Attendance created.*node_id=${record.node_id}.*attendance_id=${record.id}.*timestamp=\\d{4}-`);
    assert.match(log, told);
    const closed = await press(fourth, 'check-out');
    for (const page of [...pages, fourth]) await shows(page, closed);
    for (const page of pages) assert.ok(await page.evaluate(() => window.notReloaded), 'nobody pressed F5');
  });

  await t.test('3 a check-in on one node, the check-out on another', async () => {
    const ani = await (await Person.login(stack)).hire('Ani');
    const nodes = new Set();
    for (let times = 0; ![...nodes].some((pair) => pair[0] !== pair[1]); times += 1) {
      assert.ok(times < 50, `only ${[...nodes]}`);
      const record = await ani.checkIn();
      const answer = await ani.call('POST', '/api/attendances/check-out', {});
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.deepEqual([answer.body.id, answer.body.node_id, answer.body.version], [record.id, record.node_id, 2]);
      nodes.add(`${record.node_id}${answer.headers.get('x-node-id')}`);
    }
    const seen = await Promise.all(stack.nodes.map((web) => (
      new Person({ web }, ani.token, ani.user).must(200, 'GET', '/api/attendances'))));
    for (const list of seen) assert.deepEqual(list, seen[0], 'every node says the same');
  });

  await t.test('two check-ins of one person at once on two nodes: one record, one refusal', async () => {
    const budi = await (await Person.login(stack)).hire('Budi');
    for (let times = 0; times < 5; times += 1) {
      const both = await Promise.all(stack.nodes.slice(0, 2).map((web) => (
        new Person({ web }, budi.token, budi.user).call('POST', '/api/attendances/check-in', {}))));
      assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409]);
      await budi.checkOut();
    }
    assert.equal(await stack.sql(`SELECT COUNT(*) FROM attendances WHERE user_id = ${budi.user.id}`), '5');
  });

  await t.test('4 a node stops, work goes on without an error, and it comes back', async (t) => {
    const context = await browser(t, stack);
    const [dashboard] = await dashboards(context);
    const page = await tab(context, '/attendances');
    const visitor = await tab(context, '/');
    const work = async (nodes) => {
      assert.deepEqual(await refresh(visitor, nodes), nodes);
      await shows(dashboard, await press(page, 'check-in'));
      await shows(dashboard, await press(page, 'check-out'));
    };
    await stack.stop('app_2');
    await work(['1', '3']);
    await stack.start('app_2');
    await work(NODES);
    await stack.kill('app_3');
    await work(['1', '2']);
    await stack.start('app_3');
    await work(NODES);
    const refused = (await stack.log('nginx')).split('\n').filter((line) => / 5\d\d \d+ /.test(line));
    assert.deepEqual(refused, []);
  });
});
