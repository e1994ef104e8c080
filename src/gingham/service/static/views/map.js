// The whole catalogue as a map: what looks alike lies together; a lasso selects, to look and label.
import { counted, html, lookName, percent, useEffect, useKept, useKeys, useMemo, useShop, useState } from '../ui.js';
import { api, query, thumbnail } from '../api.js';
import { KEY, MOST, assign, emptyDraft, readDraft } from '../draft.js';
import { UNKNOWN, useMeaning } from '../meaning.js';
import { go } from '../route.js';
import { idAt, readMap } from '../values.js';
import { Details } from '../components/details.js';
import { Grid } from '../components/grid.js';
import { JobProgress, useJob } from '../components/job.js';
import { Scatter } from '../components/scatter.js';
import { Tile } from '../components/tile.js';

const COLOURS = 8;
const MOST_WORDS = 14;
/** Values that are colours are drawn in their own, light and dark enough for any background. */
const WORDS = {
  beige: '#cdb386', black: '#3c3c42', blue: '#2f62d8', brown: '#7d4c23', cyan: '#1fb5c9', gold: '#c9991a', gray: '#8b8780', green: '#2f9140',
  grey: '#8b8780', magenta: '#d138a8', navy: '#27408b', orange: '#ea8420', pink: '#f08db8', purple: '#8a3fd1', red: '#d4322e', teal: '#12897f',
  turquoise: '#2cc4b6', violet: '#8a3fd1', white: '#ddd6c4', yellow: '#e5c51f',
};

export function MapView({ place }) {
  const { catalogue, fail, version } = useShop();
  const meaning = useMeaning();
  const tagged = Object.keys(catalogue.attributes).filter((name) => catalogue.attributes[name].tagged > 0);
  const look = place.params.get('look') ?? catalogue.looks.at(0);
  const by = place.params.get('by') ?? tagged[0] ?? '';
  const [map, setMap] = useState(null);
  const [problem, setProblem] = useState(null);
  const [lasso, setLasso] = useState(true);
  const [hover, setHover] = useState(null);
  const [chosen, setChosen] = useState(null); // indices of points
  const change = (part) => go(`/map${query({ look, by, ...part })}`, { replace: true });
  useEffect(() => {
    const abort = new AbortController();
    api.map({ look, colour_by: by }, abort.signal).then(
      (bytes) => {
        setMap(readMap(bytes));
        setChosen(null);
        setProblem(null);
      },
      (error) => error.name === 'AbortError' || (setProblem(error), fail(error)),
    );
    return () => abort.abort();
  }, [look, by, version]);
  useKeys((event) => {
    if (event.key === 'l') setLasso(true);
    else if (event.key === 'm') setLasso(false);
    else if (event.key === 'Escape') setChosen(null);
  });
  const legend = useMemo(() => map && legendOf(map), [map]);
  // Grey twice: a list of one colour would be read as the parts of one.
  const palette = useMemo(() => [...(legend ?? []).map((one) => one.colour), '--grey', '--grey'], [legend]);
  const codes = useMemo(() => map && coded(map, legend, chosen), [map, legend, chosen]);
  if (problem && !map) return html`<div class="empty"><h1>There is no map</h1><p>${problem.message}</p></div>`;
  return html`<div class="map">
    <div class="bar">
      <label class="field row"><span>Look</span><select value=${look} onChange=${(event) => change({ look: event.target.value })}>${catalogue.looks.map((one) => html`<option key=${one} value=${one}>${one.startsWith('attribute:') ? `taught: ${meaning.attribute(lookName(one))}` : one}</option>`)}</select></label>
      <label class="field row"><span>Colour by</span><select value=${by} onChange=${(event) => change({ by: event.target.value })}>${tagged.map((name) => html`<option key=${name} value=${name}>${meaning.attribute(name)}</option>`)}${!tagged.length && html`<option value="">nothing yet</option>`}</select></label>
      <div class="tabs" role="group" aria-label="what a drag does"><button type="button" aria-pressed=${lasso} onClick=${() => setLasso(true)}>Lasso <kbd>L</kbd></button><button type="button" aria-pressed=${!lasso} onClick=${() => setLasso(false)}>Move <kbd>M</kbd></button></div>
      ${map && html`<${Arrange} map=${map} look=${look} />`}
    </div>
    ${!map ? html`<p class="nothing" role="status"><span class="spinner"></span> The map is being drawn …</p>` : html`
    <div class="field-of-points">
      <${Scatter} key=${look} points=${map.points} codes=${codes} palette=${palette} lasso=${lasso} label=${`map of ${counted(map.count, 'image')} by ${lookName(look)}`}
        selected=${(indices) => setChosen(Uint32Array.from(indices))} hovered=${(index, at) => setHover(index === null ? null : { index, at })} />
      ${hover && html`<figure class="peek" style=${{ left: `${hover.at[0]}px`, top: `${hover.at[1]}px` }}><img src=${thumbnail(idAt(map.ids, hover.index), 192)} alt="" /><figcaption>${meaning.value(by, map.values[map.codes[hover.index]] ?? UNKNOWN)}</figcaption></figure>`}
      <${Legend} legend=${legend} map=${map} by=${by} choose=${setChosen} />
    </div>
    <${Selection} map=${map} chosen=${chosen} clear=${() => setChosen(null)} by=${by} />`}
  </div>`;
}

