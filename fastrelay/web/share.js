// The addresses of streams and lists: to copy, and as a QR code for what has no keyboard.
import { dialog, el, say } from './dom.js';

// What lets a viewer in stands in the page's own address; it goes on to every address made here.
const CARRIED = ['token', 'expires', 'signature'];

export function carried(search = location.search) {
  const given = new URLSearchParams(search);
  const kept = new URLSearchParams(CARRIED.filter((name) => given.has(name)).map((name) => [name, given.get(name)]));
  return kept.size ? `?${kept}` : '';
}

// What is passed through of a channel has an id of its own; to those who watch it is the same channel.
export const watchedId = (id) => (id.startsWith('channel:') ? id.replace(/\/hls$/, '') : id);

const channelOf = (id) => (id.startsWith('channel:') ? watchedId(id).slice('channel:'.length) : null);

// Paths of a stream by its id, without what lets a viewer in. A channel's own HLS is passed through, where its source is
// HLS; `cut` is what the server makes of any.
export function paths(id) {
  const channel = channelOf(id);
  if (channel !== null) return { ts: `/api/proxy/channel/${channel}`, hls: `/api/proxy/channel/${channel}/hls`, cut: `/stream/channel:${channel}/hls` };
  return { ts: `/stream/${encodeURIComponent(id)}`, hls: `/stream/${encodeURIComponent(id)}/hls` };
}

export const watchPath = (id) => `/watch/${encodeURIComponent(watchedId(id)).replace('%3A', ':')}`;

const absolute = (path) => `${location.origin}${path}${carried()}`;

export function copyButton(text, label = 'Copy', what = label) {
  const made = el('button', { type: 'button', 'aria-label': `Copy ${what}` }, label);
  made.addEventListener('click', async () => say((await copy(text)) ? `Copied ${text}` : 'This browser does not let pages copy.'));
  return made;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS a browser has no clipboard for pages, but still the old command.
    const field = el('textarea', { class: 'offscreen', 'aria-hidden': 'true' });
    field.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

function line(label, text) {
  const field = el('input', { readonly: true, value: text, 'aria-label': label, onfocus: () => field.select() });
  return el('div', { class: 'address' }, el('span', { class: 'label' }, label), field, copyButton(text, 'Copy', label));
}

export function shareStream(id, name) {
  const { ts, hls, cut } = paths(id);
  const frame = `<iframe src="${absolute(watchPath(id))}${carried() ? '&' : '?'}embed" width="640" height="360" allow="autoplay; fullscreen"></iframe>`;
  dialog(`Addresses of ${name}`, [
    line('MPEG-TS', absolute(ts)),
    line(cut ? 'HLS as its source sends it' : 'HLS', absolute(hls)),
    cut ? line('HLS cut here', absolute(cut)) : null,
    line('Player page', absolute(watchPath(id))),
    line('To embed', frame),
  ]);
}

// The M3U list of everything, with its QR code.
export async function shareList() {
  const list = (type) => `${location.origin}/playlist.m3u?${new URLSearchParams([['type', type], ...new URLSearchParams(carried())])}`;
  const code = el('div', { class: 'qr' });
  const local = /^(localhost|127\.|\[::1\])/.test(location.hostname);
  dialog('M3U list for players', [
    line('MPEG-TS', list('ts')),
    line('HLS', list('hls')),
    code,
    el(
      'p',
      { class: 'hint' },
      local
        ? 'The code names this machine itself. Open the dashboard by its network name for one that a phone or a TV can use.'
        : 'Scan it with the phone or TV that is to play the list (MPEG-TS).',
    ),
  ]);
  try {
    code.append(drawn((await import('/web/vendor/qr.js')).encode(list('ts'), { ecc: 'M', border: 4 })));
  } catch {
    code.append(el('p', { class: 'hint' }, 'The QR code needs uqr, which is not installed.'));
  }
}

// Dark on white in every theme, or no camera reads it.
function drawn({ data, size }) {
  const scale = Math.max(3, Math.floor(260 / size));
  const canvas = el('canvas', { width: size * scale, height: size * scale, role: 'img', 'aria-label': 'QR code of the M3U list' });
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#000';
  data.forEach((row, y) => row.forEach((dark, x) => dark && context.fillRect(x * scale, y * scale, scale, scale)));
  return canvas;
}
