// Review what an attribute says, the most doubtful first: confirm, correct or skip by a key.
import { counted, fileName, html, listed, percent, useEffect, useKeys, useMemo, useRef, useShop, useState } from '../ui.js';
import { query, thumbnail } from '../api.js';
import { UNKNOWN, useMeaning } from '../meaning.js';
import { go } from '../route.js';
import { said, useReview } from '../reviewing.js';
import { Grid } from '../components/grid.js';
import { JobProgress, useJob } from '../components/job.js';
import { Spark } from '../components/spark.js';
import { Tile } from '../components/tile.js';
import { MayNot } from './teach.js';

const ORDERS = [['useful', 'Most useful'], ['uncertain', 'Least certain'], ['suspicious', 'Most suspicious'], ['random', 'Any']];
const KEYS = 9;

export function Review({ place }) {
  const { catalogue, can } = useShop();
  const taught = Object.keys(catalogue.attributes).filter((name) => !catalogue.attributes[name].model && !catalogue.attributes[name].built_in);
  const { params } = place;
  const state = {
    attribute: params.get('attribute') ?? taught[0],
    order: params.get('order') ?? 'useful',
    value: params.get('value') ?? '',
    mode: params.get('mode') ?? 'single',
  };
  if (!can.write) return html`<${MayNot} what="review" />`;
  if (!taught.length) {
    return html`<div class="empty"><h1>Nothing to review yet</h1><p>Review shows what a taught attribute says, the most doubtful first, so that a key press confirms or corrects it. <a href="/teach">Teach an attribute</a> first.</p></div>`;
  }
  if (!taught.includes(state.attribute)) return html`<div class="empty"><h1>No attribute “${state.attribute}”</h1><p>It was forgotten or renamed. <a href="/review">Review another</a></p></div>`;
  return html`<${Session} key=${[state.attribute, state.order, state.value].join('\n')} state=${state} taught=${taught} />`;
}

function Session({ state, taught }) {
  const { catalogue } = useShop();
  const meaning = useMeaning();
  const info = catalogue.attributes[state.attribute];
  const review = useReview(state);
  const change = (part) => go(`/review${query({ ...state, ...part })}`, { replace: true });
  return html`<div class="review">
    <div class="bar">
      <label class="field row"><span>Attribute</span><select value=${state.attribute} onChange=${(event) => change({ attribute: event.target.value, value: '' })}>${taught.map((name) => html`<option key=${name} value=${name}>${meaning.attribute(name)}</option>`)}</select></label>
      <div class="tabs" role="group" aria-label="order">${ORDERS.map(([order, name]) => html`<button key=${order} type="button" aria-pressed=${state.order === order} onClick=${() => change({ order })}>${name}</button>`)}</div>
      <label class="field row"><span>Said to be</span><select value=${state.value} onChange=${(event) => change({ value: event.target.value })}><option value="">anything</option>${info.values.map((value) => html`<option key=${value} value=${value}>${meaning.value(state.attribute, value)}</option>`)}</select></label>
      <div class="tabs" role="group" aria-label="how many at once">${['single', 'grid'].map((mode) => html`<button key=${mode} type="button" aria-pressed=${state.mode === mode} onClick=${() => change({ mode })}>${mode === 'single' ? 'One by one' : 'Grid'}</button>`)}</div>
      <${Progress} review=${review} attribute=${state.attribute} />
    </div>
    ${review.items === null ? html`<p class="nothing" role="status"><span class="spinner"></span> Looking for what is doubtful …</p>`
      : !review.items.length ? html`<p class="nothing">Nothing is left to look at here${review.decided ? `: ${counted(review.decided, 'decision')} made` : ''}. ${review.steps > 0 && html`<button type="button" class="link" onClick=${review.undo}>undo the last</button>`}</p>`
      : state.mode === 'single' ? html`<${Single} key=${review.items[0].id} review=${review} info=${info} attribute=${state.attribute} />`
      : html`<${Many} review=${review} info=${info} attribute=${state.attribute} />`}
  </div>`;
}

