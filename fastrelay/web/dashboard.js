// The dashboard: four views, chosen by the address' fragment, above one live connection.
import { askToken, onToken, token, UNREACHABLE } from './api.js';
import { $, setText } from './dom.js';
import * as live from './live.js';
import { loadRelays } from './names.js';
import { shareList } from './share.js';
import * as streams from './streams.js';

// What runs is to be seen first, so the other views' modules come when they are shown, or behind it.
const VIEWS = {
  live: async () => live,
  relays: () => import('./relays.js'),
  channels: () => import('./channels.js'),
  playlists: () => import('./playlists.js'),
};
const FRESH = 2000; // ms in which somebody may click who waited for the page
const loaded = new Map();

function load(name) {
  if (!loaded.has(name)) {
    const loading = VIEWS[name]().then((view) => (view.start(), view));
    loaded.set(name, loading);
    loading.catch(() => loaded.delete(name)); // the next click tries again
  }
  return loaded.get(name);
}

async function show() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : 'live';
  for (const each of Object.keys(VIEWS)) $(each).hidden = each !== name;
  for (const link of $('nav').children) {
    if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = name === 'live' ? 'fastrelay' : `${name} · fastrelay`;
  $('refusal').hidden = true;
  try {
    await (await load(name)).show?.();
  } catch (error) {
    refuse(name, error);
  }
}

// In place of the view: an empty list would be no answer.
function refuse(name, { status, message }) {
  if ($(name).hidden) return; // another view is shown by now
  $(name).hidden = true;
  $('refusal').hidden = false;
  setText($('refused'), status === 401 ? 'This server shows and changes these with its admin token only.' : message);
  setText($('again'), status === 401 ? 'Give the token' : 'Try again');
}

function showToken() {
  setText($('sign'), token() ? 'Signed in' : 'Token');
}

async function later() {
  await streams.told;
  for (const name of Object.keys(VIEWS)) load(name).catch(() => {});
  (await import('./plots.js')).start();
  setTimeout(() => document.body.classList.remove('fresh'), FRESH);
}

// Followed as a link it would be the address of another view.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  $('view').focus();
});
$('list').addEventListener('click', shareList);
$('sign').addEventListener('click', () => askToken());
$('again').addEventListener('click', show);
addEventListener('hashchange', show);
onToken(() => {
  showToken();
  if (!$('refusal').hidden) show();
});
streams.onChange(() => {
  const refused = $('refusal').hidden ? null : $('refused').textContent;
  if (refused === UNREACHABLE && streams.state.connection === 'live') show();
});
let manager = false;
streams.onChange(() => {
  // Only for the names. Who may not ask does not: a refusal would stand in the browser's console as an error.
  if (streams.state.manager && !manager) loadRelays({ quiet: true }).then(streams.changed, () => {});
  manager = streams.state.manager;
});
showToken();
load('live');
streams.start();
show();
later();
