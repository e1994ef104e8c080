// The frame of the page: who is there, which view is shown, what went wrong.
import { Shop, counted, html, render, useCallback, useEffect, useMemo, useState } from './ui.js';
import { api } from './api.js';
import { VIEWS, follow, usePlace } from './route.js';
import { Notices, useNotices } from './components/notices.js';
import { Empty } from './views/empty.js';
import { Login } from './views/login.js';

const MODULES = {
  '/': () => import('./views/search.js').then((m) => m.Search),
  '/teach': () => import('./views/teach.js').then((m) => m.Teach),
  '/review': () => import('./views/review.js').then((m) => m.Review),
  '/map': () => import('./views/map.js').then((m) => m.MapView),
  '/compare': () => import('./views/compare.js').then((m) => m.Compare),
  '/history': () => import('./views/history.js').then((m) => m.History),
};
const EVEN_IF_EMPTY = ['/history'];

/** What somebody may do here. */
const rightsOf = ({ role, read_only: readOnly }) => ({
  write: !readOnly && role !== 'reader',
  administrate: !readOnly && role === 'admin',
});

function App() {
  const place = usePlace();
  const [catalogue, setCatalogue] = useState(null);
  const [schema, setSchema] = useState(null);
  const [session, setSession] = useState(null);
  const [problem, setProblem] = useState(null);
  const [version, setVersion] = useState(0);
  const [View, setView] = useState(null);
  const { notices, notify, fail, dismiss } = useNotices();

  const reload = useCallback(async () => {
    try {
      const [found, meant] = await Promise.all([api.catalogue(), api.schema()]);
      setSchema(meant);
      setCatalogue(found);
      setVersion((n) => n + 1);
      setProblem(null);
      document.title = `${found.name} · gingham`;
    } catch (error) {
      if (error.status !== 401) setProblem(error);
    }
  }, []);
  const enter = useCallback(async () => {
    try {
      const found = await api.session().catch((error) => {
        if (error.status === 404) return { needs_key: false };
        throw error;
      });
      setSession(found);
      if (!found.needs_key || found.role) await reload();
    } catch (error) {
      setProblem(error);
    }
  }, []);
  useEffect(() => {
    enter();
    const asked = () => setSession((there) => ({ ...there, needs_key: true, role: null }));
    addEventListener('gingham:login', asked);
    return () => removeEventListener('gingham:login', asked);
  }, []);
  useEffect(() => {
    let left = false;
    MODULES[place.path]?.().then((found) => left || setView(() => found), (error) => left || setProblem(error));
    return () => {
      left = true;
    };
  }, [place.path]);

  const shop = useMemo(
    () => catalogue && { catalogue, schema, can: rightsOf(catalogue), version, notify, fail, reload, session },
    [catalogue, schema, version, session],
  );
  const locked = session?.needs_key && !session.role;
  return html`<${Shop.Provider} value=${shop}>
    <div class="app" onClick=${follow}>
      <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector('main').focus(); }}>to the content</a>
      <${Header} place=${place} catalogue=${locked ? null : catalogue} session=${session} leave=${async () => { await api.logout(); location.reload(); }} />
      <main id="main" tabindex="-1">
        ${locked ? html`<${Login} entered=${enter} login=${session.login} />`
          : problem ? html`<${Trouble} problem=${problem} again=${enter} />`
          : !shop || !View ? html`<p class="loading" role="status"><span class="spinner"></span> Opening the catalogue …</p>`
          : !catalogue.images && !EVEN_IF_EMPTY.includes(place.path) ? html`<${Empty} />`
          : html`<${View} key=${place.path} place=${place} />`}
      </main>
      <${Notices} notices=${notices} dismiss=${dismiss} />
    </div>
  <//>`;
}

function Header({ place, catalogue, session, leave }) {
  // Where the views do not fit beside each other, the present one is scrolled to.
  useEffect(() => document.querySelector('nav [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' }), [place.path, !catalogue]);
  return html`<header class="top">
    <a class="brand" href="/"><i class="cloth" aria-hidden="true"></i><span>${catalogue?.name ?? 'gingham'}</span></a>
    <nav aria-label="views">${catalogue && VIEWS.map(([path, name]) => html`<a key=${path} href=${path} aria-current=${path === place.path ? 'page' : undefined}>${name}</a>`)}</nav>
    <p class="who">${catalogue && html`<span title=${`features of ${catalogue.backbone}`}>${counted(catalogue.images, 'image')}</span>`}
      ${catalogue && (catalogue.read_only || catalogue.role === 'reader') && html`<span class="tag">may only look</span>`}
      ${catalogue && session?.needs_key && html`<span>${catalogue.caller}</span><button class="link" type="button" onClick=${leave}>leave</button>`}</p>
  </header>`;
}

function Trouble({ problem, again }) {
  return html`<div class="empty"><h1>The catalogue cannot be shown</h1><p>${problem.message}</p>
    <p><button type="button" class="main" onClick=${again}>Try again</button></p></div>`;
}

render(html`<${App} />`, document.getElementById('app'));
