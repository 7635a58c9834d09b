import { Details } from './details.js';
import { known } from './known.js';
import { Component, html, useCallback, useMemo, useRef, useState } from './preact.js';
import { rate, size } from './text.js';

const ROW_PX = 40;
/** Rows drawn beyond what is seen, on either side. */
const SPARE_ROWS = 8;

/** The columns of the list of domains. One with `value` can be sorted by it, largest first. */
const COLUMNS = [
  { key: 'name', title: 'domain' },
  { key: 'instances', title: 'instances' },
  { key: 'tunnels', title: 'tunnels', wide: true, value: (row) => row.tunnels },
  { key: 'active', title: 'under way', wide: true, value: (row) => row.active },
  { key: 'rtt', title: 'round trip', wide: true, value: (row) => row.rttMs ?? -1 },
  { key: 'requests', title: 'requests/s', value: (row) => row.requests },
  { key: 'in', title: 'in', wide: true, value: (row) => row.receivedBytes },
  { key: 'out', title: 'out', wide: true, value: (row) => row.sentBytes },
];

export function Domains({ moves, turn }) {
  const [search, setSearch] = useState('');
  const [onlyUnserved, setOnlyUnserved] = useState(false);
  const [sorting, setSorting] = useState('name');
  const [chosen, setChosen] = useState(null);
  const [top, setTop] = useState(0);
  const list = useRef(null);
  const names = useMemo(() => [...known.domains.keys()].sort(), [moves]);
  const wanted = search.trim().toLowerCase();
  // Names alone move seldom; what is sorted or chosen by values moves with each poll.
  const depends = onlyUnserved || sorting !== 'name' ? turn : moves;
  const shown = useMemo(
    () => select(names, { wanted, onlyUnserved, sorting }),
    [depends, wanted, onlyUnserved, sorting],
  );
  const choose = useCallback((name) => setChosen((before) => (before === name ? null : name)), []);
  const height = list.current?.clientHeight ?? 600;
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
  const rows = shown.slice(first, first + Math.ceil(height / ROW_PX) + 2 * SPARE_ROWS);
  const toTop = () => {
    if (list.current) list.current.scrollTop = 0;
  };
  const find = (text) => {
    setSearch(text);
    toTop();
  };
  const sort = (key) => {
    setSorting(key);
    toTop();
  };
  return html`
    <h2 id="domains">Domains</h2>
    <div class="tools">
      <input type="search" placeholder="Search" aria-label="Search domains" value=${search} onInput=${(event) => find(event.currentTarget.value)} />
      <label><input type="checkbox" checked=${onlyUnserved} onChange=${(event) => setOnlyUnserved(event.currentTarget.checked)} /> only those that nobody serves</label>
      <span class="faint" role="status">${shown.length} of ${names.length}</span>
    </div>
    <div class="list" ref=${list} tabindex="0" role="table" aria-labelledby="domains" aria-rowcount=${shown.length + 1} onScroll=${(event) => setTop(event.currentTarget.scrollTop)}>
      <div class="row head" role="row" aria-rowindex="1">${COLUMNS.map((column) => html`<${Title} key=${column.key} column=${column} isSorted=${sorting === column.key} onSort=${sort} />`)}</div>
      ${shown.length === 0 && html`<p class="none faint">${names.length === 0 ? 'No domain is configured yet: backdial domain add NAME' : 'None of them.'}</p>`}
      <div class="space" style=${{ height: `${shown.length * ROW_PX}px` }} role="rowgroup">
        ${rows.map((name, index) => html`<${Row} key=${name} row=${known.domains.get(name)} at=${first + index} isChosen=${chosen === name} onChoose=${choose} />`)}
      </div>
    </div>
    ${chosen !== null && html`<${Details} key=${chosen} name=${chosen} onClose=${() => setChosen(null)} />`}`;
}

/** The names that are to be shown, in their order; `names` are in that of the alphabet. */
function select(names, { wanted, onlyUnserved, sorting }) {
  const { value } = COLUMNS.find(({ key }) => key === sorting);
  const isShown = (name) => name.includes(wanted) && (!onlyUnserved || isMissed(known.domains.get(name)));
  const shown = wanted === '' && !onlyUnserved ? names : names.filter(isShown);
  if (value === undefined) return shown;
  return shown.toSorted((a, b) => value(known.domains.get(b)) - value(known.domains.get(a)));
}

/** Of an inactive domain nobody expects that it is served. */
function isMissed({ instances, hasTarget, isInactive }) {
  return instances.length === 0 && !hasTarget && !isInactive;
}

function Title({ column: { key, title, wide, value }, isSorted, onSort }) {
  const order = value === undefined ? 'ascending' : 'descending';
  const text =
    key === 'instances'
      ? title
      : html`<button type="button" title=${`Sort by ${title}`} onClick=${() => onSort(key)}>${title}${isSorted && html`<span aria-hidden="true"> ${value === undefined ? '▲' : '▼'}</span>`}</button>`;
  return html`<span role="columnheader" class=${wide ? 'wide' : ''} aria-sort=${isSorted ? order : null}>${text}</span>`;
}

/** What is said of a domain that no instance serves. */
function standIn({ hasTarget, isInactive }) {
  if (isInactive) return 'inactive';
  return hasTarget ? 'its target' : 'nobody';
}

/** Drawn anew only when something of it changed: a row that did not is the same object at each poll. */
class Row extends Component {
  shouldComponentUpdate({ row, at, isChosen }) {
    return row !== this.props.row || at !== this.props.at || isChosen !== this.props.isChosen;
  }

  render({ row, at, isChosen, onChoose }) {
    const { name, instances, tunnels, active, rttMs, requests, receivedBytes, sentBytes } = row;
    const served = instances.join(' ') || standIn(row);
    return html`
      <div class=${isChosen ? 'row chosen' : 'row'} role="row" aria-rowindex=${at + 2} style=${{ top: `${at * ROW_PX}px` }}>
        <span role="cell"><button type="button" aria-expanded=${isChosen} title=${name} onClick=${() => onChoose(name)}>${name}</button></span>
        <span role="cell" class=${isMissed(row) ? 'bad' : row.isInactive ? 'faint' : ''} title=${served}>${served}</span>
        <span role="cell" class="wide">${tunnels}</span>
        <span role="cell" class="wide">${active}</span>
        <span role="cell" class="wide">${rttMs === null ? '' : `${rttMs} ms`}</span>
        <span role="cell">${rate(requests)}</span>
        <span role="cell" class="wide">${size(receivedBytes)}/s</span>
        <span role="cell" class="wide">${size(sentBytes)}/s</span>
      </div>`;
  }
}
