// Teach an attribute: name it, choose pictures for each value, see what was learned, apply it.
import { counted, html, useCallback, useEffect, useKept, useMemo, useRef, useShop, useState } from '../ui.js';
import { api } from '../api.js';
import { go } from '../route.js';
import { KEY, assign, emptyDraft, examplesOf, lacking, placesOf, unassign } from '../draft.js';
import { Choose, DropAnywhere } from '../components/drop.js';
import { Chips, Facets } from '../components/facets.js';
import { Grid } from '../components/grid.js';
import { useImages } from '../components/images.js';
import { JobProgress, useJob } from '../components/job.js';
import { Learned } from '../components/learned.js';
import { Thumbnail, Tile } from '../components/tile.js';
import { useAdding } from './empty.js';

const NEAR = 16; // examples that "alike" searches with: as many as a request may give

export function Teach({ place }) {
  const { catalogue, can, fail, notify, reload } = useShop();
  const [draft, setDraft] = useKept(KEY, emptyDraft());
  const [learned, setLearned] = useState(null);
  const [busy, setBusy] = useState(false);
  const [job, startJob, cancelJob] = useJob();
  const { add, progress } = useAdding();
  const asked = place.params.get('attribute');
  useEffect(() => {
    if (asked && asked !== draft.name) setDraft(draftOf(asked, catalogue));
  }, [asked]);
  if (!can.write) return html`<${MayNot} what="teach" />`;

  const known = catalogue.attributes[draft.name.trim()];
  const taught = known && !known.model && !known.built_in;
  const missing = lacking(draft);
  const chosen = draft.values.reduce((sum, value) => sum + value.ids.length, 0);

  const teach = async () => {
    const name = draft.name.trim();
    setBusy(true);
    try {
      const kind = taught ? known.kind : draft.kind;
      setLearned(await api.addExamples(name, { examples: examplesOf({ ...draft, kind }), kind, apply: false }));
      await reload();
    } catch (problem) {
      fail(problem);
    } finally {
      setBusy(false);
    }
  };
  const apply = async () => {
    const ended = await startJob({ kind: 'tag', attributes: [draft.name.trim()] });
    if (ended?.state === 'done') {
      notify(`${draft.name.trim()} is applied to every image`, { name: 'look at it', go: () => go('/') });
      setDraft(emptyDraft());
      setLearned(null);
    }
    await reload();
  };
  const take = async (files) => {
    const { added, unchanged } = await add(files);
    setDraft((old) => assign(old, [...added, ...unchanged], old.active));
  };
  const idOf = (image) => Object.keys(draft.files).find((id) => draft.files[id] === image) ?? null;

  return html`<div class="columns teach">
    <${DropAnywhere} take=${take} says=${`Drop pictures to add them as examples of “${draft.values[draft.active]?.value || `value ${draft.active + 1}`}”`} />
    <aside class="rail" aria-label="the attribute">
      <label class="field"><span>Attribute</span>
        <input name="attribute" list="attributes" value=${draft.name} placeholder="pattern, neckline, plumage …" autocomplete="off"
          onInput=${(event) => setDraft({ ...draft, name: event.target.value })} /></label>
      <datalist id="attributes">${Object.keys(catalogue.attributes).map((name) => html`<option key=${name} value=${name}></option>`)}</datalist>
      ${known && !taught && html`<p class="small bad">${known.built_in ? `${draft.name} is built in` : `A trained model answers ${draft.name}`}: give another name.</p>`}
      ${taught
        ? html`<p class="small soft">It has ${counted(known.examples, 'example')}; what you choose is added.
            ${draft.values.every((value) => !value.value) && html` <button type="button" class="link" onClick=${() => setDraft(draftOf(draft.name.trim(), catalogue))}>use its values</button>`}</p>`
        : html`<${Kind} draft=${draft} setDraft=${setDraft} />`}
      <h2>Values</h2>
      <p class="small soft">Ten pictures per value are a good start. Click one here to choose for it.</p>
      <ol class="buckets">${draft.values.map((value, i) => html`<${Bucket} key=${i} value=${value} place=${i} draft=${draft} setDraft=${setDraft} take=${take} />`)}</ol>
      <p><button type="button" onClick=${() => setDraft({ ...draft, active: draft.values.length, values: [...draft.values, { value: '', ids: [] }] })}>Add a value</button>
        ${chosen > 0 && html` <button type="button" class="link" onClick=${() => { setDraft(emptyDraft()); setLearned(null); }}>start over</button>`}</p>
      ${progress && html`<p class="small" role="status"><span class="spinner"></span> ${progress.done} of ${counted(progress.total, 'picture')} read …</p>`}
      <div class="stay">
        <button type="button" class="main" disabled=${busy || Boolean(missing) || !chosen} onClick=${teach}>${busy ? 'Learning …' : `Teach with ${counted(chosen, 'picture')}`}</button>
        <p class="small soft" role="status">${chosen ? missing : 'Choose pictures for at least two values.'}</p>
      </div>
    </aside>
    <section class="results" aria-label="pictures to choose from">
      ${learned && html`<div class="outcome"><h1>${learned.attribute}</h1><${Learned} learned=${learned} idOf=${idOf} />
        ${job && html`<${JobProgress} job=${job} cancel=${cancelJob} />`}
        <p class="actions"><button type="button" class="main" disabled=${job?.state === 'running' || job?.state === 'waiting'} onClick=${apply}>Apply to all ${counted(catalogue.images, 'image')}</button>
          <button type="button" onClick=${() => setLearned(null)}>Choose more examples</button>
          <button type="button" onClick=${() => go(`/review?attribute=${encodeURIComponent(learned.attribute)}`)}>Review it</button></p></div>`}
      <${Picker} draft=${draft} setDraft=${setDraft} />
    </section>
  </div>`;
}

