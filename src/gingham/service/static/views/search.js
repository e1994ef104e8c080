// Search by pictures and looks, and browse by filters.
import {
  counted, debounce, html, latest, useCallback, useEffect, useKeys, useMemo, useRef, useShop, useState,
} from '../ui.js';
import { go } from '../route.js';
import { TEXT, compared, nextPage, readSearch, search, searchAddress } from '../searching.js';
import { pictureOf, upload } from '../uploads.js';
import { Colours } from '../components/colours.js';
import { Cutoff } from '../components/cutoff.js';
import { Details } from '../components/details.js';
import { Choose, DropAnywhere } from '../components/drop.js';
import { Chips, Facets } from '../components/facets.js';
import { Grid } from '../components/grid.js';
import { useImages } from '../components/images.js';
import { Picture } from '../components/picture.js';
import { Sliders } from '../components/sliders.js';
import { Tile, tileExtra } from '../components/tile.js';

const PAUSE = 40; // ms without a movement before a search is sent
const SHOWN = 2; // attributes under a tile

export function Search({ place }) {
  const { catalogue, fail } = useShop();
  const state = useMemo(() => readSearch(place.params), [place]);
  const [reading, setReading] = useState(false);
  const change = (part, options) => go(searchAddress({ ...state, ...part }), options);

  const take = async (files) => {
    setReading(true);
    try {
      const ids = [];
      for (const file of files) ids.push(await upload(file));
      change({ like: [...new Set(ids)], unlike: [], crop: null, open: null });
    } catch (problem) {
      fail(problem);
    } finally {
      setReading(false);
    }
  };
  const like = (id) => change({ like: [id], unlike: [], crop: null, open: null });
  const also = (id) => change({ like: [...new Set([...state.like, id])], crop: null, open: null });
  const unlike = (id) => change({ unlike: [...new Set([...state.unlike, id])], open: null });
  const pictured = state.like.length > 0;
  const searching = pictured || state.text !== '' || Object.keys(state.colours).length > 0;
  const sliding = pictured || (state.text && catalogue.looks.includes(TEXT));
  return html`<div class="columns search">
    <${DropAnywhere} take=${take} says="Drop pictures to search with them" />
    <aside class="rail" aria-label="what to search for">
      <${Query} state=${state} change=${change} take=${take} reading=${reading} />
      <${Words} text=${state.text} change=${(text) => change({ text, open: null })} />
      ${sliding && html`<${Sliders} looks=${state.looks} text=${state.text} pictured=${pictured} change=${(looks) => change({ looks }, { replace: true })} />`}
      <${Colours} colours=${state.colours} change=${(colours, options) => change({ colours, open: null }, options)} />
      ${searching && html`<${Least} least=${state.least} change=${(least) => change({ least }, { replace: true })} />`}
      ${searching && html`<${Spread} distinct=${state.distinct} by=${state.by} change=${change} />`}
      <details class="filters" open=${matchMedia('(min-width: 60rem)').matches || state.where.length > 0 || state.precision !== null}>
        <summary><h2>Filters</h2></summary>
        <${Cutoff} precision=${state.precision} change=${(precision) => change({ precision }, { replace: true })} />
        <${Facets} where=${state.where} precision=${state.precision} change=${(where) => change({ where })} />
      </details>
    </aside>
    <section class="results" data-scroll aria-label=${searching ? 'results' : 'images'}>
      ${searching
        ? html`<${Results} state=${state} change=${change} like=${like} also=${also} unlike=${unlike} />`
        : html`<${Browse} state=${state} change=${change} like=${like} />`}
    </section>
  </div>`;
}

/** Searches by words, once they are entered. */
function Words({ text, change }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  return html`<form class="words" role="search" onSubmit=${(event) => { event.preventDefault(); change(typed.trim()); }}>
    <input type="search" aria-label="words to search by" placeholder="or words: red dress" maxlength="1000" value=${typed}
      onInput=${(event) => { setTyped(event.target.value); if (!event.target.value && text) change(''); }} />
    <button type="submit">Search</button></form>`;
}

/** What words were taken for. */
function Understood({ said }) {
  const meant = Object.entries(said.meant).map(([words, filter]) => html`<li key=${words}><b>${words}</b> ${filter}</li>`);
  const rest = said.ranked_by !== null
    ? html`<li>ranked by <b>“${said.ranked_by}”</b></li>`
    : said.not_understood.length > 0 && html`<li>not understood: <b>${said.not_understood.join(', ')}</b></li>`;
  return (meant.length > 0 || rest) && html`<ul class="understood soft small" aria-label="what the words were taken for">${meant}${rest}</ul>`;
}

