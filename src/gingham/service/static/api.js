// The service's routes; whatever goes wrong becomes a Problem whose message says what to do.

export class Problem extends Error {
  constructor(detail, status) {
    super(detail);
    this.status = status;
  }
}

/** Writes a query; of a list every item, of null and '' nothing. */
export function query(params) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one != null && one !== '') made.append(name, one);
    }
  }
  const text = made.toString();
  return text && `?${text}`;
}

const RETRIES = 3;

/** Asks for a path; a busy server is asked again after the time it gives. */
async function ask(path, { method = 'GET', json, form, signal, as = 'json' } = {}) {
  const request = { method, signal, credentials: 'same-origin', body: form };
  if (json !== undefined) {
    request.body = JSON.stringify(json);
    request.headers = { 'Content-Type': 'application/json' };
  }
  for (let tries = 0; ; tries += 1) {
    let response;
    try {
      response = await fetch(path, request);
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Problem('The server does not answer: check that gingham serve still runs.', 0);
    }
    if (response.ok) {
      if (response.status === 204) return null;
      return as === 'json' ? response.json() : response.arrayBuffer();
    }
    const after = Number(response.headers.get('Retry-After') ?? 1);
    if (response.status === 503 && tries < RETRIES) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * after));
      continue;
    }
    if (response.status === 401) dispatchEvent(new Event('gingham:login'));
    throw await problemOf(response);
  }
}

async function problemOf(response) {
  const said = await response.json().catch(() => null);
  const detail = said?.detail ?? `${response.status} ${response.statusText}`;
  return new Problem(detail[0].toUpperCase() + detail.slice(1), response.status);
}

const attribute = (name) => `/v1/attributes/${encodeURIComponent(name)}`;

export const thumbnail = (id, size = 256) => `/v1/images/${id}/thumbnail?size=${size}`;

export const api = {
  session: () => ask('/v1/session'),
  login: (key) => ask('/v1/session', { method: 'POST', json: { key } }),
  logout: () => ask('/v1/session', { method: 'DELETE' }),
  catalogue: () => ask('/v1/catalogue'),
  schema: () => ask('/v1/schema'),
  facets: (where, precision, signal) => ask(`/v1/facets${query({ where, at_precision: precision })}`, { signal }),
  cutoff: (name, params) => ask(`${attribute(name)}/cutoff${query(params)}`),
  images: (params, signal) => ask(`/v1/images${query(params)}`, { signal }),
  image: (id, precision) => ask(`/v1/images/${id}${query({ at_precision: precision })}`),
  explain: (id, attributes = []) => ask(`/v1/images/${id}/explain${query({ attribute: attributes })}`),
  search: (json, signal) => ask('/v1/search', { method: 'POST', json, signal }),
  predict: (json) => ask('/v1/predict', { method: 'POST', json }),
  remove: (id) => ask(`/v1/images/${id}`, { method: 'DELETE' }),
  attribute: (name) => ask(attribute(name)),
  forget: (name) => ask(attribute(name), { method: 'DELETE' }),
  addExamples: (name, json) => ask(`${attribute(name)}/examples`, { method: 'POST', json }),
  review: (name, params) => ask(`${attribute(name)}/review${query(params)}`),
  history: (params) => ask(`/v1/history${query(params)}`),
  undo: (number) => ask(`/v1/history/${number}/undo`, { method: 'POST' }),
  values: (name, at) => ask(`${attribute(name)}/values${query({ at })}`, { as: 'bytes' }),
  map: (params, signal) => ask(`/v1/map${query(params)}`, { as: 'bytes', signal }),
  jobs: () => ask('/v1/jobs'),
  startJob: (json) => ask('/v1/jobs', { method: 'POST', json }),
  cancelJob: (id) => ask(`/v1/jobs/${id}`, { method: 'DELETE' }),
  job: (id) => ask(`/v1/jobs/${id}`),

  /** Searches with uploads, whose bytes are sent along. */
  searchUploads(files, fields, signal) {
    const form = new FormData();
    for (const file of files) form.append('image', file);
    for (const [name, value] of Object.entries(fields)) {
      if (Array.isArray(value) && name !== 'crop') for (const one of value) form.append(name, one);
      else if (value != null) form.append(name, JSON.stringify(value));
    }
    return ask('/v1/search', { method: 'POST', form, signal });
  },

  /** Adds pictures to the catalogue. */
  addImages(files) {
    const form = new FormData();
    for (const file of files) form.append('image', file, file.name);
    return ask('/v1/images', { method: 'POST', form });
  },
};

const ENDED = ['done', 'failed', 'cancelled', 'interrupted'];

/** Follows a job by its events until it has ended; gives the last document. */
export function followJob(id, seen) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/v1/jobs/${id}/events`);
    const see = (job) => {
      seen(job);
      if (ENDED.includes(job.state)) {
        events.close();
        resolve(job);
      }
    };
    events.onmessage = (event) => see(JSON.parse(event.data));
    events.onerror = () => {
      if (events.readyState !== EventSource.CLOSED) return; // it connects again by itself
      api.job(id).then(see, reject);
    };
  });
}
