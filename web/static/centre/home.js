// The table of the certificates in this browser, and which of the other devices is this one.

import * as vault from "./vault.js";

export async function start() {
  const here = document.getElementById("here");
  if (!here) return;
  let records = [];
  try {
    records = (await vault.all()).filter((record) => record.state === "held");
  } catch { /* a browser that keeps nothing has nothing here */ }
  const shown = records.filter((record) => here.querySelector(`template[data-spki="${record.spki}"]`));
  fill(here, shown);
  const mine = new Set(records.map((record) => record.copy));
  hideMine(mine);
}

function fill(here, records) {
  const rows = document.getElementById("here-rows");
  const body = rows.querySelector("tbody");
  const model = body.querySelector("tr");
  for (const record of records) {
    const cells = [...here.querySelector(`template[data-spki="${record.spki}"]`).content.cloneNode(true).querySelectorAll(".cell")];
    const row = model.cloneNode(true);
    const places = [...row.children].map((cell) => cell.querySelector("div") ?? cell);
    [[1, 0], [2, 1], [4, 2], [5, 3], [6, 4]].forEach(([place, cell]) => places[place].replaceChildren(...cells[cell].childNodes));
    row.querySelector("[data-remove]")?.addEventListener("click", () => forget(record, row));
    body.append(row);
  }
  model.remove();
  rows.hidden = records.length === 0;
  document.getElementById("here-none").hidden = records.length > 0;
}

async function forget(record, row) {
  await vault.remove(record.spki);
  await fetch(`/copies/${record.copy}/removed`, { method: "POST", headers: { Accept: "application/json" } });
  row.remove();
  location.reload();
}

function hideMine(mine) {
  const rows = [...document.querySelectorAll("[data-copy]")].map((mark) => [mark.dataset.copy, mark.closest("tr")]);
  rows.filter(([copy]) => mine.has(copy)).forEach(([, row]) => { row.hidden = true; });
  const none = document.getElementById("elsewhere-none");
  if (none && rows.every(([copy]) => mine.has(copy))) {
    none.hidden = false;
    none.parentElement.querySelector(".x-scroll")?.setAttribute("hidden", "");
  }
}
