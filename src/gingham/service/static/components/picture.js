// A picture to search with; a box drawn on it is the part that counts.
import { html, useEffect, useRef, useState } from '../ui.js';
import { pictureOf } from '../uploads.js';

const LEAST = 0.04; // of a side: what is smaller was a click
const within = (x) => Math.min(1, Math.max(0, x));

/** Gives the box that a drag makes: a new one, or the old one moved or resized by a corner. */
function dragged(from, to, old, grip) {
  if (grip === 'move') {
    const [w, h] = [old[2] - old[0], old[3] - old[1]];
    const left = Math.min(1 - w, within(old[0] + to.x - from.x));
    const top = Math.min(1 - h, within(old[1] + to.y - from.y));
    return [left, top, left + w, top + h];
  }
  const fixed = grip
    ? { x: old[grip[1] === 'w' ? 2 : 0], y: old[grip[0] === 'n' ? 3 : 1] }
    : from;
  return [
    Math.min(fixed.x, to.x), Math.min(fixed.y, to.y), Math.max(fixed.x, to.x), Math.max(fixed.y, to.y),
  ];
}

const isBox = (box) => box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST;

/** change(crop) is called when a box is done; null takes it away. */
export function Picture({ id, crop, change, label }) {
  const frame = useRef(null);
  const drag = useRef(null);
  const [box, setBox] = useState(crop);
  const key = String(crop);
  useEffect(() => setBox(crop), [key]);

  const place = (event) => {
    const { left, top, width, height } = frame.current.getBoundingClientRect();
    return { x: within((event.clientX - left) / width), y: within((event.clientY - top) / height) };
  };
  const down = (event) => {
    if (event.button || !change) return;
    event.preventDefault();
    frame.current.setPointerCapture(event.pointerId);
    const grip = event.target.dataset.grip;
    drag.current = { from: place(event), old: box, grip: box && grip };
    if (grip) event.target.closest('.box').focus();
  };
  const move = (event) => {
    if (!drag.current) return;
    const { from, old, grip } = drag.current;
    setBox(dragged(from, place(event), old, grip));
  };
  const up = () => {
    if (!drag.current) return;
    drag.current = null;
    const made = box && isBox(box) ? box : null;
    setBox(made);
    change(made);
  };
  const onKeyDown = (event) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (event.key === 'Escape' || event.key === 'Delete') {
      change(null);
    } else if (x !== undefined) {
      event.preventDefault();
      const by = { x: 0.02 * x, y: 0.02 * y };
      const made = event.shiftKey
        ? [box[0], box[1], within(box[2] + by.x), within(box[3] + by.y)]
        : dragged({ x: 0, y: 0 }, by, box, 'move');
      if (isBox(made)) change(made);
    }
  };
  const said = box?.map((x) => Math.round(100 * x));
  return html`<div class="crop">
    <div class="frame" ref=${frame} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}>
      <img src=${pictureOf(id, 640)} alt=${label} draggable=${false} />
      ${box && html`<div class="box" tabindex="0" role="group" data-grip="move" onKeyDown=${onKeyDown}
        aria-label=${`part that counts: ${said[0]} to ${said[2]} % across, ${said[1]} to ${said[3]} % down; arrow keys move it, with shift they resize it, Escape removes it`}
        style=${{ left: `${100 * box[0]}%`, top: `${100 * box[1]}%`, width: `${100 * (box[2] - box[0])}%`, height: `${100 * (box[3] - box[1])}%` }}>
        ${['nw', 'ne', 'sw', 'se'].map((grip) => html`<i key=${grip} class=${grip} data-grip=${grip}></i>`)}
      </div>`}
    </div>
    ${change && html`<p class="soft small">${box
      ? html`Only the part in the box counts. <button type="button" class="link" onClick=${() => change(null)}>use the whole picture</button>`
      : html`Drag a box on the picture to search by a part of it, or <button type="button" class="link" onClick=${() => change([0.25, 0.25, 0.75, 0.75])}>start with its middle</button>.`}</p>`}
  </div>`;
}
