// An attribute's values of all images at one time, small enough to keep: Compare shows what changed.
import { api } from './api.js';

const STORE = 'snapshots';

/** Reads the bytes of `GET /v1/map`: points, values, ids. */
export function readMap(bytes) {
  const view = new DataView(bytes);
  const length = view.getUint32(4, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
  const { count } = head;
  const points = new Float32Array(bytes, 8 + length, 2 * count);
  const codes = new Int32Array(bytes, 8 + length + 8 * count, count);
  const ids = new Uint8Array(bytes, 8 + length + 12 * count, 32 * count);
  return { ...head, points, codes, ids };
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export function idAt(ids, i) {
  let text = '';
  for (let k = 32 * i; k < 32 * i + 32; k += 1) text += HEX[ids[k]];
  return text;
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('gingham', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore(mode, use) {
  const base = await open();
  try {
    return await new Promise((resolve, reject) => {
      const request = use(base.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    base.close();
  }
}

const keyOf = (catalogue, name) => `${catalogue.name}/${name}`;

/** The values that all images have now: {values, codes, ids}. */
export async function valuesNow(name, catalogue) {
  // The places are not asked for: any look will do.
  const { values, codes, ids } = readMap(await api.map({ look: catalogue.looks[0], colour_by: name }));
  return { values, codes: codes.slice(), ids: ids.slice() };
}

/** Keeps the values of an attribute as they are before it is changed, if it has any. */
export async function remember(name, catalogue) {
  if (!catalogue.attributes[name]?.tagged) return;
  try {
    const kept = { ...(await valuesNow(name, catalogue)), made: Date.now() };
    await inStore('readwrite', (store) => store.put(kept, keyOf(catalogue, name)));
  } catch {
    // Without it Compare has no "before", and nothing else misses it.
  }
}

/** What was kept of an attribute, or undefined. */
export const remembered = (name, catalogue) =>
  inStore('readonly', (store) => store.get(keyOf(catalogue, name))).catch(() => undefined);
