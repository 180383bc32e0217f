// What runs, as /api/events tells it, for whoever wants to know.
import { readEvents } from './events.js';

const EVENTS_KEPT = 50;
const listeners = new Set();

export const state = { streams: new Map(), samples: [], step: 2, at: 0, connection: 'waiting' };

// Calls `listener` after every change, and now.
export function onChange(listener) {
  listeners.add(listener);
  listener();
}

function changed() {
  for (const listener of listeners) listener();
}

export function start() {
  readEvents(
    (event, data) => {
      if (event === 'snapshot') takeHistory(data);
      takeStreams(data);
      if (data.sample) takeSample(data.at, data.sample);
      state.at = data.at;
      changed();
    },
    (connection) => {
      state.connection = connection;
      changed();
    },
  );
}

function takeHistory({ at, history: { step, samples } }) {
  state.step = step;
  state.samples = samples.map((sample, index) => [at - (samples.length - 1 - index) * step, ...sample]);
}

export function takeSample(at, sample) {
  state.samples.push([at, ...sample]);
  if (state.samples.length > 600 / state.step) state.samples.shift();
}

function takeStreams({ streams }) {
  const before = state.streams;
  state.streams = new Map();
  for (const status of streams) {
    const known = before.get(status.id)?.events ?? [];
    const events = status.events ? joined(known, status.events) : known;
    state.streams.set(status.id, { ...status, events });
  }
}

// An update may repeat what the snapshot before it had already.
function joined(known, news) {
  const same = (a, b) => a.at === b.at && a.event === b.event && a.detail === b.detail;
  for (let overlap = Math.min(known.length, news.length); overlap > 0; overlap -= 1) {
    const tail = known.slice(-overlap);
    if (tail.every((event, index) => same(event, news[index]))) return [...known, ...news.slice(overlap)].slice(-EVENTS_KEPT);
  }
  return [...known, ...news].slice(-EVENTS_KEPT);
}
