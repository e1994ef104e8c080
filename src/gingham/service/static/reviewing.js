// The decisions of a review: kept in order, sent together, taken back one by one.
import { debounce, latest, listed, useEffect, useMemo, useRef, useShop, useState } from './ui.js';
import { api } from './api.js';

const PAGE = 60;
const PAUSE = 350; // ms after a decision before it is sent, with those made meanwhile

/** The items to look at, and what was decided. */
export function useReview({ attribute, order, value }) {
  const { catalogue, fail, reload } = useShop();
  // What was taught when the review began: Compare shows what has come of it since.
  const since = useMemo(() => catalogue.attributes[attribute]?.changed, [attribute]);
  const [items, setItems] = useState(null); // null: being read
  const [total, setTotal] = useState(0);
  const [accuracy, setAccuracy] = useState([]);
  const [done, setDone] = useState([]); // [{item, to}], the latest last
  const [saving, setSaving] = useState(false);
  const work = useRef({ waiting: new Map(), seen: new Set() });

  const read = async () => {
    try {
      const seen = work.current.seen;
      const found = await api.review(attribute, { order, value, n: PAGE });
      setTotal(found.total);
      setItems(found.items.filter((item) => !seen.has(item.id)));
    } catch (problem) {
      setItems([]);
      fail(problem);
    }
  };
  useEffect(() => {
    work.current.seen = new Set();
    setItems(null);
    read();
  }, [attribute, order, value]);

  const send = useMemo(() => latest(async () => {
    const mine = work.current;
    if (!mine.waiting.size) return;
    const sent = mine.waiting;
    mine.waiting = new Map();
    setSaving(true);
    try {
      const learned = await api.addExamples(attribute, { examples: Object.fromEntries(sent), apply: false });
      setAccuracy((all) => [...all, learned.accuracy]);
    } catch (problem) {
      for (const [id, to] of sent) if (!mine.waiting.has(id)) mine.waiting.set(id, to);
      fail(problem);
    } finally {
      setSaving(false);
    }
  }), [attribute]);
  const soon = useMemo(() => debounce(send, PAUSE), [send]);
  useEffect(() => () => {
    soon.cancel();
    send(); // what was decided is not lost when the view is left
  }, [send]);

  /** Gives items their value (undefined: skip them), and goes on. */
  const decide = (chosen, to) => {
    const ids = new Set(chosen.map((item) => item.id));
    for (const item of chosen) {
      work.current.seen.add(item.id);
      if (to !== undefined) work.current.waiting.set(item.id, typeof to === 'function' ? to(item) : to);
    }
    setDone((all) => [...all, { chosen, skipped: to === undefined }]);
    const left = items.filter((item) => !ids.has(item.id));
    setItems(left);
    if (to !== undefined) soon();
    if (!left.length) read();
  };

  /** Takes the latest decision back. */
  const undo = () => {
    const step = done.at(-1);
    if (!step) return;
    setDone(done.slice(0, -1));
    for (const item of step.chosen) {
      work.current.seen.delete(item.id);
      if (step.skipped) continue;
      // Sent already or not: what it was before is the last word.
      work.current.waiting.set(item.id, item.example ? item.value : null);
    }
    const ids = new Set(step.chosen.map((item) => item.id));
    setItems((left) => [...step.chosen, ...(left ?? []).filter((item) => !ids.has(item.id))]);
    if (!step.skipped) soon();
  };
  const unsaved = saving || work.current.waiting.size > 0;
  const decided = done.filter((step) => !step.skipped).reduce((sum, step) => sum + step.chosen.length, 0);
  return { items, total, accuracy, decide, undo, decided, steps: done.length, unsaved, since, reload };
}

/** The value that confirming gives: what is said now. */
export const said = (item, multi) => (multi ? listed(item.value) : item.value);
