// Checks whether this computer can hold and renew a certificate.

import * as keys from "./keys.js";
import * as vault from "./vault.js";

const CLOCK_MAY_DIFFER = 120; // seconds

export async function start() {
  const list = document.querySelector(".x-checks");
  const said = JSON.parse(list.dataset.said);
  const loaded = Date.now() / 1000;
  const system = navigator.userAgentData?.platform || navigator.platform || "?";
  const brands = (navigator.userAgentData?.brands ?? []).filter((brand) => !/not.?a.?brand/i.test(brand.brand));
  tell("e-browser", brands.length > 0 ? "ok" : "warn", brands.map((brand) => `${brand.brand} ${brand.version}`).join("、") || navigator.userAgent.slice(0, 80));
  tell("e-system", "ok", system);
  tell("e-screen", "ok", `${screen.width} × ${screen.height}，${screen.colorDepth} bit · ${said.js}`);
  const apart = Math.abs(loaded - Number(list.dataset.now));
  tell("e-clock", apart < CLOCK_MAY_DIFFER ? "ok" : "warn", `${said.clock}${apart.toFixed(1)}`);
  const kept = await vault.keepForGood().catch(() => false);
  tell("e-kept", kept ? "ok" : "warn", kept ? said.kept : said.notkept);
  let able = true;
  try {
    await testKeys(said);
    tell("e-keys", "ok", said.keys);
  } catch {
    able = false;
    tell("e-keys", "bad", said.nokeys);
    tell("e-sign", "bad", said.unsigned);
  }
  document.getElementById(able ? "all-well" : "some-bad").hidden = false;
}

async function testKeys(said) {
  const held = (await vault.all()).find((record) => record.state === "held");
  const key = held ?? (await keys.newKey("EC"));
  await keys.sign(key.kind, key.signing, Uint8Array.of(1, 2, 3));
  tell("e-sign", "ok", held ? said.signed : said.none);
}

function tell(id, kind, note) {
  const item = document.getElementById(id);
  item.querySelector("[data-note]").textContent = note;
  item.querySelector(`[data-${kind}]`).hidden = false;
}
