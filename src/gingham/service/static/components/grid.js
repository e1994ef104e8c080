// A grid of any number of tiles, of which only those in sight are in the document.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../ui.js';

const GAP = 12;
const AROUND = 1.5; // screens above and below that are drawn, too

/** What scrolls the grid: the nearest place that is higher inside than outside. */
function scrollerOf(element) {
  const scrolls = (one) => one.scrollHeight > one.clientHeight && /auto|scroll/.test(getComputedStyle(one).overflowY);
  let one = element.parentElement;
  while (one && !scrolls(one)) one = one.parentElement;
  return one ?? document.scrollingElement;
}

/**
 * total: how many; least: the least width of a tile; extra: pixels under its square picture;
 * tile(index): its content; want(from, to): called when other tiles come into sight;
 * open(index), press(event, index): a click or Enter, and other keys, on a tile;
 * moving: tiles glide to their new places, by keyOf(index).
 */
export function Grid({
  total, least = 168, extra = 0, tile, keyOf, want, open, press, label, moving = false, current,
}) {
  const root = useRef(null);
  const [width, setWidth] = useState(0);
  const [sight, setSight] = useState({ top: 0, bottom: 1200, fast: false });
  const [focus, setFocus] = useState(0);
  const columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
  const side = (width - GAP * (columns - 1)) / columns;
  const step = side + extra + GAP;
  const rows = Math.ceil(total / columns);

  useLayoutEffect(() => {
    const measure = () => setWidth(root.current.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(root.current);
    measure();
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    let frame = 0;
    let last = 0;
    let settled = 0;
    const look = () => {
      frame = 0;
      const { top } = root.current.getBoundingClientRect();
      const fast = Math.abs(top - last) > 2.5 * innerHeight;
      last = top;
      const seen = { top: -top, bottom: innerHeight - top, fast };
      setSight((old) =>
        Math.abs(old.top - seen.top) > step / 3 || old.fast !== fast || old.bottom - old.top !== innerHeight ? seen : old,
      );
      clearTimeout(settled);
      if (fast) settled = setTimeout(look, 90);
    };
    const scrolled = () => {
      frame ||= requestAnimationFrame(look);
    };
    last = root.current.getBoundingClientRect().top;
    look();
    document.addEventListener('scroll', scrolled, { capture: true, passive: true });
    addEventListener('resize', scrolled);
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(settled);
      document.removeEventListener('scroll', scrolled, { capture: true });
      removeEventListener('resize', scrolled);
    };
  }, [step]);

  const spare = AROUND * (sight.bottom - sight.top);
  const first = Math.max(0, Math.floor((sight.top - spare) / step)) * columns;
  const end = Math.min(total, Math.max(0, Math.ceil((sight.bottom + spare) / step)) * columns);

  useEffect(() => {
    if (width && end > first && !sight.fast) want?.(first, end);
  }, [first, end, width > 0, sight.fast, want]);

  const onKeyDown = (event) => {
    const at = Number(event.target.closest('[data-index]')?.dataset.index);
    if (Number.isNaN(at)) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step && !event.altKey) {
      event.preventDefault();
      move(Math.min(total - 1, Math.max(0, at + step)), event);
    } else if (event.key === 'Home' || event.key === 'End') {
      event.preventDefault();
      move(event.key === 'Home' ? 0 : total - 1, event);
    } else {
      press?.(event, at);
    }
  };
  const wanted = useRef(null);
  const move = (to, event) => {
    setFocus(to);
    if (event.shiftKey) press?.(event, to);
    const place = root.current.querySelector(`[data-index="${to}"]`);
    if (place) {
      place.focus({ preventScroll: true });
      place.scrollIntoView({ block: 'nearest' });
    } else {
      wanted.current = to;
      const scroller = scrollerOf(root.current);
      const above = root.current.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
      scroller.scrollTop += above + Math.floor(to / columns) * step - step / 2;
    }
  };
  useEffect(() => {
    const place = root.current.querySelector(`[data-index="${wanted.current}"]`);
    if (!place) return;
    wanted.current = null;
    place.focus({ preventScroll: true });
  });

  const shown = useMemo(() => {
    const indices = [];
    for (let i = first; i < end; i += 1) indices.push(i);
    return indices;
  }, [first, end]);
  const roving = focus >= first && focus < end ? focus : first;

  return html`<div
    class=${`grid${moving ? ' moving' : ''}`}
    ref=${root}
    role="grid"
    aria-label=${label}
    aria-rowcount=${rows}
    aria-colcount=${columns}
    style=${{ height: `${Math.max(0, rows * step - GAP)}px` }}
    onKeyDown=${onKeyDown}
  >
    ${width > 0 &&
    shown.map((index) => {
      const x = (index % columns) * (side + GAP);
      const y = Math.floor(index / columns) * step;
      return html`<div
        class=${`cell${index === current ? ' current' : ''}`}
        key=${keyOf?.(index) ?? index}
        role="row"
        style=${{ width: `${side}px`, height: `${side + extra}px`, transform: `translate(${x}px, ${y}px)` }}
      >
        ${tile(index, {
          'data-index': index,
          role: 'gridcell',
          tabIndex: index === roving ? 0 : -1,
          onClick: (event) => {
            setFocus(index);
            open(index, event);
          },
          onFocus: () => setFocus(index),
        })}
      </div>`;
    })}
  </div>`;
}
