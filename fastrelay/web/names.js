// What streams are called: relays and channels by their names where the management API may be asked, else by their ids.
import { api, onToken } from './api.js';
import { watchedId } from './share.js';
import { state } from './streams.js';

const ASKED_MAX = 200; // ids in one address, which has a bound

const relays = new Map(); // output path → relay
const channels = new Map(); // stream id → channel, null where it is asked for, or not ours to know
let wanted = new Map(); // stream id → whom to tell

export async function loadRelays(options) {
  const found = (await api('/api/relays', options)).relays;
  relays.clear();
  for (const relay of found) relays.set(relay.output_path, relay);
  return found;
}

export function rememberChannel(channel) {
  channels.set(`channel:${channel.id}`, channel);
}

// `later` is called when a name that was not known has come.
export function nameOf(of, later) {
  const id = watchedId(of);
  if (!id.startsWith('channel:')) return relays.get(id)?.name ?? id;
  if (!channels.has(id) && state.manager) {
    channels.set(id, null);
    if (!wanted.size) queueMicrotask(askWanted);
    wanted.set(id, later);
  }
  return channels.get(id)?.name ?? id;
}

// One request for all that became known together: a browser takes milliseconds for each.
function askWanted() {
  const all = [...wanted];
  wanted = new Map();
  for (let at = 0; at < all.length; at += ASKED_MAX) ask(new Map(all.slice(at, at + ASKED_MAX)));
}

async function ask(some) {
  const ids = [...some.keys()].map((id) => id.slice('channel:'.length));
  try {
    (await api(`/api/channels?ids=${ids}`, { quiet: true })).channels.forEach(rememberChannel);
    for (const later of some.values()) later();
  } catch {
    // Not ours to know; the ids will do.
  }
}

// Who has signed in may know more.
onToken(() => {
  for (const [id, channel] of channels) if (!channel) channels.delete(id);
});

// The sources in the order of preference, where we may know them.
export const sourcesOf = (id) => (relays.get(id) ?? channels.get(watchedId(id)))?.source_urls ?? null;
