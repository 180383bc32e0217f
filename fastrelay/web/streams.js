// What runs, as /api/events tells it, for whoever wants to know.
import { readEvents } from './events.js';

const EVENTS_KEPT = 50;
const STOPPED_SHOWN = 60; // seconds for which a stopped stream stays in sight, with why it stopped
const listeners = new Set();

export const state = { streams: new Map(), samples: [], step: 2, at: 0, connection: 'waiting', manager: false };

let tell;
// Kept when what runs is known for the first time, and shown.
export const told = new Promise((resolve) => (tell = resolve));

// Calls `listener` after every change, and now.
export function onChange(listener) {
  listeners.add(listener);
  listener();
}

export function changed() {
  for (const listener of listeners) listener();
}

// Where nothing runs, the server is silent: time goes on all the same.
function goOn() {
  const now = Date.now() / 1000;
  if (state.connection !== 'live' || running().length || now - state.at < 2 * state.step) return;
  state.at = now;
  takeStreams({ at: now, streams: [] }, false);
  takeSample(now, [0, 0, 0, 0]);
  changed();
}

export function start() {
  setInterval(goOn, 1000 * state.step);
  readEvents(
    (event, data) => {
      if (event === 'snapshot') takeHistory(data);
      takeStreams(data, event === 'snapshot');
      if (data.sample) takeSample(data.at, data.sample);
      state.at = data.at;
      changed();
      // After the picture, not before it.
      requestAnimationFrame(() => setTimeout(tell));
    },
    (connection) => {
      state.connection = connection;
      changed();
    },
  );
}

function takeHistory({ at, manager, history: { step, samples } }) {
  state.manager = manager;
  state.step = step;
  state.samples = samples.map((sample, index) => [at - (samples.length - 1 - index) * step, ...sample]);
}

function takeSample(at, sample) {
  state.samples.push([at, ...sample]);
  if (state.samples.length > 600 / state.step) state.samples.shift();
}

function takeStreams({ at, streams }, afresh) {
  const before = state.streams;
  state.streams = new Map();
  for (const status of streams) {
    const known = before.get(status.id)?.events ?? [];
    const events = status.events ? joined(known, status.events) : known;
    state.streams.set(status.id, { ...status, events, seen: at });
  }
  for (const [id, status] of afresh ? [] : before) {
    if (!status.active && !state.streams.has(id) && at - status.seen < STOPPED_SHOWN) state.streams.set(id, status);
  }
}

export const running = () => [...state.streams.values()].filter((status) => status.active);

// An update may repeat what the snapshot before it had already.
function joined(known, news) {
  const same = (a, b) => a.at === b.at && a.event === b.event && a.detail === b.detail;
  for (let overlap = Math.min(known.length, news.length); overlap > 0; overlap -= 1) {
    const tail = known.slice(-overlap);
    if (tail.every((event, index) => same(event, news[index]))) return [...known, ...news.slice(overlap)].slice(-EVENTS_KEPT);
  }
  return [...known, ...news].slice(-EVENTS_KEPT);
}
