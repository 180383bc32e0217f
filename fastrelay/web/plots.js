// Viewers and bitrate of the last ten minutes, drawn by uPlot.
import { $, el } from './dom.js';
import { bitrate } from './format.js';
import { onChange, state } from './streams.js';

const MINUTES = 10;
const HEIGHT = 130;

// Columns of a sample: its time, viewers of TS and HLS, bits per second in and out. Where all is quiet, the axis goes up
// to `least`.
const PLOTS = [
  { id: 'plot-viewers', columns: [1, 2], names: ['TS', 'HLS'], axis: 34, least: 4, format: (value) => (Number.isInteger(value) ? String(value) : '') },
  { id: 'plot-bitrate', columns: [3, 4], names: ['in', 'out'], axis: 82, least: 2e6, format: bitrate },
];

export async function start() {
  const { default: uPlot } = await import('/web/vendor/uplot.js').catch(() => ({}));
  if (!uPlot) {
    for (const { id } of PLOTS) $(id).append(el('p', { class: 'hint' }, 'Plots need uPlot, which is not installed.'));
    return;
  }
  // Drawn before its style sheet is there, a plot would be seen to jump.
  await new Promise((done) => document.head.append(el('link', { rel: 'stylesheet', href: '/web/vendor/uplot.css', onload: done, onerror: done })));
  for (const plot of PLOTS) draw(uPlot, plot);
}

function draw(uPlot, plot) {
  const box = $(plot.id);
  let chart = null;
  const data = () => [0, ...plot.columns].map((column) => state.samples.map((sample) => sample[column]));
  const make = () => {
    chart?.destroy();
    chart = new uPlot(options(plot, box.clientWidth), data(), box);
  };
  make();
  new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', make);
  let drawn = null;
  onChange(() => {
    const last = state.samples.at(-1);
    if (last === drawn) return;
    drawn = last;
    chart.setData(data());
    box.setAttribute('aria-label', label(plot, last));
  });
}

function label({ columns, names, format }, sample) {
  if (!sample) return 'no data yet';
  return names.map((name, index) => `${name}: ${format(sample[columns[index]])}`).join(', ');
}

function options({ names, format, least, axis: room }, width) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color('--faint'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 20, 0, 0], // on the right, room for half a time
    scales: {
      x: { time: true, range: (self, from, to) => [(to ?? 0) - 60 * MINUTES, to ?? 60 * MINUTES] },
      y: { range: (self, from, to) => [0, Math.max(least, to ?? 0) * 1.15] },
    },
    axes: [
      { ...axis, space: 70, size: 26, values: (self, times) => times.map((time) => new Date(time * 1000).toTimeString().slice(0, 5)) },
      { ...axis, size: room, space: 34, values: (self, values) => values.map((value) => format(value)) },
    ],
    series: [
      {},
      ...names.map((name, index) => ({
        label: name,
        stroke: color(index ? '--second' : '--accent'),
        width: 2,
        points: { show: false },
      })),
    ],
  };
}
