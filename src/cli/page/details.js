import { ask, POLL_MS } from './known.js';
import { html, useEffect, useRef, useState } from './preact.js';
import { duration, size } from './text.js';

const TUNNEL_COLUMNS = [
  ['tunnel', ({ id }) => id],
  ['instance', ({ instance, slot }) => `${instance}/${slot}`],
  ['agent at', ({ remote }) => remote],
  ['up', ({ openedAt }) => duration(Date.now() - openedAt)],
  ['round trip', ({ rttMs }) => (rttMs === null ? '' : `${rttMs.toFixed(1)} ms`)],
  ['streams', ({ streams }) => streams],
  ['window', ({ streamWindowBytes }) => size(streamWindowBytes)],
  ['in', ({ receivedBytes }) => size(receivedBytes)],
  ['out', ({ sentBytes }) => size(sentBytes)],
  ['held', ({ heldBytes }) => size(heldBytes)],
];

/** The tunnels of one domain; asked for only while they are shown. */
export function Details({ name, onClose }) {
  const [tunnels, setTunnels] = useState(null);
  const section = useRef(null);
  useEffect(() => section.current.scrollIntoView({ block: 'nearest' }), [tunnels === null]);
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
    <section class="details" ref=${section} aria-label=${`Tunnels of ${name}`}>
      <div class="tools"><strong>${name}</strong><button type="button" onClick=${onClose}>Close</button></div>
      ${
        tunnels === null
          ? html`<p class="faint">Loading ...</p>`
          : html`
        <table class="cards">
          <thead><tr>${TUNNEL_COLUMNS.map(([title]) => html`<th key=${title} scope="col">${title}</th>`)}</tr></thead>
          <tbody>${tunnels.map((each) => html`<tr key=${each.id}>${TUNNEL_COLUMNS.map(([title, read]) => html`<td key=${title} data-title=${title}>${read(each)}</td>`)}</tr>`)}</tbody>
        </table>
        ${tunnels.length === 0 && html`<p class="faint">No tunnel is live.</p>`}`
      }
    </section>`;
}
