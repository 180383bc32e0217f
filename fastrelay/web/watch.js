// The player page: /watch/{id}, and with ?embed nothing but the video, for a frame in another page.
import { $, el } from './dom.js';
import { Player } from './player.js';
import { shareStream } from './share.js';

const id = decodeURIComponent(location.pathname.split('/')[2]);
document.title = `${id} · fastrelay`;
if (new URLSearchParams(location.search).has('embed')) document.body.classList.add('embed');
$('name').textContent = id;
$('share').append(el('button', { type: 'button', onclick: () => shareStream(id, id) }, 'Addresses'));
const player = new Player(id);
$('stage').append(player.element);
addEventListener('pagehide', () => player.destroy());
addEventListener('pageshow', (event) => event.persisted && location.reload());
