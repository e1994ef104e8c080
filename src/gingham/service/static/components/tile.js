// A picture of the catalogue with what is known of it.
import { fileName, html, listed, lookName, percent } from '../ui.js';
import { thumbnail } from '../api.js';
import { UNKNOWN, isOut, useMeaning } from '../meaning.js';

/** The picture; one that cannot be read says so in its place. */
export function Thumbnail({ id, size = 256, alt = '' }) {
  return html`<img
    src=${thumbnail(id, size)}
    alt=${alt}
    draggable=${false}
    decoding="async"
    onLoad=${(event) => event.target.classList.add('there')}
    onError=${(event) => event.target.classList.add('gone')}
  />`;
}

/** What a value is called, and how sure it is: no number beside unknown. */
export function Value({ name, value, confidence, guess, named }) {
  const meaning = useMeaning();
  const said = (values) => listed(values).map((one) => meaning.value(name, one)).join(', ');
  const [text, label] = [said(value), meaning.attribute(name)];
  const unknown = listed(value)[0] === UNKNOWN;
  return html`<span class=${`value${unknown ? ' unknown' : ''}`} title=${`${label}: ${text}${unknown && guess ? `, likeliest ${said(guess)}` : ''}`}>
    <span>${text}</span>${named && html`<small>${label}</small>`}${!unknown && confidence != null && html`<small>${percent(confidence)}</small>`}
  </span>`;
}

/** A tile of a grid. one: an image or a hit, undefined while it is read; looks: those to show; named: attributes are. */
export function Tile({ one, place, attributes, looks = [], badge, selected, named }) {
  if (!one) return html`<div class="tile waiting" ...${place} aria-label="being read"></div>`;
  return html`<div
    class=${`tile${selected ? ' selected' : ''}`}
    ...${place}
    aria-selected=${selected === undefined ? undefined : String(selected)}
    title=${fileName(one.image)}
  >
    <div class="picture"><${Thumbnail} id=${one.id} alt=${fileName(one.image)} />${badge && html`<b class="badge">${badge}</b>`}</div>
    ${attributes.length > 0 &&
    html`<div class="values">${attributes.map(
      (name) => one.attributes[name] !== undefined && !isOut(one.attributes[name]) &&
        html`<${Value} key=${name} name=${name} value=${one.attributes[name]} confidence=${one.confidence[name]} guess=${one.best_guess?.[name]} named=${named} />`,
    )}</div>`}
    ${looks.length > 0 &&
    html`<div class="looks">${looks.map(
      (look) => html`<span key=${look} title=${`${lookName(look)}: similarity ${one.looks[look]?.toFixed(3)}`}>
        <i>${lookName(look)}</i><meter min="0" max="1" value=${Math.max(0, one.looks[look] ?? 0)} aria-label=${lookName(look)}></meter>
        <b>${one.looks[look]?.toFixed(2)}</b></span>`,
    )}</div>`}
  </div>`;
}

/** The height of what a tile shows under its picture, in pixels. */
export const tileExtra = (attributes, looks) =>
  (attributes ? 8 + 22 * attributes : 0) + (looks ? 6 + 16 * looks : 0);