/** How right the attribute is after each answer, and applying what was learned. */
function Progress({ review, attribute }) {
  const { reload, notify } = useShop();
  const [job, start, cancel] = useJob();
  const apply = async () => {
    const ended = await start({ kind: 'tag', attributes: [attribute] });
    if (ended?.state === 'done') {
      notify(`${attribute} is applied to every image`, { name: 'what changed?', go: () => go(`/compare${query({ a: attribute, b: 'before', from: review.since })}`) });
      await reload();
    }
  };
  const known = review.accuracy.filter((x) => x !== null);
  return html`<div class="moving-accuracy" role="status">
    ${known.length > 0 && html`<span>accuracy <b>${percent(known.at(-1))}</b></span><${Spark} values=${known} />`}
    <span class="soft">${review.unsaved ? 'learning …' : review.decided ? `${review.decided} kept` : ''}</span>
    ${known.length > 0 && html`<button type="button" class="main" disabled=${review.unsaved || job?.state === 'running'} onClick=${apply}>Apply</button>`}
    ${job && html`<${JobProgress} job=${job} cancel=${cancel} />`}
  </div>`;
}

/** The values that keys stand for: in their order, or the likeliest where they are many. */
function keyed(item, info) {
  if (info.values.length <= KEYS) return info.values;
  return Object.keys(item.values).slice(0, KEYS);
}

function Single({ review, info, attribute }) {
  const [item, next] = review.items;
  const meaning = useMeaning();
  const says = (value) => meaning.value(attribute, value);
  const multi = info.kind === 'multi';
  const values = keyed(item, info);
  const [chosen, setChosen] = useState(multi ? listed(item.value).filter((v) => v !== UNKNOWN) : []);
  const other = useRef(null);
  const unknown = item.value === null || item.value === UNKNOWN;
  const confirm = () => (multi ? review.decide([item], chosen) : !unknown && review.decide([item], said(item, multi)));
  const pick = (value) => (multi
    ? setChosen((all) => (all.includes(value) ? all.filter((one) => one !== value) : [...all, value]))
    : review.decide([item], value));
  useKeys((event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key === 'z') review.undo();
      return;
    }
    const value = values[Number(event.key) - 1];
    const inButton = event.target.closest?.('button, select, a');
    if (value !== undefined) pick(value);
    else if (event.key === 'Enter' && !inButton) confirm();
    else if (event.key === 's' || event.key === 'ArrowRight') review.decide([item]);
    else if (event.key === 'u' || event.key === 'ArrowLeft') review.undo();
    else if (event.key === 'o') {
      event.preventDefault();
      other.current?.focus();
    }
  });
  return html`<div class="single">
    <div class="large"><img src=${thumbnail(item.id, 1024)} alt=${fileName(item.image)} />${next && html`<link rel="prefetch" href=${thumbnail(next.id, 1024)} as="image" />`}</div>
    <div class="judge">
      <h1>${unknown ? html`Which ${meaning.attribute(attribute)} is it?` : html`Is it <em>${listed(item.value).map(says).join(', ')}</em>?`}</h1>
      <p class="soft">${item.reason}</p>
      <ol class="answers">${values.map((value, i) => html`<li key=${value}><button type="button" aria-pressed=${multi ? chosen.includes(value) : undefined} class=${listed(item.value).includes(value) ? 'said' : ''} onClick=${() => pick(value)}>
        <kbd>${i + 1}</kbd><span>${says(value)}</span><i style=${{ '--share': `${100 * (item.values[value] ?? 0)}%` }}></i><small>${unknown || item.values[value] === undefined ? '' : percent(item.values[value])}</small></button></li>`)}</ol>
      <form class="other" onSubmit=${(event) => { event.preventDefault(); const value = other.current.value.trim(); if (value) { other.current.value = ''; other.current.blur(); pick(info.values.find((one) => says(one) === value) ?? value); } }}>
        <input ref=${other} list="values" aria-label="another value" placeholder="another value" autocomplete="off" /><datalist id="values">${info.values.map((value) => html`<option key=${value} value=${says(value)}></option>`)}</datalist><kbd>O</kbd></form>
      <div class="actions">
        <button type="button" class="main" disabled=${unknown && !multi} onClick=${confirm}>${multi ? 'Keep these' : 'Yes'} <kbd>Enter</kbd></button>
        <button type="button" onClick=${() => review.decide([item])}>Skip <kbd>S</kbd></button>
        <button type="button" disabled=${!review.steps} onClick=${review.undo}>Undo <kbd>U</kbd></button>
      </div>
      <p class="soft small path">${fileName(item.image)}${item.example ? ' · an example that was taught' : ''}</p>
    </div>
  </div>`;
}