/** What a reader sees instead of a view that changes the catalogue. */
export function MayNot({ what }) {
  const { catalogue } = useShop();
  return html`<div class="empty"><h1>You may look, not ${what}</h1><p>${catalogue.read_only
    ? 'This server was started with --read-only.'
    : `Your key is a ${catalogue.role}'s: ask whoever runs the server for an editor's.`}</p><p><a href="/">Back to search</a></p></div>`;
}

function draftOf(name, catalogue) {
  const known = catalogue.attributes[name];
  const values = (known?.values ?? []).map((value) => ({ value, ids: [] }));
  return { ...emptyDraft(), name, kind: known?.kind ?? 'single', values: values.length ? values : emptyDraft().values };
}

function Kind({ draft, setDraft }) {
  const option = (kind, says) => html`<label class="field row"><input type="radio" name="kind" checked=${draft.kind === kind} onChange=${() => setDraft({ ...draft, kind })} /><span>${says}</span></label>`;
  return html`<fieldset class="kind"><legend class="hidden">values per picture</legend>${option('single', 'one value per picture')}${option('multi', 'any number of values')}</fieldset>`;
}

function Bucket({ value, place, draft, setDraft, take }) {
  const active = draft.active === place;
  const change = (part) => setDraft({ ...draft, active: place, values: draft.values.map((one, i) => (i === place ? { ...one, ...part } : one)) });
  const remove = () => {
    const values = draft.values.filter((_, i) => i !== place);
    setDraft({ ...draft, values, active: Math.max(0, Math.min(draft.active, values.length - 1)) });
  };
  return html`<li class=${`bucket${active ? ' active' : ''}`} onClick=${() => active || setDraft({ ...draft, active: place })}>
    <div><kbd>${place + 1}</kbd><input aria-label=${`name of value ${place + 1}`} value=${value.value} placeholder="value" onFocus=${() => active || setDraft({ ...draft, active: place })}
      onInput=${(event) => change({ value: event.target.value })} /><small>${value.ids.length}</small>
      ${draft.values.length > 2 && html`<button type="button" class="bare" aria-label=${`remove the value ${value.value || place + 1}`} onClick=${(event) => { event.stopPropagation(); remove(); }}>×</button>`}</div>
    ${value.ids.length > 0 && html`<ul>${value.ids.slice(-24).map((id) => html`<li key=${id}><button type="button" aria-label="take it out" title="take it out"
      onClick=${(event) => { event.stopPropagation(); setDraft(unassign(draft, id, place)); }}><${Thumbnail} id=${id} size=${96} /></button></li>`)}</ul>`}
    ${active && html`<p class="small"><${Choose} take=${take} many className="link">upload pictures<//> <span class="soft">or choose from the grid</span></p>`}
  </li>`;
}

/** Images most like the examples of a value. */
function useAlike(ids, where) {
  const { fail } = useShop();
  const [hits, setHits] = useState(null);
  const key = JSON.stringify([ids, where]);
  useEffect(() => {
    let left = false;
    setHits(null);
    if (ids) api.search({ id: ids.slice(-NEAR), where, n: 200 }).then((made) => left || setHits(made.hits), (problem) => left || fail(problem));
    return () => {
      left = true;
    };
  }, [key]);
  return hits;
}

function Picker({ draft, setDraft }) {
  const [where, setWhere] = useState([]);
  const [alike, setAlike] = useState(null); // the examples that the grid is sorted by
  const all = useImages({ where });
  const hits = useAlike(alike, where);
  const last = useRef(null);
  const at = (i) => (alike ? hits?.[i] : all.at(i));
  const total = (alike ? hits?.length : all.total) ?? 0;
  const active = draft.values[draft.active];
  const label = (i) => draft.values[i].value.trim() || `value ${i + 1}`;

  const put = (indices, place) => {
    const ones = indices.map(at).filter(Boolean);
    if (ones.length && place < draft.values.length) setDraft({ ...assign(draft, ones, place), active: place });
  };
  const choose = (i, event) => {
    const one = at(i);
    if (!one) return;
    if (event.shiftKey && last.current !== null) {
      const [from, to] = [Math.min(i, last.current), Math.max(i, last.current)];
      put(Array.from({ length: to - from + 1 }, (_, k) => from + k), draft.active);
    } else if (active.ids.includes(one.id)) setDraft(unassign(draft, one.id, draft.active));
    else put([i], draft.active);
    last.current = i;
  };
  const press = (event, i) => {
    const digit = Number(event.key);
    if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault();
      choose(i, event);
    } else if (digit >= 1 && digit <= draft.values.length) put([i], digit - 1);
    else if ((event.key === '0' || event.key === 'Backspace') && at(i)) setDraft(unassign(draft, at(i).id));
  };
  return html`<div class="bar">
      <div class="tabs" role="group" aria-label="which pictures">
        <button type="button" aria-pressed=${!alike} onClick=${() => setAlike(null)}>All pictures</button>
        <button type="button" aria-pressed=${Boolean(alike)} disabled=${!active?.ids.length} onClick=${() => setAlike(active.ids)}>Most like “${label(draft.active)}”</button>
      </div>
      <${Chips} where=${where} change=${setWhere} />
      <details class="pop"><summary>Filter</summary><div><${Facets} where=${where} change=${setWhere} /></div></details>
      <p class="hint">Click to choose for <b>${label(draft.active)}</b>; shift-click a range; <kbd>1</kbd>–<kbd>9</kbd> choose for a value.</p>
    </div>
    ${alike && !hits && html`<p class="soft" role="status"><span class="spinner"></span> Searching …</p>`}
    <${Grid} label="pictures to choose from" total=${total} least=${118} want=${alike ? null : all.want} open=${choose} press=${press} keyOf=${alike ? (i) => hits[i].id : null}
      tile=${(i, cell) => {
        const one = at(i);
        const places = one ? placesOf(draft, one.id) : [];
        return html`<${Tile} one=${one} place=${cell} attributes=${[]} selected=${places.length > 0} badge=${places.map(label).join(', ')} />`;
      }} />`;
}
