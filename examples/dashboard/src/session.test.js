// Where signing in may lead.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homeOf, safeRedirect } from './session.js';

test('only paths of this site are followed', () => {
  assert.equal(safeRedirect('/admin/dashboard', '/'), '/admin/dashboard');
  for (const target of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', '', undefined, ['/a', '/b']]) {
    assert.equal(safeRedirect(target, '/home'), '/home');
  }
});

test('each role has its home', () => {
  assert.equal(homeOf({ role: 'admin' }), '/admin/dashboard');
  assert.equal(homeOf({ role: 'employee' }), '/attendances');
});
