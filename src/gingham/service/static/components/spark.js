// A small line of how a share went.
import { html } from '../ui.js';

const [WIDTH, HEIGHT] = [90, 24];

export function Spark({ values }) {
  if (values.length < 2) return null;
  const low = Math.min(...values);
  const span = Math.max(0.02, Math.max(...values) - low);
  const points = values.map((value, i) => [
    3 + ((WIDTH - 6) * i) / (values.length - 1),
    HEIGHT - 4 - ((HEIGHT - 8) * (value - low)) / span,
  ]);
  const [x, y] = points.at(-1);
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label="how the accuracy moved">
    <polyline points=${points.map((point) => point.map((x) => x.toFixed(1)).join(',')).join(' ')} /><circle cx=${x} cy=${y} r="3" /></svg>`;
}
