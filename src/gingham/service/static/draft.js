// The examples chosen so far for an attribute, kept for this tab: Teach fills it, and so does Map.
export const KEY = 'gingham:teach';
export const MOST = 2000; // examples that are chosen before they are taught

export const emptyDraft = () => ({
  name: '', kind: 'single', active: 0, values: [{ value: '', ids: [] }, { value: '', ids: [] }], files: {},
});

export function readDraft() {
  const kept = sessionStorage.getItem(KEY);
  return kept ? JSON.parse(kept) : emptyDraft();
}

/** Puts images into a value; of an attribute with one value an image they leave the others. */
export function assign(draft, ones, place) {
  const ids = ones.map((one) => one.id);
  const taken = new Set(ids);
  const values = draft.values.map((value, i) => {
    const rest = i === place || draft.kind === 'single' ? value.ids.filter((id) => !taken.has(id)) : value.ids;
    return { ...value, ids: i === place ? [...new Set([...rest, ...ids])].slice(0, MOST) : rest };
  });
  const files = { ...draft.files, ...Object.fromEntries(ones.map((one) => [one.id, one.image])) };
  return { ...draft, values, files };
}

/** Takes an image out of one value, or of all. */
export function unassign(draft, id, place = null) {
  const values = draft.values.map((value, i) =>
    (place === null || i === place ? { ...value, ids: value.ids.filter((one) => one !== id) } : value));
  return { ...draft, values };
}

export const placesOf = (draft, id) =>
  draft.values.flatMap((value, i) => (value.ids.includes(id) ? [i] : []));

/** What is sent: id -> value, or values where an image may have several. */
export function examplesOf({ kind, values }) {
  const examples = {};
  for (const { value, ids } of values) {
    for (const id of ids) {
      if (kind === 'multi') (examples[id] ??= []).push(value.trim());
      else examples[id] = value.trim();
    }
  }
  return examples;
}

/** Says what is still missing before it can be taught; '' if nothing is. */
export function lacking({ name, values }) {
  if (!name.trim()) return 'Give the attribute a name.';
  const used = values.filter((value) => value.ids.length);
  const nameless = used.find((value) => !value.value.trim());
  if (nameless) return 'Give every value a name.';
  const names = used.map((value) => value.value.trim());
  const twice = names.find((one, i) => names.indexOf(one) !== i);
  if (twice) return `Two values are called “${twice}”: give one another name.`;
  return '';
}
