// The management API. The admin token is asked for when the server wants one, and kept in this tab only.
import { dialog, el } from './dom.js';

export const UNREACHABLE = 'The server cannot be reached.';
const KEY = 'fastrelay.admin_token';

export class ApiError extends Error {
  constructor(status, { code, message, field }) {
    super(message);
    Object.assign(this, { status, code, field });
  }
}

const listeners = new Set();
export const onToken = (listener) => listeners.add(listener);
export const token = () => sessionStorage.getItem(KEY);

export function setToken(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  for (const listener of listeners) listener();
}

export function authorization() {
  return token() ? { Authorization: `Bearer ${token()}` } : {};
}

// The error that an answer is; the server's own words where it has any (a proxy in between may not).
export async function errorOf(response) {
  const fallback = { code: 'unknown', message: `The server answered ${response.status}.` };
  const body = await response.json().catch(() => null);
  return new ApiError(response.status, { ...fallback, ...body?.error });
}

// Sends `json` (or `body` with its own `type`); returns the answer's JSON, null where there is none. `quiet` asks
// nobody for the token. Throws ApiError.
export async function api(path, { method = 'GET', json, body, type, quiet = false } = {}) {
  for (;;) {
    const used = token();
    const headers = { ...authorization() };
    if (json !== undefined) headers['Content-Type'] = 'application/json';
    else if (type) headers['Content-Type'] = type;
    const response = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json) }).catch(() => {
      throw new Error(UNREACHABLE); // in a browser's own words it is "Failed to fetch"
    });
    if (response.ok) return response.status === 204 ? null : response.json();
    const error = await errorOf(response);
    if (error.status !== 401 || quiet || !(await askToken(used !== null && used === token()))) throw error;
  }
}

// As `api`, for a file, with `progress(fraction)` as it goes up: fetch cannot tell that.
export async function upload(path, file, type, progress) {
  // Asked with something small first: a refusal in the middle of an upload is a broken connection to the browser.
  await api('/api/playlists');
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    request.responseType = 'json';
    for (const [name, value] of Object.entries({ ...authorization(), 'Content-Type': type })) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => reject(new Error('The connection broke off.'));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new ApiError(request.status, { message: `The server answered ${request.status}.`, ...request.response?.error }));
    };
    request.send(file);
  });
}

let asking = null;

// One dialog however many requests need the token. Whether there is a new one.
export function askToken(wrong = false) {
  asking ??= new Promise((resolve) => {
    let given = false;
    const input = el('input', { id: 'token', type: 'password', autocomplete: 'off', required: true });
    const forget = el('button', { type: 'button' }, 'Forget it');
    const form = el(
      'form',
      { method: 'dialog' },
      wrong ? el('p', { class: 'error', role: 'alert' }, 'That was not the right token.') : null,
      el(
        'div',
        { class: 'field' },
        el('label', { for: 'token' }, 'auth.admin_token of this server'),
        input,
        el('p', { class: 'hint' }, 'It is kept in this tab until you close it.'),
      ),
      el('div', { class: 'actions' }, token() ? forget : null, el('button', { class: 'primary' }, 'Use')),
    );
    form.addEventListener('submit', () => {
      given = true;
      setToken(input.value.trim());
    });
    const made = dialog('Admin token', [form], () => {
      asking = null;
      resolve(given);
    });
    forget.addEventListener('click', () => {
      made.close();
      setToken(null);
      location.reload(); // what it has shown goes with it
    });
    input.focus();
  });
  return asking;
}
