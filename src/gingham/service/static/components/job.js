// Long work of the server with its progress, and a way to stop it.
import { html, useCallback, useEffect, useRef, useShop, useState } from '../ui.js';
import { api, followJob } from '../api.js';

/** Starts and follows a job; gives [job or null, start(request) -> last document or null, cancel]. */
export function useJob() {
  const { fail } = useShop();
  const [job, setJob] = useState(null);
  const here = useRef(true);
  useEffect(() => () => {
    here.current = false;
  }, []);
  const see = (made) => here.current && setJob(made);
  const start = useCallback(async (request) => {
    try {
      const begun = await api.startJob(request);
      see(begun);
      const ended = await followJob(begun.id, see);
      if (ended.state === 'failed') fail(new Error(ended.error));
      return ended;
    } catch (problem) {
      see(null);
      fail(problem);
      return null;
    }
  }, []);
  const cancel = () => api.cancelJob(job.id).catch(fail);
  return [job, start, cancel];
}

const WORDS = { waiting: 'Waiting for other work', running: 'Under way', done: 'Done', failed: 'Failed', cancelled: 'Cancelled', interrupted: 'Interrupted' };

export function JobProgress({ job, cancel }) {
  const open = job.state === 'waiting' || job.state === 'running';
  const share = job.total ? job.done / job.total : null;
  const said = job.total
    ? `${job.done.toLocaleString('en')} of ${job.total.toLocaleString('en')}`
    : job.step ?? '';
  return html`<div class="job" role="status">
    <p class="small"><b>${WORDS[job.state]}</b> <span class="soft">${said}</span>
      ${open && html`<button type="button" class="link" onClick=${cancel}>cancel</button>`}</p>
    <progress aria-label="progress" max="1" value=${job.state === 'done' ? 1 : share ?? undefined}></progress>
  </div>`;
}
