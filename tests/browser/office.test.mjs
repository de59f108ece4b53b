// What an administrator does on the pages: find, correct, download, see who is there, with the keyboard alone, in both
// languages and both themes, and after an outage. One server and one office for all of it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { start, until } from '../node/kit.mjs';
import { Person } from '../node/office.mjs';
import { audit, browser, COLOURS, connected, launch, login, part, tab } from './kit.mjs';

const DAY_MS = 86_400_000;
const row = (page, id) => page.locator(`[data-testid="attendance-row"][data-attendance-id="${id}"]`);
const version = (page, id, number) => row(page, id).and(page.locator(`[data-version="${number}"]`));
const shownIds = (page) => page.locator('[data-testid="attendance-row"]').evaluateAll((rows) => (
  rows.map((one) => Number(one.dataset.attendanceId))));
const daysAgo = (record, days) => new Date(Date.parse(record.check_in) - days * DAY_MS).toISOString();

/** Waits until the list shows exactly these records, in this order. */
const shows = (page, ids, what) => until(async () => (
  JSON.stringify(await shownIds(page)) === JSON.stringify(ids)), what ?? `the list is ${ids}`);

const isActive = (field) => field.evaluate((element) => element === document.activeElement);

/** The public channel, one's own, and the office. */
const subscribed = (page) => until(() => page.evaluate(() => {
  const channels = Object.values(window.Echo.connector.channels);
  return channels.length === 3 && channels.every(({ subscription }) => subscription.subscribed);
}), 'three channels subscribed');

/** An administrator, three people, and their records. Ani's was yesterday and has a note, the others' are of today. */
async function office(gema) {
  const admin = await Person.login(gema);
  const names = ['Ani Wijaya', 'Budi Santoso', 'Citra Lestari'];
  const [ani, budi, citra] = await Promise.all(names.map((name) => admin.hire(name)));
  const correct = (id, change) => admin.must(200, 'PATCH', `/api/attendances/${id}`, change);
  const { id: first } = await ani.checkIn();
  await ani.checkOut();
  const record = await admin.must(200, 'GET', `/api/attendances/${first}`);
  await correct(first, {
    check_in: daysAgo(record, 1), check_out: daysAgo({ check_in: record.check_out }, 1), notes: 'Dentist, 50 % "sick"; =1+1',
  });
  const records = { ani: first, budi: (await budi.checkIn()).id, citra: (await citra.checkIn()).id };
  return { admin, ani, budi, citra, correct, records };
}

/** The dashboard of an administrator who signs in, live. */
async function dashboard(context) {
  const page = await tab(context, '/login?redirect=/admin/dashboard');
  await login(page, 'admin@example.com', 'password');
  await part(page, 'counter-open').waitFor();
  await connected(page);
  await subscribed(page);
  return page;
}

