// Section 13: which signed requests are accepted.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';
import { hmac, md5, now, signedQuery } from '../target.mjs';

const marks = ['auth'];
const EMPTY_MD5 = md5('');

async function accepted(t, request) {
  const answer = await request;
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

/** 401 with a reason that gives nothing away, and nothing was published. */
async function refused(t, send) {
  const channel = t.name();
  const wire = await t.member(channel);
  const answer = await send(channel);
  assert.equal(answer.status, 401, answer.text);
  assert.ok(answer.text.length > 0, 'the answer says why');
  assert.ok(!answer.text.includes(t.target.secret), 'and not the secret');
  await t.nobodyHeard(channel, wire);
}

const event = (channel) => JSON.stringify({ name: 'e', data: '{}', channels: [channel] });
const eventsPath = (t) => `/apps/${t.target.id}/events`;

/** POST /events with the query that `make` builds for it. */
async function post(t, channel, make) {
  const body = event(channel);
  const path = eventsPath(t);
  return t.request('POST', `${path}?${make({ method: 'POST', path, body })}`, { body });
}

/** Signed with these instead of what is right. */
function withOverrides(id, says, overrides) {
  return rule(`http-auth.${id}`, '13', says, (t) => refused(t, (channel) => (
    t.api('POST', '/events', { body: event(channel), overrides: overrides(event(channel)) }))), { marks });
}

/** A right query, changed after signing. */
function changed(id, says, change) {
  return rule(`http-auth.${id}`, '13', says, (t) => refused(t, (channel) => (
    post(t, channel, (request) => change(signedQuery(t.target, request), t)))), { marks });
}

/** A GET whose string to sign and query are written out; both without the auth_ parameters. */
function byHand(t, path, signed, query, extra = '') {
  const base = `auth_key=${t.target.key}&auth_timestamp=${now()}&auth_version=1.0`;
  const signature = hmac(t.target.secret, `GET\n${path}\n${[base, ...signed].join('&')}`);
  return t.request('GET', `${path}${extra}?${[base, ...query].join('&')}&auth_signature=${signature}`);
}

export const cases = [
  rule('http-auth.right', '13', 'A request that is signed right is answered with 200 and JSON', async (t) => {
    const answer = await accepted(t, t.api('POST', '/events', { body: event(t.name()) }));
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.deepEqual(answer.json(), {});
  }),
  withOverrides('old', 'A request from 11 minutes ago is refused', () => ({ auth_timestamp: String(now() - 660) })),
  withOverrides('future', 'A request from 11 minutes ahead is refused', () => (
    { auth_timestamp: String(now() + 660) })),
  withOverrides('timestamp-word', 'auth_timestamp must be a number', () => ({ auth_timestamp: 'soon' })),
  withOverrides('timestamp-milliseconds', 'auth_timestamp counts seconds', () => (
    { auth_timestamp: String(Date.now()) })),
  withOverrides('no-timestamp', 'auth_timestamp is required', () => ({ auth_timestamp: undefined })),
  withOverrides('no-key', 'auth_key is required', () => ({ auth_key: undefined })),
  withOverrides('other-key', 'auth_key must be the key of the app', () => ({ auth_key: 'nope' })),
  withOverrides('no-version', 'auth_version is required', () => ({ auth_version: undefined })),
  withOverrides('other-version', 'auth_version must be 1.0', () => ({ auth_version: '2.0' })),
  withOverrides('no-md5', 'A body without body_md5 is refused', () => ({ body_md5: undefined })),
  withOverrides('other-md5', 'body_md5 must be the one of the body', () => ({ body_md5: md5('{}') })),
  withOverrides('upper-md5', 'body_md5 is in lower case', (body) => ({ body_md5: md5(body).toUpperCase() })),
  changed('no-signature', 'auth_signature is required', (query) => query.replace(/&auth_signature=.*/, '')),
  changed('empty-signature', 'auth_signature must not be empty', (query) => query.replace(/(auth_signature=).*/, '$1')),
  changed('upper-signature', 'auth_signature is in lower case', (query) => (
    query.replace(/(auth_signature=)(.*)/, (_, name, hex) => name + hex.toUpperCase()))),
  changed('short-signature', 'auth_signature must be whole', (query) => query.slice(0, -1)),
  changed('no-query', 'A request without a query is refused', () => ''),
  changed('added-parameter', 'A parameter that was not signed is refused', (query) => `${query}&info=user_count`),
  changed('changed-parameter', 'A parameter that was changed is refused', (query) => (
    query.replace(/auth_timestamp=(\d+)/, (_, time) => `auth_timestamp=${Number(time) - 1}`))),
  rule('http-auth.other-secret', '13', 'Another secret is refused', (t) => refused(t, (channel) => (
    post(t, channel, (request) => signedQuery({ ...t.target, secret: 'x' }, request)))), { marks }),
  rule('http-auth.other-method', '13', 'A signature for GET is refused on POST', (t) => refused(t, (channel) => (
    post(t, channel, (request) => signedQuery(t.target, { ...request, method: 'GET' })))), { marks }),
  rule('http-auth.other-path', '13', 'A signature for another path is refused', (t) => refused(t, (channel) => (
    post(t, channel, (request) => signedQuery(t.target, { ...request, path: `${request.path}x` })))), { marks }),
  rule('http-auth.body-changed', '13', 'A body that was changed after signing is refused', (t) => (
    refused(t, (channel) => {
      const query = signedQuery(t.target, { method: 'POST', path: eventsPath(t), body: event('other') });
      return t.request('POST', `${eventsPath(t)}?${query}`, { body: event(channel) });
    })), { marks }),
  rule('http-auth.every-endpoint', '13', 'Every endpoint below /apps asks for a signature', async (t) => {
    const app = `/apps/${t.target.id}`;
    const gets = ['/channels', '/channels/a', '/channels/presence-a/users', '/connections'];
    const posts = ['/events', '/batch_events', `/users/${t.name()}/terminate_connections`];
    for (const path of gets) assert.equal((await t.request('GET', app + path)).status, 401, path);
    for (const path of posts) assert.equal((await t.request('POST', app + path, { body: '{}' })).status, 401, path);
  }, { marks }),
  rule('http-auth.unknown-app', '13', 'An unknown app is refused', async (t) => {
    const path = `/apps/${t.target.id}7/channels`;
    const { status } = await t.request('GET', `${path}?${signedQuery(t.target, { method: 'GET', path })}`);
    assert.ok([401, 403, 404].includes(status), `${status}`);
  }),
  rule('http-auth.clock-window', '13', 'A clock that is 9 minutes off is accepted, in both directions', async (t) => {
    for (const off of [-540, 540]) {
      const overrides = { auth_timestamp: String(now() + off) };
      await accepted(t, t.api('POST', '/events', { body: event(t.name()), overrides }));
    }
  }),
  rule('http-auth.any-order', '13', 'The parameters of the query may come in any order', async (t) => {
    const turned = (query) => query.split('&').reverse().join('&');
    await accepted(t, post(t, t.name(), (request) => turned(signedQuery(t.target, request))));
  }),
  rule('http-auth.upper-case-names', '13', 'Names of parameters are signed in lower case', async (t) => {
    await accepted(t, byHand(t, `/apps/${t.target.id}/channels`, ['filter_by_prefix=x'], ['Filter_By_Prefix=x']));
  }),
  rule('http-auth.php-array', '13', 'info[0]=a&info[1]=b is signed as info=a,b (PHP)', async (t) => {
    const path = `/apps/${t.target.id}/channels/${t.name('presence-')}`;
    for (const name of ['info%5B0%5D info%5B1%5D', 'info[] info[]']) {
      const [first, second] = name.split(' ');
      const query = [`${first}=user_count`, `${second}=subscription_count`];
      await accepted(t, byHand(t, path, ['info=user_count,subscription_count'], query));
    }
  }),
  rule('http-auth.escaped-comma', '13', 'Values are signed without their escapes', async (t) => {
    const path = `/apps/${t.target.id}/channels/${t.name('presence-')}`;
    const query = ['info=user_count%2Csubscription_count'];
    await accepted(t, byHand(t, path, ['info=user_count,subscription_count'], query));
  }),
  rule('http-auth.plus-is-space', '13', 'A plus sign in the query is a space, as is %20', async (t) => {
    const path = `/apps/${t.target.id}/channels`;
    await accepted(t, byHand(t, path, ['filter_by_prefix=a b'], ['filter_by_prefix=a+b']));
    await accepted(t, byHand(t, path, ['filter_by_prefix=a b'], ['filter_by_prefix=a%20b']));
    await accepted(t, byHand(t, path, ['filter_by_prefix=a+b'], ['filter_by_prefix=a%2Bb']));
  }),
  rule('http-auth.python-get', '13', 'A GET may carry the signed body_md5 of an empty body (Python)', async (t) => {
    await accepted(t, t.api('GET', '/channels', { params: { body_md5: EMPTY_MD5 } }));
  }),
  rule('http-auth.get-other-md5', '13',
    'A GET whose body_md5 is not the one of an empty body is refused or signed over', async (t) => {
    const path = `/apps/${t.target.id}/channels`;
    const query = signedQuery(t.target, { method: 'GET', path, params: { body_md5: EMPTY_MD5 } });
    assert.equal((await t.request('GET', `${path}?${query.replace(EMPTY_MD5, md5('x'))}`)).status, 401);
  }, { marks }),
  rule('http-auth.get-content-type', '15', 'A GET may have a content type (PHP)', async (t) => {
    await accepted(t, t.api('GET', '/channels', { headers: { 'Content-Type': 'application/json' } }));
  }),
  rule('http-auth.raw-path', '13', 'The path is signed as it was sent', async (t) => {
    for (const name of ['a@b,c;d=e.f', `${t.name()}@=,.;`]) await accepted(t, t.api('GET', `/channels/${name}`));
  }),
  rule('http-auth.encoded-path', '13', 'A path that was escaped on the way is verified unescaped, too', async (t) => {
    const path = `/apps/${t.target.id}/channels/a@b`;
    const query = signedQuery(t.target, { method: 'GET', path });
    await accepted(t, t.request('GET', `${path.replace('@', '%40')}?${query}`));
  }),
  rule('http-auth.prefix-unsigned', '13', 'The path prefix of the server is not part of what is signed', async (t) => {
    await accepted(t, t.api('GET', '/channels'));
  }, { needs: ['path-prefix'] }),
  rule('http-auth.prefix-needed', '1', 'Below a prefix nothing answers without it', async (t) => {
    const bare = t.elsewhere({ prefix: '' });
    assert.equal((await bare.api('GET', '/channels')).status, 404);
    const { wire, status } = await bare.open();
    assert.deepEqual([wire, status], [null, 404]);
  }, { needs: ['path-prefix'] }),
  rule('http-auth.content-type-charset', '13', 'The content type may name a charset', async (t) => {
    const headers = { 'Content-Type': 'application/json; charset=utf-8' };
    await accepted(t, t.api('POST', '/events', { body: event(t.name()), headers }));
  }),
  rule('http-auth.library', '13', 'The library learns status and reason of a refusal', async (t) => {
    const wrong = t.library({ secret: 'anothersecret9876543' });
    await assert.rejects(wrong.trigger(t.name(), 'e', {}), ({ status, body }) => status === 401 && body.length > 0);
  }, { needs: ['no path-prefix'], marks }),
];
