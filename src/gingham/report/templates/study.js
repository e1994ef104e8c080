"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");
const [picture, words] = tip.children;

function nearest(map, x, y) {
  let best = -1;
  let distance = 14 * 14;
  for (let i = 0; i < map.x.length; i++) {
    const dx = 8 + map.x[i] * 284 - x;
    const dy = 292 - map.y[i] * 284 - y;
    if (dx * dx + dy * dy < distance) {
      distance = dx * dx + dy * dy;
      best = i;
    }
  }
  return best;
}

function leave(svg) {
  tip.hidden = true;
  svg.querySelector(".found").setAttribute("cx", -20);
}

function show(svg, event) {
  const map = data.maps[svg.dataset.map];
  const box = svg.getBoundingClientRect();
  const scale = Math.min(box.width, box.height) / 300;
  const x = (event.clientX - box.left - (box.width - 300 * scale) / 2) / scale;
  const y = (event.clientY - box.top - (box.height - 300 * scale) / 2) / scale;
  const i = nearest(map, x, y);
  if (i < 0) return leave(svg);
  const ring = svg.querySelector(".found");
  ring.setAttribute("cx", 8 + map.x[i] * 284);
  ring.setAttribute("cy", 292 - map.y[i] * 284);
  picture.className = "p" + map.places[i];
  words.textContent = map.values[i] + " \u00b7 " + data.names[map.places[i]];
  tip.hidden = false;
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 14 + tip.offsetHeight < window.innerHeight;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = (below ? event.clientY + 14 : event.clientY - tip.offsetHeight - 14) + "px";
}

for (const svg of document.querySelectorAll("[data-map]")) {
  for (const kind of ["pointermove", "pointerdown"]) {
    svg.addEventListener(kind, (event) => show(svg, event));
  }
  svg.addEventListener("pointerleave", () => leave(svg));
}

for (const button of document.querySelectorAll("button[data-value]")) {
  button.addEventListener("click", () => {
    const box = button.closest(".attribute");
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of box.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", other === button && on);
    }
    for (const svg of box.querySelectorAll("[data-map]")) {
      svg.classList.toggle("picked", on);
      for (const path of svg.querySelectorAll("[data-value]")) {
        path.classList.toggle("on", path.dataset.value === button.dataset.value);
      }
    }
  });
}
document.documentElement.dataset.ready = "yes";
