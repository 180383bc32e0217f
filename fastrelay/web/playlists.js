// M3U lists: imported from an address or a dropped file, refreshed, removed.
import { api, upload } from './api.js';
import { $, button, confirmed, el, reconcile, say, setText } from './dom.js';
import { count, moment } from './format.js';

const TYPES = { gz: 'application/gzip' };
const TYPE = 'audio/x-mpegurl';
const REJECTIONS_SHOWN = 20;

export function start() {
  const name = el('input', { id: 'list-name', required: true, maxlength: 200, placeholder: 'Provider' });
  const url = el('input', { id: 'list-url', type: 'url', required: true, placeholder: 'http://provider.example/list.m3u' });
  const submit = el('button', { class: 'primary' }, 'Import');
  const form = el('form', { class: 'inline' }, labelled('Name', name), labelled('Address of the list', url), submit);
  const file = el('input', { type: 'file', accept: '.m3u,.m3u8,.gz', class: 'offscreen', id: 'list-file', tabindex: '-1' });
  const pick = el('button', { type: 'button', onclick: () => file.click() }, 'choose one');
  const drop = el('div', { class: 'drop' }, el('p', {}, 'Drop an M3U file here, or ', pick), file);
  const bar = el('progress', { max: '1', 'aria-label': 'Import', hidden: true });
  const told = el('p', { class: 'told', role: 'status', 'aria-live': 'polite' });
  const ui = { bar, told, busy: false };
  $('playlists-import').append(form, drop, bar, told);
  setText($('playlists-empty'), 'No lists yet. Import one from its address, or drop a file.');

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    work(ui, name.value, () => api('/api/playlists', { method: 'POST', json: { name: name.value, url: url.value } }));
  });
  file.addEventListener('change', () => {
    if (file.files[0]) importFile(ui, file.files[0]);
    file.value = ''; // or the same file could not be chosen once more
  });
  drop.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    if (event.dataTransfer.files[0]) importFile(ui, event.dataTransfer.files[0]);
  });
}

const labelled = (text, input) => el('label', {}, text, input);

function importFile(ui, file) {
  const name = file.name.replace(/(\.m3u8?)?(\.gz)?$/i, '') || file.name;
  const type = TYPES[file.name.split('.').pop().toLowerCase()] ?? TYPE;
  return work(ui, name, () =>
    upload(`/api/playlists?${new URLSearchParams({ name })}`, file, type, (fraction) => {
      if (fraction < 1) {
        ui.bar.value = fraction;
        setText(ui.told, `Uploading ${file.name}: ${Math.round(100 * fraction)} %`);
      } else {
        importing(ui, name);
      }
    }),
  );
}

// It is sent; how far the server has read it nobody knows.
function importing({ bar, told }, name) {
  bar.removeAttribute('value');
  told.classList.remove('error');
  setText(told, `Importing ${name} …`);
}

async function work(ui, name, send) {
  if (ui.busy) return;
  ui.busy = true;
  ui.bar.hidden = false;
  importing(ui, name);
  try {
    setText(ui.told, `${name}: ${summary(await send())}`);
    await show();
  } catch (error) {
    // It stays to be read: what is wrong with a list takes longer than a note is shown.
    ui.told.classList.add('error');
    setText(ui.told, `${name}: ${error.message}`);
  } finally {
    ui.bar.hidden = true;
    ui.busy = false;
  }
}

const summary = (list) => ['added', 'updated', 'unchanged', 'removed', 'rejected'].map((key) => `${list[key].toLocaleString('en')} ${key}`).join(', ');

export async function show() {
  const { playlists } = await api('/api/playlists');
  reconcile($('playlists-list'), playlists, (list) => list.id, line);
  $('playlists-empty').hidden = playlists.length > 0;
}

function line(list) {
  const name = el('b', { dir: 'auto' });
  const about = el('span', { class: 'about' });
  const failure = el('p', { class: 'error' });
  const rejected = el('details', { hidden: true }, el('summary'), el('ul'));
  const refresh = button('Refresh', async () => {
    say(`${list.name}: ${summary(await api(`/api/playlists/${list.id}/refresh`, { method: 'POST' }))}`);
    await show();
  });
  const made = el('li', {}, el('div', {}, el('div', { class: 'what' }, name, about), failure, rejected), el('div', { class: 'actions' }, refresh, button('Delete', () => remove(list))));
  made.update = (now) => {
    setText(name, now.name);
    setText(about, [count(now.channels, 'channel'), `imported ${moment(now.imported_at)}`, now.origin === 'config' ? 'from the config' : ''].filter(Boolean).join(' · '));
    setText(failure, now.failure ? `The last import failed: ${now.failure}` : '');
    refresh.hidden = now.url === null;
    showRejected(rejected, now);
  };
  return made;
}

function showRejected(box, { rejected, rejections }) {
  box.hidden = !rejected;
  setText(box.firstChild, `${count(rejected, 'entry', 'entries')} could not be read`);
  box.lastChild.replaceChildren(...rejections.slice(0, REJECTIONS_SHOWN).map(({ line: at, reason }) => el('li', {}, `line ${at}: ${reason}`)));
}

async function remove(list) {
  if (!(await confirmed(`Delete the list ${list.name} and its channels?`, 'Delete'))) return;
  await api(`/api/playlists/${list.id}`, { method: 'DELETE' });
  await show();
}
