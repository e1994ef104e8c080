// Everything about one image: its values, why it has them and where, and what to do with it.
import { fileName, html, listed, lookName, percent, useEffect, useState, useShop } from '../ui.js';
import { api, thumbnail } from '../api.js';
import { UNKNOWN, isOut, useMeaning } from '../meaning.js';
import { Confirm, Dialog } from './dialog.js';
import { Thumbnail } from './tile.js';

/** hit: with scores, where it came from a search; step(by): the one before or after. */
export function Details({ id, hit, precision = null, close, like, unlike, step, removed }) {
  const { can, fail } = useShop();
  const [one, setOne] = useState(hit ?? null);
  const [why, setWhy] = useState(null);
  const [shown, setShown] = useState(null);
  const [asking, setAsking] = useState(false);
  useEffect(() => {
    let left = false;
    setOne(hit ?? null);
    setWhy(null);
    setShown(null);
    api.image(id, precision).then(
      (made) => left || setOne({ ...hit, ...made }),
      (problem) => {
        if (left) return;
        fail(problem);
        close();
      },
    );
    return () => {
      left = true;
    };
  }, [id, precision]);

  const explain = async () => {
    setWhy('waiting');
    try {
      const { explanations } = await api.explain(id);
      setWhy(explanations);
      setShown(explanations[0] ?? null);
    } catch (problem) {
      setWhy(null);
      fail(problem);
    }
  };
  const onKeyDown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && step && !event.altKey) step(by);
  };
  const remove = async () => {
    try {
      await api.remove(id);
      removed(id);
    } catch (problem) {
      fail(problem);
    }
  };
  const name = one ? fileName(one.image) : '…';
  return html`<${Dialog} title=${name} close=${close} className="details">
    <div class="sides" onKeyDown=${onKeyDown}>
      <div class="large">
        <img src=${shown ? shown.overlay : thumbnail(id, 1024)} alt=${shown ? `heat map of ${shown.attribute}: ${shown.value}` : name} />
        ${step && html`<div class="steps"><button type="button" aria-label="the one before" onClick=${() => step(-1)}>‹</button>
          <button type="button" aria-label="the next one" onClick=${() => step(1)}>›</button></div>`}
      </div>
      <div class="about">
        <div class="actions">
          <button type="button" class="main" onClick=${() => like(id)}>More like this</button>
          ${unlike && html`<button type="button" onClick=${() => unlike(id)}>Not like this</button>`}
        </div>
        ${one && html`<${Attributes} one=${one} />`}
        ${one?.looks && html`<h3>Similarity</h3><${Looks} looks=${one.looks} score=${one.score} />`}
        <h3>Why these values?</h3>
        ${why === null && html`<p><button type="button" onClick=${explain} disabled=${one && !Object.keys(one.attributes).length}>Show evidence and heat map</button></p>`}
        ${why === 'waiting' && html`<p class="soft" role="status"><span class="spinner"></span> The picture is being read …</p>`}
        ${Array.isArray(why) && html`<${Why} explanations=${why} shown=${shown} show=${setShown} />`}
        ${one && html`<h3>File</h3><p class="soft small path">${one.image}${one.copies.map((copy) => html`<br key=${copy} />${copy}`)}</p>`}
        ${can.administrate && html`<p><button type="button" class="link danger" onClick=${() => setAsking(true)}>Take out of the catalogue</button></p>`}
      </div>
    </div>
    ${asking && html`<${Confirm} title="Take this image out?" action="Take out" go=${remove} close=${() => setAsking(false)}
      says=${`${name} is no longer found. Its file stays where it is, and History can bring it back.`} />`}
  <//>`;
}

function Attributes({ one }) {
  const meaning = useMeaning();
  const names = Object.keys(one.attributes).filter((name) => !isOut(one.attributes[name]));
  if (!names.length) return html`<p class="soft">It has no values yet: <a href="/teach">teach an attribute</a> and apply it.</p>`;
  return html`<dl class="attributes">${names.map((name) => {
    const said = (values) => listed(values).map((value) => meaning.value(name, value)).join(', ');
    const [text, label] = [said(one.attributes[name]), meaning.attribute(name)];
    const unknown = listed(one.attributes[name])[0] === UNKNOWN;
    const sure = unknown ? null : one.confidence[name];
    const guess = unknown && one.best_guess?.[name];
    return html`<div key=${name}><dt>${label}</dt><dd class=${unknown ? 'unknown' : ''}>${text}${guess && html` <small class="soft">likeliest: ${said(guess)}</small>`}</dd>
      <dd class="sure">${sure != null && html`<${Bar} share=${sure} label=${`confidence that ${label} is ${text}`} /> ${percent(sure)}`}</dd></div>`;
  })}</dl>`;
}

/** A share as a bar. */
export function Bar({ share, label }) {
  return html`<meter min="0" max="1" value=${share} aria-label=${label}></meter>`;
}

function Looks({ looks, score }) {
  return html`<dl class="attributes">${Object.entries(looks).map(([look, similarity]) => html`<div key=${look}>
    <dt>${lookName(look)}</dt><dd class="sure"><${Bar} share=${Math.max(0, similarity)} label=${`similarity in ${lookName(look)}`} /> ${similarity.toFixed(3)}</dd></div>`)}
    <div><dt>score</dt><dd class="sure">${score.toFixed(3)}</dd></div></dl>`;
}

function Why({ explanations, shown, show }) {
  if (!explanations.length) return html`<p class="soft">No attribute can be explained for this picture.</p>`;
  return html`<div class="tabs" role="group" aria-label="heat maps">
      ${explanations.map((one) => html`<button key=${one.attribute + one.value} type="button" aria-pressed=${one === shown} onClick=${() => show(one)}>${one.attribute}</button>`)}
      <button type="button" aria-pressed=${shown === null} onClick=${() => show(null)}>the picture alone</button>
    </div>
    ${shown && html`<p class="small">Warm places are evidence for <b>${shown.value}</b>${shown.prediction.value === null ? ', the likeliest; it is unknown' : ` (${percent(shown.confidence)})`}, cool ones against it; grey ones are neither.
      ${shown.example && ' This picture was used for teaching, so its result looks better than for a new picture.'}</p>
      ${shown.prediction.evidence.length > 0 && html`<p class="soft small">The nearest examples, and their distance</p>
      <ul class="evidence">${shown.prediction.evidence.map((near, i) => html`<li key=${i}>
        ${near.id ? html`<${Thumbnail} id=${near.id} size=${160} alt=${fileName(near.image)} />` : html`<span class="gone">${near.image}</span>`}
        <b>${listed(near.value).join(', ')}</b><small>${near.distance.toFixed(2)}</small></li>`)}</ul>`}`}`;
}
