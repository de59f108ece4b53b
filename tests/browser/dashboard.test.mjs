// A check-in appears in every open dashboard without a refresh: the pages in Chromium, with unmodified libraries.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pause, start, until } from '../node/kit.mjs';
import { Person } from '../node/office.mjs';
import { browser, connected, login, part, picture, tab } from './kit.mjs';

const PEOPLE = ['Ani Wijaya', 'Budi Santoso', 'Citra Lestari', 'Dewi Anggraini', 'Eko Prasetyo', 'Fitri Handayani',
  'Gilang Ramadhan', 'Hana Puspita'];

/** The row of a record on a page, at least this version of it. */
const row = (page, id, version) =>
  part(page, 'attendance-row').and(page.locator(`[data-attendance-id="${id}"][data-version="${version}"]`));

/** Notes when each version of each row (or a later one) comes into the document, by the clock of the machine. */
async function observe(page) {
  await page.evaluate(() => {
    window.seen = {};
    const look = () => {
      const now = performance.timeOrigin + performance.now();
      for (const { dataset } of document.querySelectorAll('[data-testid="attendance-row"]')) {
        for (let version = Number(dataset.version); version > 0; version -= 1) {
          window.seen[`${dataset.attendanceId}.${version}`] ??= now;
        }
      }
    };
    look();
    const options = { childList: true, subtree: true, attributes: true, attributeFilter: ['data-version'] };
    new MutationObserver(look).observe(document.body, options);
  });
}

const quantile = (numbers, share) => (
  numbers.sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]);

/** Hires everybody. */
async function office(admin) {
  const people = [];
  for (const name of PEOPLE) people.push(await admin.hire(name));
  return people;
}

/** Logs in as the admin in the first tab and opens the dashboard in three. */
async function dashboards(context) {
  const first = await tab(context, '/admin/dashboard');
  await login(first, 'admin@example.com', 'password');
  await first.waitForURL(({ pathname }) => pathname === '/admin/dashboard');
  const pages = [first, await tab(context, '/admin/dashboard'), await tab(context, '/admin/dashboard')];
  for (const page of pages) {
    await connected(page);
    await until(() => page.evaluate(() => {
      const channels = Object.values(window.Echo.connector.channels);
      return channels.length === 3 && channels.every(({ subscription }) => subscription.subscribed);
    }), 'all channels subscribed');
  }
  return pages;
}

test('three dashboards show a check-in of a fourth tab, without a refresh', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const context = await browser(t, gema);
  const pages = await dashboards(context);
  for (const page of pages) {
    await page.evaluate(() => { window.notReloaded = true; });
    assert.equal(await page.evaluate(() => window.Echo.connector.pusher.connection.state), 'connected');
    assert.ok(await page.evaluate(() => 'attendances' in window.Echo.connector.channels));
    assert.equal(await part(page, 'attendance-row').count(), 0);
  }

  const fourth = await tab(context, '/attendances');
  const answered = fourth.waitForResponse((response) => response.url().endsWith('/api/attendances/check-in'));
  await part(fourth, 'check-in').click();
  const response = await answered;
  assert.equal(response.status(), 201);
  const { id } = await response.json();
  for (const page of [...pages, fourth]) await row(page, id, 1).waitFor();
  for (const page of pages) {
    await until(async () => (await part(page, 'counter-open').innerText()) === '1', 'one on shift');
  }
  assert.equal(await part(pages[0], 'node-badge').first().getAttribute('data-node-id'), '1');

  await part(fourth, 'check-out').click();
  for (const page of [...pages, fourth]) await row(page, id, 2).waitFor();
  for (const page of pages) {
    assert.equal(await part(page, 'attendance-row').count(), 1, 'the same row, changed in place');
    await until(async () => (await part(page, 'counter-checked-out').innerText()) === '1', 'one gone home');
    assert.ok(await page.evaluate(() => window.notReloaded), 'nobody pressed F5');
  }
  const channels = await fourth.evaluate(() => Object.keys(window.Echo.connector.channels));
  assert.ok(channels.some((name) => /^private-user\.\d+$/.test(name)), `${channels}`);
  await picture(fourth, 'attendances.png');
});

test('from the answer of the API to the row in the page', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const people = await office(await Person.login(gema));
  const context = await browser(t, gema);
  const pages = await dashboards(context);
  for (const page of pages) await observe(page);

  const answers = [];
  const note = (record) => {
    answers.push([`${record.id}.${record.version}`, performance.timeOrigin + performance.now()]);
    // People do not check in within the same millisecond, and three tabs share this machine.
    return pause(50);
  };
  for (let round = 0; round < 3; round += 1) {
    for (const person of people) await note(await person.checkIn());
    for (const person of people) await note(await person.checkOut());
  }

  const delays = [];
  for (const page of pages) {
    const seen = await until(async () => {
      const all = await page.evaluate(() => window.seen);
      return answers.every(([key]) => key in all) && all;
    }, 'every change in every dashboard');
    for (const [key, answered] of answers) delays.push(seen[key] - answered);
  }
  const [p50, p99] = [quantile(delays, 0.5), quantile(delays, 0.99)].map((delay) => delay.toFixed(1));
  const scope = `${answers.length} changes in ${pages.length} dashboards`;
  console.log(`» from the API's answer to the row in the page: p50 ${p50} ms, p99 ${p99} ms (${scope})`);
});

