// A catalogue without images says how to begin.
import { counted, html, useShop, useState } from '../ui.js';
import { api } from '../api.js';
import { Choose, DropAnywhere } from '../components/drop.js';

const AT_ONCE = 8; // files in a request

/** Adds files in several requests; says how far it is. */
export async function addImages(files, progress) {
  const all = { added: [], unchanged: [], failed: [] };
  for (let at = 0; at < files.length; at += AT_ONCE) {
    progress(at, files.length);
    const answer = await api.addImages(files.slice(at, at + AT_ONCE));
    for (const name of Object.keys(all)) all[name].push(...answer[name]);
  }
  return all;
}

/** Takes pictures into the catalogue, and tells what became of them. */
export function useAdding() {
  const { notify, fail, reload } = useShop();
  const [progress, setProgress] = useState(null);
  const add = async (files) => {
    let made = { added: [], unchanged: [], failed: [] };
    try {
      made = await addImages(files, (done, total) => setProgress({ done, total }));
      for (const { image, reason } of made.failed.slice(0, 3)) fail(new Error(`${image}: ${reason}`));
      if (made.added.length) notify(`${counted(made.added.length, 'image')} added`);
    } catch (problem) {
      fail(problem);
    } finally {
      setProgress(null);
      await reload();
    }
    return made;
  };
  return { add, progress };
}

export function Empty() {
  const { catalogue, can } = useShop();
  const { add, progress } = useAdding();
  return html`<div class="empty">
    <i class="cloth big" aria-hidden="true"></i>
    <h1>${catalogue.name} has no images yet</h1>
    ${can.write
      ? html`<${DropAnywhere} take=${add} says="Drop pictures to add them to the catalogue" />
        <p>Drop pictures anywhere on this page, or choose some. They are read once; then you can search them by colour, texture and meaning, and teach attributes with ten examples.</p>
        <p>${progress ? html`<span role="status"><span class="spinner"></span> ${progress.done} of ${counted(progress.total, 'picture')} read …</span>`
          : html`<${Choose} take=${add} many className="main">Choose pictures<//>`}</p>
        <p class="soft">For whole folders, stop the server and run</p>`
      : html`<p>Somebody who may change it has to add some. On the server's machine, while it is stopped:</p>`}
    <pre><code>gingham index ${catalogue.name} photos/</code></pre>
  </div>`;
}
