// The pages and who may open them. A page that needs a role declares it in `meta`;
// App.vue shows the 403 page in its place, at the same address.
import { nextTick, watch, watchEffect } from 'vue';
import { createRouter, createWebHistory } from 'vue-router';
import { t } from './i18n.js';
import AdminDashboardPage from './pages/AdminDashboardPage.vue';
import AttendancesPage from './pages/AttendancesPage.vue';
import LandingPage from './pages/LandingPage.vue';
import LoginPage from './pages/LoginPage.vue';
import NotFoundPage from './pages/NotFoundPage.vue';
import PeoplePage from './pages/PeoplePage.vue';
import { ensureSession, homeOf, safeRedirect, user } from './session.js';

const routes = [
  { path: '/', component: LandingPage, meta: { title: 'title.landing' } },
  { path: '/login', component: LoginPage, meta: { title: 'title.login', guestsOnly: true } },
  { path: '/attendances', component: AttendancesPage, meta: { title: 'title.attendances', signedIn: true } },
  {
    path: '/admin/dashboard',
    component: AdminDashboardPage,
    meta: { title: 'title.dashboard', signedIn: true, role: 'admin' },
  },
  { path: '/admin/people', component: PeoplePage, meta: { title: 'title.people', signedIn: true, role: 'admin' } },
  { path: '/:rest(.*)*', component: NotFoundPage, meta: { title: 'title.notFound' } },
];

async function guard(to) {
  const someone = await ensureSession();
  if (to.meta.signedIn && !someone) return { path: '/login', query: { redirect: to.fullPath } };
  if (to.meta.guestsOnly && someone) return safeRedirect(to.query.redirect, homeOf(someone));
  return true;
}

/** A screen reader hears the new page, and the keyboard starts at its top. */
async function announce(to, from) {
  if (!from.matched.length || to.path === from.path) return;
  await nextTick();
  document.querySelector('main')?.focus({ preventScroll: true });
}

export function createAppRouter() {
  const router = createRouter({
    history: createWebHistory(),
    routes,
    // Another filter of the same page is no reason to jump.
    scrollBehavior: (to, from, saved) => saved ?? (to.path !== from.path && { top: 0 }),
  });
  router.beforeEach(guard);
  router.afterEach(announce);
  watchEffect(() => {
    const { title } = router.currentRoute.value.meta;
    if (title) document.title = t(title);
  });
  watch(user, (someone) => {
    const { meta, fullPath } = router.currentRoute.value;
    if (!someone && meta.signedIn) router.replace({ path: '/login', query: { redirect: fullPath } });
  });
  return router;
}
