// Plays a stream in a dialog of the dashboard.
import { dialog, el } from './dom.js';
import { nameOf } from './names.js';
import { Player } from './player.js';
import { watchPath } from './share.js';

// What it showed is left when the dialog is closed.
export function play(id) {
  const player = new Player(id);
  const page = el('a', { href: watchPath(id) + location.search, target: '_blank', rel: 'noopener' }, 'Open the player page');
  dialog(nameOf(id, () => {}), [player.element, el('p', { class: 'hint' }, page)], () => player.destroy()).classList.add('wide');
}
