// How sure answers must be: a slider, and what held-out examples got then.
import { html, percent, useEffect, useState, useShop } from '../ui.js';
import { api } from '../api.js';

const ANY = 0.5; // as far left as the slider goes: everything is answered
const PAUSE = 150; // ms without a movement before it is asked for

/** precision: the share of answers that must be right, or null. */
export function Cutoff({ precision, change }) {
  const { catalogue, fail, version } = useShop();
  const [moved, setMoved] = useState(precision);
  const [found, setFound] = useState([]);
  const names = Object.keys(catalogue.attributes).filter((name) => catalogue.attributes[name].tagged > 0 && !catalogue.attributes[name].built_in);
  useEffect(() => setMoved(precision), [precision]);
  useEffect(() => {
    if (moved === precision) return undefined;
    const timer = setTimeout(() => change(moved), PAUSE);
    return () => clearTimeout(timer);
  }, [moved, precision]);
  useEffect(() => {
    let left = false;
    if (precision === null) setFound([]);
    else {
      Promise.all(names.map((name) => api.cutoff(name, { at_precision: precision })))
        .then((made) => left || setFound(made), (problem) => left || fail(problem));
    }
    return () => {
      left = true;
    };
  }, [precision, names.join('\n'), version]);
  if (!names.length) return null;
  const at = moved ?? ANY;
  return html`<div class="cutoff">
    <label class="slider"><span>right at least</span>
      <input type="range" min=${ANY} max="0.99" step="0.01" value=${at} style=${{ '--at': `${(100 * (at - ANY)) / (0.99 - ANY)}%` }}
        onInput=${(event) => setMoved(Number(event.target.value) > ANY ? Number(event.target.value) : null)} />
      <output>${moved === null ? 'any' : percent(moved)}</output></label>
    <div role="status">${found.map((one) => html`<p key=${one.attribute} class="soft small"><b>${one.attribute}</b>: ${said(one)}</p>`)}</div>
  </div>`;
}

function said({ answered, right, tested }) {
  if (answered === null) return 'each answer must be as sure as that; no held-out examples say how much is answered.';
  if (right === null) return `nothing is answered: ${tested} held-out examples are too few to promise that, or not right so often.`;
  return `${percent(answered)} of the held-out examples are answered, ${percent(right)} of them right.`;
}
