// Where the page is: a view by its path, the rest in the query, so that every view can be shared.
import { useEffect, useState } from './ui.js';

export const VIEWS = [
  ['/', 'Search'],
  ['/teach', 'Teach'],
  ['/review', 'Review'],
  ['/map', 'Map'],
  ['/compare', 'Compare'],
  ['/history', 'History'],
];

const here = () => ({ path: location.pathname, params: new URLSearchParams(location.search) });

/** Goes to an address; the map has a content policy of its own, so it is loaded as a document. */
export function go(address, { replace = false } = {}) {
  const to = new URL(address, location.href);
  if (to.href === location.href) return;
  if ((to.pathname === '/map') !== (location.pathname === '/map')) {
    location.assign(to);
    return;
  }
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  dispatchEvent(new Event('gingham:moved'));
}

/** The present place; the view is drawn again when it changes. */
export function usePlace() {
  const [place, set] = useState(here);
  useEffect(() => {
    const moved = () => set(here());
    addEventListener('popstate', moved);
    addEventListener('gingham:moved', moved);
    return () => {
      removeEventListener('popstate', moved);
      removeEventListener('gingham:moved', moved);
    };
  }, []);
  return place;
}

/** Follows a link within the page without loading it again. */
export function follow(event) {
  const link = event.target.closest('a[href]');
  if (!link || link.target || link.origin !== location.origin) return;
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!VIEWS.some(([path]) => path === link.pathname)) return;
  event.preventDefault();
  go(link.href);
}
