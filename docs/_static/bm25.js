// BM25's sliders without a kernel: the formula of lesson 02 over the counts that tools/website/sliders.py put into the page.
"use strict";

for (const box of document.querySelectorAll(".bm25-sliders")) live(box);

function live(box) {
  const data = JSON.parse(box.querySelector("script[type='application/json']").textContent);
  const controls = [slider("k1", data.k1, 5), slider("b", data.b, 1)];
  const said = element("p", { role: "status" });
  const table = element("table", {});
  const scrolls = element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": "The best pages" }, table);
  const show = () => {
    const [k1, b] = controls.map((control) => Number(control.input.value));
    const best = ranking(data, k1, b).slice(0, 5);
    fill(table, data, best);
    said.textContent = `k1 = ${k1.toFixed(2)}, b = ${b.toFixed(2)}: first is ${best[0].document.name}, with ${best[0].score.toFixed(3)}.`;
  };
  for (const { input } of controls) input.addEventListener("input", show);
  const query = element("p", {}, "Query: ", element("strong", {}, data.query));
  box.replaceChildren(query, ...controls.map((control) => control.label), said, scrolls);
  show();
}

// Every document with what each term adds, best first; equal scores stay in the order of the corpus.
function ranking(data, k1, b) {
  const scored = data.documents.map((document) => {
    const norm = k1 * (1 - b + b * document.length);
    const added = data.terms.map((_, i) => (document.tf[i] ? (data.weights[i] * document.tf[i]) / (document.tf[i] + norm) : 0));
    return { document, added, score: added.reduce((sum, value) => sum + value, 0) };
  });
  return scored.sort((one, other) => (Math.abs(other.score - one.score) < 1e-9 ? 0 : other.score - one.score));
}

function fill(table, data, best) {
  const largest = Math.max(...best.flatMap((row) => row.added));
  const head = element("tr", {}, ...["rank", "score", "what each term adds", "document"].map((name) => element("th", { scope: "col" }, name)));
  const widest = Math.max(...data.terms.map((term) => term.length));
  const rows = best.map((row, i) => {
    const parts = data.terms.flatMap((term, t) => (row.added[t] ? [part(term.padEnd(widest), row.document.tf[t], row.added[t], largest)] : []));
    const text = element("div", { class: "excerpt" });
    text.innerHTML = row.document.text; // made, and escaped, by the widget's own code
    const name = `${row.document.name} · ${row.document.length.toFixed(1)} × the average length`;
    return element("tr", {},
      element("th", { scope: "row" }, `${i + 1}${moved(row.document.before, i + 1)}`),
      element("td", { class: "number" }, row.score.toFixed(3)),
      element("td", {}, ...parts),
      element("td", {}, name, text));
  });
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

function part(term, times, value, largest) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${(5 * value) / largest}em`;
  return element("div", { class: "part" }, `${term} ×${times} ${value.toFixed(3)} `, bar);
}

function moved(before, now) {
  return before === now ? "" : ` ${now < before ? "▲" : "▼"} was ${before}`;
}

function slider(name, value, most) {
  const input = element("input", { type: "range", min: 0, max: most, step: 0.05, value });
  const output = element("output", {}, Number(value).toFixed(2));
  input.addEventListener("input", () => (output.textContent = Number(input.value).toFixed(2)));
  return { input, label: element("label", { class: "slider" }, `${name} `, input, output) };
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
