// A server with keys lets in whoever has one, and whom its issuer knows.
import { html, useState } from '../ui.js';
import { api, query } from '../api.js';

export function Login({ entered, login }) {
  const [key, setKey] = useState('');
  const [says, setSays] = useState('');
  const enter = async (event) => {
    event.preventDefault();
    try {
      await api.login(key.trim());
      setSays('');
      await entered();
    } catch (problem) {
      setSays(problem.status === 401 ? 'This key is not known here: check that it was copied whole.' : problem.message);
    }
  };
  return html`<form class="empty" onSubmit=${enter}>
    <h1>Who are you?</h1>
    ${login && html`<p><a class="button main" href=${login.address + query({ back: location.pathname + location.search })}>Log in with ${login.name}</a></p>
      <p class="or">or with a key</p>`}
    ${!login && html`<p>This catalogue is open to those who have a key. Whoever runs the server makes one with <code>gingham keys add</code>.</p>`}
    <label class="field"><span>Key</span><input type="password" name="key" autocomplete="current-password" required value=${key} onInput=${(event) => setKey(event.target.value)} /></label>
    ${says && html`<p class="bad" role="alert">${says}</p>`}
    <p><button class=${login ? '' : 'main'}>Enter</button></p>
  </form>`;
}