/** The pictures searched with, and those not to look like. */
function Query({ state, change, take, reading }) {
  const { like, unlike, crop } = state;
  const single = like.length === 1;
  return html`<div class="query">
    ${single && html`<${Picture} id=${like[0]} crop=${crop} label="the picture searched with" change=${(made) => change({ crop: made })} />`}
    ${like.length > 1 && html`<${Strip} title="Like these" ids=${like} change=${(ids) => change({ like: ids })} />`}
    ${unlike.length > 0 && html`<${Strip} title="Not like" ids=${unlike} change=${(ids) => change({ unlike: ids })} />`}
    <div class="ask">
      <${Choose} take=${take} many className=${like.length ? '' : 'main'}>${like.length ? 'Another picture' : 'Choose a picture'}<//>
      ${(like.length > 0 || state.text || Object.keys(state.colours).length > 0) && html`<button type="button" onClick=${() => change({ like: [], unlike: [], text: '', crop: null, looks: {}, colours: {}, least: null })}>Show all</button>`}
    </div>
    ${reading
      ? html`<p role="status" class="soft small"><span class="spinner"></span> The picture is being read …</p>`
      : !like.length && html`<p class="soft small">or drop one anywhere, paste one, or click one here.</p>`}
  </div>`;
}

function Strip({ title, ids, change }) {
  return html`<div class="likes"><h2>${title}</h2><ul>${ids.map((id) => html`<li key=${id}>
    <img src=${pictureOf(id, 160)} alt="" /><button type="button" aria-label="take this picture away" onClick=${() => change(ids.filter((one) => one !== id))}>×</button></li>`)}</ul></div>`;
}

/** Leaves out what looks too different. */
function Least({ least, change }) {
  return html`<label class="slider least"><span>at least</span>
    <input type="range" min="0" max="1" step="0.01" value=${least ?? 0} style=${{ '--at': `${100 * (least ?? 0)}%` }}
      onInput=${(event) => change(Number(event.target.value) || null)} />
    <output>${least === null ? 'any' : least.toFixed(2)}</output></label>`;
}

/** Shows one of what is nearly the same. */
function Spread({ distinct, by, change }) {
  const { catalogue } = useShop();
  const tick = (says, checked, part) => html`<label><input type="checkbox" checked=${checked}
    onChange=${(event) => change(part(event.target.checked), { replace: true })} /> ${says}</label>`;
  return html`<div class="spread">
    ${tick('without near-copies', distinct, (on) => ({ distinct: on }))}
    ${(catalogue.products > 0 || by) && tick('one of each product', by === 'product', (on) => ({ by: on ? 'product' : null }))}
  </div>`;
}

/** The hits of a search, page by page as they come into sight. */
function useHits(state) {
  const { catalogue, fail, version } = useShop();
  const [found, setFound] = useState({ hits: [], cursor: null, waiting: true });
  const { open, ...asked } = state; // what is open changes no result
  const key = JSON.stringify([asked, version]);
  const kept = useRef({});
  kept.current = { state, fail, looks: catalogue.looks, key };

  const ask = useMemo(() => latest(async () => {
    const { state, looks, fail } = kept.current;
    if (!state.text && !Object.keys(compared(state, looks)).length) {
      setFound({ hits: [], cursor: null, none: true });
      return;
    }
    try {
      const { hits, cursor, understood } = await search(state, looks);
      setFound({ hits, cursor, understood, waiting: false });
    } catch (problem) {
      fail(problem);
      setFound((old) => ({ ...old, ...(state.text ? { hits: [], cursor: null, understood: null } : {}), waiting: false, problem }));
    }
  }), []);
  const soon = useMemo(() => debounce(ask, PAUSE), []);
  useEffect(() => {
    soon();
  }, [key]);

  const more = useMemo(() => latest(async (cursor, asked) => {
    try {
      const next = await nextPage(cursor);
      setFound((old) => (old.cursor !== cursor || kept.current.key !== asked
        ? old
        : { ...old, hits: [...old.hits, ...next.hits], cursor: next.cursor }));
    } catch (problem) {
      kept.current.fail(problem);
      setFound((old) => ({ ...old, cursor: null }));
    }
  }), []);
  return { ...found, more: () => found.cursor && more(found.cursor, key) };
}

