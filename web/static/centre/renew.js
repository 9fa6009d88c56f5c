// The page of the code and the consent: makes the new key, its request, and the present key's approval.

import { base64, hex, unbase64 } from "./der.js";
import * as keys from "./keys.js";
import * as vault from "./vault.js";

export async function start() {
  const form = document.getElementById("confirm");
  if (!form) return;
  const present = await presentKey(form.dataset.spki);
  if (!present && form.dataset.presentKey === "yes") {
    document.getElementById("no-key").hidden = false;
    form.hidden = true;
    return;
  }
  form.addEventListener("submit", (event) => {
    if (form.dataset.ready || event.submitter?.hasAttribute("formaction")) return; // another button of the form
    event.preventDefault();
    if (form.dataset.busy) return; // a double click
    form.dataset.busy = "yes";
    prepare(form, present).then(() => { form.dataset.ready = "yes"; form.requestSubmit(); }, () => {
      delete form.dataset.busy;
      document.getElementById("no-vault").hidden = false;
    });
  }, true);
}

async function presentKey(spki) {
  try {
    const record = await vault.get(spki);
    return record?.state === "held" ? record : undefined;
  } catch { return undefined; }
}

async function prepare(form, present) {
  const pending = (await vault.ofRenewal(form.dataset.renewal)) ?? (await made(form));
  const request = await keys.request(pending);
  form.elements.csr.value = base64(request);
  form.elements.approval.value = present ? base64(await keys.approval(present, await keys.confirmation(form.dataset.renewal, unbase64(form.dataset.challenge), request))) : "";
  form.elements.key_copy.value = pending.copy;
  form.elements.device.value = keys.deviceName();
  form.elements.opener.value = pending.opener ? base64(pending.opener) : "";
}

// On the disk before its request leaves: whatever happens then, the certificate finds its key.
async function made(form) {
  const key = await keys.newKey(form.dataset.kind);
  const { opener, iv, sealed } = await keys.sealed(key.pkcs8);
  const record = {
    spki: hex(await keys.sha256(key.spki)), copy: keys.newCopy(), renewal: form.dataset.renewal, state: "pending",
    kind: key.kind, signing: key.signing, iv, sealed, opener,
  };
  record.spkiDer = key.spki;
  await vault.put(record);
  await vault.keepForGood();
  return record;
}
