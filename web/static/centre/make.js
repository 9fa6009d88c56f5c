// The page that waits for the new certificate: fetches, checks and stores it, and proves that its key is here.

import { base64, hex, same, unbase64 } from "./der.js";
import * as keys from "./keys.js";
import * as vault from "./vault.js";

const EVERY = 1000;

export async function start() {
  const page = document.getElementById("make");
  const began = performance.now();
  setInterval(() => { document.getElementById("elapsed").textContent = String(Math.round((performance.now() - began) / 1000)); }, EVERY);
  const pending = await vault.ofRenewal(page.dataset.renewal).catch(() => undefined);
  if (!pending) return fail("lost");
  await untilIssued(page, pending);
}

async function untilIssued(page, pending) {
  const here = `/renew/${page.dataset.renewal}`;
  for (;;) {
    let told;
    try {
      told = await asked(`${here}/state`);
      document.getElementById("offline").hidden = true;
    } catch (error) {
      if (error.status === 401) { location.href = "/login?ended=1"; return; }
      document.getElementById("offline").hidden = false;
    }
    if (told) {
      show(told.stage);
      if (told.ended || told.stage > 4) { location.replace(here); return; }
      if (told.ready) return collect(here, pending);
    }
    await new Promise((resolve) => { setTimeout(resolve, EVERY); });
  }
}

async function collect(here, pending) {
  const { certificate, challenge } = await asked(`${here}/certificate`, {});
  const der = unbase64(certificate);
  if (!same(keys.partsOf(der).spki, pending.spkiDer)) return fail("other");
  show(3);
  await vault.put({ ...pending, state: "held", der, opener: undefined, spki: hex(await keys.sha256(pending.spkiDer)) });
  const signature = await keys.sign(pending.kind, pending.signing, unbase64(challenge));
  show(4);
  await asked(`${here}/proof`, { signature: base64(signature) });
  location.replace("/backup");
}

async function asked(where, body) {
  const answer = await fetch(where, body === undefined ? { headers: { Accept: "application/json" } } : {
    method: "POST", headers: { Accept: "application/json", "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (!answer.ok) throw Object.assign(new Error(where), { status: answer.status });
  return answer.json();
}

function show(stage) {
  document.querySelectorAll("#stages > li").forEach((item, at) => {
    item.classList.toggle("is-done", at < stage);
    item.classList.toggle("is-now", at === stage);
    item.querySelector("[data-done]").hidden = at >= stage;
    item.querySelector("[data-now]").hidden = at !== stage;
    item.querySelector("[data-todo]").hidden = at <= stage;
    if (at === stage) document.getElementById("said").textContent = item.querySelector("[data-words]").textContent;
  });
}

function fail(what) {
  document.getElementById(what).hidden = false;
  document.getElementById("working").hidden = true;
}
