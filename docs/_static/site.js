// What the theme leaves to the mouse, for the keyboard; and tables that can be sorted.
"use strict";

document.querySelectorAll("label[for]").forEach(operable);
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("div.highlight pre, pre.literal-block, div.math").forEach(reachable);
document.querySelectorAll(".sig dl").forEach(listed);
document.querySelectorAll(".sidebar-tree .caption[role=heading]").forEach((caption) => (caption.ariaLevel = "2"));

// The theme opens its sidebars, and folds their lists, with labels of hidden checkboxes.
function operable(label) {
  const box = document.getElementById(label.htmlFor);
  if (box?.type !== "checkbox" || label.classList.contains("overlay")) return;
  label.tabIndex = 0;
  label.setAttribute("role", "button");
  label.setAttribute("aria-label", box.getAttribute("aria-label") || label.textContent.trim() || "Toggle the list");
  const say = () => label.setAttribute("aria-expanded", String(box.checked));
  box.addEventListener("change", say);
  label.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    box.click();
  });
  say();
}

// What is too wide or too long scrolls: by the arrow keys, too.
function reachable(block) {
  if (block.scrollWidth > block.clientWidth || block.scrollHeight > block.clientHeight) block.tabIndex = 0;
}

// The parameters of a signature, which Sphinx writes as definitions without terms.
function listed(parameters) {
  parameters.role = "list";
  for (const parameter of parameters.children) parameter.role = "listitem";
}

function sortable(table) {
  const headings = [...table.querySelectorAll("thead th")];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => value(one).localeCompare(value(other), undefined, { numeric: true }) * (down ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}
