// How many images have each value; a click filters by it, the minus leaves it out.
import { html, useEffect, useState, useShop } from '../ui.js';
import { api } from '../api.js';
import { NOT_APPLICABLE, UNKNOWN, treeOf, useMeaning } from '../meaning.js';
import { JobProgress, useJob } from './job.js';

const FEW = 8;

const LAST = [NOT_APPLICABLE, UNKNOWN];

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
  const [unfolded, setUnfolded] = useState({});
  const meaning = useMeaning();
  const isChosen = (value) => where.includes(`${name}=${value}`);
  const isOut = (value) => where.includes(`${name}!=${value}`);
  const isUsed = (value) => isChosen(value) || isOut(value);
  const given = Object.keys(counts ?? {});
  // Of what is shown it says nothing.
  if (counts && given.every((value) => value === NOT_APPLICABLE && !isUsed(value))) return null;
  const entries = Object.entries(counts ?? {}).sort(
    ([a, m], [b, n]) => LAST.indexOf(a) - LAST.indexOf(b) || n - m || a.localeCompare(b),
  );
  const above = (value) => meaning.parent(name, value);
  const tree = treeOf(entries, above);
  const used = new Set();
  for (const [value] of tree) if (isUsed(value)) for (let one = above(value); one; one = above(one)) used.add(one);
  const isOpen = (value) => unfolded[value] ?? (tree.length <= FEW || used.has(value));
  const inSight = (value) => !above(value) || counts[above(value)] === undefined || (isOpen(above(value)) && inSight(above(value)));
  const says = (value) => meaning.value(name, value);
  const found = part
    ? tree.filter(([value]) => `${value} ${says(value)}`.toLowerCase().includes(part.toLowerCase()))
    : tree.filter(([value]) => inSight(value));
  let tops = 0; // what is below one that is shown is shown, too
  const shown = whole || part ? found : found.filter(([v, , depth]) => (tops += depth === 0) <= FEW || isUsed(v));
  const most = Math.max(1, ...entries.map(([value, n]) => (value === NOT_APPLICABLE ? 0 : n)));
  const toggle = (filter, other) => {
    const rest = where.filter((one) => one !== filter && one !== other);
    change(where.includes(filter) ? rest : [...rest, filter]);
  };
  return html`<details class="facet" open>
    <summary>${meaning.attribute(name)}</summary>
    ${entries.length > 2 * FEW &&
    html`<input type="search" placeholder=${`find among ${entries.length}`} aria-label=${`find a value of ${meaning.attribute(name)}`}
      value=${part} onInput=${(event) => setPart(event.target.value)} />`}
    <ul>
      ${shown.map(([value, n, depth, over]) => html`<li key=${value} class=${isOut(value) ? 'out' : ''} style=${{ '--depth': part ? 0 : depth }}>
        ${tree.some(([, , , any]) => any) && html`<span class="fold">${over && !part && html`<button class="bare" type="button" aria-expanded=${isOpen(value)}
          aria-label=${`what is below ${says(value)}`} onClick=${() => setUnfolded({ ...unfolded, [value]: !isOpen(value) })}>${isOpen(value) ? '▾' : '▸'}</button>`}</span>`}
        <label style=${{ '--share': `${Math.min(100, (100 * n) / most)}%` }}>
          <input type="checkbox" checked=${isChosen(value)} onChange=${() => toggle(`${name}=${value}`, `${name}!=${value}`)} />
          <span>${says(value)}</span><small>${n.toLocaleString('en')}</small>
        </label>
        <button class="bare" type="button" aria-pressed=${isOut(value)} aria-label=${`leave out ${says(value)}`}
          title=${isOut(value) ? `${says(value)} is left out` : `leave out ${says(value)}`}
          onClick=${() => toggle(`${name}!=${value}`, `${name}=${value}`)}>−</button>
      </li>`)}
    </ul>
    ${!part && found.length > shown.length &&
    html`<button class="link" type="button" onClick=${() => setWhole(true)}>${found.length - shown.length} more</button>`}
  </details>`;
}

/** The filters that hold, each with a cross to take it away. */
export function Chips({ where, change }) {
  const meaning = useMeaning();
  if (!where.length) return null;
  const says = (filter) => {
    const [name, sign, value] = [attributeOf(filter), filter.match(/!?=/)[0], filter.slice(filter.search('=') + 1)];
    return `${meaning.attribute(name)}${sign === '=' ? ': ' : ' not: '}${meaning.value(name, value)}`;
  };
  return html`<ul class="chips" aria-label="filters">
    ${where.map((filter) => html`<li key=${filter}><button type="button" onClick=${() => change(where.filter((one) => one !== filter))}>
      ${says(filter)}<span aria-hidden="true"> ×</span><span class="hidden"> (take this filter away)</span>
    </button></li>`)}
    ${where.length > 1 && html`<li><button class="link" type="button" onClick=${() => change([])}>clear all</button></li>`}
  </ul>`;
}
