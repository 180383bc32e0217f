// The dashboard: four views, chosen by the address' fragment, above one live connection.
import { askToken, onToken, token } from './api.js';
import * as channels from './channels.js';
import { $, say, setText } from './dom.js';
import * as live from './live.js';
import { loadRelays } from './names.js';
import * as playlists from './playlists.js';
import * as plots from './plots.js';
import * as relays from './relays.js';
import { shareList } from './share.js';
import * as streams from './streams.js';

const VIEWS = { live: {}, relays, channels, playlists };

async function show() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : 'live';
  for (const each of Object.keys(VIEWS)) $(each).hidden = each !== name;
  for (const link of $('nav').children) {
    if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = name === 'live' ? 'fastrelay' : `${name} · fastrelay`;
  try {
    await VIEWS[name].show?.();
  } catch (error) {
    say(error.message, 'error');
  }
}

function showToken() {
  setText($('sign'), token() ? 'Signed in' : 'Token');
}

for (const part of [live, relays, channels, playlists]) part.start();
$('list').addEventListener('click', shareList);
$('sign').addEventListener('click', () => askToken());
addEventListener('hashchange', show);
onToken(() => {
  showToken();
  loadRelays({ quiet: true }).catch(() => {}); // only for the names
});
showToken();
streams.start();
show();
plots.start();
loadRelays({ quiet: true }).catch(() => {});
