// Relays: listed, added, changed, removed.
import { api } from './api.js';
import { $, button, confirmed, dialog, el, reconcile, say, setText } from './dom.js';
import { loadRelays } from './names.js';
import { play } from './play.js';
import { shareStream } from './share.js';
import { onChange, state } from './streams.js';

export function start() {
  $('relays-tools').append(el('button', { type: 'button', class: 'primary', onclick: () => edit(null) }, 'Add relay'));
  setText($('relays-empty'), 'No relays yet. A relay gives a stream a name and a list of sources, tried in order. Add one, or make one of a channel.');
  onChange(() => {
    for (const row of $('relays-list').rows?.values() ?? []) row.showState();
  });
}

export async function show() {
  const relays = await loadRelays();
  reconcile($('relays-list'), relays, (relay) => relay.id, line);
  $('relays-empty').hidden = relays.length > 0;
}

function line(relay) {
  const name = el('b', { dir: 'auto' });
  const path = el('code');
  const sources = el('ol', { class: 'sources' });
  const badge = el('span', { class: 'badge' });
  let now = relay;
  const made = el(
    'li',
    {},
    el('div', {}, el('div', { class: 'what' }, name, path, badge), sources),
    el(
      'div',
      { class: 'actions' },
      el('button', { type: 'button', class: 'primary', onclick: () => play(now.output_path) }, 'Play'),
      el('button', { type: 'button', onclick: () => shareStream(now.output_path, now.name) }, 'Addresses'),
      el('button', { type: 'button', onclick: () => edit(now) }, 'Edit'),
      button('Delete', () => remove(now)),
    ),
  );
  made.showState = () => {
    const status = state.streams.get(now.output_path);
    const text = status?.active ? `${status.state} · source ${status.source_index + 1}` : 'idle';
    setText(badge, text);
    badge.dataset.state = status?.state ?? 'idle';
  };
  made.update = (changed) => {
    now = changed;
    setText(name, now.name);
    setText(path, `/stream/${now.output_path}`);
    if (sources.dataset.urls !== now.source_urls.join('\n')) {
      sources.dataset.urls = now.source_urls.join('\n');
      sources.replaceChildren(...now.source_urls.map((url) => el('li', {}, url)));
    }
    made.showState();
  };
  return made;
}

async function remove(relay) {
  if (!(await confirmed(`Delete the relay ${relay.name}? Its viewers are ended.`, 'Delete'))) return;
  await api(`/api/relays/${relay.id}`, { method: 'DELETE' });
  say(`${relay.name} is deleted.`);
  await show();
}

// Letters that a path may have; the server has the last word.
const pathOf = (name) => name.normalize('NFKD').replace(/[^\w]+/g, '-').replace(/^-+|-+$/g, '').toLowerCase().slice(0, 60);

function field(id, label, input, hint) {
  const error = el('p', { class: 'error', id: `${id}-error`, role: 'alert' });
  input.id = id;
  input.setAttribute('aria-describedby', error.id);
  return { input, error, element: el('div', { class: 'field' }, el('label', { for: id }, label), input, el('p', { class: 'hint' }, hint), error) };
}

function edit(relay) {
  const name = field('relay-name', 'Name', el('input', { required: true, maxlength: 200, value: relay?.name ?? '' }), 'As players show it.');
  const path = field('relay-path', 'Path', el('input', { required: true, pattern: '[A-Za-z0-9_\\-]{1,64}', value: relay?.output_path ?? '' }), 'Letters, digits, - and _: the stream is at /stream/PATH.');
  const sources = field('relay-sources', 'Sources, one a line', el('textarea', { required: true, rows: 4, spellcheck: 'false' }), 'http(s)://, udp:// or rtp://, tried from the top.');
  sources.input.value = relay?.source_urls.join('\n') ?? '';
  let typed = Boolean(relay);
  path.input.addEventListener('input', () => (typed = true));
  name.input.addEventListener('input', () => typed || (path.input.value = pathOf(name.input.value)));
  const fields = { name, output_path: path, source_urls: sources };
  const general = el('p', { class: 'error', role: 'alert' });
  const save = el('button', { class: 'primary' }, relay ? 'Save' : 'Add');
  const form = el('form', {}, name.element, path.element, sources.element, general, el('div', { class: 'actions' }, save));
  const made = dialog(relay ? `Edit ${relay.name}` : 'Add a relay', [form]);
  name.input.focus();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    save.disabled = true;
    for (const { error } of [...Object.values(fields), { error: general }]) error.textContent = '';
    const urls = sources.input.value.split('\n').map((url) => url.trim()).filter(Boolean);
    const json = { name: name.input.value, output_path: path.input.value, source_urls: urls };
    try {
      await api(relay ? `/api/relays/${relay.id}` : '/api/relays', { method: relay ? 'PUT' : 'POST', json });
      made.close();
      say(`${json.name} is saved.`);
      await show();
    } catch (error) {
      const wrong = fields[error.field?.replace(/\[.*/, '')] ?? (error.code === 'path_taken' ? path : null);
      (wrong?.error ?? general).textContent = error.message;
      wrong?.input.focus();
    } finally {
      save.disabled = false;
    }
  });
}
