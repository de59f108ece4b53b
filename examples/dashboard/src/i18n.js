// Every text of the pages, in one place: another language is another object with the same keys.

/** Decides how times and numbers are written, too. */
export const locale = 'en-GB';

const en = {
  'app.name': 'Gema',
  'app.skip': 'Skip to content',
  'title.landing': 'Gema · attendance, live',
  'title.login': 'Sign in · Gema',
  'title.attendances': 'My attendance · Gema',
  'title.dashboard': 'Today · Gema',
  'title.notFound': 'Not found · Gema',

  'nav.label': 'Pages',
  'nav.attendances': 'My attendance',
  'nav.dashboard': 'Today',
  'nav.login': 'Sign in',
  'nav.logout': 'Sign out',

  'connection.label': 'Live connection:',
  'connection.initialized': 'Starting',
  'connection.connecting': 'Joining',
  'connection.connected': 'Live',
  'connection.unavailable': 'Retrying',
  'connection.failed': 'Off',
  'connection.disconnected': 'Off',
  'connection.behind': 'The live connection is down. What you see may be behind; it is fetched again on return.',

  'landing.title': 'One check-in. Every screen.',
  'landing.lead': 'Gema is Indonesian for echo. Somebody arrives and checks in; a moment later every open page shows it, whichever server took the call. Nobody presses refresh.',
  'landing.signIn': 'Sign in',
  'landing.goOn': 'Go on as {name}',
  'landing.today': 'See today',
  'landing.waiting': 'Listening. The next check-in draws a ring here.',
  'landing.off': 'Not listening yet: the live connection is on its way.',
  'landing.heard': '{time} · an echo from node {node}',
  'landing.count': 'Echoes since you opened this page: {count}',
  'landing.how': 'How an echo travels',
  'landing.step1': 'Stored first',
  'landing.step1Text': 'The record and its event are written in one transaction. What was confirmed to you cannot be lost.',
  'landing.step2': 'Then sent on',
  'landing.step2Text': 'A worker hands the event to the broadcast server, in order, until it is confirmed.',
  'landing.step3': 'Heard everywhere',
  'landing.step3Text': 'Every subscribed page draws it at once. Late or repeated echoes are recognised and dropped.',

  'login.title': 'Sign in',
  'login.lead': 'With the address your administrator gave you.',
  'login.email': 'Email',
  'login.password': 'Password',
  'login.show': 'Show',
  'login.hide': 'Hide',
  'login.showLabel': 'Show password',
  'login.submit': 'Sign in',
  'login.busy': 'Signing in…',

  'mine.greeting': 'Hello, {name}',
  'mine.off': 'Not on shift',
  'mine.on': 'On shift since {time}',
  'mine.onFor': 'for {duration}',
  'mine.lastOut': 'Last check-out {date}, {time}',
  'mine.checkIn': 'Check in',
  'mine.checkOut': 'Check out',
  'mine.busy': 'One moment…',
  'mine.note': 'Note (optional)',
  'mine.noteHint': 'Only you and the administrators read it.',
  'mine.history': 'My history',
  'mine.empty': 'No entries yet. Your first check-in will stand here.',
  'mine.older': 'Show older entries',

  'admin.title': 'Today',
  'admin.addPerson': 'Add person',
  'admin.counters': 'Counters of today',
  'admin.present': 'On time',
  'admin.late': 'Late',
  'admin.open': 'On shift now',
  'admin.checkedOut': 'Checked out',
  'admin.list': 'Check-ins of today',
  'admin.empty': 'Nobody has checked in yet. This list fills by itself.',
  'admin.more': 'Show {count} more',

  'day.legend': 'One dot is one check-in, in the colour of its node. A ring has checked out.',
  'day.label': '{count} check-ins today, from {first} to {last}',
  'day.labelEmpty': 'No check-ins yet today',

  'row.person': 'Person',
  'row.in': 'In',
  'row.out': 'Out',
  'row.worked': 'Time',
  'row.status': 'Status',
  'row.node': 'Node',
  'row.day': 'Day',
  'row.onShift': 'on shift',
  'row.note': 'Note:',
  'status.present': 'On time',
  'status.late': 'Late',
  'node.name': 'Node {node}',

  'person.title': 'Add a person',
  'person.lead': 'They can sign in and check in straight away.',
  'person.name': 'Name',
  'person.email': 'Email',
  'person.password': 'First password',
  'person.passwordHint': 'At least 8 characters. Tell it to them in person.',
  'person.role': 'Role',
  'person.employee': 'Employee: checks in and out',
  'person.admin': 'Administrator: sees everybody',
  'person.save': 'Add person',
  'person.saving': 'Adding…',
  'person.cancel': 'Cancel',

  'toast.region': 'News',
  'toast.close': 'Dismiss',
  'toast.created': '{name} checked in',
  'toast.out': '{name} checked out',
  'toast.updated': 'Entry of {name} was corrected',
  'toast.detail': '{time} · node {node}',
  'toast.personAdded': '{name} can now sign in',
  'toast.personAddedDetail': '{email}',

  'list.loading': 'Fetching the list…',
  'list.failed': 'The list could not be fetched.',
  'list.retry': 'Try again',

  'forbidden.code': '403',
  'forbidden.title': 'This page is for administrators',
  'forbidden.lead': 'You are signed in as {name}. Your own entries are one step away.',
  'forbidden.back': 'To my attendance',
  'notFound.code': '404',
  'notFound.title': 'Nothing answers here',
  'notFound.lead': 'The address leads to no page of this system.',
  'notFound.back': 'To the start',

  'error.network': 'The server did not answer. Check the connection and try again.',
  'error.throttled': 'Too many tries. Please wait {seconds} seconds.',
  'error.unknown': 'That did not work (error {status}). Please try again.',

  'duration.minutes': '{minutes} min',
  'duration.hours': '{hours} h {minutes} min',
};

export const keys = Object.keys(en);

/**
 * The text of a key, with `{name}` filled in from `values`.
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 */
export function t(key, values = {}) {
  const text = en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** What a failed call says to a person: the server's own words where it has some. */
export function errorText(error) {
  if (error.status === 0) return t('error.network');
  if (error.status === 429) return t('error.throttled', { seconds: error.retryAfter || 60 });
  const first = Object.values(error.errors ?? {})[0]?.[0];
  return first || error.message || t('error.unknown', { status: error.status ?? '?' });
}
