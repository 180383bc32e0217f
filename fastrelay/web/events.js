// /api/events, read with fetch: EventSource cannot send the admin token. A hidden tab reads nothing and costs nothing.
import { authorization, onToken } from './api.js';

const RETRY_FIRST = 1000;
const RETRY_MAX = 10_000;
const SILENCE_MAX = 40_000; // ms; the server says something at least every 15 s

// Calls `message(event, data)` for every event, and `state('live' | 'waiting' | 'paused')` as the connection changes.
export function readEvents(message, state) {
  let running = null;
  let timer = 0;
  let retry = RETRY_FIRST;

  async function run() {
    const mine = (running = new AbortController());
    try {
      const response = await fetch('/api/events', { headers: authorization(), signal: mine.signal });
      if (!response.ok) throw new Error(`status ${response.status}`);
      state('live');
      retry = RETRY_FIRST;
      await read(response.body, message, mine);
    } catch {
      // Whatever it was: what to do is the same.
    }
    if (running === mine) {
      running = null;
      state('waiting');
      timer = setTimeout(run, retry);
      retry = Math.min(2 * retry, RETRY_MAX);
    }
  }

  function restart() {
    clearTimeout(timer);
    running?.abort();
    running = null;
    if (document.hidden) state('paused');
    else run();
  }

  document.addEventListener('visibilitychange', restart);
  addEventListener('pagehide', () => running?.abort());
  onToken(restart);
  restart();
}

async function read(body, message, controller) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const alarm = setTimeout(() => controller.abort(), SILENCE_MAX);
    const { value, done } = await reader.read().finally(() => clearTimeout(alarm));
    if (done) return;
    const parts = (text + value).split('\n\n');
    text = parts.pop();
    for (const part of parts) dispatch(part, message);
  }
}

function dispatch(part, message) {
  const found = /^event: (\w+)\ndata: (.*)$/.exec(part);
  if (found) message(found[1], JSON.parse(found[2]));
}
