import { html, render, useEffect, useMemo, useRef, useState } from './preact.js';

const POLL_MS = 1_000;
const ROW_PX = 40;
/** Rows drawn beyond what is seen, on either side. */
const SPARE_ROWS = 8;
const TOKEN_KEY = 'backdial-token';

/** All that was told so far; a poll brings only what changed since. */
const known = { cursor: '', domains: new Map(), refusals: [], summary: null };

async function ask(path, signal) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(path, { headers, signal, cache: 'no-store' });
  if (response.status === 401) throw Object.assign(new Error('token'), { token: true });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

/** Takes what changed; says whether names came or went, so that the list has to be sorted anew. */
function take({ cursor, full, summary, domains, gone, refusals }) {
  if (full) known.domains.clear();
  let moved = full || gone.length > 0;
  for (const domain of domains) {
    moved ||= !known.domains.has(domain.name);
    known.domains.set(domain.name, domain);
  }
  for (const name of gone) known.domains.delete(name);
  known.refusals = (full ? refusals : [...refusals, ...known.refusals]).slice(0, 100);
  known.summary = summary;
  known.cursor = cursor;
  return moved;
}

function App() {
  const [state, setState] = useState({ turn: 0, moves: 0, failure: null, wantsToken: false });
  const [asked, askAgain] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer;
    const poll = async () => {
      try {
        const moved = take(await ask(`changes?since=${known.cursor}`, stop.signal));
        setState(({ turn, moves }) => ({
          turn: turn + 1,
          moves: moves + Number(moved),
          failure: null,
          wantsToken: false,
        }));
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((before) => ({
          ...before,
          failure: error.token ? null : error.message,
          wantsToken: error.token === true,
        }));
        if (error.token) return;
      }
      timer = setTimeout(poll, document.hidden ? 10 * POLL_MS : POLL_MS);
    };
    void poll();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [asked]);
  if (state.wantsToken) return html`<${TokenForm} onToken=${() => askAgain(asked + 1)} />`;
  const { summary } = known;
  if (summary === null) return html`<p class="faint" role="status">${state.failure ?? 'Loading ...'}</p>`;
  return html`
    <${Head} summary=${summary} failure=${state.failure} />
    <main>
      <${Domains} moves=${state.moves} turn=${state.turn} />
      <${Certificates} certificates=${summary.certificates} />
      <${Refusals} />
    </main>`;
}

function TokenForm({ onToken }) {
  const [text, setText] = useState('');
  const isWrong = sessionStorage.getItem(TOKEN_KEY) !== null;
  const submit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN_KEY, text);
    onToken();
  };
  return html`
    <h1>Backdial</h1>
    <form onSubmit=${submit}>
      <p><label for="token">The token of \`admin\`, from the server's file:</label></p>
      <p class="tools">
        <input id="token" type="password" autocomplete="current-password" value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
        <button type="submit">Show</button>
      </p>
      ${isWrong && html`<p class="bad" role="alert">The token was wrong.</p>`}
    </form>`;
}

