// The catalogue's images that match some filters, read in pages as they come into sight.
import { useCallback, useEffect, useRef, useState, useShop } from '../ui.js';
import { api } from '../api.js';

const PAGE = 200;
const KEPT = 40; // pages

/** params: where, order, attribute; gives total (null: not known yet), at(index), want(from, to). */
export function useImages(params) {
  const { fail, version } = useShop();
  const key = JSON.stringify([params, version]);
  const store = useRef(null);
  const [, redraw] = useState(0);
  if (store.current?.key !== key) {
    store.current?.abort.abort();
    // Until the first answer the old number stays, so that the page does not jump.
    store.current = {
      key, pages: new Map(), asked: new Set(), abort: new AbortController(),
      total: null, before: store.current?.total ?? null,
    };
  }

  const read = useCallback(async (offset) => {
    const mine = store.current;
    if (mine.asked.has(offset)) return;
    mine.asked.add(offset);
    try {
      const answer = await api.images({ ...params, offset, n: PAGE }, mine.abort.signal);
      mine.total = answer.total;
      mine.pages.set(offset, answer.images);
      for (const old of mine.pages.keys()) {
        if (mine.pages.size <= KEPT) break;
        mine.pages.delete(old);
        mine.asked.delete(old);
      }
    } catch (problem) {
      mine.asked.delete(offset);
      if (problem.name === 'AbortError') return;
      mine.total ??= 0;
      fail(problem);
    }
    if (store.current === mine) redraw((n) => n + 1);
  }, [key]);

  useEffect(() => {
    read(0);
  }, [read]);
  useEffect(() => () => store.current.abort.abort(), []);

  const want = useCallback((from, to) => {
    for (let at = from - (from % PAGE); at < to; at += PAGE) read(at);
  }, [read]);
  const at = (index) => store.current.pages.get(index - (index % PAGE))?.[index % PAGE];
  const { total, before } = store.current;
  return { total: total ?? before, waiting: total === null, at, want };
}
