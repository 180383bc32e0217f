// Channels of all lists: searched, filtered, a page at a time however many there are.
import { api } from './api.js';
import { $, button, el, reconcile, say, setText } from './dom.js';
import { count } from './format.js';
import { loadRelays, rememberChannel } from './names.js';
import { play } from './play.js';
import { shareStream } from './share.js';

const PAGE = 50;
const PAUSE = 200; // ms after the last key before it is searched
const view = { search: '', group: null, offset: 0, asked: 0 };
const search = el('input', { type: 'search', id: 'search', placeholder: 'Search channels', 'aria-label': 'Search channels' });
const group = el('select', { 'aria-label': 'Group' });

export function start() {
  let timer = 0;
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => go({ search: search.value.trim() }), PAUSE);
  });
  group.addEventListener('change', () => go({ group: group.selectedIndex ? group.value : null }));
  $('channels-filter').append(search, group);
}

export async function show() {
  await Promise.all([loadGroups(), load()]);
}

function go(changes) {
  Object.assign(view, { offset: 0 }, changes);
  load().catch((error) => say(error.message, 'error'));
}

async function loadGroups() {
  const { groups } = await api('/api/channels/groups');
  const option = (value, text) => el('option', { value, selected: value === view.group }, text);
  group.replaceChildren(el('option', {}, 'All groups'), ...groups.map(({ name, channels }) => option(name, `${name || 'No group'} (${channels})`)));
}

async function load() {
  const asked = (view.asked += 1);
  const query = new URLSearchParams({ search: view.search, offset: view.offset, limit: PAGE });
  if (view.group !== null) query.set('group', view.group);
  const { total, channels } = await api(`/api/channels?${query}`);
  if (asked !== view.asked) return; // a newer answer is on its way
  channels.forEach(rememberChannel);
  reconcile($('channels-list'), channels, (channel) => channel.id, line);
  setText($('channels-total'), count(total, 'channel'));
  const filtered = view.search || view.group !== null;
  $('channels-empty').hidden = total > 0;
  setText($('channels-empty'), filtered ? 'No channel matches.' : 'No channels yet. Import an M3U list under Playlists.');
  $('channels-filter').hidden = !total && !filtered;
  pages(total, channels.length);
}

function pages(total, shown) {
  const turn = (label, offset, possible) => {
    const made = el('button', { type: 'button', onclick: () => go({ offset }) }, label);
    made.disabled = !possible;
    return made;
  };
  const { offset } = view;
  const focused = [...$('channels-pages').children].indexOf(document.activeElement);
  $('channels-pages').hidden = total <= PAGE;
  $('channels-pages').replaceChildren(
    turn('Previous', Math.max(0, offset - PAGE), offset > 0),
    el('span', {}, `${(offset + 1).toLocaleString('en')}–${(offset + shown).toLocaleString('en')} of ${total.toLocaleString('en')}`),
    turn('Next', offset + PAGE, offset + PAGE < total),
  );
  if (focused >= 0) $('channels-pages').children[focused].focus();
}

function line(channel) {
  const id = `channel:${channel.id}`;
  const name = el('b', { dir: 'auto' });
  const about = el('span', { class: 'about' });
  const made = el(
    'li',
    {},
    el('div', { class: 'what' }, name, about),
    el(
      'div',
      { class: 'actions' },
      el('button', { type: 'button', class: 'primary', onclick: () => play(id) }, 'Play'),
      el('button', { type: 'button', onclick: () => shareStream(id, name.textContent) }, 'Addresses'),
      button('Make relay', () => makeRelay(channel)),
    ),
  );
  made.update = ({ name: called, group: of, playlist, source_urls: urls }) => {
    setText(name, called);
    setText(about, [of, playlist, urls.length > 1 ? count(urls.length, 'source') : ''].filter(Boolean).join(' · '));
  };
  return made;
}

async function makeRelay(channel) {
  const relay = await api(`/api/channels/${channel.id}/relay`, { method: 'POST' });
  say(`The relay ${relay.name} is at /stream/${relay.output_path}.`);
  await loadRelays({ quiet: true });
}
