// Points of a map, drawn by regl-scatterplot: as many as there are, with a lasso.
import { html, useEffect, useRef, useState } from '../ui.js';

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Colours as the drawing takes them: variables of the style sheet are looked up. */
const colours = (palette) => palette.map((one) => (one.startsWith('--') ? variable(one) : one));

const sizeOf = (count) => (count > 50000 ? 2 : count > 10000 ? 3 : count > 1000 ? 5 : 8);

/**
 * points: Float32Array of x, y; codes: of each point the place of its colour in palette;
 * lasso: a drag selects, otherwise it moves; selected(indices); hovered(index or null, [x, y]).
 */
export function Scatter({ points, codes, palette, lasso, selected, hovered, label }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [problem, setProblem] = useState(null);
  const [ready, setReady] = useState(false);
  const calls = useRef({});
  calls.current = { selected, hovered };

  useEffect(() => {
    let left = false;
    let observer;
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const recolour = () => plot.current?.set({ pointColor: colours(palette), backgroundColor: variable('--card') });
    import('regl-scatterplot').then(({ default: createScatterplot }) => {
      if (left) return;
      const { width, height } = place.current.getBoundingClientRect();
      const canvas = place.current.querySelector('canvas');
      const made = createScatterplot({
        canvas, width, height,
        backgroundColor: variable('--card'),
        colorBy: 'valueA', pointColor: colours(palette), opacity: 0.85,
        pointSize: sizeOf(points.length / 2), pointSizeSelected: 0, pointOutlineWidth: 0,
        lassoColor: variable('--accent'), lassoMinDelay: 0, lassoMinDist: 2, lassoInitiator: false,
        showReticle: false, deselectOnDblClick: false, deselectOnEscape: false,
      });
      made.subscribe('select', ({ points: indices }) => {
        made.deselect({ preventEvent: true });
        calls.current.selected(indices);
      });
      made.subscribe('pointover', (index) => calls.current.hovered(index, made.getScreenPosition(index)));
      made.subscribe('pointout', () => calls.current.hovered(null));
      plot.current = made;
      scheme.addEventListener('change', recolour);
      observer = new ResizeObserver(() => {
        const size = place.current.getBoundingClientRect();
        made.set({ width: size.width, height: size.height });
      });
      observer.observe(place.current);
      setReady(true);
    }).catch((error) => left || setProblem(new Error(`This browser cannot draw the map, which needs WebGL: ${error.message}`)));
    return () => {
      left = true;
      observer?.disconnect();
      scheme.removeEventListener('change', recolour);
      plot.current?.destroy();
      plot.current = null;
      setReady(false);
    };
  }, [points]);

  useEffect(() => {
    if (!ready || !plot.current) return; // other points: a new drawing is on its way
    const count = points.length / 2;
    const [x, y] = [new Float32Array(count), new Float32Array(count)];
    for (let i = 0; i < count; i += 1) {
      x[i] = 0.94 * points[2 * i];
      y[i] = 0.94 * points[2 * i + 1];
    }
    plot.current.set({ pointColor: colours(palette) });
    const spatialIndex = plot.current.get('spatialIndex');
    // In a worker the index would need a script from a `blob:` address, which the policy forbids.
    plot.current
      .draw({ x, y, valueA: codes }, { zDataType: 'categorical', spatialIndexUseWorker: false, spatialIndex: spatialIndex ?? undefined })
      .then(() => place.current?.setAttribute('data-drawn', String(count)), setProblem);
  }, [ready, points, codes, palette]);
  useEffect(() => {
    plot.current?.set({ mouseMode: lasso ? 'lasso' : 'panZoom' });
  }, [ready, lasso]);

  return html`<div class="scatter" ref=${place}>
    <canvas role="img" aria-label=${label}></canvas>
    ${problem && html`<p class="nothing">${problem.message}</p>`}
    ${ready && html`<button type="button" class="whole" onClick=${() => plot.current.reset()}>Whole map</button>`}
  </div>`;
}
