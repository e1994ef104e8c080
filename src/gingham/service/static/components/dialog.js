// Modal dialogs: the browser's own, which keep the focus and close by Escape.
import { html, useEffect, useRef } from '../ui.js';

export function Dialog({ title, close, children, className = '' }) {
  const dialog = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus({ preventScroll: true });
  }, []);
  return html`<dialog ref=${dialog} class=${className} aria-label=${title} onClose=${close}
    onClick=${(event) => event.target === dialog.current && close()}>
    <header><h2>${title}</h2><button type="button" class="bare" aria-label="close" onClick=${close}>×</button></header>
    ${children}
  </dialog>`;
}

/** Asks before something that cannot be taken back easily. */
export function Confirm({ title, says, action, go, close }) {
  return html`<${Dialog} title=${title} close=${close} className="small">
    <p>${says}</p>
    <footer><button type="button" onClick=${close}>Cancel</button>
    <button type="button" class="main danger" onClick=${() => { close(); go(); }}>${action}</button></footer>
  <//>`;
}
