// Two attributes on the same pictures: where they agree, where they differ, and which pictures those are.
import { counted, html, percent, useEffect, useMemo, useShop, useState } from '../ui.js';
import { query } from '../api.js';
import { useMeaning } from '../meaning.js';
import { go } from '../route.js';
import { idAt, valuesOf } from '../values.js';
import { Details } from '../components/details.js';
import { Grid } from '../components/grid.js';
import { Tile } from '../components/tile.js';

const BEFORE = 'before'; // A as it was taught at an earlier change of the history
const UNKNOWN = 'unknown';

const nameOf = (side, code) => side.values[code] ?? UNKNOWN;

/** Pairs of values on the images that both sides have. */
function cross(a, b) {
  const places = new Map();
  for (let i = 0; i < a.codes.length; i += 1) if (a.codes[i] !== -2) places.set(idAt(a.ids, i), i);
  const cells = new Map();
  let [both, same] = [0, 0];
  for (let j = 0; j < b.codes.length; j += 1) {
    if (b.codes[j] === -2) continue;
    const id = idAt(b.ids, j);
    const i = places.get(id);
    if (i === undefined) continue;
    const [row, column] = [nameOf(a, a.codes[i]), nameOf(b, b.codes[j])];
    const key = `${row}\n${column}`;
    if (!cells.has(key)) cells.set(key, { row, column, ids: [] });
    cells.get(key).ids.push(id);
    both += 1;
    same += row === column;
  }
  const sums = (side) => {
    const counts = new Map();
    for (const cell of cells.values()) counts.set(cell[side], (counts.get(cell[side]) ?? 0) + cell.ids.length);
    return [...counts.keys()].sort((x, y) => (x === UNKNOWN) - (y === UNKNOWN) || x.localeCompare(y));
  };
  const [rows, columns] = [sums('row'), sums('column')];
  const shared = rows.filter((value) => value !== UNKNOWN && columns.includes(value));
  return { cells, rows, columns, both, same, alike: shared.length >= 2 };
}

export function Compare({ place }) {
  const { catalogue, version } = useShop();
  const meaning = useMeaning();
  const tagged = Object.keys(catalogue.attributes).filter((name) => catalogue.attributes[name].tagged > 0);
  const a = place.params.get('a') ?? tagged[0];
  const b = place.params.get('b') ?? tagged[1] ?? BEFORE;
  const cell = place.params.get('cell');
  // The changes at which A is compared with itself: they are in the address, so that it shows the same later.
  const number = (name, other) => Number(place.params.get(name) ?? other);
  const to = b === BEFORE ? number('to', catalogue.attributes[a]?.changed ?? 0) : null;
  const from = b === BEFORE ? number('from', Math.max(0, to - 1)) : null;
  const [sides, setSides] = useState(null);
  const [problem, setProblem] = useState(null);
  const change = (part) => go(`/compare${query({ a, b, cell, from, to, ...part })}`, { replace: true });
  useEffect(() => {
    let left = false;
    if (!a) return undefined;
    if (b === BEFORE && !(place.params.has('from') && place.params.has('to'))) change({});
    setSides(null);
    setProblem(null);
    Promise.all([valuesOf(a, to), b === BEFORE ? valuesOf(a, from) : valuesOf(b)]).then(
      (made) => left || setSides(made),
      (why) => left || setProblem(why),
    );
    return () => {
      left = true;
    };
  }, [a, b, from, to, version]);
  const found = useMemo(() => sides?.[0] && sides[1] && cross(...sides), [sides]);
  if (!a) return html`<div class="empty"><h1>Nothing to compare yet</h1><p>Compare shows two attributes on the same pictures, or one before and after a correction. <a href="/teach">Teach an attribute</a> and apply it first.</p></div>`;
  const names = (value, choose, label, more) => html`<label class="field row"><span>${label}</span><select value=${value} onChange=${(event) => choose(event.target.value)}>${tagged.map((name) => html`<option key=${name} value=${name}>${meaning.attribute(name)}</option>`)}${more}</select></label>`;
  return html`<div class="plain compare">
    <div class="bar">
      ${names(a, (value) => change({ a: value, cell: null, from: null, to: null }), 'Compare')}
      ${names(b, (value) => change({ b: value, cell: null, from: null, to: null }), 'with', html`<option value=${BEFORE}>${meaning.attribute(a)} before the last correction</option>`)}
      ${found?.alike && html`<p><b>${percent(found.same / found.both)}</b> of ${counted(found.both, 'image')} the same${found.both > found.same ? `, ${found.both - found.same} differ` : ''}</p>`}
    </div>
    ${b === BEFORE && html`<p class="soft small">${meaning.attribute(a)} as it was taught at change ${to} and, before, at change ${from} of the <a href="/history">history</a>, on the images of now.</p>`}
    ${problem ? html`<p class="nothing">${problem.message}</p>`
      : sides === null ? html`<p class="nothing" role="status"><span class="spinner"></span> Comparing …</p>`
      : !found.both ? html`<p class="nothing">${b !== BEFORE ? 'One of the two has no values.' : `${meaning.attribute(a)} was not taught at change ${sides[1].values.length ? to : from}: there is nothing to compare.`}</p>`
      : html`<${Cross} found=${found} a=${a} b=${b === BEFORE ? a : b} before=${b === BEFORE} cell=${cell} choose=${(key) => change({ cell: key })} />`}
  </div>`;
}

