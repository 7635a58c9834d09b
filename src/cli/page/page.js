import { Domains } from './domains.js';
import { ask, known, POLL_MS, TOKEN_KEY, take } from './known.js';
import { Component, html, render, useEffect, useState } from './preact.js';
import { duration, rate, size } from './text.js';

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
      <p><label for="token">The token of <code>admin</code>, from the server's file:</label></p>
      <p class="tools">
        <input id="token" type="password" autocomplete="current-password" value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
        <button type="submit">Show</button>
      </p>
      ${isWrong && html`<p class="bad" role="alert">The token was wrong.</p>`}
    </form>`;
}

function Head({ summary, failure }) {
  const { name, version, draining, startedAt, served, domains, inactive, tunnels, active, memory, config, rates } =
    summary;
  const figures = [
    ['domains served', `${served} of ${domains}`],
    ...(inactive > 0 ? [['inactive domains', inactive]] : []),
    ['tunnels', tunnels],
    ['under way', active],
    ['requests/s', rate(rates.requests)],
    ['failing/s', rate(rates.failures)],
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
    ${failure !== null && html`<p class="notice" role="alert">Not up to date: ${failure}. What was known stays below; it is tried again each second.</p>`}
    ${!config.lastReloadOk && html`<p class="notice">The configuration is invalid; what was in force before stays. The log says where.</p>`}
    <dl class="figures">${figures.map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Refusals() {
  const { refusals } = known;
  return html`
    <h2>Last refusals</h2>
    ${
      refusals.length === 0
        ? html`<p class="faint">None since this server started, or since <code>admin</code> was configured.</p>`
        : html`
      <table class="refusals">
        <thead><tr><th scope="col">at</th><th scope="col" class="wide">who</th><th scope="col">from</th><th scope="col">domain</th><th scope="col">reason</th></tr></thead>
        <tbody>${refusals.slice(0, 20).map((each) => html`<${Refusal} key=${each.id} refusal=${each} />`)}</tbody>
      </table>`
    }`;
}

class Refusal extends Component {
  shouldComponentUpdate({ refusal }) {
    return refusal !== this.props.refusal;
  }

  render({ refusal: { at, who, from, domain, reason, detail } }) {
    return html`
      <tr>
        <td>${new Date(at).toTimeString().slice(0, 8)}</td><td class="wide">${who}</td><td>${from}</td><td>${domain ?? ''}</td>
        <td>${reason}${detail !== '' && html`<span class="faint wide">: ${detail}</span>`}</td>
      </tr>`;
  }
}

function Certificates({ certificates }) {
  if (certificates.length === 0) return html`<h2>Certificates</h2><p class="faint">None of its own.</p>`;
  return html`
    <h2>Certificates</h2>
    <table class="certificates">
      <thead><tr><th scope="col">hosts</th><th scope="col">ends</th><th scope="col">left</th></tr></thead>
      <tbody>${certificates.map(({ hosts, notAfter }) => {
        const left = notAfter - Date.now();
        return html`<tr key=${hosts}><td>${hosts}</td><td>${new Date(notAfter).toLocaleDateString()}</td><td class=${left < 14 * 86_400_000 ? 'bad' : ''}>${left < 0 ? 'has ended' : duration(left)}</td></tr>`;
      })}</tbody>
    </table>`;
}

render(html`<${App} />`, document.body);
