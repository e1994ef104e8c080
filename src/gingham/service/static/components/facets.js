// How many images have each value; a click filters by it, the minus leaves it out.
import { html, useEffect, useState, useShop } from '../ui.js';
import { api } from '../api.js';
import { JobProgress, useJob } from './job.js';

const FEW = 8;

const attributeOf = (filter) => filter.slice(0, filter.search(/!?=/));

/** Counts per value; within an attribute as if it were not filtered, so that one can choose more. */
async function count(where, precision, attributes) {
  const filtered = [...new Set(where.map(attributeOf))].filter((name) => attributes.includes(name));
  const [all, ...own] = await Promise.all([
    api.facets(where, precision),
    ...filtered.map((name) => api.facets(where.filter((one) => attributeOf(one) !== name), precision)),
  ]);
  const counts = { ...all.attributes };
  filtered.forEach((name, i) => {
    counts[name] = own[i].attributes[name] ?? {};
  });
  return { images: all.images, counts };
}

export function Facets({ where, precision = null, change }) {
  const { catalogue, fail, version } = useShop();
  const [found, setFound] = useState(null);
  const names = Object.keys(catalogue.attributes);
  const key = JSON.stringify([where, precision]);
  useEffect(() => {
    let left = false;
    count(where, precision, names).then((made) => left || setFound(made), (problem) => left || fail(problem));
    return () => {
      left = true;
    };
  }, [key, version]);
  const taught = names.some((name) => !catalogue.attributes[name].built_in);
  return html`<div class="facets">
    ${names.filter((name) => catalogue.attributes[name].tagged === 0).map((name) => html`<${Unapplied} key=${name} name=${name} />`)}
    ${names.map((name) => html`<${Facet} key=${name} name=${name} counts=${found && (found.counts[name] ?? {})} where=${where} change=${change} />`)}
    ${!taught && html`<p class="soft">${names.length ? 'More filters' : 'Filters'} appear here once an attribute has been taught and applied: <a href="/teach">teach one</a>.</p>`}
  </div>`;
}

/** An attribute that was taught, and by which nothing can be filtered before it is applied. */
function Unapplied({ name }) {
  const { can, catalogue, reload } = useShop();
  const [job, start, cancel] = useJob();
  const apply = async () => {
    await start({ kind: 'tag', attributes: [name] });
    await reload();
  };
  return html`<div class="facet"><p class="small"><b>${name}</b> <span class="soft">${catalogue.attributes[name].built_in ? 'needs no teaching and is' : 'was taught and'} not applied yet.</span>
    ${can.write && !job && html` <button type="button" class="link" onClick=${apply}>apply</button>`}</p>
    ${job && html`<${JobProgress} job=${job} cancel=${cancel} />`}</div>`;
}

function Facet({ name, counts, where, change }) {
  const [whole, setWhole] = useState(false);
  const [part, setPart] = useState('');
  if (counts && !Object.keys(counts).length) return null;
  const entries = Object.entries(counts ?? {}).sort(
    ([a, m], [b, n]) => (a === 'unknown') - (b === 'unknown') || n - m || a.localeCompare(b),
  );
  const isChosen = (value) => where.includes(`${name}=${value}`);
  const isOut = (value) => where.includes(`${name}!=${value}`);
  const found = entries.filter(([value]) => value.toLowerCase().includes(part.toLowerCase()));
  const shown = whole || part ? found : found.filter(([v], i) => i < FEW || isChosen(v) || isOut(v));
  const most = Math.max(1, ...entries.map(([, n]) => n));
  const toggle = (filter, other) => {
    const rest = where.filter((one) => one !== filter && one !== other);
    change(where.includes(filter) ? rest : [...rest, filter]);
  };
  return html`<details class="facet" open>
    <summary>${name}</summary>
    ${entries.length > 2 * FEW &&
    html`<input type="search" placeholder=${`find among ${entries.length}`} aria-label=${`find a value of ${name}`}
      value=${part} onInput=${(event) => setPart(event.target.value)} />`}
    <ul>
      ${shown.map(([value, n]) => html`<li key=${value} class=${isOut(value) ? 'out' : ''}>
        <label style=${{ '--share': `${(100 * n) / most}%` }}>
          <input type="checkbox" checked=${isChosen(value)} onChange=${() => toggle(`${name}=${value}`, `${name}!=${value}`)} />
          <span>${value}</span><small>${n.toLocaleString('en')}</small>
        </label>
        <button class="bare" type="button" aria-pressed=${isOut(value)} aria-label=${`leave out ${value}`}
          title=${isOut(value) ? `${value} is left out` : `leave out ${value}`}
          onClick=${() => toggle(`${name}!=${value}`, `${name}=${value}`)}>−</button>
      </li>`)}
    </ul>
    ${!part && found.length > shown.length &&
    html`<button class="link" type="button" onClick=${() => setWhole(true)}>${found.length - shown.length} more</button>`}
  </details>`;
}

/** The filters that hold, each with a cross to take it away. */
export function Chips({ where, change }) {
  if (!where.length) return null;
  return html`<ul class="chips" aria-label="filters">
    ${where.map((filter) => html`<li key=${filter}><button type="button" onClick=${() => change(where.filter((one) => one !== filter))}>
      ${filter.replace(/!?=/, (sign) => (sign === '=' ? ': ' : ' not: '))}<span aria-hidden="true"> ×</span><span class="hidden"> (take this filter away)</span>
    </button></li>`)}
    ${where.length > 1 && html`<li><button class="link" type="button" onClick=${() => change([])}>clear all</button></li>`}
  </ul>`;
}