test('an administrator at work', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const { admin, ani, budi, citra, correct, records } = await office(gema);
  const refused = /status of (409|422)/;
  const context = await browser(t, gema, { expected: refused });
  const page = await dashboard(context);
  await shows(page, [records.citra, records.budi]);

  await t.test('the filter stands in the address, survives a reload, and events keep its list', async () => {
    await part(page, 'filter-q').fill('dentist');
    await shows(page, [records.ani], 'found by its note');
    assert.match(page.url(), /\?q=dentist$/);
    await page.reload();
    await shows(page, [records.ani], 'the same after a reload');
    assert.equal(await part(page, 'filter-q').inputValue(), 'dentist');
    await part(page, 'filter-clear').click();
    await shows(page, [records.citra, records.budi], 'today again');
    assert.match(page.url(), /\/admin\/dashboard$/);

    await part(page, 'filter-unfold').click();
    await part(page, 'filter-status').selectOption('open');
    await shows(page, [records.citra, records.budi], 'on shift');
    await citra.checkOut();
    await shows(page, [records.budi], 'who goes leaves the list');
    await part(page, 'filter-status').selectOption('');
    await part(page, 'filter-node').fill('7');
    await part(page, 'attendance-list').locator(':scope:empty').waitFor({ state: 'attached' });
    await part(page, 'filter-node').fill('');

    const { date } = await admin.must(200, 'GET', `/api/attendances/${records.ani}`);
    await page.goto(`/admin/dashboard?from=${date}&to=${date}`);
    await shows(page, [records.ani], 'yesterday');
    await correct(records.budi, { check_in: `${date}T12:00:00+07:00` });
    await shows(page, [records.ani, records.budi].sort((a, b) => b - a), 'a record that moves into the days enters');
    await part(page, 'filter-person').fill('Ani');
    const suggestion = page.locator('#filter-person-list option[value^="Ani"]');
    await suggestion.waitFor({ state: 'attached' });
    await part(page, 'filter-person').fill(await suggestion.getAttribute('value'));
    await shows(page, [records.ani], 'only hers');
    assert.match(page.url(), new RegExp(`user_id=${ani.user.id}`));
  });

  await t.test('the CSV has what the filter shows', async () => {
    await page.goto('/admin/dashboard?q=dentist');
    await shows(page, [records.ani]);
    const downloaded = page.waitForEvent('download');
    await part(page, 'csv').click();
    const download = await downloaded;
    assert.match(download.suggestedFilename(), /^attendances-.*\.csv$/);
    const text = fs.readFileSync(await download.path(), 'utf8');
    assert.equal(text.trimEnd().split('\r\n').length, 2, text);
    assert.ok(text.includes('Ani Wijaya') && text.includes('"Dentist, 50 % ""sick""; =1+1"'), text);
  });

  await t.test('who has the page open is shown, and goes with the page', async () => {
    const names = () => part(page, 'present').locator('li .name').allInnerTexts();
    await until(async () => (await names()).join() === 'Admin', 'only oneself');
    const session = await launch(t, gema.web);
    const other = await tab(await session(), '/login');
    await login(other, budi.user.email, 'a long password of Budi Santoso');
    await until(async () => (await names()).join() === 'Admin,Budi Santoso', 'both are there');
    const second = await tab(other.context(), '/attendances');
    await connected(second);
    await other.close();
    await until(async () => (await names()).length === 2, 'a person with two tabs is there until the last');
    await second.close();
    await until(async () => (await names()).join() === 'Admin', 'gone');
  });

  await t.test('a correction by keyboard alone: open, change, save, and the trail of it', async () => {
    await page.goto('/admin/dashboard?q=dentist');
    await version(page, records.ani, 3).waitFor();
    const opener = row(page, records.ani).locator('[data-testid="correct"]');
    await part(page, 'filter-q').focus();
    for (let presses = 0; !await isActive(opener); presses += 1) {
      assert.ok(presses < 30, 'the button is reached with Tab');
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await part(page, 'correction-dialog').waitFor();
    await part(page, 'audit-entry').first().waitFor();
    assert.ok(await isActive(part(page, 'correction-check_in')), 'focus is in the dialog');
    await page.keyboard.press('Escape');
    await part(page, 'correction-dialog').waitFor({ state: 'hidden' });
    assert.ok(await isActive(opener), 'and back where it was');

    await page.keyboard.press('Enter');
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press('Tab');
      const inside = await page.evaluate(() => (
        document.activeElement === document.body || document.activeElement.closest('dialog') !== null));
      assert.ok(inside, 'focus stays in the dialog');
    }
    await part(page, 'correction-notes').focus();
    await page.keyboard.press('Control+A');
    await page.keyboard.type('Dentist, healed');
    await page.keyboard.press('Tab');
    await page.keyboard.type('She called');
    await page.keyboard.press('Enter');
    await version(page, records.ani, 4).waitFor();
    await part(page, 'correction-dialog').waitFor({ state: 'hidden' });
    assert.match(await row(page, records.ani).innerText(), /Dentist, healed/);
    await page.keyboard.press('Enter');
    await until(async () => await part(page, 'audit-entry').count() === 2, 'two corrections');
    const newest = await part(page, 'audit-entry').first().innerText();
    assert.match(newest, /Admin[\s\S]*She called[\s\S]*Note: Dentist, 50 % "sick"; =1\+1 → Dentist, healed/);
    await page.keyboard.press('Escape');
  });

  await t.test('what the server refuses stands at its field, and nobody is overwritten', async () => {
    await row(page, records.ani).locator('[data-testid="correct"]').click();
    const out = part(page, 'correction-check_out');
    await out.fill('2020-01-01T08:00');
    await part(page, 'correction-submit').click();
    await page.locator('#correction-check_out-error').waitFor();
    assert.ok(await isActive(out));
    assert.equal(await out.getAttribute('aria-invalid'), 'true');
    const described = await out.evaluate((field) => document.getElementById(field.getAttribute('aria-describedby')).innerText);
    assert.match(described, /check out/i);

    await correct(records.ani, { notes: 'Dentist, by another administrator' });
    await part(page, 'correction-newer').waitFor();
    await part(page, 'correction-submit').click();
    await part(page, 'correction-problem').waitFor();
    const { version: held, notes } = await admin.must(200, 'GET', `/api/attendances/${records.ani}`);
    assert.deepEqual([held, notes], [5, 'Dentist, by another administrator']);
    await part(page, 'correction-take').click();
    await until(async () => await part(page, 'correction-notes').inputValue() === notes, 'the other one\'s note');
    await part(page, 'correction-notes').fill('Dentist, agreed');
    await part(page, 'correction-submit').click();
    await version(page, records.ani, 6).waitFor();
    await part(page, 'correction-dialog').waitFor({ state: 'hidden' });
  });

  await t.test('people are added, changed and removed', async () => {
    await tab(context, '/admin/people').then(async (people) => {
      await part(people, 'add-person').click();
      for (const [field, text] of [['name', 'Dewi Anggraini'], ['email', budi.user.email], ['password', 'long enough']]) {
        await part(people, `person-${field}`).fill(text);
      }
      await part(people, 'person-submit').click();
      await people.locator('#person-email-error').waitFor();
      await part(people, 'person-email').fill('dewi@example.com');
      await part(people, 'person-submit').click();
      const dewi = part(people, 'person').filter({ hasText: 'Dewi Anggraini' });
      await dewi.waitFor();
      await dewi.locator('[data-testid="edit-person"]').click();
      await part(people, 'person-name').fill('Dewi A.');
      await part(people, 'person-submit').click();
      await part(people, 'person').filter({ hasText: 'Dewi A.' }).locator('[data-testid="remove-person"]').click();
      await part(people, 'remove-submit').click();
      await until(async () => await part(people, 'person').count() === 4, 'four people are left');
      await part(people, 'people-q').fill('citra');
      await until(async () => await part(people, 'person').count() === 1, 'found by name');
      await people.close();
    });
  });

  await t.test('Indonesian and back, kept over a reload; a theme of one\'s own', async () => {
    await page.goto('/admin/dashboard');
    await part(page, 'counter-open').waitFor();
    await part(page, 'language-id').click();
    await page.reload();
    await part(page, 'counter-open').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'id-ID');
    assert.equal(await page.locator('h1').innerText(), 'Hari ini');
    assert.equal(await page.title(), 'Hari ini · Gema');
    for (const address of ['/', '/attendances', '/admin/people', '/admin/dashboard']) {
      await page.goto(address);
      await page.locator('h1').waitFor();
      assert.doesNotMatch(await page.locator('body').innerText(), /(^|\s)[a-z]+\.[a-z]+[A-Z]?\w*(\s|$)/, 'no key without its text');
    }
    await part(page, 'language-en').click();
    assert.equal(await page.locator('h1').innerText(), 'Today');

    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await paper();
    await part(page, 'theme').click();
    await part(page, 'theme').click();
    assert.equal(await part(page, 'theme').getAttribute('data-choice'), 'dark');
    const dark = await paper();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await paper(), dark);
    await part(page, 'theme').click();
    assert.equal(await paper(), light, 'as the device');
  });

  await t.test('no page breaks a rule of accessibility, in either theme', async () => {
    const guest = await tab(await (await launch(t, gema.web))(), '/login');
    await part(guest, 'login-submit').waitFor();
    await audit(guest, '/login');
    const view = await tab(context, '/admin/dashboard');
    for (const [colorScheme, rules] of [['light'], ['dark', COLOURS]]) {
      await view.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const address of ['/', '/attendances', '/admin/people', '/admin/dashboard?q=dentist']) {
        await view.goto(address);
        await view.locator('h1').waitFor();
        if (address.includes('dashboard')) await row(view, records.ani).waitFor();
        await audit(view, `${address}, ${colorScheme}`, rules);
      }
      await row(view, records.ani).locator('[data-testid="correct"]').click();
      await part(view, 'audit-entry').first().waitFor();
      await audit(view, `the dialog, ${colorScheme}`, rules);
      await view.keyboard.press('Escape');
    }
    await view.close();
  });
});

