// Colours to search by: a swatch a name, a picker for any other, and how much of each.
import { html } from '../ui.js';

export const BASIC = {
  black: '#000000', white: '#ffffff', grey: '#929591', red: '#e50000', orange: '#f97306', yellow: '#ffff14',
  green: '#15b01a', blue: '#0343df', purple: '#7e1e9c', pink: '#ff81c0', brown: '#653700',
};
const MOST = 16; // the service takes no more
const wide = matchMedia('(min-width: 60rem)').matches;

const nameOf = (colour) => Object.keys(BASIC).find((name) => BASIC[name] === colour) ?? colour;

/** change(colours, options) is called while a colour or its weight is chosen. */
export function Colours({ colours, change }) {
  const chosen = Object.entries(colours);
  const drop = (colour) => change(Object.fromEntries(chosen.filter(([one]) => one !== colour)));
  const put = (colour) => change({ ...colours, [colour]: colours[colour] ?? 1 });
  // In its place, and with its weight; a colour that is chosen already is not chosen twice.
  const recolour = (old, made) => made in colours
    || change(Object.fromEntries(chosen.map(([one, weight]) => [one === old ? made : one, weight])), { replace: true });
  const full = chosen.length >= MOST;
  return html`<details class="sliders colours" open=${wide || chosen.length > 0}>
    <summary><h2>Colours</h2></summary>
    ${chosen.map(([colour, weight], i) => html`<div class="slider" key=${i}>
      <label class="well"><input type="color" aria-label=${`change ${nameOf(colour)}`} value=${colour} onInput=${(event) => recolour(colour, event.target.value)} /><span>${nameOf(colour)}</span></label>
      <input type="range" aria-label=${`how much ${nameOf(colour)}`} min="0.05" max="1" step="0.05" value=${weight} style=${{ '--at': `${100 * weight}%` }}
        onInput=${(event) => change({ ...colours, [colour]: Number(event.target.value) }, { replace: true })} />
      <output>${weight.toFixed(2)}</output>
      <button type="button" class="bare" aria-label=${`take ${nameOf(colour)} away`} onClick=${() => drop(colour)}>×</button>
    </div>`)}
    <div class="swatches" role="group" aria-label="search by a colour">
      ${Object.entries(BASIC).map(([name, colour]) => html`<button key=${name} type="button" class="swatch" aria-label=${name} title=${name} aria-pressed=${colour in colours}
        disabled=${full && !(colour in colours)} style=${{ '--colour': colour }} onClick=${() => (colour in colours ? drop(colour) : put(colour))}></button>`)}
      <label class="swatch any" title="any other colour"><input type="color" aria-label="any other colour" value="#b03a2e" disabled=${full}
        onChange=${(event) => put(event.target.value)} /></label>
    </div>
  </details>`;
}
