// What every part of the page is made of, and a few words and numbers that look alike everywhere.
import { Fragment, createContext, h, render } from 'preact';
import {
  useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState,
} from 'preact/hooks';
import htm from 'htm';

export const html = htm.bind(h);
export {
  Fragment, createContext, render,
  useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState,
};

/** What all views share: catalogue, schema, can, notify, fail, reload. */
export const Shop = createContext(null);
export const useShop = () => useContext(Shop);

export const counted = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;

/** A probability as people read it; the ends are never rounded to certainty. */
export function percent(p) {
  if (p > 0 && p < 0.01) return '<1 %';
  if (p > 0.99 && p < 1) return '>99 %';
  return `${Math.round(100 * p)} %`;
}

/** The name of a file without its folders. */
export const fileName = (path) => path.split(/[\\/]/).pop();

export const listed = (value) => (Array.isArray(value) ? value : value == null ? [] : [value]);

/** A look as people read it: `attribute:pattern` is the look of the attribute pattern. */
export const lookName = (look) => look.replace(/^attribute:/, '');

/** Calls the latest of many calls once they pause for `wait` milliseconds. */
export function debounce(call, wait) {
  let timer = 0;
  const later = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** Runs one asynchronous call at a time; of those made meanwhile only the latest. */
export function latest(call) {
  let running = false;
  let next = null;
  return async function run(...args) {
    if (running) {
      next = args;
      return;
    }
    running = true;
    try {
      await call(...args);
    } finally {
      running = false;
      if (next) {
        const args = next;
        next = null;
        run(...args);
      }
    }
  };
}

/** State kept for this tab, so that it outlives a change of view. */
export function useKept(key, initial) {
  const [value, set] = useState(() => {
    const kept = sessionStorage.getItem(key);
    return kept === null ? initial : JSON.parse(kept);
  });
  useLayoutEffect(() => { // what is shown is kept, however soon the page is left
    try {
      sessionStorage.setItem(key, JSON.stringify(value));
    } catch {
      sessionStorage.removeItem(key); // too large to keep: it lasts as long as this view
    }
  }, [key, value]);
  return [value, set];
}

/** Says whether somebody is typing, so that single keys are letters and not commands. */
export const typing = (event) =>
  event.target.closest?.('input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]') !== null;

/** Listens to keys of the whole page while a view is shown. */
export function useKeys(handler) {
  const kept = useRef(handler);
  kept.current = handler;
  useLayoutEffect(() => { // once a view is shown it hears keys
    const listen = (event) => {
      if (!typing(event) && !document.querySelector('dialog[open]')) kept.current(event);
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);
}
