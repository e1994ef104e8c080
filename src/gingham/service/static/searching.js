// A search as an address, and as requests to the service.
import { api, query } from './api.js';
import { filesOf } from './uploads.js';

const N = 60;

const COLOURS = 'colours'; // the look that compares with colours
export const TEXT = 'text'; // the look that compares with words

/** Reads `name=weight` as often as it is there. */
function weights(params, name) {
  const found = {};
  for (const one of params.getAll(name)) {
    const at = one.lastIndexOf('=');
    found[one.slice(0, at)] = Number(one.slice(at + 1));
  }
  return found;
}

const written = (found) => Object.entries(found).map(([name, weight]) => `${name}=${weight}`);

/** How right answers must be, above 0 and below 1; null: as they were applied. */
function precisionOf(params) {
  const given = Number(params.get('precision'));
  return given > 0 && given < 1 ? given : null;
}

/** Reads a search from an address. */
export function readSearch(params) {
  const crop = params.get('crop')?.split(',').map(Number);
  return {
    like: params.getAll('like'),
    unlike: params.getAll('unlike'),
    text: params.get('text') ?? '',
    crop: crop?.length === 4 && crop.every(Number.isFinite) ? crop : null,
    looks: weights(params, 'look'),
    colours: weights(params, 'colour'),
    where: params.getAll('where'),
    least: params.has('least') ? Number(params.get('least')) : null,
    distinct: params.get('distinct') === '1',
    by: params.get('by') === 'product' ? 'product' : null,
    precision: precisionOf(params),
    open: params.get('open'),
  };
}

/** Writes what `readSearch` reads. */
export function searchAddress({ like, unlike, text, crop, looks, colours, where, least, distinct, by, precision, open }) {
  return `/${query({
    like,
    unlike,
    text: text || null,
    crop: crop && like.length === 1 ? crop.map((x) => x.toFixed(3)).join(',') : null,
    look: written(looks),
    colour: written(colours),
    where,
    least,
    distinct: distinct ? 1 : null,
    by,
    precision,
    open,
  })}`;
}

/** Built-in looks count fully unless a slider says otherwise, taught ones do not; that of words counts where there are some. */
export const weightOf = (looks, look, text) =>
  looks[look] ?? (look.startsWith('attribute:') || (look === TEXT && !text) ? 0 : 1);

/** The looks that count, with their weights. */
export function weightsOf(looks, all, text) {
  const pairs = all.map((look) => [look, weightOf(looks, look, text)]);
  return Object.fromEntries(pairs.filter(([, weight]) => weight > 0));
}

/** The looks that are compared, with their weights: none of pictures where there is no picture. */
export function compared({ like, text, looks, colours }, all) {
  const counted = weightsOf(looks, like.length ? all : all.filter((look) => look === TEXT && text), text);
  return Object.keys(colours).length ? { ...counted, [COLOURS]: total(colours) } : counted;
}

/** Asks for the first page of results; the bytes of uploads go along only where they must. */
export async function search(state, allLooks, signal) {
  const { [COLOURS]: coloured, ...looks } = compared(state, allLooks);
  const fields = { where: state.where, n: N };
  if (state.text) {
    fields.text = state.text;
    if (allLooks.includes(TEXT)) looks[TEXT] ??= 0; // a slider that is down: words are filters alone
  }
  if (state.like.length || Object.keys(looks).length) fields.looks = looks;
  if (coloured) fields.colours = state.colours;
  if (state.least !== null) fields.min_score = state.least * (total(looks) + (coloured ?? 0));
  if (state.distinct) fields.distinct = true;
  if (state.by) fields.by = state.by;
  if (state.precision !== null) fields.at_precision = state.precision;
  if (state.crop && state.like.length === 1) fields.crop = state.crop;
  const files = filesOf(state.like);
  const read = `${state.like} ${fields.crop ?? ''}`;
  if (!files.length || remembered.has(read)) {
    try {
      return await api.search({ id: state.like, unlike: state.unlike, ...fields }, signal);
    } catch (problem) {
      if (problem.status !== 422 || !files.length) throw problem;
    }
  }
  // An upload with a new crop, or one that the service no longer remembers, is read again.
  const id = state.like.filter((one) => !filesOf([one]).length);
  const found = await api.searchUploads(files, { id, unlike: state.unlike, ...fields }, signal);
  remembered.add(read);
  return found;
}

const remembered = new Set(); // what the service has read: uploads with their crop

export const total = (looks) => Object.values(looks).reduce((sum, weight) => sum + weight, 0);

export const nextPage = (cursor, signal) => api.search({ cursor }, signal);