function Results({ state, change, like, also, unlike }) {
  const { catalogue } = useShop();
  const { hits, cursor, understood, waiting, none, problem, more } = useHits(state);
  const attributes = useShown();
  const looks = Object.keys(compared(state, catalogue.looks));
  const open = hits.findIndex((hit) => hit.id === state.open);
  const want = useCallback((from, to) => {
    if (to >= hits.length) more();
  }, [hits.length, cursor]);
  const press = (event, index) => {
    if (event.key === 'Enter') change({ open: hits[index].id });
    else if (event.key === 'l') like(hits[index].id);
    else if (event.key === '+') also(hits[index].id);
    else if (event.key === 'x' || event.key === '-') unlike(hits[index].id);
  };
  return html`<div class="bar"><p role="status" aria-live="polite">${none
      ? 'Move a slider up: no look counts.'
      : waiting ? 'Searching …' : hits.length ? `${cursor ? 'The first ' : ''}${counted(hits.length, 'image')}, ${orderOf(state, looks)}` : ''}</p>
      <${Chips} where=${state.where} change=${(where) => change({ where })} />
    </div>
    ${understood && html`<${Understood} said=${understood} />`}
    ${!waiting && !hits.length && !none && html`<p class="nothing">${problem ? problem.message : 'Nothing is found: take a filter away, or lower “at least”.'}</p>`}
    <${Grid} label="results, most alike first" total=${hits.length} extra=${tileExtra(attributes.length, looks.length)} keyOf=${(i) => hits[i].id} moving
      want=${want} press=${press} open=${(index) => change({ open: hits[index].id })}
      tile=${(index, place) => html`<${Tile} one=${hits[index]} place=${place} attributes=${attributes} looks=${looks} />`} />
    ${state.open && html`<${Details} id=${state.open} precision=${state.precision} hit=${hits[open]} close=${() => change({ open: null }, { replace: true })}
      like=${like} unlike=${unlike} removed=${() => change({ open: null }, { replace: true })}
      step=${open < 0 ? null : (by) => hits[open + by] && change({ open: hits[open + by].id }, { replace: true })} />`}`;
}

/** Says which come first. */
function orderOf({ like, text }, looks) {
  if (like.length) return 'most alike first';
  if (text && !looks.length) return 'by filters alone';
  return text ? 'best first' : 'most of these colours first';
}

/** The attributes that tiles show. */
export function useShown() {
  const { catalogue } = useShop();
  const tagged = Object.keys(catalogue.attributes).filter((name) => catalogue.attributes[name].tagged > 0);
  const builtIn = (name) => Number(catalogue.attributes[name].built_in);
  return tagged.sort((a, b) => builtIn(a) - builtIn(b)).slice(0, SHOWN);
}

function Browse({ state, change, like }) {
  const { reload } = useShop();
  const attributes = useShown();
  const { total, at, want, waiting } = useImages({ where: state.where, at_precision: state.precision });
  const [index, setIndex] = useState(null);
  const openAt = (i) => {
    if (!at(i)) return;
    setIndex(i);
    change({ open: at(i).id }, { replace: state.open !== null });
  };
  const press = (event, i) => {
    if (event.key === 'Enter') openAt(i);
    else if (event.key === 'l' && at(i)) like(at(i).id);
  };
  useKeys((event) => {
    if (event.key === '/') document.querySelector('.ask button')?.focus();
  });
  return html`<div class="bar"><p role="status">${total === null ? 'Reading …' : counted(total, 'image')}</p>
      <${Chips} where=${state.where} change=${(where) => change({ where })} /></div>
    ${total === 0 && !waiting && html`<p class="nothing">No image matches: take a filter away.</p>`}
    <${Grid} label="images of the catalogue" total=${total ?? 0} extra=${tileExtra(attributes.length, 0)} want=${want} press=${press} open=${openAt}
      tile=${(i, place) => html`<${Tile} one=${at(i)} place=${place} attributes=${attributes} />`} />
    ${state.open && html`<${Details} id=${state.open} precision=${state.precision} close=${() => change({ open: null }, { replace: true })} like=${like}
      removed=${() => { change({ open: null }, { replace: true }); reload(); }}
      step=${index === null ? null : (by) => openAt(index + by)} />`}`;
}
