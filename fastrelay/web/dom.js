// Elements without markup: whatever comes from a list or a stream is text, never HTML.

// el('button', { class: 'x', onclick: f, 'aria-label': 'Stop' }, 'text', child, …); null children are left out.
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, name.startsWith('aria-') ? 'true' : '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Touches the page only where something has changed, so that nothing flickers and selections stay.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes the children of `parent` the rows of `items`, in order: kept by key, made by `create(item)` (an element with
// a method `update`), brought up to date by `element.update(item)`.
export function reconcile(parent, items, keyOf, create) {
  const rows = (parent.rows ??= new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, row] of rows) {
    if (!wanted.has(key)) {
      row.remove();
      rows.delete(key);
    }
  }
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (!rows.has(key)) rows.set(key, create(item));
    const row = rows.get(key);
    row.update(item);
    if (row === before) before = before.nextElementSibling;
    else parent.insertBefore(row, before);
  }
}

export const $ = (id) => document.getElementById(id);

const POLITE = 6000; // ms a message stays

// Says something in the corner, and to screen readers.
export function say(text, kind = 'info') {
  const note = el('p', { class: `note ${kind}` }, text);
  $('notes').append(note);
  // Shown again, it comes to lie above a dialog that was opened meanwhile.
  $('notes').hidePopover();
  $('notes').showPopover();
  setTimeout(() => note.remove(), POLITE);
}

// A button that cannot be pressed twice while its work is under way, and that tells what went wrong.
export function button(label, work, props = {}) {
  const made = el('button', { type: 'button', ...props }, label);
  made.addEventListener('click', async () => {
    made.disabled = true;
    try {
      await work();
    } catch (error) {
      say(error.message, 'error');
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

// A modal dialog; the browser keeps the focus in it and closes it on Escape. `closed` is called in the end.
export function dialog(title, children, closed = () => {}) {
  const close = el('button', { type: 'button', class: 'quiet close', 'aria-label': 'Close' }, '✕');
  const made = el('dialog', { 'aria-label': title }, el('header', {}, el('h2', {}, title), close), ...children);
  close.addEventListener('click', () => made.close());
  made.addEventListener('close', () => {
    made.remove();
    closed();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

// Asks before something that cannot be undone.
export function confirmed(question, verb) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = el('button', { type: 'button', class: 'danger' }, verb);
    const no = el('button', { type: 'button' }, 'Cancel');
    const made = dialog(question, [el('div', { class: 'actions' }, no, yes)], () => resolve(answer));
    no.addEventListener('click', () => made.close());
    yes.addEventListener('click', () => {
      answer = true;
      made.close();
    });
  });
}
