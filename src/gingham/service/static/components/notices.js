// Short messages at the edge of the page: what was done, and what went wrong.
import { html, useCallback, useRef, useState } from '../ui.js';

const STAY = 6000; // ms; what went wrong stays until it is dismissed

export function useNotices() {
  const [notices, set] = useState([]);
  const number = useRef(0);
  const dismiss = useCallback((id) => set((all) => all.filter((one) => one.id !== id)), []);
  const show = useCallback((text, kind, action) => {
    const id = (number.current += 1);
    set((all) => [...all.filter((one) => one.text !== text).slice(-2), { id, text, kind, action }]);
    if (kind !== 'bad') setTimeout(() => dismiss(id), STAY);
  }, []);
  const notify = useCallback((text, action) => show(text, 'good', action), []);
  const fail = useCallback((problem) => {
    if (problem.name === 'AbortError' || problem.status === 401) return;
    show(problem.message, 'bad');
  }, []);
  return { notices, notify, fail, dismiss };
}

export function Notices({ notices, dismiss }) {
  return html`<ul class="notices" aria-live="polite">${notices.map(({ id, text, kind, action }) => html`<li key=${id} class=${kind} role=${kind === 'bad' ? 'alert' : undefined}>
    <span>${text}</span>${action && html`<button type="button" class="link" onClick=${() => { dismiss(id); action.go(); }}>${action.name}</button>`}
    <button type="button" class="bare" aria-label="dismiss" onClick=${() => dismiss(id)}>×</button></li>`)}</ul>`;
}
