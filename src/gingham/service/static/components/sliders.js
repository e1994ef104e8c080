// One slider a look: how much it counts in a search.
import { html, lookName, useShop } from '../ui.js';
import { TEXT, weightOf } from '../searching.js';

const wide = matchMedia('(min-width: 60rem)').matches; // elsewhere results would be far down

/** change(looks) is called while a slider moves; without pictures only that of words counts. */
export function Sliders({ looks, text, pictured, change }) {
  const { catalogue } = useShop();
  const changed = Object.keys(looks).length > 0;
  const row = (look) => {
    const weight = weightOf(looks, look, text);
    return html`<label class="slider" key=${look}>
      <span>${lookName(look)}</span>
      <input type="range" min="0" max="1" step="0.05" value=${weight} style=${{ '--at': `${100 * weight}%` }}
        onInput=${(event) => change({ ...looks, [look]: Number(event.target.value) })} />
      <output>${weight.toFixed(2)}</output>
    </label>`;
  };
  const all = pictured ? catalogue.looks : catalogue.looks.filter((look) => look === TEXT);
  const taught = all.filter((look) => look.startsWith('attribute:'));
  return html`<details class="sliders" open=${wide}>
    <summary><h2>Looks</h2></summary>
    ${all.filter((look) => !look.startsWith('attribute:')).map(row)}
    ${taught.length > 0 && html`<details open=${taught.length <= 4 || taught.some((look) => looks[look])}>
      <summary>taught looks</summary>${taught.map(row)}</details>`}
    ${changed && html`<button type="button" class="link" onClick=${() => change({})}>reset</button>`}
  </details>`;
}
