// What a server sends as bytes: the points of the map, and an attribute's value of every image.
import { api } from './api.js';

/** Reads the JSON before the arrays, and where these begin. */
function headOf(bytes) {
  const length = new DataView(bytes).getUint32(4, true);
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length))), 8 + length];
}

/** Reads the bytes of `GET /v1/map`: points, values, ids. */
export function readMap(bytes) {
  const [head, start] = headOf(bytes);
  const { count } = head;
  const points = new Float32Array(bytes, start, 2 * count);
  const codes = new Int32Array(bytes, start + 8 * count, count);
  const ids = new Uint8Array(bytes, start + 12 * count, 32 * count);
  return { ...head, points, codes, ids };
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export function idAt(ids, i) {
  let text = '';
  for (let k = 32 * i; k < 32 * i + 32; k += 1) text += HEX[ids[k]];
  return text;
}

/** The values that all images have now or, with `at`, as what was taught at that change gives them. */
export async function valuesOf(name, at) {
  const bytes = await api.values(name, at);
  const [{ values, count }, start] = headOf(bytes);
  return { values, codes: new Int32Array(bytes, start, count), ids: new Uint8Array(bytes, start + 4 * count, 32 * count) };
}