/** The values that have a colour, the most frequent first. */
function legendOf(map) {
  const counts = new Array(map.values.length).fill(0);
  for (const code of map.codes) if (code >= 0) counts[code] += 1;
  const all = counts.map((n, code) => ({ code, value: map.values[code], n })).filter((one) => one.n)
    .sort((a, b) => b.n - a.n);
  const words = all.length <= MOST_WORDS && all.every((one) => WORDS[one.value.toLowerCase()]);
  return all.slice(0, words ? MOST_WORDS : COLOURS)
    .map((one, i) => ({ ...one, colour: words ? WORDS[one.value.toLowerCase()] : `--s${i}` }));
}

/** The place of each point's colour; grey for what is not chosen, not tagged or rare. */
function coded(map, legend, chosen) {
  const grey = legend.length;
  const place = new Map(legend.map((one, i) => [one.code, i]));
  const made = new Uint8Array(map.count).fill(grey);
  const colour = (i) => {
    made[i] = place.get(map.codes[i]) ?? grey;
  };
  if (chosen) chosen.forEach(colour);
  else for (let i = 0; i < map.count; i += 1) colour(i);
  return made;
}

function Legend({ legend, map, by, choose }) {
  const meaning = useMeaning();
  const pick = (code) => {
    const indices = [];
    for (let i = 0; i < map.count; i += 1) if (map.codes[i] === code) indices.push(i);
    choose(Uint32Array.from(indices));
  };
  if (!legend.length) return null;
  return html`<ul class="legend" aria-label="colours">${legend.map((one) => html`<li key=${one.value}><button type="button" title="select all of them" onClick=${() => pick(one.code)}><i style=${{ background: one.colour.startsWith('--') ? `var(${one.colour})` : one.colour }}></i><span>${meaning.value(by, one.value)}</span><small>${one.n.toLocaleString('en')}</small></button></li>`)}
    ${legend.length < map.values.length && html`<li class="soft small">grey: other values, unknown</li>`}</ul>`;
}

/** By what the map was made, and the better way where it takes longer. */
function Arrange({ map, look }) {
  const { can, reload } = useShop();
  const [job, start, cancel] = useJob();
  const better = async () => {
    const ended = await start({ kind: 'map', look });
    if (ended?.state === 'done') await reload();
  };
  const says = { pca: 'by principal components', umap: 'by UMAP: neighbours stay together', lda: 'by what separates the values' }[map.method];
  const drawn = map.count < map.total ? `${map.count.toLocaleString('en')} of ${counted(map.total, 'image')}, drawn by lot` : counted(map.count, 'image');
  return html`<p class="soft small">${drawn}, ${says}
    ${map.better && can.write && !job && html` <button type="button" class="link" onClick=${better}>arrange by neighbours</button>`}</p>
    ${job && html`<${JobProgress} job=${job} cancel=${cancel} />`}`;
}

