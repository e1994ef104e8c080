// What was changed, by whom and when; what can be taken back is.
import { counted, html, useEffect, useShop, useState } from '../ui.js';
import { api, query } from '../api.js';

const PAGE = 50;
const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function History() {
  const { can, fail, notify, reload, version } = useShop();
  const [changes, setChanges] = useState(null);
  const [more, setMore] = useState(false);
  const [undoing, setUndoing] = useState(null);
  const read = async (before) => {
    try {
      const found = (await api.history({ before, n: PAGE })).changes;
      setChanges((old) => (before ? [...old, ...found] : found));
      setMore(found.length === PAGE);
    } catch (problem) {
      setChanges((old) => old ?? []);
      fail(problem);
    }
  };
  useEffect(() => {
    read();
  }, [version]);
  const undo = async (one) => {
    setUndoing(one.number);
    try {
      const made = await api.undo(one.number);
      notify(made.summary);
      await reload();
    } catch (problem) {
      fail(problem);
    } finally {
      setUndoing(null);
    }
  };
  if (changes === null) return html`<p class="loading" role="status"><span class="spinner"></span> Reading …</p>`;
  return html`<div class="plain history">
    <h1>History</h1>
    ${!changes.length && html`<p class="soft">Nothing was changed yet. Adding images, teaching, reviewing and forgetting are listed here, and can be taken back.</p>`}
    <ol>${changes.map((one) => html`<li key=${one.number} class=${one.undone_by ? 'undone' : ''}>
      <span class="soft small">${one.number}</span>
      <div><p>${one.summary}</p><p class="soft small">${one.by}, <time datetime=${one.made}>${when.format(new Date(one.made))}</time>${one.images ? `, ${counted(one.images, 'image')}` : ''}${one.undone_by ? `, undone by ${one.undone_by}` : ''}${one.attribute && one.verb !== 'forget' ? html`, <a href=${`/compare${query({ a: one.attribute, b: 'before', from: one.number - 1, to: one.number })}`}>what changed</a>` : ''}</p></div>
      ${can.write && one.undoable && html`<button type="button" disabled=${undoing !== null} onClick=${() => undo(one)}>${undoing === one.number ? 'Undoing …' : 'Undo'}<span class="hidden"> ${one.summary}</span></button>`}
    </li>`)}</ol>
    ${more && html`<p><button type="button" onClick=${() => read(changes.at(-1).number)}>Older changes</button></p>`}
  </div>`;
}
