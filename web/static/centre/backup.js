// The page of the backup and of the export: the file is made here, and its password is known here alone.

import { unbase64 } from "./der.js";
import * as keys from "./keys.js";
import * as pfx from "./pfx.js";
import * as vault from "./vault.js";

const ALLOWED = /^[A-Za-z0-9]{4,10}$/;

export async function start() {
  const form = document.getElementById("backup");
  if (!form) return;
  const record = await vault.get(form.dataset.spki).catch(() => undefined);
  if (record?.state !== "held") {
    document.getElementById("not-here").hidden = false;
    form.hidden = true;
    return;
  }
  form.elements.show.addEventListener("change", () => {
    for (const name of ["first", "again"]) form.elements[name].type = form.elements.show.checked ? "text" : "password";
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset.busy || !checked(form)) return;
    form.dataset.busy = "yes";
    save(form, record).catch(() => { document.getElementById("failed").hidden = false; }).finally(() => { delete form.dataset.busy; });
  }, true);
}

function checked(form) {
  const first = form.elements.first;
  const again = form.elements.again;
  const wrong = [];
  mark(first, ALLOWED.test(first.value), wrong);
  mark(again, first.value === again.value, wrong);
  const summary = document.getElementById("wrong");
  summary.hidden = wrong.length === 0;
  if (wrong.length > 0) { summary.querySelector("[data-count]").textContent = String(wrong.length); wrong[0].focus(); }
  return wrong.length === 0;
}

function mark(field, right, wrong) {
  field.toggleAttribute("aria-invalid", !right);
  if (!right) field.setAttribute("aria-invalid", "true");
  document.getElementById(`${field.id}-e`).hidden = right;
  if (!right) wrong.push(field);
}

async function save(form, record) {
  const answer = await fetch(`/copies/${record.copy}/opener`, { method: "POST", headers: { Accept: "application/json" } });
  if (answer.status === 401) { location.href = "/login?ended=1"; return; }
  if (!answer.ok) { location.href = "/export"; return; } // the code is too long ago: a new one
  const pkcs8 = await keys.unsealed(record, unbase64((await answer.json()).opener));
  const profile = form.elements.format.value;
  const name = form.elements.file.value.trim() || "xuqi";
  const file = await pfx.write({ pkcs8, der: record.der, name, password: form.elements.first.value, profile });
  pkcs8.fill(0);
  download(file, `${name.replace(/[\\/:*?"<>|]/g, "_").replace(/\.pfx$/i, "")}.pfx`);
  form.elements.first.value = form.elements.again.value = "";
  await fetch(`/copies/${record.copy}/backed-up`, { method: "POST", headers: { Accept: "application/json" } });
  location.href = form.dataset.next;
}

function download(bytes, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/x-pkcs12" }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