/** What was selected: its values, its pictures, and giving all of them a value. */
function Selection({ map, chosen, clear, by }) {
  const { can } = useShop();
  const meaning = useMeaning();
  const [open, setOpen] = useState(null);
  if (!chosen) {
    return html`<aside class="selection"><h2>Select some</h2><p class="soft">Draw around points with the lasso, or click a colour of the legend: their pictures appear here, to look at and to label. Scroll to zoom.</p></aside>`;
  }
  const counts = {};
  for (const i of chosen) {
    const value = map.values[map.codes[i]] ?? UNKNOWN;
    counts[value] = (counts[value] ?? 0) + 1;
  }
  const ranked = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  const one = (i) => ({ id: idAt(map.ids, chosen[i]), image: meaning.value(by, map.values[map.codes[chosen[i]]] ?? UNKNOWN), attributes: {}, confidence: {} });
  return html`<aside class="selection" aria-label="selected pictures">
    <h2>${counted(chosen.length, 'picture')} selected <button type="button" class="link" onClick=${clear}>clear</button></h2>
    ${by && html`<ul class="shares">${ranked.slice(0, 5).map(([value, n]) => html`<li key=${value}><span>${meaning.value(by, value)}</span><i style=${{ '--share': `${(100 * n) / chosen.length}%` }}></i><small>${percent(n / chosen.length)}</small></li>`)}</ul>`}
    ${can.write && chosen.length > 0 && html`<${Label} map=${map} chosen=${chosen} />`}
    <${Grid} label="selected pictures" total=${chosen.length} least=${88} keyOf=${(i) => chosen[i]} open=${setOpen} press=${(event, i) => event.key === 'Enter' && setOpen(i)}
      tile=${(i, cell) => html`<${Tile} one=${one(i)} place=${cell} attributes=${[]} />`} />
    ${open !== null && html`<${Details} id=${one(open).id} close=${() => setOpen(null)} like=${(id) => go(`/?like=${id}`)} removed=${() => setOpen(null)}
      step=${(move) => setOpen(Math.min(chosen.length - 1, Math.max(0, open + move)))} />`}
  </aside>`;
}

function Label({ map, chosen }) {
  const { catalogue, fail, notify, reload } = useShop();
  const [name, setName] = useKept('gingham:label', '');
  const [value, setValue] = useState('');
  const [busy, setBusy] = useState(false);
  const known = catalogue.attributes[name.trim()];
  const ids = () => Array.from(chosen.slice(0, MOST), (i) => idAt(map.ids, i));
  const ready = name.trim() && value.trim();
  const label = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const said = known.kind === 'multi' ? [value.trim()] : value.trim();
      const learned = await api.addExamples(name.trim(), { examples: Object.fromEntries(ids().map((id) => [id, said])), kind: known.kind, apply: true });
      notify(`${counted(Math.min(chosen.length, MOST), 'picture')} labelled ${value.trim()}; accuracy ${learned.accuracy === null ? 'not measured' : percent(learned.accuracy)}`);
      await reload();
    } catch (problem) {
      fail(problem);
    } finally {
      setBusy(false);
    }
  };
  const collect = () => {
    const before = readDraft();
    let draft = before.name.trim() === name.trim() ? before : { ...emptyDraft(), name: name.trim() };
    let at = draft.values.findIndex((one) => one.value.trim() === value.trim());
    if (at < 0) at = draft.values.findIndex((one) => !one.value && !one.ids.length);
    if (at < 0) at = draft.values.length;
    const values = [...draft.values];
    values[at] = { ids: [], ...values[at], value: value.trim() };
    draft = assign({ ...draft, values, active: at }, ids().map((id) => ({ id, image: id })), at);
    sessionStorage.setItem(KEY, JSON.stringify(draft));
    notify(`${counted(Math.min(chosen.length, MOST), 'picture')} chosen for ${value.trim()}`, { name: 'go to Teach', go: () => go('/teach') });
  };
  return html`<form class="label" onSubmit=${label}>
    <label class="field"><span>Attribute</span><input list="attributes" value=${name} onInput=${(event) => setName(event.target.value)} autocomplete="off" /></label>
    <label class="field"><span>Value</span><input list="values" value=${value} onInput=${(event) => setValue(event.target.value)} autocomplete="off" /></label>
    <datalist id="attributes">${Object.keys(catalogue.attributes).map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>
    <datalist id="values">${(known?.values ?? []).map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>
    <button class=${known ? 'main' : ''} disabled=${!ready || !known || Boolean(known.model) || busy} title=${known ? '' : 'a new attribute needs two values: choose them for Teach'}>${busy ? 'Learning …' : 'Label them'}</button>
    <button type="button" class=${known ? '' : 'main'} disabled=${!ready} onClick=${collect}>Choose for Teach</button>
    ${chosen.length > MOST && html`<p class="soft small">The first ${MOST.toLocaleString('en')} are taken: that is enough to teach.</p>`}
  </form>`;
}
