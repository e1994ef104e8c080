// Pictures from outside: chosen, dropped anywhere on the page, or pasted.
import { html, useEffect, useRef, useState } from '../ui.js';
import { imagesIn } from '../uploads.js';

/** A button that chooses files; take(files). */
export function Choose({ take, many = false, children, className = '' }) {
  const input = useRef(null);
  return html`<button type="button" class=${className} onClick=${() => input.current.click()}>${children}</button>
    <input ref=${input} type="file" hidden accept="image/*,.heic,.heif,.avif" multiple=${many} aria-label="choose pictures"
      onChange=${(event) => {
        take([...event.target.files]);
        event.target.value = '';
      }} />`;
}

/** Takes pictures that are dropped or pasted while a view is shown; says so while one hovers. */
export function DropAnywhere({ take, says }) {
  const [over, setOver] = useState(false);
  const taking = useRef(take);
  taking.current = take;
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
    const enter = (event) => {
      if (hasFiles(event)) setOver((depth += 1) > 0);
    };
    const leave = (event) => {
      if (hasFiles(event)) setOver((depth = Math.max(0, depth - 1)) > 0);
    };
    const hover = (event) => hasFiles(event) && event.preventDefault();
    const give = (event, transfer) => {
      const files = imagesIn(transfer);
      if (!files.length) return;
      event.preventDefault();
      taking.current(files);
    };
    const drop = (event) => {
      depth = 0;
      setOver(false);
      give(event, event.dataTransfer);
    };
    const paste = (event) => give(event, event.clipboardData);
    const events = { dragenter: enter, dragleave: leave, dragover: hover, drop, paste };
    for (const [name, listener] of Object.entries(events)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(events)) removeEventListener(name, listener);
    };
  }, []);
  return over && html`<div class="dropping" role="status"><p>${says}</p></div>`;
}
