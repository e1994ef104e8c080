// What teaching found: how right it is, what it confuses, which examples contradict each other.
import { counted, fileName, html, percent, useShop } from '../ui.js';
import { Thumbnail } from './tile.js';

const MANY = 12;

/** idOf(image): the id of a file that was chosen here, to show it. */
export function Learned({ learned, idOf }) {
  const { accuracy, macro_f1: f1, examples, values, verdict, contradictions, failures } = learned;
  const wrong = verdict?.confusions ?? [];
  return html`<section class="learned" aria-label="what was learned">
    ${verdict && html`<${Verdict} verdict=${verdict} />`}
    <div class="figures">
      <div><span>Accuracy</span><b>${accuracy === null ? '–' : percent(accuracy)}</b>
        <small>${accuracy === null ? 'too few examples to measure' : `cross-validated on ${counted(examples, 'example')}`}</small></div>
      <div><span>Macro F1</span><b>${f1 === null ? '–' : f1.toFixed(2)}</b><small>every value counts the same</small></div>
      <div><span>Values</span><b>${values.length}</b><small>${values.slice(0, 6).join(', ')}${values.length > 6 ? ', …' : ''}</small></div>
      <div><span>To check</span><b>${contradictions.length}</b><small>pairs of examples that contradict each other</small></div>
    </div>
    ${wrong.length > 0 && html`<h3>Confused with each other</h3><${Confusions} wrong=${wrong} idOf=${idOf} />`}
    ${contradictions.length > 0 && html`<h3>Check these examples</h3>
      <ul class="pairs">${contradictions.slice(0, MANY).map((one, i) => html`<li key=${i}>
        <${Side} image=${one.image} value=${one.value} idOf=${idOf} /><span aria-hidden="true">↔</span><${Side} image=${one.against} value=${one.against_value} idOf=${idOf} />
        <p class="soft small">${one.reason}</p></li>`)}</ul>`}
    ${failures.length > 0 && html`<details><summary>${counted(failures.length, 'picture')} could not be read</summary>
      <ul class="small soft">${failures.slice(0, MANY).map((one) => html`<li key=${one.image}>${one.image}: ${one.reason}</li>`)}</ul></details>`}
    <details class="small soft"><summary>details</summary><p>Hidden layers that separate the values best: ${learned.layers.join(', ')}. Learned in ${learned.seconds.toFixed(1)} s.</p></details>
  </section>`;
}

const GRADES = { good: 'Good', fair: 'Fair', weak: 'Weak', untested: 'Not tested yet' };

/** How good the attribute is, in sentences. */
function Verdict({ verdict }) {
  const { grade, tested, right, by_chance: byChance, precision, answered, advice } = verdict;
  return html`<div class="verdict" data-grade=${grade}>
    <p><b>${GRADES[grade]}</b>: ${right} of ${counted(tested, 'held-out example')} right${grade === 'weak' ? '; treat its answers as suggestions' : ''}.
      ${grade !== 'untested' && (answered ? ` ${percent(answered)} of them can be answered if ${percent(precision)} of the answers must be right.` : ` Too few of them are right to promise that of any answers ${percent(precision)} are.`)}</p>
    ${byChance.map(([a, b]) => html`<p key=${`${a}/${b}`}><b>${a}</b> and <b>${b}</b> are told apart by chance.</p>`)}
    ${verdict.first_tested > 0 && html`<p>Of the examples taught first, ${verdict.first_right} of ${verdict.first_tested} are right. Hard examples that came later lower the figures of all.</p>`}
    ${advice && html`<p>${advice[0].toUpperCase() + advice.slice(1)}.</p>`}
  </div>`;
}

function Side({ image, value, idOf }) {
  const id = idOf(image);
  return html`<figure title=${image}>${id ? html`<${Thumbnail} id=${id} size=${160} alt=${fileName(image)} />` : html`<span class="gone">${fileName(image)}</span>`}<figcaption>${value}</figcaption></figure>`;
}

/** Which values are taken for which, the most frequent first. */
function Confusions({ wrong, idOf }) {
  const sorted = [...wrong].sort((a, b) => b.count - a.count);
  const most = sorted[0].count;
  return html`<ul class="confusions">${sorted.slice(0, MANY).map((one) => html`<li key=${`${one.value}/${one.predicted}`}>
    <span><b>${one.value}</b> taken for <b>${one.predicted}</b></span><i style=${{ '--share': `${(100 * one.count) / most}%` }}></i><small>${one.count}</small>
    <span class="such">${one.images.map((image) => [image, idOf(image)]).filter(([, id]) => id).map(([image, id]) => html`<${Thumbnail} key=${id} id=${id} size=${160} alt=${fileName(image)} />`)}</span></li>`)}</ul>`;
}
