// What every page of the station does: the keypad, the dots, the idle lock, and following what happens.

const IDLE_EVENTS = ["keydown", "pointerdown", "pointermove"];
const AGAIN_AFTER = 2000; // milliseconds, when the station's own program does not answer

// --- the keypad ----------------------------------------------------------------------------------

let current = document.querySelector("[data-secret]");

function show(input) {
  const dots = document.querySelector(`[data-dots="${input.id}"]`);
  [...dots.children].forEach((dot, index) => dot.classList.toggle("is-none", index >= input.value.length));
  const said = document.querySelector(`[data-count="${input.id}"]`);
  said.textContent = input.value ? said.dataset.words.replace("{n}", String(input.value.length)) : "";
}

function set(input, value) {
  input.value = value.slice(0, input.maxLength);
  show(input);
}

function startSecrets() {
  const inputs = [...document.querySelectorAll("[data-secret]")];
  for (const input of inputs) {
    input.addEventListener("focus", () => { current = input; });
    input.addEventListener("input", () => set(input, input.value.replace(/\D/g, "")));
    document.querySelector(`[data-dots="${input.id}"]`).addEventListener("click", () => input.focus());
  }
  inputs[0]?.focus();
}

function startPad(pad) {
  pad.addEventListener("click", (event) => {
    const key = event.target.closest("button");
    if (!key || !current) return;
    if (key.dataset.digit !== undefined) set(current, current.value + key.dataset.digit);
    else if (key.dataset.clear !== undefined) set(current, "");
    else set(current, current.value.slice(0, -1));
  });
  const fixed = document.querySelector("[data-fixed]");
  fixed?.addEventListener("click", () => {
    const keys = [...pad.querySelectorAll("[data-digit]")];
    "1234567890".split("").forEach((digit, index) => {
      keys[index].dataset.digit = digit;
      keys[index].textContent = digit;
    });
    fixed.setAttribute("aria-pressed", "true");
    current?.focus();
  });
}

// --- following what happens ----------------------------------------------------------------------

function page(address) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // it parses by itself: no string becomes markup
    request.open("GET", address);
    request.responseType = "document";
    request.onload = () => done(request.response);
    request.onerror = failed;
    request.send();
  });
}

async function renew() {
  const fresh = await page(location.pathname + location.search);
  if (!fresh || fresh.body.dataset.key !== document.body.dataset.key) {
    location.reload();
    return;
  }
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (!now || now.isEqualNode(old)) continue;
    const held = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.replaceWith(document.adoptNode(now));
    if (held) document.querySelector(`#${now.id} [href="${CSS.escape(held)}"]`)?.focus();
  }
}

async function follow() {
  let seen = Number(document.body.dataset.version);
  for (;;) {
    try {
      const answer = await fetch(`/live?seen=${seen}`, { headers: { Accept: "application/json" } });
      if (answer.redirected || !answer.ok) { location.reload(); return; }
      const { version } = await answer.json();
      if (version !== seen) await renew();
      seen = version;
    } catch {
      await new Promise((done) => { setTimeout(done, AGAIN_AFTER); });
    }
  }
}

// --- the idle lock -------------------------------------------------------------------------------

function watchIdle(seconds) {
  let timer = 0;
  const begin = () => {
    clearTimeout(timer);
    timer = setTimeout(() => document.getElementById("lock").submit(), seconds * 1000);
  };
  IDLE_EVENTS.forEach((name) => addEventListener(name, begin, { passive: true }));
  begin();
}

// A second press of a button sends nothing a second time.
document.querySelectorAll("form[method=post]").forEach((form) => form.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
}));
startSecrets();
document.querySelector("[data-print]")?.addEventListener("click", () => print());
document.querySelectorAll("[data-pad]").forEach(startPad);
document.getElementById("err")?.focus();
if (!document.getElementById("err")) document.querySelector("[data-secret]")?.focus();
watchIdle(Number(document.body.dataset.idle));
follow();
