// What every page of the centre does: count down, warn before the session ends, start the page's own script.

const PAGES = { home: "./home.js", environment: "./environment.js", renew: "./renew.js", make: "./make.js", backup: "./backup.js", import: "./import.js", ending: "./ending.js", release: "./release.js", tokenjob: "./tokenjob.js" };
const RING = 138.2; // the length of the ring's circle, as x.ring draws it
const WARN_BEFORE = 120;

function countDown(ring) {
  const of = Number(ring.dataset.of);
  const end = performance.now() + Number(ring.dataset.left) * 1000; // the server says how long, not until when
  const said = document.getElementById("ring-said");
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    ring.querySelector("text").textContent = String(left);
    ring.querySelector(".r-left").setAttribute("stroke-dasharray", `${(RING * left) / of} ${RING}`);
    ring.classList.toggle("low", left <= 10);
    if (said && (left === 30 || left === 10)) said.textContent = said.dataset.words.replace("{n}", String(left));
    if (left > 0) setTimeout(tick, 250);
    else document.getElementById("expired")?.removeAttribute("hidden");
  };
  tick();
}

function watchIdle(seconds) {
  const dialog = document.getElementById("idle");
  let before = null;
  let timers = [];
  const begin = () => {
    timers.forEach(clearTimeout);
    timers = [
      setTimeout(() => { before = document.activeElement; dialog.showModal(); document.getElementById("idle-stay").focus(); }, (seconds - WARN_BEFORE) * 1000),
      setTimeout(() => { location.href = "/login?ended=1"; }, (seconds + 20) * 1000),
    ];
  };
  document.getElementById("idle-stay").addEventListener("click", async () => {
    const answer = await fetch("/alive", { method: "POST", headers: { Accept: "application/json" } });
    if (!answer.ok) { location.href = "/login?ended=1"; return; }
    dialog.close();
    before?.focus();
    begin();
  });
  dialog.addEventListener("cancel", () => before?.focus());
  begin();
}

// A second press of a button sends nothing a second time.
function sendOnce(form) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}

document.querySelectorAll("[data-ring]").forEach(countDown);
document.querySelectorAll("form[method=post]").forEach(sendOnce);
window.addEventListener("pageshow", (event) => { if (event.persisted) document.querySelectorAll("form").forEach((form) => delete form.dataset.sent); });
if (document.body.dataset.idle) watchIdle(Number(document.body.dataset.idle));
document.querySelectorAll("[data-print]").forEach((button) => { button.hidden = false; button.addEventListener("click", () => print()); });
document.getElementById("err")?.focus();
const page = PAGES[document.body.dataset.page];
if (page) {
  await (await import(page)).start();
  // Until the script is here, a press would send the form as it is: a password into the address.
  document.querySelectorAll("[data-by-script]").forEach((button) => { button.disabled = false; });
}
