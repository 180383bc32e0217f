// What runs now: totals, and a card per stream.
import { api } from './api.js';
import { $, button, dialog, el, reconcile, setText } from './dom.js';
import { bitrate, bytes, clock, duration, forPeople } from './format.js';
import { nameOf, sourcesOf } from './names.js';
import { shareStream } from './share.js';
import { onChange, running, state } from './streams.js';

const EVENTS_SHOWN = 3;
const CONNECTIONS = { live: 'live', waiting: 'waiting', paused: 'paused' };
const TOTALS = {
  Streams: (all) => String(all.length),
  Viewers: (all) => String(sum(all, 'clients')),
  In: (all) => bitrate(all.length ? (state.samples.at(-1)?.[3] ?? 0) : 0),
  Out: (all) => bitrate(all.length ? (state.samples.at(-1)?.[4] ?? 0) : 0),
};
const FIGURES = {
  Viewers: (s) => `${s.clients_ts} TS · ${s.clients_hls} HLS`,
  Bitrate: (s) => bitrate(s.bitrate),
  Uptime: (s) => duration(s.uptime_seconds),
  Source: (s) => `${s.source_index + 1}${sourcesOf(s.id) ? ` of ${sourcesOf(s.id).length}` : ''}`,
  Switches: (s) => String(s.switches),
  Dropped: (s) => `${s.dropped_slow} slow`,
  Delivered: (s) => bytes(s.bytes_streamed),
  Memory: (s) => bytes(s.ring_bytes + s.hls_bytes),
};

const sum = (all, key) => all.reduce((total, status) => total + status[key], 0);

// The name and value of each figure, as a list whose values `update` sets.
function figures(table) {
  const values = Object.keys(table).map(() => el('dd'));
  const element = Object.keys(table).map((name, index) => el('div', {}, el('dt', {}, name), values[index]));
  return { element, update: (subject) => Object.values(table).forEach((read, index) => setText(values[index], read(subject))) };
}

export function start() {
  const totals = figures(TOTALS);
  $('totals').append(...totals.element);
  onChange(() => {
    const all = [...state.streams.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    setText($('connection'), CONNECTIONS[state.connection]);
    $('connection').dataset.state = state.connection;
    totals.update(running());
    reconcile($('streams'), all, (status) => status.id, card);
    $('streams-empty').hidden = all.length > 0 || state.connection !== 'live';
    setText($('streams-empty'), 'Nothing runs: a stream starts when somebody watches it. Add a relay under Relays, or import a list under Playlists, and press Play.');
  });
}

function card({ id }) {
  const title = el('h2', { dir: 'auto' });
  const badge = el('span', { class: 'badge' });
  const sources = el('ol', { class: 'sources' });
  const list = figures(FIGURES);
  const events = el('ol', { class: 'events' });
  const post = (what) => button(what === 'stop' ? 'Stop' : 'Switch source', () => api(`/api/streams/${encodeURIComponent(id)}/${what}`, { method: 'POST' }));
  const made = el(
    'article',
    { class: 'card', 'data-stream': id },
    el('header', {}, title, el('code', {}, id), badge),
    el('dl', { class: 'figures' }, ...list.element),
    sources,
    events,
    el(
      'div',
      { class: 'actions' },
      el('button', { type: 'button', class: 'primary', onclick: async () => (await import('./play.js')).play(id) }, 'Play'),
      el('button', { type: 'button', onclick: () => shareStream(id, title.textContent) }, 'Addresses'),
      button('Viewers', () => showViewers(id, title.textContent)),
      post('switch'),
      post('stop'),
    ),
  );
  let last = null;
  made.update = (status) => {
    last = status;
    setText(title, nameOf(id, () => made.update(last)));
    setText(badge, status.state);
    badge.dataset.state = status.state;
    showSources(sources, status);
    list.update(status);
    reconcile(events, status.events.slice(-EVENTS_SHOWN).reverse(), (event) => `${event.at} ${event.event} ${event.detail}`, eventLine);
  };
  return made;
}

// All sources in their order where we may know them, else the one in use.
function showSources(list, { id, source_index: current, source_url: url }) {
  const all = sourcesOf(id) ?? [url];
  const used = all.length > 1 ? current : 0;
  const shown = `${used} ${all.join('\n')}`;
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...all.map((each, index) => el('li', { 'aria-current': index === used }, each)));
}

function eventLine({ at, event, detail }) {
  const made = el('li', {}, el('time', { datetime: at }, clock(at)), el('b', {}, event), el('span', { title: forPeople(detail) }, forPeople(detail)));
  made.update = () => {};
  return made;
}

async function showViewers(id, name) {
  const { clients } = await api(`/api/streams/${encodeURIComponent(id)}/clients`);
  const row = (tag, cells) => el('tr', {}, ...cells.map((cell) => el(tag, {}, cell)));
  const rows = clients.map((one) => row('td', [one.kind.toUpperCase(), one.address, duration(one.seconds), bytes(one.bytes), `${one.lag_seconds.toFixed(1)} s`, one.user_agent]));
  const head = row('th', ['Kind', 'Address', 'For', 'Got', 'Lag', 'Player']);
  const table = el('div', { class: 'scroll', tabindex: '0' }, el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows)));
  const shown = clients.length ? table : el('p', { class: 'empty' }, 'Nobody watches now.');
  dialog(`Viewers of ${name}`, [shown]).classList.toggle('wide', clients.length > 0);
}
