// Chromium, driven line by line: JSON commands come in on stdin, one JSON answer to each goes out on stdout.
//
//   {"id": 1, "do": "open", "tab": "a", "options": {…}}            a tab in a context (profile) of its own
//   {"id": 2, "do": "run", "tab": "a", "code": "…", "values": {…}}  code with `page`, `context` and the values in scope
//   {"id": 3, "do": "close", "tab": "a"}
//   → {"id": 2, "result": …} or {"id": 2, "error": "…"}
//
// What a tab complained about, and which hosts it asked for something, is in the answer to "close" and "complaints".
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const AsyncFunction = (async () => {}).constructor;

// The machine may have no network and no DBus: nothing is to look for either, and nothing but loopback resolves.
const FLAGS = [
  '--autoplay-policy=no-user-gesture-required',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-quic',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
  '--no-first-run',
  '--no-proxy-server',
];
const browser = await chromium.launch({ executablePath, args: FLAGS, chromiumSandbox: false });
const tabs = new Map();

class Tab {
  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.complaints = [];
    this.hosts = new Set();
    page.on('pageerror', (error) => this.complaints.push(`uncaught: ${error.stack ?? error}`));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        this.complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol !== 'blob:' && url.protocol !== 'data:') this.hosts.add(url.host);
    });
  }

  findings() {
    return { complaints: this.complaints, hosts: [...this.hosts].sort() };
  }
}

const COMMANDS = {
  async open({ tab, options }) {
    const context = await browser.newContext(options);
    tabs.set(tab, new Tab(context, await context.newPage()));
  },
  async run({ tab, code, values }) {
    const { page, context } = tabs.get(tab);
    const names = Object.keys(values);
    return await new AsyncFunction('page', 'context', ...names, code)(page, context, ...Object.values(values));
  },
  complaints({ tab }) {
    return tabs.get(tab).findings();
  },
  async close({ tab }) {
    const closed = tabs.get(tab);
    tabs.delete(tab);
    await closed.context.close();
    return closed.findings();
  },
};

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

say({ id: 0, result: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  Promise.resolve(command)
    .then((known) => COMMANDS[known.do](known))
    .then(
      (result) => say({ id: command.id, result: result ?? null }),
      (error) => say({ id: command.id, error: String(error.stack ?? error) }),
    );
}
await browser.close();
