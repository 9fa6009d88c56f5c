// The dialog with the shuffled keypad: types the release password into the field of the form.

export function start() {
  const field = document.getElementById("release");
  const dialog = document.getElementById("pad");
  const typed = document.getElementById("typed");
  const open = document.getElementById("pad-open");
  const shift = document.getElementById("pad-shift");
  open.hidden = false;
  const say = () => {
    const said = document.getElementById("typed-n");
    said.textContent = typed.value ? said.dataset.words.replace("{n}", String(typed.value.length)) : "";
  };
  const set = (value) => { typed.value = value.slice(0, typed.maxLength); say(); };
  const capitals = () => shift.getAttribute("aria-pressed") === "true";
  const end = (value) => {
    if (value !== null) field.value = value;
    typed.value = "";
    dialog.close();
    open.focus();
  };

  open.addEventListener("click", () => { set(field.value); shuffle(); dialog.showModal(); typed.focus(); });
  typed.addEventListener("input", say);
  document.getElementById("keys").addEventListener("click", (event) => {
    const key = event.target.closest("[data-key]");
    if (key) set(typed.value + (capitals() ? key.dataset.key.toUpperCase() : key.dataset.key));
  });
  document.getElementById("pad-delete").addEventListener("click", () => set(typed.value.slice(0, -1)));
  shift.addEventListener("click", () => {
    shift.setAttribute("aria-pressed", String(!capitals()));
    document.querySelectorAll("#keys [data-key]").forEach((key) => { key.textContent = capitals() ? key.dataset.key.toUpperCase() : key.dataset.key; });
  });
  document.getElementById("pad-fixed").addEventListener("click", (event) => { order("1234567890"); event.currentTarget.setAttribute("aria-pressed", "true"); });
  document.getElementById("pad-ok").addEventListener("click", () => end(typed.value));
  document.getElementById("pad-cancel").addEventListener("click", () => end(null));
  dialog.addEventListener("cancel", () => { typed.value = ""; });
  dialog.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); end(typed.value); });
}

function order(digits) {
  [...document.querySelectorAll("#keys [data-digit]")].forEach((key, index) => {
    key.dataset.key = digits[index];
    key.textContent = digits[index];
  });
}

// Once for each opening.
function shuffle() {
  if (document.getElementById("pad-fixed").getAttribute("aria-pressed") === "true") return;
  const digits = [..."0123456789"];
  for (let last = digits.length - 1; last > 0; last -= 1) {
    const other = crypto.getRandomValues(new Uint32Array(1))[0] % (last + 1);
    [digits[last], digits[other]] = [digits[other], digits[last]];
  }
  order(digits);
}
