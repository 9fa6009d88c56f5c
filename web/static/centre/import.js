// The page that takes a backup file into this browser; the file and its password stay here.

import { base64, hex } from "./der.js";
import * as keys from "./keys.js";
import * as pfx from "./pfx.js";
import * as vault from "./vault.js";

const LARGEST = 1_000_000;

export async function start() {
  const form = document.getElementById("import");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    take(form).catch(() => show("no-vault")).finally(() => { delete form.dataset.busy; });
  }, true);
}

function show(id) {
  for (const note of document.querySelectorAll("[data-outcome]")) note.hidden = note.id !== id;
  document.getElementById(id).firstElementChild?.focus();
}

async function take(form) {
  const file = form.elements.file.files[0];
  if (!file || file.size > LARGEST) return show("cannot-open");
  let opened;
  try {
    opened = await pfx.open(new Uint8Array(await file.arrayBuffer()), form.elements.password.value, keys.spkiOf);
  } catch {
    form.elements.password.value = "";
    return show("cannot-open");
  }
  const spki = hex(await keys.sha256(opened.spki));
  if (!form.dataset.known.split(" ").includes(spki)) return show("not-yours");
  await keep(opened, spki);
  form.reset();
  show("imported");
}

async function keep({ pkcs8, der, spki: spkiDer }, spki) {
  const kind = keys.kindOf(spkiDer);
  const { opener, iv, sealed } = await keys.sealed(pkcs8);
  const record = { spki, spkiDer, copy: keys.newCopy(), state: "held", kind, signing: await keys.signingKey(kind, pkcs8), iv, sealed, der };
  pkcs8.fill(0);
  await vault.put(record);
  await vault.keepForGood();
  const answer = await fetch("/copies", {
    method: "POST", headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify({ key_copy: record.copy, spki, device: keys.deviceName(), opener: base64(opener) }),
  });
  if (!answer.ok) { await vault.remove(spki); throw new Error("not taken"); }
}