test('pictures of an office, wide and on a phone', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const people = await office(await Person.login(gema));
  const last = people.pop();
  for (const person of people) await person.checkIn();
  for (const person of people.slice(0, 2)) await person.checkOut();
  const [wide] = await dashboards(await browser(t, gema));
  const [small] = await dashboards(await browser(t, gema, { width: 390, height: 844 }));
  const { id } = await last.checkIn();
  for (const page of [wide, small]) {
    await row(page, id, 1).waitFor();
    await part(page, 'toast').waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
  }
  await picture(wide, 'dashboard.png');
  await picture(small, 'dashboard-phone.png');
});

/** What sticks out of the window to the right, or is cut off there. */
const outside = (page) => page.evaluate(() => {
  const visible = [...document.querySelectorAll('main *, header *')].filter((part) => (
    part.getBoundingClientRect().width > 0 && !part.matches('.visually-hidden, svg *')));
  const wide = visible.filter((part) => part.getBoundingClientRect().right > window.innerWidth + 1);
  return { scrolls: document.documentElement.scrollWidth > window.innerWidth, wide: wide.map((part) => part.outerHTML) };
});

test('no page is wider than its window, whatever people are called', async (t) => {
  const gema = await start(t, { role: 'serve', env: { NODE_ID: '2147483647' } });
  const admin = await Person.login(gema, 'admin@example.com', 'password');
  const wordy = await admin.hire('W'.repeat(200));
  await wordy.checkIn();
  const context = await browser(t, gema);
  const page = await tab(context, '/');
  const look = async (width) => {
    await page.setViewportSize({ width, height: 800 });
    assert.deepEqual(await outside(page), { scrolls: false, wide: [] }, `${page.url()} at ${width}`);
  };
  const widths = [320, 390, 768, 1024, 1120, 1280];
  await connected(page);
  for (const width of widths) await look(width);
  await page.goto('/login');
  await part(page, 'login-submit').waitFor();
  for (const width of widths) await look(width);
  await login(page, 'admin@example.com', 'password');
  await page.waitForURL(({ pathname }) => pathname === '/admin/dashboard');
  for (const path of ['/admin/dashboard', '/admin/people', '/attendances']) {
    await page.goto(path);
    await connected(page);
    if (path === '/admin/dashboard') await part(page, 'attendance-row').first().waitFor();
    else await part(page, path === '/attendances' ? 'check-in' : 'add-person').waitFor();
    for (const width of widths) await look(width);
  }
});

test('a restart of the server: the dashboards return and have what they missed', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const admin = await Person.login(gema);
  // The browser itself reports each attempt to connect while nobody listens.
  const context = await browser(t, gema, { expected: /^WebSocket connection to/ });
  const [page] = await dashboards(context);
  await gema.stop();
  await part(page, 'connection-state').and(page.locator(':not([data-state="connected"])')).waitFor();
  await gema.again();
  const { id } = await admin.checkIn();
  await connected(page);
  await row(page, id, 1).waitFor();
});

test('the login leads back to where one wanted to go, and the logout ends it', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const context = await browser(t, gema);
  const page = await tab(context, '/attendances');
  await page.waitForURL(({ pathname }) => pathname === '/login');
  await login(page, 'admin@example.com', 'password');
  await page.waitForURL(({ pathname }) => pathname === '/attendances');
  await part(page, 'check-in').waitFor();
  await part(page, 'logout').click();
  await page.waitForURL(({ pathname }) => pathname !== '/attendances');
  assert.equal((await context.request.get('/api/attendances')).status(), 401);
});

test('the pages carry a policy and are cached by their names', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const page = await fetch(`${gema.web}/admin/dashboard`);
  assert.equal(page.status, 200, 'a deep link is the application');
  assert.match(page.headers.get('content-security-policy'), /default-src|script-src/);
  assert.doesNotMatch(page.headers.get('content-security-policy'), /script-src[^;]*unsafe/);
  assert.doesNotMatch(page.headers.get('cache-control') ?? '', /immutable/);
  const text = await page.text();
  const [script] = /\/assets\/[^"]+\.js/.exec(text);
  const asset = await fetch(gema.web + script);
  assert.match(asset.headers.get('cache-control'), /immutable/);
  assert.ok(!text.includes(gema.app.secret) && !(await asset.text()).includes(gema.app.secret));
});
