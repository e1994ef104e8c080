// What the catalogue's schema says: names in the browser's language, which values are above which.
import { useMemo, useShop } from './ui.js';

export const UNKNOWN = 'unknown';
/** Stands where an attribute says nothing of an image, as the neckline of a lamp. */
export const NOT_APPLICABLE = 'not applicable';

/** The first word in the language of the browser, `de` for `de-AT`; else the name itself. */
function word(name, about) {
  const there = about?.translations ?? {};
  const [own, base] = [navigator.language, navigator.language.split('-')[0]];
  return (there[own] ?? there[base])?.[0] ?? name;
}

/** The names of attributes and values for people, and the parent of each value of an attribute. */
export function useMeaning() {
  const { schema } = useShop();
  return useMemo(() => {
    const of = (name) => schema.attributes?.[name];
    return {
      attribute: (name) => word(name, of(name)),
      value: (name, value) => word(value, of(name)?.values?.[value]),
      parent: (name, value) => of(name)?.values?.[value]?.parent,
    };
  }, [schema]);
}

/** Says of a value, or several, that its attribute does not apply. */
export const isOut = (value) => value === NOT_APPLICABLE || value?.[0] === NOT_APPLICABLE;

/** Values as a tree, row by row: [value, count, depth, whether others are below it]. */
export function treeOf(entries, parent) {
  const there = new Set(entries.map(([value]) => value));
  const below = new Map();
  for (const entry of entries) {
    const over = there.has(parent(entry[0])) ? parent(entry[0]) : null;
    below.set(over, [...(below.get(over) ?? []), entry]);
  }
  const rows = [];
  const add = (over, depth) => {
    for (const [value, n] of below.get(over) ?? []) {
      rows.push([value, n, depth, below.has(value)]);
      add(value, depth + 1);
    }
  };
  add(null, 0);
  return rows;
}
