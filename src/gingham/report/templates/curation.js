// Decisions about flagged labels: kept while the page is open, saved or copied as a table.
const decided = new Map();
const bar = document.querySelector('.decided');
const cell = (text) => (/[",\r\n;\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const COLUMNS = ['image', 'attribute', 'value', 'suggested'];

function written() {
  const rows = [...decided].map(([doubt, decision]) => {
    const said = JSON.parse(doubt);
    return [...COLUMNS.map((name) => cell(String(said[name]))), decision].join(',');
  });
  return [[...COLUMNS, 'decision'].join(','), ...rows, ''].join('\r\n');
}

for (const group of document.querySelectorAll('.decide')) {
  group.addEventListener('click', ({ target }) => {
    if (target.tagName !== 'BUTTON') return;
    const again = target.getAttribute('aria-pressed') === 'true';
    for (const one of group.children) one.setAttribute('aria-pressed', String(one === target && !again));
    if (again) decided.delete(group.dataset.doubt);
    else decided.set(group.dataset.doubt, target.value);
    bar.hidden = !decided.size;
    bar.querySelector('b').textContent = `${decided.size} decided.`;
  });
}

document.getElementById('save')?.addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([written()], { type: 'text/csv' }));
  link.download = 'decisions.csv';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

document.getElementById('copy')?.addEventListener('click', async ({ target }) => {
  await navigator.clipboard.writeText(written());
  target.textContent = 'Copied';
});
