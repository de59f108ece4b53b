// Chromium for the tests: pages that fail their test on any console error or breach of the Content-Security-Policy.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { atEnd, ROOT, PATIENCE } from '../node/kit.mjs';

// No name of a host leads anywhere: what a page asks of others stays on this machine.
const QUIET = ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--headless', '--no-sandbox',
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
export const ARTEFACTS = path.join(ROOT, 'artefacts');

let running;
/** The browser of a file's tests. */
const chromeOfFile = () => (
  running ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: QUIET }));
after(async () => (await running)?.close());

/**
 * Makes sessions, which share nothing and are closed at the end of the test. Errors that match `expected` do not fail
 * the test. A request to a foreign host is one, and does not get there.
 */
export async function launch(t, web, { expected = /^$/ } = {}) {
  const chrome = await chromeOfFile();
  const complaints = [];
  const contexts = [];
  atEnd(t, async () => {
    await Promise.all(contexts.map((context) => context.close()));
    const unexpected = complaints.filter(({ text }) => !expected.test(text));
    assert.deepEqual(unexpected, [], 'the console and the network are clean');
  });
  return async ({ width = 1280, height = 800 } = {}) => {
    const context = await chrome.newContext({ baseURL: web, viewport: { width, height }, locale: 'en-GB' });
    contexts.push(context);
    context.setDefaultTimeout(PATIENCE);
    context.on('page', (page) => watch(page, web, complaints));
    return context;
  };
}

/** One browser with one session. */
export async function browser(t, gema, { width, height, expected } = {}) {
  return (await launch(t, gema.web, { expected }))({ width, height });
}

/** Collects what should not happen on a page. */
function watch(page, web, complaints) {
  page.on('console', (message) => {
    // Before the login the page asks who it is talking to, and the browser itself reports the 401.
    const asking = message.location().url === `${web}/api/user` && message.text().includes('401');
    if (message.type() === 'error' && !asking) complaints.push({ page: page.url(), text: message.text() });
  });
  page.on('pageerror', (error) => complaints.push({ page: page.url(), text: error.stack }));
  page.on('request', (request) => {
    const { hostname } = new URL(request.url());
    if (hostname && hostname !== '127.0.0.1') complaints.push({ page: page.url(), text: `asks ${request.url()}` });
  });
  page.on('websocket', (socket) => {
    const { hostname } = new URL(socket.url());
    if (hostname !== '127.0.0.1') complaints.push({ page: page.url(), text: `connects to ${socket.url()}` });
  });
}

/** A new tab. */
export async function tab(context, address) {
  const page = await context.newPage();
  const answer = await page.goto(address);
  assert.equal(answer.status(), 200);
  return page;
}

/** The part of a page that a data-testid names. */
export const part = (page, id) => page.locator(`[data-testid="${id}"]`);

/** Fills in the login form. */
export async function login(page, email, password) {
  await part(page, 'login-email').fill(email);
  await part(page, 'login-password').fill(password);
  await part(page, 'login-submit').click();
}

/** Resolves when the page says that its socket is connected. */
export const connected = (page) => page.locator('[data-testid="connection-state"][data-state="connected"]').waitFor();

const AXE = fs.readFileSync(path.join(ROOT, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');
const ALL_RULES = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] };
/** What another theme of the same page can break. */
export const COLOURS = { type: 'rule', values: ['color-contrast'] };

/** Checks what a page shows against the rules of accessibility that a program can check. */
export async function audit(page, what, runOnly = ALL_RULES) {
  // The policy of the pages keeps foreign scripts out; this one comes by the debugger.
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate((rules) => (
    window.axe.run(document, { runOnly: rules, resultTypes: ['violations'] })), runOnly);
  const found = violations.map(({ id, help, nodes }) => (
    { id, help, parts: nodes.map((node) => [node.html, node.failureSummary]) }));
  assert.deepEqual(found, [], what);
  assert.ok(passes.length > 0, `${what}: rules were applied`);
}

/** Saves a picture; it has to stay small enough for a README. */
export async function picture(page, name) {
  fs.mkdirSync(ARTEFACTS, { recursive: true });
  const file = path.join(ARTEFACTS, name);
  await page.screenshot({ path: file, animations: 'disabled' });
  const { size } = fs.statSync(file);
  assert.ok(size < 300_000, `${name} has ${size} bytes`);
}
