// Figures for people. Digits have one width in the style sheet, so a number that changes moves nothing beside it.

export function bitrate(bits) {
  if (!bits) return '0';
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bits / 1e3)} kbit/s`;
}

export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), units.length - 1);
  return `${(count / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

export function duration(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

// The API counts sources from zero, people from one.
export const forPeople = (text) => text.replace(/\bsource (\d+)\b/g, (all, index) => `source ${Number(index) + 1}`);

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;

// Made once: a browser takes tens of microseconds to make one, and the first page shows a hundred times.
const TIME = { hour: 'numeric', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
const times = new Intl.DateTimeFormat([], TIME);
const moments = new Intl.DateTimeFormat([], { year: 'numeric', month: 'numeric', day: 'numeric', ...TIME });

export const clock = (iso) => times.format(new Date(iso));

export const moment = (iso) => (iso ? moments.format(new Date(iso)) : 'never');