function Cross({ found, a: first, b: second, before, cell, choose }) {
  const meaning = useMeaning();
  const [a, b] = [meaning.attribute(first), `${meaning.attribute(second)}${before ? ' before' : ''}`];
  const [sayA, sayB] = [(value) => meaning.value(first, value), (value) => meaning.value(second, value)];
  const [open, setOpen] = useState(null);
  const { cells, rows, columns, alike } = found;
  const count = (row, column) => cells.get(`${row}\n${column}`)?.ids.length ?? 0;
  const ids = useMemo(() => {
    if (cell && cells.has(cell)) return cells.get(cell).ids;
    return [...cells.values()].filter(({ row, column }) => row !== column).flatMap((one) => one.ids);
  }, [cell, cells]);
  const valuesOf = useMemo(() => new Map([...cells.values()].flatMap(({ row, column, ids }) => ids.map((id) => [id, [row, column]]))), [cells]);
  const [row, column] = cell?.split('\n') ?? [];
  const tile = (id) => {
    const [x, y] = valuesOf.get(id);
    return { id, image: `${a}: ${sayA(x)}, ${b}: ${sayB(y)}`, attributes: { [a]: sayA(x), [b]: sayB(y) }, confidence: {} };
  };
  return html`<div class="crossed">
    <div class="scroll" tabindex="0" role="region" aria-label=${`${a} by ${b}`}><table class=${`${columns.length > 7 ? 'turned' : ''}${alike ? ' alike' : ''}`}>
      <thead><tr><th scope="col">${a} ↓ ${b} →</th>${columns.map((name) => html`<th key=${name} scope="col"><span>${sayB(name)}</span></th>`)}</tr></thead>
      <tbody>${rows.map((name) => {
        const most = Math.max(...columns.map((other) => count(name, other)));
        return html`<tr key=${name}><th scope="row">${sayA(name)}</th>${columns.map((other) => {
          const n = count(name, other);
          return html`<td key=${other} class=${alike && name === other ? 'right' : ''} style=${{ '--share': Math.round(55 * Math.sqrt(n / most)) }}>${n > 0 && html`<button type="button" aria-pressed=${row === name && column === other} aria-label=${`${n} pictures: ${a} ${sayA(name)}, ${b} ${sayB(other)}`} onClick=${() => choose(`${name}\n${other}`)}>${n.toLocaleString('en')}</button>`}</td>`;
        })}</tr>`;
      })}</tbody></table></div>
    <div>
      <h2>${cell ? `${a} ${sayA(row)}, ${b} ${sayB(column)}: ${counted(ids.length, 'picture')}` : alike ? (ids.length ? `The ${counted(ids.length, 'picture')} on which they differ` : 'They agree on every picture') : 'Click a number to see its pictures'}
        ${cell && html` <button type="button" class="link" onClick=${() => choose(null)}>all that differ</button>`}</h2>
      ${(cell || alike) && html`<${Grid} label="pictures" total=${ids.length} least=${132} extra=${54} keyOf=${(i) => ids[i]} open=${setOpen} press=${(event, i) => event.key === 'Enter' && setOpen(i)}
        tile=${(i, place) => html`<${Tile} one=${tile(ids[i])} place=${place} attributes=${[a, b]} named />`} />`}
    </div>
    ${open !== null && ids[open] && html`<${Details} id=${ids[open]} close=${() => setOpen(null)} like=${(id) => go(`/?like=${id}`)} removed=${() => setOpen(null)}
      step=${(by) => setOpen(Math.min(ids.length - 1, Math.max(0, open + by)))} />`}
  </div>`;
}