test('after an outage the list is the database\'s, also when events come while it is being fetched', async (t) => {
  const gema = await start(t, { role: 'serve' });
  const { admin, budi, citra, correct, records } = await office(gema);
  const context = await browser(t, gema, { expected: /^WebSocket connection to|ERR_CONNECTION_REFUSED|status of 50/ });
  const page = await dashboard(context);
  await shows(page, [records.citra, records.budi]);
  await gema.stop();
  await part(page, 'live-banner').and(page.locator('[data-sync="down"]')).waitFor();

  // The fetch after the return is answered late, with what was true when it was asked for.
  let answer;
  const held = new Promise((resolve) => { answer = resolve; });
  let asked;
  const fetched = new Promise((resolve) => { asked = resolve; });
  let refusals = 1;
  await page.route('**/api/attendances?date=*', async (route) => {
    refusals -= 1;
    if (refusals >= 0) return route.fulfill({ status: 503, json: { message: 'The server is busy.' } });
    const response = await route.fetch();
    asked();
    await held;
    return route.fulfill({ response });
  });
  await gema.again();
  const ani = await Person.login(gema, 'ani@example.com', 'a long password of Ani Wijaya');
  await citra.checkOut();
  await correct(records.budi, { check_in: daysAgo(await admin.must(200, 'GET', `/api/attendances/${records.budi}`), 1) });
  const { id: missed } = await ani.checkIn();
  await fetched;
  await part(page, 'live-banner').and(page.locator('[data-sync="catching-up"]')).waitFor();
  await connected(page);
  await subscribed(page);
  await ani.checkOut();
  await version(page, missed, 2).waitFor();
  const { id: during } = await ani.checkIn();
  await version(page, during, 1).waitFor();
  answer();
  await part(page, 'live-banner').and(page.locator('[data-sync="live"]')).waitFor({ state: 'attached' });
  await shows(page, [during, missed, records.citra]);
  await version(page, missed, 2).waitFor();
  await version(page, records.citra, 2).waitFor();
  assert.equal(await part(page, 'counter-open').innerText(), '2', 'one of today, one of yesterday');
});
