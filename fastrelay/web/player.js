// A video with what a viewer wants to know of it. Used by the player page and by the dashboard.
import { el, setText } from './dom.js';
import { MissingPlayer, playHls, playTs } from './engines.js';
import { bitrate, forPeople } from './format.js';
import { carried, paths } from './share.js';

const LOOK = 500; // ms between two looks at the figures
const STUCK = 10_000; // ms; longer than a switch to another source takes
const WANTED = 'Watching this needs a token or a signed address: open this page with ?token=… behind its address.';

// The player of one stream; `element` goes into a page, `destroy` ends it.
export class Player {
  constructor(id) {
    this.urls = Object.fromEntries(Object.entries(paths(id)).map(([mode, path]) => [mode, path + carried()]));
    this.isChannel = id.startsWith('channel:');
    this.video = el('video', { autoplay: true, playsinline: true, controls: true, 'aria-label': `Video of ${id}` });
    this.video.muted = true;
    this.message = el('p', { class: 'message', role: 'alert', hidden: true });
    this.unmute = el('button', { type: 'button', class: 'unmute', onclick: () => this.sound() }, 'Unmute');
    this.video.addEventListener('volumechange', () => (this.unmute.hidden = !this.video.muted));
    this.video.addEventListener('playing', () => this.tell(''));
    this.figures = Object.fromEntries(['behind', 'buffer', 'bitrate', 'player'].map((name) => [name, el('dd', {}, '–')]));
    const labels = { behind: 'Behind live', buffer: 'Buffer', bitrate: 'Bitrate', player: 'Player' };
    const list = Object.entries(this.figures).map(([name, value]) => el('div', {}, el('dt', {}, labels[name]), value));
    this.modes = el('div', { class: 'modes', role: 'group', 'aria-label': 'Transport' }, ...['hls', 'ts'].map((mode) => this.modeButton(mode)));
    this.element = el(
      'div',
      { class: 'player' },
      el('div', { class: 'screen' }, this.video, this.message, this.unmute),
      el('div', { class: 'bar' }, el('dl', { class: 'figures' }, ...list), this.modes),
    );
    this.looking = setInterval(() => this.look(), LOOK);
    this.play('hls');
  }

  modeButton(mode) {
    return el('button', { type: 'button', 'data-mode': mode, onclick: () => this.play(mode) }, mode === 'hls' ? 'HLS' : 'MPEG-TS');
  }

  async play(mode) {
    this.stop();
    const mine = (this.playing = {});
    this.mode = mode;
    for (const each of this.modes.children) each.setAttribute('aria-pressed', String(each.dataset.mode === mode));
    this.tell('Starting …');
    const tell = {
      note: (text) => this.tell(text),
      failed: (text, again, status) => mine === this.playing && this.failed(text, again, status),
    };
    try {
      const engine = await (mode === 'hls' ? playHls : playTs)(this.video, this.urls[mode], tell);
      if (mine !== this.playing) engine.destroy();
      else this.engine = engine;
    } catch (error) {
      const { cut } = this.urls;
      if (mode === 'ts' && error instanceof MissingPlayer && cut && this.urls.hls !== cut) {
        // A phone that plays no MPEG-TS: the server cuts HLS of any channel, if a little later.
        this.urls.hls = cut;
        if (mine === this.playing) this.play('hls');
        return;
      }
      tell.failed(error.message, null);
    }
    this.video.play().catch(() => {}); // a browser may want a gesture first: the controls are there
  }

  failed(text, again, status) {
    // There is HLS to pass through only where the source is HLS; as MPEG-TS every channel plays, and at once.
    if (this.isChannel && this.mode === 'hls' && status === 409) {
      this.play('ts');
      return;
    }
    this.stop();
    const said = status === 401 ? WANTED : forPeople(text).replace(/[^.!?…]$/, '$&.');
    this.tell(again === null ? said : `${said} Trying again …`);
    if (again !== null) this.retry = setTimeout(() => this.play(this.mode), 1000 * again);
  }

  tell(text) {
    setText(this.message, text);
    this.message.hidden = !text;
  }

  sound() {
    this.video.muted = false;
    this.video.play().catch(() => {});
  }

  // A player may wait for ever without an error, such as hls.js across a restart of the server; it may go on seeking.
  watchPicture() {
    const { paused, currentTime, readyState, HAVE_FUTURE_DATA } = this.video;
    const moves = currentTime !== this.at && readyState >= HAVE_FUTURE_DATA;
    this.at = currentTime;
    if (paused || moves) this.moved = Date.now();
    this.played ||= moves;
    if (this.played && Date.now() - this.moved > STUCK) this.failed('The picture stands still.', 1);
  }

  look() {
    this.watchPicture();
    const { latency = null, bitrate: bits = null } = this.engine?.stats() ?? {};
    const { buffered, currentTime } = this.video;
    const ahead = buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : null;
    const seconds = (value) => (value === null ? '–' : `${value.toFixed(1)} s`);
    setText(this.figures.behind, seconds(latency));
    setText(this.figures.buffer, seconds(ahead));
    setText(this.figures.bitrate, bits ? bitrate(bits) : '–');
    setText(this.figures.player, this.engine?.name ?? '–');
  }

  stop() {
    clearTimeout(this.retry);
    this.playing = null;
    this.played = false;
    this.engine?.destroy();
    this.engine = null;
  }

  destroy() {
    this.stop();
    clearInterval(this.looking);
  }
}
