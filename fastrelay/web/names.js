// What streams are called: relays and channels by their names where the management API may be asked, else by their ids.
import { api } from './api.js';
import { watchedId } from './share.js';

const relays = new Map(); // output path → relay
const channels = new Map(); // stream id → name, null while it is being asked

export const relayOf = (id) => relays.get(id);

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
  if (!channels.has(id)) {
    channels.set(id, null);
    api(`/api/channels/${id.slice('channel:'.length)}`, { quiet: true }).then(
      (channel) => {
        rememberChannel(channel);
        later();
      },
      () => {}, // not ours to know; the id will do
    );
  }
  return channels.get(id)?.name ?? id;
}

// The sources in the order of preference, where we may know them.
export const sourcesOf = (id) => (relays.get(id) ?? channels.get(watchedId(id)))?.source_urls ?? null;