function Many({ review, info, attribute }) {
  const meaning = useMeaning();
  const { items } = review;
  const multi = info.kind === 'multi';
  const [selected, setSelected] = useState(new Set());
  const last = useRef(0);
  const values = info.values.slice(0, KEYS);
  useEffect(() => setSelected((old) => new Set(items.filter((item) => old.has(item.id)).map((item) => item.id))), [items]);
  const chosen = useMemo(() => items.filter((item) => selected.has(item.id)), [items, selected]);
  const range = (to) => items.slice(Math.min(last.current, to), Math.max(last.current, to) + 1).map((item) => item.id);
  const open = (i, event) => {
    if (event.shiftKey) setSelected(new Set([...selected, ...range(i)]));
    else {
      const next = new Set(selected);
      if (!next.delete(items[i].id)) next.add(items[i].id);
      setSelected(next);
      last.current = i;
    }
  };
  const press = (event, i) => {
    if (event.key === ' ') {
      event.preventDefault();
      open(i, event);
    } else if (event.shiftKey && event.key.startsWith('Arrow')) setSelected(new Set([...selected, ...range(i)]));
  };
  const act = (to) => chosen.length && review.decide(chosen, to);
  const confirm = () => {
    const sure = chosen.filter((item) => item.value !== null && item.value !== UNKNOWN);
    if (sure.length) review.decide(sure, (item) => said(item, multi));
  };
  useKeys((event) => {
    if (event.ctrlKey || event.metaKey) {
      if (event.key === 'a') {
        event.preventDefault();
        setSelected(new Set(items.map((item) => item.id)));
      } else if (event.key === 'z') review.undo();
      return;
    }
    const value = values[Number(event.key) - 1];
    if (value !== undefined) act(multi ? [value] : value);
    else if (event.key === 'Enter' && !event.target.closest?.('button, select, a')) confirm();
    else if (event.key === 's') act(undefined);
    else if (event.key === 'u') review.undo();
    else if (event.key === 'Escape') setSelected(new Set());
  });
  return html`<div class="many">
    <div class="bar hand"><p role="status">${chosen.length ? `${chosen.length} selected` : 'Select pictures: click, shift-click a range, Ctrl+A for all.'}</p>
      <div class="tabs" role="group" aria-label="give a value to those selected">${values.map((value, i) => html`<button key=${value} type="button" disabled=${!chosen.length} onClick=${() => act(multi ? [value] : value)}><kbd>${i + 1}</kbd> ${meaning.value(attribute, value)}</button>`)}</div>
      <div class="tabs"><button type="button" disabled=${!chosen.length} onClick=${confirm}>Right as they are <kbd>Enter</kbd></button>
      <button type="button" disabled=${!chosen.length} onClick=${() => act(undefined)}>Skip <kbd>S</kbd></button>
      <button type="button" disabled=${!review.steps} onClick=${review.undo}>Undo <kbd>U</kbd></button></div></div>
    <${Grid} label="pictures to review" total=${items.length} extra=${30} keyOf=${(i) => items[i].id} open=${open} press=${press} moving
      tile=${(i, cell) => html`<${Tile} one=${asTile(items[i], attribute)} place=${cell} attributes=${[attribute]} selected=${selected.has(items[i].id)} />`} />
  </div>`;
}

const asTile = (item, attribute) => ({
  ...item, attributes: { [attribute]: item.value ?? UNKNOWN }, confidence: { [attribute]: item.confidence },
});