function Head({ summary, failure }) {
  const { name, version, draining, startedAt, served, domains, tunnels, active, memory, config, rates } = summary;
  const figures = [
    ['domains served', `${served} of ${domains}`],
    ['tunnels', tunnels],
    ['under way', active],
    ['requests a second', rate(rates.requests)],
    ['failing a second', rate(rates.failures)],
    ['from visitors', `${size(rates.receivedBytes)}/s`],
    ['to visitors', `${size(rates.sentBytes)}/s`],
    ['held in memory', size(memory.heldBytes)],
  ];
  return html`
    <header>
      <h1>Backdial ${name}</h1>
      <span class=${draining ? 'bad' : 'good'}>${draining ? 'draining' : 'serving'}</span>
      <span class="faint">${version}, up ${duration(Date.now() - startedAt)}, configuration ${config.generation}</span>
    </header>
    ${failure !== null && html`<p class="notice" role="alert">Not up to date: ${failure}. It is tried again each second.</p>`}
    ${!config.lastReloadOk && html`<p class="notice">The configuration is invalid; what was in force before stays. The log says where.</p>`}
    <dl class="figures">${figures.map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Domains({ moves }) {
  const [search, setSearch] = useState('');
  const [onlyUnserved, setOnlyUnserved] = useState(false);
  const [chosen, setChosen] = useState(null);
  const [top, setTop] = useState(0);
  const list = useRef(null);
  const names = useMemo(() => [...known.domains.keys()].sort(), [moves]);
  const wanted = search.trim().toLowerCase();
  const shown = names.filter(
    (name) => name.includes(wanted) && !(onlyUnserved && known.domains.get(name)?.instances.length > 0),
  );
  const height = list.current?.clientHeight ?? 600;
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  const rows = shown.slice(first, first + Math.ceil(height / ROW_PX) + 2 * SPARE_ROWS);
  const find = (text) => {
    setSearch(text);
    if (list.current) list.current.scrollTop = 0;
  };
  return html`
    <h2 id="domains">Domains</h2>
    <div class="tools">
      <input type="search" placeholder="Search" aria-label="Search domains" value=${search} onInput=${(event) => find(event.currentTarget.value)} />
      <label><input type="checkbox" checked=${onlyUnserved} onChange=${(event) => setOnlyUnserved(event.currentTarget.checked)} /> only those that nobody serves</label>
      <span class="faint" role="status">${shown.length} of ${names.length}</span>
    </div>
    <div class="list" ref=${list} tabindex="0" role="table" aria-labelledby="domains" aria-rowcount=${shown.length + 1} onScroll=${(event) => setTop(event.currentTarget.scrollTop)}>
      <div class="row head" role="row" aria-rowindex="1">
        <span role="columnheader">domain</span><span role="columnheader">instances</span>
        <span role="columnheader">tunnels</span><span role="columnheader" class="wide">under way</span>
        <span role="columnheader" title="round trip">RTT</span><span role="columnheader" class="wide">requests/s</span>
        <span role="columnheader" class="wide">in</span><span role="columnheader" class="wide">out</span>
      </div>
      <div class="space" style=${{ height: `${shown.length * ROW_PX}px` }} role="rowgroup">
        ${rows.map((name, index) => {
          const row = known.domains.get(name);
          const at = first + index;
          return html`<${Row} key=${name} row=${row} at=${at} isChosen=${chosen === name} onChoose=${() => setChosen(chosen === name ? null : name)} />`;
        })}
      </div>
    </div>
    ${chosen !== null && html`<${Details} name=${chosen} onClose=${() => setChosen(null)} />`}`;
}

function Row({ row, at, isChosen, onChoose }) {
  const { name, instances, tunnels, active, rttMs, requests, receivedBytes, sentBytes } = row;
  return html`
    <div class="row" role="row" aria-rowindex=${at + 2} style=${{ top: `${at * ROW_PX}px` }}>
      <span role="cell"><button type="button" aria-expanded=${isChosen} title=${name} onClick=${onChoose}>${name}</button></span>
      <span role="cell" class=${instances.length === 0 ? 'bad' : ''}>${instances.length === 0 ? 'nobody' : instances.join(' ')}</span>
      <span role="cell">${tunnels}</span>
      <span role="cell" class="wide">${active}</span>
      <span role="cell">${rttMs === null ? '' : `${rttMs} ms`}</span>
      <span role="cell" class="wide">${rate(requests)}</span>
      <span role="cell" class="wide">${size(receivedBytes)}/s</span>
      <span role="cell" class="wide">${size(sentBytes)}/s</span>
    </div>`;
}

/** The tunnels of one domain; asked for only while they are shown. */
function Details({ name, onClose }) {
  const [tunnels, setTunnels] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    const load = () => ask(`tunnels?domain=${encodeURIComponent(name)}`, stop.signal).then(setTunnels, () => {});
    void load();
    const timer = setInterval(load, 2 * POLL_MS);
    const close = (event) => event.key === 'Escape' && onClose();
    addEventListener('keydown', close);
    return () => {
      stop.abort();
      clearInterval(timer);
      removeEventListener('keydown', close);
    };
  }, [name]);
  return html`
    <section class="details" aria-label=${`Tunnels of ${name}`}>
      <div class="tools"><strong>${name}</strong><button type="button" onClick=${onClose}>Close</button></div>
      ${
        tunnels === null
          ? html`<p class="faint">Loading ...</p>`
          : html`
        <table>
          <thead><tr>${['tunnel', 'instance', 'agent at', 'up', 'round trip', 'streams', 'window', 'in', 'out', 'held'].map((text) => html`<th key=${text} scope="col">${text}</th>`)}</tr></thead>
          <tbody>${tunnels.map(
            (each) => html`
            <tr key=${each.id}>
              <td>${each.id}</td><td>${each.instance}/${each.slot}</td><td>${each.remote}</td><td>${duration(Date.now() - each.openedAt)}</td>
              <td>${each.rttMs === null ? '' : `${each.rttMs.toFixed(1)} ms`}</td><td>${each.streams}</td><td>${size(each.streamWindowBytes)}</td>
              <td>${size(each.receivedBytes)}</td><td>${size(each.sentBytes)}</td><td>${size(each.heldBytes)}</td>
            </tr>`,
          )}</tbody>
        </table>
        ${tunnels.length === 0 && html`<p class="faint">No tunnel is live.</p>`}`
      }
    </section>`;
}

function Refusals() {
  const { refusals } = known;
  return html`
    <h2>Last refusals</h2>
    ${
      refusals.length === 0
        ? html`<p class="faint">None since this server started, or since \`admin\` was configured.</p>`
        : html`
      <table>
        <thead><tr><th scope="col">at</th><th scope="col" class="wide">who</th><th scope="col" class="wide">from</th><th scope="col">domain</th><th scope="col">reason</th></tr></thead>
        <tbody>${refusals.slice(0, 20).map(
          ({ id, at, who, from, domain, reason, detail }) => html`
          <tr key=${id}>
            <td>${new Date(at).toTimeString().slice(0, 8)}</td><td class="wide">${who}</td><td class="wide">${from}</td><td>${domain ?? ''}</td>
            <td>${reason}${detail !== '' && html`<span class="faint wide">: ${detail}</span>`}</td>
          </tr>`,
        )}</tbody>
      </table>`
    }`;
}

function Certificates({ certificates }) {
  return html`
    <h2>Certificates</h2>
    <table>
      <thead><tr><th scope="col">hosts</th><th scope="col">ends</th><th scope="col">left</th></tr></thead>
      <tbody>${certificates.map(({ hosts, notAfter }) => {
        const left = notAfter - Date.now();
        return html`<tr key=${hosts}><td>${hosts}</td><td>${new Date(notAfter).toLocaleDateString()}</td><td class=${left < 14 * 86_400_000 ? 'bad' : ''}>${left < 0 ? 'has ended' : duration(left)}</td></tr>`;
      })}</tbody>
    </table>`;
}

function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

function rate(value) {
  return value === 0 ? '0' : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** power;
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

render(html`<${App} />`, document.body);
