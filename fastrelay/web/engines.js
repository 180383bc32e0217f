// Three ways to play: hls.js, the browser's own HLS, mpegts.js. Each engine says how it does through `tell`:
//   tell.failed(message, again)   it stopped; `again`: seconds until it is worth another try, or null
//   tell.note(message)            it goes on, but the viewer should know
// and has stats() → { latency, bitrate } (seconds, bits per second; null where unknown) and destroy().
import { authorization, errorOf, UNREACHABLE } from './api.js';

const WORKER = '/web/vendor/hls.worker.js';
const START_MAX = 40_000; // ms; the server answers within streams.start_timeout
const AGAIN = 3;
const FINAL = new Set([401, 403, 404, 409]); // asking once more brings the same answer

export class MissingPlayer extends Error {}

async function hlsJs() {
  try {
    return (await import('/web/vendor/hls.js')).default;
  } catch {
    return null;
  }
}

let mpegtsLoading = null;

// mpegts.js is no module: it leaves its name on the window.
function mpegtsJs() {
  mpegtsLoading ??= new Promise((resolve) => {
    const script = document.createElement('script');
    script.src = '/web/vendor/mpegts.js';
    script.onload = () => resolve(window.mpegts);
    script.onerror = () => resolve(null);
    document.head.append(script);
  });
  return mpegtsLoading;
}

export async function playHls(video, url, tell) {
  const Hls = await hlsJs();
  if (Hls?.isSupported()) return withHlsJs(Hls, video, url, tell);
  if (video.canPlayType('application/vnd.apple.mpegurl')) return natively(video, url, tell);
  throw new MissingPlayer(
    Hls ? 'This browser plays no HLS.' : 'hls.js is not installed on the server, and this browser plays no HLS by itself.',
  );
}

function withHlsJs(Hls, video, url, tell) {
  const start = { maxTimeToFirstByteMs: START_MAX, maxLoadTimeMs: START_MAX, timeoutRetry: null, errorRetry: null };
  // Who has signed in may watch as well.
  const xhrSetup = (request) => Object.entries(authorization()).forEach(([name, value]) => request.setRequestHeader(name, value));
  const hls = new Hls({ xhrSetup, workerPath: WORKER, backBufferLength: 30, manifestLoadPolicy: { default: start }, playlistLoadPolicy: {
    default: { ...start, timeoutRetry: { maxNumRetry: 2, retryDelayMs: 0, maxRetryDelayMs: 0 }, errorRetry: { maxNumRetry: 4, retryDelayMs: 1000, maxRetryDelayMs: 4000 } },
  } });
  let bitrate = null;
  hls.on(Hls.Events.FRAG_BUFFERED, (name, { frag, stats }) => {
    if (frag.duration) bitrate = (8 * stats.total) / frag.duration;
  });
  hls.on(Hls.Events.ERROR, (name, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && error.details !== Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      tell.note('The picture is being set up again.');
      hls.recoverMediaError();
    } else {
      const { message, status } = refusalOf(error);
      tell.failed(message, FINAL.has(status) ? null : AGAIN, status);
    }
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return { name: 'hls.js', stats: () => ({ latency: hls.latency || null, bitrate }), destroy: () => hls.destroy() };
}

// The server's own words, out of what hls.js knows of a failed request.
function refusalOf(error) {
  const status = error.response?.code ?? 0;
  try {
    return { status, message: JSON.parse(error.networkDetails.responseText).error.message };
  } catch {
    if (status) return { status, message: `The server answered ${status}.` };
    return { status, message: error.details === 'manifestLoadError' ? UNREACHABLE : `The player gave up: ${error.details}.` };
  }
}

function natively(video, url, tell) {
  const failed = () => explain(url, tell);
  video.addEventListener('error', failed);
  video.src = url;
  const destroy = () => {
    video.removeEventListener('error', failed);
    video.removeAttribute('src');
    video.load();
  };
  return { name: 'native HLS', stats: () => ({ latency: null, bitrate: null }), destroy };
}

export async function playTs(video, url, tell) {
  const mpegts = await mpegtsJs();
  if (!mpegts) throw new MissingPlayer('mpegts.js is not installed on the server: only HLS can be played here.');
  if (!mpegts.isSupported()) throw new MissingPlayer('This browser cannot play MPEG-TS.');
  mpegts.LoggingControl.enableAll = false;
  const player = mpegts.createPlayer({ type: 'mpegts', isLive: true, url: new URL(url, location.href).href }, { enableStashBuffer: false, headers: authorization() });
  let bitrate = null;
  player.on(mpegts.Events.STATISTICS_INFO, ({ speed }) => {
    bitrate = speed ? 8000 * speed : bitrate;
  });
  player.on(mpegts.Events.ERROR, () => explain(url, tell));
  player.on(mpegts.Events.LOADING_COMPLETE, () => tell.failed('The stream has ended.', AGAIN));
  player.attachMediaElement(video);
  player.load();
  return { name: 'mpegts.js', stats: () => ({ latency: null, bitrate }), destroy: () => player.destroy() };
}

// Players that hide the answer behind a failure: ask once more, for the server's words only.
async function explain(url, tell) {
  const asking = new AbortController();
  try {
    const response = await fetch(url, { headers: authorization(), signal: asking.signal });
    const error = response.ok ? null : await errorOf(response);
    const again = FINAL.has(error?.status) ? null : AGAIN;
    tell.failed(error?.message ?? 'This browser cannot play the stream.', again, error?.status);
  } catch {
    tell.failed(UNREACHABLE, AGAIN);
  } finally {
    asking.abort();
  }
}
